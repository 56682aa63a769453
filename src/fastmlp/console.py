"""Output on stdout and stderr that a broken pipe does not stop.

`fastmlp train | head -1` must still train and save the model. A broken pipe therefore redirects the stream to the null
device, and the command continues. The command line prints every line with `say`. `finish` flushes stdout before the
process ends, because the interpreter would report an error for output that it cannot flush at exit.
"""

from __future__ import annotations

import os
import sys
from typing import TextIO

INTERRUPTED = 130  # the exit code after Ctrl-C


def say(text: str, stream: TextIO | None = None, *, end: str = "\n") -> None:
    """Write the text to the stream (stdout if None) and flush it; after a broken pipe, the text is discarded.

    Another error (a full disk) is raised. Its stream is silenced first, because the interpreter would raise a second
    error when it flushes the buffer at exit.
    """
    target = sys.stdout if stream is None else stream
    if target is None:  # the process was started with the stream closed
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
    """Redirect the stream's file descriptor to the null device, so that buffered text is discarded."""
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, stream.fileno())
    finally:
        os.close(null)


def finish() -> None:
    """Flush text that was written to stdout without `say`, for example by argparse."""
    say("", end="")
