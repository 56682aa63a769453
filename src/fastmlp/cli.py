"""The command line: `fastmlp train | predict | info | bench`, also as `python -m fastmlp`.

Here are the arguments, the exit codes and the short commands; training is in `cli_train`. Exit codes: 0 done,
1 an error (one line on stderr, never a traceback), 2 wrong usage (argparse's), 130 interrupted. Progress and
messages go to stderr, results to stdout; with --json stdout holds one JSON object and nothing else. Names
that an option may take come from the tables that `Network` uses, so the two cannot differ.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import math
import os
import struct
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

import fastmlp

from . import cli_train, construction, persistence, tables
from .activations import ACTIVATIONS
from .console import finish, say, silence
from .losses import LOSSES
from .network import Network
from .optimizers import OPTIMIZERS
from .preparation import SCALINGS, TASKS, Label, Preparation

ERRORS = (OSError, ValueError, TypeError, ArithmeticError, MemoryError, RuntimeError, ImportError)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments after the program's name; `sys.argv`'s by default.

    Returns
    -------
    int
        The exit code. Wrong usage, --help and --version raise `SystemExit`, as argparse does.
    """
    try:
        args = _parser().parse_args(argv)
        code: int = args.run(args)
        finish()
    except SystemExit:
        finish()
        raise
    except BrokenPipeError:
        silence(sys.stdout)
        return 0
    except KeyboardInterrupt:
        say("fastmlp: interrupted", sys.stderr)
        return cli_train.INTERRUPTED
    except ERRORS as error:
        say(f"fastmlp: error: {_one_line(error)}", sys.stderr)
        return 1
    return code


def _one_line(error: BaseException) -> str:
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fsdecode(error.filename)}: {error.strerror}"
    if isinstance(error, MemoryError):
        return " ".join(f"out of memory {error}".split())
    return " ".join(str(error).split()) or type(error).__name__


# ------------------------------------------------------------------------------------------- arguments


class _OneLineParser(argparse.ArgumentParser):
    """Says in one line what is wrong with the arguments."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(prog="fastmlp", description="A fast multilayer perceptron.")
    parser.add_argument("--version", action="version", version=f"fastmlp {fastmlp.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    info = commands.add_parser("info", help="what runs here, or what a model file holds")
    info.add_argument("model", nargs="?", metavar="MODEL", help="a model file; without one, this installation")
    info.add_argument("--json", action="store_true", help="print one JSON object")
    info.set_defaults(run=_info)
    bench = commands.add_parser("bench", help="measure this installation against pure Python and NumPy")
    bench.add_argument("--quick", action="store_true", help="fewer repetitions")
    bench.add_argument("--json", action="store_true", help="print one JSON object")
    bench.set_defaults(run=_bench)
    return parser


def _add_train(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    parser = commands.add_parser(
        "train",
        help="train a network and save it",
        description="Train a network on DATA and save it with the scaling, column and class names that it needs. "
        "The first row of a .csv is its header unless one of its cells is a number. "
        "Ctrl-C ends the training early and saves what was learnt.",
    )
    add = parser.add_argument
    add(
        "data",
        nargs="?",
        default="digits",
        metavar="DATA",
        help="digits (default), fashion-mnist, a .csv, or an .npz with X, y or x_train, y_train, x_test, y_test",
    )
    add("-o", "--output", metavar="FILE", help="the model file (default: DATA's name with .safetensors, here)")
    add("--target", metavar="COLUMN", help="of a .csv: the column to learn, its name or its index from 0")
    add(
        "--task",
        choices=TASKS,
        default="auto",
        help="auto: classes for text, integers of an .npz, or few whole numbers; else regression",
    )
    add("--test-fraction", type=_fraction, metavar="F", help="of a .csv or .npz: rows set apart (default: 0.2)")
    add(
        "--scaling",
        choices=SCALINGS,
        default="auto",
        help="of the inputs; auto: standard, minmax for bytes, none for the built-in data",
    )
    add("--folder", metavar="DIR", help="where the files of fashion-mnist are")
    _add_network(parser.add_argument_group("network").add_argument)
    _add_training(parser.add_argument_group("training").add_argument)
    parser.set_defaults(run=cli_train.run, usage_error=parser.error)


def _add_network(add: Callable[..., object]) -> None:
    add(
        "--layers",
        type=_layers,
        metavar="N,N",
        help="sizes of the hidden layers, or none (default: 128 for digits and fashion-mnist, 64,32 for tables)",
    )
    hidden = [name for name, kind in ACTIVATIONS.items() if kind.trainable and not kind.output_only]
    outputs = [name for name, kind in ACTIVATIONS.items() if kind.trainable]
    add("--activation", choices=hidden, default="relu", help="of the hidden layers (default: relu)")
    add("--output-activation", choices=outputs, help="default: the loss's partner")
    add("--loss", choices=list(LOSSES), help="default: cross_entropy for classes, mse for numbers")
    add("--dtype", choices=construction.DTYPES, default="float32")
    add("--seed", type=_seed, default=0, metavar="N", help="of weights, batches and split (default: 0)")


def _add_training(add: Callable[..., object]) -> None:
    by_batches = [name for name, kind in OPTIMIZERS.items() if not kind.full_batch]
    add("--optimizer", choices=by_batches, default="adam", help="default: adam")
    add(
        "--learning-rate",
        type=_positive,
        metavar="R",
        help="default: the optimiser's own; of adam, 0.002 for digits and 0.003 for tables",
    )
    add("--momentum", type=_momentum, metavar="M", help="of sgd (default: 0)")
    add(
        "--epochs",
        type=_count,
        metavar="N",
        help="default: 40 for digits, 10 for fashion-mnist; for tables 10 to 300, for about 1000 updates",
    )
    add("--batch-size", type=_count, metavar="N", help="default: 16 for digits, 64 for fashion-mnist, 32 for tables")
    add("--threads", type=_threads, default="auto", metavar="N", help="native engine; it runs on one so far")
    add("--engine", choices=construction.ENGINES, default="auto", help="default: auto")
    add("--quiet", action="store_true", help="no progress and no introduction")
    add("--json", action="store_true", help="print one JSON object in place of the report")


def _add_predict(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    parser = commands.add_parser(
        "predict",
        help="apply a model file to rows",
        description="Print the class, or the numbers, that MODEL gives to each row of INPUT, one row per line. Columns "
        "of a .csv are found by the names that the model was trained with; the target may be among them.",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model file")
    add("input", metavar="INPUT", help="a .csv, or an .npz with X")
    add("-o", "--output", metavar="FILE", help="write the lines to FILE in place of stdout")
    add(
        "--proba",
        action="store_true",
        help="the network's output for every class, as a .csv with a header: probabilities, after a cross entropy",
    )
    add("--threads", type=_threads, default="auto", metavar="N", help="native engine; it runs on one so far")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_predict)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text!r}")
    return int(text)


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**64:
        raise argparse.ArgumentTypeError(f"expected an integer in [0, 2**64), got {text!r}")
    return int(text)


def _threads(text: str) -> int | str:
    return text if text == "auto" else _count(text)


def _layers(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(_count(size.strip()) for size in text.split(","))


def _number(text: str) -> float:
    if not tables.is_number(text.strip()):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return float(text)


def _positive(text: str) -> float:
    number = _number(text)
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"expected a finite number above 0, got {text!r}")
    return number


def _fraction(text: str) -> float:
    number = _number(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number in [0, 1), got {text!r}")
    return number


def _momentum(text: str) -> float:
    number = _number(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number in [0, 1), got {text!r}")
    return number


# --------------------------------------------------------------------------------------------- predict


def _open_model(path: str, threads: int | str = "auto") -> tuple[Network, Preparation]:
    """The network of a model file, and how rows become its inputs."""
    model = persistence.read(path)
    network = Network._from_model(model, engine="auto", n_threads=threads)
    try:
        n_targets = network.sizes[-1] // network.loss.n_heads
        preparation = Preparation.from_extra(model.extra, network.sizes[0], n_targets, network.loss.classifies)
    except persistence.FormatError as error:
        raise persistence.FormatError(f"{path}: {error}") from None
    return network, preparation


def _predict(args: argparse.Namespace) -> int:
    network, preparation = _open_model(args.model, args.threads)
    if args.proba and preparation.task != "classification":
        raise ValueError(f"--proba: expected a model of classes, got {args.model}, a regression")
    table = tables.read_inputs(args.input, preparation.columns, preparation.target, network.sizes[0])
    x = preparation.inputs(table.x, str(network.dtype))
    record: dict[str, Any] = {"model": args.model, "input": args.input, "rows": len(x)}
    if preparation.task == "classification":
        outputs = _per_class(network.predict(x)) if args.proba else None
        names = preparation.names(network.classify(x))
        record["predictions"] = names
        lines = [str(name) for name in names]
        if outputs is not None:
            classes = list(preparation.classes or range(outputs.shape[1]))
            record.update(classes=classes, probabilities=outputs.tolist())
            lines = _csv_lines(classes, outputs)
    else:
        numbers = preparation.numbers(network.loss.estimate(network.predict(x)))
        record["predictions"] = (numbers[:, 0] if numbers.shape[1] == 1 else numbers).tolist()
        lines = _csv_lines(None, numbers)
    _write(args, record, lines)
    return 0


def _per_class(outputs: NDArray[Any]) -> NDArray[Any]:
    """One column per class, where a single output stands for the second of two."""
    return np.hstack((1 - outputs, outputs)) if outputs.shape[1] == 1 else outputs


def _csv_lines(header: Sequence[Label] | None, rows: NDArray[Any]) -> list[str]:
    """The rows as lines of a .csv; nine digits tell any two float32 apart."""
    text = io.StringIO()
    if header is not None:
        csv.writer(text, lineterminator="").writerow(header)
    lines = [] if header is None else [text.getvalue()]
    return lines + [",".join(f"{value:.9g}" for value in row) for row in rows.tolist()]


def _write(args: argparse.Namespace, record: dict[str, Any], lines: list[str]) -> None:
    if args.output is not None:
        exists = os.path.exists(args.output)
        if exists and any(os.path.samefile(args.output, path) for path in (args.model, args.input)):
            raise ValueError(f"--output: expected another file than MODEL and INPUT, got {args.output!r}")
        with open(args.output, "w", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n")
        record["output"] = args.output
    if args.json:
        say(json.dumps(record, allow_nan=False))
    elif args.output is None:
        say("\n".join(lines))


# ------------------------------------------------------------------------------------------------ info


def _info(args: argparse.Namespace) -> int:
    if args.model is None:
        record: dict[str, Any] = dict(fastmlp.info())
    else:
        record = _model_record(args.model)
    if args.json:
        say(json.dumps(record, default=str))
        return 0
    width = max(map(len, record))
    for key, value in record.items():
        say(f"{key.replace('_', ' '):<{width}}  {_words(value)}")
    return 0


def _words(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        shown = ", ".join(map(_words, value[:12]))
        return shown if len(value) <= 12 else f"{shown} and {len(value) - 12} more"
    return str(value)


def _model_record(path: str) -> dict[str, Any]:
    network, preparation = _open_model(path)
    return {
        "file": path,
        "sizes": list(network.sizes),
        "activation": [repr(activation) for activation in network.activation],
        "output_activation": repr(network.output_activation),
        "loss": network.loss.name,
        "dtype": str(network.dtype),
        "parameters": network.n_parameters,
        "seed": network.seed,
        "checksums": _checksums(path),
        "task": preparation.task,
        "columns": preparation.columns,
        "target": preparation.target,
        "classes": preparation.classes,
        "scaled_inputs": preparation.scaling is not None,
        "scaled_targets": preparation.target_scaling is not None,
    }


def _checksums(path: str) -> dict[str, str]:
    """Which checksums a file that was just read, so whose checksums all agree, carries."""
    with open(path, "rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        metadata = json.loads(file.read(length))["__metadata__"]
    parts = ("architecture", "parameters", "extra") if "fastmlp.extra" in metadata else ("architecture", "parameters")
    return {part: "verified" if f"fastmlp.{part}.sha256" in metadata else "absent" for part in parts}


def _bench(args: argparse.Namespace) -> int:
    from . import benchmark

    return benchmark.run(quick=args.quick, json=args.json)
