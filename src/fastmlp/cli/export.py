"""The command `fastmlp export`: a model file becomes source code, by the table LANGUAGES."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from typing import Any

from ..console import say
from ..network import Network
from . import loading

LANGUAGES: dict[str, Callable[..., None]] = {"c": Network.to_c}


def run(args: argparse.Namespace) -> int:
    """Read a model file, write the source code and print where it is."""
    net = loading.network_of(args.model)
    output = args.output or os.path.splitext(os.path.basename(args.model))[0] + "." + args.to
    LANGUAGES[args.to](net, output, args.weights, args.function)
    record: dict[str, Any] = {
        "input": args.model,
        "output": output,
        "network": repr(net),
        "function": args.function,
        "weights": args.weights or net.dtype.name,
    }
    if args.json:
        say(json.dumps(record))
    elif not args.quiet:
        say(f"{output}: {record['network']}, function {args.function}, weights {record['weights']}")
    return 0
