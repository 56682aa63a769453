"""Reads the pickle in a PyTorch file without pickle and without torch: only dictionaries, numbers, text and tensors.

The machine here has its own stack and memo and runs nothing of the file: the names that it knows are those of `NAMES`
and of the storages' dtypes, and every other one is refused. What it returns is made of dict, list, tuple, str, bytes,
int, float, bool, None and `Tensor`, whose bytes `torch_file.py` looks up. Memory is bounded by the pickle's length.
"""

from __future__ import annotations

import itertools
import pickletools
from collections.abc import Callable
from typing import Any, NoReturn

from ..errors import FormatError
from ..frozen import frozen

STORAGES = {  # storages that torch names, and NumPy's dtype of their elements; bfloat16 has none
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "?",
}
_STATE_DICT = "torch.save(net.state_dict(), path) writes a file that can be read"


@frozen
class Storage:
    """The elements that a tensor looks at: a member of the archive, by its key."""

    key: str
    dtype: str
    n_elements: int


@frozen
class Tensor:
    """An array of a storage's elements: element i of it is at `offset` + sum of i * `stride`."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


@frozen
class _Name:
    """A global of Python that the pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


_MARK = object()


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**62


def _is_counts(value: object) -> bool:
    return type(value) is tuple and len(value) <= 64 and all(map(_is_count, value))


def _ordered_dict(*args: Any) -> dict[Any, Any]:
    """Stand in for collections.OrderedDict, which is called without arguments, or with a list of pairs."""
    if args == ():
        return {}
    if len(args) == 1 and type(args[0]) is list and all(type(each) in (list, tuple) for each in args[0]):
        made: dict[Any, Any] = {}
        for pair in args[0]:
            key, value = pair
            made[_checked_key(key)] = value
        return made
    raise ValueError("an OrderedDict of other arguments")


def _tensor(
    storage: Any, offset: Any, shape: Any, stride: Any, gradient: Any = False, hooks: Any = None, metadata: Any = None
) -> Tensor:
    """Stand in for torch._utils._rebuild_tensor_v2."""
    if metadata:  # such as that the numbers are to be negated
        raise ValueError(f"a tensor with the metadata {metadata!r:.60}; save it as tensor.resolve_neg()")
    if type(storage) is not Storage or not (_is_count(offset) and _is_counts(shape) and _is_counts(stride)):
        raise ValueError("a tensor of other arguments")
    if len(shape) != len(stride):
        raise ValueError(f"a tensor of shape {shape} with the strides {stride}")
    return Tensor(storage, offset, shape, stride)


def _parameter(tensor: Any, *_: Any) -> Tensor:
    """Stand in for torch._utils._rebuild_parameter."""
    if type(tensor) is not Tensor:
        raise ValueError("a parameter that is no tensor")
    return tensor


NAMES: dict[_Name, Callable[..., Any]] = {
    _Name("collections", "OrderedDict"): _ordered_dict,
    _Name("torch._utils", "_rebuild_tensor_v2"): _tensor,
    _Name("torch._utils", "_rebuild_parameter"): _parameter,
}


def _checked_key(key: Any) -> Any:
    """Return a key of a dictionary, after a check that it is a text, a number, a truth value or None."""
    if key is None or type(key) in (str, bytes, int, float, bool):
        return key
    raise ValueError(f"a dictionary with a key of type {type(key).__name__}")


def _refuse_name(name: _Name) -> NoReturn:
    module = f"{name.module}."
    if module.startswith(("torch.nn.", "__main__.")):
        raise FormatError(
            f"data.pkl: expected a state dict, got a whole module with the class {name!s:.200}, which only its own "
            f"code can rebuild; {_STATE_DICT}"
        )
    raise FormatError(
        f"data.pkl: expected dictionaries, numbers, text and tensors alone, got the name {name!s:.200}; {_STATE_DICT}"
    )


class _Machine:
    """The stack and the memo of a pickle that is being read; `run` returns what it describes."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}

    def run(self, data: bytes) -> Any:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name == "STOP":
                return self.pop()
            operation = OPERATIONS.get(opcode.name)
            if operation is None:
                raise ValueError(f"the operation {opcode.name}")
            operation(self, argument)
        raise ValueError("the end of the pickle")

    def pop(self) -> Any:
        if not self.stack or self.stack[-1] is _MARK:
            raise ValueError("an operation on an empty stack")
        return self.stack.pop()

    def top(self, kind: type) -> Any:
        if not self.stack or type(self.stack[-1]) is not kind:
            raise ValueError(f"an operation on something else than a {kind.__name__}")
        return self.stack[-1]

    def pop_to_mark(self) -> list[Any]:
        items: list[Any] = []
        while True:
            if not self.stack:
                raise ValueError("an operation without its mark")
            value = self.stack.pop()
            if value is _MARK:
                return items[::-1]
            items.append(value)

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def tuple_of(self, n: int) -> None:
        items = [self.pop() for _ in range(n)]
        self.push(tuple(items[::-1]))

    def put(self, index: int) -> None:
        value = self.pop()
        self.push(value)
        self.memo[index] = value

    def get(self, index: int) -> None:
        if index not in self.memo:
            raise ValueError("a reference to nothing")
        self.push(self.memo[index])

    def name(self, text: str) -> None:
        module, _, name = text.partition(" ")
        self.push_name(_Name(module, name))

    def name_on_stack(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise ValueError("a name that is no text")
        self.push_name(_Name(module, name))

    def push_name(self, name: _Name) -> None:
        if name in NAMES or (name.module == "torch" and name.name in STORAGES):
            self.push(name)
            return
        if name.module == "torch" and name.name.endswith("Storage"):
            raise FormatError(f"data.pkl: expected tensors of real numbers, got {name!s:.100}; {_STATE_DICT}")
        _refuse_name(name)

    def storage(self, _: Any) -> None:
        found = self.pop()
        if type(found) is not tuple or len(found) != 5:
            raise ValueError("a reference to something else than a storage")
        kind, storage, key, _, n_elements = found
        if kind != "storage" or type(storage) is not _Name or storage.name not in STORAGES or type(key) is not str:
            raise ValueError("a reference to something else than a storage")
        if not _is_count(n_elements):
            raise ValueError("a storage without a number of elements")
        self.push(Storage(key, STORAGES[storage.name], n_elements))

    def reduce(self, _: Any) -> None:
        arguments, function = self.pop(), self.pop()
        if type(function) is not _Name or function not in NAMES or type(arguments) is not tuple:
            raise ValueError("a call of something else than a tensor or an OrderedDict")
        try:
            self.push(NAMES[function](*arguments))
        except TypeError:
            raise ValueError(f"{function} with {len(arguments)} arguments") from None

    def build(self, _: Any) -> None:
        state = self.pop()
        self.top(dict)  # the attribute `_metadata` of a state dict has versions of modules, which do not matter
        if type(state) is not dict:
            raise ValueError("attributes that are no dictionary")

    def set_items(self, items: list[Any]) -> None:
        if len(items) % 2:
            raise ValueError("a key without a value")
        target = self.top(dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[_checked_key(key)] = value


def _constant(make: Callable[[], Any]) -> Callable[[_Machine, Any], None]:
    return lambda machine, _: machine.push(make())


def _nothing(machine: _Machine, argument: Any) -> None:
    """Do nothing: these operations only help a reader of a stream."""


def _set_item(machine: _Machine, _: Any) -> None:
    value, key = machine.pop(), machine.pop()
    machine.set_items([key, value])


def _set_items(machine: _Machine, _: Any) -> None:
    machine.set_items(machine.pop_to_mark())


def _append(machine: _Machine, _: Any) -> None:
    value = machine.pop()
    machine.top(list).append(value)


def _appends(machine: _Machine, _: Any) -> None:
    items = machine.pop_to_mark()
    machine.top(list).extend(items)


_PUSH = ("BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BININT", "BININT1", "BININT2", "LONG1", "LONG4", "BINFLOAT")
_BYTES = ("BINBYTES", "SHORT_BINBYTES", "BINBYTES8")

OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": _nothing,
    "FRAME": _nothing,
    "MARK": lambda machine, _: machine.push(_MARK),
    "GLOBAL": _Machine.name,
    "STACK_GLOBAL": _Machine.name_on_stack,
    "BINPERSID": _Machine.storage,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": lambda machine, _: machine.put(len(machine.memo)),
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "EMPTY_TUPLE": _constant(tuple),
    "EMPTY_LIST": _constant(list),
    "EMPTY_DICT": _constant(dict),
    "NONE": _constant(lambda: None),
    "NEWTRUE": _constant(lambda: True),
    "NEWFALSE": _constant(lambda: False),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.pop_to_mark())),
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": _append,
    "APPENDS": _appends,
    "SETITEM": _set_item,
    "SETITEMS": _set_items,
} | dict.fromkeys(itertools.chain(_PUSH, _BYTES), _Machine.push)


def load(data: bytes) -> Any:
    """Return what the pickle of a PyTorch file describes; `FormatError` where it names anything but tensors."""
    try:
        return _Machine().run(data)
    except FormatError:
        raise
    except (ValueError, IndexError, KeyError, OverflowError) as error:  # also what pickletools finds wrong
        raise FormatError(f"data.pkl: expected the pickle of a state dict, got {error!s:.200}") from None
