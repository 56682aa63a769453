"""PMML's NeuralNetwork, versions 3 and 4, as nyoka and other exporters write it.

Each NeuralInput is one continuous field, moved and scaled by what its DerivedFields say; the columns have their order.
Layers are sums with the neurons of the layer before as sources, an activation, and perhaps a softmax. The three layers
that exporters write for two classes (a copy, a logistic one, and 1 - p beside p) become one output p.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..activations import Activation, Gaussian, Identity, ReLU, Sigmoid, Sine, Softmax, Softsign, Tanh
from .chain import Activate, Affine, Array, Chain, Complement, Linear, Step, refuse
from .text_files import Matrices, Source, malformed, number, read_text, xml_root

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

TOOL = "PMML"
BELL = Gaussian(0.0, math.sqrt(0.5))  # exp(-z^2), divided by sqrt(pi)
MAX_DEPTH = 32  # of fields derived from one another
ACTIVATIONS: dict[str, Activation] = {
    "identity": Identity(),
    "logistic": Sigmoid(),
    "tanh": Tanh(),
    "rectifier": ReLU(),
    "Elliott": Softsign(),
    "sine": Sine(),
    "Gauss": BELL,
}
ADJUSTMENTS: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {
    # of the model's columns, outside of its layers: where they stand, and which values change nothing
    ("MiningSchema", "MiningField"): {"outliers": ("asIs",), "invalidValueTreatment": ("asIs", "returnInvalid")},
    ("Targets", "Target"): {
        "rescaleConstant": (0.0,),
        "rescaleFactor": (1.0,),
        "min": (),
        "max": (),
        "castInteger": (),
    },
}
LABELS = {"integer": int, "double": float, "float": float, "string": str}


def read(source: Source) -> Chain:
    """Read a NeuralNetwork of PMML.

    Parameters
    ----------
    source : path or bytes

    Raises
    ------
    FormatError
        If the file is malformed, or has another model, or something that no network says exactly; the message names
        the element.
    """
    text = read_text(source, TOOL)
    root = xml_root(text, TOOL)
    if _tag(root) != "PMML":
        malformed(TOOL, "the element PMML", _tag(root))
    network = _child(root, "NeuralNetwork")
    if network is None:
        models = [_tag(each) for each in root if _tag(each).endswith("Model") or _tag(each)[-7:] == "Network"]
        refuse(TOOL, f"the model {', '.join(models) or 'of no kind'}", "a NeuralNetwork can be read")
    _check_adjustments(network)
    document = _Document(root, network)
    names, inputs = _inputs(document)
    layers = _layers(network, [each.get("id", "") for each in _all(network, "NeuralInputs", "NeuralInput")], len(text))
    labels, outputs = _outputs(document, layers[-1])
    folded: list[str] = []
    is_classifier = network.get("functionName", "") == "classification"
    steps = [*inputs, *_steps(layers, folded, is_classifier), *outputs]
    classifies = len(labels) == len(layers[-1].ids) > 1
    return Chain(
        tuple(steps),
        TOOL,
        root.get("version", "")[:20],
        "float64",
        len(names),
        feature_names=names if len(set(names)) == len(names) else None,
        class_names=labels if classifies and isinstance(steps[-1], (Activate, Complement)) else None,
        folded=tuple(folded),
    )


# ------------------------------------------------------------------------------------------------------------ elements


def _tag(element: Element) -> str:
    """Return an element's name without the namespace, which has the version of PMML in it."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _children(element: Element | None, name: str) -> list[Element]:
    return [] if element is None else [each for each in element if _tag(each) == name]


def _child(element: Element | None, name: str) -> Element | None:
    return next(iter(_children(element, name)), None)


def _all(element: Element, outer: str, name: str) -> list[Element]:
    return _children(_child(element, outer), name)


def _content(element: Element) -> list[Element]:
    return [each for each in element if _tag(each) != "Extension"]


def _check_adjustments(network: Element) -> None:
    for (outer, inner), plain in ADJUSTMENTS.items():
        for each in _all(network, outer, inner):
            for name, defaults in plain.items():
                found: Any = each.get(name)
                place = f"{inner} {each.get('field', each.get('name', ''))!r:.80}"
                if found is not None and any(isinstance(value, float) for value in defaults):
                    found = number(found, f"{place}: {name}")
                if found not in (None, *defaults):
                    refuse(
                        place, f"{name}={found!r:.40}", "take it out of the file, and do it before or after the network"
                    )


@dataclass
class _Document:
    """A document's fields: those of the data, with their types, and those derived of others."""

    root: Element
    network: Element
    derived: dict[str, Element] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    known: dict[str, _Scaled] = field(default_factory=dict)  # what was found of derived fields

    def __post_init__(self) -> None:
        for each in _all(self.root, "DataDictionary", "DataField"):
            self.types[each.get("name", "")] = each.get("dataType", "")
            if any(value.get("property") == "missing" for value in _children(each, "Value")):
                refuse(f"DataField {each.get('name')!r:.80}", "numbers that stand for missing ones", "take them out")
        for within in (_child(self.root, "TransformationDictionary"), _child(self.network, "LocalTransformations")):
            for each in _children(within, "DerivedField"):
                self.derived[each.get("name", "")] = each


# -------------------------------------------------------------------------------------------------------------- inputs


@dataclass(frozen=True)
class _Scaled:
    """(x - offset) / scale of a field x; a constant, which is `offset`, if it is of no field."""

    name: str | None
    offset: float = 0.0
    scale: float = 1.0

    def add(self, value: float) -> _Scaled:
        return replace(self, offset=self.offset - value * self.scale)

    def divide(self, value: float) -> _Scaled:
        return replace(self, scale=self.scale * value)


def _inputs(document: _Document) -> tuple[tuple[str, ...], list[Step]]:
    """Return the fields of the inputs, and the step that moves and scales them."""
    names: list[str] = []
    offset, scale = [], []
    for each in _all(document.network, "NeuralInputs", "NeuralInput"):
        place = f"NeuralInput {each.get('id', '')!r}"
        derived = _child(each, "DerivedField")
        if derived is None:
            malformed(place, "a DerivedField", "none")
        found = _expression(document, _derivation(derived, place), place, 0)
        if found.name is None:
            refuse(place, "a constant")
        if found.name in names:
            refuse(place, f"the field {found.name!r}, which another input has, too")
        if not (np.isfinite([found.offset, found.scale]).all() and found.scale != 0):
            refuse(place, f"a scale of {found.scale:g} and an offset of {found.offset:g}")
        names.append(found.name)
        offset.append(found.offset)
        scale.append(found.scale)
    if not names:
        malformed("NeuralInputs", "a NeuralInput", "none")
    if not any(offset) and set(scale) == {1.0}:
        return tuple(names), []
    return tuple(names), [Affine(np.array(offset), np.array(scale), "NeuralInputs")]


def _derivation(element: Element, place: str) -> Element:
    """Return the expression of a DerivedField of real numbers."""
    kind = element.get("dataType", "double")
    if kind not in ("double", "float"):
        refuse(place, f"a derived field of type {kind!r:.40}, to which numbers are rounded", "expected double or float")
    return _only(element, place)


def _only(element: Element, place: str) -> Element:
    content = _content(element)
    if len(content) != 1:
        malformed(place, "one expression", [_tag(each) for each in content])
    return content[0]


def _expression(document: _Document, element: Element, place: str, depth: int) -> _Scaled:
    """Return what an expression makes of a field."""
    if depth > MAX_DEPTH:
        malformed(place, f"at most {MAX_DEPTH} fields derived from one another", "more")
    kind = _tag(element)
    if kind == "FieldRef":
        name = element.get("field", "")
        if name in document.derived:
            if name not in document.known:
                at = f"DerivedField {name!r:.80}"
                document.known[name] = _expression(document, _derivation(document.derived[name], at), at, depth + 1)
            return document.known[name]
        if name not in document.types:
            malformed(place, "a field of the DataDictionary", name)
        if document.types[name] not in ("double", "float", "integer"):
            refuse(place, f"the field {name!r} of type {document.types[name]!r:.40}", "only numbers can be inputs")
        return _Scaled(name)
    if kind == "Constant":
        return _Scaled(None, number(element.text or "", f"{place}: Constant"))
    if kind == "NormContinuous":
        name, points = element.get("field", ""), _points(element, place)
        reference: Any = element.makeelement("FieldRef", {"field": name})
        return _line(_expression(document, reference, place, depth + 1), points)
    if kind != "Apply":
        refuse(place, f"a {kind}", "inputs can be moved and scaled only: FieldRef, Apply of + - * /, NormContinuous")
    parts = [_expression(document, each, place, depth + 1) for each in _content(element)]
    return _apply(element.get("function", ""), parts, place)


def _apply(function: str, parts: list[_Scaled], place: str) -> _Scaled:
    """Return the sum, difference, product or quotient of a field and a constant."""
    if len(parts) != 2 or function not in ("+", "-", "*", "/"):
        refuse(place, f"the function {function!r:.40} of {len(parts)} arguments", "known are + - * / of two")
    left, right = parts
    if left.name is not None and right.name is not None:
        refuse(place, f"a function {function!r} of two fields", "each input can be of one field")
    if right.name is None:
        value = right.offset
        if left.name is None:
            return _Scaled(None, _of_constants(function, left.offset, value, place))
        if function in "+-":
            return left.add(value if function == "+" else -value)
        if value == 0:
            refuse(place, f"a field {function} 0")
        return left.divide(value if function == "/" else 1 / value)
    value = left.offset
    if function == "/" or (function == "*" and value == 0):
        refuse(place, f"{value:g} {function} a field")
    if function == "*":
        return right.divide(1 / value)
    return right.add(value) if function == "+" else right.divide(-1.0).add(value)


def _of_constants(function: str, left: float, right: float, place: str) -> float:
    if function == "/" and right == 0:
        malformed(place, "a number that is not 0 to divide by", right)
    return {"+": left + right, "-": left - right, "*": left * right, "/": left / (right or 1.0)}[function]


def _points(element: Element, place: str) -> tuple[float, float, float, float]:
    """Return the points (original, normalised) of a line, which goes on outside of them."""
    if element.get("outliers", "asIs") != "asIs" or element.get("mapMissingTo") is not None:
        refuse(place, "a NormContinuous that treats outliers or missing values", "only outliers='asIs' is a line")
    norms = _children(element, "LinearNorm")
    if len(norms) != 2:
        refuse(place, f"a NormContinuous of {len(norms)} points", "two make a line")
    x0, y0, x1, y1 = (number(norm.get(key, ""), f"{place}: LinearNorm") for norm in norms for key in ("orig", "norm"))
    if x0 == x1 or y0 == y1:
        malformed(place, "two different points of a LinearNorm", (x0, y0, x1, y1))
    return x0, y0, x1, y1


def _line(x: _Scaled, points: tuple[float, float, float, float]) -> _Scaled:
    """Return y0 + (x - x0) (y1 - y0) / (x1 - x0)."""
    x0, y0, x1, y1 = points
    return x.add(-x0).divide((x1 - x0) / (y1 - y0)).add(y0)


# -------------------------------------------------------------------------------------------------------------- layers


@dataclass(frozen=True)
class _Layer:
    ids: list[str]
    weight: Array
    bias: Array
    activation: Activation
    softmax: bool
    place: str


def _layers(network: Element, sources: list[str], n_bytes: int) -> list[_Layer]:
    if len(set(sources)) != len(sources):
        malformed("NeuralInputs", "each id once", sources[:6])
    layers, matrices = [], Matrices(4 * n_bytes)
    for index, element in enumerate(_children(network, "NeuralLayer")):
        layers.append(_layer(network, element, sources, f"NeuralLayer {index}", matrices))
        sources = layers[-1].ids
    if not layers:
        malformed("NeuralNetwork", "a NeuralLayer", "none")
    return layers


def _layer(network: Element, element: Element, sources: list[str], place: str, matrices: Matrices) -> _Layer:
    def attribute(name: str, default: str) -> str:
        return element.get(name, network.get(name, default))

    name = attribute("activationFunction", "")
    if name not in ACTIVATIONS:
        refuse(place, f"the activation {name!r:.40}", f"known are {', '.join(ACTIVATIONS)}")
    method = attribute("normalizationMethod", "none")
    if method not in ("none", "softmax"):
        refuse(place, f"the normalization {method!r:.40}", "known are none and softmax")
    neurons = _children(element, "Neuron")
    ids = [neuron.get("id", "") for neuron in neurons]
    if not ids or len(set(ids)) != len(ids):
        malformed(place, "neurons, each with an id of its own", ids[:6])
    column = {source: index for index, source in enumerate(sources)}
    weight = matrices.zeros(len(ids), len(sources), place)
    bias = np.zeros(len(ids))
    for row, neuron in enumerate(neurons):
        at = f"{place}, Neuron {ids[row]!r}"
        bias[row] = number(neuron.get("bias", "0"), f"{at}: bias")
        for connection in _children(neuron, "Con"):
            w = number(connection.get("weight", ""), f"{at}: weight")
            source = connection.get("from", "")
            if source in column:
                weight[row, column[source]] += w
            elif w != 0:
                refuse(at, f"a connection from {source!r}, which is not in the layer before")
    return _Layer(ids, weight, bias, ACTIVATIONS[name], method == "softmax", place)


def _steps(layers: list[_Layer], folded: list[str], is_classifier: bool) -> Iterator[Step]:
    for index, layer in enumerate(layers):
        if is_classifier and index == len(layers) - 1 and _is_complement(layers):
            yield Complement(layer.place)
            return
        if index and _is_copy(layer):
            folded.append(f"{layer.place}: a copy of the layer before")
        else:
            yield Linear(layer.weight, layer.bias, layer.place)
        if not isinstance(layer.activation, Identity):
            yield Activate(layer.activation, layer.place)
        if layer.activation is BELL:
            n = len(layer.ids)
            yield Affine.times(np.full(n, math.sqrt(math.pi)), np.zeros(n), layer.place)
        if layer.softmax:
            yield Activate(Softmax(), layer.place)


def _is_copy(layer: _Layer) -> bool:
    n_outputs, n_inputs = layer.weight.shape
    return (
        n_outputs == n_inputs
        and n_outputs <= 64
        and np.array_equal(layer.weight, np.eye(n_inputs))
        and not layer.bias.any()
    )


def _is_complement(layers: list[_Layer]) -> bool:
    """Return whether the last layer is 1 - p and p of one logistic neuron."""
    if len(layers) < 2 or layers[-2].activation != Sigmoid() or len(layers[-2].ids) != 1 or layers[-2].softmax:
        return False
    last = layers[-1]
    plain = isinstance(last.activation, Identity) and not last.softmax
    return plain and last.weight.tolist() == [[-1.0], [1.0]] and last.bias.tolist() == [1.0, 0.0]


# ------------------------------------------------------------------------------------------------------------- outputs


def _outputs(document: _Document, last: _Layer) -> tuple[tuple[Any, ...], list[Step]]:
    """Return the labels of the outputs, if they are classes, and the step that scales them back, if they are not.

    Neurons of the last layer that no NeuralOutput names are outputs, too: nyoka names one of several targets only.
    """
    labels: dict[str, Any] = {}
    offset, factor = np.zeros(len(last.ids)), np.ones(len(last.ids))
    elements = _all(document.network, "NeuralOutputs", "NeuralOutput")
    order = [each.get("outputNeuron", "") for each in elements]
    known: Mapping[str, int] = {name: index for index, name in enumerate(last.ids)}
    if len(set(order)) != len(order) or not set(order) <= set(known):
        refuse("NeuralOutputs", f"the neurons {order[:6]}", "expected those of the last layer")
    for each, name in zip(elements, order, strict=True):
        place = f"NeuralOutput {name!r}"
        derived = _child(each, "DerivedField")
        expression = None if derived is None else _resolved(document, _only(derived, place), place)
        kind = "" if expression is None else _tag(expression)
        if expression is not None and kind == "NormDiscrete":
            labels[name] = _label(document, expression, place)
        elif expression is not None and kind == "NormContinuous":
            x0, y0, x1, y1 = _points(expression, place)
            factor[known[name]] = (x1 - x0) / (y1 - y0)
            offset[known[name]] = x0 - y0 * factor[known[name]]
        elif kind != "FieldRef":
            refuse(place, f"a {kind or 'missing expression'}", "known are FieldRef, NormContinuous and NormDiscrete")
    step: list[Step] = (
        [] if not offset.any() and (factor == 1).all() else [Affine.times(factor, offset, "NeuralOutputs")]
    )
    return tuple(labels[name] for name in last.ids if name in labels), step


def _resolved(document: _Document, expression: Element, place: str) -> Element:
    """Return the expression that references to derived fields end in; it must be one of a field of the data."""
    for _ in range(MAX_DEPTH):
        name = expression.get("field", "")
        if name not in document.derived:
            return expression
        if _tag(expression) != "FieldRef":
            refuse(place, f"a {_tag(expression)} of the derived field {name!r:.60}", "expected one of a target")
        expression = _only(document.derived[name], place)
    return malformed(place, f"at most {MAX_DEPTH} fields derived from one another", "more")


def _label(document: _Document, element: Element, place: str) -> Any:
    """Return the class of a NormDiscrete, in the type of its field."""
    text = element.get("value", "")
    make = LABELS.get(document.types.get(element.get("field", ""), "string"), str)
    try:
        return make(text)
    except ValueError:
        malformed(place, "a value of its field's type", text)
