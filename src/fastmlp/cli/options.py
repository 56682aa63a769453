"""The options of `fastmlp train` for the training itself, and their conversion to arguments of `Network.fit`.

`add_training` adds the options to a parser; the other functions turn the parsed arguments into an optimiser, a
regularisation, callbacks and the arguments of `fit`. The names that an option accepts come from the tables that
`Network` uses, and the bounds of numbers are checked by the classes that have them, so that the two cannot differ.
Options that cannot be combined raise a `ValueError` that names the option.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from .. import arguments, engines
from ..callbacks import Checkpoint, EarlyStopping
from ..frozen import defaults, fields
from ..optimizers import OPTIMIZERS, Optimizer
from ..regularization import Regularization
from ..schedules import SCHEDULES, Schedule

VALIDATION = 0.1  # the share of the rows that --early-stopping validates on where --validation is not given
EXAMPLES = """\
examples:
  fastmlp train digits --epochs 10 --verbose 5
  fastmlp train digits --optimizer sgd --momentum 0.9 --learning-rate 0.05 --schedule cosine --l2 0.0001
  fastmlp train digits --early-stopping 5 --dropout 0.2 --checkpoint run.safetensors --resume
"""


class Settings(Protocol):
    """The values of options that the command line does not give."""

    @property
    def epochs(self) -> int:
        """Passes over the rows."""

    @property
    def batch_size(self) -> int:
        """Rows of a mini-batch."""

    @property
    def learning_rate(self) -> float | None:
        """The learning rate of Adam; None is Adam's default."""


def add_training(add: Callable[..., object]) -> None:
    """Add the options; `add` is the method `add_argument` of a parser or a group."""
    _add_steps(add)
    _add_regularization(add)
    _add_loop(add)
    add_threads(add)
    add("--engine", choices=engines.ENGINES, default="auto", help="default: auto")
    add(
        "--verbose",
        type=count,
        metavar="N",
        help="show every N-th epoch (default: a bar on a terminal, else few lines)",
    )
    add("--quiet", action="store_true", help="no progress and no introduction")
    add("--json", action="store_true", help="print one JSON object instead of the report")


def add_threads(add: Callable[..., object]) -> None:
    """Add the option for the number of threads."""
    help_text = "native engine: at most N threads (default: as many as this process may run)"
    add("--threads", type=threads, default="auto", metavar="N", help=help_text)


def _add_steps(add: Callable[..., object]) -> None:
    full_batch = ", ".join(name for name, optimizer in OPTIMIZERS.items() if optimizer.full_batch)
    all_rows = f"default: adam; these use all rows in each step: {full_batch}"
    add("--optimizer", choices=list(OPTIMIZERS), default="adam", help=all_rows)
    rate = "default: that of the optimiser; for adam, 0.002 for digits and 0.003 for tables"
    add("--learning-rate", type=number, metavar="R", help=rate)
    add("--momentum", type=number, metavar="M", help="momentum of sgd, classical_momentum and rmsprop")
    option: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=VALUE", "type": pair}
    add("--optimizer-option", **option, help="another hyper-parameter, such as nesterov=true; may be repeated")
    add("--schedule", choices=list(SCHEDULES), help="schedule of the learning rate (default: constant)")
    schedule_help = "a hyper-parameter of the schedule, such as warmup_steps=100; n_steps is that of all epochs"
    add("--schedule-option", **option, help=schedule_help)
    epochs = "default: 40 for digits, 10 for fashion-mnist; for tables 10 to 300, for about 1000 updates"
    add("--epochs", type=count, metavar="N", help=epochs)
    size = f"default: 16 for digits, 64 for fashion-mnist, 32 for tables; all rows for {full_batch}"
    add("--batch-size", type=count, metavar="N", help=size)


def _add_regularization(add: Callable[..., object]) -> None:
    add("--l1", type=number, metavar="C", help="add the penalty C sum |w|")
    add("--l2", type=number, metavar="C", help="add the penalty C / 2 sum w^2")
    add("--weight-decay", type=number, metavar="C", help="reduce w by the learning rate times C w in each step")
    add("--dropout", type=numbers, metavar="P", help="dropout rate of all hidden layers, or P,P: one for each")
    add("--clip-norm", type=number, metavar="C", help="maximum norm of the gradient")
    add("--max-norm", type=number, metavar="C", help="maximum norm of the weights into a unit")
    add("--average", type=number, metavar="D", help="use a moving average of the parameters, with decay D")


def _add_loop(add: Callable[..., object]) -> None:
    stop = "stop after N epochs without a better validation loss (10 if N is left out), and keep the best weights"
    add("--early-stopping", type=count, nargs="?", const=10, metavar="N", help=stop)
    share = f"validate on this fraction of the training rows (default: {VALIDATION} with --early-stopping, else none)"
    add("--validation", type=number, metavar="F", help=share)
    add("--checkpoint", metavar="FILE", help="write the state of the training to FILE, for --resume")
    add("--checkpoint-every", type=count, default=1, metavar="N", help="epochs between checkpoints (default: 1)")
    add("--resume", action="store_true", help="resume from the file of --checkpoint if it exists")


# ------------------------------------------------------------------------------------------- arguments of fit


def optimizer(args: argparse.Namespace, settings: Settings, n_steps: int | None = None) -> Optimizer:
    """Make the optimiser with its schedule; `n_steps` is the number of steps of the whole training, if known."""
    kind = OPTIMIZERS[args.optimizer]
    names = set(fields(kind))
    given = _options("--optimizer-option", args.optimizer_option, names - {"learning_rate", "momentum"})
    for option in ("learning_rate", "schedule", "momentum"):
        if getattr(args, option) is not None and option.replace("schedule", "learning_rate") not in names:
            raise ValueError(f"--{option.replace('_', '-')}: expected an optimiser that has it, got {args.optimizer!r}")
    rate = args.learning_rate
    if rate is None and args.optimizer == "adam":
        rate = settings.learning_rate
    if args.schedule is not None:
        own: float = kind.learning_rate  # type: ignore[attr-defined]
        rate = schedule(args, own if rate is None else rate, n_steps)
    elif args.schedule_option:
        raise ValueError("--schedule-option: expected --schedule to go with it, got none")
    more = {"learning_rate": rate, "momentum": args.momentum}
    return kind(**given, **{name: value for name, value in more.items() if value is not None})


def schedule(args: argparse.Namespace, rate: float, n_steps: int | None) -> Schedule:
    """Make the schedule that begins with this learning rate."""
    kind = SCHEDULES[args.schedule]
    names = fields(kind)
    given = _options("--schedule-option", args.schedule_option, set(names) - {"learning_rate"})
    if "n_steps" in names and n_steps is not None:
        given.setdefault("n_steps", n_steps)
    for name in names:
        if name not in defaults(kind) and name not in given and name != "learning_rate":
            raise ValueError(f"--schedule-option: expected {name}=VALUE, which {args.schedule!r} needs, got none")
    return kind(learning_rate=rate, **given)


def regularization(args: argparse.Namespace) -> Regularization | None:
    """Make the regularisation of the given options; None if there are none."""
    names = ("l1", "l2", "weight_decay", "dropout", "clip_norm", "max_norm", "average")
    given = {name: getattr(args, name) for name in names if getattr(args, name) is not None}
    return Regularization(**given) if given else None


def callbacks(args: argparse.Namespace) -> list[Any]:
    """Make the callbacks for early stopping and for checkpoints, if the options ask for them."""
    found: list[Any] = []
    if args.early_stopping is not None:
        found.append(EarlyStopping("val_loss", patience=args.early_stopping))
    if args.checkpoint is not None:
        found.append(Checkpoint(args.checkpoint, every=args.checkpoint_every))
    return found


def fit_arguments(args: argparse.Namespace, settings: Settings, n_rows: int) -> dict[str, Any]:
    """Return the keyword arguments of `Network.fit` for a training on `n_rows` rows."""
    if args.resume and args.checkpoint is None:
        raise ValueError("--resume: expected --checkpoint FILE to go with it, got none")
    share = args.validation
    if share is None and args.early_stopping is not None:
        share = VALIDATION
    epochs, full_batch = args.epochs or settings.epochs, OPTIMIZERS[args.optimizer].full_batch
    size = args.batch_size or (None if full_batch else settings.batch_size)
    n_trained = n_rows if share is None else max(1, math.floor(n_rows * (1 - share) + 1e-9))
    n_steps = epochs * (1 if size is None else math.ceil(n_trained / size))
    return {
        "epochs": epochs,
        "batch_size": size,
        "optimizer": optimizer(args, settings, n_steps),
        "regularization": regularization(args),
        "callbacks": callbacks(args),
        "validation_split": share,
        "resume": "auto" if args.resume else None,
    }


def _options(option: str, pairs: list[tuple[str, Any]], names: set[str]) -> dict[str, Any]:
    return {arguments.name(option, name, sorted(names)): value for name, value in pairs}


# -------------------------------------------------------------------------------------------- types of options

BOOLEANS: Mapping[str, bool] = {"true": True, "false": False}


def pair(text: str) -> tuple[str, Any]:
    """Parse NAME=VALUE, where VALUE is true, false, an integer, a number or any other text."""
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise argparse.ArgumentTypeError(f"expected NAME=VALUE, got {text!r}")
    if value in BOOLEANS:
        return name, BOOLEANS[value]
    for kind in (int, float):
        try:
            return name, kind(value)
        except ValueError:
            continue
    return name, value


def count(text: str) -> int:
    """Parse an integer of at least 1."""
    if not (text.isascii() and text.isdecimal() and int(text) >= 1):
        raise argparse.ArgumentTypeError(f"expected an integer of at least 1, got {text!r}")
    return int(text)


def threads(text: str) -> int | str:
    """Parse "auto", or an integer of at least 1."""
    return text if text == "auto" else count(text)


def number(text: str) -> float:
    """Parse a finite number of at least 0."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (0 <= value < math.inf) or "_" in text:
        raise argparse.ArgumentTypeError(f"expected a finite number of at least 0, got {text!r}")
    return value


def numbers(text: str) -> float | tuple[float, ...]:
    """Parse one number, or several separated by commas."""
    found = tuple(number(part) for part in text.split(","))
    return found[0] if len(found) == 1 else found
