"""What every test shares: the matrix of implementations, the tolerance table, and rules for the run.

`build` makes a network of one implementation: engine x ISA x dtype. A test that takes it runs on all that this build
and this processor have. Tolerances are stated here, once. FASTMLP_HYPOTHESIS chooses the profile of the property
tests; what Hypothesis keeps goes to a temporary folder. A test that is skipped for want of a package says what to
install. Under FASTMLP_NO_SKIPS=1 a test that is skipped or expected to fail, and a module without tests, is a failure.
"""

from __future__ import annotations

import itertools
import math
import os
import pathlib
import re
import shlex
import tempfile
import tomllib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import hypothesis
import hypothesis.configuration
import numpy as np
import pytest

import fastmlp

os.environ.setdefault("KERAS_BACKEND", "torch")  # Keras reads it at its import

# Each layer adds to the relative error of a result: a dot product of I terms, whose roundings walk at random, about
# sqrt(I) ULP, and an activation of up to 4 ULP (test_kernels.py has the bounds). Backpropagation passes each layer
# twice more. The factor covers sums that are smaller than their terms; a wrong formula is off by far more.
ULP = {"float32": 2.0**-23, "float64": 2.0**-52}
SAFETY = 8


@dataclass(frozen=True)
class Implementation:
    """An engine, an instruction set and a dtype; called, it builds a network of them."""

    engine: str
    isa: str
    dtype: str

    def __call__(self, sizes: Sequence[int], **words: Any) -> fastmlp.Network:
        return fastmlp.Network(sizes, dtype=self.dtype, engine=self.engine, _isa=self.isa, **words)

    def tolerance(self, sizes: Sequence[int], passes: int = 1) -> float:
        """Return the relative error that is allowed after `passes` passes through layers of these sizes."""
        return SAFETY * ULP[self.dtype] * passes * sum(math.sqrt(n_inputs) + 4 for n_inputs in sizes[:-1])

    def assert_close(self, actual: Any, expected: Any, sizes: Sequence[int], passes: int = 1) -> None:
        """Check that the largest difference is within the tolerance, relative to the largest expected number."""
        actual, expected = np.asarray(actual, dtype=np.float64), np.asarray(expected, dtype=np.float64)
        assert actual.shape == expected.shape
        error = np.abs(actual - expected).max()
        bound = self.tolerance(sizes, passes) * np.abs(expected).max()
        assert error <= bound, f"error {error:.3g} above {bound:.3g}"


IMPLEMENTATIONS = [
    Implementation(engine, isa, dtype)
    for engine in fastmlp.info()["engines"]
    for isa in fastmlp.info()["isas"]
    for dtype in ULP
]


def _label(implementation: Implementation) -> str:
    return "-".join([implementation.engine, implementation.isa, implementation.dtype])


@pytest.fixture(scope="session", params=IMPLEMENTATIONS, ids=_label)
def build(request: pytest.FixtureRequest) -> Implementation:
    """Build networks of one implementation; the test runs on each implementation."""
    return request.param


@pytest.fixture(scope="session", params=[i for i in IMPLEMENTATIONS if i.dtype == "float64"], ids=_label)
def build64(request: pytest.FixtureRequest) -> Implementation:
    """Like `build`, but in float64 only, for oracles that need the precision."""
    return request.param


# -- property tests: the same examples in every run, unless asked otherwise ------------------------------------------

hypothesis.settings.register_profile("default", derandomize=True, deadline=None, print_blob=True, max_examples=25)
hypothesis.settings.register_profile("thorough", derandomize=False, deadline=None, print_blob=True, max_examples=1000)
hypothesis.settings.load_profile(os.environ.get("FASTMLP_HYPOTHESIS", "default"))
hypothesis.configuration.set_hypothesis_home_dir(os.path.join(tempfile.gettempdir(), "fastmlp-hypothesis"))


# -- why a test is skipped --------------------------------------------------------------------------------------------

DISTRIBUTIONS = {  # by the name of the module, if that differs
    "sklearn": "scikit-learn",
    "cv2": "opencv-python-headless",
    "stable_baselines3": "stable-baselines3",
}


def _requirement(module: str) -> str | None:
    """Return the requirement, from the package's extras, that pip must install for a module; None if they have none."""
    name = DISTRIBUTIONS.get(module, module)
    file = pathlib.Path(__file__).parents[1] / "pyproject.toml"
    if file.exists():
        extras = tomllib.loads(file.read_text(encoding="utf-8"))["project"]["optional-dependencies"]
        for requirement in itertools.chain(*extras.values()):
            if re.match(r"[\w-]+", requirement)[0] == name:
                return requirement
    return None


def _explain(report: Any) -> None:
    """Add what to install to the report of a test, or a test module, that `importorskip` has skipped."""
    if not (report.skipped and isinstance(report.longrepr, tuple)):
        return
    path, line, reason = report.longrepr
    found = re.match(r"Skipped: (?:could not import|module) '(\w+)", reason)
    if found:
        text = f"Skipped: needs {found[1]}: pip install {shlex.quote(_requirement(found[1]) or found[1])}"
        report.longrepr = path, line, text


def _skip_for_want_of_a_package(report: Any, path: pathlib.Path) -> None:
    """Skip what failed to import a package of the extras, a test or a module, as if it had called `importorskip`."""
    found = re.findall(r"^E +ModuleNotFoundError: No module named '(\w+)", str(report.longrepr), re.MULTILINE)
    if report.failed and found and _requirement(found[-1]) is not None:
        report.outcome = "skipped"
        report.longrepr = str(path), 1, f"Skipped: could not import '{found[-1]}'"


# -- no test may be left out where FASTMLP_NO_SKIPS=1 -----------------------------------------------------------------

NO_SKIPS = os.environ.get("FASTMLP_NO_SKIPS") == "1"


def _refuse(report: Any, reason: object) -> None:
    report.outcome = "failed"
    report.longrepr = f"{report.nodeid}: FASTMLP_NO_SKIPS=1 and {reason}"


@pytest.hookimpl(wrapper=True, tryfirst=True)  # tryfirst: this hook's code after `yield` runs after that of other hooks
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    _skip_for_want_of_a_package(report, item.path)
    _explain(report)
    if NO_SKIPS and report.skipped:
        expected = vars(report).pop("wasxfail", None)
        _refuse(report, f"skipped: {report.longrepr[-1]}" if expected is None else "expected to fail")
    return report


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, Any]:
    report = yield
    _skip_for_want_of_a_package(report, collector.path)
    _explain(report)
    if NO_SKIPS and report.skipped:
        _refuse(report, f"skipped: {report.longrepr[-1]}")
    elif NO_SKIPS and isinstance(collector, pytest.Module) and report.passed and not report.result:
        _refuse(report, "no tests in it")
    return report
