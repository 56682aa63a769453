"""Zhou's 2-2-1: a gender from a weight and a height, learnt from four people.

Described in Victor Zhou, "Machine Learning for Beginners: An Introduction to Neural Networks". The inputs are pounds
above 135 and inches above 66; 1 means female. Weights and biases start from N(0, 1), and the four rows are taken one
by one, always in the same order.
"""

import fastmlp

PEOPLE = {"Alice": (-2, -1, 1), "Bob": (25, 6, 0), "Charlie": (17, 4, 0), "Diana": (-15, -6, 1)}


def main(epochs=1000):
    """Trains the network; what it says of two people it has not seen, and its loss."""
    X = [row[:2] for row in PEOPLE.values()]
    y = [row[2] for row in PEOPLE.values()]
    words = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "squared_error", "init": "normal"}
    net = fastmlp.Network([2, 2, 1], **words, dtype="float64", seed=0)
    net.fit(X, y, epochs=epochs, batch_size=1, shuffle=False, optimizer=fastmlp.SGD(0.1))
    emily, frank = net.predict([[-7, -3], [20, 2]])[:, 0].tolist()
    loss = net.evaluate(X, y)["loss"]
    print(f"Emily: {emily:.3f}, Frank: {frank:.3f} (1 is female, 0 is male); loss {loss:.4f}")
    return emily, frank, loss


if __name__ == "__main__":
    main()
