"""stable-baselines3's models as policies: `read_policy`, of a file (whose pickles stay closed) or of a model object.

A file is a zip: `data` is JSON, with cloudpickled objects beside their texts, and `policy.pth` a state dict. It names
neither the algorithm nor the default activation; the class of the policy, which the JSON names, says both. It has
the bounds of actions only as NumPy prints them, rounded, so they are asked for. Whether observations were normalised it
does not say: VecNormalize keeps its statistics in a file of its own, a pickle.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import activations
from ..activations import Activation, HardTanh, Tanh
from ..formats import strict_json
from ..formats.safetensors import FormatError
from ..frozen import frozen
from ..scaling import Scaling
from . import torch_file, torch_functions, torch_layers
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .checking import network
from .policy import Clipped, Discrete, Flatten, MultiBinary, MultiDiscrete, OneHot, Policy, Squashed
from .torch_spec import _number_key, check_shapes
from .zip_members import Archive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

CLIP, EPSILON = 10.0, 1e-8  # VecNormalize's defaults of clip_obs and epsilon
_NAME = "stable-baselines3 file"


@frozen
class _Algorithm:
    """What is known of a policy class: its algorithms, their network, and how an action comes of it."""

    name: str
    parts: tuple[str, ...]  # prefixes of the modules, in the order in which they are used
    activation: str  # the default of the class
    squashes: bool


ALGORITHMS = {  # by the module of the policy class
    "stable_baselines3.common.policies": _Algorithm(
        "PPO or A2C", ("mlp_extractor.shared_net.", "mlp_extractor.policy_net.", "action_net"), "Tanh", False
    ),
    "stable_baselines3.sac.policies": _Algorithm("SAC", ("actor.latent_pi.", "actor.mu"), "ReLU", True),
    "stable_baselines3.td3.policies": _Algorithm("TD3 or DDPG", ("actor.mu.",), "ReLU", True),
    "stable_baselines3.dqn.policies": _Algorithm("DQN", ("q_net.q_net.",), "ReLU", False),
}
_OTHER_PARTS = (  # what the deterministic action does not need
    "mlp_extractor.value_net.",
    "value_net.",
    "log_std",
    "actor.log_std",
    "actor_target.",
    "critic.",
    "critic_target.",
    "q_net_target.",
)
_POLICY_ARGUMENTS = {  # of policies that do not change what the network computes, or are read below
    "net_arch",
    "activation_fn",
    "squash_output",
    "use_sde",
    "ortho_init",
    "log_std_init",
    "full_std",
    "use_expln",
    "clip_mean",
    "optimizer_class",
    "optimizer_kwargs",
    "share_features_extractor",
    "normalize_images",
    "n_critics",
    ":type:",
    ":serialized:",
}
_DEFAULTS = {  # the arguments of torch.nn's activations that policies make without arguments
    "GELU": {"approximate": "none"},
    "ELU": {"alpha": 1.0},
    "CELU": {"alpha": 1.0},
    "LeakyReLU": {"negative_slope": 0.01},
    "RReLU": {"lower": 1 / 8, "upper": 1 / 3},
    "Softplus": {"beta": 1.0, "threshold": 20.0},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
}
_KNOWN_BY_NAME = re.compile(r"<class 'torch\.nn\.modules\.(?:activation|linear)\.([A-Za-z0-9]{1,40})'>")


@frozen(eq=False)
class _Model:
    """What a file or a model object says."""

    policy_class: str
    module: str
    arguments: Mapping[str, Any]  # policy_kwargs
    tensors: dict[str, NDArray[Any]]
    observation_space: Mapping[str, Any]
    action_space: Mapping[str, Any]
    version: str
    original: Callable[[NDArray[Any]], Any] | None = None


def read_policy(
    source: Any,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    observation_scaling: Any = None,
    activation: str | Activation | None = None,
    engine: str = "auto",
    n_threads: Any = "auto",
) -> Policy:
    """Return the policy of a file of stable-baselines3, or of a model; see `fastmlp.from_stable_baselines3`."""
    if isinstance(source, (str, bytes, os.PathLike)):
        model = _of_file(source)
    elif hasattr(source, "policy") and hasattr(source, "action_space"):
        model = _of_object(source)
        if type(source.action_space).__name__ == "Box":
            low = source.action_space.low if low is None else low
            high = source.action_space.high if high is None else high
    else:
        raise TypeError(f"source: expected a path or a model of stable-baselines3, got {type(source).__name__}")
    algorithm = ALGORITHMS.get(model.module)
    if algorithm is None:
        refuse(
            f"policy class {model.policy_class!r:.100}",
            f"a class of {model.module!r:.100}, whose forward is not known",
            "policies of stable-baselines3 itself are: PPO, A2C, SAC, TD3, DDPG, DQN",
        )
    notes: list[str] = []
    body = _body(model, algorithm, _activation(model, algorithm, activation, notes))
    n_inputs = check_shapes(body)
    encode = _observations(model.observation_space, n_inputs)
    before = _normalisation(observation_scaling, model.observation_space, n_inputs)
    make, after, kwargs = _actions(model, algorithm, body, low, high)
    chain = Chain(
        (*before, *body, *after),
        "stable-baselines3",
        model.version,
        torch_layers.dtype_of(model.tensors),
        n_inputs,
        original=None if before or encode is not None else model.original,
        folded=tuple(notes),
    )
    return make(network(chain, engine=engine, n_threads=n_threads), encode, **kwargs)


# ------------------------------------------------------------------------------------------------- files and objects


def _of_file(source: str | os.PathLike[str] | bytes) -> _Model:
    with Archive(source, _NAME) as archive:
        for member in ("data", "policy.pth"):
            if member not in archive:
                raise FormatError(
                    f"{_NAME}: expected a zip archive as model.save writes, with data and policy.pth, got one without "
                    f"{member!r}"
                )
        data = _json(archive.read("data"))
        tensors = torch_file.tensors_of_file(archive.read("policy.pth"), "policy.pth")
        version = archive.read("_stable_baselines3_version") if "_stable_baselines3_version" in archive else b""
    policy, arguments = _object(data, "policy_class"), _object(data, "policy_kwargs", {})
    shown = version.decode("ascii", "replace").strip()
    return _Model(
        policy_class=_first_name(policy.get("__doc__")) or "unknown",
        module=str(policy.get("__module__")),
        arguments=arguments | ({"use_sde": True} if data.get("use_sde") is True else {}),
        tensors=tensors,
        observation_space=_object(data, "observation_space"),
        action_space=_object(data, "action_space"),
        version=shown if re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", shown) else "",
    )


def _first_name(doc: object) -> str:
    """Return the first line of a docstring, which tells a reader which policy class it is."""
    return doc.strip().splitlines()[0].strip() if isinstance(doc, str) and doc.strip() else ""


def _json(data: bytes) -> dict[str, Any]:
    """Parse the member `data`, in which numbers may be infinite; its lists and keys are counted first."""
    try:
        text = data.decode("utf-8")
        if text.count("[") + text.count("{") > strict_json.MAX_CONTAINERS or text.count(":") > strict_json.MAX_KEYS:
            raise ValueError("more lists, objects and keys than a model has")
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{_NAME}: data: expected JSON, got {type(error).__name__}: {error!s:.150}") from None
    if not isinstance(value, dict):
        raise FormatError(f"{_NAME}: data: expected an object, got {type(value).__name__}")
    return value


def _object(data: Mapping[str, Any], key: str, default: Any = None) -> dict[str, Any]:
    value = data.get(key, default)
    if value is None and default is not None:
        value = default
    if not isinstance(value, dict):
        raise FormatError(f"{_NAME}: data: {key}: expected an object, got {value!r:.60}")
    return value


def _of_object(model: Any) -> _Model:
    policy = model.policy
    arguments = {key: str(value) if isinstance(value, type) else value for key, value in model.policy_kwargs.items()}
    if getattr(policy, "activation_fn", None) is not None:
        arguments["activation_fn"] = str(policy.activation_fn)
    if getattr(policy, "features_extractor_class", None) is not None:
        arguments["features_extractor_class"] = str(policy.features_extractor_class)

    def original(X: NDArray[Any]) -> Any:
        return policy.predict(X, deterministic=True)[0]

    actions = _space(model.action_space)
    squashed = actions[":type:"].endswith("Box'>") and bool(policy.squash_output)
    return _Model(
        policy_class=type(policy).__name__,
        module=type(policy).__module__,
        arguments=arguments | {"use_sde": bool(getattr(model, "use_sde", False))},
        tensors={name: torch_file.array(tensor).copy() for name, tensor in policy.state_dict().items()},
        observation_space=_space(model.observation_space),
        action_space=actions,
        version=_installed_version(),
        original=original if squashed else None,
    )


def _installed_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("stable-baselines3")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _space(space: Any) -> dict[str, Any]:
    """Return a space of gymnasium as the JSON of a file describes it."""
    described: dict[str, Any] = {":type:": str(type(space)), "_shape": space.shape and list(space.shape), "dtype": str(space.dtype)}
    for name in ("n", "nvec"):
        if hasattr(space, name):
            described[name] = str(getattr(space, name)).replace(",", " ")
    return described


# --------------------------------------------------------------------------------------------------- the network


def _activation(
    model: _Model, algorithm: _Algorithm, given: str | Activation | None, notes: list[str]
) -> tuple[str, Any]:
    """Return the hidden layers' activation: the name of a class of torch.nn, or ("", an Activation)."""
    text = model.arguments.get("activation_fn")
    found = None if text is None else _KNOWN_BY_NAME.fullmatch(str(text))
    name = algorithm.activation if text is None else found[1] if found else ""
    if given is not None:
        resolved = activations.resolve("activation", given, output=False)
        known = () if text is None or not name else _steps_of(name, None, 1)
        said = known[0].activation if len(known) == 1 and isinstance(known[0], Activate) else resolved
        if said != resolved:
            raise ValueError(f"activation: expected {said!r}, which the file says, or None, got {resolved!r}")
        return "", resolved
    if not name:
        raise FormatError(
            f"activation: expected the activation of the hidden layers, as the file says it only as {text!r:.100}; give "
            "activation=..., such as fastmlp.LeakyReLU(0.2)"
        )
    if text is None:
        notes.append(f"activation {name}: the default of the policies of {algorithm.name}, as the file names none")
    return name, None


def _steps_of(name: str, activation: Activation | None, width: int, place: str = "") -> tuple[Step, ...]:
    """Return the steps of an activation, by its name in torch.nn or as an object."""
    if activation is not None:
        return (Activate(activation, place),)

    class Arguments:
        pass

    arguments = Arguments()
    vars(arguments).update(_DEFAULTS.get(name, {}))
    made = None if name in ("Flatten", "Softmax", "LogSoftmax", "Threshold") else torch_functions.of_module(arguments, name, place, width)
    if made is None:
        refuse("activation_fn", f"{name!r:.60}", "it has no equal here")
    return made


def _body(model: _Model, algorithm: _Algorithm, activation: tuple[str, Any]) -> tuple[Step, ...]:
    """Return the steps from observations to the outputs of the last linear layer, and a clip of them by SAC."""
    unknown = model.arguments.keys() - _POLICY_ARGUMENTS - {"features_extractor_class", "features_extractor_kwargs"}
    extractor = str(model.arguments.get("features_extractor_class", "FlattenExtractor'>"))
    if unknown or not extractor.endswith("FlattenExtractor'>") or model.arguments.get("features_extractor_kwargs"):
        found = ", ".join(sorted(unknown)) or "a features_extractor_class of its own"
        refuse("policy_kwargs", f"{found!s:.100}", "what it computes is not known")
    parts: list[dict[str, NDArray[Any]]] = [{} for _ in algorithm.parts]
    for name, tensor in model.tensors.items():
        part = next((i for i, prefix in enumerate(algorithm.parts) if name.startswith(prefix)), None)
        if part is not None:
            parts[part][name] = tensor
        elif not name.startswith(_OTHER_PARTS):
            refuse(f"tensor {name!r:.100}", f"a part that the policies of {algorithm.name} do not have", "such as a features extractor")
    modules = [
        each for part in parts for each in sorted(torch_layers.modules(part), key=lambda module: _number_key(module.name))
    ]
    if not modules or not modules[-1].is_linear or not parts[-1]:
        refuse("policy.pth", f"no layer {algorithm.parts[-1]!r}", f"policies of {algorithm.name} have it")
    steps: list[Step] = []
    for module, after in zip(modules, [*modules[1:], None], strict=True):
        if not (module.is_linear or module.is_activation):
            refuse(f"module {module.name!r:.100}", "a BatchNorm1d", "policies of stable-baselines3 have none")
        steps += module.steps
        if module.is_linear and after is not None and not after.is_activation:
            width = len(getattr(module.steps[0], "bias", ()))
            steps += _steps_of(*activation, width, f"activation after {module.name}")
    if modules[-1].name == "actor.mu.0" and algorithm.name == "SAC":  # with use_sde, a Hardtanh comes after it
        bound = model.arguments.get("clip_mean", 2.0)
        if type(bound) not in (int, float) or not 0 < bound < math.inf:
            refuse("policy_kwargs: clip_mean", f"{bound!r:.60}", "a number above 0 is expected")
        steps.append(Activate(HardTanh(-float(bound), float(bound)), "clip_mean"))
    return tuple(steps)


# -------------------------------------------------------------------------------------------------- observations


def _kind(space: Mapping[str, Any], what: str) -> str:
    """Return the name of a space's class: Box, Discrete, MultiDiscrete, MultiBinary."""
    found = re.fullmatch(r"<class 'gym(?:nasium)?\.spaces\.[a-z_]{1,40}\.([A-Za-z]{1,40})'>", str(space.get(":type:")))
    if found is None or found[1] not in ("Box", "Discrete", "MultiDiscrete", "MultiBinary"):
        refuse(what, f"the space {space.get(':type:')!r:.80}", "Box, Discrete, MultiDiscrete and MultiBinary are known")
    return found[1]


def _shape(space: Mapping[str, Any], what: str) -> tuple[int, ...]:
    shape = space.get("_shape")
    if not isinstance(shape, list) or not all(type(n) is int and 0 < n < 2**31 for n in shape) or len(shape) > 32:
        raise FormatError(f"{what}: _shape: expected a list of lengths, got {shape!r:.60}")
    return tuple(shape)


def _counts(space: Mapping[str, Any], key: str, what: str) -> tuple[int, ...]:
    """Return integers that are written as text, such as "3" or "[3 4]"."""
    text = str(space.get(key))
    numbers = tuple(int(digits) for digits in re.findall("[0-9]{1,9}", text))
    if not re.fullmatch(r"\[?[0-9\s]+\]?", text) or not all(numbers):
        raise FormatError(f"{what}: {key}: expected numbers of values, got {text!r:.60}")
    return numbers


def _observations(space: Mapping[str, Any], n_inputs: int) -> Callable[[Any], Any] | None:
    """Return what makes the network's inputs of an observation; None if it is a vector already."""
    what = "observation_space"
    kind = _kind(space, what)
    if kind in ("Discrete", "MultiDiscrete"):
        n_values = _counts(space, "n" if kind == "Discrete" else "nvec", what)
        if sum(n_values) != n_inputs:
            refuse(what, f"{sum(n_values)} values for {n_inputs} inputs")
        return OneHot(n_values, is_single=kind == "Discrete")
    shape = _shape(space, what)
    if len(shape) == 3 and space.get("dtype") == "uint8":
        refuse(what, "images, which the policy divides by 255 or not", "only vectors of numbers are understood")
    if math.prod(shape) != n_inputs:
        refuse(what, f"observations of shape {shape} for {n_inputs} inputs")
    return None if len(shape) == 1 else Flatten(shape)


def _normalisation(given: Any, space: Mapping[str, Any], n_inputs: int) -> tuple[Step, ...]:
    """Return the steps of VecNormalize: clip((x - mean) / sqrt(var + epsilon), -clip, clip)."""
    name = "observation_scaling"
    if given is None:
        return ()
    if _kind(space, "observation_space") in ("Discrete", "MultiDiscrete"):
        raise ValueError(f"{name}: expected None for observations that are no numbers, got {given!r:.60}")
    clip, epsilon = CLIP, EPSILON
    if isinstance(given, (str, bytes, os.PathLike)):
        raise TypeError(
            f"{name}: expected the statistics, got a path: VecNormalize.save writes a pickle, which can run any code and "
            "is not opened here; where you trust it, give VecNormalize.load(path, env), or its obs_rms.mean and "
            "obs_rms.var as (mean, var)"
        )
    if isinstance(given, Scaling):
        _check_length(name, given.offset, n_inputs)
        return (Affine(given.offset, given.scale, name),)
    if hasattr(given, "obs_rms"):
        if not given.norm_obs:
            return ()
        mean, var = _statistics(given.obs_rms)
        clip, epsilon = given.clip_obs, given.epsilon
    elif isinstance(given, Mapping):
        values = {"clip": clip, "epsilon": epsilon, **given}
        if set(values) != {"mean", "var", "clip", "epsilon"}:
            raise ValueError(f"{name}: expected mean, var and perhaps clip and epsilon, got {', '.join(map(str, given))!s:.100}")
        mean, var, clip, epsilon = (values[key] for key in ("mean", "var", "clip", "epsilon"))
    elif isinstance(given, (tuple, list)) and len(given) == 2:
        mean, var = given
    else:
        mean, var = _statistics(given)
    mean, var = (np.array(each, np.float64).ravel() for each in (mean, var))
    clip, epsilon = float(clip), float(epsilon)
    for each in (mean, var):
        _check_length(name, each, n_inputs)
    if not (np.isfinite(mean).all() and np.isfinite(var).all() and (var + epsilon > 0).all() and clip > 0):
        raise ValueError(f"{name}: expected finite numbers, variances of at least 0 and a clip above 0, got others")
    steps: tuple[Step, ...] = (Affine(mean, np.sqrt(var + epsilon), name),)
    if clip < float(np.finfo(np.float32).max):
        steps += (Activate(HardTanh(-clip, clip), f"{name}: clip"),)
    return steps


def _statistics(given: Any) -> tuple[Any, Any]:
    """Return mean and variance of a RunningMeanStd."""
    if not hasattr(given, "mean") or not hasattr(given, "var") or isinstance(given, np.ndarray):
        raise TypeError(
            f"observation_scaling: expected a VecNormalize, its obs_rms, (mean, var), a dictionary of mean, var, clip and "
            f"epsilon, or a Scaling, got {type(given).__name__}"
        )
    return given.mean, given.var


def _check_length(name: str, numbers: NDArray[Any], n_inputs: int) -> None:
    if len(numbers) != n_inputs:
        raise ValueError(f"{name}: expected {n_inputs} numbers, one for each input, got {len(numbers)}")


# ------------------------------------------------------------------------------------------------------- actions


def _actions(
    model: _Model, algorithm: _Algorithm, body: tuple[Step, ...], low: Any, high: Any
) -> tuple[type[Policy], tuple[Step, ...], dict[str, Any]]:
    """Return the class of the policy, the network's steps after the body, and the class's arguments."""
    space, what = model.action_space, "action_space"
    kind = _kind(space, what)
    n_outputs = next(len(step.bias) for step in reversed(body) if isinstance(step, Linear))
    if kind == "Box":
        return _box(model, algorithm, n_outputs, low, high)
    for name, bound in (("low", low), ("high", high)):
        if bound is not None:
            raise ValueError(f"{name}: expected None, as the actions are {kind} and have no bounds, got {bound!r:.60}")
    if kind == "MultiBinary":
        shape = _shape(space, what)
        n_values, expected = shape, math.prod(shape)
    else:
        n_values = _counts(space, "n" if kind == "Discrete" else "nvec", what)
        shape, expected = () if kind == "Discrete" else (len(n_values),), sum(n_values)
    if expected != n_outputs or (kind == "Discrete" and len(n_values) != 1):
        refuse(what, f"{kind} of {n_values!s:.60} for {n_outputs} outputs")
    kwargs: dict[str, Any] = {"action_shape": shape}
    if kind == "MultiDiscrete":
        return MultiDiscrete, (), kwargs | {"n_values": n_values}
    return (Discrete if kind == "Discrete" else MultiBinary), (), kwargs


def _box(
    model: _Model, algorithm: _Algorithm, n_outputs: int, low: Any, high: Any
) -> tuple[type[Policy], tuple[Step, ...], dict[str, Any]]:
    space, what = model.action_space, "action_space"
    shape, dtype = _shape(space, what), str(space.get("dtype"))
    if math.prod(shape) != n_outputs:
        refuse(what, f"actions of shape {shape} for {n_outputs} outputs")
    if dtype not in ("float32", "float64"):
        refuse(what, f"actions of the type {dtype!r:.40}", "float32 and float64 are known")
    bounds = [_bound(name, given, space, shape, dtype) for name, given in (("low", low), ("high", high))]
    if not (bounds[0] < bounds[1]).all():
        raise ValueError("low: expected numbers below those of high, got others")
    kwargs = {"action_shape": shape, "low": bounds[0], "high": bounds[1], "dtype": np.dtype(dtype)}
    squash = model.arguments.get("squash_output", False)
    if squash not in (True, False):
        refuse("policy_kwargs: squash_output", f"{squash!r:.40}")
    if not (algorithm.squashes or squash):
        return Clipped, (), kwargs
    lows, highs = (each.astype(np.float64).ravel() for each in bounds)
    if not (np.isfinite(lows).all() and np.isfinite(highs).all()):
        raise ValueError("low, high: expected finite numbers, to which actions are scaled, got infinite ones")
    scaled = Affine.times((highs - lows) / 2, (lows + highs) / 2, "action bounds")
    return Squashed, (Activate(Tanh(), "squashed output"), scaled), kwargs


def _bound(name: str, given: Any, space: Mapping[str, Any], shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
    """Return a bound of the actions in the space's shape and dtype, which must not contradict what the file prints."""
    printed = space.get(name)
    if given is None:
        shown = f", rounded as NumPy prints it: {printed!s:.80}" if isinstance(printed, str) else ""
        raise FormatError(
            f"{name}: expected the bounds of the environment's actions as low= and high= (env.action_space.{name}), which "
            f"the file has only inside a pickle{shown}"
        )
    try:
        bound = np.broadcast_to(np.asarray(given, np.float64), shape).astype(dtype)
    except (ValueError, TypeError):
        raise ValueError(f"{name}: expected a number, or numbers of shape {shape}, got {given!r:.60}") from None
    if np.isnan(bound).any():
        raise ValueError(f"{name}: expected numbers, got NaN")
    rounded = _printed(printed, bound.size)
    if rounded is not None:
        number, error = rounded
        flat = bound.astype(np.float64).ravel()
        with np.errstate(invalid="ignore"):
            fits = (flat == number) | (np.abs(flat - number) <= error + 1e-6 * np.abs(number))
        if not fits.all():
            raise ValueError(f"{name}: expected what the file prints, {printed!s:.80}, got {given!r:.60}")
    return bound


def _printed(text: object, size: int) -> tuple[NDArray[Any], NDArray[Any]] | None:
    """Return the numbers that NumPy has printed, and by how much each may be rounded; None if they are not all there."""
    if not isinstance(text, str) or "..." in text:
        return None
    words = re.findall(r"[-+]?(?:inf|[0-9]{1,40}\.?[0-9]{0,40}(?:e[-+]?[0-9]{1,3})?)", text)
    if len(words) != size:
        return None
    errors = []
    for word in words:
        digits, _, exponent = word.partition("e")
        errors.append(0.5 * 10.0 ** (int(exponent or 0) - len(digits.partition(".")[2])))
    return np.array([float(word) for word in words]), np.array(errors)
