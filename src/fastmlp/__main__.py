"""`python -m fastmlp`: the command line, exactly as the installed `fastmlp` runs it."""

from __future__ import annotations

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
