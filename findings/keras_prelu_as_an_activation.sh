#!/usr/bin/env bash
# Keras 3.15.1 (PyTorch backend): Dense(activation=PReLU()) has no slopes until the model has seen its first rows.
#
# The model is built, as model.built says, and still lacks them: Dense builds its kernel and bias, and the layer that is
# its activation is built by its first call with numbers. Until then count_params, get_weights and trainable_variables
# leave the slopes out, load_weights and set_weights refuse the weights of the same model after its first call, and an
# optimizer that was built with trainable_variables fails in fit. A file .keras that is saved before the first call has
# no slopes; one that is saved after it has them, in layers/dense/activation, and load_model gives the same outputs.
# With PReLU as a layer of its own, all of it works from the start.
#
# Seen (Python 3.11, torch 2.13.0): Dense(4, PReLU), Dense(2) of 3 inputs, before and after predict
#                          parameters   arrays in .keras   load_weights of the model after predict
#     as an activation     26, 30       4, 5               ValueError: Layer 'prelu' was never built
#     as a layer           30, 30       5, 5               loads
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install -q keras==3.15.1 torch==2.13.0
export KERAS_BACKEND=torch KERAS_HOME="$folder"
cd "$folder"
env/bin/python - <<'PYTHON'
import io
import zipfile

import h5py
import keras
import numpy as np
from keras.layers import Dense, PReLU

x = np.random.default_rng(0).normal(size=(8, 3)).astype(np.float32)


def model(alone):
    prelu = PReLU(keras.initializers.Constant(0.25), name="prelu")
    first = [Dense(4), prelu] if alone else [Dense(4, activation=prelu)]
    made = keras.Sequential([keras.Input((3,)), *first, Dense(2)])
    assert made.built
    return made, prelu


def saved(made):
    """Save the model and return the names of the arrays in its file."""
    made.save("model.keras")
    names = []
    with zipfile.ZipFile("model.keras") as file, h5py.File(io.BytesIO(file.read("model.weights.h5"))) as weights:
        weights.visititems(lambda name, item: names.append(name) if isinstance(item, h5py.Dataset) else None)
    return names


def message(function, *args):
    try:
        function(*args)
    except ValueError as error:
        return str(error)
    return "works"


def seen(alone):
    made, prelu = model(alone)
    counts, arrays = [made.count_params()], [len(saved(made))]
    made.predict(x, verbose=0)
    prelu.alpha.assign([0.1, 0.2, 0.3, 0.4])
    counts.append(made.count_params())
    names = saved(made)
    arrays.append(len(names))
    again = keras.models.load_model("model.keras")
    assert np.array_equal(again.predict(x, verbose=0), made.predict(x, verbose=0))
    made.save_weights("model.weights.h5")
    load = message(model(alone)[0].load_weights, "model.weights.h5")
    load = load[max(load.find("Layer 'prelu'"), 0) :]
    put = message(model(alone)[0].set_weights, made.get_weights())
    optimizer, fresh = keras.optimizers.SGD(), model(alone)[0]
    optimizer.build(fresh.trainable_variables)
    fresh.compile(optimizer, loss="mse")
    fit = message(lambda: fresh.fit(x, np.ones((8, 2), np.float32), verbose=0))
    print("as a layer" if alone else "as an activation", counts, arrays, names)
    print(*(f"    {text.splitlines()[0][:100]}" for text in (load, put, fit)), sep="\n")
    return counts, arrays, load, put, fit


counts, arrays, load, put, fit = seen(alone=False)
assert counts == [26, 30] and arrays == [4, 5], "the slopes are there before the first call now"
assert "Layer 'prelu' was never built" in load and "length 5" in put and "Unknown variable" in fit
assert seen(alone=True) == ([30, 30], [5, 5], "works", "works", "works")
PYTHON
