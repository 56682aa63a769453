"""The dense head of the Keras tutorial: 784-128-10, ReLU and softmax, Adam in batches of 128.

The network of Shaumik Daityari, "A Beginner's Guide to Keras: Digit Recognition in 30 Minutes" (SitePoint, 2021), is
convolutional, as programs written after it show. This is the part that is a multilayer perceptron: the two dense
layers, with Fashion-MNIST's pixels as their input. It stops when three epochs have brought nothing for images that
it does not train on.
"""

import fastmlp


def main(epochs=12):
    """Trains the network; its accuracy on the test images."""
    (X, y), (X_test, y_test) = fastmlp.datasets.load_fashion_mnist()
    net = fastmlp.Network([784, 128, 10], activation="relu", loss="cross_entropy", seed=0)
    losses = []

    def no_better(epoch, logs):
        losses.append(logs["val_loss"])
        print(f"epoch {epoch + 1}: " + ", ".join(f"{name} {value:.4f}" for name, value in logs.items()))
        return len(losses) > 3 and min(losses[-3:]) > min(losses)

    held_out = (X[50_000:], y[50_000:])
    net.fit(X[:50_000], y[:50_000], epochs=epochs, batch_size=128, validation_data=held_out, callbacks=[no_better])
    accuracy = net.evaluate(X_test, y_test)["accuracy"]
    print(f"{accuracy:.2%} of the test images are right")
    return accuracy


if __name__ == "__main__":
    main()
