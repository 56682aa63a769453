"""Reads the files of Keras: a model's configuration, its version, and its weights; also those of a model in memory.

| kind | configuration | weights of a layer |
|---|---|---|
| .keras (zip, or a folder) | config.json | model.weights.h5, `/layers/<class in snake case>[_k]/vars/<i>` |
| .h5 | attribute model_config | `/model_weights/<layer's name>`, attribute weight_names |
| .weights.h5 | an argument | like .keras, or like .h5 without model_weights |
| a model | its to_json() | its layers' get_weights() |

In the first, k counts the layers of a class in the order of the configuration: the groups' names are not the layers'
names. Where the file has those too, they are compared. A layer that stands in several models has one group, where Keras
meets it first. In .h5, the weights of a model within a model are one list, in the order of its layers.

A `Scope` hides these differences: it gives the weights of the layers of one model, and the scope of a model within it.
keras_models.py is the only caller.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import FormatError
from ..formats import strict_json
from ..frozen import frozen
from . import hdf5_file
from .chain import refuse
from .hdf5_file import Item
from .zip_members import Archive

ZIP, HDF5 = b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"
CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
PACKAGES = ("keras", "tf_keras", "tensorflow")  # of the classes and functions whose meaning is known
SUFFIX = re.compile(r"(_\d+)?(:\d+)?$")  # that TensorFlow appends to the name of a weight
ASK = "give it as architecture=, the text of model.to_json() or the dict that this text describes"


class Scope:
    """The weights of the layers of one model, and Keras's `epsilon`, a setting that no file has."""

    epsilon = 1e-7  # keras.config.epsilon(), if a program has not set another

    def check(self, index: int, place: str) -> None:
        """Refuse a layer in memory that is not what its configuration says."""

    def computed(self, index: int, names: Sequence[str]) -> dict[str, NDArray[Any]] | None:
        """Return what a layer in memory has made of numbers of its configuration; None if it is in a file."""
        return None

    def variables(self, index: int, place: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the weights of the layer of that index, which must be those of these names."""
        raise NotImplementedError

    def inner(self, index: int, place: str, layers: Sequence[dict[str, Any]]) -> Scope:
        """Return the scope of a model that is a layer of this one, and has these layers."""
        raise NotImplementedError


@frozen(eq=False)
class Source:
    """A model: its configuration, the scope of its weights, and what the file says of its version and training.

    `n_bytes` are those of the file with the configuration, None for a model in memory.
    """

    config: dict[str, Any]
    scope: Scope
    version: str
    training: object
    n_bytes: int | None = None

    @property
    def major(self) -> int | None:
        """The first number of the version; None if the file does not say it."""
        match = re.match(r"\d+", self.version)
        return int(match[0]) if match else None


def parse_json(text: str | bytes, what: str) -> dict[str, Any]:
    """Return the object that JSON text describes."""
    try:
        value = strict_json.parse(text if isinstance(text, str) else text.decode("utf-8"))
    except UnicodeDecodeError:
        raise FormatError(f"{what}: expected JSON in UTF-8, got other bytes") from None
    except ValueError as error:
        raise FormatError(f"{what}: {error}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{what}: expected an object of JSON, got {value!r:.60}")
    return value


def open_file(source: str | os.PathLike[str] | bytes, architecture: object, version: str | None) -> Source:
    """Return the model of a file; `architecture` is the configuration for a file of weights alone."""
    if isinstance(source, bytes):
        name, data = "Keras model", source
    else:
        path = Path(source)
        name = path.name
        if path.is_dir():
            if not (path / CONFIG).exists():
                raise FormatError(f"{name}: expected a file, or a folder that was a .keras file, got another folder")
            parts = {member: (path / member).read_bytes() for member in (CONFIG, METADATA, WEIGHTS)}
            return _of_parts(parts, name, architecture, version)
        data = path.read_bytes()
    if data.startswith(ZIP):
        with Archive(data, name) as archive:
            for other in ("model.weights.json", "model.weights.npz"):
                if other in archive and WEIGHTS not in archive:
                    refuse(name, f"weights in {other}", f"save the model with its weights in one file, {WEIGHTS}")
            parts = {member: archive.read(member) for member in (CONFIG, METADATA, WEIGHTS)}
        return _of_parts(parts, name, architecture, version)
    if data.startswith(HDF5):
        return _of_hdf5(hdf5_file.read(data, name), len(data), name, architecture, version)
    raise FormatError(
        f"{name}: expected a model of Keras (.keras, .h5 or .weights.h5), got bytes that begin with {data[:8]!r}"
    )


def _of_parts(parts: Mapping[str, bytes], name: str, architecture: object, version: str | None) -> Source:
    """Return the model of a .keras file."""
    if architecture is not None:
        raise FormatError(f"{name}: architecture cannot be combined with a file that has its own {CONFIG}")
    config = parse_json(parts[CONFIG], f"{name}: {CONFIG}")
    metadata = parse_json(parts[METADATA], f"{name}: {METADATA}")
    items = hdf5_file.read(parts[WEIGHTS], f"{name}: {WEIGHTS}")
    scope = Groups(items, "", layers_of(config, name))
    written = _version(metadata.get("keras_version"), version, name)
    return Source(config, scope, written, config.get("compile_config"), sum(map(len, parts.values())))


def _of_hdf5(items: dict[str, Item], n_bytes: int, name: str, architecture: object, version: str | None) -> Source:
    """Return the model of an HDF5 file of that size."""
    root = items[""].attributes
    written = _text(root.get("keras_version"))
    if "model_config" in root:
        if architecture is not None:
            raise FormatError(f"{name}: architecture cannot be combined with a file that has its own configuration")
        config = parse_json(_text(root["model_config"]), f"{name}: model_config")
        training = root.get("training_config")
        group = "/model_weights"
        if group not in items:
            raise FormatError(f"{name}: expected the group {group}, which is not there")
        written = written or _text(items[group].attributes.get("keras_version"))
    elif architecture is None:
        raise FormatError(f"{name}: expected a model, got weights alone, without the configuration; {ASK}")
    else:
        config = _architecture(architecture)
        training, group = None, ""
        written = written or _text(config.get("keras_version"))
    layers = layers_of(config, name)
    if group == "" and "/layers" in items:
        scope: Scope = Groups(items, "", layers)
    elif group == "" and "/_layer_checkpoint_dependencies" in items:
        refuse(name, "the layout of a version of Keras before 2.14", "save it again as .keras by a later version")
    else:
        scope = Named(items, group, layers)
    parsed = None if training is None else parse_json(_text(training), f"{name}: training_config")
    return Source(config, scope, _version(written or None, version, name), parsed, n_bytes)


def _architecture(given: object) -> dict[str, Any]:
    """Return the configuration that a user has given."""
    if isinstance(given, Mapping):
        given = strict_json.compact(dict(given))
    if not isinstance(given, (str, bytes)):
        raise TypeError(f"architecture: expected the text of model.to_json() or a dict, got {type(given).__name__}")
    return parse_json(given, "architecture")


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _version(written: object, given: str | None, name: str) -> str:
    """Return the version of a file, or the one that the user gives for a file that does not say it."""
    if given is not None and not (isinstance(given, str) and re.match(r"[23]\b", given)):
        raise ValueError(f"keras_version: expected '2' or '3' or a longer version, got {given!r}")
    if isinstance(written, str) and written:
        if re.match(r"[01]\.", written):
            refuse(name, f"a file of Keras {written:.20}", "save it again by Keras 2 or 3")
        return written
    return given or ""


def layers_of(entry: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """Return the descriptions of the layers of a model's description."""
    config = entry.get("config")
    if isinstance(config, dict):
        config = config.get("layers")
    if not isinstance(config, list) or not all(isinstance(layer, dict) for layer in config):
        shown = f"{entry.get('class_name')!r:.60}"
        refuse(place, f"the class {shown} without layers", "fastmlp reads Sequential and Functional models")
    return config


def snake_case(class_name: str) -> str:
    """Return a class's name as Keras writes it: batch_normalization."""
    name = re.sub(r"\W+", "", class_name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def layer_name(layer: Mapping[str, Any]) -> object:
    """Return the name of a layer by its description."""
    config = layer.get("config")
    return config.get("name") if isinstance(config, dict) else layer.get("name")


class Groups(Scope):
    """The layout of .keras: a group for each layer, named by its class and its number among those of the class."""

    def __init__(
        self, items: Mapping[str, Item], path: str, layers: Sequence[dict[str, Any]], root: Groups | None = None
    ) -> None:
        self._items, self._layers, self._paths = items, layers, _group_paths(path, layers)
        self._root = root or self
        self._places: dict[tuple[str, str], list[str]] | None = None

    def variables(self, index: int, place: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the weights by their numbers in the group."""
        group = f"{self._paths[index]}/vars"
        if group not in self._items:
            group = self._elsewhere(index, place, group)
        stored = self._items[group].attributes.get("name")
        expected = layer_name(self._layers[index])
        if stored is not None and stored != expected:
            refuse(place, f"weights of a layer named {stored!r:.60}", "the file's configuration and weights differ")
        found = {path: item for path, item in self._items.items() if path.rpartition("/")[0] == group}
        arrays = [found.get(f"{group}/{number}") for number in range(len(names))]
        if len(found) != len(names) or any(item is None or item.array is None for item in arrays):
            refuse(place, f"{len(found)} weights in {group}", f"expected {len(names)}: {', '.join(names)}")
        return {name: item.array for name, item in zip(names, arrays, strict=True) if item and item.array is not None}

    def _elsewhere(self, index: int, place: str, group: str) -> str:
        """Return the group of a layer that is in another model, too, where it is the only one of its class and name."""
        found = self._root.groups_of(self._layers[index])
        if not found:
            refuse(place, f"no group {group} in the file of weights", "save the model again")
        if len(found) > 1:
            why = "it seems to be in several models, and other layers have its name"
            refuse(place, f"no group {group} in the file of weights", f"{why}; give the model in place of the file")
        return found[0]

    def groups_of(self, layer: dict[str, Any]) -> list[str]:
        """Return the groups in the file of all layers of that class and name, also those in models within models."""
        if self._places is None:
            self._places = {}
            waiting = list(zip(self._layers, self._paths, strict=True))
            while waiting:
                each, path = waiting.pop()
                if f"{path}/vars" in self._items:
                    self._places.setdefault(_class_and_name(each), []).append(f"{path}/vars")
                inner = each.get("config")
                inner = inner.get("layers") if isinstance(inner, dict) else None
                if isinstance(inner, list) and all(isinstance(one, dict) for one in inner):
                    waiting += zip(inner, _group_paths(path, inner), strict=True)
        return self._places.get(_class_and_name(layer), [])

    def inner(self, index: int, place: str, layers: Sequence[dict[str, Any]]) -> Scope:
        """Return the groups within the group of a layer."""
        return Groups(self._items, self._paths[index], layers, self._root)


def _group_paths(path: str, layers: Sequence[dict[str, Any]]) -> list[str]:
    """Return the groups of the layers of a model whose own group is `path`."""
    paths, counts = list[str](), dict[str, int]()
    for layer in layers:
        name = snake_case(str(layer.get("class_name")))
        count = counts[name] = counts.get(name, -1) + 1
        paths.append(f"{path}/layers/{name}" + (f"_{count}" if count else ""))
    return paths


def _class_and_name(layer: Mapping[str, Any]) -> tuple[str, str]:
    return str(layer.get("class_name")), str(layer_name(layer))


class Named(Scope):
    """The layout of .h5: a group for each layer, named like the layer, whose attribute lists its weights' names."""

    def __init__(self, items: Mapping[str, Item], path: str, layers: Sequence[dict[str, Any]]) -> None:
        self._items, self._path, self._layers = items, path, layers

    def _weights(self, index: int, place: str) -> dict[str, NDArray[Any]]:
        """Return all weights of a layer by their full names, in the order of the list."""
        group = f"{self._path}/{layer_name(self._layers[index])}"
        if group not in self._items:
            refuse(place, f"no group {group:.80} in the file", "save the model again")
        attributes = self._items[group].attributes
        listed = attributes.get("weight_names")
        if listed is None:  # a long list is in pieces
            pieces = (attributes.get(f"weight_names{k}") for k in range(len(attributes)))
            listed = [name for piece in pieces if isinstance(piece, list) for name in piece]
        found: dict[str, NDArray[Any]] = {}
        for name in listed:
            item = self._items.get(f"{group}/{name}")
            if item is None or item.array is None or name in found:
                advice = "save the model as .keras, which also holds bfloat16"
                refuse(place, f"the weight {name!r:.60}, of which there is no array in {group:.60}", advice)
            found[name] = item.array
        return found

    def variables(self, index: int, place: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the weights by their order, in which Keras itself reads them."""
        found = self._weights(index, place)
        short = [SUFFIX.sub("", name.rpartition("/")[2]) for name in found]
        if len(found) != len(names) or any(a != b for a, b in zip(short, names, strict=True) if a in names):
            refuse(place, f"the weights {', '.join(short):.80}", f"expected {', '.join(names)}")
        return dict(zip(names, found.values(), strict=True))

    def inner(self, index: int, place: str, layers: Sequence[dict[str, Any]]) -> Scope:
        """Return the weights in the group of a layer, which are those of all layers within it."""
        listed = self._weights(index, place)
        _check_order(list(listed), layers, place)
        return Listed(listed, layers)


NOT_TRAINED = (
    *("mean", "variance", "count", "moving_mean", "moving_variance"),
    *("moving_stddev", "renorm_mean", "renorm_variance", "renorm_stddev"),
)


def _check_order(names: Sequence[str], layers: Sequence[dict[str, Any]], place: str) -> None:
    """Refuse a list of weights whose names are in another order than the layers, as Keras goes by the order alone.

    The weights that are trained precede the others. Names differ from the order where a layer was renamed.
    """
    positions: dict[str, list[int]] = {}
    for position, name in enumerate(names):
        positions.setdefault(name.rpartition("/")[0].rpartition("/")[2], []).append(position)
    last = {True: -1, False: -1}
    for owner, is_trained in _layers_within(layers):
        for trained in (True, False):
            own = [
                position
                for position in positions.get(owner, ())
                if (is_trained and SUFFIX.sub("", names[position].rpartition("/")[2]) not in NOT_TRAINED) == trained
            ]
            if own and own[0] < last[trained]:
                refuse(
                    place,
                    f"weights whose names are in another order than its layers, at {owner!r:.60}",
                    "a layer was renamed after it was made; save the model as .keras, or give it in place of the file",
                )
            last[trained] = max([last[trained], *own])
        positions.pop(owner, None)


def _layers_within(layers: Sequence[dict[str, Any]]) -> Iterator[tuple[str, bool]]:
    """Yield the name of each layer, also of those in models within models, and whether its weights are trained."""
    for layer in layers:
        config = layer.get("config")
        config = config if isinstance(config, dict) else {}
        inner = config.get("layers")
        if isinstance(inner, list) and all(isinstance(one, dict) for one in inner):
            yield from _layers_within(inner)
        else:
            yield str(layer_name(layer)), config.get("trainable") is not False


class Listed(Scope):
    """The weights of a model within a model in .h5: one list, where the layer precedes the weight in each name."""

    def __init__(self, weights: Mapping[str, NDArray[Any]], layers: Sequence[dict[str, Any]]) -> None:
        self._weights, self._layers = weights, layers

    def variables(self, index: int, place: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the weights whose names end in the layer's name and theirs."""
        own, found = layer_name(self._layers[index]), dict[str, NDArray[Any]]()
        for name, array in self._weights.items():
            parts = name.split("/")
            short = SUFFIX.sub("", parts[-1])
            if len(parts) > 1 and parts[-2] == own:
                if short in found:
                    refuse(place, f"two weights {own}/{short} in a model within a model", "save the model as .keras")
                found[short] = array
        if found.keys() != set(names):
            refuse(
                place,
                f"the weights {', '.join(found) or 'of no such name'} in a model within a model",
                f"expected {', '.join(names)}; save the model as .keras, which has them by layers",
            )
        return found

    def inner(self, index: int, place: str, layers: Sequence[dict[str, Any]]) -> Scope:
        """Return the same weights, for the layers of a model in the model."""
        return Listed(self._weights, layers)


class Live(Scope):
    """The weights of a model in memory."""

    def __init__(self, model: Any, layers: Sequence[dict[str, Any]]) -> None:
        self._by_name = {layer.name: layer for layer in model.layers}
        self._layers, self._package = layers, _package(model)
        self.epsilon = float(self._package.backend.epsilon())

    def _layer(self, index: int, place: str) -> Any:
        name = layer_name(self._layers[index])
        if name not in self._by_name:
            refuse(place, "no layer of that name in the model")
        layer = self._by_name[name]
        package = type(layer).__module__.partition(".")[0]
        if package not in PACKAGES:
            refuse(
                place, f"the class {type(layer).__qualname__} of {type(layer).__module__}", "only Keras's own are known"
            )
        return layer

    def check(self, index: int, place: str) -> None:
        """Refuse a function that only has the name of one of Keras's."""
        function = getattr(self._layer(index, place), "activation", None)
        name, module = getattr(function, "__name__", ""), getattr(function, "__module__", "")
        if callable(function) and name and module.partition(".")[0] not in PACKAGES:
            refuse(place, f"the activation {name:.60} of {module:.60}", "only Keras's own are known")

    def variables(self, index: int, place: str, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        """Return the weights of a layer by their order."""
        weights = [np.asarray(array) for array in self._layer(index, place).get_weights()]
        weights = [each.astype(np.float32) if each.dtype.name == "bfloat16" else each for each in weights]
        if len(weights) != len(names):
            refuse(
                place, f"{len(weights)} weights", f"expected {len(names)}: {', '.join(names)}; build the model first"
            )
        return dict(zip(names, weights, strict=True))

    def computed(self, index: int, names: Sequence[str]) -> dict[str, NDArray[Any]] | None:
        """Return attributes of a layer, without the axis of rows."""
        layer = self._layer(index, "")
        return {name: _numpy(self._package, getattr(layer, name))[0] for name in names}

    def inner(self, index: int, place: str, layers: Sequence[dict[str, Any]]) -> Scope:
        """Return the scope of a model that is a layer."""
        return Live(self._layer(index, place), layers)


def _package(model: Any) -> Any:
    """Return the package of a model in memory: keras, or tf_keras."""
    bases = (base.__module__.partition(".")[0] for base in type(model).__mro__)
    return sys.modules.get(next((base for base in bases if base in ("keras", "tf_keras")), "keras"))


def _numpy(package: Any, tensor: Any) -> NDArray[Any]:
    """Return the numbers of a tensor of any backend."""
    return np.asarray(getattr(getattr(package, "ops", None), "convert_to_numpy", np.asarray)(tensor))


def caller(model: Any) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a function that gives a model's outputs."""
    return lambda rows: _numpy(_package(model), model(rows, training=False))


def of_model(model: Any) -> Source:
    """Return a model in memory."""
    version = str(getattr(_package(model), "__version__", ""))
    try:
        text = model.to_json()
    except Exception as error:  # of classes that the user has written, whatever they raise
        refuse("model", f"the class {type(model).__qualname__}, which has no configuration ({error!s:.80})",
               "fastmlp reads Sequential and Functional models")  # fmt: skip
    config = parse_json(text, "model.to_json()")
    if "layers" not in (config.get("config") or {}):
        advice = "of a model with inputs and outputs, give keras.Model(model.inputs, model.outputs)"
        refuse("model", f"the class {type(model).__qualname__}, whose configuration has no layers", advice)
    name = f"model {layer_name(config)!r:.40}"
    return Source(config, Live(model, layers_of(config, name)), version, config.get("compile_config"))
