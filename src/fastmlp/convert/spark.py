"""Spark MLlib's MultilayerPerceptronClassificationModel: a folder that its writer has made, or a model in memory.

The folder has `metadata/part-*` (a line of JSON) and `data/part-*.parquet` (a row with the weights), which pyarrow
reads. Hidden layers are logistic, the last one is a softmax. The number of weights is compared with the layers and with
the size of the file before any are read.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..activations import Sigmoid, Softmax
from ..errors import FormatError
from ..formats import strict_json
from .chain import Activate, Array, Chain, Linear, Step, refuse
from .text_files import malformed, read_text, whole

TOOL = "Spark MLlib"
CLASS = "org.apache.spark.ml.classification.MultilayerPerceptronClassificationModel"
MAX_LAYERS = 1000


def read(source: Any) -> Chain:
    """Read a model of Spark.

    Parameters
    ----------
    source : path or MultilayerPerceptronClassificationModel
        The folder that `model.save(path)` has written, or the model itself.

    Raises
    ------
    FormatError
        If the folder is not one of this model, is malformed, or incomplete.
    ImportError
        If it is a folder and pyarrow is not installed.
    OSError
        If the folder cannot be read.
    """
    if not isinstance(source, (str, os.PathLike)):
        return _of_model(source)
    folder = os.fspath(source)
    metadata = _metadata(folder)
    version = metadata.get("sparkVersion", "")
    if not isinstance(version, str):
        malformed("metadata: sparkVersion", "text", version)
    _refuse_thresholds(_param(metadata, "thresholds"))
    layers, weights = _data(folder, _layers_of(metadata))
    return _chain(layers, weights, version)


def _of_model(model: Any) -> Chain:
    if not (hasattr(model, "weights") and hasattr(model, "layers")):
        raise TypeError(
            "model: expected the folder of a MultilayerPerceptronClassificationModel or the model itself, got "
            f"{type(model).__name__}"
        )
    if hasattr(model, "getThresholds") and model.isDefined("thresholds"):
        _refuse_thresholds(model.getThresholds())
    given = model.getLayers() if hasattr(model, "getLayers") else model.layers
    layers = _checked_layers([int(n) for n in given], "model.layers")
    weights = np.asarray(model.weights.toArray(), np.float64)
    original = _original(model) if hasattr(model, "predictProbability") else None
    return _chain(layers, weights, "", original)


def _refuse_thresholds(thresholds: object) -> None:
    """Refuse a model whose classes are not those of the largest probability."""
    if thresholds:
        refuse(
            "thresholds",
            f"{thresholds!r:.60}, by which Spark divides the probabilities before it chooses a class",
            "import the model after model.clear(model.thresholds), and choose the class yourself",
        )


def _original(model: Any) -> Callable[[Any], Any]:
    """Return the function that gives the model's own probabilities."""

    def original(X: Any) -> Any:
        from pyspark.ml.linalg import Vectors

        return np.array([model.predictProbability(Vectors.dense(row)).toArray() for row in X.tolist()])

    return original


def _chain(layers: Sequence[int], weights: Array, version: str, original: Callable[[Any], Any] | None = None) -> Chain:
    if not (weights.shape == (_count(layers),) and np.isfinite(weights).all()):
        found = f"{weights.size:,} weights" if weights.size != _count(layers) else "some that are not finite"
        refuse("weights", found, f"layers {list(layers)} have {_count(layers):,} finite ones")
    steps: list[Step] = []
    at = 0
    for number, (n_inputs, n_outputs) in enumerate(itertools.pairwise(layers)):
        end = at + n_inputs * n_outputs
        place = f"layer {number}"
        w = weights[at:end].reshape(n_inputs, n_outputs).T
        steps.append(Linear(w, weights[end : end + n_outputs], place))
        steps.append(Activate(Softmax() if number == len(layers) - 2 else Sigmoid(), place))
        at = end + n_outputs
    return Chain(tuple(steps), TOOL, version, "float64", layers[0], loss="cross_entropy", original=original)


def _count(layers: Sequence[int]) -> int:
    return sum((n_inputs + 1) * n_outputs for n_inputs, n_outputs in itertools.pairwise(layers))


def _checked_layers(layers: object, place: str) -> list[int]:
    if not isinstance(layers, list) or not 2 <= len(layers) <= MAX_LAYERS:
        malformed(place, f"a list of 2 to {MAX_LAYERS} numbers", layers)
    checked = [whole(n, place, 1) for n in layers]
    if checked[-1] < 2:
        refuse(place, "one output, of which a softmax is always 1", "Spark's layers end in the number of classes")
    return checked


# ---------------------------------------------------------------------------------------------------------- the folder


def _parts(folder: str, name: str) -> Iterator[str]:
    """Yield the regular files `part-*` of a folder in the model's folder that are not empty, and lie in it."""
    inside = os.path.join(folder, name)
    root = os.path.realpath(folder)
    for entry in sorted(os.listdir(inside)):
        path = os.path.join(inside, entry)
        if not entry.startswith("part-") or not os.path.isfile(path) or not os.path.getsize(path):
            continue
        if os.path.commonpath([os.path.realpath(path), root]) != root:
            raise FormatError(f"{path}: expected a file in the model's folder, got a link out of it")
        yield path


def _metadata(folder: str) -> dict[str, Any]:
    """Return the line of JSON in the folder `metadata`, if it is of the model that this module reads."""
    if not os.path.isdir(folder):
        os.stat(folder)
        raise FormatError(f"{folder}: expected a folder that Spark's model.save has written, got a file")
    if not os.path.isdir(os.path.join(folder, "metadata")):
        raise FormatError(
            f"{folder}: expected a folder with the folders metadata and data, as Spark's model.save writes"
        )
    paths = list(_parts(folder, "metadata"))
    if len(paths) != 1:
        malformed("metadata", "one file part-* that is not empty", f"{len(paths)} of them")
    try:
        found = strict_json.parse(read_text(paths[0], TOOL))
    except ValueError as error:
        raise FormatError(f"metadata: {error}") from None
    if not isinstance(found, dict):
        malformed("metadata", "an object of JSON", found)
    name = found.get("class")
    if name != CLASS:
        stages = os.path.join(folder, "stages")
        advice = f"give the folder of its {CLASS.rpartition('.')[2]}" + (
            f", which is one of those in {stages}" if os.path.isdir(stages) else ""
        )
        refuse("metadata: class", f"{name!r:.100}", advice)
    return found


def _layers_of(metadata: dict[str, Any]) -> list[int] | None:
    """Return the layers of the metadata; None if they are in the data, as before Spark 3."""
    layers = _param(metadata, "layers")
    return None if layers is None else _checked_layers(layers, "metadata: layers")


def _param(metadata: dict[str, Any], key: str) -> object:
    """Return a parameter of the metadata, or its default; None if there is neither."""
    for name in ("paramMap", "defaultParamMap"):
        values = metadata.get(name, {})
        if not isinstance(values, dict):
            malformed(f"metadata: {name}", "an object of JSON", values)
        if key in values:
            return values[key]
    return None


def _data(folder: str, layers: list[int] | None) -> tuple[list[int], Array]:
    """Return the layers and the weights of the one row in the folder `data`."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise ImportError("reading a folder of Spark needs pyarrow: pip install 'fastmlp[spark]'") from error
    if not os.path.isdir(os.path.join(folder, "data")):
        malformed("data", "a folder", "none")
    found: list[tuple[list[int], Array]] = []
    for path in _parts(folder, "data"):
        try:
            with parquet.ParquetFile(path) as file:
                if file.metadata.num_rows == 0:
                    continue
                _check_sizes(file.metadata, layers, os.path.getsize(path))
                found.append(_row(pa, file.read(), layers))
        except (pa.ArrowException, OSError, OverflowError) as error:
            raise FormatError(f"{path}: expected a file of Parquet, got {error}") from None
    if len(found) != 1:
        malformed("data", "one row", f"{len(found)} files with rows")
    return found[0]


def _check_sizes(metadata: Any, layers: list[int] | None, n_bytes: int) -> None:
    """Refuse a file that says to hold more than it can, or than the layers need, before it is read."""
    limit = 64 * n_bytes + 2**16
    if metadata.num_rows != 1 or metadata.num_columns > 64:
        malformed("data", "one row of a few columns", f"{metadata.num_rows} rows of {metadata.num_columns}")
    if layers is not None and _count(layers) > limit:
        refuse("data", f"a file of {n_bytes:,} bytes for {_count(layers):,} weights", "the file is incomplete")
    for group in range(metadata.num_row_groups):
        for index in range(metadata.num_columns):
            column = metadata.row_group(group).column(index)
            if not (0 <= column.num_values <= limit and 0 <= column.total_uncompressed_size <= 16 * limit):
                malformed("data", f"at most {limit:,} values in a file of this size", column.num_values)


def _row(pa: Any, table: Any, layers: list[int] | None) -> tuple[list[int], Array]:
    """Return the layers and the weights of a table of one row."""
    names = table.column_names
    if "weights" not in names or table.num_rows != 1:
        malformed("data", "one row with a column weights", f"{table.num_rows} rows of {names}")
    if layers is None:
        if "layers" not in names:
            malformed("metadata", "layers in paramMap", "none")
        layers = _checked_layers(table.column("layers")[0].as_py(), "data: layers")
    weights = table.column("weights").combine_chunks()
    if isinstance(weights, pa.ChunkedArray):
        weights = weights.chunk(0)
    kinds = {field.name for field in weights.type} if pa.types.is_struct(weights.type) else set()
    if not {"type", "size", "indices", "values"} <= kinds:
        malformed("data: weights", "a vector of Spark (type, size, indices, values)", str(weights.type))
    values = _flat(pa, weights.field("values"), "data: weights.values", np.float64)
    if weights.field("type")[0].as_py() == 1:
        return layers, values
    indices = _flat(pa, weights.field("indices"), "data: weights.indices", np.int64)
    size = whole(weights.field("size")[0].as_py(), "data: weights.size")
    if size != _count(layers) or len(indices) != len(values) or not ((indices >= 0) & (indices < size)).all():
        malformed("data: weights", f"{_count(layers):,} numbers, as the layers say", size)
    dense = np.zeros(size)
    dense[indices] = values
    return layers, dense


def _flat(pa: Any, lists: Any, place: str, dtype: Any) -> Any:
    if not pa.types.is_list(lists.type) or lists.null_count or not len(lists):
        malformed(place, "a list of numbers", str(lists.type))
    flat = lists.flatten()
    if flat.null_count or not (pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type)):
        malformed(place, "numbers", str(flat.type))
    return flat.to_numpy(zero_copy_only=False).astype(dtype)
