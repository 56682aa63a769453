"""Nielsen's 784-30-10: sigmoids throughout, a quadratic cost, stochastic gradient descent with a rate of 3.0.

Described in Michael A. Nielsen, "Neural Networks and Deep Learning" (2015), chapter 1, for MNIST's digits; here it
learns Fashion-MNIST, which has the same shape and is harder. Weights and biases start from N(0, 1), as his do.
"""

import fastmlp


def main(epochs=30):
    """Trains the network; the accuracy on the test images after each epoch."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_fashion_mnist()
    net = fastmlp.Network(
        [784, 30, 10],
        activation="sigmoid",
        output_activation="sigmoid",
        loss="half_squared_error",
        init="normal",
        seed=0,
    )
    accuracies = []

    def report(epoch, logs):
        accuracies.append(float((net.classify(X_test) == y_test).mean()))
        print(f"epoch {epoch + 1}: cost {logs['loss']:.4f}, {accuracies[-1]:.2%} of the test images are right")

    net.fit(X, y, epochs=epochs, batch_size=10, optimizer=fastmlp.SGD(3.0), callbacks=[report])
    return accuracies


if __name__ == "__main__":
    main()
