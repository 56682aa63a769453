"""The suite's own rules: under FASTMLP_NO_SKIPS=1 nothing is left out silently; without it, skipping is allowed."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys
import types

import conftest
import hypothesis.configuration
import pytest

MODULES = {
    "test_good.py": "def test_it():\n    pass\n",
    "test_skips.py": "import pytest\ndef test_it():\n    pytest.skip('no reason')\n",
    "test_marked.py": "import pytest\n@pytest.mark.skipif(True, reason='never')\ndef test_it():\n    pass\n",
    "test_xfails.py": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n",
    "test_import.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_it():\n    pass\n",
    "test_plain_import.py": "import in_an_extra\ndef test_it():\n    pass\n",
    "test_later_import.py": "def test_it():\n    import in_an_extra\n",
    "test_within.py": "def test_it():\n    __import__('pytest').importorskip('numpy_of_the_future')\n",
    "test_none.py": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x):\n    pass\n",
    "test_empty.py": "def helper():\n    pass\n",
}


def run(folder: pathlib.Path, no_skips: str) -> str:
    """The lines "FAILED test_....py..." and "ERROR test_....py..." of a run of all these modules, and its exit code."""
    shutil.copy(pathlib.Path(__file__).parent / "conftest.py", folder)
    project = "[project.optional-dependencies]\nit = ['in_an_extra>=2']\n"
    (folder.parent / "pyproject.toml").write_text(project)
    for name, text in MODULES.items():
        (folder / name).write_text(text)
    environment = {**os.environ, "FASTMLP_NO_SKIPS": no_skips, "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["-rfEps", "--continue-on-collection-errors", "-p", "no:cacheprovider", "-c", os.devnull]
    command = [sys.executable, "-m", "pytest", *words, "--rootdir", folder, "."]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return f"{done.stdout}\nexit code {done.returncode}"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(tmp_path_factory.mktemp("strict"), "1")


@pytest.mark.parametrize("name", [name for name in MODULES if name != "test_good.py"])
def test_a_test_that_is_left_out_is_a_failure(name: str, strict: str) -> None:
    assert re.search(f"^(FAILED|ERROR) {re.escape(name)}", strict, re.MULTILINE)
    assert strict.endswith("exit code 1")


def test_a_test_that_runs_is_none(strict: str) -> None:
    assert "PASSED test_good.py" in strict


@pytest.fixture(scope="module")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> str:
    return run(tmp_path_factory.mktemp("lenient"), "")


def test_skipping_is_allowed_elsewhere(lenient: str) -> None:
    assert lenient.endswith("exit code 0")


@pytest.mark.parametrize("name", ["test_import.py", "test_within.py"])
def test_what_is_skipped_for_want_of_a_package_says_what_to_install(name: str, lenient: str) -> None:
    """For a test module that is skipped, and for a single test."""
    module = "no_such_module" if name == "test_import.py" else "numpy_of_the_future"
    assert re.search(rf"^SKIPPED \[1\] {name}:2: needs {module}: pip install {module}$", lenient, re.MULTILINE)


@pytest.mark.parametrize(
    ("module", "requirement"),
    [("torch", "'torch>=2.6'"), ("sklearn", "'scikit-learn>=1.9'"), ("tqdm", "'tqdm>=4.60'"), ("other", "other")],
)
def test_the_requirement_is_that_of_the_extras(module: str, requirement: str) -> None:
    for text in (f"could not import '{module}.more': No module named", f"module '{module}' has __version__ '0.1'"):
        report = types.SimpleNamespace(skipped=True, longrepr=("test_x.py", 3, f"Skipped: {text}"))
        conftest._explain(report)
        assert report.longrepr == ("test_x.py", 3, f"Skipped: needs {module}: pip install {requirement}")


def test_hypothesis_keeps_nothing_in_the_checkout() -> None:
    home = hypothesis.configuration.storage_directory()
    assert not pathlib.Path(str(home)).is_relative_to(pathlib.Path(__file__).parents[1])
