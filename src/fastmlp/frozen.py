"""`frozen`: a class decorator for immutable objects, which adds the methods of a frozen dataclass.

It follows the rules of `dataclasses.dataclass(frozen=True)` but generates no code: the standard library compiles seven
functions for each class, which took half the time of `import fastmlp`. Here all classes share the methods below, which
read the names of the fields from the class. A constructor is a copy of an existing function with other names of its
arguments. `dataclasses.fields`, `replace` and `asdict` also work: the attributes that they read come from a dataclass
with the same fields, which the standard library makes when one of them is first read.

The decorator does not replace a method that the class defines itself, nor its `__init__`. A subclass without the
decorator has no fields of its own. All objects share a default, so it must be immutable; there are no default
factories.
"""

from __future__ import annotations

import functools
import operator
import reprlib
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, dataclass_transform, overload

T = TypeVar("T")


@overload
@dataclass_transform(frozen_default=True)
def frozen(cls: type[T], /) -> type[T]: ...


@overload
@dataclass_transform(frozen_default=True)
def frozen(*, kw_only: bool = False, eq: bool = True) -> Callable[[type[T]], type[T]]: ...


def frozen(cls: type[T] | None = None, /, *, kw_only: bool = False, eq: bool = True) -> Any:
    """Give a class the constructor and the methods of a frozen dataclass.

    Parameters
    ----------
    kw_only : bool, default False
        Whether the constructor takes all arguments by keyword only.
    eq : bool, default True
        Whether objects are equal if their classes and fields are equal. If False, an object is equal to itself only.
    """
    if cls is None:
        return functools.partial(_freeze, kw_only=kw_only, eq=eq)
    return _freeze(cls, kw_only=kw_only, eq=eq)


def fields(value: object) -> tuple[str, ...]:
    """Return the names of the fields of a frozen class, or of its object, in the order of the constructor."""
    return tuple(value._frozen_fields)  # type: ignore[attr-defined]


def defaults(value: object) -> dict[str, Any]:
    """Return the defaults, by name, of the fields that have one."""
    return dict(value._frozen_defaults)  # type: ignore[attr-defined]


def astuple(value: object) -> tuple[Any, ...]:
    """Return the values of the object's fields, in the order of `fields`."""
    return tuple([getattr(value, name) for name in value._frozen_fields])  # type: ignore[attr-defined]


def replace(value: T, /, **changes: Any) -> T:
    """Return a new object with other values in some fields; the constructor checks them."""
    return type(value)(**{name: getattr(value, name) for name in fields(value)} | changes)


# ----------------------------------------------------------------------------------------------------- making the class


def _freeze(cls: Any, *, kw_only: bool, eq: bool) -> Any:
    """Add the constructor and the methods to the class, except those that it defines itself."""
    own = {name: kind for name, kind in cls.__annotations__.items() if not _is_class_variable(kind)}
    cls._frozen_fields = {**getattr(cls, "_frozen_fields", {}), **own}  # names and annotations
    cls._frozen_defaults = {name: getattr(cls, name) for name in cls._frozen_fields if hasattr(cls, name)}
    cls._frozen_kw_only = kw_only
    cls._frozen_key = operator.attrgetter("__class__", *cls._frozen_fields)  # equal objects have equal keys
    members = {
        "__init__": _constructor(cls),
        "__match_args__": () if kw_only else tuple(cls._frozen_fields),
        "__dataclass_fields__": _DataclassAttribute(cls, "__dataclass_fields__"),
        "__dataclass_params__": _DataclassAttribute(cls, "__dataclass_params__"),
        **_METHODS,
        **(_COMPARISON if eq else {}),
    }
    for name, value in members.items():
        if name not in cls.__dict__:
            setattr(cls, name, value)
    return cls


def _is_class_variable(annotation: object) -> bool:
    """Return whether an annotation, a text or a type, is ClassVar, which makes no field."""
    return str(annotation).partition("[")[0].endswith("ClassVar")


def _constructor(cls: Any) -> FunctionType:
    """Make `__init__`, which sets every field, in order, and then calls `__post_init__` if the class has one.

    It is a copy of one of the two functions below with other names of arguments, so Python itself checks the arguments
    of a call, and tools see an ordinary function.
    """
    names, defaults_by_name = fields(cls), defaults(cls)
    body = _set_fields_and_check if hasattr(cls, "__post_init__") else _set_fields
    n_positional = 0 if cls._frozen_kw_only else len(names)
    code = body.__code__.replace(
        co_name="__init__", co_argcount=1 + n_positional, co_kwonlyargcount=len(names) - n_positional,
        co_nlocals=1 + len(names), co_varnames=("self", *names),
    )  # fmt: skip
    function = FunctionType(code, globals(), "__init__")
    if cls._frozen_kw_only:
        function.__kwdefaults__ = defaults_by_name
    else:
        n_required = len(names) - len(defaults_by_name)
        if not defaults_by_name.keys().isdisjoint(names[:n_required]):
            raise TypeError(f"{cls.__qualname__}: expected fields without a default before those with one")
        function.__defaults__ = tuple([defaults_by_name[name] for name in names[n_required:]])
    function.__annotations__ = {**cls._frozen_fields, "return": None}
    function.__qualname__ = f"{cls.__qualname__}.__init__"
    return function


# The code of all constructors. The two functions must have no local variable but `self`: `_constructor` adds the
# arguments as further local variables, which `locals()` then returns by name.


def _set_fields(self: Any) -> None:
    _set(locals())


def _set_fields_and_check(self: Any) -> None:
    _set(locals())
    self.__post_init__()


def _set(values: dict[str, Any]) -> None:
    """Set the fields of `self` from the local variables of its constructor."""
    self = values["self"]
    for name, value in values.items():
        if name != "self":
            object.__setattr__(self, name, value)


# --------------------------------------------------------------------------------------- methods that all classes share


@reprlib.recursive_repr()
def _repr(self: Any) -> str:
    return (
        f"{type(self).__qualname__}({', '.join([f'{name}={getattr(self, name)!r}' for name in self._frozen_fields])})"
    )


def _eq(self: Any, other: Any) -> bool:
    return self._frozen_key(self) == self._frozen_key(other) if type(other) is type(self) else NotImplemented


def _hash(self: Any) -> int:
    return hash(astuple(self))


def _setattr(self: Any, name: str, value: object) -> None:
    _refuse_change(self, "assign to", name)
    object.__setattr__(self, name, value)


def _delattr(self: Any, name: str) -> None:
    _refuse_change(self, "delete", name)
    object.__delattr__(self, name)


def _refuse_change(value: Any, what: str, name: str) -> None:
    """Raise `FrozenInstanceError`, unless the class lacks the decorator and the attribute is not a field.

    In a subclass without the decorator, only the inherited fields are frozen.
    """
    if "_frozen_fields" in type(value).__dict__ or name in value._frozen_fields:
        from dataclasses import FrozenInstanceError  # imported here, as only the error needs it

        raise FrozenInstanceError(f"cannot {what} field {name!r}")


_METHODS = {"__repr__": _repr, "__setattr__": _setattr, "__delattr__": _delattr, "__replace__": replace}
_COMPARISON = {"__eq__": _eq, "__hash__": _hash}


# ------------------------------------------------------------------------------ attributes that `dataclasses` looks for


@functools.cache
def _dataclass(cls: Any) -> Any:
    """Make a dataclass of the standard library with the fields of a frozen class and without its methods."""
    import dataclasses  # imported here, as `import fastmlp` must not pay for it

    specifications = [
        (name, annotation, dataclasses.field(default=cls._frozen_defaults.get(name, dataclasses.MISSING)))
        for name, annotation in cls._frozen_fields.items()
    ]
    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return dataclasses.make_dataclass(
        cls.__name__, specifications, namespace=namespace, frozen=True, kw_only=cls._frozen_kw_only
    )


class _DataclassAttribute:
    """A descriptor: an attribute of a frozen class and its objects that has the value of `_dataclass`'s attribute."""

    def __init__(self, cls: type, name: str) -> None:
        self.cls, self.name = cls, name

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(_dataclass(self.cls), self.name)
