"""Mutation of model files and checkpoints with correct checksums, and random networks and trainings to save.

`take_apart` parses a file to JSON values and tensors, `put_together` makes its bytes with correct checksums, and
`mutate` changes values, names, types, shapes and offsets at random; `Parts.changes` lists the changes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import math
import random
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import fastmlp

PARTS = ("fastmlp.architecture", "fastmlp.extra", "fastmlp.training")

ODD: list[Any] = [
    None, True, False, 0, -1, 1, 2, 3, 2**31, 2**53, 2**63, 2**64, -(2**63), 10**19, 0.5, -0.0, 1e-320, 1e-40, 1e39,
    1e308, "", "a", "0", "1", "nan", "inf", "-0x1p+1", "0x1p+2000", "1e5", "\x00", "\ud800", "é" * 50, "x" * 5000,
    "\u2028", [], [[]], {}, [0], [1, 2], {"name": "relu"}, {"a": {"b": [1]}}, [None], ["a"], [1e39], "float64",
    "float32", "standard", "minmax", "callback", "early_stopping", [1, 500_000_000, 1], [500_000_000, 1],
    [0, 2**62, 2**62],
]  # fmt: skip


class Raw(str):
    """Text that `dumps` inserts into JSON without encoding."""


RAW = [Raw(text) for text in ("NaN", "-Infinity", "1e999", "9" * 30, "1.0", "-0", "[" * 40 + "]" * 40, '{"a":1,"a":2}')]


@dataclass
class Parts:
    """The parts of a file: JSON values by key, entries of tensors by name, the data section, and other metadata."""

    values: dict[str, Any]
    tensors: dict[str, Any]
    data: bytes
    metadata: dict[str, str]
    changes: list[str] = field(default_factory=list)


def take_apart(content: bytes) -> Parts:
    """Return the parts of a valid file."""
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    metadata = header.pop("__metadata__")
    values = {key: json.loads(metadata[key]) for key in PARTS if key in metadata}
    others = {key: text for key, text in metadata.items() if key not in PARTS and not key.endswith(".sha256")}
    return Parts(values, header, content[8 + length :], others)


def dumps(value: Any) -> str:
    """Return the value as JSON, with `Raw` texts inserted unchanged."""
    found: list[str] = []

    def marked(each: Any) -> Any:
        if isinstance(each, Raw):
            found.append(str(each))
            return f"@raw{len(found) - 1}@"
        if isinstance(each, dict):
            return {key: marked(child) for key, child in each.items()}
        return [marked(child) for child in each] if isinstance(each, list) else each

    text = json.dumps(marked(value))
    for i, raw in enumerate(found):
        text = text.replace(f'"@raw{i}@"', raw)
    return text


def put_together(parts: Parts) -> bytes:
    """Return the bytes of the file, with correct checksums."""

    def digest(content: bytes) -> str:
        return hashlib.sha256(content).hexdigest()

    metadata: dict[str, Any] = dict(parts.metadata)
    for key, value in parts.values.items():
        text = dumps(value)
        metadata[key], metadata[f"{key}.sha256"] = text, digest(text.encode("utf-8", "surrogatepass"))
    sections = {True: b"", False: b""}
    for name, entry in parts.tensors.items():
        offsets = entry.get("data_offsets") if isinstance(entry, dict) else None
        if isinstance(offsets, list) and len(offsets) == 2 and all(type(each) is int for each in offsets):
            sections[name.startswith("layers.")] += parts.data[max(offsets[0], 0) : max(offsets[1], 0)]
    metadata["fastmlp.parameters.sha256"] = digest(sections[True])
    if "fastmlp.training" in parts.values:
        metadata["fastmlp.tensors.sha256"] = digest(sections[False])
    header = dumps({"__metadata__": metadata, **parts.tensors}).encode("utf-8", "surrogatepass")
    return len(header).to_bytes(8, "little") + header + parts.data


def of_version_1(content: bytes) -> bytes:
    """Return a model file as version 1, in which the command line wrote its entries."""
    parts = take_apart(content)
    parts.values["fastmlp.architecture"]["version"] = 1
    del parts.values["fastmlp.architecture"]["written_by"]
    return put_together(parts)


# -- changes ----------------------------------------------------------------------------------------------------------


def place(value: Any, rng: random.Random) -> tuple[Any, ...]:
    """Return the path of a random value inside a value: a few levels down, each time to a random child."""
    path: list[Any] = []
    while isinstance(value, (dict, list)) and value and (not path or rng.random() < 0.8):
        path.append(rng.choice(list(value) if isinstance(value, dict) else range(len(value))))
        value = value[path[-1]]
    return tuple(path)


def changed(value: Any, rng: random.Random) -> Any:
    """Return a replacement of a value: a similar one or an odd one."""
    kind = rng.randrange(6)
    if kind < 2 and type(value) in (int, float):
        near = [value + 1, value - 1, -value, value * 2, value / 3, str(value), float(value), [value], int(value)]
        return rng.choice([*near, 1e39, 1e-40, -1e300, 2**63])
    if kind < 2 and isinstance(value, str) and value.startswith(("0x", "-0x")):
        return rng.choice(["inf", "nan", "-inf", "0x0p+0", "0x1p+1023", "-0x1p+1", "0x1p+60", "0x1.8p+0", "0x1p+9999"])
    if kind == 1 and isinstance(value, str):
        return rng.choice([value + "x", value[:-1], value.upper(), value[::-1], [value], value + "\x00", value * 30])
    if kind == 2 and isinstance(value, list) and value:
        return rng.choice([value[:-1], value + value[-1:], value[::-1], value * 50, {"0": value[0]}, value[0], [value]])
    if kind == 3 and isinstance(value, dict):
        return rng.choice([list(value.items()), {**value, "more": 1}, {}, list(value), [value]])
    if kind == 4:
        nested: Any = value
        for _ in range(rng.choice([1, 2, 40, 150])):
            nested = [nested] if rng.random() < 0.5 else {"a": nested}
        return nested
    return copy.deepcopy(rng.choice(ODD + RAW))


def mutate(parts: Parts, rng: random.Random, most: int = 3) -> Parts:
    """Return a copy with one to three changes, or only the first `most` of these."""
    out = copy.deepcopy(parts)
    for _ in range(min(rng.choice((1, 1, 1, 2, 3)), most)):
        target = rng.choice(["json"] * 6 + ["tensors", "tensors", "data", "tensor", "metadata"])
        if target == "data":
            change_data(out, rng)
        elif target == "tensor":
            change_tensor(out, rng)
        elif target == "metadata":
            key = rng.choice(["format", "tool", *out.metadata])
            out.metadata[key] = rng.choice([each for each in ODD if isinstance(each, str)])
            out.changes.append(f"metadata[{key!r}] = {out.metadata[key]!r:.60}")
        else:
            root = out.values[rng.choice(list(out.values))] if target == "json" else out.tensors
            if path := place(root, rng):
                change_json(root, path, rng, out.changes)
    return out


def change_json(root: Any, path: tuple[Any, ...], rng: random.Random, changes: list[str]) -> None:
    """Replace, remove, rename or swap the value at a path."""
    *above, key = path
    owner = root
    for each in above:
        owner = owner[each]
    how = rng.choice(["replace"] * 6 + ["remove", "rename", "swap"])
    if how == "rename" and isinstance(owner, dict):
        owner[rng.choice([str(key) + "x", "", "\ud800", "loss", "name", str(key).upper()])] = owner.pop(key)
    elif how == "remove":
        del owner[key]
    elif how == "swap":
        other = rng.choice(list(owner) if isinstance(owner, dict) else range(len(owner)))
        owner[key], owner[other] = owner[other], owner[key]
    else:
        owner[key] = changed(owner[key], rng)
    value = owner.get(key) if isinstance(owner, dict) else None
    changes.append(f"{how} {path}: {value!s:.80}")


def change_data(parts: Parts, rng: random.Random) -> None:
    """Replace a few numbers of a tensor by odd ones."""
    out = bytearray(parts.data)
    name = rng.choice(list(parts.tensors)) if parts.tensors else None
    entry = parts.tensors[name] if name is not None else None
    try:
        begin, end = entry["data_offsets"]
        kind = {"F32": "<f4", "F64": "<f8"}[entry["dtype"]]
        size = int(kind[-1])
        for _ in range(rng.choice((1, 2, 5))):
            at = begin + rng.randrange((end - begin) // size) * size
            number = rng.choice([math.nan, math.inf, -math.inf, 3e38, -3e38, 1e-45, 0.0, -1.0, 1e6, 0.5])
            out[at : at + size] = np.array(number, kind).tobytes()
            parts.changes.append(f"{name}: {number} at {at}")
    except (TypeError, KeyError, ValueError, IndexError):  # an earlier change has made the entry invalid
        return
    parts.data = bytes(out)


def change_tensor(parts: Parts, rng: random.Random) -> None:
    """Change the shape of a tensor, in the training's list and in the header, to one with as many elements or 0."""
    listed = parts.values.get("fastmlp.training", {})
    entries = listed.get("tensors", []) if isinstance(listed, dict) else []
    entries = entries if isinstance(entries, list) else []
    whole = [e for e in entries if isinstance(e, list) and len(e) == 3 and isinstance(e[1], list)]
    good = [e for e in whole if isinstance(e[0], str) and e[0] in parts.tensors]
    if not good:
        return
    entry = rng.choice(good)
    shape, n = list(entry[1]), entry[1][0] if entry[1] else 1
    new = rng.choice(
        [[1] * 65 + shape, [1] * 33 + shape, [n, 1], [1, n], [], [0, 2**62, 2**62], [0] * 40, [2**63, 0], [n]]
    )
    entry[1] = new
    if isinstance(parts.tensors[entry[0]], dict):
        parts.tensors[entry[0]]["shape"] = list(new)
    if rng.random() < 0.3:
        name = rng.choice(["history.x", "callbacks.0.x", "callbacks.0.best", "optimizer.9", "history.loss"])
        parts.tensors[name] = parts.tensors.pop(entry[0])
        entry[0] = name
    parts.changes.append(f"tensor {entry[0]}: {new!s:.60}")


# -- kinds ------------------------------------------------------------------------------------------------------------


class Counter:
    """A callback with a state of its own."""

    def __init__(self) -> None:
        self.count, self.mean = 0.0, None

    def set_network(self, network: Any) -> None:
        self.network = network

    def on_epoch_end(self, epoch: int, logs: Any) -> None:
        self.count += 1
        self.mean = self.network.parameters

    def state(self) -> Any:
        return {"count": self.count, **({} if self.mean is None else {"mean": self.mean})}

    def restore(self, state: Any) -> None:
        self.count, self.mean = float(state["count"]), state.get("mean")


def schedule(rng: random.Random) -> Any:
    """Return a random learning rate: a number, a schedule, or one that depends on losses."""
    return rng.choice(
        [
            0.01,
            fastmlp.StepDecay(0.01, 3, 0.5),
            fastmlp.CosineDecay(0.01, n_steps=20),
            fastmlp.ReduceOnPlateau(0.01, patience=1),
            fastmlp.ReduceOnPlateau(0.01, monitor="loss", patience=0, cooldown=2),
        ]
    )


def optimizer(rng: random.Random) -> Any:
    """Return a random optimiser."""
    kinds = ["Adam", "SGD", "AdamW", "NAdam", "RMSprop", "AdaGrad", "Lion", "AdamHat", "Rprop", "LBFGS"]
    kind = rng.choice(kinds)
    return getattr(fastmlp, kind)() if kind in ("Rprop", "LBFGS") else getattr(fastmlp, kind)(schedule(rng))


def regularization(rng: random.Random) -> Any:
    """Return a random regularisation or None."""
    return rng.choice([None, fastmlp.Regularization(l2=1e-3), fastmlp.Regularization(dropout=0.2, average=0.9)])


@dataclass
class Kind:
    """A random network and its training, functions of a seed; each call of a method makes new objects."""

    seed: int

    def network(self) -> fastmlp.Network:
        """Return the network before training."""
        rng = random.Random(self.seed)
        names = [name for name in ACTIVATIONS if name not in ("threshold", "softmax")]
        hidden = [rng.choice(names) for _ in range(rng.randrange(3))]
        loss = rng.choice(["mse", "mae", "huber", "log_cosh", "cross_entropy", "binary_cross_entropy", "hinge"])
        outputs = rng.choice([2, 3]) if loss in ("cross_entropy", "hinge") else rng.choice([1, 2])
        scaled: dict[str, Any] = {"input_scaling": rng.choice([None, "standard", "minmax"])}
        if loss in ("mse", "mae"):
            scaled["target_scaling"] = rng.choice([None, "standard"])
        sizes, dtype = [3, *(4 for _ in hidden), outputs], rng.choice(["float32", "float64"])
        return fastmlp.Network(sizes, activation=hidden or "relu", loss=loss, dtype=dtype, seed=self.seed % 7, **scaled)

    def data(self) -> tuple[Any, Any]:
        """Return a frame with names of columns, or an array, and targets."""
        net, rng = self.network(), np.random.default_rng(self.seed)
        X = rng.normal(size=(12, 3))
        classes = net.loss.name in ("cross_entropy", "hinge")
        y = rng.integers(net.sizes[-1], size=12) if classes else rng.integers(2, size=(12, net.sizes[-1])) + 0.0
        if self.seed % 3 == 0:
            import polars

            return polars.DataFrame(X, schema=["a", "b c", "é"], orient="row"), y
        return X, y

    def words(self) -> dict[str, Any]:
        """Return the keyword arguments of `fit`."""
        rng = random.Random(-self.seed)
        used = optimizer(rng)
        callbacks: list[Any] = []
        if rng.random() < 0.5:
            callbacks.append(fastmlp.EarlyStopping(rng.choice(["loss", "val_loss"]), patience=5))
        if rng.random() < 0.5:
            callbacks.append(Counter())
        how = {"optimizer": used, "regularization": None if used.full_batch else regularization(rng)}
        return {"validation_split": 0.25, "callbacks": callbacks, "batch_size": None if used.full_batch else 4, **how}


ACTIVATIONS = sorted(fastmlp.activations.ACTIVATIONS)
