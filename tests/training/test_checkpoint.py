"""Checkpoints: a fit that is cut off and resumed gives the bits of one that is not, and no failure loses the last file.

A fit is cut off by an error after each of its writes, by a write that fails (a full disk, a failing sync), and by
SIGKILL in a child process. `run` is the fit with which all are compared. Damaged files are tested in
`test_checkpoint_files.py`.
"""

from __future__ import annotations

import errno
import os
import pathlib
import random
import signal
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import Checkpoint, EarlyStopping
from fastmlp.formats import atomic, files
from fastmlp.training import checkpoint
from trainings import assert_same, classifier, data

X, Y = data(41)
TESTS = pathlib.Path(__file__).parents[1]
PLATEAU = fastmlp.ReduceOnPlateau(0.1, factor=0.5, patience=0, threshold=0.5, cooldown=1)
OPTIMIZERS = [
    fastmlp.Adam(0.02),
    fastmlp.SGD(0.1, momentum=0.9),
    fastmlp.SGD(0.1),
    fastmlp.ClassicalMomentum(0.1, nesterov=True),
    fastmlp.AdamHat(0.02),
    fastmlp.AdamW(0.02, weight_decay=0.1),
    fastmlp.NAdam(0.02),
    fastmlp.RMSprop(0.01, momentum=0.5, centered=True),
    fastmlp.AdaGrad(0.1, learning_rate_decay=0.1, initial_accumulator=0.1),
    fastmlp.Lion(0.01),
    fastmlp.SGD(fastmlp.CosineDecay(0.2, n_steps=15, warmup_steps=3), momentum=0.9),
    fastmlp.SGD(PLATEAU, momentum=0.9),
    fastmlp.Adam(lambda t: 0.05 / (1 + t)),
]
FULL_BATCH = [
    fastmlp.Rprop(),
    fastmlp.LBFGS(),
    fastmlp.LBFGS(memory=2, gradient_tolerance=0.0, loss_tolerance=0.0),
]
PLANS = {
    "epochs": {"every": 1},
    "steps": {"every": 3, "unit": "step"},
    "each step": {"every": 1, "unit": "step"},
    "rarely": {"every": 4},
}


class Cut(Exception):  # noqa: N818
    """Ends a fit where a kill would."""


def words(optimizer: Any = OPTIMIZERS[0], patience: int = 3) -> dict[str, Any]:
    return {
        "epochs": 5,
        "batch_size": 8,
        "optimizer": optimizer,
        "validation_split": 0.25,
        "metrics": ["mae"],
        "callbacks": [EarlyStopping(patience=patience)],
    }


def run(build: Any, path: Any = None, *, resume: Any = None, plan: str = "steps", **changes: Any) -> tuple[Any, Any]:
    """The network and the history of the fit, with a checkpoint if a path is given."""
    net = classifier(build)
    all_words = {**words(), **changes}
    if path is not None:
        all_words["callbacks"] = [*all_words["callbacks"], Checkpoint(path, **PLANS[plan])]
    return net, net.fit(X, Y, **all_words, resume=resume)


def assert_ends_alike(one: tuple[Any, Any], other: tuple[Any, Any]) -> None:
    """P, the random state, the optimiser's state, every curve and the reason."""
    assert_same(one[0], other[0])
    assert (one[1], one[1].stopped) == (other[1], other[1].stopped)
    assert one[0].learning_rate == other[0].learning_rate
    for net, _ in (one, other):
        net.fit(X, Y, epochs=1, optimizer=None)
    assert_same(one[0], other[0])


def cut_after(monkeypatch: pytest.MonkeyPatch, n_writes: int) -> None:
    """After so many more files, `Cut` is raised."""
    write, left = atomic.write, [n_writes]

    def cut(path: Any, content: bytes) -> None:
        write(path, content)
        left[0] -= 1
        if left[0] == 0:
            raise Cut

    monkeypatch.setattr(atomic, "write", cut)


@pytest.fixture(scope="module")
def plain() -> Any:
    """A build for what does not depend on the implementation."""
    return lambda sizes, **words: fastmlp.Network(sizes, **words)


# -- a fit that goes on ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plan", PLANS)
def test_a_checkpoint_does_not_change_the_fit(build: Any, plan: str, tmp_path: pathlib.Path) -> None:
    assert_ends_alike(run(build, tmp_path / "c", plan=plan), run(build))
    assert os.listdir(tmp_path) == ["c"]


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=repr)
@pytest.mark.parametrize(("plan", "n_writes"), [("epochs", 1), ("epochs", 4), ("steps", 1), ("steps", 5)])
def test_a_cut_fit_goes_on_to_the_same_end(
    build: Any, optimizer: Any, plan: str, n_writes: int, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        cut_after(patch, n_writes)
        with pytest.raises(Cut):
            run(build, tmp_path / "c", plan=plan, optimizer=optimizer)
    assert_ends_alike(run(build, resume=tmp_path / "c", optimizer=optimizer), run(build, optimizer=optimizer))


@pytest.mark.parametrize("optimizer", FULL_BATCH, ids=repr)
@pytest.mark.parametrize("epochs", [1, 2, 4, 7])
def test_all_rows_in_a_step(build: Any, optimizer: Any, epochs: int, tmp_path: pathlib.Path) -> None:
    """What a method keeps (the pairs of L-BFGS, their ring full or not), and the steps of Rprop."""
    changes = {"optimizer": optimizer, "batch_size": None, "callbacks": []}
    run(build, tmp_path / "c", **{**changes, "epochs": epochs}, plan="epochs")
    resumed = run(build, resume=tmp_path / "c", **changes, epochs=12)
    assert_ends_alike(resumed, run(build, **changes, epochs=12))


def test_what_has_converged_stays(build: Any, tmp_path: pathlib.Path) -> None:
    changes = {"optimizer": fastmlp.LBFGS(loss_tolerance=0.05), "batch_size": None, "callbacks": [], "epochs": 500}
    net, history = run(build, tmp_path / "c", **changes)
    assert history.stopped == "converged"
    assert history.epochs < 500
    assert_ends_alike(run(build, resume=tmp_path / "c", **changes), (net, history))


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("patience", [1, 3])
def test_cut_at_every_write(
    plan: str, patience: int, plain: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And cut again each time it goes on: the training ends as the one that nobody touched."""
    whole = run(plain, **words(patience=patience))
    net, history = None, None
    for i in range(100):
        with monkeypatch.context() as patch:
            cut_after(patch, 2 if i else 1)
            try:
                resume = tmp_path / "c" if i else None
                net, history = run(plain, tmp_path / "c", plan=plan, resume=resume, **words(patience=patience))
                break
            except Cut:
                pass
    assert i > (0 if plan == "rarely" else 1)
    assert_ends_alike((net, history), whole)


def test_weights_are_as_they_were(build: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changes: dict[str, Any] = {"sample_weight": np.arange(len(X)) % 3, "class_weight": "balanced"}
    whole = run(build, **changes)
    with monkeypatch.context() as patched:
        cut_after(patched, 4)
        with pytest.raises(Cut):
            run(build, tmp_path / "c", **changes)
    assert_ends_alike(run(build, tmp_path / "c", resume=tmp_path / "c", **changes), whole)


def test_more_epochs_than_at_first(build: Any, tmp_path: pathlib.Path) -> None:
    run(build, tmp_path / "c", epochs=2)
    assert_ends_alike(run(build, resume=tmp_path / "c"), run(build))


@pytest.mark.parametrize("how", ["max_time", "on_batch_end", "on_epoch_end"])
def test_a_stopped_fit_can_go_on(build: Any, how: str, tmp_path: pathlib.Path) -> None:
    """What stopped it is no part of it: the epoch that was cut short is finished, and recorded once."""

    class Stopper:
        n_calls = 0

        def stop(self, i: int, logs: Any) -> bool:
            self.n_calls += 1
            return self.n_calls == 6

    if how == "max_time":
        clock = Slow()
        net, history = run(build, tmp_path / "c", epochs=10**6, max_time=0.2, callbacks=[clock], plan="rarely")
        epochs = history.epochs
    else:
        epochs = 8
        setattr(Stopper, how, Stopper.stop)
        net, history = run(build, tmp_path / "c", epochs=epochs, callbacks=[Stopper()], plan="rarely")
    assert history.stopped == ("max_time" if how == "max_time" else "callback")
    assert np.array_equal(fastmlp.load(tmp_path / "c").parameters, net.parameters)
    resumed = run(build, resume=tmp_path / "c", epochs=epochs, callbacks=[])
    assert_ends_alike(resumed, run(build, epochs=epochs, callbacks=[]))


class Slow:
    """Makes steps take time."""

    def on_batch_end(self, batch: int, logs: Any) -> None:
        time.sleep(0.01)


def test_an_early_stopping_stays(build: Any, tmp_path: pathlib.Path) -> None:
    """It has ended by itself; going on gives the best weights again and nothing more."""
    changes = {"epochs": 500, "callbacks": [EarlyStopping(patience=1, monitor="loss", min_delta=0.5)]}
    net, history = run(build, tmp_path / "c", **changes)
    assert history.stopped == "early_stopping"
    changes["callbacks"] = [EarlyStopping(patience=1, monitor="loss", min_delta=0.5)]
    again, its = run(build, resume=tmp_path / "c", **changes)
    np.testing.assert_array_equal(net.parameters, again.parameters)
    assert (history, history.stopped) == (its, its.stopped)


def test_a_checkpoint_is_a_model(build: Any, tmp_path: pathlib.Path) -> None:
    net, _ = run(build, tmp_path / "c", plan="epochs", callbacks=[])
    loaded = fastmlp.load(tmp_path / "c")
    assert_same(net, loaded)
    loaded.save(tmp_path / "m")
    assert files.read(tmp_path / "m").training is None


def test_the_safetensors_library_reads_it(tmp_path: pathlib.Path, plain: Any) -> None:
    numpy = pytest.importorskip("safetensors.numpy")
    net, history = run(plain, tmp_path / "c", callbacks=[])
    tensors = numpy.load_file(tmp_path / "c")
    np.testing.assert_array_equal(tensors["layers.0.weight"], net.weights[0])
    assert tensors["history.val_loss"].tolist() == history.val_loss
    assert tensors["optimizer.exp_avg"].shape == tensors["optimizer.exp_avg_sq"].shape == (net.n_parameters,)


def test_a_network_of_another_engine_goes_on(plain: Any, tmp_path: pathlib.Path) -> None:
    """To the same end, up to rounding."""
    run(plain, tmp_path / "c", epochs=2)
    nets = [
        run(lambda s, e=e, **w: fastmlp.Network(s, engine=e, **w), resume=tmp_path / "c")[0] for e in ("native", "blas")
    ]
    np.testing.assert_allclose(nets[0].parameters, nets[1].parameters, rtol=1e-3, atol=1e-5)


# -- another training, another network -------------------------------------------------------------------------------

OTHERS = {
    "X": {"X": X + 1},
    "y": {"y": 1 - Y},
    "rows": {"X": X[:-1], "y": Y[:-1]},
    "targets": {"y": np.eye(2)[Y]},
    "bytes": {"X": np.zeros(X.shape, np.uint8)},
    "weights": {"sample_weight": np.linspace(1.0, 2.0, len(X))},
    "class_weight": {"class_weight": {1: 2.0}},
    "validation_split": {"validation_split": 0.3},
    "validation_data": {"validation_split": None, "validation_data": (X[:5], Y[:5])},
    "batch_size": {"batch_size": 7},
    "optimizer": {"optimizer": fastmlp.Adam(0.03)},
    "shuffle": {"shuffle": False},
    "metrics": {"metrics": ["mse"]},
    "callbacks": {"callbacks": []},
}
SAYS = {
    "y": "X",
    "rows": "(X|validation_data)",
    "targets": "X",
    "bytes": "X",
    "weights": "(X|validation_data)",
    "class_weight": "X",
    "validation_split": "(X|validation_data)",
    "validation_data": "X",
}


@pytest.mark.parametrize("what", OTHERS)
def test_another_training_is_refused(plain: Any, what: str, tmp_path: pathlib.Path) -> None:
    run(plain, tmp_path / "c", epochs=2)
    net = classifier(plain)
    before = net.parameters
    changes = {"X": X, "y": Y, **words(), **OTHERS[what]}
    with pytest.raises(ValueError, match=rf"^{SAYS.get(what, what)}: expected that of the checkpoint, .*, got "):
        net.fit(changes.pop("X"), changes.pop("y"), **changes, resume=tmp_path / "c")
    np.testing.assert_array_equal(net.parameters, before)
    net.fit(X, Y, epochs=1)


def test_other_weights_are_refused(plain: Any, tmp_path: pathlib.Path) -> None:
    """Of rows that had weights already, one number in its last digit."""
    weights = np.linspace(1.0, 2.0, len(X))
    run(plain, tmp_path / "c", epochs=2, sample_weight=weights)
    other = weights.copy()
    other[3] = np.nextafter(other[3], 2.0)
    with pytest.raises(ValueError, match=r"^X: expected that of the checkpoint, .*, weighted, SHA-256 .*, got "):
        run(plain, resume=tmp_path / "c", sample_weight=other)
    assert_ends_alike(
        run(plain, resume=tmp_path / "c", sample_weight=weights), run(plain, sample_weight=weights.tolist())
    )


@pytest.mark.parametrize(
    ("sizes", "changes", "key"),
    [
        ([3, 6, 2], {}, "sizes"),
        ([3, 5, 2], {"activation": "relu"}, "activation"),
        ([3, 5, 2], {"dtype": "float64"}, "dtype"),
        ([3, 5, 2], {"loss": "mse"}, "loss|output_activation"),
    ],
)
def test_another_network_is_refused(
    plain: Any, sizes: Any, changes: dict[str, Any], key: str, tmp_path: pathlib.Path
) -> None:
    run(plain, tmp_path / "c", epochs=1)
    net = fastmlp.Network(sizes, **{"activation": "tanh", "loss": "cross_entropy", **changes})
    with pytest.raises(ValueError, match=rf"^resume: expected a network with ({key}) "):
        net.fit(X, Y, **words(), resume=tmp_path / "c")


def test_bad_arguments(tmp_path: pathlib.Path, plain: Any) -> None:
    for wrong in (3, None, [b"a"]):
        with pytest.raises(TypeError, match=r"^path: expected a str or a path object"):
            Checkpoint(wrong)
    with pytest.raises(ValueError, match=r"^every: expected an integer of at least 1, got 0"):
        Checkpoint("c", every=0)
    with pytest.raises(ValueError, match=r"^unit: expected one of 'epoch', 'step', got 'steps'; did you mean 'step'"):
        Checkpoint("c", unit="steps")
    assert eval(repr(Checkpoint("c", every=3)), vars(fastmlp).copy()).every == 3
    net = classifier(plain)
    with pytest.raises(TypeError, match=r"^resume: expected a str or a path object, got 3"):
        net.fit(X, Y, resume=3)
    with pytest.raises(FileNotFoundError):
        net.fit(X, Y, resume=tmp_path / "none")
    net.save(tmp_path / "m")
    with pytest.raises(fastmlp.FormatError, match="expected a checkpoint, got a model without a training"):
        net.fit(X, Y, resume=tmp_path / "m")


def test_a_place_where_no_file_can_be_is_seen_before_the_first_step(tmp_path: pathlib.Path, plain: Any) -> None:
    (tmp_path / "closed").mkdir(0o500)
    places: dict[str, type[OSError]] = {"none/c": FileNotFoundError, ".": IsADirectoryError}
    if not os.access(tmp_path / "closed", os.W_OK):  # unless the user may write anywhere
        places["closed/c"] = PermissionError
    for place, error in places.items():
        net = classifier(plain)
        before = net.parameters
        with pytest.raises(error) as raised:
            net.fit(X, Y, callbacks=[Checkpoint(tmp_path / place)])
        assert raised.value.filename == os.path.realpath(tmp_path / place)
        np.testing.assert_array_equal(net.parameters, before)  # otherwise an epoch would have been kept


def print_rate(step: int) -> float:
    return 0.1


def test_the_words_that_are_checked(plain: Any) -> None:
    """An optimiser's settings come without the addresses of what is in them."""
    rows = classifier(plain)._rows(X, Y)
    described = checkpoint.settings(fastmlp.SGD(print_rate), None, rows, None, [])["optimizer"]
    assert described == {"name": "sgd", "learning_rate": {"function": "<function print_rate>"}}


# -- accidents -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["write", "fsync", "replace", "open"])
@pytest.mark.parametrize("plan", ["epochs", "steps"])
def test_a_failing_call_leaves_the_previous_checkpoint(
    call: str, plan: str, plain: Any, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error is raised, the network keeps the best whole epoch, and the training can go on from the file before."""
    path, write, n_writes = tmp_path / "c", atomic.write, 0

    def full_disk(*_: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def third(target: Any, content: bytes) -> None:
        nonlocal n_writes
        n_writes += 1
        with monkeypatch.context() as patch:
            if n_writes == 3:
                patch.setattr(os, call, full_disk)
            write(target, content)

    net = classifier(plain)
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "write", third)
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            net.fit(X, Y, **{**words(), "callbacks": [EarlyStopping(patience=3), Checkpoint(path, **PLANS[plan])]})
    assert os.listdir(tmp_path) == ["c"]
    control = classifier(plain)
    control.fit(X, Y, **{**words(), "callbacks": [EarlyStopping(patience=3)], "epochs": 3 if plan == "epochs" else 2})
    assert_same(net, control)
    assert_ends_alike(run(plain, resume=path), run(plain))


@pytest.mark.skipif(os.name != "posix", reason="needs the limits of POSIX")
def test_a_limit_of_the_file_size(tmp_path: pathlib.Path, plain: Any) -> None:
    """The kernel refuses to write the whole file; the previous one stays."""
    run(plain, tmp_path / "c", epochs=2)
    before = (tmp_path / "c").read_bytes()
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
    done = subprocess.run([*child(tmp_path, code), "0"], stderr=subprocess.PIPE, check=False)
    assert done.returncode == 1
    assert b"File too large" in done.stderr
    assert (tmp_path / "c").read_bytes() == before
    assert os.listdir(tmp_path) == ["c"]


def child(folder: pathlib.Path, head: str = "") -> list[str]:
    """A process that runs the fit of `run` slowly and writes P to the folder at its end; with 1, from a checkpoint."""
    code = f"""
import os, sys, time
sys.path[:0] = {[str(TESTS), str(TESTS / "support"), str(TESTS / "training")]!r}
import numpy as np
import fastmlp
from test_checkpoint import *
{head}
folder = {str(folder)!r}
build = lambda sizes, **words: fastmlp.Network(sizes, **words)
print("ready", flush=True)
resume = {{"0": None, "1": os.path.join(folder, "c"), "auto": "auto"}}[sys.argv[1]]
net, history = run(build, os.path.join(folder, "c"), plan="each step", epochs=40, resume=resume)
np.savez(os.path.join(folder, "end.npz"), P=net.parameters, **dict(history.items()), state=str(net._random_state))
"""
    return [sys.executable, "-c", code]


def kill_at_random(folder: pathlib.Path, seed: int, seconds: float) -> bool:
    """Kills the fit at a random moment, then lets it go on to its end; whether there was a checkpoint by then."""
    process = subprocess.Popen([*child(folder), "0"], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    time.sleep(random.Random(seed).uniform(0, seconds))
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    begun = (folder / "c").exists()
    (folder / "end.npz").unlink(missing_ok=True)
    subprocess.run([*child(folder), str(int(begun))], check=True, stdout=subprocess.DEVNULL)
    return begun


def killed(tmp_path: pathlib.Path, n_moments: int) -> int:
    """How many of the moments were in the middle of the training; each ends with the same bits."""
    net, history = run(lambda sizes, **each: fastmlp.Network(sizes, **each), epochs=40)
    start = time.perf_counter()
    subprocess.run([*child(tmp_path), "0"], check=True, stdout=subprocess.DEVNULL)
    seconds = (time.perf_counter() - start) / 2  # the rest is the time of the imports
    n_begun = 0
    for moment in range(n_moments):
        folder = tmp_path / str(moment)
        folder.mkdir()
        n_begun += kill_at_random(folder, moment, seconds)
        end = np.load(folder / "end.npz")
        np.testing.assert_array_equal(end["P"], net.parameters)
        assert str(end["state"]) == str(net._random_state)
        assert {name: end[name].tolist() for name in history} == dict(history)
    return n_begun


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, a signal of POSIX")
def test_killed_at_random_moments(tmp_path: pathlib.Path) -> None:
    assert killed(tmp_path, 4) >= 1


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL, a signal of POSIX")
def test_killed_at_a_hundred_random_moments(tmp_path: pathlib.Path) -> None:
    assert killed(tmp_path, 100) >= 50
