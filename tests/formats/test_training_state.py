"""`TrainingState`, and the names of its parts in checkpoints: what is written, filled in and compared.

The names are PyTorch's; the values of a state are compared with the optimiser's formula in NumPy.
"""

from __future__ import annotations

import copy
import json
import pathlib
import pickle
import random
import re
from typing import Any

import numpy as np
import pytest
from test_written_by_0_1_0 import HERE, cases

import fastmlp
from fastmlp import Checkpoint, Regularization, optimizers
from fastmlp.formats import model_file
from file_mutations import mutate, put_together, take_apart
from trainings import assert_same, classifier, data

X, Y = data(24)
PLATEAU = fastmlp.ReduceOnPlateau(0.1, monitor="loss", patience=0)


def network(**more: Any) -> Any:
    return classifier(fastmlp.Network, **more)


def trained(optimizer: Any = "adam", *, epochs: int = 2, **more: Any) -> Any:
    net = network()
    net.fit(X, Y, optimizer=optimizer, epochs=epochs, batch_size=None, **more)
    return net


STATES: dict[str, tuple[Any, dict[str, Any], set[str], set[str]]] = {
    "sgd": (fastmlp.SGD(0.1), {}, {"momentum_buffer"}, {"learning_rate"}),
    "classical_momentum": (fastmlp.ClassicalMomentum(0.1), {}, {"momentum_buffer"}, {"learning_rate"}),
    "adam": (fastmlp.Adam(), {}, {"exp_avg", "exp_avg_sq"}, {"learning_rate"}),
    "adam_hat": (fastmlp.AdamHat(), {}, {"exp_avg", "exp_avg_sq"}, {"learning_rate"}),
    "adamw": (fastmlp.AdamW(), {}, {"exp_avg", "exp_avg_sq"}, {"learning_rate"}),
    "nadam": (fastmlp.NAdam(), {}, {"exp_avg", "exp_avg_sq"}, {"learning_rate", "mu_product"}),
    "rmsprop": (fastmlp.RMSprop(), {}, {"square_avg", "momentum_buffer", "grad_avg"}, {"learning_rate"}),
    "adagrad": (fastmlp.AdaGrad(), {}, {"sum"}, {"learning_rate"}),
    "lion": (fastmlp.Lion(), {}, {"exp_avg"}, {"learning_rate"}),
    "rprop": (fastmlp.Rprop(), {}, {"prev", "step_size"}, {"learning_rate"}),
    "lbfgs": (fastmlp.LBFGS(memory=2), {}, {"s.0", "y.0", "s.1", "y.1"}, {"gamma", "rho.0", "rho.1"}),
    "schedule": (fastmlp.SGD(fastmlp.StepDecay(0.1, 2)), {}, {"momentum_buffer"}, set()),
    "plateau": (
        fastmlp.SGD(PLATEAU),
        {},
        {"momentum_buffer"},
        {f"plateau.{name}" for name in ("rate", "best", "n_bad", "n_cooling")},
    ),
    "average": (
        fastmlp.SGD(0.1),
        {"regularization": Regularization(average=0.5, dropout=0.25)},
        {"momentum_buffer", "unaveraged_parameters"},
        {"learning_rate", "random_key"},
    ),
}


def test_every_optimizer_is_here() -> None:
    assert {optimizer.name for optimizer, *_ in STATES.values()} == set(optimizers.OPTIMIZERS)


@pytest.mark.parametrize("name", STATES)
def test_the_state_has_names(name: str) -> None:
    """After three iterations, the memory of L-BFGS, for fewer pairs, is full."""
    optimizer, more, vectors, numbers = STATES[name]
    state = trained(optimizer, epochs=3, **more).training_state()
    assert (set(state.vectors), set(state.numbers)) == (vectors, numbers)
    assert (state.optimizer, state.regularization) == (optimizer, more.get("regularization"))


@pytest.mark.parametrize("name", STATES)
@pytest.mark.parametrize("how", ["as it is", "pickled", "essential"])
def test_a_restored_training_goes_on_to_the_same_bits(name: str, how: str) -> None:
    optimizer, more, *_ = STATES[name]
    net, other = trained(optimizer, **more), network(seed=9)
    state = net.training_state()
    if how == "pickled":
        state = pickle.loads(pickle.dumps(copy.deepcopy(state)))
    elif how == "essential":
        state = fastmlp.frozen.replace(state, vectors=state.essential_vectors(), numbers=state.essential_numbers())
    other.restore_training(state)
    np.testing.assert_array_equal(other.parameters, net.parameters)
    assert other.learning_rate == net.learning_rate
    for each in (net, other):
        each.fit(X, Y, epochs=2, batch_size=None, optimizer=None, **more)
    assert_same(net, other)


def test_moments_are_the_formulas() -> None:
    """After the first step of Adam, its moments are (1 - beta_1) g and (1 - beta_2) g^2."""
    net = network(dtype="float64")
    g = net.loss_and_grad(X, Y)[1]
    net.train_on_batch(X, Y, fastmlp.Adam(beta_1=0.75, beta_2=0.5))
    vectors = net.training_state().vectors
    np.testing.assert_allclose(vectors["exp_avg"], g / 4, rtol=1e-14)
    np.testing.assert_allclose(vectors["exp_avg_sq"], g * g / 2, rtol=1e-14)


def test_a_state_is_a_copy() -> None:
    net, same = trained(), trained()
    for array in (net.training_state().parameters, *net.training_state().vectors.values()):
        array[:] = 7
    for each in (net, same):
        each.fit(X, Y, epochs=1)
    assert_same(net, same)


def test_only_what_is_0_in_every_bit_is_left_out() -> None:
    vectors = {name: np.array(value, "f4") for name, value in {"a": [0, 1], "b": [0, -0.0], "c": [0, 0]}.items()}
    assert set(changed(vectors=vectors).essential_vectors()) == {"a", "b"}


def changed(**fields: Any) -> Any:
    return fastmlp.frozen.replace(trained().training_state(), **fields)


WRONG: dict[str, Any] = {
    "none": (lambda: None, TypeError, "state: expected a TrainingState, got NoneType"),
    "a vector more": (lambda: changed(vectors={"sum": np.zeros(32, "f4")}), ValueError, "exp_avg_sq.*got"),
    "a number more": (lambda: changed(numbers={"step": 1.0}), ValueError, "got.*'step'"),
    "short": (
        lambda: changed(vectors={"exp_avg": np.zeros(3, "f4")}),
        ValueError,
        "exp_avg: expected 32 numbers, got 3",
    ),
    "wide": (lambda: changed(vectors={"exp_avg": np.zeros(32)}), ValueError, "finite numbers of float32"),
    "NaN": (lambda: changed(vectors={"exp_avg": np.full(32, np.nan, "f4")}), ValueError, "finite"),
    "rate 0": (lambda: changed(numbers={"learning_rate": 0.0}), ValueError, "learning_rate"),
    "a word": (lambda: changed(numbers={"learning_rate": "x"}), ValueError, "expected a number"),
    "steps": (lambda: changed(n_steps=-1), ValueError, "state.n_steps"),
    "random": (lambda: changed(random_state=2**64), ValueError, "state.random_state"),
    "optimizer": (lambda: changed(optimizer=fastmlp.LBFGS()), ValueError, "LBFGS"),
    "no key": (lambda: changed(regularization=Regularization(dropout=0.5)), ValueError, "random_key"),
    "no raw": (lambda: changed(regularization=Regularization(average=0.5)), ValueError, "unaveraged_parameters"),
    "layers": (lambda: changed(regularization=Regularization(dropout=[0.5] * 3)), ValueError, "dropout"),
    "parameters": (lambda: changed(parameters=np.zeros(5, "f4")), ValueError, "parameters"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_restored_changes_nothing(what: str) -> None:
    make, kind, message = WRONG[what]
    net, control = trained("sgd"), trained("sgd")
    with pytest.raises(kind, match=message):
        net.restore_training(make())
    for each in (net, control):
        each.fit(X, Y, epochs=1, optimizer=None)
    assert_same(net, control)


def test_when_there_is_none() -> None:
    net = network()
    with pytest.raises(RuntimeError, match="training_state: the network has no optimizer at work"):
        net.training_state()
    state = trained().training_state()
    with pytest.raises(RuntimeError, match="restore_training"):
        net.fit(X, Y, callbacks=[lambda epoch, logs: net.restore_training(state)])


# -- checkpoints -------------------------------------------------------------------------------------------------------


def checkpoint(path: pathlib.Path, optimizer: Any, **more: Any) -> Any:
    """Return the parts of the checkpoint of two epochs."""
    trained(optimizer, callbacks=[Checkpoint(path)], **more)
    return take_apart(path.read_bytes())


@pytest.mark.parametrize(
    ("optimizer", "vectors", "numbers"),
    [
        (fastmlp.SGD(0.5), [], []),
        (fastmlp.RMSprop(), ["square_avg"], []),
        (fastmlp.NAdam(), ["exp_avg", "exp_avg_sq"], ["mu_product"]),
        (fastmlp.SGD(fastmlp.ReduceOnPlateau(0.1, monitor="loss")), [], ["plateau.best"]),
    ],
    ids=repr,
)
def test_what_has_its_default_is_not_written(
    optimizer: Any, vectors: list[str], numbers: list[str], tmp_path: pathlib.Path
) -> None:
    parts = checkpoint(tmp_path / "c", optimizer)
    assert [name for name in parts.tensors if name.startswith("optimizer.")] == [f"optimizer.{v}" for v in vectors]
    fields = parts.values["fastmlp.training"]["fields"]
    assert list(fields["numbers"]) == numbers
    described = fields["settings"]["optimizer"]
    assert {*described} <= {"name", "learning_rate"}
    assert ("learning_rate" in described) == isinstance(optimizer, fastmlp.SGD)
    assert parts.values["fastmlp.architecture"]["output_activation"] == {"name": "softmax"}


def test_a_state_that_an_older_file_lacks_is_0(tmp_path: pathlib.Path) -> None:
    """A state vector that a file lacks, because an older version had none, is 0."""
    parts = checkpoint(tmp_path / "c", fastmlp.Adam(0.01))
    at = parts.tensors.pop("optimizer.exp_avg_sq")["data_offsets"]
    parts.data = parts.data[: at[0]] + parts.data[at[1] :]
    for entry in parts.tensors.values():
        entry["data_offsets"] = [each - (at[1] - at[0]) * (each >= at[1]) for each in entry["data_offsets"]]
    listed = parts.values["fastmlp.training"]["tensors"]
    listed[:] = [entry for entry in listed if entry[0] != "optimizer.exp_avg_sq"]
    (tmp_path / "older").write_bytes(put_together(parts))
    net, other = trained(fastmlp.Adam(0.01)), network()
    state = net.training_state()
    state.vectors["exp_avg_sq"][:] = 0
    net.restore_training(state)
    net.fit(X, Y, epochs=1, batch_size=None, optimizer=None)
    other.fit(X, Y, epochs=3, batch_size=None, optimizer=fastmlp.Adam(0.01), resume=tmp_path / "older")
    np.testing.assert_array_equal(other.parameters, net.parameters)


DIFFERENT = [
    (fastmlp.Adam(0.25), fastmlp.Adam(0.5), "learning_rate=0.25, got learning_rate=0.5"),
    (fastmlp.Adam(), fastmlp.Adam(beta_2=0.5), "beta_2=0.999, got beta_2=0.5"),
    (fastmlp.Adam(), fastmlp.SGD(), "name='adam', got name='sgd'"),
    (fastmlp.Adam(), fastmlp.AdamW(), "name='adam', got name='adamw'"),
    (
        fastmlp.SGD(fastmlp.StepDecay(0.5, 3)),
        fastmlp.SGD(fastmlp.StepDecay(0.5, 4)),
        "learning_rate.step_size=3, got learning_rate.step_size=4",
    ),
    (
        fastmlp.SGD(fastmlp.StepDecay(0.5, 3)),
        fastmlp.SGD(0.5),
        "learning_rate.name='step', got learning_rate.name=None",
    ),
    (
        fastmlp.SGD(cases.third_of_steps),
        fastmlp.SGD(abs),
        "learning_rate={'function': '<function third_of_steps>'}, got learning_rate={'function': '<built-in",
    ),
]


@pytest.mark.parametrize(("theirs", "ours", "message"), DIFFERENT)
def test_a_difference_is_named(theirs: Any, ours: Any, message: str, tmp_path: pathlib.Path) -> None:
    checkpoint(tmp_path / "c", theirs)
    with pytest.raises(ValueError, match="^optimizer: expected that of the checkpoint, " + re.escape(message)):
        network().fit(X, Y, epochs=3, batch_size=None, optimizer=ours, resume=tmp_path / "c")


def test_a_difference_of_a_file_of_0_1_0_is_named() -> None:
    case = cases.checkpoints()["adam"]
    other = {**case, "optimizer": fastmlp.Adam(0.02, beta_1=0.7, epsilon=1e-6)}
    with pytest.raises(ValueError, match=r"^optimizer: expected that of the checkpoint, beta_1=0.8, got beta_1=0.7$"):
        cases.network(case["net"]).fit(
            *cases.rows(case), resume=HERE / "checkpoints" / "adam.checkpoint", **cases.to_the_end(other)
        )


def test_a_field_of_a_later_version_names_its_writer(tmp_path: pathlib.Path) -> None:
    parts = checkpoint(tmp_path / "c", "adam")
    parts.values["fastmlp.architecture"]["written_by"] = "7.1"
    parts.values["fastmlp.training"]["fields"]["settings"]["optimizer"]["amsgrad"] = True
    (tmp_path / "c").write_bytes(put_together(parts))
    message = r"optimizer 'adam': expected the fields .*, got 'amsgrad'; fastmlp 7.1 wrote the file, in version 2"
    with pytest.raises(fastmlp.FormatError, match=message):
        network().fit(X, Y, epochs=3, batch_size=None, resume=tmp_path / "c")


@pytest.mark.parametrize("name", ["adam", "rate_plateau", "lbfgs", "regularized_all", "scaled_inputs"])
def test_damaged_files_of_0_1_0(name: str, tmp_path: pathlib.Path) -> None:
    """Damaged files of 0.1.0 with correct checksums load, or raise a ValueError and change nothing."""
    case, parts = cases.checkpoints()[name], take_apart((HERE / "checkpoints" / f"{name}.checkpoint").read_bytes())
    for seed in range(60):
        (tmp_path / "c").write_bytes(put_together(mutate(parts, random.Random(f"{name} {seed}"))))
        net, control = cases.network(case["net"]), cases.network(case["net"])
        try:
            net.fit(*cases.rows(case), resume=tmp_path / "c", **cases.to_the_end(case))
        except FloatingPointError:
            pass  # large finite numbers may overflow
        except ValueError:
            np.testing.assert_array_equal(net.parameters, control.parameters)


def test_a_learnt_scaling_is_the_files_only_within_rounding(tmp_path: pathlib.Path) -> None:
    case = cases.checkpoints()["scaled_inputs"]
    parts = take_apart((HERE / "checkpoints" / "scaled_inputs.checkpoint").read_bytes())
    scaling = parts.values["fastmlp.architecture"]["input_scaling"]
    net = cases.network(case["net"])
    how = {**cases.to_the_end(case), "resume": HERE / "checkpoints" / "scaled_inputs.checkpoint"}
    net.fit(*cases.rows(case), **how)
    assert net.input_scaling == fastmlp.Scaling(scaling["offset"], scaling["scale"])
    scaling["scale"][1] *= 1 + 1e-9
    (tmp_path / "c").write_bytes(put_together(parts))
    with pytest.raises(ValueError, match="resume: expected a network with input_scaling"):
        cases.network(case["net"]).fit(*cases.rows(case), **{**how, "resume": tmp_path / "c"})


def test_a_model_says_who_wrote_it() -> None:
    length = int.from_bytes((content := model_file.to_bytes(network()))[:8], "little")
    architecture = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["fastmlp.architecture"])
    assert (architecture["version"], architecture["written_by"]) == (2, fastmlp.__version__)
