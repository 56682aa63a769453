"""Sanderson's 784-16-16-10: two hidden layers of 16 sigmoids, and 13,002 weights and biases.

Described in Grant Sanderson, "Neural Networks" (3Blue1Brown, 2017), for handwritten digits; the essay counts its
parameters. Here it learns Fashion-MNIST by the essay's cost, the sum of the squared differences, in mini-batches.
"""

import fastmlp


def main(epochs=20):
    """Trains the network; its number of parameters and its accuracy on the test images."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_fashion_mnist()
    net = fastmlp.Network(
        [784, 16, 16, 10], activation="sigmoid", output_activation="sigmoid", loss="squared_error", seed=0
    )
    history = net.fit(X, y, epochs=epochs, batch_size=10, optimizer=fastmlp.SGD(0.5))
    accuracy = float((net.classify(X_test) == y_test).mean())
    print(net.summary())
    print(f"cost {history.loss[0]:.4f} -> {history.loss[-1]:.4f}; {accuracy:.2%} of the test images are right")
    return net.n_parameters, accuracy


if __name__ == "__main__":
    main()
