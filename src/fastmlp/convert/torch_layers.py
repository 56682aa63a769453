"""The tensors of a state dict as layers: which tensors belong to one module, and what that module computes.

Used for files of torch (torch_file.py), safetensors (safetensors_file.py), policies (stable_baselines3.py) and single
modules (torch_modules.py); tensors are NumPy's, so that nothing here needs torch. A state dict says neither the
activations nor, in every case, the order of the layers: torch_spec.py takes them from the caller.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..activations import LeakyReLU
from ..errors import FormatError
from ..frozen import frozen
from .chain import Activate, Affine, Array, Linear, Step, refuse

EPS = 1e-5  # torch's default of BatchNorm1d, which a state dict does not hold
MAX_TENSOR_BYTES = 16  # of all tensors together, in bytes of the file: tied tensors share their bytes there

Tensors = Mapping[str, NDArray[Any]]

INPUT_SCALING = ("input_offset", "input_scale")  # the float64 buffers of torch_writer.InputScaling
TARGET_SCALING = ("target_offset", "target_scale")  # of torch_writer.TargetScaling

_ROLES = {  # the end of a tensor's name: what it is in its module
    "parametrizations.weight.original0": "g",
    "parametrizations.weight.original1": "direction",
    "parametrizations.weight.original": "original",
    "parametrizations.weight.0._u": "u",
    "parametrizations.weight.0._v": "v",
    "weight_g": "g",
    "weight_orig": "original",
    "weight_u": "u",
    "weight_mask": "mask",
    "weight_v": "weight_v",  # the direction of weight_norm, or a vector of spectral_norm
    "weight": "weight",
    "bias_orig": "bias",
    "bias_mask": "bias_mask",
    "bias": "bias",
    "running_mean": "running_mean",
    "running_var": "running_var",
    "num_batches_tracked": "num_batches_tracked",
    **{name: name for name in (*INPUT_SCALING, *TARGET_SCALING)},
}
_NAME = re.compile(r"(?:(?P<module>.*)\.)?(?P<role>" + "|".join(map(re.escape, _ROLES)) + ")", re.DOTALL)
_PREFIXES = ("_orig_mod.", "module.")  # of torch.compile, and of DataParallel


@frozen(eq=False)
class Module:
    """A module with tensors: its name in the model, and its steps."""

    name: str
    steps: tuple[Step, ...]
    note: str = ""  # what was folded into the step

    @property
    def is_linear(self) -> bool:
        """Whether the module is a linear layer."""
        return isinstance(self.steps[0], Linear)

    @property
    def is_activation(self) -> bool:
        """Whether the module is an activation that has a parameter (PReLU)."""
        return isinstance(self.steps[0], Activate)

    @property
    def is_target_scaling(self) -> bool:
        """Whether the module is the target scaling of `Network.to_torch`."""
        return isinstance(self.steps[0], Affine) and self.steps[0].multiplies


def without_prefixes(names: list[str]) -> list[str]:
    """Return the names without what torch.compile and DataParallel write in front of all of them, at any depth."""
    names = [name.replace("._orig_mod.", ".") for name in names]
    while names and (prefix := next((each for each in _PREFIXES if all(n.startswith(each) for n in names)), "")):
        names = [name.removeprefix(prefix) for name in names]
    return names


def as_float64(tensor: NDArray[Any], place: str) -> Array:
    """Return a tensor of floats as float64; refuse other numbers, and numbers that are not finite."""
    if tensor.dtype.kind != "f":
        refuse(place, f"numbers of the type {tensor.dtype.name}", "convert a quantised model back to floats before")
    with np.errstate(invalid="ignore"):  # of a signalling NaN
        made: Array = tensor.astype(np.float64)
    if not np.isfinite(made).all():
        raise FormatError(f"{place}: expected finite numbers, got NaN or infinity")
    return made


def dtype_of(tensors: Tensors) -> str:
    """Return the dtype in which the model computes, that of its floats: half and bfloat16 become float32.

    The buffers of scalings are always float64 and say nothing.
    """
    floats = {name: each.dtype.newbyteorder("=").name for name, each in tensors.items() if each.dtype.kind == "f"}
    found = {dtype for name, dtype in floats.items() if not name.endswith((*INPUT_SCALING, *TARGET_SCALING))}
    if "float64" in found and len(found) > 1:
        raise FormatError(f"tensors: expected floats of one dtype, got {', '.join(sorted(found))}")
    return "float64" if "float64" in found else "float32"


def module_of(name: str) -> str | None:
    """Return the name of the module that a tensor of this name belongs to; None if that is none of a known kind."""
    found = _NAME.fullmatch(name)
    return None if found is None else found["module"] or ""


def modules(tensors: Tensors, eps: float = EPS) -> list[Module]:
    """Return the modules that the tensors belong to, in the order in which they are first named."""
    grouped: dict[str, dict[str, NDArray[Any]]] = {}
    for name, tensor in tensors.items():
        found = _NAME.fullmatch(name)
        if found is None:
            refuse(
                f"tensor {name!r:.200}",
                "a tensor of no known layer",
                "of Linear, BatchNorm1d and PReLU the tensors are known",
            )
        roles = grouped.setdefault(found["module"] or "", {})
        role = _ROLES[found["role"]]
        if role in roles:
            raise FormatError(f"tensor {name!r:.200}: expected one tensor for each use, got a second one")
        roles[role] = tensor
    return [module(name, roles, eps) for name, roles in grouped.items()]


def module(name: str, roles: dict[str, NDArray[Any]], eps: float = EPS) -> Module:
    """Return the module of that name that has these tensors, by what they are in it."""
    place = f"module {name!r:.200}"
    roles = dict(roles)
    if "bias_mask" in roles and "bias" in roles:
        roles["bias"] = roles["bias"] * roles.pop("bias_mask")
    have = frozenset(roles) - {"bias", "num_batches_tracked"}
    if have in _SCALINGS and all(each.dtype == np.float64 and each.ndim == 1 for each in roles.values()):
        return Module(name, (_SCALINGS[have](*(roles[role] for role in sorted(have)), place),))
    if have in _BATCH_NORM:
        return Module(name, batch_norm(roles, eps, place), f"{place}: BatchNorm1d with eps {eps!r}")
    if have not in WEIGHTS:
        refuse(place, f"the tensors {', '.join(sorted(roles))}", "it is neither Linear, BatchNorm1d nor PReLU")
    weight, note = WEIGHTS[have]({role: as_float64(roles[role], f"{place}: {role}") for role in have}, place)
    if weight.shape == (1,) and "bias" not in roles:
        slope = float(weight[0])
        return Module(name, (leaky_relu(slope, place),), f"{place}: PReLU of the slope {slope:g}")
    if weight.ndim == 1:
        found = "a LayerNorm, a BatchNorm without running statistics, or a PReLU of several slopes"
        refuse(
            place, found, "only Linear, BatchNorm1d with running statistics, and PReLU of one slope have equals here"
        )
    if weight.ndim != 2 or 0 in weight.shape:
        refuse(place, f"a weight of shape {weight.shape}", "such as of a convolution")
    bias = as_float64(roles["bias"], f"{place}: bias") if "bias" in roles else np.zeros(len(weight))
    if bias.shape != weight.shape[:1]:
        refuse(place, f"a bias of shape {bias.shape} beside a weight of shape {weight.shape}")
    return Module(name, (Linear(weight, bias, place),), note and f"{place}: {note}")


def leaky_relu(slope: float, place: str) -> Activate:
    """Return PReLU of one slope, which is a leaky ReLU."""
    if not 0 <= slope < np.inf:
        refuse(place, f"a PReLU of the slope {slope!r}", "a slope of at least 0 has an equal, LeakyReLU")
    return Activate(LeakyReLU(slope), place)


def batch_norm(roles: dict[str, NDArray[Any]], eps: float, place: str) -> tuple[Step, ...]:
    """Return BatchNorm1d in evaluation: (x - running_mean) / sqrt(running_var + eps) * weight + bias."""
    numbers = {
        role: as_float64(tensor, f"{place}: {role}") for role, tensor in roles.items() if role != "num_batches_tracked"
    }
    mean, variance = numbers["running_mean"], numbers["running_var"]
    if mean.ndim != 1 or any(each.shape != mean.shape for each in numbers.values()):
        refuse(place, f"vectors of the shapes {', '.join(str(each.shape) for each in numbers.values())}")
    if not (variance + eps > 0).all():
        refuse(place, "a running variance that is not above 0")
    deviation = np.sqrt(variance + eps)
    if not {"weight", "bias"} & set(numbers):
        return (Affine(mean, deviation, place),)
    weight, bias = numbers.get("weight", np.ones(len(mean))), numbers.get("bias", np.zeros(len(mean)))
    return Affine(mean, deviation, place), Affine.times(weight, bias, place)


# ---------------------------------------------------------------- weights of which a parametrization makes the weight

Weight = tuple[Array, str]


def _plain(parts: dict[str, Array], place: str) -> Weight:
    return parts["weight"], ""


def _weight_norm(parts: dict[str, Array], place: str) -> Weight:
    """W = g v / norm(v), over the axes along which g has one number."""
    g, v = parts["g"], parts.get("direction", parts.get("weight_v"))
    assert v is not None
    if g.ndim == 0:
        g = g.reshape((1,) * v.ndim)
    if g.ndim != v.ndim or any(m not in (1, n) for m, n in zip(g.shape, v.shape, strict=True)):
        refuse(place, f"a weight_norm with g of shape {g.shape} and v of shape {v.shape}")
    axes = tuple(axis for axis, n in enumerate(g.shape) if n == 1)
    norm = np.sqrt((v * v).sum(axis=axes, keepdims=True))
    if not (norm > 0).all():
        refuse(place, "a weight_norm whose v is 0")
    return g * v / norm, "weight_norm"


def _spectral_norm(parts: dict[str, Array], place: str) -> Weight:
    """W = original / (u' original v), with u and v as they are stored."""
    original, u, v = parts["original"], parts["u"], parts.get("v", parts.get("weight_v"))
    assert v is not None
    if original.ndim != 2 or original.shape != u.shape + v.shape:
        refuse(place, f"a spectral_norm of the shapes {original.shape}, {u.shape} and {v.shape}")
    sigma = float(u @ original @ v)
    if len(u) == len(v) and abs(sigma - v @ original @ u) > 1e-6 * abs(sigma):
        advice = "the file does not say which; take it off before saving (parametrize.remove_parametrizations)"
        refuse(place, "a spectral_norm of a square weight, whose sigma depends on the dimension", advice)
    if sigma == 0:
        refuse(place, "a spectral_norm of 0")
    return original / sigma, "spectral_norm"


def _pruned(parts: dict[str, Array], place: str) -> Weight:
    original, mask = parts["original"], parts["mask"]
    if original.shape != mask.shape:
        refuse(place, f"a mask of shape {mask.shape} beside a weight of shape {original.shape}")
    return original * mask, "pruning"


WEIGHTS: dict[frozenset[str], Callable[[dict[str, Array], str], Weight]] = {
    frozenset({"weight"}): _plain,
    frozenset({"g", "direction"}): _weight_norm,
    frozenset({"g", "weight_v"}): _weight_norm,
    frozenset({"original", "u", "v"}): _spectral_norm,
    frozenset({"original", "u", "weight_v"}): _spectral_norm,
    frozenset({"original", "mask"}): _pruned,
}
_BATCH_NORM = (frozenset({"running_mean", "running_var"}), frozenset({"running_mean", "running_var", "weight"}))
_SCALINGS: dict[frozenset[str], Callable[..., Affine]] = {
    frozenset(INPUT_SCALING): Affine,
    frozenset(TARGET_SCALING): lambda offset, scale, place: Affine.times(scale, offset, place),
}
