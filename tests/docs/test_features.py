"""docs/features.md claims nothing without a test, and its names exist: of fastmlp, of scikit-learn, of PyTorch."""

from __future__ import annotations

import functools
import importlib
import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import fastmlp

TESTS = Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "features.md"
COLUMNS = ("feature", "fastmlp", "sklearn", "torch", "keras", "tests")


def table() -> list[dict[str, str]]:
    """The rows of all tables of the page."""
    rows = []
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")] if line.startswith("|") else []
        if len(cells) == len(COLUMNS) and cells[0] and not cells[0].startswith("---"):
            rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


ROWS = table()


def names(cell: str) -> list[str]:
    """What stands between backquotes."""
    return re.findall(r"`([^`]+)`", cell)


def has(module: Any, dotted: str) -> bool:
    """Whether the module has that attribute of an attribute."""
    try:
        functools.reduce(getattr, dotted.split("."), module)
    except AttributeError:
        return False
    return True


def test_the_page_has_rows() -> None:
    assert len(ROWS) > 50
    assert all(names(row["fastmlp"]) and names(row["tests"]) for row in ROWS)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row["feature"])
def test_a_claim_has_its_names_and_its_tests(row: dict[str, str]) -> None:
    assert [name for name in names(row["fastmlp"]) if not has(fastmlp, name)] == []
    for test in names(row["tests"]):
        file, function = test.split("::")
        assert f"def {function}(" in next(TESTS.rglob(file)).read_text(encoding="utf-8"), test


@pytest.mark.oracle
def test_the_names_of_scikit_learn() -> None:
    estimators = pytest.importorskip("sklearn.neural_network")
    known = {name for each in (estimators.MLPClassifier, estimators.MLPRegressor) for name in dir(each)}
    known |= set(inspect.signature(estimators.MLPClassifier).parameters)
    known |= set(inspect.signature(estimators.MLPRegressor).parameters) | {"loss_curve_", "Pipeline"}
    assert [name for row in ROWS for name in names(row["sklearn"]) if name not in known] == []


@pytest.mark.oracle
def test_the_names_of_pytorch() -> None:
    torch = pytest.importorskip("torch")
    importlib.import_module("torch.utils.data")
    importlib.import_module("torch.optim.swa_utils")
    found = [name for row in ROWS for name in names(row["torch"])]
    assert [name for name in found if not has(torch, name)] == []
