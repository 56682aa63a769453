"""What Keras's activations are in this package: by name, and as the layers LeakyReLU, ELU, PReLU, ReLU and Softmax.

A name alone means other functions in Keras 2 and 3 (hard_sigmoid), and has constants of its own: `leaky_relu` has the
slope 0.2, the layer LeakyReLU 0.3. What has no equal here is refused with the place of the layer. keras_layers.py is
the only caller.
"""

from __future__ import annotations

import numpy as np

from .. import activations as a
from .chain import Activate, Affine, Step, refuse
from .keras_config import number

# For each name, the steps: an activation, or a factor by which all columns are multiplied.
NAMED: dict[str, tuple[a.Activation | float, ...]] = {
    "linear": (),
    "relu": (a.ReLU(),),
    "relu6": (a.HardTanh(0.0, 6.0),),
    "leaky_relu": (a.LeakyReLU(0.2),),
    "elu": (a.ELU(),),
    "celu": (a.ELU(),),  # with the alpha of 1 that a name alone has
    "selu": (a.SELU(),),
    "gelu": (a.GELU(),),
    "silu": (a.SiLU(),),
    "swish": (a.SiLU(),),
    "mish": (a.Mish(),),
    "softplus": (a.Softplus(),),
    "softsign": (a.Softsign(),),
    "sigmoid": (a.Sigmoid(),),
    "log_sigmoid": (-1.0, a.Softplus(), -1.0),
    "sparse_sigmoid": (a.PiecewiseLinear(-1.0, 1.0),),
    "tanh": (a.Tanh(),),
    "hard_tanh": (a.HardTanh(),),
    "softmax": (a.Softmax(),),
}
HARD_SIGMOID = {2: a.PiecewiseLinear(-2.5, 2.5), 3: a.HardSigmoid()}  # clip(0.2 z + 0.5) and clip(z / 6 + 0.5)
ADVICE = {
    "exponential": "fastmlp has no exponential; take it of the outputs, after the import of a model that ends linear",
    "log_softmax": "end the model in softmax, and take the logarithm of its outputs",
}


def named(name: object, place: str, columns: int, major: int | None) -> list[Step]:
    """Return the steps of the activation of that name in a version of Keras; None is the identity."""
    if name is None:
        return []
    if name == "hard_sigmoid":
        if major is None:
            refuse(
                place,
                "the activation hard_sigmoid, which differs between Keras 2 and 3, in a file without its version",
                "give the version as keras_version='2' or '3'",
            )
        return [Activate(HARD_SIGMOID[min(major, 3)], place)]
    if not isinstance(name, str) or name not in NAMED:
        shown = f"{name!r:.60}"
        refuse(place, f"the activation {shown}", ADVICE.get(str(name), "fastmlp has no activation equal to it"))
    steps: list[Step] = []
    for part in NAMED[name]:
        if isinstance(part, float):
            steps.append(Affine.times(np.full(columns, part), np.zeros(columns), place))
        else:
            steps.append(Activate(part, place))
    return steps


def leaky_relu(config: dict[str, object], place: str) -> list[Step]:
    """LeakyReLU, whose slope is `negative_slope` in Keras 3 and `alpha` in Keras 2."""
    key = "alpha" if "alpha" in config else "negative_slope"
    return _sloped(number(config, key, 0.3, place), place)


def elu(config: dict[str, object], place: str) -> list[Step]:
    """ELU, whose alpha may be 0."""
    alpha = number(config, "alpha", 1.0, place)
    if alpha < 0:
        refuse(place, f"an ELU with alpha = {alpha}", "expected a number of at least 0")
    return [Activate(a.ELU(alpha) if alpha else a.ReLU(), place)]


def relu(config: dict[str, object], place: str) -> list[Step]:
    """ReLU, with a maximum or with a slope below 0, but not both, and without a threshold, where it would jump."""
    slope = number(config, "negative_slope", 0.0, place)
    threshold = number(config, "threshold", 0.0, place)
    if threshold != 0:
        refuse(place, f"a ReLU with threshold = {threshold}", "fastmlp has it for the threshold 0 only")
    if config.get("max_value") is None:
        return _sloped(slope, place)
    maximum = number(config, "max_value", 0.0, place)
    if slope != 0 or maximum <= 0:
        refuse(
            place,
            f"a ReLU with max_value = {maximum} and negative_slope = {slope}",
            "fastmlp has a maximum above 0 with the slope 0 only",
        )
    return [Activate(a.HardTanh(0.0, maximum), place)]


def prelu(slopes: np.ndarray, place: str) -> list[Step]:
    """PReLU whose slopes are equal in all columns."""
    if not len(slopes) or not (slopes == slopes[0]).all():
        refuse(place, "a PReLU with a slope for each column", "fastmlp has one slope for all: PReLU(shared_axes=[1])")
    return _sloped(float(slopes[0]), place)


def softmax(config: dict[str, object], place: str, n_axes: int) -> list[Step]:
    """Softmax over the columns of each row."""
    axis = config.get("axis", -1)
    if isinstance(axis, list) and len(axis) == 1:
        axis = axis[0]
    if axis not in (-1, 1) or n_axes != 1 or isinstance(axis, bool):
        refuse(place, f"a softmax over axis {axis!r:.40} of {n_axes + 1}", "fastmlp has it over the columns of a row")
    return [Activate(a.Softmax(), place)]


def _sloped(slope: float, place: str) -> list[Step]:
    if slope < 0:
        refuse(place, f"a slope of {slope} below 0", "fastmlp has slopes of at least 0")
    return [Activate(a.LeakyReLU(slope) if slope else a.ReLU(), place)]
