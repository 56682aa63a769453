"""Checks of a built wheel: small, with its data and type stubs, without sources or generated C."""

import sys
import zipfile
from pathlib import Path

MOST_BYTES = 1_500_000
WANTED = ("_core.pyi", "py.typed", "data/")
UNWANTED = (".pyx", ".pxi", ".pxd", ".c", ".h", ".inc")

wheel = Path(sys.argv[1])
names = zipfile.ZipFile(wheel).namelist()
problems = [f"lacks {wanted}" for wanted in WANTED if not any(wanted in name for name in names)]
problems += [f"has {name}" for name in names if name.endswith(UNWANTED)]
if wheel.stat().st_size > MOST_BYTES:
    problems.append(f"has {wheel.stat().st_size} bytes, more than {MOST_BYTES}")
for problem in problems:
    print(f"{wheel.name}: {problem}")
sys.exit(bool(problems))
