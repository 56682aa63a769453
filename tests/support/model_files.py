"""Networks to save, and a small model file to change, for the tests of model_file.

`FILE` has every part of the format: three layers, an activation with hyper-parameters, extra entries.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

import fastmlp
from fastmlp.formats import model_file

EXTRA = {"classes": '["Hund", "Möwe"]', "note": ""}


def small(dtype: str = "float32", seed: int = 3) -> Any:
    return fastmlp.Network(
        [3, 4, 2, 2], activation=[fastmlp.Gaussian(0.25, 2.0), "relu"], loss="cross_entropy", dtype=dtype, seed=seed
    )


FILE = model_file.to_bytes(small(), EXTRA)

NETWORKS: dict[str, dict[str, Any]] = {
    "linear": {"sizes": [2, 1]},
    "sigmoid": {
        "sizes": [3, 5, 2],
        "activation": fastmlp.Sigmoid(2.5),
        "output_activation": "sigmoid",
        "seed": 2**64 - 1,
    },
    "ramp": {
        "sizes": [1, 2, 3],
        "activation": fastmlp.PiecewiseLinear(-0.1, 1 / 3),
        "init": "normal",
        "dtype": "float64",
    },
    "mixed": {"sizes": [3, 4, 4, 4, 2], "activation": ["tanh", "gaussian", "identity"], "loss": "squared_error"},
    "threshold": {"sizes": [2, 2, 1], "activation": "threshold", "output_activation": "threshold", "seed": 0},
    "binary": {"sizes": [7, 3, 4], "loss": "binary_cross_entropy", "init": "he_uniform", "seed": 11},
    "softmax": {"sizes": [4, 6, 3], "loss": "cross_entropy", "init": "lecun_normal", "dtype": "float64", "seed": 5},
    "deep": {"sizes": [2] * 14, "activation": "tanh", "loss": "half_squared_error", "seed": 6},
}


def build(name: str) -> Any:
    arguments = dict(NETWORKS[name])
    return fastmlp.Network(arguments.pop("sizes"), **arguments)


def assert_same(network: Any, other: Any) -> None:
    for field in ("sizes", "activation", "output_activation", "loss", "dtype", "init", "seed"):
        assert getattr(network, field) == getattr(other, field), field
    assert network.parameters.dtype == other.parameters.dtype
    assert network.parameters.tobytes() == other.parameters.tobytes()
    x = np.linspace(-1, 1, 3 * network.sizes[0]).reshape(3, -1).astype(network.dtype)
    assert network.predict(x).tobytes() == other.predict(x).tobytes()


def same_model(one: model_file.ModelFile, two: model_file.ModelFile) -> bool:
    return (
        one.architecture == two.architecture
        and one.extra == two.extra
        and one.parameters.dtype == two.parameters.dtype
        and one.parameters.tobytes() == two.parameters.tobytes()
    )


def taken_apart() -> tuple[dict[str, Any], dict[str, Any], bytes]:
    """Return the header of `FILE` without checksums, its architecture, and its data section."""
    length = int.from_bytes(FILE[:8], "little")
    header = json.loads(FILE[8 : 8 + length])
    metadata = header["__metadata__"]
    for key in [key for key in metadata if key.endswith(".sha256")]:
        del metadata[key]
    return header, json.loads(metadata["fastmlp.architecture"]), FILE[8 + length :]


def assembled(header: Any, architecture: Any, data: bytes) -> bytes:
    if architecture is not None:
        header["__metadata__"]["fastmlp.architecture"] = json.dumps(architecture)
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data
