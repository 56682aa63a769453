"""The page of errata: errata that no other test checks, and the cross-references between the page and the tests.

The other errata are tested in test_sources.py and test_sources_paper.py.
"""

from __future__ import annotations

import ast
import math
import pathlib
import re

import numpy as np
import pytest

import fastmlp
from implementations import S

TESTS = pathlib.Path(__file__).parents[1]
PAGE = TESTS.parent / "docs" / "errata.md"


def rows() -> dict[str, list[str]]:
    """Return the cells of each erratum by its id."""
    found: dict[str, list[str]] = {}
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if re.match(r"\| [EP]-\d", line):
            number, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            assert number not in found, f"{number} stands twice"
            found[number] = cells
    return found


def test_every_erratum_is_complete() -> None:
    table = rows()
    assert len(table) == 21 + 21
    assert {"E-1", "P-1", "P-2", "P-3", "E-5"} <= set(table)
    assert {number: len(cells) for number, cells in table.items() if len(cells) != 5} == {}
    assert [number for number, cells in table.items() if not all(cells)] == []


def test_the_page_and_the_tests_name_each_other() -> None:
    functions = {
        node.name
        for name in ("test_sources.py", "test_sources_paper.py", "test_errata.py")
        for node in ast.walk(ast.parse(next(TESTS.rglob(name)).read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }
    table = rows()
    named = {number: set(re.findall(r"`(test_\w+)`", cells[-1])) for number, cells in table.items()}
    assert set().union(*named.values()) - functions == set()
    for function in functions:
        for letter, digits in re.findall(r"(?<=_)([ep])(\d+)(?=_)", function):
            number = f"{letter.upper()}-{digits}"
            assert function in named[number], f"{function} is about {number}; its row does not name it"
    without = {number for number, names in named.items() if not names}
    assert without == {"E-20", "E-21", "P-17", "P-25"}  # these errata are about words and names, not numbers


def test_e4_the_derivative_is_a_rate_not_an_amount() -> None:
    net = fastmlp.Network([1, 1], output_activation="sigmoid", loss="squared_error", dtype="float64")

    def cost(w: float) -> float:
        net.set_layer(0, [[w]], [0.5 - 0.15 * 0.8])
        return net.evaluate([0.8], 1.0)["loss"]

    before = cost(0.15)
    slope = net.loss_and_grad([0.8], 1.0)[1][0]
    assert slope == pytest.approx(-0.142, abs=5e-4)
    by_that_amount = cost(0.15 + slope)
    assert by_that_amount == pytest.approx(0.1637, abs=5e-5)
    assert before < by_that_amount < cost(-1.0) < cost(-10.0) < 1.0  # no maximum there
    assert (cost(0.15 + 1e-6) - cost(0.15 - 1e-6)) / 2e-6 == pytest.approx(slope, rel=1e-6)  # a rate


def test_e11_limits_alone_do_not_bound() -> None:
    def overshoots(x: float) -> float:
        return S(x) + math.exp(-x * x)

    for x in (-30.0, 30.0):  # the limits of S, and without bound by them
        assert overshoots(x) == pytest.approx(S(x), abs=1e-15)
    assert overshoots(0.0) == 1.5
    sines = [math.sin(n * math.pi + math.pi / 2) / 1 for n in range(100, 104)]
    assert sines == pytest.approx([1, -1, 1, -1])  # the denominator is 1, and there is no limit
    assert all(0 < y < 1 for y in fastmlp.Sigmoid()(np.linspace(-30, 30, 601)))


def test_p1_as_printed() -> None:
    def printed(y: float, y_hat: float) -> float:
        return y_hat * math.log(y) + (1 - y_hat) * math.log(1 - y)

    for label in (0.0, 1.0):
        with pytest.raises(ValueError, match=r"domain|positive"):  # log 0
            printed(label, 0.9)
    # with the roles right and the sign missing, the worse output costs less
    net = fastmlp.Network([1, 1], loss="binary_cross_entropy", dtype="float64")
    net.set_layer(0, [[1.0]], [0.0])
    good, bad = (net.evaluate([math.log(y / (1 - y))], 1.0)["loss"] for y in (0.9, 0.2))
    assert (good, bad) == pytest.approx((-printed(0.9, 1.0), -printed(0.2, 1.0)))
    assert printed(0.9, 1.0) > printed(0.2, 1.0)
    assert good < bad


def test_p15_the_loss_is_no_distance_of_parameters() -> None:
    net = fastmlp.Network([3, 5, 2], activation="tanh", dtype="float64", seed=1)
    X = np.random.default_rng(0).normal(size=(20, 3))
    y = net.predict(X)  # so this network is an optimum
    other = net.copy()
    order = [1, 2, 3, 4, 0]
    other.set_layer(0, net.weights[0][order], net.biases[0][order])
    other.set_layer(1, net.weights[1][:, order], net.biases[1])
    assert math.dist(net.parameters, other.parameters) > 0.5 * math.hypot(*net.parameters)
    assert net.evaluate(X, y)["loss"] == 0.0
    assert other.evaluate(X, y)["loss"] == pytest.approx(0.0, abs=1e-28)


def test_p19_it_goes_on_learning_and_forgets() -> None:
    (X, y), (X_test, y_test) = fastmlp.datasets.load_digits()
    net = fastmlp.Network([64, 32, 10], loss="cross_entropy", seed=0)
    old, new = y < 5, y >= 5
    old_test, new_test = y_test < 5, y_test >= 5

    def accuracies() -> tuple[float, float]:
        return tuple(net.evaluate(X_test[part], y_test[part])["accuracy"] for part in (old_test, new_test))

    net.fit(X[old], y[old], epochs=10)
    before = accuracies()
    net.fit(X[new], y[new], epochs=20)
    after = accuracies()
    assert before[0] > 0.9
    assert before[1] < 0.1
    assert after[1] > 0.9  # it learnt what came later
    assert after[0] < 0.5 * before[0]  # and forgot what it knew
