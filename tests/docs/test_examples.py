"""The scripts in examples/ run, and their networks reach the expected accuracy.

Scripts that train on images need Fashion-MNIST and are slow. A bound is a little below the accuracy over several seeds,
so that rounding errors do not matter; an untrained network cannot reach it.
"""

from __future__ import annotations

import ast
import importlib.util
import inspect
import os
import pathlib
from types import ModuleType

import numpy as np
import pytest

import fastmlp
import fastmlp.reference

FOLDER = pathlib.Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py"))


def load(name: str) -> ModuleType:
    """Import a script as a module, without running its `main`."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def images() -> None:
    if not os.path.isdir(fastmlp.datasets.FASHION_MNIST_FOLDER):
        pytest.skip("needs Fashion-MNIST: apt-get install dataset-fashion-mnist")


def test_all_scripts_are_run_here() -> None:
    here = ast.parse(pathlib.Path(__file__).read_text(encoding="utf-8"))
    run = {
        call.args[0].value
        for call in ast.walk(here)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "load"
        if isinstance(call.args[0], ast.Constant)
    }
    assert run == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_form(name: str) -> None:
    """A script has a docstring that names the network, a `main(epochs)`, and at most 30 other lines of code."""
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    module = load(name)
    assert module.__doc__
    assert any(character.isdigit() for character in module.__doc__.splitlines()[0])
    assert "epochs" in inspect.signature(module.main).parameters
    tree = ast.parse(text)
    docstrings = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.Module, ast.FunctionDef)) and ast.get_docstring(node):
            docstrings.update(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    lines = [line for i, line in enumerate(text.splitlines(), 1) if line.strip() and i not in docstrings]
    assert 10 <= len(lines) <= 30
    assert text.rstrip().endswith('if __name__ == "__main__":\n    main()')


# -- small networks ---------------------------------------------------------------------------------------------------


def test_zhou(capsys: pytest.CaptureFixture[str]) -> None:
    module = load("zhou")
    emily, frank, loss = module.main()
    words = {"activation": "sigmoid", "output_activation": "sigmoid", "loss": "squared_error", "init": "normal"}
    net = fastmlp.reference.Network([2, 2, 1], seed=0, **words)
    for row in list(module.PEOPLE.values()) * 1000:  # single rows, in his order
        net.train_on_batch(row[:2], row[2], fastmlp.SGD(0.1))
    assert [emily, frank] == pytest.approx([y for (y,) in net.predict([[-7, -3], [20, 2]])], rel=1e-9)
    assert 0.93 < emily < 0.98
    assert 0.02 < frank < 0.30
    assert 0.0010 < loss < 0.0030
    assert capsys.readouterr().out.startswith(f"Emily: {emily:.3f}, Frank: {frank:.3f}")


def test_skalski() -> None:
    module = load("skalski")
    X, y = module.two_circles(1000)
    radii = np.hypot(*X.T)
    assert radii[y == 0].mean() == pytest.approx(1.0, abs=0.02)
    assert radii[y == 1].mean() == pytest.approx(0.3, abs=0.03)
    assert y.sum() == 500
    assert module.main() > 0.998


def test_control_loop() -> None:
    module = load("control_loop")
    falling = np.array([0.5, 0.0, 0.2, 0.0], dtype=np.float32)
    for _ in range(100):
        module.step(falling, 0.0)
    assert abs(falling[2]) > 1.0  # without a controller
    largest, position = module.main()
    assert largest < 0.21  # it began at 0.2
    assert abs(position) < 0.2


def test_surrogate() -> None:
    module = load("surrogate")
    r2, learnt, true = module.main()
    assert r2 > 0.999
    assert learnt == pytest.approx(true, rel=0.03)


def test_surrogate_formulas() -> None:
    """Check the derivatives to which the surrogate is compared, and the network's, by central differences."""
    module = load("surrogate")
    X, step = np.random.default_rng(1).uniform(-3, 3, (5, 3)), 1e-6
    net = fastmlp.Network([3, 8, 1], activation="tanh", loss="squared_error", dtype="float64", seed=1)
    functions = [
        (lambda x: module.ishigami(x)[0], module.ishigami(X)[1]),
        (lambda x: net.predict(x)[:, 0], module.sensitivities(net, X)),
    ]
    for f, slopes in functions:
        for i in range(3):
            ahead, behind = X.copy(), X.copy()
            ahead[:, i] += step
            behind[:, i] -= step
            assert slopes[:, i] == pytest.approx((f(ahead) - f(behind)) / (2 * step), rel=1e-5, abs=1e-7)


# -- images -----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_nielsen() -> None:
    accuracies = load("nielsen").main(epochs=3)
    assert len(accuracies) == 3
    assert accuracies[-1] > 0.70


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_sanderson() -> None:
    n_parameters, accuracy = load("sanderson").main(epochs=3)
    assert n_parameters == 13_002
    assert accuracy > 0.78


@pytest.mark.slow
@pytest.mark.usefixtures("images")
def test_keras_dense() -> None:
    assert load("keras_dense").main(epochs=2) > 0.83
