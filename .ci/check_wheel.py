"""Checks that a built wheel is small, has the data and type stubs, and has no sources or generated C.

The header of the C API and the declarations for Cython are in it; ALLOWED names the folders of such files.
"""

import fnmatch
import sys
import zipfile
from pathlib import Path

MAX_BYTES = 1_800_000  # 1.34 million before the row program, weights of fewer bytes and the C API
WANTED = (
    "_core.pyi", "_rows.pyi", "_custom.pyi", "py.typed", "data/", "fastmlp/__init__.pxd", "fastmlp/include/fastmlp.h"
)  # fmt: skip
UNWANTED = (".pyx", ".pxi", ".pxd", ".c", ".h", ".inc")
ALLOWED = ("fastmlp/include/*.h", "fastmlp/__init__.pxd")


def is_unwanted(name: str) -> bool:
    """Whether a file of that name must not be in the wheel; in ALLOWED, `*` does not match a folder."""
    folders = name.count("/")
    allowed = any(folders == each.count("/") and fnmatch.fnmatchcase(name, each) for each in ALLOWED)
    return name.endswith(UNWANTED) and not allowed


wheel = Path(sys.argv[1])
names = zipfile.ZipFile(wheel).namelist()
problems = [f"lacks {wanted}" for wanted in WANTED if not any(wanted in name for name in names)]
problems += [f"has {name}" for name in names if is_unwanted(name)]
if wheel.stat().st_size > MAX_BYTES:
    problems.append(f"has {wheel.stat().st_size} bytes, more than {MAX_BYTES}")
for problem in problems:
    print(f"{wheel.name}: {problem}")
sys.exit(bool(problems))
