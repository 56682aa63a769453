"""Docstrings with their examples, and the Python blocks and links of the documentation, are correct.

Docstrings are those of the installed package, also of its compiled modules. An example runs in an empty folder, with
`fastmlp`, `np`, the names of its own module and those of `fastmlp.activations`. A block that cannot be run has
`<!-- not run -->` on the line before it; a page with `<!-- needs PACKAGE -->` is run if that package is installed.
"""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import os
import pathlib
import pkgutil
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import activations, losses, optimizers, regularization, schedules

TOP = pathlib.Path(__file__).parents[2]
PAGES = [TOP / "README.md", *sorted((TOP / "docs").glob("*.md"))]
LINKED = [TOP / "CONTRIBUTING.md", *PAGES, *sorted((TOP / "docs" / "extending").glob("*.md"))]
MODULES_NEED = {  # the beginnings of names of modules that need a package
    "fastmlp.callers.numba_function": "numba",
    "fastmlp.sklearn": "sklearn",
    "fastmlp.convert.sklearn_models": "sklearn",
    "fastmlp.convert.torch_modules": "torch",
    "fastmlp.convert.torch_writer": "torch",
    "fastmlp.convert.spark": "pyarrow",
}
EXAMPLES_NEED = {  # objects whose examples need a package
    "fastmlp.bound.BoundPredictor.numba": "numba",
    "fastmlp.callbacks.OptunaPruning": "optuna",
    "fastmlp.convert.from_sklearn": "sklearn",
    "fastmlp.network.Network.to_keras": "keras",
    "fastmlp.network.Network.to_sklearn": "sklearn",
    "fastmlp.network.Network.to_torch": "torch",
}
COMPILED = {"_blas", "_core", "_custom", "_rows"}  # their public methods are those of Network


# -- docstrings -------------------------------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    """Return all modules of the package except the compiled ones, `__main__`, and those whose package is missing."""
    yield fastmlp
    for found in pkgutil.walk_packages(fastmlp.__path__, "fastmlp."):
        missing = [need for name, need in MODULES_NEED.items() if found.name.startswith(name) and not is_there(need)]
        if found.name.rpartition(".")[2] not in COMPILED | {"__main__"} and not missing:
            yield importlib.import_module(found.name)


def is_there(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def defined_in(module: ModuleType) -> Iterator[tuple[str, Any]]:
    """Return the module's public classes and functions, and the public members of its classes."""
    for name, value in vars(module).items():
        if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
            continue
        if inspect.isclass(value):
            yield f"{module.__name__}.{name}", value
            yield from members(f"{module.__name__}.{name}", value)
        elif inspect.isroutine(value):
            yield f"{module.__name__}.{name}", value


def members(path: str, cls: type) -> Iterator[tuple[str, Any]]:
    """Return the public methods and properties of a class, also inherited and compiled ones; not a tuple's fields."""
    for name in dir(cls):
        value = inspect.getattr_static(cls, name)
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if name.startswith("_") or name in getattr(cls, "_fields", ()) or not owner.__module__.startswith("fastmlp"):
            continue
        value = value.__func__ if isinstance(value, (staticmethod, classmethod)) else value
        if inspect.isroutine(value) or inspect.isdatadescriptor(value):
            yield f"{path}.{name}", value


OBJECTS = {path: value for module in modules() for path, value in defined_in(module)}
MODULES = {module.__name__: module for module in modules()}

CLASSES = {
    *activations.ACTIVATIONS.values(),
    activations.CustomActivation,
    *losses.LOSSES.values(),
    losses.CustomLoss,
    *optimizers.OPTIMIZERS.values(),
    *schedules.SCHEDULES.values(),
    regularization.Regularization,
}
METHODS = [path for path in OBJECTS if re.fullmatch(r"fastmlp\.network\.Network\.\w+", path)]
WITH_EXAMPLES = sorted(
    [f"{cls.__module__}.{cls.__name__}" for cls in CLASSES]
    + [path for path in METHODS if inspect.isroutine(OBJECTS[path])]
    + [*EXAMPLES_NEED, "fastmlp.scaling.Scaling", "fastmlp.scaling.Scaling.fit", "fastmlp.scaling.Scaling.undo"]
    + [f"fastmlp.bound.BoundPredictor{name}" for name in ("", ".scipy", ".ctypes", ".save", ".copy", ".summary")]
    + [
        "fastmlp.about.get_include",
        "fastmlp.network.Network",
        "fastmlp.network.load",
        "fastmlp.about.info",
        "fastmlp.history.History",
    ]
    + [path for path in OBJECTS if path.startswith("fastmlp.datasets.")]
    + [path for path in OBJECTS if re.fullmatch(r"fastmlp\.sklearn\.estimators\.MLP\w+", path)]
)


def examples_of(path: str) -> list[doctest.DocTest]:
    """Return the examples in the docstring of an object or module, with the names that they may use."""
    value = MODULES[path] if path in MODULES else OBJECTS[path]
    names: dict[str, Any] = {"fastmlp": fastmlp, "np": np, **vars(activations)}
    home = value if path in MODULES else inspect.getmodule(value)
    names.update(vars(home) if home is not None else {})
    text = inspect.getdoc(value) or ""
    return [doctest.DocTestParser().get_doctest(text, names, path, None, 0)]


def test_what_is_looked_at() -> None:
    """The public names are among the tested objects."""
    found = {re.sub(r"^fastmlp\.network\.", "", path) for path in METHODS}
    methods = "predict classify activations pre_activations evaluate loss_and_grad input_gradient train_on_batch fit"
    more = "parameters n_parameters weights biases set_layer save summary copy fold_linear sizes loss dtype engine"
    assert {f"Network.{name}" for name in f"{methods} {more}".split()} <= found
    public = {f"{v.__module__}.{v.__name__}" for k, v in vars(fastmlp).items() if k in fastmlp.__all__ and callable(v)}
    assert public <= set(OBJECTS)
    bases = activations.Activation, losses.Loss, optimizers.Optimizer, schedules.Schedule, regularization.Regularization
    exported = [getattr(fastmlp, name) for name in fastmlp.__all__]
    assert {value for value in exported if inspect.isclass(value) and issubclass(value, bases)} == CLASSES
    assert "fastmlp.reference.network.Network.fit" in OBJECTS


@pytest.mark.parametrize("path", [*MODULES, *OBJECTS])
def test_has_a_docstring(path: str) -> None:
    value = MODULES[path] if path in MODULES else OBJECTS[path]
    text = vars(value).get("__doc__") if inspect.isclass(value) else value.__doc__  # a class inherits none here
    assert text
    assert text.split("\n\n")[0].strip()[-1] in ".:", "expected a sentence, as a signature is not"
    if inspect.isclass(value):
        assert not text.startswith(f"{value.__name__}("), "this is what dataclass makes of fields"


@pytest.mark.parametrize("path", WITH_EXAMPLES)
def test_has_an_example(path: str) -> None:
    text = inspect.getdoc(OBJECTS[path]) or ""
    assert re.search(r"^Examples\n-{8}$", text, re.MULTILINE), "no section Examples"
    runs = [doctest.SKIP not in example.options for test in examples_of(path) for example in test.examples]
    assert any(runs), "nothing to run in it"


@pytest.mark.parametrize(
    "path", [p for p in (*MODULES, *OBJECTS) if ">>>" in ((MODULES.get(p) or OBJECTS[p]).__doc__ or "")]
)
def test_examples_give_what_they_say(path: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.endswith("load_fashion_mnist") and not os.path.isdir(fastmlp.datasets.FASHION_MNIST_FOLDER):
        pytest.skip("needs Fashion-MNIST: apt-get install dataset-fashion-mnist")
    need = EXAMPLES_NEED.get(path.replace("fastmlp.exports.Exports.", "fastmlp.network.Network."))
    if need is not None:
        pytest.importorskip(need)
    monkeypatch.chdir(tmp_path)
    for test in examples_of(path):
        report: list[str] = []
        runner = doctest.DocTestRunner(optionflags=doctest.FAIL_FAST)
        runner.run(test, out=report.append)
        assert runner.summarize(verbose=False).failed == 0, "".join(report)


# -- pages ------------------------------------------------------------------------------------------------------------


def blocks(page: pathlib.Path) -> Iterator[str]:
    """Return a page's Python blocks except "not run" ones, padded so that tracebacks have the page's line numbers."""
    lines = page.read_text(encoding="utf-8").splitlines()
    begin = None
    for i, line in enumerate(lines):
        if begin is None and line.strip() == "```python":
            begin = i + 1
        elif begin is not None and line.strip() == "```":
            if begin < 2 or lines[begin - 2].strip() != "<!-- not run -->":
                yield "\n" * begin + "\n".join(lines[begin:i]) + "\n"
            begin = None
    assert begin is None, f"{page.name}: a block that begins in line {begin} has no end"


def test_pages_with_blocks() -> None:
    count = {page.name: len(list(blocks(page))) for page in PAGES}
    assert count["README.md"] >= 1
    assert count["reverse_mode.md"] == 4


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_blocks_run(page: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if page.stem == "coming_from_scikit_learn":
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    for package in re.findall(r"<!-- needs (\w+) -->", page.read_text(encoding="utf-8")):
        pytest.importorskip(package)
    names: dict[str, Any] = {"__name__": "__page__"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.parametrize("cls", sorted(CLASSES, key=lambda cls: cls.__name__), ids=lambda cls: cls.__name__)
def test_an_example_on_a_page(cls: type) -> None:
    """Each activation, loss, optimiser, schedule is used in a block that runs, by its class or its name."""
    words = [re.escape(f"fastmlp.{cls.__name__}") + r"\b", re.escape(f'"{getattr(cls, "name", cls.__name__)}"')]
    assert any(re.search("|".join(words), block) for page in PAGES for block in blocks(page))


@pytest.mark.parametrize(
    "what", [fastmlp.Network.fit, fastmlp.Regularization, fastmlp.EarlyStopping, fastmlp.Checkpoint]
)
def test_arguments_stand_on_a_page(what: Any) -> None:
    """Each is given in a block that runs."""
    text = "".join(block for page in PAGES for block in blocks(page))
    parameters = set(inspect.signature(what).parameters) - {"self", "X", "y", "monitor", "path"}
    assert [name for name in sorted(parameters) if f"{name}=" not in text] == []


def links(page: pathlib.Path) -> list[str]:
    """The targets of a page's links that are in the repository."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"^\[[^\]]+\]:\s*(\S+)", text, re.MULTILINE)
    return [link for link in found if not re.match(r"[a-z]+:", link)]


def anchors(page: pathlib.Path) -> set[str]:
    """What GitHub makes of the page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", LINKED, ids=lambda page: str(page.relative_to(TOP)))
def test_links_resolve(page: pathlib.Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        inside = target.is_relative_to(TOP) and target.exists()
        if not inside or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_there_are_links() -> None:
    assert len(links(TOP / "README.md")) >= 6
    assert "errata.md#essay" in links(TOP / "docs" / "reverse_mode.md")


def test_nothing_is_to_be_installed_from_where_it_is_not() -> None:
    """The package is on no index, so an extra can be installed from a checkout alone."""
    package = pathlib.Path(fastmlp.__file__).parent
    files = [*PAGES, *sorted((TOP / "examples").rglob("*.py")), *sorted(package.rglob("*.p*"))]
    texts = {path: path.read_text() for path in files if path.suffix in (".md", ".py", ".pyx", ".pxi", ".pyi")}
    assert len(texts) > 50
    assert [path.name for path, text in texts.items() if re.search(r"pip install \"?fastmlp", text)] == []
