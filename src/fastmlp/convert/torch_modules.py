"""Modules of PyTorch as chains: an nn.Sequential, or a module whose forward is one layer after another.

Other modules are traced with torch.fx, which runs their forward with stand-ins for tensors; each operation must take
what the one before gives. What a module computes is what it computes in evaluation. Importing this imports torch.
"""

from __future__ import annotations

import contextlib
import operator
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from . import torch_file, torch_functions, torch_layers
from .chain import ROUNDING, Affine, Chain, Linear, Step, refuse
from .torch_layers import EPS
from .torch_spec import check_shapes

if TYPE_CHECKING:
    from ..activations import Activation
    from ..network import Network

_WITH_TENSORS = (nn.Linear, nn.BatchNorm1d, nn.SyncBatchNorm, nn.PReLU)
_ADVICE = "load its layers one by one with Network.set_layer, or let the module end before it"
_NO_EQUAL = "no multilayer perceptron is equal to it; only what follows it, or ends before it, can be imported"
_SAME = {  # functions and methods that change no value, and the type of numbers for which that is so
    **dict.fromkeys(("detach", "contiguous", "clone"), None),
    "float": torch.float32,
    "double": torch.float64,
}


def read(
    source: Any,
    *,
    activation: str | Activation | Sequence[str | Activation] | None = None,
    output_activation: str | Activation | None = None,
    layers: Sequence[str | Activation] | None = None,
    ignore_unused: bool | None = None,
    eps: float = EPS,
    entry: str | None = None,
) -> Chain:
    """Return the chain of a module, a state dict or a file; see `from_torch`."""
    arguments = {
        "activation": activation,
        "output_activation": output_activation,
        "layers": layers,
        "ignore_unused": ignore_unused,
        "eps": None if eps == EPS else eps,
        "entry": entry,
    }
    given = {name: value for name, value in arguments.items() if value is not None}
    if not isinstance(source, nn.Module):
        if not isinstance(source, (str, bytes, os.PathLike, Mapping)):
            exported = "; give the module that it was made of" if hasattr(source, "graph_module") else ""
            found = f"{type(source).__name__}{exported}"
            raise TypeError(f"model: expected a torch.nn.Module, a state dict or a path, got {found}")
        return torch_file.read(source, **given)  # type: ignore[arg-type]
    if given:
        raise ValueError(f"{', '.join(given)}: only for a state dict, as a module has its activations itself")
    return _Reader(source).chain()


class _Reader:
    """Collects the steps of a module."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.steps: list[Step] = []
        self.folded: list[str] = []
        self.width = 0  # the number of columns so far
        self.dtype = next((each.dtype for each in module.parameters()), torch.float32)  # of all, as is checked
        self.is_cut = False  # whether a softplus is cut where that shows in float64

    def chain(self) -> Chain:
        if isinstance(self.module, torch.jit.ScriptModule):
            refuse("module", "a TorchScript module", "import the module that it was made of")
        training = self.module.training
        with _evaluation(self.module), torch.no_grad():
            self.width = _n_inputs(self.module)
            self._add(self.module, "")
        if training:
            self.folded.append("the module was in training mode; the network computes what it does after eval()")
        steps = tuple(self.steps)
        if not any(isinstance(step, Linear) for step in steps):
            refuse("module", f"a {type(self.module).__name__} without a linear layer")
        n_inputs = check_shapes(steps)
        tensors = list(self.module.parameters())
        wide = {tensor.dtype for tensor in tensors}
        if len(wide) > 1 or not wide <= {torch.float32, torch.float64, torch.float16, torch.bfloat16}:
            refuse("module", f"parameters of the types {', '.join(sorted(map(str, wide)))}", "use one type of floats")
        dtype = wide.pop() if wide else torch.float32
        chain_dtype = "float64" if dtype == torch.float64 else "float32"
        arithmetic = "float32" if dtype == torch.float64 and self.is_cut else str(dtype).removeprefix("torch.")
        return Chain(
            steps,
            "PyTorch",
            torch.__version__,
            chain_dtype,
            n_inputs,
            original=_outputs(self.module, dtype),
            rounding=0.0 if arithmetic == chain_dtype else ROUNDING[arithmetic],
            folded=tuple(self.folded),
        )

    # -- modules -----------------------------------------------------------------------------------------------------

    def _add(self, module: nn.Module, name: str) -> None:
        module = _unwrapped(module)
        kind = _class_of(module)
        place = f"module {name!r} ({type(module).__name__})" if name else f"module ({type(module).__name__})"
        _check_call(module, place)
        if kind is nn.Sequential:
            for key, child in module._modules.items():  # named_children leaves out a module that is there twice
                assert child is not None
                self._add(child, f"{name}.{key}".lstrip("."))
        elif kind in _WITH_TENSORS:
            self._add_parameters(module, name, place)
        elif kind is not None:
            made = torch_functions.of_module(module, kind.__name__, place, self.width)
            if made is None:
                refuse(place, f"the layer {type(module).__name__}", _NO_EQUAL)
            self._append(made, place, "" if made else f"{place}: left out")
            if kind is nn.Softplus:
                self._note_cut(float(module.threshold), place)
        elif hasattr(module, "chain_steps"):
            ours: Any = module
            self._append(ours.chain_steps(place), place)
        elif type(module).__module__.startswith("torch.nn."):
            refuse(place, f"the layer {type(module).__name__}", _NO_EQUAL)
        else:
            self._trace(module, name, place)

    def _append(self, made: Sequence[Step], place: str, note: str = "") -> None:
        for step in made:
            if isinstance(step, Linear):
                self.width = len(step.bias)
        self.steps += made
        if note:
            self.folded.append(note)

    def _add_parameters(self, module: nn.Module, name: str, place: str) -> None:
        """Add a module that has tensors, read as those of a state dict are."""
        if isinstance(module, nn.Linear):
            for hook in module._forward_pre_hooks.values():  # old weight_norm, spectral_norm and pruning
                hook(module, ())
            given = {key: getattr(module, key) for key in ("weight", "bias")}  # properties with parametrizations
            state = {key: torch_file.array(tensor) for key, tensor in given.items() if tensor is not None}
            if hasattr(module, "parametrizations") or module._forward_pre_hooks:
                self.folded.append(f"{place}: its parametrization")
        else:
            state = {key: torch_file.array(tensor) for key, tensor in module.state_dict().items()}
        eps = getattr(module, "eps", EPS)
        if isinstance(module, nn.modules.batchnorm._BatchNorm) and module.running_mean is None:
            refuse(place, "a BatchNorm1d without running statistics, which depends on the other rows of a batch")
        if isinstance(module, nn.PReLU):
            slopes = state["weight"]
            if not (slopes == slopes[0]).all():
                refuse(place, f"a PReLU of {len(slopes)} slopes", "a PReLU of one slope has an equal, LeakyReLU")
            state["weight"] = slopes[:1]
        named = {f"{name}.{key}".lstrip("."): tensor for key, tensor in state.items()}
        (found,) = torch_layers.modules(named, float(eps))
        self._append(found.steps, place, found.note)

    # -- traces ------------------------------------------------------------------------------------------------------

    def _trace(self, module: nn.Module, name: str, place: str) -> None:
        try:
            graph = fx.Tracer().trace(module)
        except Exception as error:  # whatever the user's forward raises when it is given stand-ins
            refuse(place, f"a forward that torch.fx cannot trace ({type(error).__name__}: {error!s:.150})", _ADVICE)
        current: fx.Node | None = None
        for node in graph.nodes:
            at = f"{place}, operation {node.name!r}"
            if node.op == "placeholder":
                if current is None:
                    current = node
                elif node.users:
                    refuse(
                        at, f"a second input {node.name!r}", "join inputs to one tensor; a number belongs in the module"
                    )
            elif node.op == "output":
                if isinstance(node.args[0], (tuple, list, dict)):
                    refuse(at, f"a {type(node.args[0]).__name__} as output", "return the tensor alone")
                if node.args[0] is not current:
                    refuse(at, "an output that is not the last layer's", _ADVICE)
            elif node.op != "get_attr" and not _is_shape(node):
                self._add_node(module, node, current, name, at)
                current = node

    def _add_node(self, root: nn.Module, node: fx.Node, current: fx.Node | None, name: str, at: str) -> None:
        inputs = [each for each in node.all_input_nodes if each.op != "get_attr" and not _is_shape(each)]
        if inputs != [current]:
            refuse(at, "an operation that does not take what the one before gives", "such as a residual connection")
        if node.op == "call_module":
            if len(node.args) != 1 or node.kwargs:
                refuse(at, "a module that is called with more than one argument")
            self._add(root.get_submodule(str(node.target)), f"{name}.{node.target}".lstrip("."))
            return
        self._add_function(root, node, current, at)

    def _add_function(self, root: nn.Module, node: fx.Node, current: fx.Node | None, at: str) -> None:
        values = [_value(root, each, current, at) for each in node.args]
        keywords = {key: _value(root, each, current, at) for key, each in node.kwargs.items()}
        function = str(node.target) if node.op == "call_method" else _name_of(node.target)
        if function in _ARITHMETIC and not keywords and len(values) <= 2:
            self._append(_ARITHMETIC[function](values, self.width, at), at)
        elif not values or values[0] is not _X:
            refuse(at, f"{function} of other arguments")
        elif self._changes_nothing(function, values[1:], keywords, at):
            self.folded.append(f"{at}: left out")
        elif function == "linear" and len(values) + len(keywords) in (2, 3):
            self._add_linear(dict(zip(("weight", "bias"), values[1:], strict=False)) | keywords, at)
        else:
            made = torch_functions.of_function(function, tuple(values[1:]), keywords, at, self.width)
            if made is None:
                refuse(at, f"the operation {function}", _ADVICE)
            self._append(made, at)
            if function == "softplus":
                self._note_cut(keywords.get("threshold", values[2] if len(values) > 2 else 20.0), at)

    def _changes_nothing(self, function: str, values: list[Any], keywords: Mapping[str, Any], at: str) -> bool:
        """Whether rows stay as they are: moves of the shape, copies, dropout, a type of numbers that they have."""
        given = (*values, *keywords.values())
        if function == "squeeze":
            if given not in ((-1,), (1,)):
                refuse(at, "a squeeze of all axes, which depends on the number of rows", "write squeeze(-1)")
            return self.width == 1
        if function in ("view", "reshape") and values:
            self._check_reshape(values, at)
            return True
        if function in ("dropout", "alpha_dropout", "feature_alpha_dropout"):
            _check_dropout(values, keywords, at)
            return True
        is_same = function in _SAME and not given and _SAME[function] in (None, self.dtype)
        return is_same or (function == "to" and given == (self.dtype,))

    def _note_cut(self, threshold: float, place: str) -> None:
        """Note a softplus that torch replaces by z itself where that is off by more than float64's rounding."""
        if threshold < 34:
            self.is_cut = True
            cut = f"{place}: PyTorch returns z where beta z is above {threshold:g}, the network computes the formula"
            self.folded.append(cut)

    def _add_linear(self, arguments: Mapping[str, Any], at: str) -> None:
        roles = {key: torch_file.array(each) for key, each in arguments.items() if isinstance(each, torch.Tensor)}
        self._append(torch_layers.module(at, roles).steps, at)

    def _check_reshape(self, shape: Sequence[Any], at: str) -> None:
        """Check that a reshape keeps rows (B, n): to (-1, n), or to (B, -1)."""
        sizes = list(shape[0]) if len(shape) == 1 and isinstance(shape[0], (tuple, list)) else list(shape)
        if len(sizes) != 2 or not (sizes == [-1, self.width] or (sizes[0] is _N_ROWS and sizes[1] in (-1, self.width))):
            refuse(at, f"a reshape to {sizes!r:.100}", "rows (B, n) must stay rows")


class _Stand:
    """What an argument of a traced operation stands for."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


_X, _N_ROWS = _Stand("x"), _Stand("number of rows")


def _is_shape(node: fx.Node) -> bool:
    """Whether a node only asks for a shape: x.size(), x.shape, x.shape[0], x.size(0)."""
    if node.op == "call_method":
        return bool(node.target == "size")
    of: Any = node.args[0] if node.args else None
    if node.op == "call_function" and node.target is operator.getitem:
        return isinstance(of, fx.Node) and _is_shape(of)
    return node.op == "call_function" and node.target is getattr and node.args[1] == "shape"


def _value(root: nn.Module, argument: Any, current: fx.Node | None, at: str) -> Any:
    """Return the value of an argument of a traced operation: a number, a tensor, or what it stands for."""
    if isinstance(argument, (tuple, list)):
        return [_value(root, each, current, at) for each in argument]
    if not isinstance(argument, fx.Node):
        return argument
    if argument is current:
        return _X
    if argument.op == "get_attr":
        found: Any = root
        for part in str(argument.target).split("."):
            found = getattr(found, part)
        return found
    if argument.args[1:] == (0,):  # of _is_shape: x.size(0), x.shape[0]
        return _N_ROWS
    return refuse(at, "an operation on another part of a shape than the number of rows")


def _check_dropout(values: Sequence[Any], keywords: Mapping[str, Any], at: str) -> None:
    training = keywords.get("training", values[1] if len(values) > 1 else True)
    if training is not False:
        refuse(at, "a dropout that drops in evaluation, too", "call it with training=self.training")


# ------------------------------------------------------------------------------------------------- numbers beside x


def _numbers(value: Any, width: int, at: str) -> NDArray[np.float64]:
    """Return a number, or a tensor of one for each column, as a vector."""
    if isinstance(value, torch.Tensor):
        value = torch_file.array(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, np.ndarray)):
        refuse(at, f"arithmetic with {value!r:.60}")
    made = np.asarray(value, np.float64)
    if not width or not (made.ndim == 0 or made.shape in ((1,), (width,), (1, 1), (1, width))):
        refuse(at, f"arithmetic with numbers of shape {made.shape}, where there are {width} columns")
    return np.broadcast_to(made.reshape(-1), (width,)).copy()


def _affine(values: list[Any], width: int, at: str, make: Callable[[NDArray[Any], bool], Step]) -> tuple[Step, ...]:
    if len(values) != 2 or (values[0] is _X) == (values[1] is _X):
        refuse(at, "arithmetic of x with itself", "such as a gate")
    numbers = _numbers(values[1] if values[0] is _X else values[0], width, at)
    return (make(numbers, values[0] is _X),)


def _plus(values: list[Any], width: int, at: str) -> tuple[Step, ...]:
    return _affine(values, width, at, lambda n, _: Affine.times(np.ones(width), n, at))


def _minus(values: list[Any], width: int, at: str) -> tuple[Step, ...]:
    return _affine(
        values,
        width,
        at,
        lambda n, x_first: Affine(n, np.ones(width), at) if x_first else Affine.times(-np.ones(width), n, at),
    )


def _times(values: list[Any], width: int, at: str) -> tuple[Step, ...]:
    return _affine(values, width, at, lambda n, _: Affine.times(n, np.zeros(width), at))


def _over(values: list[Any], width: int, at: str) -> tuple[Step, ...]:
    if values[0] is not _X:
        refuse(at, "a division by x")
    return _affine(values, width, at, lambda n, _: Affine(np.zeros(width), n, at))


def _negative(values: list[Any], width: int, at: str) -> tuple[Step, ...]:
    return (Affine.times(-np.ones(width), np.zeros(width), at),)


_ARITHMETIC: dict[str, Callable[[list[Any], int, str], tuple[Step, ...]]] = {
    **dict.fromkeys(("add", "iadd"), _plus),
    **dict.fromkeys(("sub", "subtract", "isub"), _minus),
    **dict.fromkeys(("mul", "multiply", "imul"), _times),
    **dict.fromkeys(("truediv", "div", "divide", "true_divide", "itruediv"), _over),
    **dict.fromkeys(("neg", "negative"), _negative),
}


# -------------------------------------------------------------------------------------------------------- modules


def _class_of(module: nn.Module) -> type[nn.Module] | None:
    """Return the class of torch.nn whose forward the module has; None if it has one of its own, or is no leaf."""
    forward = type(module).forward
    for kind in type(module).__mro__:
        if (
            kind.__module__.startswith("torch.nn.modules.")
            and "forward" in vars(kind)
            and vars(kind)["forward"] is forward
        ):
            if kind in (nn.modules.batchnorm._BatchNorm,):  # the forward of all its subclasses
                return nn.BatchNorm1d if isinstance(module, nn.BatchNorm1d) else None
            return kind
    return None


def _unwrapped(module: nn.Module) -> nn.Module:
    """Return what torch.compile or DataParallel has wrapped."""
    while True:
        _check_call(module, f"module ({type(module).__name__})")
        if type(module).__name__ == "OptimizedModule" and hasattr(module, "_orig_mod"):
            module = module._orig_mod
        elif isinstance(module, (nn.DataParallel, nn.parallel.DistributedDataParallel)):
            module = module.module
        else:
            return module


def _name_of(function: Any) -> str:
    """Return the name of a function of Python or PyTorch; that of another with its module."""
    module, name = str(getattr(function, "__module__", None)), getattr(function, "__name__", "?")
    is_known = module.partition(".")[0] in ("torch", "_operator", "builtins", "math", "None")
    return name if is_known else f"{module}.{name}"


def _check_call(module: nn.Module, place: str) -> None:
    """Refuse parameters without numbers, and what may change what a module computes: calls and hooks of one's own."""
    own = list(module.parameters(recurse=False))
    if any(map(nn.parameter.is_lazy, own)):
        refuse(place, "a lazy module without parameters yet", "run it once on some rows")
    if any(each.is_meta for each in own):
        refuse(place, "parameters on the device 'meta', which have no numbers", "load them first")
    is_wrapped = type(module).__name__ == "OptimizedModule"
    if "forward" in vars(module) and not is_wrapped:
        refuse(place, "a forward that was set on the object", "write it in the class")
    if type(module).__call__ is not nn.Module.__call__ and not is_wrapped:
        refuse(place, "a __call__ of its own", "write it in forward")
    known = ("WeightNorm", "SpectralNorm")
    before = [hook for hook in module._forward_pre_hooks.values() if type(hook).__name__ not in known]
    pruned = [hook for hook in before if type(hook).__module__ == "torch.nn.utils.prune"]
    if len(before) > len(pruned) or module._forward_hooks:
        refuse(place, "a module with forward hooks", "remove them")


def _n_inputs(module: nn.Module) -> int:
    """Return the number of inputs, as the first module with tensors says."""
    for each in module.modules():
        for name in ("in_features", "num_features", "n_columns"):
            if isinstance(getattr(each, name, None), int):
                return int(getattr(each, name))
    return 0


@contextlib.contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    """Put a module and its children into evaluation mode, and back into their own modes at the end."""
    modes = [(each, each.training) for each in module.modules()]
    try:
        if any(mode for _, mode in modes):
            module.eval()
        yield
    finally:
        for each, mode in modes:  # a parent before its children; `train` may be more than an attribute
            if each.training != mode:
                each.train(mode)


def _outputs(module: nn.Module, dtype: torch.dtype) -> Callable[[NDArray[Any]], NDArray[Any]]:
    """Return a function that computes the module's outputs of rows."""

    def outputs(X: NDArray[Any]) -> NDArray[Any]:
        device = next((tensor.device for tensor in module.parameters()), None)
        with _evaluation(module), torch.no_grad():
            return torch_file.array(module(torch.as_tensor(np.ascontiguousarray(X), dtype=dtype, device=device)))

    return outputs


def write(net: Network) -> nn.Sequential:
    """Return the network as an nn.Sequential; see `Network.to_torch`."""
    from .torch_writer import write as write_module

    return write_module(net)
