"""The command line: `fastmlp train | predict | evaluate | convert | export | info | bench`, or `python -m fastmlp`.

This module parses the arguments and determines the exit code. The commands themselves are in `train`, `predict`,
`convert`, `export` and `benchmark`, which are imported, with their dependencies, only when their command runs.

Exit codes: 0 success, 1 an error (one line on stderr, never a traceback), 2 wrong usage (from argparse), 130
interrupted. Progress and messages go to stderr, results to stdout; with --json stdout holds exactly one JSON object.
The names that an option accepts come from the tables that `Network` uses, so that the two cannot differ.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import fastmlp

from .. import architecture, metrics
from ..activations import ACTIVATIONS
from ..console import INTERRUPTED, finish, say, silence
from ..losses import LOSSES
from . import options
from .preparation import SCALINGS, TASKS

TRAIN = """\
Train a network on DATA and save it with everything that it has learnt
of the table: columns, scaling, names of classes. Columns may be numbers,
text, categories, booleans or dates, and may have missing values.
Ctrl-C ends the training early and saves what was learnt."""
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
        parser = _parser()
        args = parser.parse_args(_join_values(parser, sys.argv[1:] if argv is None else argv))
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
        return INTERRUPTED
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


TAKES_ANY_TEXT = ("--null", "--target", "--drop", "--keep", "--low", "--high")  # also text that begins with -
NO_OPTION = re.compile(r"--|-[^-oh].*", re.DOTALL)  # begins with - and cannot be one of the options
DASHES = "\0--"  # replaces a value of "--", which argparse would drop; no argument of a process has a zero byte


def _join_values(parser: argparse.ArgumentParser, argv: Sequence[str]) -> list[str]:
    """Replace --null -9e9 by --null=-9e9, because argparse takes an argument that begins with - for an option."""
    joined: list[str] = []
    for text in argv:
        if "--" in joined:
            joined.append(text)
            continue
        if joined and joined[-1] in TAKES_ANY_TEXT and NO_OPTION.fullmatch(text):
            text = f"{joined.pop()}={text}"
        name, _, value = text.partition("=")
        if value == "--" and name.startswith("-"):
            if name not in TAKES_ANY_TEXT:
                parser.error(f"argument {name}: expected another value, got '--'")
            text = f"{name}={DASHES}"
        joined.append(text)
    return joined


def _any_text(text: str) -> str:
    return "--" if text == DASHES else text


class _OneLineParser(argparse.ArgumentParser):
    """An argument parser that prints a usage error as one line."""

    def error(self, message: str) -> NoReturn:
        option = re.fullmatch(r"argument (?:-\w/)?(--[\w-]+): expected one argument", message)
        if option is not None:
            message += f"; {option[1]}=TEXT if it begins with -"
        self.exit(2, f"{self.prog}: error: {message} (see {self.prog} --help)\n")


def _parser() -> argparse.ArgumentParser:
    parser = _OneLineParser(prog="fastmlp", description="A fast multilayer perceptron.")
    parser.add_argument("--version", action="version", version=f"fastmlp {fastmlp.__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_train(commands)
    _add_predict(commands)
    _add_evaluate(commands)
    _add_convert(commands)
    _add_export(commands)
    info = commands.add_parser("info", help="describe this installation, or a model file")
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
        description=TRAIN,
        epilog=options.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add(
        "data",
        nargs="?",
        default="digits",
        metavar="DATA",
        help="digits (default), fashion-mnist, a table (.csv, .tsv, .parquet, .arrow, .jsonl; text also as .gz), or an "
        ".npz with X, y or x_train, y_train, x_test, y_test",
    )
    add("-o", "--output", metavar="FILE", help="the model file (default: DATA's name with .safetensors, here)")
    of_table = "the column of a table to predict: its name, or its index from 0"
    add("--target", type=_any_text, metavar="COLUMN", help=of_table)
    add(
        "--task",
        choices=TASKS,
        default="auto",
        help="auto: classes for text, and for whole numbers if they are few and repeat; else regression",
    )
    _add_columns(add)
    _add_text(parser.add_argument_group("text (.csv, .tsv, .txt)").add_argument)
    add("--test-fraction", type=_fraction, metavar="F", help="fraction of the rows to test on (default: 0.2)")
    add(
        "--scaling",
        choices=SCALINGS,
        default="auto",
        help="scaling of the inputs; auto: standard, minmax for bytes, none for the built-in data",
    )
    add("--folder", metavar="DIR", help="folder with the files of fashion-mnist")
    _add_network(parser.add_argument_group("network").add_argument)
    options.add_training(parser.add_argument_group("training").add_argument)
    parser.set_defaults(run=_train, usage_error=parser.error)


def _add_network(add: Callable[..., object]) -> None:
    add(
        "--layers",
        type=_layers,
        metavar="N,N",
        help="sizes of the hidden layers, or none (default: 128 for digits and fashion-mnist, 64,32 for tables)",
    )
    hidden = [name for name, kind in ACTIVATIONS.items() if kind.trainable and not kind.output_only]
    outputs = [name for name, kind in ACTIVATIONS.items() if kind.trainable]
    add("--activation", choices=hidden, default="relu", help="activation of the hidden layers (default: relu)")
    add("--output-activation", choices=outputs, help="default: the one that belongs to the loss")
    add("--loss", choices=list(LOSSES), help="default: cross_entropy for classes, mse for numbers")
    add("--dtype", choices=architecture.DTYPES, default="float32")
    add("--seed", type=_seed, default=0, metavar="N", help="seed for weights, batches and split (default: 0)")


def _add_columns(add: Callable[..., object]) -> None:
    """Add the options for columns and rows of a table that are not trained on."""
    columns: dict[str, Any] = {"action": "append", "default": [], "type": _any_text, "metavar": "COLUMN"}
    add("--drop", **columns, help="a column that is not an input; may be repeated")
    add(
        "--keep",
        **columns,
        help="a column that is not an input but is copied by predict, such as an id; may be repeated",
    )
    add("--drop-missing-target", action="store_true", help="leave out rows without a target")


def _add_text(add: Callable[..., object]) -> None:
    """Add the options for how a table is written, where the guess is wrong, and for marks of missing values."""
    add("--separator", type=_separator, metavar="CHAR", help="separates cells: a character, or tab (default: guessed)")
    add("--no-header", action="store_true", help="the first row is data; columns are called 0, 1, 2, ...")
    add("--decimal", choices=[".", ","], help="the decimal mark (default: guessed)")
    add(
        "--null",
        action="append",
        default=[],
        type=_any_text,
        metavar="TEXT",
        help="a mark of missing values, in addition to an empty cell, NA, ? and the like; may be repeated",
    )


def _add_predict(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    parser = commands.add_parser(
        "predict",
        help="apply a model file to rows",
        description="Print the class, or the numbers, that MODEL predicts for each row of INPUT, one row per line. "
        "Columns of a table are found by the names that the model was trained with; others are ignored.",
    )
    add = parser.add_argument
    _add_model_and_input(add)
    add("-o", "--output", metavar="FILE", help="write the lines to FILE instead of stdout")
    add(
        "--proba",
        action="store_true",
        help="the network's output for every class, as a .csv with a header: probabilities, after a cross entropy",
    )
    add(
        "--keep",
        action="append",
        default=[],
        type=_any_text,
        metavar="COLUMN",
        help="copy a column to the output, a .csv with a header; may be repeated (default: those of the training)",
    )
    _add_text(parser.add_argument_group("text (.csv, .tsv, .txt)").add_argument)
    parser.set_defaults(run=_predict)


def _add_evaluate(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    parser = commands.add_parser(
        "evaluate",
        help="loss and metrics of a model file on rows with targets",
        description="Print the loss that MODEL has on INPUT, for classes the accuracy, for numbers RMSE, MAE and R2.",
    )
    add = parser.add_argument
    _add_model_and_input(add)
    add(
        "--target",
        type=_any_text,
        metavar="COLUMN",
        help="the column with the targets (default: the one of the training)",
    )
    add("--metrics", type=_metrics, metavar="NAME,NAME", help=f"metrics to print, among {', '.join(metrics.METRICS)}")
    add("--drop-missing-target", action="store_true", help="leave out rows without a target")
    _add_text(parser.add_argument_group("text (.csv, .tsv, .txt)").add_argument)
    parser.set_defaults(run=_evaluate, keep=[])


def _add_convert(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    parser = commands.add_parser(
        "convert",
        help="a model of another tool as a model file, or the other way round",
        description="Read the model IN, of any tool that fastmlp.from_file knows, and write it as OUT.",
    )
    add = parser.add_argument
    add("model", metavar="IN", help="a model file of another tool or of fastmlp, or a folder of Spark")
    add("output", metavar="OUT", help="MODEL.safetensors (of fastmlp), .onnx, .keras, or .net (of FANN)")
    parser.register("action", None, _Once)
    _add_unsaid(parser.add_argument_group("what IN does not say").add_argument)
    add("--dtype", choices=architecture.DTYPES, help="default: that of IN")
    add("--quiet", action="store_true", help="print nothing")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_convert)


def _add_unsaid(add: Callable[..., object]) -> None:
    """Add the options that are arguments of `fastmlp.from_file`, by the same names (`cli.convert.OPTIONS`)."""
    hidden = [name for name, kind in ACTIVATIONS.items() if not kind.output_only]
    names: dict[str, Any] = {"type": _names, "metavar": "NAME,NAME"}
    add("--activation", choices=hidden, help="activation of the hidden layers")
    add("--output-activation", choices=list(ACTIVATIONS), help="activation of the last layer")
    add("--layers", **names, help="in their place, modules and activations in the order of their use: fc1,relu,fc2")
    add("--ignore-unused", action="store_true", default=None, help="--layers leaves out modules of a state dict")
    add("--eps", type=_number, metavar="E", help="eps of BatchNorm1d in a state dict (default: 1e-5)")
    add("--entry", metavar="NAME", help="name of the state dict in a checkpoint")
    add("--half-precision", action="store_true", default=None, help="a model of float16 becomes one of float32")
    add("--low", type=_numbers, metavar="N,N", help="lower bounds of the actions of a policy")
    add("--high", type=_numbers, metavar="N,N", help="upper bounds")
    add("--loss", choices=list(LOSSES), help="if IN gives logits, one of probabilities adds a sigmoid or softmax")
    add("--class-names", **names)
    add("--feature-names", **names)


class _Once(argparse.Action):
    """Stores a value, and refuses an option that is given twice."""

    def __call__(
        self, parser: Any, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        if getattr(namespace, self.dest) is not None:
            parser.error(f"argument {option_string}: expected once")
        setattr(namespace, self.dest, values)


def _add_export(commands: argparse._SubParsersAction[_OneLineParser]) -> None:
    parser = commands.add_parser(
        "export",
        help="a model file as source code",
        description="Write MODEL as one file of C99 without dependencies, with a function that predicts one row.",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", help="a model file")
    add("--to", choices=["c"], required=True, help="the language")
    add("-o", "--output", metavar="FILE", help="the file to write (default: MODEL's name with .c, here)")
    add("--weights", choices=["float32", "float64", "int8"], help="default: the dtype of the model")
    add("--function", metavar="NAME", default="predict", help="name of the function (default: predict)")
    add("--quiet", action="store_true", help="print nothing")
    add("--json", action="store_true", help="print one JSON object")
    parser.set_defaults(run=_export)


def _add_model_and_input(add: Callable[..., object]) -> None:
    add("model", metavar="MODEL", help="a model file")
    add("input", metavar="INPUT", help="a table (.csv, .tsv, .parquet, .arrow, .jsonl), or an .npz with X")
    options.add_threads(add)
    add("--quiet", action="store_true", help="print no notes on stderr")
    add("--json", action="store_true", help="print one JSON object")


def _separator(text: str) -> str:
    named = {"tab": "\t", "\\t": "\t", "space": " ", "comma": ",", "semicolon": ";"}.get(text, text)
    if len(named) != 1 or not named.isascii() or named in '"\n\r':
        raise argparse.ArgumentTypeError(f"expected one character, or tab, got {text!r}")
    return named


def _metrics(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(","))
    unknown = [name for name in names if name not in metrics.METRICS]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected names among {', '.join(metrics.METRICS)}, got {unknown[0]!r}")
    return names


def _seed(text: str) -> int:
    if not text.isdecimal() or int(text) >= 2**64:
        raise argparse.ArgumentTypeError(f"expected an integer in [0, 2**64), got {text!r}")
    return int(text)


def _layers(text: str) -> tuple[int, ...]:
    return () if text == "none" else tuple(options.count(size.strip()) for size in text.split(","))


def _number(text: str) -> float:
    from ..tables import columns  # here, because few commands need it

    if not columns.NUMBER.fullmatch(text.strip()):
        raise argparse.ArgumentTypeError(f"expected a number, got {text!r}")
    return float(text)


def _numbers(text: str) -> float | tuple[float, ...]:
    numbers = tuple(map(_number, text.split(",")))
    return numbers if len(numbers) > 1 else numbers[0]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(","))


def _fraction(text: str) -> float:
    number = _number(text)
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"expected a number in [0, 1), got {text!r}")
    return number


# ------------------------------------------------------------------------------------------- commands


def _train(args: argparse.Namespace) -> int:
    from . import train

    return train.run(args)


def _predict(args: argparse.Namespace) -> int:
    from . import predict

    return predict.predict(args)


def _evaluate(args: argparse.Namespace) -> int:
    from . import predict

    return predict.evaluate(args)


def _convert(args: argparse.Namespace) -> int:
    from . import convert

    return convert.run(args)


def _export(args: argparse.Namespace) -> int:
    from . import export

    return export.run(args)


def _bench(args: argparse.Namespace) -> int:
    from . import benchmark

    return benchmark.run(quick=args.quick, json=args.json)


def _info(args: argparse.Namespace) -> int:
    if args.model is None:
        record: dict[str, Any] = dict(fastmlp.info())
    else:
        from . import predict

        record = predict.model_record(args.model)
    if args.json:
        import json

        say(json.dumps(record, default=str))
        return 0
    width = max(map(len, record))
    for key, value in record.items():
        lines = (
            [f"{column}: {kind}" for column, kind in value.items()] if key == "encoded" and value else [_as_text(value)]
        )
        for i, line in enumerate(lines):  # one line for each column that is encoded
            say(f"{key.replace('_', ' ') if i == 0 else '':<{width}}  {line}")
    return 0


def _as_text(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, dict):
        return ", ".join(f"{key} {_as_text(each)}" for key, each in value.items())
    if isinstance(value, (list, tuple)):
        shown = ", ".join(map(_as_text, value[:12]))
        return shown if len(value) <= 12 else f"{shown} and {len(value) - 12} more"
    return str(value)
