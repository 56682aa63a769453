"""Skalski's 2-4-6-6-4-1: four hidden layers of ReLUs tell the points of two circles apart.

Described in Piotr Skalski, "Deep Dive into Math Behind Deep Networks" (2020). The data are made as scikit-learn's
`make_circles` makes them: a circle of radius 1, class 0, and one of radius 0.3, class 1, with noise of deviation 0.1.
"""

import numpy as np

import fastmlp


def two_circles(n, factor=0.3, noise=0.1, seed=0):
    """n points (x, y), and the circle on which each lies."""
    random = np.random.default_rng(seed)
    label = random.permutation(np.arange(n) % 2)
    angle = random.uniform(0, 2 * np.pi, n)
    radius = np.where(label == 1, factor, 1.0)
    X = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return X + random.normal(0, noise, X.shape), label


def main(epochs=100, seed=0):
    """Trains on 1,000 points; the accuracy on 10,000 new ones."""
    net = fastmlp.Network([2, 4, 6, 6, 4, 1], activation="relu", loss="binary_cross_entropy", seed=seed)
    net.fit(*two_circles(1000), epochs=epochs, batch_size=16, optimizer=fastmlp.Adam(0.005))
    accuracy = net.evaluate(*two_circles(10_000, seed=1))["accuracy"]
    print(f"{net.n_parameters} parameters, {accuracy:.2%} of the new points are right")
    return accuracy


if __name__ == "__main__":
    main()
