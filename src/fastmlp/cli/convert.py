"""The command `fastmlp convert`: a model of another tool becomes a model file, or the other way round.

What IN is, its content says; what OUT becomes, its suffix says, by the table WRITERS.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
from collections.abc import Callable
from typing import Any

from .. import convert
from ..console import say
from . import loading

POLICY = ".zip"  # the suffix of the file of a whole policy; the other files hold its network
WRITERS: dict[str, Callable[[Any, str], object]] = {
    POLICY: lambda policy, path: policy.save(path),
    ".safetensors": lambda net, path: net.save(path),
    ".onnx": lambda net, path: net.to_onnx(path),
    ".keras": lambda net, path: net.to_keras().save(path),
    ".net": lambda net, path: net.to_fann(path),
}


OPTIONS = (  # arguments of `convert.from_file`, each given as --name
    "activation",
    "output_activation",
    "layers",
    "ignore_unused",
    "eps",
    "entry",
    "half_precision",
    "low",
    "high",
    "loss",
    "class_names",
    "feature_names",
)


def run(args: argparse.Namespace) -> int:
    """Read a model, write it in another format, and print what was found."""
    suffix = os.path.splitext(args.output)[1].lower()
    if suffix not in WRITERS:
        raise ValueError(f"OUT: expected a name that ends in one of {', '.join(WRITERS)}, got {args.output!r}")
    options = {name: getattr(args, name) for name in OPTIONS if getattr(args, name) is not None}
    try:
        model = convert.from_file(args.model, dtype=args.dtype, **options)
    except (TypeError, ValueError) as error:
        message = _in_options(str(error))
        raise ValueError(message if message.startswith(args.model) else f"{args.model}: {message}") from error
    loading.refuse_predictor(args.model, model)
    net = getattr(model, "network", model)  # of a Policy
    is_policy = suffix == POLICY
    if is_policy and model is net:
        raise ValueError(f"OUT: expected another name than *{POLICY} for a network: {POLICY} is the file of a policy")
    WRITERS[suffix](model if is_policy else net, args.output)
    key, made = ("policy", model) if is_policy else ("network", net)
    record: dict[str, Any] = {"input": args.model, "output": args.output, key: repr(made)}
    if net.conversion is not None:
        found = net.conversion
        record.update(
            source=found.source, version=found.version, difference=found.difference, folded=list(found.folded)
        )
    if model is not net and not is_policy:
        record["outputs"] = model.outputs
    if args.json:
        if math.isnan(record.get("difference", 0.0)):  # JSON has no NaN
            record["difference"] = None
        say(json.dumps(record))
    elif not args.quiet:
        _report(record)
    return 0


def _in_options(message: str) -> str:
    """Return a message about arguments with those of OPTIONS as they are written here: --layers fc1,relu,fc2."""

    def option(found: re.Match[str]) -> str:
        value = re.sub(r"[\[\]()']|, (?=')", lambda each: "," if each[0] == ", " else "", found[2])
        return f"--{found[1].replace('_', '-')}{'' if value == 'True' else f' {value}'}"

    return re.sub(rf"\b({'|'.join(OPTIONS)})=(True\b|'[^']*'|\[[^\]]*\])", option, message)


def _report(record: dict[str, Any]) -> None:
    """Print what was converted, a line each."""
    say(f"{record['output']}: {record.get('policy') or record['network']}")
    if "outputs" in record:
        say(f"a policy, whose outputs are {record['outputs']}")
    if "source" in record:
        source = f"{record['source']} {record['version']}".strip()
        say(f"from {source}, largest difference {record['difference']:.3g}")
        for step in record["folded"]:
            say(f"  {step}")
