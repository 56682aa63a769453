"""Models of Keras become networks, checked against Keras itself and against outputs that it has written.

The files in models/keras and models/tf-keras are of Keras 3.15.1 and tf-keras 2.21.0, with inputs and their outputs.
test_keras_files.py has damaged files, test_keras_writer.py the way back.
"""

from __future__ import annotations

import json
import pathlib
import zipfile

import h5py
import keras
import numpy as np
import pytest

import fastmlp
from fastmlp import FormatError
from fastmlp.convert import keras_file, keras_models
from keras_models import NAMES, random_model, set_random_weights

L = keras.layers
MODELS = pathlib.Path(__file__).parent / "models"
FILES = sorted(path for tool in ("keras", "tf-keras") for path in (MODELS / tool).iterdir() if path.suffix != ".npz")
WHOLE = [path for path in FILES if not path.name.endswith(".weights.h5")]
WEIGHTS = [path for path in FILES if path.name.endswith(".weights.h5")]
ULP_A_LAYER = 4


def stem(path):
    return path.with_name(path.name.partition(".")[0])


def expected(path):
    with np.load(f"{stem(path)}.expected.npz") as arrays:
        return arrays["input"], arrays["keras"]


def assert_same(net, chain, X, outputs):
    """Compare outputs to 4 ULP a layer of the largest number in the model's steps."""
    largest, x = 1.0, np.asarray(X, np.float64)
    for step in chain.steps:
        x = step(x)
        largest = max(largest, np.abs(x).max())
    bound = ULP_A_LAYER * np.finfo(np.float32).eps * largest * (len(net.sizes) - 1)
    assert np.abs(net.predict(X) - outputs).max() <= bound
    assert np.abs(x - outputs).max() <= bound


def check(model, tmp_path=None, suffix=None, **options):
    """Import a model, from memory or from a file, and compare its outputs; return the network."""
    source = model
    if suffix:
        source = tmp_path / f"model{suffix}"
        model.save(source)
    chain = keras_models.read(source, **options)
    net = fastmlp.from_keras(source, **options)
    X = np.random.default_rng(0).normal(size=(40, chain.n_inputs)).astype(np.float32)
    rows = X.reshape(len(X), *model.input_shape[1:])
    assert_same(net, chain, X, keras.ops.convert_to_numpy(model(rows)))
    return net


def config_of(path):
    with zipfile.ZipFile(path) as archive:
        return json.loads(archive.read("config.json"))


# --------------------------------------------------------------------------------------------------------------- files


@pytest.mark.parametrize("path", WHOLE, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_gives_the_outputs_that_keras_wrote_beside_it(path):
    X, outputs = expected(path)
    net = fastmlp.from_keras(path)
    assert_same(net, keras_models.read(path), X, outputs)
    assert net.conversion.source == "Keras"
    assert net.conversion.version == ("2.21.0" if path.parent.name == "tf-keras" else "3.15.1")
    assert fastmlp.from_file(path).sizes == net.sizes
    assert np.array_equal(fastmlp.from_keras(path.read_bytes()).parameters, net.parameters)


@pytest.mark.parametrize("path", WEIGHTS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_file_of_weights_needs_the_architecture(path):
    with pytest.raises(FormatError, match=r"weights alone.*architecture="):
        fastmlp.from_keras(path)
    whole = f"{stem(path)}.keras"
    given = config_of(whole)
    version = "2" if path.parent.name == "tf-keras" else "3"
    net = fastmlp.from_keras(path, architecture=json.dumps(given), keras_version=version)
    X, outputs = expected(path)
    assert_same(net, keras_models.read(whole), X, outputs)
    assert np.array_equal(
        net.parameters, fastmlp.from_keras(path, architecture=given, keras_version=version).parameters
    )


def test_weights_of_another_model_are_refused():
    architecture = config_of(MODELS / "keras" / "sequential_relu_softmax.keras")
    other = MODELS / "keras" / "names_that_collide_with_groups.weights.h5"
    with pytest.raises(FormatError, match=r"layer 'dense'.*named 'dense_1'"):
        fastmlp.from_keras(other, architecture=architecture, keras_version="3")


def test_an_architecture_beside_a_whole_model_is_refused():
    for suffix in (".keras", ".h5"):
        with pytest.raises(FormatError, match=r"architecture cannot be combined"):
            fastmlp.from_keras(MODELS / "keras" / f"sequential_relu_softmax{suffix}", architecture={})
    with pytest.raises(ValueError, match="cannot be combined with a model"):
        fastmlp.from_keras(keras.Sequential([keras.Input((2,)), L.Dense(1)]), keras_version="3")


def test_groups_of_weights_are_numbered_by_class_not_named(tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(3, name="dense_1"), L.Dense(3, name="dense_2"), L.Dense(3, name="dense")]
    )
    set_random_weights(model, np.random.default_rng(0))
    for suffix in (".keras", ".h5"):
        net = check(model, tmp_path, suffix)
        assert np.array_equal(net.weights[0], model.get_layer("dense_1").get_weights()[0].T)


def test_an_unzipped_model_is_a_folder(tmp_path):
    with zipfile.ZipFile(MODELS / "keras" / "sequential_relu_softmax.keras") as archive:
        archive.extractall(tmp_path / "model")
    X, outputs = expected(MODELS / "keras" / "sequential_relu_softmax.keras")
    assert np.allclose(fastmlp.from_file(tmp_path / "model").predict(X), outputs, atol=1e-6)


def test_other_sources_are_refused(tmp_path):
    with pytest.raises(TypeError, match="expected a Keras model, a path or bytes, got int"):
        fastmlp.from_keras(3)
    with pytest.raises(FormatError, match=r"expected a model of Keras \(.keras"):
        fastmlp.from_keras(b"GGUF")
    with pytest.raises(FileNotFoundError):
        fastmlp.from_keras(tmp_path / "none.keras")


def test_a_file_needs_h5py(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install 'fastmlp\[keras\]'"):
        fastmlp.from_keras(MODELS / "keras" / "sequential_relu_softmax.keras")


# ------------------------------------------------------------------------------------------------- random architectures


def check_random(seeds, tmp_path):
    for seed in seeds:
        rng = np.random.default_rng(seed)
        check(random_model(keras, rng), tmp_path, (None, None, ".keras", ".h5")[seed % 4])


def test_random_architectures(tmp_path):
    check_random(range(40), tmp_path)


@pytest.mark.slow
def test_200_random_architectures(tmp_path):
    check_random(range(1000, 1200), tmp_path)


def test_random_architectures_of_float64_keep_all_bits(tmp_path):
    for seed in range(6):
        model = random_model(keras, np.random.default_rng(seed), "float64")
        model.save(tmp_path / "model.keras")
        chain, net = keras_models.read(tmp_path / "model.keras"), fastmlp.from_keras(tmp_path / "model.keras")
        assert net.dtype == np.float64
        X = np.random.default_rng(0).normal(size=(40, chain.n_inputs))
        exact = chain.evaluate(X)
        assert np.abs(net.predict(X) - exact).max() <= 1e-13 * max(1, np.abs(exact).max()) * len(net.sizes)
        assert_same(net, chain, X, keras.ops.convert_to_numpy(model(X)))  # Keras itself multiplies in float32


# --------------------------------------------------------------------------------------------------------- activations


@pytest.mark.parametrize("name", [*NAMES, "swish", "softmax", None])
def test_an_activation_by_name_is_exact(name):
    model = keras.Sequential([keras.Input((1,)), L.Dense(2, activation=name), L.Dense(2)])
    if name == "softmax":
        model = keras.Sequential([keras.Input((1,)), L.Dense(2, activation=name)])
    model.layers[0].set_weights([np.array([[1.0, -1.0]]), np.zeros(2)])
    if len(model.layers) == 2:
        model.layers[1].set_weights([np.eye(2), np.zeros(2)])
    chain = keras_models.read(model)
    x = np.linspace(-9, 9, 721)[:, np.newaxis]
    outputs = keras.ops.convert_to_numpy(model(x))
    assert np.abs(chain.evaluate(x) - outputs).max() < 4e-6
    assert_same(fastmlp.from_keras(model), chain, x, outputs)


@pytest.mark.parametrize(
    ("layer", "activation"),
    [
        (lambda: L.LeakyReLU(), fastmlp.LeakyReLU(0.3)),
        (lambda: L.Activation("leaky_relu"), fastmlp.LeakyReLU(0.2)),
        (lambda: L.LeakyReLU(negative_slope=0.0), fastmlp.ReLU()),
        (lambda: L.ELU(alpha=0.5), fastmlp.ELU(0.5)),
        (lambda: L.ReLU(), fastmlp.ReLU()),
        (lambda: L.ReLU(max_value=6.0), fastmlp.HardTanh(0.0, 6.0)),
        (lambda: L.ReLU(negative_slope=0.25), fastmlp.LeakyReLU(0.25)),
        (lambda: L.PReLU(alpha_initializer=keras.initializers.Constant(0.25)), fastmlp.LeakyReLU(0.25)),
        (lambda: L.Activation("relu6"), fastmlp.HardTanh(0.0, 6.0)),
        (lambda: L.Activation("hard_sigmoid"), fastmlp.HardSigmoid()),
        (lambda: L.Activation("gelu"), fastmlp.GELU("none")),
        (lambda: L.Activation(L.ELU(alpha=2.0)), fastmlp.ELU(2.0)),
    ],
)
def test_a_layer_that_is_an_activation(layer, activation, tmp_path):
    model = keras.Sequential([keras.Input((2,)), L.Dense(3), layer(), L.Dense(1)])
    for suffix in (None, ".keras", ".h5"):
        assert check(model, tmp_path, suffix).activation == (activation,)


def test_hard_sigmoid_differs_between_keras_2_and_3():
    file = MODELS / "tf-keras" / "sequential_hard_sigmoid"
    assert fastmlp.from_keras(f"{file}.h5").activation == (fastmlp.PiecewiseLinear(-2.5, 2.5),)
    assert fastmlp.from_keras(MODELS / "keras" / "hard_sigmoid_silu.h5").activation[0] == fastmlp.HardSigmoid()
    with pytest.raises(FormatError, match=r"layer 'dense'.*hard_sigmoid.*keras_version="):
        fastmlp.from_keras(f"{file}.weights.h5", architecture=config_of(f"{file}.keras"))
    with pytest.raises(ValueError, match="keras_version: expected '2' or '3'"):
        fastmlp.from_keras(f"{file}.weights.h5", architecture=config_of(f"{file}.keras"), keras_version="4")


# -------------------------------------------------------------------------------------------------------------- layers


def test_normalization_becomes_input_scaling_and_no_weights(tmp_path):
    rng = np.random.default_rng(0)
    X = (1e6 + rng.normal(size=(500, 3))).astype(np.float32)
    adapted = L.Normalization()
    adapted.adapt(X)
    model = keras.Sequential([keras.Input((3,)), adapted, L.Dense(4, activation="tanh"), L.Dense(2)])
    for suffix in (None, ".keras", ".h5"):
        net = check(model, tmp_path, suffix)
        assert np.array_equal(net.input_scaling.offset, adapted.get_weights()[0].astype(np.float64))
        assert np.array_equal(net.input_scaling.scale, np.sqrt(adapted.get_weights()[1].astype(np.float64)))
        assert np.abs(net.predict(X) - model.predict(X, verbose=0)).max() < 1e-5
        assert np.array_equal(net.weights[0], model.layers[1].get_weights()[0].T)


def test_normalization_with_a_variance_of_0_divides_by_1e_7(tmp_path):
    given = L.Normalization(mean=[1.0, 2.0], variance=[0.0, 4.0])
    model = keras.Sequential([keras.Input((2,)), given, L.Dense(2)])
    net = fastmlp.from_keras(model)
    assert np.array_equal(net.input_scaling.scale, [1e-7, 2.0])
    X = np.float32([[1, 5], [1.5, 2]])
    assert np.allclose(net.predict(X), keras.ops.convert_to_numpy(model(X)), rtol=1e-6)


@pytest.mark.parametrize("invert", [False, True])
def test_a_model_in_memory_has_the_epsilon_that_the_program_has_set(invert):
    given = L.Normalization(mean=[1.0, 2.0], variance=[1e-8, 4.0], invert=invert)
    model = keras.Sequential([keras.Input((2,)), given, L.Dense(2)])
    before = keras.config.epsilon()
    try:
        keras.config.set_epsilon(0.25)
        check(model)
    finally:
        keras.config.set_epsilon(before)


def test_an_inverted_normalization_and_a_rescaling_at_the_end_become_target_scaling(tmp_path):
    for layer in (L.Normalization(mean=[1e6], variance=[4.0], invert=True), L.Rescaling(2.0, 1e6)):
        model = keras.Sequential([keras.Input((2,)), L.Dense(4, activation="tanh"), L.Dense(1), layer])
        for suffix in (None, ".keras", ".h5"):
            scaling = check(model, tmp_path, suffix).target_scaling
            assert scaling == fastmlp.Scaling([1e6], [2.0])


@pytest.mark.parametrize("flags", [{}, {"scale": False}, {"center": False}, {"axis": 1}, {"renorm": True}])
def test_batch_normalization_everywhere(flags, tmp_path):
    model = keras.Sequential(
        [
            keras.Input((3,)),
            L.BatchNormalization(**flags),
            L.Dense(4),
            L.BatchNormalization(**flags),
            L.Activation("tanh"),
            L.BatchNormalization(**flags),
            L.Dense(2),
            L.BatchNormalization(**flags),
        ]
    )
    set_random_weights(model, np.random.default_rng(0))
    for suffix in (None, ".keras", ".h5"):
        check(model, tmp_path, suffix)


def test_a_gamma_of_0_removes_a_column():
    model = keras.Sequential([keras.Input((2,)), L.Dense(3, activation="tanh"), L.BatchNormalization(), L.Dense(2)])
    set_random_weights(model, np.random.default_rng(0))
    gamma, *others = model.layers[1].get_weights()
    gamma[1] = 0
    model.layers[1].set_weights([gamma, *others])
    check(model)


def test_rows_of_several_axes_are_flattened_as_keras_does(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4, 3)),
            L.Rescaling(1 / 255),
            L.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 2.0, 3.0]),
            L.Flatten(),
            L.Dropout(0.1),
            L.Dense(5, activation="relu"),
            L.Reshape((5,)),
            L.Dense(2),
        ]
    )
    for suffix in (None, ".keras", ".h5"):
        net = check(model, tmp_path, suffix)
        assert net.sizes[0] == 12
        assert "columns, the last axis fastest" in net.conversion.folded[0]
        assert "Dropout" in " ".join(net.conversion.folded)


def test_a_model_built_by_its_data(tmp_path):
    model = keras.Sequential([L.Dense(3, activation="tanh"), L.Dropout(0.5), L.Dense(1)])
    model(np.ones((7, 2), np.float32))
    for suffix in (None, ".keras", ".h5"):
        path = model if suffix is None else tmp_path / f"model{suffix}"
        if suffix:
            model.save(path)
        assert fastmlp.from_keras(path).sizes == (2, 3, 1)


def test_shared_layers_and_models_within_models_are_followed_in_order(tmp_path):
    rng = np.random.default_rng(0)
    inner = keras.Sequential([keras.Input((4,)), L.Dense(4, activation="tanh"), L.BatchNormalization()], name="inner")
    x = keras.Input((4,), name="x")
    functional = keras.Model(x, L.Dense(4, name="within")(x), name="functional")
    shared = L.Dense(4, activation="relu", name="shared")
    first = keras.Input((4,))
    y = L.Dense(4, activation=L.LeakyReLU(negative_slope=0.1))(first)
    y = functional(shared(inner(shared(y))))
    y = functional(L.Rescaling([1.0, 2.0, 3.0, 4.0], 1.0)(L.Dropout(0.3)(y, training=False)))
    model = keras.Model(first, y)
    set_random_weights(model, rng)
    for suffix in (None, ".keras", ".h5"):
        check(model, tmp_path, suffix)


def shared_with_a_nested_model(first, kind):
    """Return a model with a layer that is also in a model within it, before or after that."""
    shared, x = L.Dense(4, activation="tanh", name="shared"), keras.Input((4,))
    inside = [shared, L.BatchNormalization(), L.Dense(4)]
    if kind == "Sequential":
        inner = keras.Sequential([x, *inside])
    else:
        y = x
        for layer in inside:
            y = layer(y)
        inner = keras.Model(x, y)
    x = keras.Input((4,))
    y = inner(shared(x)) if first == "outer" else shared(inner(x))
    model = keras.Model(x, L.Dense(2)(y))
    set_random_weights(model, np.random.default_rng(0))
    return model


@pytest.mark.parametrize("kind", ["Sequential", "Functional"])
@pytest.mark.parametrize("first", ["outer", "inner"])
def test_a_layer_of_an_outer_and_a_nested_model_has_its_weights_once(first, kind, tmp_path):
    model = shared_with_a_nested_model(first, kind)
    for suffix in (None, ".keras", ".h5"):
        check(model, tmp_path, suffix)
    path = tmp_path / "model.weights.h5"
    model.save_weights(path)
    X = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
    net = fastmlp.from_keras(path, architecture=model.to_json())
    assert np.allclose(net.predict(X), keras.ops.convert_to_numpy(model(X)), atol=1e-5)


def test_a_model_of_two_nested_models_has_its_weights_once(tmp_path):
    block = keras.Sequential([keras.Input((4,)), L.Dense(4, activation="tanh", name="block")])
    first = keras.Sequential([keras.Input((4,)), block, L.Dense(4, name="first")])
    second = keras.Sequential([keras.Input((4,)), L.Dense(4, name="second"), block])
    model = keras.Sequential([keras.Input((4,)), first, second, L.Dense(2)])
    set_random_weights(model, np.random.default_rng(0))
    for suffix in (None, ".keras", ".h5"):
        check(model, tmp_path, suffix)


def test_a_shared_layer_whose_name_others_have_is_refused(tmp_path):
    model = shared_with_a_nested_model("outer", "Sequential")
    other = keras.Sequential([keras.Input((4,)), L.Dense(4, name="shared")])
    model = keras.Sequential([keras.Input((4,)), other, model])
    check(model)
    model.save(tmp_path / "model.keras")
    with pytest.raises(FormatError, match=r"/shared' .Dense.*no group.*other layers have its name; give the model"):
        fastmlp.from_keras(tmp_path / "model.keras")


def nested(rename):
    """Return a model with a model in it, two layers of which exchange their names after they are made."""
    names = ("a", "b")
    inner = keras.Sequential(
        [keras.Input((3,)), L.Dense(3, "tanh", name="a"), L.BatchNormalization(), L.Dense(3, name="b")]
    )
    model = keras.Sequential([keras.Input((3,)), inner, L.Dense(2)])
    set_random_weights(model, np.random.default_rng(0))
    inner.layers[0].trainable = False
    for layer, name in zip(inner.layers[::2], names[::-1] if rename else names, strict=True):
        layer.name = name
    return model


def test_layers_within_a_model_that_exchange_their_names(tmp_path):
    for suffix in (None, ".keras", ".h5"):
        check(nested(False), tmp_path, suffix)
    for suffix in (None, ".keras"):
        check(nested(True), tmp_path, suffix)
    model = nested(True)
    model.layers[0].layers[0].trainable = True
    model.save(tmp_path / "model.h5")
    with pytest.raises(FormatError, match=r"names are in another order than its layers.*save the model as \.keras"):
        fastmlp.from_keras(tmp_path / "model.h5")


def test_calls_of_nested_models_take_time_and_memory_in_proportion_to_the_file(tmp_path, monkeypatch):
    x = keras.Input((40,))
    model = keras.Model(x, L.Dense(40)(x))
    for _ in range(2):
        x = y = keras.Input((40,))
        for _ in range(40):
            y = model(y)
        model = keras.Model(x, y)
    path = tmp_path / "model.keras"
    model.save(path)
    with pytest.raises(FormatError, match=r"\(Dense\).*numbers so far in .* layers; more than 16 for each byte"):
        fastmlp.from_keras(path)
    made, work_out = [], keras_models.Path._worked_out
    monkeypatch.setattr(keras_models.Path, "_worked_out", lambda *args: made.append(args) or work_out(*args))
    monkeypatch.setattr(keras_models, "MAX_NUMBERS", 1000)
    assert len(keras_models.read(path).steps) == 1600
    assert len(made) == 1


def test_the_loss_comes_along_where_it_goes_with_the_output():
    for activation, loss, found in (
        ("sigmoid", "binary_crossentropy", "binary_cross_entropy"),
        ("softmax", keras.losses.SparseCategoricalCrossentropy(), "cross_entropy"),
        ("softmax", "mse", "cross_entropy"),
        ("linear", keras.losses.BinaryCrossentropy(from_logits=True), "half_squared_error"),
        ("linear", "mean_absolute_error", "mae"),
    ):
        model = keras.Sequential([keras.Input((2,)), L.Dense(3, activation=activation)])
        model.compile(loss=loss)
        assert fastmlp.from_keras(model).loss.name == found


@pytest.mark.parametrize(
    ("n_outputs", "theirs", "loss"),
    [
        (1, keras.losses.BinaryCrossentropy(from_logits=True), "binary_cross_entropy"),
        (3, keras.losses.CategoricalCrossentropy(from_logits=True), "cross_entropy"),
    ],
)
def test_logits_become_probabilities_by_the_loss(n_outputs, theirs, loss, tmp_path):
    model = keras.Sequential([keras.Input((2,)), L.Dense(8, activation="tanh"), L.Dense(n_outputs)])
    model.compile(loss=theirs)
    model.save(tmp_path / "model.keras")
    X = np.random.default_rng(0).normal(size=(50, 2)).astype(np.float32)
    logits = keras.ops.convert_to_numpy(model(X))
    probabilities = 1 / (1 + np.exp(-logits)) if n_outputs == 1 else np.exp(logits) / np.exp(logits).sum(1)[:, None]
    for read, source in ((fastmlp.from_keras, model), (fastmlp.from_file, tmp_path / "model.keras")):
        net = read(source)
        np.testing.assert_allclose(net.predict(X), logits, rtol=1e-5, atol=1e-6)
        assert f"loss={loss!r} makes probabilities of them" in " ".join(net.conversion.folded)
        net = read(source, loss=loss, class_names=range(max(2, n_outputs)), feature_names=["x", "y"])
        np.testing.assert_allclose(net.predict(X), probabilities, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(net.classify(X), logits[:, 0] > 0 if n_outputs == 1 else logits.argmax(1))


def test_half_precision_is_asked_for(tmp_path):
    model = keras.Sequential(
        [keras.Input((3,)), L.Dense(8, activation="tanh", dtype="mixed_float16", name="half"), L.Dense(2)]
    )
    model.save(tmp_path / "model.keras")
    for source in (model, tmp_path / "model.keras"):
        with pytest.raises(FormatError, match=r"layer 'half'.*half_precision=True"):
            fastmlp.from_keras(source)
        net = fastmlp.from_keras(source, half_precision=True)
        X = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
        assert np.abs(net.predict(X) - keras.ops.convert_to_numpy(model(X))).max() < 5e-3
        assert np.array_equal(net.weights[0], model.layers[0].get_weights()[0].T)


@pytest.mark.parametrize("policy", ["float64", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16"])
def test_models_of_every_precision_are_compared_with_keras(policy, monkeypatch, tmp_path):
    """A model of half precision is compared by its rounding; one whose outputs are others is refused."""
    calls, caller = [], keras_file.caller
    monkeypatch.setattr(keras_file, "caller", lambda model: lambda X: calls.append(X) or caller(model)(X))
    options = {} if policy == "float64" else {"half_precision": True}
    for seed in range(12):
        model = random_model(keras, np.random.default_rng(seed), policy)
        calls.clear()
        net = fastmlp.from_keras(model, **options)
        assert calls
        for suffix in (".keras", ".weights.h5"):
            path, given = tmp_path / f"model{suffix}", {}
            if suffix == ".keras":
                model.save(path)
            else:
                model.save_weights(path)
                given = {"architecture": model.to_json(), "keras_version": "3"}
            assert np.array_equal(fastmlp.from_keras(path, **options, **given).parameters, net.parameters)
    monkeypatch.setattr(keras_file, "caller", lambda model: lambda X: 1 - caller(model)(X))
    with pytest.raises(FormatError, match="where rounding explains"):
        fastmlp.from_keras(model, **options)


def test_bfloat16_in_h5_is_refused_as_keras_does(tmp_path):
    model = keras.Sequential([keras.Input((3,)), L.Dense(2, dtype="bfloat16")])
    model.save(tmp_path / "model.h5")
    with pytest.raises(FormatError, match=r"no array .*; save the model as \.keras, which also holds bfloat16"):
        fastmlp.from_keras(tmp_path / "model.h5", half_precision=True)


# ------------------------------------------------------------------------------------------------------------- refused


@keras.saving.register_keras_serializable(package="mine")
class Dense(L.Dense):
    """A layer that is called like one of Keras's and computes something else."""

    def call(self, inputs):
        return -super().call(inputs)


class Subclass(keras.Model):
    def call(self, inputs):
        return inputs


def in_a_row(*made, shape=(4,)):
    return keras.Sequential([keras.Input(shape), *made])


def residual():
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(2, name="last")(L.Add(name="sum")([x, L.Dense(4)(x)])))


def two_inputs():
    x, y = keras.Input((2,)), keras.Input((2,))
    return keras.Model([x, y], L.Dense(2)(L.Concatenate()([x, y])))


def two_outputs():
    x = keras.Input((2,))
    return keras.Model(x, [L.Dense(2)(x), L.Dense(3)(x)])


class WithLayers(keras.Model):
    def __init__(self):
        x = keras.Input((4,))
        super().__init__(x, L.Dense(2)(x))


def arithmetic():
    x = keras.Input((4,))
    return keras.Model(x, L.Dense(2)(x * 2.0))


def in_training():
    x = keras.Input((2,))
    return keras.Model(x, L.Dense(2)(L.Dropout(0.5, name="always")(x, training=True)))


OTHERS = ("exponential", "log_softmax", "hard_silu", "tanh_shrink", "soft_shrink", "squareplus", "sparsemax")
REFUSED = {
    "Lambda": (lambda: in_a_row(L.Dense(3), L.Lambda(abs, name="mine", output_shape=(3,))), "layer 'mine' .Lambda."),
    "residual": (residual, "layer 'sum' .Add.*2 inputs"),
    "two inputs": (two_inputs, "2 inputs; .*concatenate them before"),
    "two outputs": (two_outputs, "2 outputs"),
    "dropout in prediction": (in_training, "layer 'always' .Dropout.*training = True"),
    "layer norm": (lambda: in_a_row(L.LayerNormalization(name="n"), L.Dense(2)), "layer 'n' .LayerNormalization."),
    "embedding": (lambda: in_a_row(L.Embedding(9, 2, name="e"), L.Flatten(), L.Dense(2)), "layer 'e' .Embedding."),
    "class of one's own": (lambda: in_a_row(Dense(2, name="d")), "layer 'd' .Dense.*mine>Dense"),
    "dense on an axis": (lambda: in_a_row(L.Dense(2, name="d"), shape=(3, 4)), "layer 'd'.*last axis"),
    "softmax within": (lambda: in_a_row(L.Dense(3), L.Softmax(name="s"), L.Dense(2)), "layer 's' .Softmax."),
    "softmax over rows": (lambda: in_a_row(L.Dense(3), L.Softmax(axis=0, name="s")), "layer 's'.*axis 0"),
    "slopes": (lambda: in_a_row(L.Dense(3), L.PReLU("uniform", name="p"), L.Dense(2)), "layer 'p' .PReLU."),
    "threshold": (lambda: in_a_row(L.ReLU(threshold=1.0, name="r"), L.Dense(2)), "layer 'r'.*threshold = 1.0"),
    "two bends": (lambda: in_a_row(L.ReLU(6.0, 0.1, name="r"), L.Dense(2)), "layer 'r'.*max_value = 6.0"),
    "no dense": (lambda: in_a_row(L.Rescaling(2.0)), "no Dense layer"),
    "integers": (lambda: keras.Sequential([keras.Input((3,), dtype="uint8"), L.Dense(2)]), "input of uint8"),
    "an axis in the end": (lambda: in_a_row(L.Dense(4), L.Reshape((2, 2))), r"outputs of shape \(2, 2\)"),
    "function": (lambda: in_a_row(L.Dense(2, activation=keras.ops.sin, name="d")), "layer 'd'.*activation 'sin"),
    "lambda": (lambda: in_a_row(L.Dense(2, activation=lambda x: x, name="d")), "layer 'd'.*the activation .*lambda"),
    "arithmetic": (arithmetic, "write arithmetic as a Rescaling layer"),
    "subclass": (lambda: Subclass(), "Subclass"),
    "subclass with inputs": (WithLayers, r"give keras\.Model\(model\.inputs, model\.outputs\)"),
    **{
        name: (lambda name=name: in_a_row(L.Dense(2, activation=name, name="d")), f"layer 'd'.*activation '{name}'")
        for name in OTHERS
    },
}


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`:UserWarning")
@pytest.mark.parametrize("case", REFUSED)
def test_what_no_network_says_is_refused_by_the_name_of_the_layer(case, tmp_path):
    make, message = REFUSED[case]
    model = make()
    with pytest.raises(FormatError, match=message):
        fastmlp.from_keras(model)
    if case not in ("subclass", "subclass with inputs", "Lambda"):
        model.save(tmp_path / "model.keras")
        with pytest.raises(FormatError, match=message):
            fastmlp.from_keras(tmp_path / "model.keras")


def doubled(base):
    """Return a class of a program with the base's name, which gives twice its outputs."""

    def call(self, x, training=None, mask=None):
        return 2 * base.call(self, x)

    return type(base.__name__, (base,), {"call": call, "__module__": "builtins"})  # of which Keras writes a null


OWN = {
    "a layer": lambda: keras.Sequential([keras.Input((4,)), doubled(L.Dense)(2)]),
    "an activation layer": lambda: keras.Sequential([keras.Input((4,)), L.Dense(3), doubled(L.ReLU)(), L.Dense(2)]),
    "a model": lambda: doubled(keras.Sequential)([keras.Input((4,)), L.Dense(2)]),
    "a model in a model": lambda: keras.Sequential(
        [keras.Input((4,)), doubled(keras.Sequential)([keras.Input((4,)), L.Dense(2)])]
    ),
    "a layer of float64": lambda: keras.Sequential(
        [keras.Input((4,), dtype="float64"), doubled(L.Dense)(2, dtype="float64")]
    ),
}


@pytest.mark.parametrize("suffix", [None, ".keras"])  # .h5 does not say it
@pytest.mark.parametrize("kind", OWN)
def test_a_class_of_ones_own_with_the_name_of_one_of_keras_is_refused(kind, suffix, tmp_path):
    model = OWN[kind]()
    if suffix:
        model.save(tmp_path / f"model{suffix}")
    with pytest.raises(FormatError, match="the class"):
        fastmlp.from_keras(tmp_path / f"model{suffix}" if suffix else model)


def relu(x):
    """Keras's own function up to 50, which the rows of the comparison do not reach."""
    return keras.ops.clip(x, 0, 50)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", [L.Dense, lambda _, **words: L.Activation(**words)], ids=["Dense", "Activation"])
def test_a_function_of_ones_own_with_the_name_of_one_of_keras_is_refused(layer, dtype):
    made = layer(3, activation=relu, dtype=dtype)
    model = keras.Sequential([keras.Input((4,), dtype=dtype), made, L.Dense(2, dtype=dtype)])
    with pytest.raises(FormatError, match=r"the activation relu of .*test_keras"):
        fastmlp.from_keras(model)


@pytest.mark.filterwarnings("ignore:Layer InputLayer does not have a `quantize`:UserWarning")
def test_quantised_weights_are_refused(tmp_path):
    model = in_a_row(L.Dense(8, name="d"))
    model.quantize("int8")
    model.save(tmp_path / "model.keras")
    with pytest.raises(FormatError, match=r"layer 'd'.*quantis"):
        fastmlp.from_keras(tmp_path / "model.keras")


def test_a_setting_that_is_not_known_is_refused(tmp_path):
    config = config_of(MODELS / "keras" / "sequential_relu_softmax.keras")
    config["config"]["layers"][1]["config"]["sine"] = 2.0
    weights = MODELS / "keras" / "sequential_relu_softmax.weights.h5"
    with pytest.raises(FormatError, match=r"layer 'dense'.*sine = 2.0"):
        fastmlp.from_keras(weights, architecture=config)


def test_a_shape_without_numbers_behind_it_is_bounded():
    config = config_of(MODELS / "keras" / "sequential_relu_softmax.keras")
    inputs = next(each for each in config["config"]["layers"] if each["class_name"] == "InputLayer")
    inputs["config"]["batch_shape"] = [None, 2 * 10**9]
    weights = MODELS / "keras" / "sequential_relu_softmax.weights.h5"
    with pytest.raises(FormatError, match="expected at most 16,777,216 elements"):
        fastmlp.from_keras(weights, architecture=config)


def test_weights_that_are_not_finite_are_refused():
    model = in_a_row(L.Dense(2, name="d"))
    model.layers[0].set_weights([np.full((4, 2), np.nan), np.zeros(2)])
    with pytest.raises(FormatError, match=r"layer 'd'.*kernel with a number that is not finite"):
        fastmlp.from_keras(model)


def test_a_file_of_keras_1_is_refused(tmp_path):
    path = tmp_path / "old.h5"
    path.write_bytes((MODELS / "tf-keras" / "sequential_hard_sigmoid.h5").read_bytes())
    with h5py.File(path, "a") as file:
        file.attrs["keras_version"] = "1.2.2"
    with pytest.raises(FormatError, match=r"a file of Keras 1\.2\.2"):
        fastmlp.from_keras(path)
