"""stable-baselines3's models as policies: `policy`, of a file (whose pickles stay closed) or of a model object.

A file is a zip: `data` is JSON, with cloudpickled objects beside their texts, and `policy.pth` a state dict. It names
neither the algorithm nor the default activation; the class of the policy, which the JSON names, says both. It has
the bounds of actions only as NumPy prints them, rounded, so they are asked for. Whether observations were normalised it
does not say: VecNormalize keeps its statistics in a file of its own, a pickle.
"""

from __future__ import annotations

import functools
import json
import math
import os
import re
from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import activations
from ..activations import Activation, HardTanh, Tanh
from ..errors import FormatError
from ..formats import strict_json
from ..frozen import frozen
from ..policy import Clipped, Discrete, MultiBinary, MultiDiscrete, OneHot, Policy, Squashed
from . import observation_scaling as statistics
from . import policy_spaces as spaces
from . import torch_file, torch_functions, torch_layers
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .checking import network
from .torch_spec import check_shapes, number_key
from .zip_members import Archive

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

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
_DEFAULTS: dict[str, dict[str, Any]] = {  # the arguments of torch.nn's activations that policies make without arguments
    "GELU": {"approximate": "none"},
    "ELU": {"alpha": 1.0},
    "CELU": {"alpha": 1.0},
    "LeakyReLU": {"negative_slope": 0.01},
    "RReLU": {"lower": 1 / 8, "upper": 1 / 3},
    "Softplus": {"beta": 1.0, "threshold": 20.0},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
}
_EXTRACTOR = "<class 'stable_baselines3.common.torch_layers.FlattenExtractor'>"
_KNOWN_BY_NAME = re.compile(r"<class 'torch\.nn\.modules\.(?:activation|linear)\.([A-Za-z0-9]{1,40})'>")


@frozen(eq=False)
class _Model:
    """What a file or a model object says."""

    module: str  # of the policy's class
    arguments: Mapping[str, Any]  # policy_kwargs
    tensors: dict[str, NDArray[Any]]
    observation_space: Mapping[str, Any]
    action_space: Mapping[str, Any]
    version: str
    original: Callable[[NDArray[Any]], Any] | None = None


def policy(
    source: Any,
    *,
    low: ArrayLike | None = None,
    high: ArrayLike | None = None,
    observation_scaling: Any = None,
    activation: str | Activation | None = None,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Any = "auto",
) -> Policy:
    """Return the policy of a file of stable-baselines3, or of a model; see `fastmlp.from_stable_baselines3`."""
    notes: list[str] = []
    if isinstance(source, (str, bytes, os.PathLike)):
        model = _of_file(source)
    elif hasattr(source, "policy") and hasattr(source, "action_space"):
        model = _of_object(source)
        if type(source.action_space).__name__ == "Box":
            low = source.action_space.low if low is None else low
            high = source.action_space.high if high is None else high
        env = source.get_vec_normalize_env() if hasattr(source, "get_vec_normalize_env") else None
        if observation_scaling is None and env is not None and env.norm_obs:
            observation_scaling = env
            notes.append("observations are normalised by the statistics of the model's VecNormalize")
    else:
        raise TypeError(f"model: expected a path or a model of stable-baselines3, got {type(source).__name__}")
    algorithm = ALGORITHMS.get(model.module)
    if algorithm is None:
        refuse(
            "policy_class",
            f"a class of the module {model.module!r:.100}, whose forward is not known",
            "policies of stable-baselines3 itself are: PPO, A2C, SAC, TD3, DDPG, DQN",
        )
    body = _body(model, algorithm, _activation(model, algorithm, activation, notes))
    n_inputs = check_shapes(body)
    encode = spaces.observations(model.observation_space, n_inputs)
    if isinstance(encode, OneHot) and observation_scaling is not None:
        raise ValueError(
            f"observation_scaling: expected None for discrete observations, got {observation_scaling!r:.60}"
        )
    before = statistics.steps(observation_scaling, n_inputs)
    make, after, kwargs = _actions(model, algorithm, body, low, high)
    chain = Chain(
        (*before, *body, *after),
        "stable-baselines3",
        model.version,
        torch_layers.dtype_of(model.tensors),
        n_inputs,
        original=None if before else model.original,
        folded=tuple(notes),
    )
    return make(network(chain, dtype=dtype, engine=engine, n_threads=n_threads), encode, **kwargs)


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
    policy_class, arguments = _object(data, "policy_class"), _object(data, "policy_kwargs", {})
    shown = version.decode("ascii", "replace").strip()
    return _Model(
        module=str(policy_class.get("__module__")),
        arguments=arguments | ({"use_sde": True} if data.get("use_sde") is True else {}),
        tensors=tensors,
        observation_space=_object(data, "observation_space"),
        action_space=_object(data, "action_space"),
        version=shown if re.fullmatch(r"[0-9A-Za-z.+-]{1,40}", shown) else "",
    )


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
    theirs = model.policy
    for each in (model, theirs):
        if not str(getattr(each.predict, "__module__", "")).startswith("stable_baselines3."):
            refuse("predict", f"a {type(each).__name__} with a predict of its own", "what it computes is not known")
    arguments = {key: str(value) if isinstance(value, type) else value for key, value in model.policy_kwargs.items()}
    if getattr(theirs, "activation_fn", None) is not None:
        arguments["activation_fn"] = str(theirs.activation_fn)
    if getattr(theirs, "features_extractor_class", None) is not None:
        arguments["features_extractor_class"] = str(theirs.features_extractor_class)
    for name, module in theirs.named_modules():  # which may have been replaced
        if name.endswith("features_extractor") and str(type(module)) != _EXTRACTOR:
            arguments["features_extractor_class"] = str(type(module))
    return _Model(
        module=type(theirs).__module__,
        arguments=arguments | {"use_sde": bool(getattr(model, "use_sde", False))},
        tensors={name: torch_file.array(tensor).copy() for name, tensor in theirs.state_dict().items()},
        observation_space=_space(model.observation_space),
        action_space=_space(model.action_space),
        version=_installed_version(),
        original=functools.partial(_outputs, theirs),
    )


def _outputs(theirs: Any, X: NDArray[Any]) -> Any:
    """Return what a policy object computes of vectors: actions where it squashes them, else what comes before."""
    import torch

    with torch.no_grad():
        x = torch.as_tensor(X, device=theirs.device)
        if hasattr(theirs, "action_net"):
            y = theirs.action_net(theirs.mlp_extractor.forward_actor(x))
        elif hasattr(theirs, "q_net"):
            y = theirs.q_net.q_net(x)
        else:
            actor = theirs.actor
            y = actor.mu(actor.latent_pi(x) if hasattr(actor, "latent_pi") else x)
        space = theirs.action_space
        if not (type(space).__name__ == "Box" and theirs.squash_output):
            return torch_file.array(y)
        is_squashed = hasattr(theirs, "actor") and not hasattr(theirs.actor, "latent_pi")  # of TD3 and DDPG
        actions = torch_file.array(y if is_squashed else torch.tanh(y))
        return theirs.unscale_action(actions.reshape(-1, *space.shape)).reshape(len(X), -1)


def _installed_version() -> str:
    import importlib.metadata

    try:
        return importlib.metadata.version("stable-baselines3")
    except importlib.metadata.PackageNotFoundError:
        return ""


def _space(space: Any) -> dict[str, Any]:
    """Return a space of gymnasium as the JSON of a file describes it."""
    described: dict[str, Any] = {
        ":type:": str(type(space)),
        "_shape": space.shape and list(space.shape),
        "dtype": str(space.dtype),
    }
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
            f"activation: expected the activation of the hidden layers, as the file says it only as {text!r:.100}; "
            "give activation=..., such as fastmlp.LeakyReLU(0.2)"
        )
    if text is None:
        notes.append(f"activation {name}: the default of the policies of {algorithm.name}, as the file names none")
    return name, None


def _steps_of(name: str, activation: Activation | None, width: int, place: str = "") -> tuple[Step, ...]:
    """Return the steps of an activation, by its name in torch.nn or as an object."""
    if activation is not None:
        return (Activate(activation, place),)

    defaults = SimpleNamespace(**_DEFAULTS.get(name, {}))
    is_one = name not in ("Flatten", "Softmax", "LogSoftmax", "Threshold")
    made = torch_functions.of_module(defaults, name, place, width) if is_one else None
    if made is None:
        refuse("activation_fn", f"{name!r:.60}", "it has no equal here")
    return made


def _modules(model: _Model, algorithm: _Algorithm) -> list[torch_layers.Module]:
    """Return the modules of the network in their order, after a check that the policy has no others before them."""
    unknown = model.arguments.keys() - _POLICY_ARGUMENTS - {"features_extractor_class", "features_extractor_kwargs"}
    extractor = str(model.arguments.get("features_extractor_class", _EXTRACTOR))
    if unknown or extractor != _EXTRACTOR or model.arguments.get("features_extractor_kwargs"):
        found = ", ".join(sorted(unknown)) or "a features_extractor_class of its own"
        refuse("policy_kwargs", f"{found!s:.100}", "what it computes is not known")
    parts: list[dict[str, NDArray[Any]]] = [{} for _ in algorithm.parts]
    for name, tensor in model.tensors.items():
        part = next((i for i, prefix in enumerate(algorithm.parts) if name.startswith(prefix)), None)
        if part is not None:
            parts[part][name] = tensor
        elif not name.startswith(_OTHER_PARTS):
            refuse(
                f"tensor {name!r:.100}",
                f"a part that the policies of {algorithm.name} do not have",
                "such as a features extractor",
            )
    modules = [
        each
        for part in parts
        for each in sorted(torch_layers.modules(part), key=lambda module: number_key(module.name))
    ]
    if not modules or not modules[-1].is_linear or not parts[-1]:
        refuse("policy.pth", f"no layer {algorithm.parts[-1]!r}", f"policies of {algorithm.name} have it")
    return modules


def _body(model: _Model, algorithm: _Algorithm, activation: tuple[str, Any]) -> tuple[Step, ...]:
    """Return the steps from observations to the outputs of the last linear layer, and a clip of them by SAC."""
    modules = _modules(model, algorithm)
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


# ------------------------------------------------------------------------------------------------------- actions


def _actions(
    model: _Model, algorithm: _Algorithm, body: tuple[Step, ...], low: Any, high: Any
) -> tuple[type[Policy], tuple[Step, ...], dict[str, Any]]:
    """Return the class of the policy, the network's steps after the body, and the class's arguments."""
    space, what = model.action_space, "action_space"
    kind = spaces.kind(space, what)
    n_outputs = next(len(step.bias) for step in reversed(body) if isinstance(step, Linear))
    if kind == "Box":
        return _box(model, algorithm, n_outputs, low, high)
    for name, bound in (("low", low), ("high", high)):
        if bound is not None:
            raise ValueError(f"{name}: expected None, as the actions are {kind} and have no bounds, got {bound!r:.60}")
    if kind == "MultiBinary":
        shape = spaces.shape(space, what)
        n_values, expected = shape, math.prod(shape)
    else:
        n_values = spaces.counts(space, "n" if kind == "Discrete" else "nvec", what)
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
    shape, dtype = spaces.shape(space, what), str(space.get("dtype"))
    if math.prod(shape) != n_outputs:
        refuse(what, f"actions of shape {shape} for {n_outputs} outputs")
    if dtype not in ("float32", "float64"):
        refuse(what, f"actions of the type {dtype!r:.40}", "float32 and float64 are known")
    bounds = [spaces.bound(name, given, space, shape, dtype) for name, given in (("low", low), ("high", high))]
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
