"""The suite's own rules: under FASTMLP_NO_SKIPS=1 nothing is left out silently; without it, skipping is allowed."""

from __future__ import annotations

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

MODULES = {
    "test_good.py": "def test_it():\n    pass\n",
    "test_skips.py": "import pytest\ndef test_it():\n    pytest.skip('no reason')\n",
    "test_marked.py": "import pytest\n@pytest.mark.skipif(True, reason='never')\ndef test_it():\n    pass\n",
    "test_xfails.py": "import pytest\n@pytest.mark.xfail\ndef test_it():\n    assert False\n",
    "test_import.py": "import pytest\npytest.importorskip('no_such_module')\ndef test_it():\n    pass\n",
    "test_none.py": "import pytest\n@pytest.mark.parametrize('x', [])\ndef test_it(x):\n    pass\n",
    "test_empty.py": "def helper():\n    pass\n",
}


def run(folder: pathlib.Path, no_skips: str) -> str:
    """The lines "FAILED test_....py..." and "ERROR test_....py..." of a run of all these modules, and its exit code."""
    shutil.copy(pathlib.Path(__file__).parent / "conftest.py", folder)
    for name, text in MODULES.items():
        (folder / name).write_text(text)
    environment = {**os.environ, "FASTMLP_NO_SKIPS": no_skips, "PYTHONDONTWRITEBYTECODE": "1"}
    words = ["-rfEp", "--continue-on-collection-errors", "-p", "no:cacheprovider", "-c", os.devnull]
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


def test_skipping_is_allowed_elsewhere(tmp_path: pathlib.Path) -> None:
    assert run(tmp_path, "").endswith("exit code 0")
