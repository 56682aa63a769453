"""`python -m fastmlp`: the same command line as the installed program `fastmlp`."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
