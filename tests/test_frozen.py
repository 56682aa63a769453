"""`fastmlp.frozen` against the standard library: a frozen class does what `dataclass(frozen=True)` makes of it."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import pydoc
from typing import Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastmlp
from fastmlp import activations, losses, optimizers, schedules
from fastmlp.frozen import astuple, defaults, fields, frozen, replace

MISSING = object()
NAMES = ["alpha", "b", "c_1", "d", "epsilon"]


def standard(**options: Any) -> Any:
    """The decorator of the standard library that `frozen` replaces."""
    return dataclasses.dataclass(frozen=True, **options)


def family(decorate: Any) -> Any:
    """Return the same classes made by one of the decorators: a base, one with checks, a subclass, and others."""

    @decorate()
    class Base:
        kind: ClassVar[str] = "base"
        size: int

        def describe(self) -> str:
            return f"{self.kind} {self.size}"

    @decorate()
    class Checked(Base):
        """A class with a check."""

        kind: ClassVar[str] = "checked"
        rate: float = 0.5

        def __post_init__(self) -> None:
            if self.rate < 0:
                raise ValueError("rate: expected at least 0")
            object.__setattr__(self, "rate", float(self.rate))

    @decorate()
    class Child(Checked):
        rate: float = 0.25
        size: int = 3
        names: tuple[str, ...] = ()

    @decorate(kw_only=True)
    class Named:
        first: int
        second: int = 2

    @decorate(eq=False)
    class Alone:
        value: object

    @decorate()
    class Empty:
        pass

    class Undecorated(Child):
        extra: int = 7

    return {each.__name__: each for each in (Base, Checked, Child, Named, Alone, Empty, Undecorated)}


OURS, THEIRS = family(frozen), family(standard)

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("Base", (1,), {}),
    ("Base", (), {"size": 1}),
    ("Base", (), {}),
    ("Base", (1, 2), {}),
    ("Base", (1,), {"size": 2}),
    ("Base", (), {"length": 2}),
    ("Base", (1,), {"length": 2}),
    ("Base", (), {"self": 2}),
    ("Checked", (), {}),
    ("Checked", (1, 2), {}),
    ("Checked", (1, -2), {}),
    ("Checked", (), {"rate": 1}),
    ("Checked", (1,), {"rate": 1, "size": 2}),
    ("Child", (), {}),
    ("Child", (1, 2, ("a",)), {}),
    ("Child", (1, 2, (), 4), {}),
    ("Child", (), {"rate": "much"}),
    ("Child", (), {"names": [1]}),
    ("Named", (), {"first": 1}),
    ("Named", (1,), {}),
    ("Named", (), {}),
    ("Named", (), {"second": 1, "third": 2}),
    ("Alone", ("x",), {}),
    ("Empty", (), {}),
    ("Empty", (1,), {}),
    ("Empty", (), {"x": 1}),
    ("Undecorated", (), {}),
    ("Undecorated", (1, 2), {"names": ()}),
    ("Undecorated", (), {"extra": 1}),
]


def outcome(function: Any) -> Any:
    """Return the result of a call, or the type and the message of its exception."""
    try:
        return function()
    except Exception as error:
        return type(error), str(error)


def seen(value: Any) -> Any:
    """Return the visible properties of an object."""
    if isinstance(value, tuple):
        return value
    return (
        repr(value),
        list(vars(value).items()),
        outcome(lambda: [getattr(value, name) for name in value.__match_args__]),
    )


@pytest.mark.parametrize(("name", "args", "kwargs"), CALLS, ids=str)
def test_construction_and_its_errors(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    ours, theirs = (outcome(lambda k=kinds: k[name](*args, **kwargs)) for kinds in (OURS, THEIRS))
    assert seen(ours) == seen(theirs)


@pytest.mark.parametrize("decorate", [frozen, standard])
def test_a_field_without_a_default_after_one_with_it_is_refused(decorate: Any) -> None:
    with pytest.raises(TypeError, match="default"):
        decorate()(type("Late", (), {"__annotations__": {"first": int, "second": int}, "first": 1}))


@pytest.mark.parametrize("name", OURS)
def test_what_tools_ask_of_a_class(name: str) -> None:
    ours, theirs = OURS[name], THEIRS[name]
    assert inspect.signature(ours) == inspect.signature(theirs)
    assert str(inspect.signature(ours)) == str(inspect.signature(theirs))
    assert ours.__match_args__ == theirs.__match_args__
    assert ours.__init__.__qualname__ == theirs.__init__.__qualname__
    assert inspect.signature(ours.__init__) == inspect.signature(theirs.__init__)
    assert str(inspect.signature(ours.__init__)) == str(inspect.signature(theirs.__init__))
    assert dataclasses.is_dataclass(ours)
    for one, other in zip(dataclasses.fields(ours), dataclasses.fields(theirs), strict=True):
        assert (one.name, one.type, one.default, one.kw_only) == (other.name, other.type, other.default, other.kw_only)
    assert list(fields(ours)) == [field.name for field in dataclasses.fields(theirs)]
    with_default = [field for field in dataclasses.fields(theirs) if field.default is not dataclasses.MISSING]
    assert defaults(ours) == {field.name: field.default for field in with_default}


def objects(kinds: Any) -> list[Any]:
    """Return objects of all classes, some of which are equal."""
    return [
        kinds[name](*args, **kwargs)
        for name, args, kwargs in CALLS
        if type(outcome(lambda n=name, a=args, k=kwargs: kinds[n](*a, **k))) is not tuple
    ]


def test_comparison_and_hash() -> None:
    ours, theirs = objects(OURS), objects(THEIRS)
    assert len(ours) == len(theirs) > 10
    for one, their in zip(ours, theirs, strict=True):
        assert [one == other for other in ours] == [their == other for other in theirs]
        assert [one != other for other in ours] == [their != other for other in theirs]
        assert one != astuple(one)
        assert (one == their, their == one) == (False, False)
        if "Alone" not in repr(one):  # its hash is by identity
            assert outcome(lambda o=one: hash(o)) == outcome(lambda t=their: hash(t))


def test_a_value_that_is_not_equal_to_itself() -> None:
    one, other = (OURS["Checked"](1, float("nan")) for _ in range(2))
    assert one != other


@pytest.mark.parametrize("name", ["size", "rate", "names", "kind", "new"])
@pytest.mark.parametrize("kind", ["Child", "Undecorated"])
def test_frozen(kind: str, name: str) -> None:
    ours, theirs = OURS[kind](), THEIRS[kind]()
    assert outcome(lambda: setattr(ours, name, 1)) == outcome(lambda: setattr(theirs, name, 1))
    assert outcome(lambda: delattr(ours, name)) == outcome(lambda: delattr(theirs, name))
    assert repr(ours) == repr(theirs)
    if kind == "Child":
        with pytest.raises(dataclasses.FrozenInstanceError, match=name):
            setattr(ours, name, 1)


@pytest.mark.parametrize("changes", [{}, {"size": 8}, {"rate": -1}, {"rate": 2, "names": ("x",)}, {"extra": 1}])
def test_replace(changes: dict[str, Any]) -> None:
    ours, theirs = OURS["Child"](5), THEIRS["Child"](5)
    expected = seen(outcome(lambda: dataclasses.replace(theirs, **changes)))
    for function in (replace, dataclasses.replace, type(ours).__replace__):
        assert seen(outcome(lambda f=function: f(ours, **changes))) == expected
    assert dataclasses.asdict(ours) == dataclasses.asdict(theirs)
    assert dataclasses.astuple(ours) == astuple(ours)


def test_an_object_in_itself_has_a_text() -> None:
    for kinds in (OURS, THEIRS):
        value = kinds["Alone"]([])
        value.value.append(value)
        assert repr(value) == "family.<locals>.Alone(value=[...])"


def test_patterns() -> None:
    match OURS["Child"](1, 2.0):
        case object(size=1, rate=rate):
            assert rate == 2.0
    child = OURS["Child"]
    match child(4, 0.5, ("a",)):
        case child(size, rate, names):
            assert (size, rate, names) == (4, 0.5, ("a",))


def test_what_a_class_defines_itself_stays() -> None:
    @frozen
    class Own:
        value: int

        def __init__(self, text: str) -> None:
            object.__setattr__(self, "value", int(text))

        def __repr__(self) -> str:
            return f"<{self.value}>"

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 1

    own = Own("3")
    assert (own.value, repr(own), hash(own), own == 4) == (3, "<3>", 1, True)
    assert list(inspect.signature(Own).parameters) == ["text"]


def test_subclasses_by_the_standard_library() -> None:
    @dataclasses.dataclass(frozen=True)
    class More(OURS["Child"]):  # type: ignore[misc]
        more: int = 1

    more = More(1, more=2)
    assert [field.name for field in dataclasses.fields(More)] == ["size", "rate", "names", "more"]
    assert repr(more).endswith("More(size=1, rate=0.25, names=(), more=2)")
    assert more == dataclasses.replace(more)
    with pytest.raises(dataclasses.FrozenInstanceError):
        more.more = 3
    with pytest.raises(TypeError, match="cannot inherit non-frozen dataclass from a frozen one"):
        dataclasses.dataclass(type("Loose", (OURS["Child"],), {}))


def test_subclasses_with_another_constructor() -> None:
    class Small(fastmlp.SGD):
        note: str

        def __init__(self, note: str) -> None:
            super().__init__(0.001)
            self.note = note

    small = Small("slow")
    assert (small.learning_rate, small.note, repr(small)) == (
        0.001,
        "slow",
        "test_subclasses_with_another_constructor.<locals>.Small(learning_rate=0.001, momentum=0.0, nesterov=False)",
    )
    assert list(inspect.signature(Small).parameters) == ["note"]
    with pytest.raises(AttributeError, match="cannot assign to field 'momentum'"):
        small.momentum = 1.0  # type: ignore[misc]


@given(
    annotated=st.lists(st.sampled_from(NAMES), unique=True, min_size=1),
    n_required=st.integers(0, 5),
    args=st.lists(st.integers(0, 2), max_size=6),
    kwargs=st.dictionaries(st.sampled_from([*NAMES, "other"]), st.integers(0, 2), max_size=4),
    kw_only=st.booleans(),
)
def test_any_fields_and_any_call(
    annotated: list[str], n_required: int, args: list[int], kwargs: dict[str, int], kw_only: bool
) -> None:
    def make(decorate: Any) -> Any:
        with_default = {name: i for i, name in enumerate(annotated[n_required:])}
        namespace = {"__annotations__": dict.fromkeys(annotated, int), **with_default}
        return decorate(kw_only=kw_only)(type("Made", (), namespace))

    ours, theirs = make(frozen), make(standard)
    assert inspect.signature(ours) == inspect.signature(theirs)
    one, other = (outcome(lambda k=kind: k(*args, **kwargs)) for kind in (ours, theirs))
    assert seen(one) == seen(other)
    if not isinstance(one, tuple):
        assert one == ours(**vars(one))
        assert hash(one) == hash(ours(**vars(one)))


# ------------------------------------------------------------------------------------------------ the package's classes

PUBLIC = [value for value in vars(fastmlp).values() if isinstance(value, type) and dataclasses.is_dataclass(value)]


def test_the_public_classes_are_there() -> None:
    named = [activations.ACTIVATIONS, losses.LOSSES, optimizers.OPTIMIZERS, schedules.SCHEDULES]
    others = {fastmlp.CustomActivation, fastmlp.CustomLoss, fastmlp.Regularization, fastmlp.TrainingState}
    assert all(named)
    assert set(PUBLIC) == others.union(*(table.values() for table in named))


@pytest.mark.parametrize("kind", PUBLIC)
def test_help_shows_the_parameters(kind: type) -> None:
    lines = pydoc.plain(pydoc.render_doc(kind)).splitlines()
    assert f" |  {kind.__name__}{inspect.signature(kind)}" in lines or not fields(kind)
    assert "args" not in inspect.signature(kind).parameters


@pytest.mark.parametrize("kind", PUBLIC)
def test_the_constructor_has_the_signature_of_the_class(kind: Any) -> None:
    of_class = inspect.signature(kind)
    first, *others = inspect.signature(kind.__init__).parameters.values()
    assert first.name == "self"
    assert others == list(of_class.parameters.values())


@pytest.mark.parametrize("kind", [kind for kind in PUBLIC if len(fields(kind)) == len(defaults(kind))])
def test_public_objects_pickle_and_copy(kind: Any) -> None:
    value = kind()
    for again in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert again == value
        assert vars(again) == vars(value)
    with pytest.raises(TypeError, match=rf"{kind.__name__}.__init__\(\) got an unexpected keyword argument 'nonsense'"):
        kind(nonsense=1)
