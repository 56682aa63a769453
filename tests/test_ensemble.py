"""`Ensemble`: mean, spread and classes of networks, against NumPy on each network's own predictions; and its file."""

from __future__ import annotations

import copy
import io
import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp.formats import ensemble_file


def networks(n: int = 4, sizes: Any = (3, 7, 2), **words: Any) -> list[fastmlp.Network]:
    return [fastmlp.Network(sizes, seed=seed, **words) for seed in range(n)]


def rows(n: int = 6, n_inputs: int = 3) -> Any:
    return np.random.default_rng(1).normal(size=(n, n_inputs))


MIXED = [
    *networks(3),
    *networks(2, (3, 5, 4, 2)),
    *networks(2, dtype="float64"),
    *networks(2, engine="blas"),
    *networks(2, input_scaling=fastmlp.Scaling([1.0, 2.0, 3.0], [1.0, 2.0, 3.0])),
    *networks(2, target_scaling=fastmlp.Scaling([1e8, 0.0], [1.0, 1.0])),
    *networks(2, activation="tanh"),
    *networks(2, output_activation="sigmoid"),
]


@pytest.mark.parametrize(
    "members", [networks(1), networks(4), MIXED, MIXED[::-1]], ids=["one", "alike", "mixed", "back"]
)
def test_predictions_are_those_of_the_networks(members: list[fastmlp.Network]) -> None:
    ensemble, X = fastmlp.Ensemble(members), rows()
    each = [network.predict(X) for network in members]
    found = ensemble.predict_all(X)
    assert found.dtype == np.result_type(*each)
    assert all(np.array_equal(a, b) for a, b in zip(found, each, strict=True))
    exact = np.stack(each).astype(np.float64)
    np.testing.assert_allclose(ensemble.predict(X), exact.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(ensemble.std(X), exact.std(axis=0), rtol=1e-5, atol=1e-8)
    assert ensemble.classify(X).tolist() == exact.mean(axis=0).argmax(axis=1).tolist()


def test_a_single_row() -> None:
    ensemble, x = fastmlp.Ensemble(MIXED), rows()[0]
    assert ensemble.predict_all(x).shape == (len(MIXED), 2)
    assert ensemble.predict(x).shape == ensemble.std(x).shape == (2,)
    assert np.array_equal(ensemble.predict(x), ensemble.predict(x[np.newaxis])[0])
    assert isinstance(ensemble.classify(x), np.int64)


def test_classes_by_the_mean_and_not_by_votes() -> None:
    members = networks(3, (1, 2), loss="cross_entropy")
    for network, z in zip(members, ([0.1, 0.0], [0.1, 0.0], [0.0, 9.0]), strict=True):
        network.set_layer(0, [[0.0], [0.0]], z)
    assert [int(network.classify([[1.0]])[0]) for network in members] == [0, 0, 1]
    assert fastmlp.Ensemble(members).classify([[1.0]]).tolist() == [1]


@pytest.mark.parametrize(("loss", "outputs"), [("binary_cross_entropy", [0.5, 0.5001]), ("hinge", [0.0, 0.001])])
def test_one_output_has_the_threshold_of_its_loss(loss: str, outputs: list[float]) -> None:
    for output, wanted in zip(outputs, (0, 1), strict=True):
        members = networks(2, (1, 1), loss=loss)
        for network in members:
            bias = np.log(output / (1 - output)) if loss != "hinge" else output
            network.set_layer(0, [[0.0]], [bias])
        assert fastmlp.Ensemble(members).classify([[1.0]]).tolist() == [wanted]
        assert members[0].classify([[1.0]]).tolist() == [wanted]


def test_hinge_beside_another_loss_has_no_classes() -> None:
    ensemble = fastmlp.Ensemble([*networks(1, (1, 1), loss="hinge"), *networks(1, (1, 1))])
    with pytest.raises(ValueError, match="classify: expected networks of which all or none have the hinge loss"):
        ensemble.classify([[1.0]])


def test_names_of_classes_and_rows_without_one() -> None:
    ensemble = fastmlp.Ensemble(networks(2, (3, 2), loss="cross_entropy", class_names=["u", "v"]))
    X = rows()
    assert ensemble.classify(X, names=True).tolist() == [["u", "v"][k] for k in ensemble.classify(X)]
    X[2, 1] = np.nan
    assert ensemble.classify(X)[2] == 0
    with pytest.raises(ValueError, match="X: row 2 has no class, as its outputs are NaN"):
        ensemble.classify(X, names=True)


def test_what_networks_learn_later_counts() -> None:
    members = networks(2)
    ensemble, X = fastmlp.Ensemble(members), rows()
    before = ensemble.predict(X)
    members[1].fit(X, rows(6, 2), epochs=1)
    assert not np.array_equal(ensemble.predict(X), before)


def test_it_is_a_sequence_of_networks() -> None:
    members = networks(3)
    ensemble = fastmlp.Ensemble(iter(members))
    assert (len(ensemble), list(ensemble), ensemble[1]) == (3, members, members[1])
    assert ensemble.networks == tuple(members)
    assert repr(ensemble) == f"Ensemble of 3 networks, the first {members[0]!r}"


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ([], ValueError, "networks: expected at least one"),
        (fastmlp.Network([3, 2]), TypeError, "networks: expected a sequence of networks, got Network"),
        (3, TypeError, "networks: expected a sequence of networks, got int"),
        ([*networks(1), "b"], TypeError, r"networks\[1\]: expected a Network, got str"),
        ([*networks(1), fastmlp.Network([4, 2])], ValueError, r"networks\[1\]: .* \(3, 2\), got \(4, 2\)"),
        ([*networks(1), fastmlp.Network([3, 1])], ValueError, r"networks\[1\]: .* \(3, 2\), got \(3, 1\)"),
        (
            [*networks(1), fastmlp.Network([3, 2], feature_names=["a", "b", "c"])],
            ValueError,
            r"networks\[1\]: expected the first one's feature_names None",
        ),
        ([*networks(1), fastmlp.Network([3, 2], class_names=["a", "b"])], ValueError, "class_names"),
    ],
)
def test_networks_that_do_not_fit_are_refused(members: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        fastmlp.Ensemble(members)


# -- files and pickles -------------------------------------------------------------------------------------------------


def test_a_file_and_a_pickle_hold_all_of_it(tmp_path: Path) -> None:
    ensemble, X = fastmlp.Ensemble([network for network in MIXED if network.engine == "native"]), rows()
    ensemble.save(tmp_path / "e")
    expected = ensemble.predict_all(X)
    loaded = fastmlp.Ensemble.load(tmp_path / "e", engine="native", n_threads=1)
    for again in (loaded, pickle.loads(pickle.dumps(ensemble)), copy.deepcopy(ensemble)):
        assert np.array_equal(again.predict_all(X), expected)
        assert again[0] is not ensemble[0]
    assert ensemble_file.to_bytes(list(ensemble)) == (tmp_path / "e").read_bytes()
    with zipfile.ZipFile(tmp_path / "e") as archive:
        archive.extract("1.safetensors", tmp_path)
    assert np.array_equal(fastmlp.load(tmp_path / "1.safetensors").parameters, ensemble[1].parameters)


def test_the_file_of_the_other_kind_is_named(tmp_path: Path) -> None:
    ensemble = fastmlp.Ensemble(networks())
    ensemble.save(tmp_path / "e")
    ensemble[0].save(tmp_path / "n")
    with pytest.raises(fastmlp.FormatError, match=r"got the file of an ensemble. fastmlp.Ensemble.load reads it"):
        fastmlp.load(tmp_path / "e")
    with pytest.raises(fastmlp.FormatError, match=r"fastmlp.load reads the file of a network"):
        fastmlp.Ensemble.load(tmp_path / "n")


def archive(*members: tuple[str, bytes], compress: int = zipfile.ZIP_STORED) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compress) as file:
        for name, data in members:
            file.writestr(name, data)
    return stream.getvalue()


MODEL = networks(1)[0].__reduce__()[1][1]
MANIFEST = b'{"n_networks":1,"version":1}'


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (archive(), "members: expected 'fastmlp-ensemble.json' as the first one"),
        (archive(("0.safetensors", MODEL)), "members: expected 'fastmlp-ensemble.json' as the first one"),
        (archive(("fastmlp-ensemble.json", MANIFEST)), "the version and the number of networks, 0"),
        (
            archive(("fastmlp-ensemble.json", b'{"n_networks":1,"version":2}'), ("0.safetensors", MODEL)),
            "version: expected 1, got 2",
        ),
        (archive(("fastmlp-ensemble.json", b"[]"), ("0.safetensors", MODEL)), "expected an object"),
        (archive(("fastmlp-ensemble.json", MANIFEST), ("1.safetensors", MODEL)), r"got \['1.safetensors'\]"),
        (archive(("fastmlp-ensemble.json", MANIFEST), ("0.safetensors", MODEL[:-1])), "0.safetensors: "),
        (
            archive(("fastmlp-ensemble.json", MANIFEST), ("0.safetensors", MODEL), compress=zipfile.ZIP_DEFLATED),
            "expected an uncompressed file",
        ),
    ],
)
def test_what_is_no_ensemble_is_refused(data: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "e").write_bytes(data)
    with pytest.raises(fastmlp.FormatError, match=message):
        fastmlp.Ensemble.load(tmp_path / "e")


def test_damage_anywhere_is_a_format_error_or_does_not_matter(tmp_path: Path) -> None:
    ensemble = fastmlp.Ensemble(networks(2, (1, 1)))
    ensemble.save(tmp_path / "e")
    whole, expected = (tmp_path / "e").read_bytes(), [network.parameters for network in ensemble]
    rng = np.random.default_rng(0)
    damaged = [whole[:n] for n in range(0, len(whole), 37)] + [whole + b"x" * 70000]
    for at in range(0, len(whole), 3):
        damaged.append(whole[:at] + bytes([whole[at] ^ int(rng.integers(1, 256))]) + whole[at + 1 :])
    for at in range(len(whole) - 22, len(whole) - 4):  # where the directory of the archive is
        damaged.append(whole[:at] + struct.pack("<I", 2**32 - 2) + whole[at + 4 :])
    n_refused = 0
    for data in damaged:
        (tmp_path / "d").write_bytes(data)
        try:
            found = fastmlp.Ensemble.load(tmp_path / "d")
        except fastmlp.FormatError:
            n_refused += 1
        else:
            assert all(np.array_equal(a.parameters, b) for a, b in zip(found, expected, strict=True))
    assert n_refused > len(damaged) // 2


def test_a_file_that_is_not_there_and_one_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        fastmlp.Ensemble.load(tmp_path / "none")
    with pytest.raises(FileNotFoundError):
        fastmlp.Ensemble(networks(1)).save(tmp_path / "no" / "folder")
    own = fastmlp.CustomActivation(np.tanh, lambda z, y: 1 - y * y)
    with pytest.raises(ValueError, match="CustomActivation"):
        fastmlp.Ensemble(networks(1, activation=own)).save(tmp_path / "e")
    assert not (tmp_path / "e").exists()


@pytest.mark.parametrize("method", ["predict", "predict_all", "std", "classify"])
def test_rows_of_each_network_of_its_own_are_no_rows(method: str) -> None:
    """X of shape (K, B, I) is what `predict_population` takes; an ensemble would mix different rows."""
    ensemble = fastmlp.Ensemble([fastmlp.Network([5, 8, 1], seed=k) for k in range(3)])
    with pytest.raises(ValueError, match=r"expected shape \(B, 5\)"):
        getattr(ensemble, method)(np.ones((3, 4, 5)))
    with pytest.raises(ValueError, match=r"expected shape \(B, 5\)") as caught:
        getattr(ensemble, method)(np.ones((4, 3)))
    assert "(3, B, 5)" not in str(caught.value)
