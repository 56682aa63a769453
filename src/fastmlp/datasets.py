"""Real data to train on: the embedded handwritten digits, and image files in MNIST's IDX format.

Every loader returns new arrays and caches nothing: X is float32 in [0, 1], shape (N, pixels), and y is int64, shape
(N,). An IDX file is not trusted: the sizes in its header are compared with the length of the file before any array is
allocated, and a difference raises `FormatError`. No loader downloads anything.
"""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, SupportsIndex, cast

import numpy as np

from . import arguments
from .errors import FormatError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Data = tuple[NDArray[np.float32], NDArray[np.int64]]

Path = str | os.PathLike[str]

FASHION_MNIST_FOLDER = "/usr/share/datasets/fashion-mnist"

MAX_BYTES = 2**28  # the default limit of an IDX file's content; Fashion-MNIST's largest file has 47,040,016 bytes

_UNSIGNED_BYTES = 0x08  # the element type in an IDX header
_ELEMENTS = {8: "unsigned bytes", 9: "signed bytes", 11: "int16", 12: "int32", 13: "float32", 14: "float64"}
_DIMENSIONS = {1: "one dimension", 2: "two dimensions", 3: "three dimensions", 4: "four dimensions"}
_MAX_DEFLATE_RATIO = 1032  # the largest ratio of a deflate stream's content to its compressed length


def load_digits() -> tuple[Data, Data]:
    """UCI's handwritten digits, 1,797 images of 8 x 8 pixels, as a training set and a test set.

    The split is fixed and stratified, without random numbers: with the images of each digit in the source's order, the
    third of every five is a test image. Of the five splits that such a rule can make, this one is neither the easiest
    nor the hardest. Both sets have the images in the source's order.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        X is float32 in [0, 1], (1438, 64) and (359, 64); y is int64, (1438,) and (359,), and has the digits.

    References
    ----------
    E. Alpaydin and C. Kaynak, "Optical Recognition of Handwritten Digits", UCI Machine Learning Repository,
    1998, https://doi.org/10.24432/C50P49, CC BY 4.0.

    Examples
    --------
    >>> (X_train, y_train), (X_test, y_test) = load_digits()
    >>> X_train.shape, X_test.shape
    ((1438, 64), (359, 64))
    """
    import gzip

    with open(os.path.join(os.path.dirname(__file__), "data", "digits.gz"), "rb") as file:
        packed = file.read()
    values = np.frombuffer(gzip.decompress(packed), np.uint8)
    count = values.size // 65
    X = values[: 64 * count].reshape(count, 64).astype(np.float32) / np.float32(16)
    y = values[64 * count :].astype(np.int64)
    test = np.zeros(count, np.bool_)
    test[np.argsort(y, kind="stable")[2::5]] = True
    return (X[~test], y[~test]), (X[test], y[test])


def load_idx(images: Path, labels: Path, *, max_bytes: SupportsIndex = MAX_BYTES) -> Data:
    """Read images and their labels from a pair of files in MNIST's IDX format, gzip-compressed or not.

    Parameters
    ----------
    images : path
        A file of N images of unsigned bytes, (N, rows, columns).
    labels : path
        A file of N labels of unsigned bytes, (N,).
    max_bytes : int, default 2**28
        Maximum size of the uncompressed content of a file, as a gzip file of a megabyte can hold a gigabyte. X takes
        four times the size of the images. (The largest file of EMNIST has 547 MB.)

    Returns
    -------
    X, y
        X is float32 in [0, 1] (the bytes divided by 255), (N, rows * columns); y is int64, (N,).

    Raises
    ------
    FormatError
        If a file is not in the format, is truncated or larger than `max_bytes`, or if the numbers of images and labels
        differ.
    OSError
        If the operating system cannot read a file.

    References
    ----------
    The format: Y. LeCun, C. Cortes and C. J. C. Burges, "The MNIST database of handwritten digits".

    Examples
    --------
    >>> from pathlib import Path
    >>> head = bytes([0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 2])  # one image of 1 x 2 pixels
    >>> n_bytes = Path("images").write_bytes(head + bytes([0, 255]))
    >>> n_bytes = Path("labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 1, 7]))
    >>> load_idx("images", "labels")
    (array([[0., 1.]], dtype=float32), array([7]))
    """
    limit = arguments.integer("max_bytes", max_bytes, minimum=1)
    y = _read_idx(labels, dimensions=1, max_bytes=limit)
    pixels = _read_idx(images, dimensions=3, max_bytes=limit, count=y.size)
    X = np.divide(pixels.reshape(y.size, -1), np.float32(255), dtype=np.float32)
    return X, y.astype(np.int64)


def load_fashion_mnist(folder: Path | None = None) -> tuple[Data, Data]:
    """Zalando's Fashion-MNIST: 60,000 training and 10,000 test images of 28 x 28 pixels, 10 classes.

    Parameters
    ----------
    folder : path, optional
        The folder of the four files, which have their published names, with or without `.gz`. By default it is the
        folder of Debian's package `dataset-fashion-mnist`.

    Returns
    -------
    (X_train, y_train), (X_test, y_test)
        X is float32 in [0, 1], (60000, 784) and (10000, 784); y is int64, (60000,) and (10000,).

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message says how to get it.
    FormatError
        If a file is damaged.

    References
    ----------
    H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms", arXiv:1708.07747, 2017.

    Examples
    --------
    >>> (X_train, y_train), (X_test, y_test) = load_fashion_mnist()
    >>> X_train.shape, X_test.shape
    ((60000, 784), (10000, 784))
    """
    path = FASHION_MNIST_FOLDER if folder is None else os.fspath(folder)
    train, test = (
        [_find(path, f"{part}-{name}-ubyte") for name in ("images-idx3", "labels-idx1")] for part in ("train", "t10k")
    )
    return load_idx(*train), load_idx(*test)


def _find(folder: str, name: str) -> str:
    """Return the path of the file of that name in the folder, compressed or not."""
    for candidate in (f"{name}.gz", name):
        path = os.path.join(folder, candidate)
        if os.path.isfile(path):
            return path
    raise FileNotFoundError(
        f"folder: expected Fashion-MNIST in {folder!r}, got no file {name}.gz or {name} there. On Debian and Ubuntu "
        "`apt install dataset-fashion-mnist` installs it; elsewhere, download the four files from "
        "https://github.com/zalandoresearch/fashion-mnist and give their folder: load_fashion_mnist(folder)"
    )


def _read_idx(path: Path, *, dimensions: int, max_bytes: int, count: int | None = None) -> NDArray[np.uint8]:
    """Read the array in an IDX file of unsigned bytes, whose first dimension must be `count` if that is given."""
    with _open(path) as (stream, max_length):
        header_size = 4 + 4 * dimensions
        header = stream.read(header_size)
        magic = bytes((0, 0, _UNSIGNED_BYTES, dimensions))
        if header[:4] != magic:
            raise FormatError(
                f"{path}: expected an IDX file of {_description(magic)}, which begins with {magic.hex()}, "
                f"got {_description(header[:4])}"
            )
        if len(header) < header_size:
            raise FormatError(f"{path}: expected a header of {header_size} bytes, got {len(header)}")
        shape = tuple(int.from_bytes(header[i : i + 4], "big") for i in range(4, header_size, 4))
        if 0 in shape:
            raise FormatError(f"{path}: expected sizes above 0, got {shape}")
        if count is not None and shape[0] != count:
            raise FormatError(f"{path}: expected {count} images, one per label, got {shape[0]}")
        size = math.prod(shape)
        if size > max_length - header_size:
            available = max(max_length - header_size, 0)
            raise FormatError(f"{path}: expected {size} bytes after the header, got at most {available}")
        if header_size + size > max_bytes:
            raise FormatError(
                f"{path}: expected a content of at most max_bytes = {max_bytes:,} bytes, got {shape}, which is "
                f"{header_size + size:,}; if you trust the file, give a larger max_bytes"
            )
        data = stream.read(size)
        surplus = stream.read(1)
    if len(data) < size or surplus:
        raise FormatError(f"{path}: expected {size} bytes after the header, got {'more' if surplus else len(data)}")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _description(magic: bytes) -> str:
    """Describe in English the first four bytes of an IDX file: the type of its elements and its dimensions."""
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in _ELEMENTS or magic[3] == 0:
        return f"a file of another kind, which begins with {magic.hex()!r}"
    return f"{_ELEMENTS[magic[2]]} of {_DIMENSIONS.get(magic[3], f'{magic[3]} dimensions')}"


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[BinaryIO, int]]:
    """Open a file; yield a stream of its content, uncompressed, and an upper bound of the content's length."""
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        size = os.fstat(file.fileno()).st_size
        if not is_gzip:
            yield file, size
            return
        import gzip
        import zlib

        try:
            with gzip.GzipFile(fileobj=file) as stream:
                yield cast(BinaryIO, stream), _MAX_DEFLATE_RATIO * size
        except (gzip.BadGzipFile, EOFError, zlib.error) as error:
            raise FormatError(f"{path}: expected a whole gzip file, got {error}") from None
