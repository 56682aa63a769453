"""Lines on stdout and stderr that survive a reader who has gone.

`fastmlp train | head -1` must still train and save, so a broken pipe silences the stream and the work
goes on. Every line of the command line goes through `say`, and `finish` flushes before the process ends, so
that nothing is left for the interpreter to fail on at exit.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

INTERRUPTED = 130  # the exit code after Ctrl-C


def say(text: str, stream: TextIO | None = None, *, end: str = "\n") -> None:
    """Write the text to the stream (stdout if None) at once; nothing where nobody reads any more.

    Another failure (a full disk) is raised, with the stream silenced, since the interpreter would trip over
    what is left in its buffer.
    """
    target = sys.stdout if stream is None else stream
    if target is None:  # started with the stream closed
        return
    try:
        target.write(text + end)
        target.flush()
    except BrokenPipeError:
        silence(target)
    except OSError:
        silence(target)
        raise


def silence(stream: TextIO) -> None:
    """Point the stream's descriptor at the null device, so that what is buffered goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    finally:
        os.close(null)


def finish() -> None:
    """Flush what others have written to stdout (argparse, say)."""
    say("", end="")
