"""What a state dict does not say, from the caller: the activations, and where it matters the order of the layers.

`chain` makes a `Chain` of a state dict's tensors. The caller gives `layers`, the modules and activations one by one; or
`activation` and `output_activation`, if the order needs no guess. That is so in two cases. Either all modules stand in
one container, from its beginning, and their numbers leave one place between two linear layers, for the activation. Or
all are linear layers with names of their own, not in containers, whose numbers and shapes leave one order. The order of
a file counts for nothing: it is that in which a program has made the modules, or that of their names. The order that is
assumed is the first of the notes.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from .. import activations, arguments
from ..activations import ACTIVATIONS, Activation, Identity
from ..errors import FormatError
from ..frozen import frozen
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .torch_layers import EPS, Module, Tensors, dtype_of, module_of, modules

MAX_STATES = 500  # of the search for orders: how many of each group of modules are behind
MAX_SHOWN = 40  # modules and activations of the proposal in a message


@frozen(eq=False)
class Spec:
    """The caller's arguments: see `from_torch`."""

    activation: str | Activation | Sequence[str | Activation] | None = None
    output_activation: str | Activation | None = None
    layers: Sequence[str | Activation] | None = None
    ignore_unused: bool = False
    eps: float = EPS

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) or not isinstance(self.layers, (Sequence, type(None))):
            raise TypeError(f"layers: expected a list of names of modules and activations, got {self.layers!r:.100}")
        arguments.real("eps", self.eps, minimum=0.0)
        if self.layers is not None and (self.activation is not None or self.output_activation is not None):
            raise ValueError(
                "layers: cannot be combined with activation and output_activation, as it has the activations in it"
            )
        if self.layers is None and self.ignore_unused:
            raise ValueError("ignore_unused: expected layers=[...] beside it, which says what is used")


def chain(tensors: Tensors, spec: Spec, *, sorted_by_name: bool, tool: str, version: str) -> Chain:
    """Return the chain of a state dict.

    `sorted_by_name` says that the tensors' order is not that in which the model has its modules.
    """
    if spec.layers is None:
        if adapter := next((name for name in tensors if "lora_" in name), ""):
            refuse(f"tensor {adapter!r:.200}", "an adapter of LoRA", "save the model after model.merge_and_unload()")
        chosen, notes = tensors, list[str]()
    else:
        chosen, notes = _chosen(tensors, spec.layers, spec.ignore_unused)
    found = modules(chosen, spec.eps)
    if not any(each.is_linear for each in found):
        raise FormatError(f"tensors: expected at least one linear layer, got {len(found)} modules without one")
    if spec.layers is None:
        is_sorted = sorted_by_name or (list(tensors) == sorted(tensors) and len(tensors) > len(found))
        sequence = _placed(_ordered(found, spec, is_sorted), spec)
    else:
        sequence = _listed(found, spec.layers)
    steps = tuple(step for each in sequence for step in (each.steps if isinstance(each, Module) else [each]))
    n_inputs = check_shapes(steps)
    notes += [each.note for each in sequence if isinstance(each, Module) and each.note]
    order = f"order of the layers: {' -> '.join(map(_shown, sequence))}"
    return Chain(steps, tool, version, dtype_of(chosen), n_inputs, folded=(order, *notes))


def _shown(each: Module | Step) -> str:
    """Return the name of a module or of an activation."""
    if isinstance(each, Module):
        return each.name or "the module"
    assert isinstance(each, Activate)
    return each.activation.name if each.activation == type(each.activation)() else repr(each.activation)


def check_shapes(steps: Sequence[Step]) -> int:
    """Return the number of inputs of the steps, after a check that each takes what the one before gives."""
    n_inputs = width = 0
    for step in steps:
        takes, gives = _widths(step)
        if not takes:
            continue
        if width and takes != width:
            advice = "if the layers are used in another order, list the modules and the activations as layers=[...]"
            refuse(step.place, f"{takes} inputs after a layer of {width} outputs", advice)
        n_inputs, width = n_inputs or takes, gives
    return n_inputs


def _widths(step: Step) -> tuple[int, int]:
    """Return how many numbers a step takes and gives; zeros for an activation, which takes any."""
    if isinstance(step, Linear):
        return step.weight.shape[1], step.weight.shape[0]
    return (len(step.offset),) * 2 if isinstance(step, Affine) else (0, 0)


# ----------------------------------------------------------------------------------------- layers given one by one


def _chosen(tensors: Tensors, layers: Sequence[Any], ignore_unused: bool) -> tuple[Tensors, list[str]]:
    """Return the tensors of the modules that are listed, all of them if none is, and notes on the others."""
    chosen = {name: tensor for name, tensor in tensors.items() if module_of(name) in layers}
    unused = [name for name in tensors if name not in chosen] if chosen else []
    if unused and not ignore_unused:
        raise FormatError(
            f"layers: expected all modules of the state dict, got none of the tensors {_joined(unused, 8)}; if the "
            "network's outputs do not depend on them, give ignore_unused=True"
        )
    return chosen or tensors, [f"tensor {name!r}: not used" for name in unused]


def _listed(found: list[Module], layers: Sequence[Any]) -> list[Module | Step]:
    by_name = {each.name: each for each in found}
    names = _joined(list(by_name), 8)
    sequence: list[Module | Step] = []
    for index, each in enumerate(layers):
        if isinstance(each, str) and each in by_name:
            sequence.append(by_name[each])
            continue
        if isinstance(each, str) and each not in ACTIVATIONS:
            raise ValueError(f"layers[{index}]: expected a module ({names}) or an activation, got {each!r:.100}")
        last = index == len(layers) - 1
        sequence.append(Activate(activations.resolve(f"layers[{index}]", each, output=last), f"layers[{index}]"))
    if not any(isinstance(each, Module) and each.is_linear for each in sequence):
        raise ValueError(f"layers: expected at least one linear layer of {names}, got {list(layers)!r:.100}")
    return sequence


def _joined(names: Sequence[str], n_shown: int) -> str:
    return ", ".join(map(repr, names[:n_shown])) + (", ..." if len(names) > n_shown else "")


def _ask_for_layers(why: str, ordered: Sequence[Module], spec: Spec) -> NoReturn:
    """Raise the error that asks for the argument `layers`, with the modules and activations as they may be."""
    hidden = spec.activation if isinstance(spec.activation, str) else "relu"
    proposed: list[str] = []
    needs_activation = False
    for before, each in itertools.pairwise([ordered[0], *ordered]):
        if needs_activation and not each.is_activation and _n_between(before, each):
            proposed.append(hidden)
            needs_activation = False
        proposed.append(each.name)
        needs_activation = each.is_linear or (needs_activation and not each.is_activation)
    if isinstance(spec.output_activation, str) and spec.output_activation != "identity":
        proposed.append(spec.output_activation)
    raise FormatError(
        f"layers: {why}; give the modules and activations in the order in which forward uses them: if it is this one, "
        f"layers=[{_joined(proposed, MAX_SHOWN)}]"
    )


def _n_between(before: Module, each: Module) -> int:
    """Return how many modules without tensors, up to 2, stand between two: by their numbers, or one before a layer."""
    (container, number), (same, following) = _place(before), _place(each)
    if container != same or number is None or following is None:
        return int(each.is_linear)
    return min(following - number - 1, 2)


# ------------------------------------------------------------------------------------------- order by the names


def number_key(name: str) -> list[tuple[str, int]]:
    """Return the name as pairs of text and number, so that 10 sorts after 2."""
    parts = re.split(r"([0-9]+)", name)
    return [(text, int(number)) for text, number in itertools.zip_longest(parts[::2], parts[1::2], fillvalue="-1")]


def _place(each: Module) -> tuple[str, int | None]:
    """Return a module's container and its number there, or None if it has a name."""
    container, _, last = each.name.rpartition(".")
    return container, int(last) if re.fullmatch("[0-9]{1,9}", last) else None


def _ordered(found: list[Module], spec: Spec, is_sorted: bool) -> list[Module]:
    """Return the modules in the order in which they are used, if names and shapes leave no doubt."""
    groups: dict[str, list[Module]] = {}  # by the name without its numbers, which give the order in a group
    for each in found:
        groups.setdefault(re.sub("[0-9]+", "#", each.name), []).append(each)
    numbered = [sorted(group, key=lambda each: number_key(each.name)) for group in groups.values()]
    orders = numbered if len(numbered) == 1 else _fitting_orders(numbered)
    ordered = orders[0] if orders else found
    containers, numbers = (set(each) for each in zip(*map(_place, found), strict=True))
    if len(containers) > 1 or (None in numbers and len(numbers) > 1):
        why = "a state dict does not say in which order several containers, or modules beside one, are used"
    elif not is_sorted and any(map(_contradicts_numbers, groups.values(), numbered)):
        why = "the order of the modules in the file is another one than that of their numbers"
    elif prelu := next((each.name for each in found if each.is_activation), ""):
        why = f"module {prelu!r} has one number, which may be the slope of a PReLU, and would be taken for one"
    elif None in numbers and len(found) > 1 and not all(each.is_linear for each in found):
        why = "a state dict does not say where a BatchNorm1d stands that has a name, not a number"
    elif len(orders) != 1:
        why = "names and shapes of the modules do not leave exactly one order"
    elif embedding := _may_be_embedding(ordered, is_container=None not in numbers):
        why = f"module {embedding!r} has no bias, as others have: it may be an Embedding, which has no equal here"
    elif numbers != {None} and 0 not in numbers:
        why = f"the numbers begin with {min(numbers)}, and what stands before is not in the file (leave out a Flatten)"
    else:
        return ordered
    _ask_for_layers(why, ordered, spec)


def _contradicts_numbers(in_file: list[Module], by_number: list[Module]) -> bool:
    return in_file != by_number and in_file != sorted(in_file, key=lambda each: each.name)


def _may_be_embedding(ordered: list[Module], *, is_container: bool) -> str:
    """Return the name of a weight without a bias beside layers with one; in a container only the first may be it."""
    layers = {each.name: step for each in ordered for step in each.steps if isinstance(step, Linear)}
    candidates = ordered
    if is_container:
        candidates = ordered[:1] if len(ordered) > 1 and ordered[1].is_linear else []
    if any(layer.bias.any() for layer in layers.values()):
        return next((each.name for each in candidates if each.name in layers and not layers[each.name].bias.any()), "")
    return ""


def _fitting_orders(groups: list[list[Module]]) -> list[list[Module]]:
    """Return at most two orders in which each module takes what the one before gives, and each group keeps its order.

    The list is empty if there is none, and if there are too many modules to try.
    """

    @functools.cache
    def orders(taken: tuple[int, ...], width: int) -> list[list[Module]]:
        if all(n == len(group) for n, group in zip(taken, groups, strict=True)):
            return [[]]
        found: list[list[Module]] = []
        for i, group in enumerate(groups):
            takes, gives = _widths(group[taken[i]].steps[0]) if taken[i] < len(group) else (-1, 0)
            if takes in (width, 0) or (takes > 0 and not width):
                rest = orders((*taken[:i], taken[i] + 1, *taken[i + 1 :]), gives or width)
                found += [[group[taken[i]], *after] for after in rest]
        return found[:2]

    if math.prod(len(group) + 1 for group in groups) > MAX_STATES:
        return []
    return orders((0,) * len(groups), 0)


# ---------------------------------------------------------------------------------------------- where activations stand


def _placed(ordered: list[Module], spec: Spec) -> list[Module | Step]:
    """Return the modules with the activations of the spec between them."""
    linear = [i for i, each in enumerate(ordered) if each.is_linear]
    after: dict[int, Step] = {}
    _between(ordered, range(linear[0]), 0, spec)
    hidden = zip(itertools.pairwise(linear), _hidden(spec.activation, len(linear) - 1), strict=True)
    for number, ((begin, end), f) in enumerate(hidden):
        if not isinstance(f, Identity):
            (at,) = _between(ordered, range(begin, end), 1, spec)
            after[at] = Activate(f, f"activation of hidden layer {number}")
    output = _output(spec.output_activation)
    if not isinstance(output, Identity):
        if not all(each.is_target_scaling for each in ordered[linear[-1] + 1 :]):
            why = "whether the output activation comes before or after the last BatchNorm is not known"
            _ask_for_layers(why, ordered, spec)
        after[linear[-1]] = Activate(output, "output_activation")
    sequence: list[Module | Step] = []
    for i, each in enumerate(ordered):
        sequence += [each, after[i]] if i in after else [each]
    return sequence


def _between(ordered: list[Module], span: range, expected: int, spec: Spec) -> list[int]:
    """Return after which modules of the span others stand that have no tensors, which must be as many as expected."""
    places = [i for i in span for _ in range(_n_between(ordered[i], ordered[i + 1]))]
    if len(places) != expected:
        names = ", ".join(repr(ordered[i].name) for i in (*span, span.stop))
        wanted = "one (the activation)" if expected else "none"
        why = f"of modules without tensors between {names}, {wanted} is expected, got {len(places)} or more"
        _ask_for_layers(f"{why} (leave out a Dropout)", ordered, spec)
    return places


def _output(given: Any) -> Activation:
    if given is None:
        raise FormatError(
            "output_activation: expected the activation after the last layer, which a state dict does not say: "
            "'identity' if there is none, 'sigmoid', 'softmax', ..."
        )
    return activations.resolve("output_activation", given, output=True)


def _hidden(given: Any, n_hidden: int) -> list[Activation]:
    """Return the activation of each hidden layer."""
    if given is None and n_hidden:
        raise FormatError(
            f"activation: expected the activation of the hidden layers ({n_hidden}), which a state dict does not say, "
            " as a name ('relu', 'tanh', ...) or a list with one for each"
        )
    if isinstance(given, str) or not isinstance(given, Sequence):
        return [activations.resolve("activation", given, output=False) for _ in range(n_hidden)]
    if len(given) != n_hidden:
        raise ValueError(f"activation: expected {n_hidden} activations, one for each hidden layer, got {len(given)}")
    return [activations.resolve(f"activation[{i}]", f, output=False) for i, f in enumerate(given)]
