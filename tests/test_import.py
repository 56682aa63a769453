"""What `import fastmlp` imports, and what is imported on first use, tested in a fresh interpreter."""

from __future__ import annotations

from pathlib import Path

import pytest

from processes import run_python


def run(code: str) -> list[str]:
    """Return the lines that the code prints in a separate process."""
    return run_python(code).splitlines()


@pytest.fixture(scope="module")
def imported() -> set[str]:
    """Return the modules that `import fastmlp` imports in addition to those of NumPy."""
    return set(
        run(
            "import sys, numpy\n"
            "before = set(sys.modules)\n"
            "import fastmlp\n"
            "print(*sorted(set(sys.modules) - before), sep='\\n')"
        )
    )


def test_the_package_is_there(imported: set[str]) -> None:
    assert {"fastmlp", "fastmlp._core", "fastmlp.network", "fastmlp.callbacks"} <= imported


def test_nothing_of_scipy(imported: set[str]) -> None:
    assert not {name for name in imported if name.split(".")[0] == "scipy"}


@pytest.mark.parametrize(
    "name",
    ["cli", "cli.benchmark", "reference", "datasets", "encoder", "tables.columns", "formats.upgrade", "training.fit"],
)
def test_not_what_only_a_command_an_oracle_or_a_later_use_needs(imported: set[str], name: str) -> None:
    assert f"fastmlp.{name}" not in imported


LATER = ["argparse", "difflib", "gzip", "csv", "multiprocessing", "torch", "sklearn", "polars", "dataclasses", "json"]
LATER += ["optuna", "shutil", "decimal", "mmap", "zipfile", "tempfile", "random", "threading", "numpy.typing"]


@pytest.mark.parametrize("name", LATER)
def test_no_library_that_only_an_error_or_a_command_needs(imported: set[str], name: str) -> None:
    assert name not in imported


def test_generates_no_functions() -> None:
    """A dataclass of the standard library would compile the text of seven for each class; tuples with names compile
    expressions.
    """
    before, after = run(
        "import sys, numpy\n"
        "n_functions = 0\n"
        "def hook(event, args):\n"
        "    global n_functions\n"
        "    if event == 'compile' and not str(args[1]).endswith('.py'):\n"
        "        n_functions += 'def ' in str(args[0])\n"
        "sys.addaudithook(hook)\n"
        "import fastmlp\n"
        "print(n_functions)\n"
        "import dataclasses\n"
        "dataclasses.make_dataclass('Seen', ['x'])\n"
        "print(n_functions)"
    )
    assert before == "0"
    assert int(after) > 0


def test_the_command_line_imports_what_a_command_needs_when_it_runs() -> None:
    code = (
        "import sys, fastmlp\n"
        "before = set(sys.modules)\n"
        "from fastmlp import cli\n"
        "try:\n"
        "    cli.main({})\n"
        "except SystemExit:\n"
        "    pass\n"
        "print('MODULES', *sorted(set(sys.modules) - before))"
    )
    for arguments in (["--version"], ["train", "--loss", "none"]):
        found = set(run(code.format(arguments))[-1].split()[1:])
        ours = {name for name in found if name.split(".")[0] == "fastmlp"}
        modules = "cli", "cli.command_line", "cli.options", "cli.preparation", "console"
        assert ours == {f"fastmlp.{name}" for name in modules}
        assert "argparse" in found
        assert not found & ({*LATER} - {"argparse", "shutil"})  # argparse imports shutil for the width of the terminal


def test_says_nothing() -> None:
    assert run("import fastmlp") == []


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="the system does not list threads")
def test_starts_no_thread() -> None:
    before, after = run(
        "import os, numpy\n"
        "print(len(os.listdir('/proc/self/task')))\n"
        "import fastmlp\n"
        "fastmlp.Network([3, 2]).predict([1, 2, 3])\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    assert after == before


def test_blas_is_bound_at_first_use() -> None:
    assert run(
        "import sys, fastmlp\n"
        "print('scipy.linalg.cython_blas' in sys.modules)\n"
        "fastmlp.Network([2, 1], engine='blas').predict([0.0, 0.0])\n"
        "print('scipy.linalg.cython_blas' in sys.modules)"
    ) == ["False", "True"]


# `exported` replaces the signature of a routine of SciPy, which may change with a release of SciPy or Cython.
SCIPY_OF_ANOTHER_RELEASE = """
import ctypes
import fastmlp
from scipy.linalg import cython_blas

api, python, kept = cython_blas.__pyx_capi__, ctypes.pythonapi, []
python.PyCapsule_GetName.restype, python.PyCapsule_GetName.argtypes = ctypes.c_char_p, [ctypes.py_object]
python.PyCapsule_GetPointer.restype = ctypes.c_void_p
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_New.restype = ctypes.py_object
python.PyCapsule_New.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]

def exported(name, old, new):
    signature = python.PyCapsule_GetName(api[name])
    kept.append(signature.replace(old, new))
    assert kept[-1] != signature
    api[name] = python.PyCapsule_New(python.PyCapsule_GetPointer(api[name], signature), kept[-1], None)

def product():
    net = fastmlp.Network([2, 1], engine="blas", dtype="float64")
    net.set_layer(0, [[2.0, 3.0]], [0.5])
    return net.predict([[1.0, 10.0], [0.0, 1.0]]).ravel().tolist()

"""


@pytest.mark.parametrize("spelling", ["double", "scipy_blas_d", "__pyx_t_9elsewhere_d"])
def test_how_scipy_spells_its_real_types_does_not_matter(spelling: str) -> None:
    code = f"""
for name in ('dgemm', 'dgemv'):
    exported(name, b'__pyx_t_5scipy_6linalg_11cython_blas_d', {spelling.encode()!r})
print(product())
"""
    assert run(SCIPY_OF_ANOTHER_RELEASE + code) == ["[32.5, 3.5]"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("dgemm", "int *", "long *"),  # integers of 64 bits
        ("sgemv", "int *", "int64_t *"),
        ("dgemv", "void (", "int ("),
        ("sgemm", "char *, ", ""),
        ("dgemm", "cython_blas_d *, int *)", "cython_blas_s *, int *)"),
    ],
)
def test_a_blas_routine_of_another_signature_is_refused(name: str, old: str, new: str) -> None:
    code = f"""
exported({name!r}, {old.encode()!r}, {new.encode()!r})
try:
    product()
except ImportError as error:
    print(error)
"""
    (message,) = run(SCIPY_OF_ANOTHER_RELEASE + code)
    assert message.startswith(f"scipy.linalg.cython_blas.{name}: expected parameters ")
    assert new in message
    assert "engine='native'" in message


def test_every_public_name_is_there() -> None:
    assert run("import fastmlp; print(all(hasattr(fastmlp, name) for name in fastmlp.__all__))") == ["True"]


def test_what_is_imported_when_it_is_used_is_listed_like_the_rest() -> None:
    assert run(
        "import sys, fastmlp\n"
        "names = dir(fastmlp)\n"
        "print('fastmlp.encoder' in sys.modules)\n"  # listing a name does not import it
        "print(set(fastmlp.__all__) <= set(names), names == sorted(set(names)))\n"
        "print('Encoder' in names, 'network' in names, '__name__' in names)\n"
        "fastmlp.Encoder\n"
        "print(set(names) <= set(dir(fastmlp)))"
    ) == ["False", "True True", "True True True", "True"]


def test_a_package_that_is_loaded_again_is_as_before() -> None:
    assert run(
        "import importlib, fastmlp\n"
        "network, encoder, names = fastmlp.Network, fastmlp.Encoder, dir(fastmlp)\n"
        "again = importlib.reload(fastmlp)\n"
        "print(again is fastmlp, fastmlp.Network is network, fastmlp.Encoder is encoder)\n"
        "print(set(dir(fastmlp)) - set(names), set(names) - set(dir(fastmlp)))\n"
        "space = {}\n"
        "exec('from fastmlp import *', space)\n"
        "print(set(fastmlp.__all__) <= set(space))"
    ) == ["True True True", "set() set()", "True"]


def test_what_the_estimators_need_is_named() -> None:
    lines = run(
        "import sys\n"
        "sys.modules['sklearn'] = None\n"
        "try:\n"
        "    import fastmlp.sklearn\n"
        "except ImportError as error:\n"
        "    print(error)"
    )
    assert lines == ["fastmlp.sklearn needs scikit-learn: pip install scikit-learn"]
