"""The command `fastmlp convert`: a model of another tool becomes a model file, or the other way round.

What IN is, its content says; what OUT becomes, its suffix says, by the table WRITERS.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable
from typing import Any

from .. import convert
from ..console import say
from ..network import Network

WRITERS: dict[str, Callable[[Network, str], object]] = {
    ".safetensors": lambda net, path: net.save(path),
    ".onnx": lambda net, path: net.to_onnx(path),
    ".keras": lambda net, path: net.to_keras().save(path),
    ".net": lambda net, path: net.to_fann(path),
}


def run(args: argparse.Namespace) -> int:
    """Read a model, write it in another format, and print what was found."""
    suffix = os.path.splitext(args.output)[1].lower()
    if suffix not in WRITERS:
        raise ValueError(f"OUT: expected a name that ends in one of {', '.join(WRITERS)}, got {args.output!r}")
    given = {name: getattr(args, name) for name in ("activation", "output_activation", "layers")}
    options = {name: value for name, value in given.items() if value is not None}
    try:
        model = convert.from_file(args.model, dtype=args.dtype, **options)
    except TypeError as error:  # an option that the reader of this format does not take
        raise ValueError(f"{args.model}: {error}") from error
    net = getattr(model, "network", model)  # of a Policy
    WRITERS[suffix](net, args.output)
    record: dict[str, Any] = {"input": args.model, "output": args.output, "network": repr(net)}
    if net.conversion is not None:
        found = net.conversion
        record.update(
            source=found.source, version=found.version, difference=found.difference, folded=list(found.folded)
        )
    if args.json:
        if math.isnan(record.get("difference", 0.0)):  # JSON has no NaN
            record["difference"] = None
        say(json.dumps(record))
    elif not args.quiet:
        _report(record)
    return 0


def _report(record: dict[str, Any]) -> None:
    """Print what was converted, a line each."""
    say(f"{record['output']}: {record['network']}")
    if "source" in record:
        source = f"{record['source']} {record['version']}".strip()
        say(f"from {source}, largest difference {record['difference']:.3g}")
        for step in record["folded"]:
            say(f"  {step}")
