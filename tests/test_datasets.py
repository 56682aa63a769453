"""The embedded digits, the IDX reader (damaged and hostile files included) and the way to Fashion-MNIST."""

from __future__ import annotations

import gzip
import hashlib
import os
import pathlib
import random
import re
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest

import fastmlp
from fastmlp import datasets

# -------------------------------------------------------------------------------------------------------- digits


def test_digits_shapes_types_and_range() -> None:
    (X_train, y_train), (X_test, y_test) = datasets.load_digits()
    assert X_train.shape == (1438, 64)
    assert X_test.shape == (359, 64)
    assert y_train.shape == (1438,)
    assert y_test.shape == (359,)
    for X in (X_train, X_test):
        assert X.dtype == np.float32
        assert X.flags.c_contiguous
        assert X.min() == 0
        assert X.max() == 1
        assert np.array_equal(X * 16, np.round(X * 16))
    for y in (y_train, y_test):
        assert y.dtype == np.int64
        assert set(y.tolist()) == set(range(10))


def test_digits_are_split_by_the_documented_rule() -> None:
    (X_train, y_train), (X_test, y_test) = datasets.load_digits()
    every = np.bincount(y_train) + np.bincount(y_test)
    assert every.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(y_test) - every / 5).max() < 1
    # each digit's images keep the source's order, so a known split gives the source back
    position, rows, labels = 0, [], []
    for digit in range(10):
        train, test = list(X_train[y_train == digit]), list(X_test[y_test == digit])
        for _ in range(every[digit]):
            rows.append((test if position % 5 == 2 else train).pop(0))
            labels.append(digit)
            position += 1
        assert not train
        assert not test
    content = (np.array(rows) * 16).astype(np.uint8).tobytes() + bytes(labels)
    assert hashlib.sha256(content).hexdigest() == "1feaaea69d53f8e63265ae0c993305413f9db2842a3a54b66d60ca011b52e2e0"


def test_digits_are_fresh_arrays() -> None:
    first = datasets.load_digits()
    first[0][0][:] = -1
    first[1][1][:] = -1
    (X_train, _), (_, y_test) = datasets.load_digits()
    assert X_train.min() == 0
    assert y_test.min() == 0


@pytest.mark.oracle
def test_digits_are_the_ones_in_scikit_learn() -> None:
    X, y = pytest.importorskip("sklearn.datasets").load_digits(return_X_y=True)
    (X_train, y_train), (X_test, y_test) = datasets.load_digits()
    test = np.zeros(y.size, bool)
    test[np.argsort(y, kind="stable")[2::5]] = True
    assert np.array_equal(X_train * 16, X[~test])
    assert np.array_equal(X_test * 16, X[test])
    assert np.array_equal(y_train, y[~test])
    assert np.array_equal(y_test, y[test])


def test_a_small_network_learns_the_digits() -> None:
    (X_train, y_train), test = datasets.load_digits()
    accuracies = []
    for seed in range(20):
        network = fastmlp.Network([64, 32, 10], loss="cross_entropy", seed=seed)
        network.fit(X_train, y_train, epochs=40, batch_size=32, optimizer=fastmlp.Adam(0.003))
        accuracies.append(network.evaluate(*test)["accuracy"])
    assert np.median(accuracies) >= 0.97
    assert min(accuracies) >= 0.955


# ----------------------------------------------------------------------------------------------------------- IDX

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 2, 3)).astype(np.uint8)
LABELS = np.array([3, 0, 255, 9, 1], np.uint8)


def idx(array: Any, kind: int = 8) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content: bytes = array.tobytes()
    return bytes((0, 0, kind, array.ndim)) + sizes + content


IMAGE_FILE, LABEL_FILE = idx(PIXELS), idx(LABELS)


def load(folder: pathlib.Path, images: bytes = IMAGE_FILE, labels: bytes = LABEL_FILE) -> Any:
    (folder / "images").write_bytes(images)
    (folder / "labels").write_bytes(labels)
    return datasets.load_idx(folder / "images", str(folder / "labels"))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx(pack: Any, tmp_path: pathlib.Path) -> None:
    X, y = load(tmp_path, pack(IMAGE_FILE), pack(LABEL_FILE))
    assert X.dtype == np.float32
    assert y.dtype == np.int64
    assert np.array_equal(X, PIXELS.reshape(5, 6).astype(np.float32) / np.float32(255))
    assert y.tolist() == LABELS.tolist()
    assert X.flags.writeable
    assert y.flags.writeable
    assert np.array_equal(np.rint(X * 255).reshape(PIXELS.shape), PIXELS)


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("which", ["images", "labels"])
def test_idx_truncated_at_every_byte(which: str, pack: Any, tmp_path: pathlib.Path) -> None:
    whole = pack(IMAGE_FILE if which == "images" else LABEL_FILE)
    for length in range(len(whole)):
        with pytest.raises(fastmlp.FormatError, match=which):
            load(tmp_path, **{which: whole[:length]})


def test_idx_random_mutations_of_a_gzip_file(tmp_path: pathlib.Path) -> None:
    rng = random.Random(1)
    whole = gzip.compress(IMAGE_FILE, mtime=0)
    expected = load(tmp_path, whole)[0]
    refused = 0
    for _ in range(1000):
        data = bytearray(whole)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        if rng.random() < 0.3:
            del data[rng.randrange(len(data))]
        try:
            X, _ = load(tmp_path, bytes(data))
        except fastmlp.FormatError:
            refused += 1
        else:
            if data[:2] == whole[:2]:  # the file's own checksum is still correct
                assert np.array_equal(X, expected)
    assert 800 < refused < 1000


@pytest.mark.parametrize(
    ("images", "match"),
    [
        (idx(PIXELS, kind=9), "unsigned bytes of three dimensions, .*00000803, got signed bytes of three dimensions"),
        (idx(PIXELS, kind=12), "unsigned bytes of three dimensions, .*, got int32 of three dimensions"),
        (idx(PIXELS.reshape(5, 6)), "begins with 00000803, got unsigned bytes of two dimensions"),
        (idx(PIXELS.reshape(5, 6, 1, 1, 1), kind=14), "got float64 of 5 dimensions"),
        (b"", "got a file of another kind, which begins with ''"),
        (b"\x00\x01" + IMAGE_FILE[2:], "begins with 00000803"),
        (b"PK\x03\x04", "begins with 00000803"),
        (IMAGE_FILE + b"\0", "more"),
        (gzip.compress(IMAGE_FILE + b"\0"), "more"),
        (gzip.compress(IMAGE_FILE[:-1]), "expected 30 bytes after the header, got 29"),
        (gzip.compress(IMAGE_FILE[:10]), "a header of 16 bytes, got 10"),
        (gzip.compress(IMAGE_FILE) + b"surplus", "gzip"),
        (idx(PIXELS[:4]), "expected 5 images, one per label, got 4"),
        (idx(PIXELS[:, :0]), "above 0"),
        (bytes((0, 0, 8, 3)) + (5).to_bytes(4, "big") + b"\xff" * 8, "bytes after the header"),
        (gzip.compress(bytes((0, 0, 8, 3)) + (5).to_bytes(4, "big") + b"\xff" * 8), "bytes after the header"),
    ],
)
def test_idx_hostile_images(images: bytes, match: str, tmp_path: pathlib.Path) -> None:
    with pytest.raises(fastmlp.FormatError, match=match) as error:
        load(tmp_path, images)
    assert str(tmp_path / "images") in str(error.value)


def peak(folder: pathlib.Path, images: bytes) -> int:
    tracemalloc.start()
    try:
        with pytest.raises(fastmlp.FormatError):
            load(folder, images)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_idx_announced_sizes_allocate_nothing(pack: Any, tmp_path: pathlib.Path) -> None:
    header = bytes((0, 0, 8, 3)) + b"".join(size.to_bytes(4, "big") for size in (5, 10_000, 10_000))
    assert peak(tmp_path, pack(header + bytes(1000))) < 500_000


def test_idx_a_gzip_bomb_is_read_no_further_than_the_header_says(tmp_path: pathlib.Path) -> None:
    bomb = gzip.compress(IMAGE_FILE + bytes(50_000_000), 1)
    assert peak(tmp_path, bomb) < len(bomb) + 1_000_000


def bomb(n_images: int) -> tuple[bytes, bytes]:
    """Return compressed images and labels of ones and zeros, of 2^16 bytes per image."""
    head = bytes((0, 0, 8, 3)) + b"".join(size.to_bytes(4, "big") for size in (n_images, 256, 256))
    packer = zlib.compressobj(9, wbits=31)
    images = packer.compress(head) + b"".join(packer.compress(bytes(2**16)) for _ in range(n_images)) + packer.flush()
    return images, gzip.compress(idx(np.zeros(n_images, np.uint8)))


def test_idx_is_bounded_by_what_the_caller_allows(tmp_path: pathlib.Path) -> None:
    """The content of a gzip file may be a thousand times as long as the file."""
    images, labels = bomb(400)  # 26 MB
    assert len(images) < 100_000
    for name, content in (("images", images), ("labels", labels)):
        (tmp_path / name).write_bytes(content)
    paths = tmp_path / "images", tmp_path / "labels"
    tracemalloc.start()
    try:
        with pytest.raises(
            fastmlp.FormatError, match=r"images: .* max_bytes = 26,214,415 bytes, got \(400, 256, 256\)"
        ):
            datasets.load_idx(*paths, max_bytes=16 + 400 * 2**16 - 1)
        assert tracemalloc.get_traced_memory()[1] < 500_000
    finally:
        tracemalloc.stop()
    assert datasets.load_idx(*paths, max_bytes=16 + 400 * 2**16)[0].shape == (400, 2**16)
    with pytest.raises(fastmlp.FormatError, match=r"labels: .* max_bytes = 407 bytes"):
        datasets.load_idx(*paths, max_bytes=407)
    for wrong in (0, -1):
        with pytest.raises(ValueError, match="max_bytes: expected an integer of at least 1"):
            datasets.load_idx(*paths, max_bytes=wrong)


def test_idx_has_a_bound_by_default(tmp_path: pathlib.Path) -> None:
    images, labels = bomb(4096)  # 2^28 bytes and the header
    assert len(images) < 300_000
    with pytest.raises(fastmlp.FormatError, match=r"max_bytes = 268,435,456 bytes, got .* is 268,435,472;"):
        load(tmp_path, images, labels)


def test_idx_missing_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        datasets.load_idx(tmp_path / "images", tmp_path / "labels")


# ------------------------------------------------------------------------------------------------- Fashion-MNIST


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist_in_a_given_folder(suffix: str, tmp_path: pathlib.Path) -> None:
    pack: Any = gzip.compress if suffix else bytes
    for part, count in (("train", 5), ("t10k", 2)):
        (tmp_path / f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(PIXELS[:count])))
        (tmp_path / f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(LABELS[:count])))
    (X_train, y_train), (X_test, y_test) = datasets.load_fashion_mnist(tmp_path)
    assert X_train.shape == (5, 6)
    assert X_test.shape == (2, 6)
    assert y_train.tolist() == LABELS.tolist()
    assert y_test.tolist() == LABELS[:2].tolist()


def test_fashion_mnist_that_is_not_there(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileNotFoundError, match=f"(?s){re.escape(repr(str(tmp_path)))}.*apt install"):
        datasets.load_fashion_mnist(tmp_path)
    monkeypatch.setattr(datasets, "FASHION_MNIST_FOLDER", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match=r"none.*zalandoresearch"):
        datasets.load_fashion_mnist()


@pytest.mark.oracle
@pytest.mark.skipif(
    not os.path.isdir(datasets.FASHION_MNIST_FOLDER),
    reason="needs Fashion-MNIST: apt-get install dataset-fashion-mnist",
)
def test_fashion_mnist() -> None:
    (X_train, y_train), (X_test, y_test) = datasets.load_fashion_mnist()
    assert X_train.shape == (60000, 784)
    assert X_test.shape == (10000, 784)
    for X, y in ((X_train, y_train), (X_test, y_test)):
        assert X.dtype == np.float32
        assert (X.min(), X.max()) == (0, 1)
        assert y.dtype == np.int64
        assert np.bincount(y).tolist() == [y.size // 10] * 10
    assert y_train[:5].tolist() == [9, 0, 0, 3, 0]
    assert round(float(X_train.mean(dtype=np.float64)), 4) == 0.2860  # the published mean
