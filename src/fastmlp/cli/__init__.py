"""The command line, `fastmlp` and `python -m fastmlp`."""

from .command_line import main

__all__ = ["main"]
