"""FANN's text files: against libdoublefann and libfann 2.2.0 of Debian, which `tests/support/libfann.py` calls."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.convert import checking, fann, fann_writer
from libfann import Fann

MODELS = Path(__file__).parent / "models" / "fann"
FAMILIES = [(0,), (1, 2), (3,), (3, 5), (4,), (6,), (7, 8), (10, 11), (12,), (13, 12, 0), (14, 15, 16, 17), (9, 5)]
NAMES = ["default_stepwise", "linear_output_saturates", "scaling_params", "sparse", "symmetric_hidden_linear_output"]


def text(name: str) -> str:
    return (MODELS / f"{name}.net").read_text()


@pytest.mark.parametrize("name", NAMES)
def test_files_of_the_tool(name: str) -> None:
    expected = np.load(MODELS / f"{name}.expected.npz")
    net = checking.network(fann.read(MODELS / f"{name}.net"))
    outputs = expected["fann_run"].reshape(len(expected["input"]), -1)
    np.testing.assert_allclose(net.predict(expected["input"]), outputs, rtol=3e-6, atol=3e-7)
    assert net.conversion is not None
    assert net.conversion.source == "FANN"


def test_scaling_is_applied_when_asked_for() -> None:
    expected = np.load(MODELS / "scaling_params.expected.npz")
    net = checking.network(fann.read(MODELS / "scaling_params.net", scaling=True))
    outputs = expected["scaled_run_descaled"].reshape(-1, 1)
    np.testing.assert_allclose(net.predict(expected["input"]), outputs, rtol=1e-6)
    assert net.input_scaling is not None
    assert net.target_scaling is not None
    plain = checking.network(fann.read(MODELS / "scaling_params.net"))
    assert plain.input_scaling is None
    assert "scaling parameters are not applied" in plain.conversion.folded[0]


def test_parameters_of_the_default_neuron_are_those_of_the_file() -> None:
    net = checking.network(fann.read(MODELS / "default_stepwise.net"))
    assert net.activation == (fastmlp.StepwiseSigmoid(),)
    assert net.weights[0][0].tolist() == [0.773452758789062500, -0.185588061809539794922, -0.294528782367706298828]
    assert net.dtype == np.float32


def drawn(rng: Any, trial: int, path: Path, family: Any = None) -> Any:
    """Return a network of FANN with random layers, activations and steepnesses, half of them mixed in a layer."""
    sizes = rng.integers(1, 8, rng.integers(2, 5)).tolist()
    net = Fann.standard(sizes)
    for layer in range(1, len(sizes)):
        codes = FAMILIES[rng.integers(len(FAMILIES))] if family is None else family
        is_mixed = rng.random() < 0.5
        steep = 3 if 14 in codes else 30  # a sine of large numbers has few digits
        code, steepness = int(rng.choice(codes)), float(rng.choice([0.5, 1, rng.uniform(0.05, 2), steep]))
        for neuron in range(sizes[layer]):
            if is_mixed:
                code, steepness = int(rng.choice(codes)), float(rng.choice([0.5, 1, rng.uniform(0.05, 2), steep]))
            net.set_neuron(layer, neuron, code, steepness)
    net.draw_weights(rng, float(rng.choice([1, 3, 50])))
    if trial % 3 == 0:
        net = net.thinned(path, rng, float(rng.uniform(0.3, 0.9)))
    X = rng.standard_normal((20, sizes[0])) * np.repeat([1, 10, 100, 1000], 5)[:, None]
    return net, X


@pytest.mark.parametrize("seed", range(200))
def test_random_networks_of_every_activation(seed: int, tmp_path: Path) -> None:
    """Large sums show the clips, of which 30 as steepness has one at 5, and thresholds and jumps are met."""
    rng = np.random.default_rng(seed)
    original, X = drawn(rng, seed, tmp_path / "a.net")
    chain = fann.read(original.save(tmp_path / "a.net"))
    outputs = original.run(X)
    size = max(1.0, float(np.abs(outputs).max()))
    np.testing.assert_allclose(chain.evaluate(X), outputs, rtol=0, atol=1e-10 * size)
    net = checking.network(chain, dtype="float64")
    np.testing.assert_allclose(net.predict(X).reshape(outputs.shape), outputs, rtol=0, atol=1e-10 * size)


@pytest.mark.parametrize("code", [4, 6])
@pytest.mark.parametrize("library", ["libfann", "libdoublefann"])
def test_jumps_and_corners_to_the_bit(code: int, library: str, tmp_path: Path) -> None:
    """z runs through the floats around each corner: the values are those of FANN, on either side of a jump."""
    net = Fann.standard([1, 1], library)
    net.set_neuron(1, 0, code, 1.0)
    path = net.save(tmp_path / "a.net")
    loaded = re.sub(r"(weight\)=).*", rf"\1(0, {1:.20e}) (1, {0:.20e}) ", path.read_text())
    path.write_text(loaded)
    corners = np.array([-2.64665293, -2.64665246, -1.47221935, -0.54930615, 0.54930615, 1.47221935, 2.64665293])
    z = np.concatenate([np.float32(c) + np.arange(-200, 201) * np.spacing(np.float32(c)) for c in corners])
    expected = Fann.load(path, library).run(z[:, None])
    made = checking.network(fann.read(path), dtype="float32" if library == "libfann" else "float64")
    np.testing.assert_allclose(made.predict(z[:, None]).reshape(-1, 1), expected, rtol=0, atol=2e-7)


def test_every_activation_by_itself(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for code in (*range(9), *range(10, 18)):
        original, X = drawn(rng, 1, tmp_path / "a.net", (code,))
        outputs = original.run(X)
        chain = fann.read(original.save(tmp_path / "a.net"))
        np.testing.assert_allclose(chain.evaluate(X), outputs, rtol=1e-10, atol=1e-10)


def test_sources_are_ignored_where_all_are_connected(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    swapped = (
        text("default_stepwise")
        .replace("(0, 7.73", "(9, 7.73")
        .replace("(1, -1.855", "(0, -1.855")
        .replace("(9, 7.73", "(1, 7.73")
    )
    assert swapped != text("default_stepwise")
    path.write_text(swapped)
    X = np.random.default_rng(0).standard_normal((9, 3))
    expected = Fann.load(path).run(X)
    np.testing.assert_allclose(fann.read(path).evaluate(X), expected, atol=1e-14)
    np.testing.assert_array_equal(expected, Fann.load(MODELS / "default_stepwise.net").run(X))


def test_sources_count_where_they_are_sparse(tmp_path: Path) -> None:
    path = tmp_path / "a.net"
    moved = text("sparse").replace("(2, 4.722", "(1, 4.722")
    assert moved != text("sparse")
    path.write_text(moved)
    X = np.random.default_rng(0).standard_normal((9, 3))
    np.testing.assert_allclose(fann.read(path).evaluate(X), Fann.load(path).run(X), atol=1e-14)


def test_a_clip_that_cannot_be_seen_is_left_out(tmp_path: Path) -> None:
    net = Fann.standard([3, 4, 2])
    net.set_layer(1, 5, 0.5)
    net.set_layer(2, 0, 0.5)
    net.draw_weights(np.random.default_rng(0), 3.0)
    made = checking.network(fann.read(net.save(tmp_path / "a.net")))
    assert (made.activation, made.output_activation) == ((fastmlp.Tanh(),), fastmlp.Identity())
    net.draw_weights(np.random.default_rng(0), 300.0)
    made = checking.network(fann.read(net.save(tmp_path / "a.net")))
    assert made.output_activation == fastmlp.HardTanh(-300.0, 300.0)
    made = checking.network(fann.read(net.save(tmp_path / "a.net"), clip=False))
    assert made.output_activation == fastmlp.Identity()


@pytest.mark.parametrize("hidden", [[], [4], [4, 4]])
def test_shortcuts_that_are_0_are_layers(hidden: list[int], tmp_path: Path) -> None:
    net = Fann.shortcut([3, *hidden, 2])
    net.draw_weights(np.random.default_rng(0), 1.0)
    path = net.save(tmp_path / "a.net")
    if hidden:
        with pytest.raises(fastmlp.FormatError, match=r"layer 2, neuron 8: .* a connection from neuron 0"):
            fann.read(path)
        content = path.read_text()
        pairs = re.findall(r"\(\d+, [-+.e\d]+\) ", content.split("weight)=")[1])
        rows, i, kept = [4] * 4 + ([8] * 4 + [12] * 2 if hidden[1:] else [8] * 2), 0, []
        for n in rows:
            for source in range(n):
                keep = source == 3 or n == 4 or source >= n - 4
                kept.append(pairs[i] if keep else f"({source}, 0) ")
                i += 1
        path.write_text(content.split("weight)=")[0] + "weight)=" + "".join(kept) + "\n")
    X = np.random.default_rng(1).standard_normal((9, 3))
    expected = Fann.load(path).run(X)
    np.testing.assert_allclose(checking.network(fann.read(path), dtype="float64").predict(X), expected, atol=1e-12)


def test_codes_that_releases_understand_differently() -> None:
    file = text("default_stepwise").replace("(4, 4, 5", "(4, 18, 5")
    with pytest.raises(fastmlp.FormatError, match=r"layer 1: .*activation code 18.*rectifiers=True"):
        fann.read(file.encode())
    net = checking.network(fann.read(file.encode(), rectifiers=True, clip=False))
    assert net.activation == (fastmlp.ReLU(),)


def test_scaling_without_parameters_or_with_zeros() -> None:
    with pytest.raises(fastmlp.FormatError, match="scale_included=0"):
        fann.read(MODELS / "sparse.net", scaling=True)
    file = text("scaling_params").replace("101.978729", "0.000000").encode()
    with pytest.raises(fastmlp.FormatError, match=r"scale_deviation_in: .*: a 0,"):
        fann.read(file, scaling=True)
    fann.read(file)


REFUSED = {
    "every_activation_in_one_layer": (
        lambda s: s,
        r"layer 1: .*FANN_LINEAR, FANN_THRESHOLD, .*has one activation: train with one, by fann_set",
    ),
    "shortcut": (
        lambda s: s,
        r"layer 2, neuron 8: .*connection from neuron 0, .*; train a network of fann_create_standard",
    ),
}
MALFORMED = {
    "fixed point": (("FANN_FLO_2.1", "FANN_FIX_2.1"), "fixed point"),
    "version": (("FANN_FLO_2.1", "FANN_FLO_1.1"), "begins with 'FANN_FLO_1.1'"),
    "layers": (("num_layers=3", "num_layers=4"), "layer_sizes: expected 4 numbers, got 3"),
    "many layers": (("num_layers=3", "num_layers=4000000"), "num_layers: expected a whole number"),
    "no neurons": (("neurons (", "neutrons ("), "expected a line neurons="),
    "neurons": (("layer_sizes=4 5 3", "layer_sizes=4 500000000 3"), "expected 500000007 neurons"),
    "inputs": (("(4, 4, 5", "(5, 4, 5"), "expected 30 connections, as the neurons say, got 26"),
    "code": (("(4, 4, 5", "(4, 44, 5"), "layer 1: activation_function: expected a whole number from 0 to 19"),
    "steepness": (("(4, 4, 5.0", "(4, 4, -5.0"), "layer 1: .*a steepness below 0.*; train with one above 0"),
    "comma": (("connection_rate=1.000000", "connection_rate=1,000000"), "connection_rate: expected a finite number"),
    "NaN": (("(0, 7.73452758789062500000e-01)", "(0, nan)"), "connections: expected numbers in parentheses"),
    "large": (("(0, 7.73452758789062500000e-01)", "(0, 7e999)"), "connections: expected finite numbers"),
    "key twice": (("num_layers=3", "num_layers=3\nnum_layers=3"), "each key once"),
    "kind": (("network_type=0", "network_type=2"), "network_type: expected a whole number from 0 to 1"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    with pytest.raises(fastmlp.FormatError, match=REFUSED[name][1]):
        fann.read(MODELS / f"{name}.net")


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    (old, new), message = MALFORMED[name]
    assert old in text("default_stepwise")
    with pytest.raises(fastmlp.FormatError, match=message):
        fann.read(text("default_stepwise").replace(old, new).encode())


def test_sparse_files_take_no_memory_that_they_do_not_have() -> None:
    head = "FANN_FLO_2.1\nnum_layers=2\nconnection_rate=0.1\nnetwork_type=0\nlayer_sizes=6000 6000\nscale_included=0\n"
    neurons = "(0, 0, 0.0) " * 6000 + "(1, 3, 0.5) " * 5999 + "(0, 0, 0.0) "
    file = f"{head}neurons (a, b, c)={neurons}\nconnections (a, b)={'(0, 1.0) ' * 5999}\n"
    with pytest.raises(fastmlp.FormatError, match="layer 1: expected at most 16,777,216 weights in all layers"):
        fann.read(file.encode())
    n, n_layers = 1500, 10
    head = head.replace("num_layers=2", f"num_layers={n_layers}").replace("6000 6000", " ".join([str(n)] * n_layers))
    neurons = "(0, 0, 0.0) " * n + ("(1, 3, 0.5) " * (n - 1) + "(0, 0, 0.0) ") * (n_layers - 1)
    connections = "".join(f"({n * layer}, 1.0) " * (n - 1) for layer in range(n_layers - 1))
    file = f"{head}neurons (a, b, c)={neurons}\nconnections (a, b)={connections}\n"
    with pytest.raises(fastmlp.FormatError, match="layer 8: expected at most 16,777,216 weights in all layers"):
        fann.read(file.encode())


def test_long_numbers_take_no_square_of_their_length() -> None:
    for number in ("1" * 10**6 + "x", "1" * 10**6, "." * 10**6, " " * 10**6):
        with pytest.raises(fastmlp.FormatError):
            fann.read(text("default_stepwise").replace("7.73452758789062500000e-01", number).encode())


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fann.read(tmp_path / "none.net")


def test_fuzz() -> None:
    """Damaged files are refused as such, or are other networks: nothing else is raised."""
    rng, refused = np.random.default_rng(0), 0
    for name in ("default_stepwise", "sparse", "scaling_params", "shortcut"):
        good = text(name).encode()
        for trial in range(250):
            bad = bytearray(good)
            for _ in range(rng.integers(1, 4)):
                at = int(rng.integers(len(bad)))
                if trial % 3 == 0:
                    bad[at] ^= 1 << int(rng.integers(8))
                elif trial % 3 == 1:
                    bad[at : at + int(rng.integers(1, 9))] = rng.choice(list(b"0123456789 ()-,.e=\n"), 3).tolist()
                else:
                    del bad[at:]
                    bad = bad or bytearray(b"F")
            try:
                checking.network(fann.read(bytes(bad), scaling=trial % 2 == 0))
            except fastmlp.FormatError:
                refused += 1
    assert refused > 500


# -------------------------------------------------------------------------------------------------------------- writing

WRITABLE = [
    fastmlp.Tanh(), fastmlp.Sigmoid(), fastmlp.Sigmoid(2.5), fastmlp.Softsign(), fastmlp.Sine(), fastmlp.Identity(),
    fastmlp.HardTanh(), fastmlp.HardTanh(0.0, 1.0), fastmlp.StepwiseSigmoid(), fastmlp.StepwiseTanh(), fann.BELL,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(100))
def test_written_networks_run_in_the_tool_and_come_back(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.integers(1, 9, rng.integers(2, 5))]
    f = [WRITABLE[rng.integers(len(WRITABLE))] for _ in sizes[1:]]
    dtype = "float32" if seed % 2 else "float64"
    net = fastmlp.Network(
        sizes, activation=f[:-1] or "tanh", output_activation=f[-1], loss="mse", seed=seed, dtype=dtype
    )
    path = tmp_path / "a.net"
    assert fann_writer.write(net, path) == path.read_text()
    X = rng.standard_normal((20, sizes[0])) * 10
    expected = Fann.load(path).run(X)
    assert np.abs(net.predict(X.astype(dtype)) - expected).max() < (2e-5 if seed % 2 else 1e-12)
    back = checking.network(fann.read(path))
    assert back.sizes == net.sizes
    assert back.dtype == net.dtype or seed % 2 == 0
    np.testing.assert_array_equal(back.parameters, net.parameters)
    assert (back.activation, back.output_activation) == (net.activation, net.output_activation)


def test_written_scalings_are_part_of_the_layers(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((50, 3)) * [1, 10, 100] + 20, rng.standard_normal(50) * 5 + 100
    net = fastmlp.Network(
        [3, 5, 1], dtype="float64", seed=0, activation="tanh", input_scaling="standard", target_scaling="standard"
    )
    net.fit(X, y, epochs=3)
    fann_writer.write(net, tmp_path / "a.net")
    np.testing.assert_allclose(Fann.load(tmp_path / "a.net").run(X)[:, 0], net.predict(X).ravel(), rtol=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"activation": "relu"}, r"layer 0: expected an activation that FANN 2.2 has \(identity, .*, got ReLU\(\)"),
        ({"loss": "cross_entropy"}, r"layer 1: .*Softmax"),
        ({"activation": fastmlp.HardTanh(-1.0, 2.0)}, "layer 0: .*HardTanh"),
        ({"activation": "tanh", "input_scaling": "standard"}, "input_scaling: expected one that a fit"),
    ],
)
def test_not_written(arguments: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fann_writer.write(fastmlp.Network([2, 3, 2], **{"activation": "tanh", **arguments}))
