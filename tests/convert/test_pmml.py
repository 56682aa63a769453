"""PMML's NeuralNetwork: nyoka's and sklearn2pmml's exports of scikit-learn's estimators, and changed files of them.

sklearn2pmml needs Java (`apt-get install default-jre-headless`); without it its tests are skipped.
"""

from __future__ import annotations

import re
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import MaxAbsScaler, MinMaxScaler, RobustScaler, StandardScaler

import fastmlp
from damage import damaged
from fastmlp.convert import checking, pmml

MODELS = Path(__file__).parent / "models" / "pmml-nyoka"
BINARY, TANH = MODELS / "binary_relu.pmml", MODELS / "regressor_tanh.pmml"
SCALERS = [StandardScaler, MinMaxScaler, MaxAbsScaler, RobustScaler]
CLASSES: list[Any] = [[0, 1], ["no", "yes"], [0, 1, 2], ["a", "b", "c"]]


def test_files_of_the_tool() -> None:
    given = np.load(MODELS / "binary_relu.expected.npz")
    net = checking.network(pmml.read(BINARY))
    np.testing.assert_allclose(net.predict(given["input"])[:, 0], given["sklearn"][:, 1], rtol=0, atol=1e-15)
    assert (net.sizes, net.feature_names, net.class_names) == ((3, 4, 1), ("a", "b", "c"), (0, 1))
    given = np.load(MODELS / "regressor_tanh.expected.npz")
    net = checking.network(pmml.read(TANH))
    np.testing.assert_allclose(net.predict(given["input"])[:, 0], given["sklearn"], rtol=0, atol=1e-14)
    assert net.input_scaling is not None


@pytest.mark.parametrize("kind", range(4))
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_random_classifiers(activation: str, kind: int, tmp_path: Path) -> None:
    check(MLPClassifier, activation, kind, np.array(CLASSES[kind]), tmp_path)


@pytest.mark.parametrize("n_targets", [1, 2])
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_random_regressors(activation: str, n_targets: int, tmp_path: Path) -> None:
    check(MLPRegressor, activation, n_targets, None, tmp_path)


def check(kind: Any, activation: str, seed: int, classes: Any, tmp_path: Path) -> None:
    import nyoka

    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 6))
    X = rng.standard_normal((60, n)) * 3 + 5
    y = rng.standard_normal((60, seed)) if classes is None else classes[rng.integers(0, len(classes), 60)]
    y = y[:, 0] if classes is None and seed == 1 else y
    hidden = tuple(rng.integers(2, 7, rng.integers(1, 4)).tolist())
    names = [f"x{i}" for i in range(n)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        estimator = kind(hidden_layer_sizes=hidden, activation=activation, max_iter=20, random_state=0)
        pipeline = Pipeline([("scaler", SCALERS[(seed + len(activation)) % 4]()), ("mlp", estimator)]).fit(X, y)
        nyoka.skl_to_pmml(pipeline, names, "y", str(tmp_path / "m.pmml"))
    net = checking.network(pmml.read(tmp_path / "m.pmml"))
    outputs = pipeline.predict(X) if classes is None else pipeline.predict_proba(X)
    outputs = outputs[:, 1:] if classes is not None and len(classes) == 2 else outputs.reshape(60, -1)
    np.testing.assert_allclose(net.predict(X), outputs, rtol=0, atol=1e-13 * max(1, np.abs(outputs).max()))
    assert net.feature_names == tuple(names)
    assert classes is None or net.class_names == tuple(classes.tolist())


def text(values: Any) -> Any:
    return np.array(["low", "mid", "high"])[values]


OF_SKLEARN2PMML: dict[str, tuple[Any, Any, Any]] = {  # scaler, estimator, target of what is random
    "two classes": (StandardScaler(), MLPClassifier(4, activation="tanh"), lambda r: text((2 * r[:, 0]).astype(int))),
    "three classes": (MinMaxScaler(), MLPClassifier((4, 5)), lambda r: text((3 * r[:, 0]).astype(int))),
    "numbers": (None, MLPClassifier(3, activation="logistic"), lambda r: (4 * r[:, 0]).astype(int) * 2),
    "a target": (RobustScaler(), MLPRegressor(hidden_layer_sizes=(3, 2)), lambda r: r[:, 0] * 50),
    "targets": (MaxAbsScaler(), MLPRegressor(hidden_layer_sizes=5, activation="identity"), lambda r: r[:, :2]),
}


@pytest.mark.parametrize("kind", OF_SKLEARN2PMML)
def test_files_of_sklearn2pmml(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sklearn2pmml

    if shutil.which("java") is None:
        pytest.skip("needs Java: apt-get install default-jre-headless")
    monkeypatch.setattr("sklearn.base.__version__", "1.9.0")  # the newest that it takes; estimators have it in pickles
    scaler, estimator, target = OF_SKLEARN2PMML[kind]
    rng = np.random.default_rng(0)
    X = pd.DataFrame(rng.standard_normal((60, 3)) * [1, 20, 0.1] + [0, 100, 5], columns=["a", "b", "c"])
    y = target(rng.random((60, 3)))
    estimator = estimator.set_params(max_iter=9, random_state=0)
    steps = [("mlp", estimator)] if scaler is None else [("scaler", scaler), ("mlp", estimator)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pipeline = Pipeline(steps).fit(X, y)
        described = sklearn2pmml.make_pmml_pipeline(pipeline, X.columns, ["y"] if y.ndim == 1 else ["y", "z"])
        sklearn2pmml.sklearn2pmml(described, tmp_path / "m.pmml")
    net = checking.network(pmml.read(tmp_path / "m.pmml"))
    classes = getattr(estimator, "classes_", None)
    outputs = pipeline.predict(X).reshape(60, -1) if classes is None else pipeline.predict_proba(X)
    outputs = outputs[:, -net.sizes[-1] :]
    np.testing.assert_allclose(net.predict(X), outputs, rtol=0, atol=1e-13 * np.abs(outputs).max())
    assert net.feature_names == ("a", "b", "c")
    assert net.class_names == (None if classes is None else tuple(classes.tolist()))
    assert (net.sizes[-1] == 1) == (kind in ("two classes", "a target"))


def changed(path: Path, *pairs: tuple[str, str]) -> bytes:
    text = path.read_text()
    for old, new in pairs:
        assert old in text
        text = text.replace(old, new)
    return text.encode()


APPLIED = re.compile(r"<Apply function=\"/\">.*?</Apply>\s*(<Constant[^/]*/Constant>\s*)?</Apply>", re.DOTALL)


def with_input(expression: str) -> bytes:
    """Return the file with another expression for its first input."""
    return re.sub(APPLIED, expression, TANH.read_text(), count=1).encode()


A, TWO = '<FieldRef field="a"/>', "<Constant>2</Constant>"
EXPRESSIONS = {
    "field": (A, lambda a: a),
    "product": (f'<Apply function="*">{TWO}{A}</Apply>', lambda a: 2 * a),
    "difference": (f'<Apply function="-">{TWO}{A}</Apply>', lambda a: 2 - a),
    "sum": (
        f'<Apply function="+">{TWO}<Apply function="*">{A}<Constant>-3</Constant></Apply></Apply>',
        lambda a: 2 - 3 * a,
    ),
    "constants": (
        f'<Apply function="/">{A}<Apply function="-">{TWO}<Constant>5</Constant></Apply></Apply>',
        lambda a: -a / 3,
    ),
    "line": (
        '<NormContinuous field="a"><LinearNorm orig="2" norm="0"/><LinearNorm orig="6" norm="1"/></NormContinuous>',
        lambda a: (a - 2) / 4,
    ),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_expressions(name: str) -> None:
    expression, function = EXPRESSIONS[name]
    net = checking.network(pmml.read(with_input(expression)))
    plain = checking.network(pmml.read(with_input(A)))
    X = np.random.default_rng(0).standard_normal((9, 3))
    moved = X.copy()
    moved[:, 0] = function(X[:, 0])
    np.testing.assert_allclose(net.predict(X), plain.predict(moved), rtol=1e-12)


def test_targets_are_scaled_back() -> None:
    line = '<NormContinuous field="y"><LinearNorm orig="10" norm="0"/><LinearNorm orig="14" norm="2"/></NormContinuous>'
    net = checking.network(pmml.read(changed(TANH, ('<FieldRef field="y"/>', line))))
    X = np.random.default_rng(0).standard_normal((9, 3))
    np.testing.assert_allclose(net.predict(X), checking.network(pmml.read(TANH)).predict(X) * 2 + 10, rtol=1e-12)


LINE = '<NormContinuous field="y"><LinearNorm orig="5" norm="0"/><LinearNorm orig="8" norm="1"/></NormContinuous>'


def with_derived(expression: str, output: str = '<FieldRef field="ys"/>') -> bytes:
    """Return the file with a field that is derived of the target, and another expression of its output."""
    derived = f'<DerivedField name="ys" dataType="double">{expression}</DerivedField></TransformationDictionary>'
    return changed(TANH, ('<FieldRef field="y"/>', output), ("</TransformationDictionary>", derived))


def test_a_derived_target_is_scaled_back() -> None:
    net = checking.network(pmml.read(with_derived(LINE)))
    X = np.random.default_rng(0).standard_normal((9, 3))
    np.testing.assert_allclose(net.predict(X), checking.network(pmml.read(TANH)).predict(X) * 3 + 5, rtol=1e-12)


def test_derived_classes_have_names() -> None:
    texts = [f'<NormDiscrete field="y" value="{value}"/>' for value in (0, 1)]
    fields = "".join(f'<DerivedField name="c{i}">{text}</DerivedField>' for i, text in enumerate(texts))
    pairs = [(text, f'<FieldRef field="c{i}"/>') for i, text in enumerate(texts)]
    local = ("<NeuralInputs", f"<LocalTransformations>{fields}</LocalTransformations><NeuralInputs")
    net = checking.network(pmml.read(changed(BINARY, *pairs, local)))
    assert net.class_names == (0, 1)


def small(function: str, activation: str) -> bytes:
    """Return a file of one input x and the outputs 1 - f(x) and f(x)."""
    connection = '<Con from="1" weight="{}"/></Neuron>'
    output = '<NeuralOutput outputNeuron="{}"><DerivedField><FieldRef field="y"/></DerivedField></NeuralOutput>'
    return (
        '<PMML version="4.4"><DataDictionary><DataField name="x" dataType="double"/></DataDictionary>'
        f'<NeuralNetwork functionName="{function}" activationFunction="{activation}"><NeuralInputs>'
        '<NeuralInput id="0"><DerivedField><FieldRef field="x"/></DerivedField></NeuralInput></NeuralInputs>'
        '<NeuralLayer><Neuron id="1"><Con from="0" weight="1"/></Neuron></NeuralLayer>'
        f'<NeuralLayer activationFunction="identity"><Neuron id="2" bias="1">{connection.format(-1)}'
        f'<Neuron id="3">{connection.format(1)}</NeuralLayer>'
        f"<NeuralOutputs>{output.format(2)}{output.format(3)}</NeuralOutputs></NeuralNetwork></PMML>"
    ).encode()


FUNCTIONS = {  # as the standard has them
    "identity": lambda z: z,
    "logistic": lambda z: 1 / (1 + np.exp(-z)),
    "tanh": np.tanh,
    "rectifier": lambda z: np.maximum(0, z),
    "Elliott": lambda z: z / (1 + np.abs(z)),
    "sine": np.sin,
    "Gauss": lambda z: np.exp(-(z**2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_two_targets_of_a_regression(name: str) -> None:
    x = np.linspace(-3, 3, 50)[:, None]
    y = FUNCTIONS[name](x)
    net = checking.network(pmml.read(small("regression", name)))
    np.testing.assert_allclose(net.predict(x), np.hstack([1 - y, y]), rtol=0, atol=1e-14)


def with_targets(attributes: str) -> bytes:
    return changed(TANH, ("<NeuralInputs", f'<Targets><Target field="y"{attributes}/></Targets><NeuralInputs'))


def test_plain_targets_change_nothing() -> None:
    plain = checking.network(pmml.read(with_targets(' rescaleConstant="0" rescaleFactor="1.0"')))
    assert np.array_equal(plain.parameters, checking.network(pmml.read(TANH)).parameters)


REFUSED: dict[str, tuple[bytes, str]] = {
    "not PMML": (b"<a/>", "the element PMML, got 'a'"),
    "another model": (
        changed(TANH, ("NeuralNetwork", "TreeModel")),
        "the model TreeModel; a NeuralNetwork can be read",
    ),
    "activation": (changed(TANH, ('Function="tanh"', 'Function="cosine"')), "the activation 'cosine'"),
    "threshold": (changed(TANH, ('Function="tanh"', 'Function="threshold"')), "'threshold'"),
    "normalization": (changed(TANH, ("<NeuralLayer>", '<NeuralLayer normalizationMethod="simplemax">')), "simplemax"),
    "softmax within": (
        changed(TANH, ("<NeuralLayer>", '<NeuralLayer normalizationMethod="softmax">')),
        "softmax that is not",
    ),
    "skips": (
        changed(TANH, ('from="00"', 'from="standardScaler(a)"')),
        r"NeuralLayer 1, Neuron '10': .*connection from",
    ),
    "weight": (changed(TANH, ('weight="0.0605', 'weight="x0.0605')), "weight: expected a finite number"),
    "ids": (changed(TANH, ('id="01"', 'id="00"')), "each with an id of its own"),
    "function": (with_input(f'<Apply function="exp">{A}</Apply>'), "the function 'exp' of 1 arguments"),
    "two fields": (with_input(f'<Apply function="+">{A}<FieldRef field="b"/></Apply>'), "of two fields"),
    "a field twice": (with_input('<FieldRef field="b"/>'), "which another input has"),
    "constant": (with_input(TWO), "a constant"),
    "unknown field": (with_input('<FieldRef field="q"/>'), "a field of the DataDictionary"),
    "discrete": (with_input('<NormDiscrete field="a" value="1"/>'), "a NormDiscrete; inputs can be moved"),
    "itself": (with_input('<FieldRef field="standardScaler(a)"/>'), "fields derived from one another"),
    "outliers": (with_input('<NormContinuous field="a" outliers="asExtremeValues"/>'), "outliers='asIs'"),
    "points": (with_input('<NormContinuous field="a"/>'), "a NormContinuous of 0 points"),
    "by 0": (with_input(f'<Apply function="/">{A}<Constant>0</Constant></Apply>'), "a field / 0"),
    "of a category": (
        changed(TANH, ('"a" optype="continuous" dataType="double"', '"a" dataType="string"')),
        "'string'",
    ),
    "outputs": (changed(TANH, ('outputNeuron="20"', 'outputNeuron="10"')), "expected those of the last layer"),
    "a target that is scaled": (with_targets(' rescaleFactor="2.5"'), "Target 'y': .*rescaleFactor=2.5; take it out"),
    "a target that is moved": (with_targets(' rescaleConstant="1"'), "Target 'y': .*rescaleConstant=1.0"),
    "a target that is cut": (with_targets(' max="3"'), "Target 'y': .*max='3'"),
    "a target that is rounded": (with_targets(' castInteger="floor"'), "Target 'y': .*castInteger='floor'"),
    "columns that are cut": (
        changed(TANH, ('<MiningField name="a"', '<MiningField outliers="asExtremeValues" name="a"')),
        "MiningField 'a': .*outliers='asExtremeValues'; take it out",
    ),
    "a target of a function": (
        with_derived('<Apply function="ln"><FieldRef field="y"/></Apply>'),
        "NeuralOutput '20': .*a Apply",
    ),
    "a line of a derived target": (
        with_derived('<Apply function="ln"><FieldRef field="y"/></Apply>', LINE.replace('"y"', '"ys"')),
        "NeuralOutput '20': .*a NormContinuous of the derived field 'ys'",
    ),
    "a derived target of itself": (with_derived('<FieldRef field="ys"/>'), "fields derived from one another"),
    "an input of integers": (
        changed(TANH, ('<DerivedField optype="continuous" dataType="double"', '<DerivedField dataType="integer"')),
        "a derived field of type 'integer'",
    ),
    "a derived field of integers": (
        changed(
            TANH,
            (
                '<DerivedField name="standardScaler(b)" optype="continuous" dataType="double"',
                '<DerivedField name="standardScaler(b)" dataType="integer"',
            ),
        ),
        r"DerivedField 'standardScaler\(b\)': .*a derived field of type 'integer'",
    ),
    "numbers that are missing": (
        changed(
            TANH,
            (
                '<DataField name="a" optype="continuous" dataType="double"/>',
                '<DataField name="a" dataType="double"><Value value="-1" property="missing"/></DataField>',
            ),
        ),
        "DataField 'a': .*missing",
    ),
    "numbers that are taken for missing": (
        changed(TANH, ('<MiningField name="a"', '<MiningField invalidValueTreatment="asMissing" name="a"')),
        "MiningField 'a': .*invalidValueTreatment='asMissing'",
    ),
    "entities": (b'<!DOCTYPE a [<!ENTITY b "c">]>' + TANH.read_bytes(), "XML without a document type"),
    "deep": (b"<PMML>" * 5000, "levels of elements"),
    "cut off": (TANH.read_bytes()[:-40], "expected XML, got"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    file, message = REFUSED[name]
    with pytest.raises(fastmlp.FormatError, match=message):
        checking.network(pmml.read(file))


def test_sparse_layers_take_no_memory_that_the_file_does_not_have() -> None:
    neurons = "".join(f'<Neuron id="h{i}"/>' for i in range(6000))
    more = "".join(f'<Neuron id="k{i}"/>' for i in range(6000))
    layers = f"<NeuralLayer>{neurons}</NeuralLayer><NeuralLayer>{more}</NeuralLayer><NeuralOutputs>"
    with pytest.raises(fastmlp.FormatError, match="NeuralLayer 4: expected at most"):
        pmml.read(changed(TANH, ("<NeuralOutputs>", layers)))
    layers = "".join(
        "<NeuralLayer>" + "".join(f'<Neuron id="{layer}.{i}"/>' for i in range(1000)) + "</NeuralLayer>"
        for layer in range(40)
    )
    with pytest.raises(fastmlp.FormatError, match=r"NeuralLayer 20: expected at most .* in all layers"):
        pmml.read(changed(TANH, ("<NeuralOutputs>", f"{layers}<NeuralOutputs>")))


def test_fields_that_are_derived_many_times_are_found_once() -> None:
    """Each field is 64 times the one before it, as a tree of sums: one by one, that would be 2**24 of them."""

    def tree(i: int, n_leaves: int) -> str:
        half = f'<FieldRef field="d{i}"/>' if n_leaves == 1 else tree(i, n_leaves // 2)
        return half if n_leaves == 1 else f'<Apply function="+">{half}{half}</Apply>'

    field = '<DerivedField name="d{}" dataType="double">{}</DerivedField>'
    fields = field.format(0, '<Constant dataType="double">1e-9</Constant>')
    fields += "".join(field.format(i + 1, tree(i, 64)) for i in range(4))
    offset = '<Constant dataType="double">-0.1675198925716832</Constant>'
    pairs = [(offset, '<FieldRef field="d4"/>')]
    pairs.append(("</TransformationDictionary>", f"{fields}</TransformationDictionary>"))
    net = checking.network(pmml.read(changed(TANH, *pairs)))
    np.testing.assert_allclose(net.input_scaling.offset[0], 2**24 * 1e-9, rtol=1e-15)


@pytest.mark.parametrize("path", [BINARY, TANH], ids=lambda path: path.stem)
def test_fuzz(path: Path) -> None:
    refused = 0
    for bad in damaged(path.read_bytes(), 400):
        try:
            checking.network(pmml.read(bad))
        except fastmlp.FormatError:
            refused += 1
    assert refused > 100
