"""Limits BLAS to one thread before NumPy is imported, and adds the option --quick: every check, no measurement."""

from __future__ import annotations

import one_thread
import pytest

one_thread.enter()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="check every case on a few rows, time nothing")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--quick"):
        config.option.benchmark_disable = True


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--quick"))
