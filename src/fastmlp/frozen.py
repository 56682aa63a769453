"""`frozen`: a class decorator for immutable objects whose methods follow from the annotated fields of their class.

It does what `dataclasses.dataclass(frozen=True)` does, by the same rules, and generates no code: the standard library
compiles seven functions for each class, which was half the time of `import fastmlp`. Here all classes share the methods
below, which take the names of the fields from the class, and a constructor is a function that exists already, with the
names of its arguments replaced. What only tools need (what `dataclasses.fields`, `replace` and `asdict` go by) comes
from a dataclass with the same fields, which the standard library makes when it is first asked for.

A method that the class defines itself stays, its `__init__` too. A subclass without the decorator has no fields of its
own. A default is shared by all objects, so it must be immutable; there are no factories of defaults.
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
    """Gives a class the constructor and the methods of a frozen dataclass.

    Parameters
    ----------
    kw_only : bool, default False
        All arguments of the constructor are given by name.
    eq : bool, default True
        Objects are equal if their classes and fields are; else each is equal to itself alone.
    """
    if cls is None:
        return functools.partial(_freeze, kw_only=kw_only, eq=eq)
    return _freeze(cls, kw_only=kw_only, eq=eq)


def fields(value: object) -> tuple[str, ...]:
    """The names of the fields of a frozen class, or of an object of one, in the order of the constructor."""
    return tuple(value._frozen_fields)  # type: ignore[attr-defined]


def defaults(value: object) -> dict[str, Any]:
    """The defaults of those fields that have one, by name."""
    return dict(value._frozen_defaults)  # type: ignore[attr-defined]


def astuple(value: object) -> tuple[Any, ...]:
    """The values of the fields."""
    return tuple([getattr(value, name) for name in value._frozen_fields])  # type: ignore[attr-defined]


def replace(value: T, /, **changes: Any) -> T:
    """A new object with other values in some fields, checked like any new object."""
    return type(value)(**{name: getattr(value, name) for name in fields(value)} | changes)


# ----------------------------------------------------------------------------------------------------- making the class


def _freeze(cls: Any, *, kw_only: bool, eq: bool) -> Any:
    """Adds to the class what it does not define itself."""
    own = {name: kind for name, kind in cls.__annotations__.items() if not _is_class_variable(kind)}
    cls._frozen_fields = {**getattr(cls, "_frozen_fields", {}), **own}  # names and annotations
    cls._frozen_defaults = {name: getattr(cls, name) for name in cls._frozen_fields if hasattr(cls, name)}
    cls._frozen_kw_only = kw_only
    cls._frozen_key = operator.attrgetter("__class__", *cls._frozen_fields)  # what is equal in equal objects
    made = {
        "__init__": _constructor(cls),
        "__match_args__": () if kw_only else tuple(cls._frozen_fields),
        "__dataclass_fields__": _OfStandard(cls, "__dataclass_fields__"),
        "__dataclass_params__": _OfStandard(cls, "__dataclass_params__"),
        **_METHODS,
        **(_COMPARISON if eq else {}),
    }
    for name, value in made.items():
        if name not in cls.__dict__:
            setattr(cls, name, value)
    return cls


def _is_class_variable(annotation: object) -> bool:
    return str(annotation).partition("[")[0].endswith("ClassVar")


def _constructor(cls: Any) -> FunctionType:
    """`__init__`: sets every field, in order, then calls `__post_init__` where the class has one.

    It is the code of one of the two functions below with other names of arguments, so Python itself checks a call, and
    tools see a function like any other.
    """
    names, given_by_default = fields(cls), defaults(cls)
    body = _set_fields_and_check if hasattr(cls, "__post_init__") else _set_fields
    n_positional = 0 if cls._frozen_kw_only else len(names)
    code = body.__code__.replace(
        co_name="__init__", co_argcount=1 + n_positional, co_kwonlyargcount=len(names) - n_positional,
        co_nlocals=1 + len(names), co_varnames=("self", *names),
    )  # fmt: skip
    function = FunctionType(code, globals(), "__init__")
    if cls._frozen_kw_only:
        function.__kwdefaults__ = given_by_default
    else:
        n_required = len(names) - len(given_by_default)
        if not given_by_default.keys().isdisjoint(names[:n_required]):
            raise TypeError(f"{cls.__qualname__}: expected fields without a default before those with one")
        function.__defaults__ = tuple([given_by_default[name] for name in names[n_required:]])
    function.__annotations__ = {**cls._frozen_fields, "return": None}
    function.__qualname__ = f"{cls.__qualname__}.__init__"
    return function


# The code of all constructors. It must name no variable but `self`: the arguments come after that one, and `locals()`
# has them by their names.


def _set_fields(self: Any) -> None:
    _set(locals())


def _set_fields_and_check(self: Any) -> None:
    _set(locals())
    self.__post_init__()


def _set(values: dict[str, Any]) -> None:
    """Sets the fields of `self` to the arguments of its constructor."""
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
    """Of an object of a subclass without the decorator, only the fields are frozen."""
    if "_frozen_fields" in type(value).__dict__ or name in value._frozen_fields:
        from dataclasses import FrozenInstanceError  # only the error needs it

        raise FrozenInstanceError(f"cannot {what} field {name!r}")


_METHODS = {"__repr__": _repr, "__setattr__": _setattr, "__delattr__": _delattr, "__replace__": replace}
_COMPARISON = {"__eq__": _eq, "__hash__": _hash}


# -------------------------------------------------------------------------------------- what the standard library makes


@functools.cache
def _standard(cls: Any) -> Any:
    """The standard library's dataclass with the fields of a frozen class, and without its methods."""
    import dataclasses  # its import and the code that it generates are what this file saves

    specifications = [
        (name, annotation, dataclasses.field(default=cls._frozen_defaults.get(name, dataclasses.MISSING)))
        for name, annotation in cls._frozen_fields.items()
    ]
    namespace = {"__module__": cls.__module__, "__qualname__": cls.__qualname__}
    return dataclasses.make_dataclass(
        cls.__name__, specifications, namespace=namespace, frozen=True, kw_only=cls._frozen_kw_only
    )


class _OfStandard:
    """An attribute of a frozen class and of its objects: that of the standard library's dataclass."""

    def __init__(self, cls: type, name: str) -> None:
        self.cls, self.name = cls, name

    def __get__(self, instance: object, owner: type) -> Any:
        return getattr(_standard(self.cls), self.name)
