"""Random Keras models of what `fastmlp.convert.keras_models` reads, and numbers for their weights."""

from __future__ import annotations

import numpy as np

NAMES = (
    *("linear", "relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "mish", "softplus", "softsign"),
    *("sigmoid", "log_sigmoid", "sparse_sigmoid", "tanh", "hard_tanh", "hard_sigmoid"),
)


def activation_layer(layers, rng, dtype):
    """Return a layer that is an activation."""
    kinds = (
        lambda: layers.LeakyReLU(dtype=dtype),
        lambda: layers.LeakyReLU(negative_slope=float(rng.uniform(0, 1)), dtype=dtype),
        lambda: layers.ELU(alpha=float(rng.uniform(0.1, 2)), dtype=dtype),
        lambda: layers.ReLU(max_value=float(rng.uniform(0.5, 3)), dtype=dtype),
        lambda: layers.ReLU(negative_slope=float(rng.uniform(0, 1)), dtype=dtype),
        lambda: layers.Activation(str(rng.choice(NAMES)), dtype=dtype),
    )
    return kinds[rng.integers(len(kinds))]()


def hidden_layers(layers, rng, dtype):
    """Return a Dense layer and what may follow it."""
    choice = rng.random()
    activation = str(rng.choice(NAMES)) if choice < 0.5 else None
    if 0.5 <= choice < 0.6:
        activation = layers.LeakyReLU(negative_slope=0.1, dtype=dtype)
    use_bias = bool(rng.random() < 0.8)
    made = [layers.Dense(int(rng.integers(1, 17)), activation=activation, use_bias=use_bias, dtype=dtype)]
    if rng.random() < 0.3:
        flags = {"scale": bool(rng.random() < 0.7), "center": bool(rng.random() < 0.7)}
        made.append(layers.BatchNormalization(dtype=dtype, epsilon=float(rng.choice([1e-3, 1e-5])), **flags))
    if choice >= 0.6:
        made.append(activation_layer(layers, rng, dtype))
    if rng.random() < 0.2:
        made.append(layers.PReLU(shared_axes=[1], dtype=dtype))
    if rng.random() < 0.3:
        kinds = layers.Dropout, layers.GaussianDropout, layers.AlphaDropout, layers.GaussianNoise
        made.append(kinds[rng.integers(4)](0.2, dtype=dtype))
    if rng.random() < 0.1:
        made.append(layers.ActivityRegularization(0.1, dtype=dtype))
    return made


def random_layers(layers, rng, dtype, n_inputs):
    """Return random layers, the last of which is an output."""
    made = []
    if rng.random() < 0.3:
        mean, variance = rng.normal(size=n_inputs), rng.uniform(0.2, 4, n_inputs)
        made.append(layers.Normalization(mean=mean, variance=variance, dtype=dtype))
    if rng.random() < 0.2:
        made.append(layers.Rescaling(rng.uniform(-2, 2, n_inputs).tolist(), float(rng.normal()), dtype=dtype))
    if rng.random() < 0.2:
        made.append(layers.BatchNormalization(dtype=dtype))
    for _ in range(rng.integers(0, 4)):
        made += hidden_layers(layers, rng, dtype)
    made.append(layers.Dense(int(rng.integers(2, 5)), dtype=dtype))
    ends = (
        lambda: [layers.Softmax(dtype=dtype)],
        lambda: [layers.Activation("softmax", dtype=dtype)],
        lambda: [layers.Activation("sigmoid", dtype=dtype)],
        lambda: [layers.Rescaling(2.0, -1.0, dtype=dtype)],
        lambda: [layers.Flatten(dtype=dtype), layers.Identity(dtype=dtype)],
    )
    return made + ends[rng.integers(len(ends))]()


def set_random_weights(model, rng):
    """Give a model random weights, with variances above 0."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            set_random_weights(layer, rng)
            continue
        new = []
        for weight in layer.weights:
            kind, shape = weight.path.rpartition("/")[2], tuple(weight.shape)
            if kind in ("moving_variance", "variance"):
                values = rng.uniform(0.5, 2, shape)
            elif kind == "kernel":
                values = rng.normal(size=shape) / np.sqrt(shape[0])
            elif kind == "alpha":
                values = rng.uniform(0, 0.5, shape)
            elif kind == "gamma":
                values = rng.choice([-1, 1], shape) * rng.uniform(0.5, 1.5, shape)
            else:
                values = rng.normal(size=shape) * 0.3
            new.append(values.astype(weight.dtype))
        if new:
            layer.set_weights(new)


def random_model(keras, rng, dtype="float32"):
    """Return a random model, Sequential or Functional, with random weights."""
    n_inputs = int(rng.integers(1, 13))
    made = random_layers(keras.layers, rng, dtype, n_inputs)
    model = assembled(
        keras, keras.Input((n_inputs,), dtype=dtype if dtype.startswith("float") else "float32"), made, rng
    )
    set_random_weights(model, rng)
    return model


def assembled(keras, first, layers, rng):
    """Return the model of an input and layers in a row, Sequential or Functional by chance."""
    if rng.random() < 0.5:
        return keras.Sequential([first, *layers])
    x = first
    for layer in layers:
        x = layer(x)
    return keras.Model(first, x)
