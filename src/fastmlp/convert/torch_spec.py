"""What a state dict does not say, from the caller: the activations, and where it matters the order of the layers.

`chain` makes a `Chain` of a state dict's tensors. The caller gives either `activation` and `output_activation`, if the
numbers in the modules' names and the shapes of their tensors leave one order, or `layers`: the modules and activations
one by one. The order of a file counts for nothing: it is that in which a program has made the modules, or that of their
names. What is neither in the file nor given is asked for; nothing is guessed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, NoReturn

from .. import activations, arguments
from ..activations import ACTIVATIONS, Activation, Identity
from ..errors import FormatError
from ..frozen import frozen
from .chain import Activate, Affine, Chain, Linear, Step, refuse
from .torch_layers import EPS, Module, Tensors, dtype_of, modules

MOST_ORDERS = 3  # that a message lists
MOST_ROUNDS = 100_000  # of the search for orders, which takes a tenth of a second


@frozen(eq=False)
class Spec:
    """The caller's arguments: see `from_torch`."""

    activation: str | Activation | Sequence[str | Activation | None] | None = None
    output_activation: str | Activation | None = None
    layers: Sequence[str | Activation] | None = None
    eps: float = EPS

    def __post_init__(self) -> None:
        if isinstance(self.layers, str) or not isinstance(self.layers, (Sequence, type(None))):
            raise TypeError(f"layers: expected a list of names of modules and activations, got {self.layers!r:.100}")
        arguments.real("eps", self.eps, minimum=0.0)
        if self.layers is not None and (self.activation is not None or self.output_activation is not None):
            raise ValueError(
                "layers: cannot be combined with activation and output_activation, as it has the activations in it"
            )


def chain(tensors: Tensors, spec: Spec, *, sorted_by_name: bool, tool: str, version: str) -> Chain:
    """Return the chain of a state dict.

    `sorted_by_name` says that the tensors' order is not that in which the model has its modules.
    """
    chosen = tensors if spec.layers is None else _of_modules(tensors, spec.layers)
    found = modules(chosen, spec.eps)
    if not any(each.is_linear for each in found):
        raise FormatError(f"tensors: expected at least one linear layer, got {len(found)} modules without one")
    is_sorted = sorted_by_name or (list(tensors) == sorted(tensors) and len(tensors) > len(found))
    if spec.layers is not None:
        sequence, notes = _listed(found, spec.layers), [f"tensor {n!r}: not used" for n in tensors if n not in chosen]
    else:
        ordered = _ordered(found, is_sorted)
        sequence, notes = _placed(ordered, spec), []
    steps = tuple(step for each in sequence for step in (each.steps if isinstance(each, Module) else [each]))
    n_inputs = check_shapes(steps)
    notes += [each.note for each in sequence if isinstance(each, Module) and each.note]
    return Chain(steps, tool, version, dtype_of(tensors), n_inputs, folded=tuple(notes))


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


def _of_modules(tensors: Tensors, layers: Sequence[Any]) -> Tensors:
    """Return the tensors of the modules that are listed; all of them if none is."""
    beginnings = tuple(f"{each}." for each in layers if isinstance(each, str))
    return {name: tensor for name, tensor in tensors.items() if name.startswith(beginnings)} or tensors


def _listed(found: list[Module], layers: Sequence[Any]) -> list[Module | Step]:
    by_name = {each.name: each for each in found}
    sequence: list[Module | Step] = []
    for index, each in enumerate(layers):
        if isinstance(each, str) and each in by_name:
            sequence.append(by_name[each])
            continue
        if isinstance(each, str) and each not in ACTIVATIONS:
            raise ValueError(
                f"layers[{index}]: expected a module ({_names(found)}) or an activation, got {each!r:.100}"
            )
        last = index == len(layers) - 1
        sequence.append(Activate(activations.resolve(f"layers[{index}]", each, output=last), f"layers[{index}]"))
    if not any(isinstance(each, Module) and each.is_linear for each in sequence):
        raise ValueError(f"layers: expected at least one linear layer of {_names(found)}, got {list(layers)!r:.100}")
    return sequence


def _names(found: list[Module]) -> str:
    shown = ", ".join(repr(each.name) for each in found[:8])
    return shown + (", ..." if len(found) > 8 else "")


def _ask_for_layers(why: str, found: list[Module]) -> NoReturn:
    """Raise the error that asks for the argument `layers`, with an example made of the modules' names."""
    example: list[str] = []
    for each in found:
        if each.is_linear and example:
            example.append("'relu'")
        example.append(repr(each.name))
    raise FormatError(
        f"layers: {why}; expected the modules and activations in their order, such as "
        f"layers=[{', '.join(example[:9])}{', ...' if len(example) > 9 else ''}]"
    )


# ------------------------------------------------------------------------------------------- order by the names


def number_key(name: str) -> list[tuple[str, int]]:
    """Return the name as pairs of text and number, so that 10 sorts after 2."""
    parts = re.split(r"([0-9]+)", name)
    return [(text, int(number)) for text, number in itertools.zip_longest(parts[::2], parts[1::2], fillvalue="-1")]


def _skeleton(name: str) -> str:
    return re.sub(r"[0-9]+", "#", name)


def _ordered(found: list[Module], is_sorted: bool) -> list[Module]:
    """Return the modules in the order in which they are used, which their names must not contradict."""
    by_number = sorted(found, key=lambda each: number_key(each.name))
    if len({_skeleton(each.name) for each in found}) == 1:
        by_text = sorted(found, key=lambda each: each.name)
        if not is_sorted and found not in (by_number, by_text):
            _ask_for_layers("the order of the modules in the file is another one than that of their numbers", found)
        return by_number
    groups: dict[str, list[Module]] = {}
    for each in found:
        groups.setdefault(_skeleton(each.name), []).append(each)
    numbered = [sorted(group, key=lambda each: number_key(each.name)) for group in groups.values()]
    if not is_sorted and numbered != list(groups.values()):
        _ask_for_layers("the order of the modules in the file is another one than that of their numbers", found)
    orders = _fitting_orders(numbered)
    if len(orders) == 1:
        return orders[0]
    if not orders:
        _ask_for_layers("the modules have shapes that fit in no order of all of them", found)
    listed = " or ".join(f"[{_names(order)}]" for order in orders[:MOST_ORDERS])
    more = " or others" if len(orders) > MOST_ORDERS else ""
    _ask_for_layers(f"names and shapes of the modules allow several orders, {listed}{more}", orders[0])


def _fitting_orders(groups: list[list[Module]]) -> list[list[Module]]:
    """Return the orders in which each module takes as many numbers as the one before gives, and each group its order.

    They are the first `MOST_ORDERS` + 1 at the most. Each round of the loop tries one module as the next one.
    """
    n_modules = sum(map(len, groups))
    orders: list[list[Module]] = []
    order: list[int] = []  # the groups from which the modules so far were taken
    widths = [0]  # how many numbers come out after each of them; 0 where no module has said it
    next_group = [0]  # which group is to be tried after each of them
    taken = [0] * len(groups)
    for _ in range(MOST_ROUNDS):
        if next_group[-1] == len(groups):
            next_group.pop()
            widths.pop()
            if not order:
                return orders
            taken[order.pop()] -= 1
            continue
        group = next_group[-1]
        next_group[-1] += 1
        if taken[group] == len(groups[group]):
            continue
        takes, gives = _widths(groups[group][taken[group]].steps[0])
        if takes and widths[-1] and takes != widths[-1]:
            continue
        order.append(group)
        widths.append(gives or widths[-1])
        next_group.append(0)
        taken[group] += 1
        if len(order) == n_modules:
            iterators = [iter(each) for each in groups]
            orders.append([next(iterators[each]) for each in order])
            if len(orders) > MOST_ORDERS:
                return orders
    _ask_for_layers("the modules can be in too many orders to try them all", [m for each in groups for m in each])


# ---------------------------------------------------------------------------------------------- where activations stand


def _placed(ordered: list[Module], spec: Spec) -> list[Module | Step]:
    """Return the modules with the activations of the spec between them."""
    linear = [i for i, each in enumerate(ordered) if each.is_linear]
    spans = list(itertools.pairwise(linear))
    hidden = _hidden(spec.activation, [_has_activation(ordered, *span) for span in spans])
    positions = _positions(ordered)
    _slot(ordered, positions, range(linear[0]), must=False)
    after: dict[int, Step] = {}
    for number, ((begin, end), f) in enumerate(zip(spans, hidden, strict=True)):
        if f is None:
            continue
        slot = end - 1 if isinstance(f, Identity) else _slot(ordered, positions, range(begin, end), must=True)
        after[slot] = Activate(f, f"activation of hidden layer {number}")
    if not _has_activation(ordered, linear[-1], len(ordered)):
        if spec.output_activation is None:
            raise FormatError(
                "output_activation: expected the activation after the last layer, which a state dict does not say: "
                "'identity' if there is none, 'sigmoid', 'softmax', ..."
            )
        output = activations.resolve("output_activation", spec.output_activation, output=True)
        if not isinstance(output, Identity) and linear[-1] != len(ordered) - 1:
            _ask_for_layers(
                "whether the output activation comes before or after the last BatchNorm is not known", ordered
            )
        after[len(ordered) - 1] = Activate(output, "output_activation")
    elif spec.output_activation is not None:
        raise ValueError("output_activation: expected None, as the file has a PReLU after the last layer")
    sequence: list[Module | Step] = []
    for i, each in enumerate(ordered):
        sequence += [each, after[i]] if i in after else [each]
    return sequence


def _has_activation(ordered: list[Module], begin: int, end: int) -> bool:
    return any(each.is_activation for each in ordered[begin:end])


def _hidden(given: Any, in_file: list[bool]) -> list[Activation | None]:
    """Return the activation of each hidden layer; None where the file has it, a PReLU."""
    if all(in_file):
        given = None if given is None else given
    elif given is None:
        raise FormatError(
            f"activation: expected the activation of the {len(in_file)} hidden layers, which a state dict does not "
            "say, as a name ('relu', 'tanh', ...) or a list with one for each"
        )
    single = given is None or isinstance(given, (str, Activation))
    each = [given] * len(in_file) if single else list(given)
    if len(each) != len(in_file):
        raise ValueError(f"activation: expected {len(in_file)} activations, one for each hidden layer, got {len(each)}")
    hidden: list[Activation | None] = []
    for i, (f, is_there) in enumerate(zip(each, in_file, strict=True)):
        if is_there and not single and f is not None:
            raise ValueError(f"activation[{i}]: expected None, as the file has a PReLU there, got {f!r}")
        argument = "activation" if single else f"activation[{i}]"
        hidden.append(None if is_there else activations.resolve(argument, f, output=False))
    return hidden


def _positions(ordered: list[Module]) -> list[int] | None:
    """Return each module's place in the nn.Sequential that they stand in, or None if they are not in one."""
    parts = [each.name.rpartition(".") for each in ordered]
    if len({prefix for prefix, _, _ in parts}) == 1 and all(re.fullmatch("[0-9]{1,9}", last) for *_, last in parts):
        return [int(last) for *_, last in parts]
    return None


def _slot(ordered: list[Module], positions: list[int] | None, span: range, *, must: bool) -> int:
    """Return after which module of the span there is something without tensors: the activation.

    Without `must` nothing has to be there; then an error is raised if anything is.
    """
    slots = list(span)
    if not slots:
        return -1
    gaps = None if positions is None else [i for i in slots if positions[i + 1] - positions[i] > 1]
    if must and len(slots) == 1 and gaps != []:
        return slots[0]
    if gaps is not None and len(gaps) == int(must):
        return gaps[0] if must else -1
    names = ", ".join(repr(ordered[i].name) for i in slots)
    _ask_for_layers(f"after which of the modules {names} the activation comes is not known", ordered)
