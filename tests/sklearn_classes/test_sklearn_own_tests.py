"""scikit-learn's own tests of its multilayer perceptrons, run on ours.

The installed file sklearn/neural_network/tests/test_mlp.py is executed with our classes in place of scikit-learn's, and
its definitions become those of this module, so that pytest collects its tests. `DIFFERENT` lists the tests that fail,
and why; they must fail, so that the list, which is also in docs/coming_from_scikit_learn.md, stays correct.
"""

from __future__ import annotations

import importlib.util
import pathlib
import sys
from typing import Any

import pytest

pytest.importorskip("sklearn", minversion="1.9")
pytestmark = [pytest.mark.oracle, pytest.mark.filterwarnings("default")]

IMPORT = "from sklearn.neural_network import MLPClassifier, MLPRegressor"
DIFFERENT = {
    "test_gradient": "calls scikit-learn's private _loss_grad_lbfgs",
}


def load() -> dict[str, Any]:
    """Return the definitions of the file, with our classes."""
    import sklearn.neural_network

    path = pathlib.Path(sklearn.neural_network.__file__).parent / "tests" / "test_mlp.py"
    source = path.read_text(encoding="utf-8")
    assert source.count(IMPORT) == 1
    spec = importlib.util.spec_from_loader("scikit_learns_test_mlp", loader=None)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    exec(
        compile(source.replace(IMPORT, IMPORT.replace("sklearn.neural_network", "fastmlp.sklearn")), path, "exec"),
        vars(module),
    )
    return vars(module)


DEFINED = load()
globals().update({name: value for name, value in DEFINED.items() if name.startswith("test_") and name not in DIFFERENT})


@pytest.mark.parametrize("name", DIFFERENT)
def test_these_differ(name: str) -> None:
    with pytest.raises(AttributeError, match="_loss_grad_lbfgs"):
        DEFINED[name]()


def test_they_are_few() -> None:
    """At least 90 % of the tests pass, and the docs list the others."""
    assert len(DIFFERENT) <= 0.1 * sum(name.startswith("test_") for name in DEFINED)
    page = (pathlib.Path(__file__).parents[2] / "docs" / "coming_from_scikit_learn.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in DIFFERENT)


@pytest.fixture(params=[0, 1, 2])
def global_random_seed(request: pytest.FixtureRequest) -> int:
    """The fixture of scikit-learn's conftest.py."""
    return request.param
