"""A surrogate and its sensitivities: a 3-32-32-1 network stands in for a function, and says what its inputs do to it.

The function is Ishigami's, a test case of sensitivity analysis: sin(a) + 7 sin^2(b) + 0.1 c^4 sin(a), for inputs
between -pi and pi. The paper's section 6 names sensitivity analysis as a use of automatic differentiation; here the
derivatives with respect to the inputs come from the network, one backward pass for all rows.
"""

import numpy as np

import fastmlp


def ishigami(X):
    """The function for rows (a, b, c), and its derivatives."""
    a, b, c = X.T
    slopes = [np.cos(a) * (1 + 0.1 * c**4), 7 * np.sin(2 * b), 0.4 * c**3 * np.sin(a)]
    return np.sin(a) + 7 * np.sin(b) ** 2 + 0.1 * c**4 * np.sin(a), np.stack(slopes, axis=1)


def sensitivities(net, X):
    """dy/dX of a network with one output: with targets y - 1/2, the squared error has the derivative 1 in y."""
    return len(X) * net.input_gradient(X, net.predict(X) - 0.5)  # times the rows: the loss is their mean


def main(epochs=150):
    """Fits the surrogate; R^2 on new points, and the mean |dy/dx| of each input, learnt and true."""
    X = np.random.default_rng(0).uniform(-np.pi, np.pi, (22_000, 3))
    y, slopes = ishigami(X)
    train, new = slice(20_000), slice(20_000, None)
    net = fastmlp.Network([3, 32, 32, 1], activation="tanh", loss="squared_error", dtype="float64", seed=0)
    for rate in (0.005, 0.0005):
        net.fit(X[train], y[train], epochs=epochs // 2, batch_size=64, optimizer=fastmlp.Adam(rate))
    r2 = 1 - net.evaluate(X[new], y[new])["loss"] / y[new].var()
    learnt = np.abs(sensitivities(net, X[new])).mean(axis=0)
    true = np.abs(slopes[new]).mean(axis=0)
    print(f"R^2 on new points: {r2:.5f}")
    for name, *means in zip("abc", learnt, true, strict=True):
        print(f"mean |dy/d{name}|: {means[0]:.3f} by the network, {means[1]:.3f} by the formula")
    return r2, learnt, true


if __name__ == "__main__":
    main()
