"""The command line, `fastmlp` and `python -m fastmlp`."""

from .main import main

__all__ = ["main"]
