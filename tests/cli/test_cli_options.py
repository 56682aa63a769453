"""The training options of the command line: the arguments of `fit` for each, and what is refused."""

from __future__ import annotations

import argparse
import pathlib
import shlex
import types
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.cli import options
from fastmlp.optimizers import OPTIMIZERS
from fastmlp.schedules import SCHEDULES
from trainings import data

SETTINGS = types.SimpleNamespace(epochs=6, batch_size=16, learning_rate=0.002)
X, Y = data(41)


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(exit_on_error=False)
    options.add_training(parser.add_argument)
    return parser.parse_args(words)


def words_of(*words: str) -> dict[str, Any]:
    return options.fit_arguments(parse(*words), SETTINGS, len(X))


def test_nothing_is_said() -> None:
    words = words_of()
    assert words.pop("optimizer") == fastmlp.Adam(0.002)
    rest = {"regularization": None, "callbacks": [], "validation_split": None, "resume": None}
    assert words == {"epochs": 6, "batch_size": 16, **rest}
    args = parse()
    assert (args.threads, args.engine, args.verbose, args.quiet, args.json) == ("auto", "auto", None, False, False)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser(name: str) -> None:
    words = words_of("--optimizer", name)
    expected = fastmlp.Adam(0.002) if name == "adam" else OPTIMIZERS[name]()
    assert words["optimizer"] == expected
    assert words["batch_size"] == (None if OPTIMIZERS[name].full_batch else 16)
    assert fastmlp.Network([3, 2], loss="cross_entropy").fit(X, Y, **words).epochs >= 1


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule(name: str) -> None:
    """A schedule that needs the number of steps gets that of all epochs: 6 epochs of 3 batches."""
    fields = SCHEDULES[name].__dataclass_fields__  # type: ignore[attr-defined]
    options = {"step_size": 3, "gamma": 0.5, "n_steps": 18}
    given = {field: value for field, value in options.items() if field in fields}
    flags = [f"--schedule-option={field}={value}" for field, value in given.items() if field != "n_steps"]
    words = words_of("--optimizer", "sgd", "--learning-rate", "0.25", "--schedule", name, *flags)
    assert words["optimizer"] == fastmlp.SGD(SCHEDULES[name](0.25, **given))  # type: ignore[arg-type]
    fastmlp.Network([3, 2], loss="cross_entropy").fit(X, Y, **words)


def test_hyper_parameters() -> None:
    line = "--optimizer sgd --momentum 0.9 --optimizer-option nesterov=true"
    assert words_of(*line.split())["optimizer"] == fastmlp.SGD(momentum=0.9, nesterov=True)
    line = "--optimizer lbfgs --optimizer-option memory=3 --optimizer-option gradient_tolerance=1e-3"
    assert words_of(*line.split())["optimizer"] == fastmlp.LBFGS(memory=3, gradient_tolerance=1e-3)
    line = "--schedule reduce_on_plateau --schedule-option monitor=val_loss --schedule-option patience=2"
    rate = fastmlp.ReduceOnPlateau(0.002, monitor="val_loss", patience=2)
    assert words_of(*line.split())["optimizer"] == fastmlp.Adam(rate)


def test_regularisation() -> None:
    line = "--l1 1e-4 --l2 0.5 --weight-decay 0.25 --dropout 0.5,0.125 --clip-norm 2 --max-norm 3 --average 0.999"
    expected = {"l1": 1e-4, "l2": 0.5, "weight_decay": 0.25, "dropout": (0.5, 0.125), "clip_norm": 2.0}
    assert words_of(*line.split())["regularization"] == fastmlp.Regularization(**expected, max_norm=3.0, average=0.999)
    assert words_of("--dropout", "0.5")["regularization"] == fastmlp.Regularization(dropout=0.5)


def test_the_loop(tmp_path: pathlib.Path) -> None:
    words = words_of("--early-stopping", "--checkpoint", "c", "--checkpoint-every", "3", "--resume")
    stop, checkpoint = words["callbacks"]
    assert (stop.monitor, stop.patience, words["validation_split"], words["resume"]) == ("val_loss", 10, 0.1, "auto")
    assert (checkpoint.path, checkpoint.every, checkpoint.unit) == ("c", 3, "epoch")
    words = words_of("--early-stopping", "4", "--validation", "0.25")
    assert (words["callbacks"][0].patience, words["validation_split"]) == (4, 0.25)
    assert words_of("--validation", "0.5", "--schedule", "cosine")["optimizer"].learning_rate.n_steps == 6 * 2


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("--resume", "--resume: expected --checkpoint FILE"),
        ("--optimizer lbfgs --learning-rate 0.1", "--learning-rate: expected an optimiser that has it, got 'lbfgs'"),
        ("--optimizer lbfgs --schedule cosine", "--schedule: expected an optimiser that has it, got 'lbfgs'"),
        ("--momentum 0.9", "--momentum: expected an optimiser that has it, got 'adam'"),
        ("--optimizer-option beta=1", "--optimizer-option: expected one of 'beta_1'"),
        ("--schedule-option gamma=1", "--schedule-option: expected --schedule to go with it"),
        ("--schedule exponential", "--schedule-option: expected gamma=VALUE, which 'exponential' needs"),
        ("--dropout 1", "dropout"),
        ("--average 1.5", "average"),
        ("--optimizer sgd --momentum 1.5", "momentum"),
    ],
)
def test_what_does_not_go_together(line: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        words_of(*line.split())


@pytest.mark.parametrize(
    "line",
    [
        "--optimizer adm", "--schedule cos", "--l2 -1", "--l2 inf", "--l2 nan", "--l2 1_0", "--l2 x", "--epochs 0",
        "--epochs 1.5", "--early-stopping 0", "--dropout 0.5,", "--optimizer-option x", "--optimizer-option =1",
        "--threads 0", "--threads many", "--verbose 0", "--verbose ²",
    ],
)  # fmt: skip
def test_wrong_usage(line: str) -> None:
    with pytest.raises(argparse.ArgumentError):
        parse(*line.split())


def test_the_help_is_true() -> None:
    parser = argparse.ArgumentParser()
    options.add_training(parser.add_argument)
    text = " ".join(parser.format_help().split())
    assert "native engine: at most N threads (default: as many as this process may run)" in text
    assert "so far" not in text


def test_the_examples_run(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = [shlex.split(line) for line in options.EXAMPLES.splitlines()[1:]]
    assert len(lines) == 3
    for line in lines:
        assert line[:3] == ["fastmlp", "train", "digits"]
        net = fastmlp.Network([3, 4, 2], loss="cross_entropy", seed=0)
        assert net.fit(X, Y, **words_of(*line[3:])).epochs >= 1
        assert np.isfinite(net.parameters).all()
