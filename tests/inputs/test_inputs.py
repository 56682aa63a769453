"""The forms of data: element types, sparse matrices, memory-mapped files.

Frames are tested in test_frames.py, batches in test_batches.py. The oracle of each form is an array of the network's
dtype with the same numbers, converted by NumPy or SciPy. Forms that the core converts are tested on every engine, ISA
and dtype.
"""

from __future__ import annotations

import array
import ctypes
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse
from conftest import Implementation

import fastmlp
from fastmlp import reference
from fastmlp.inputs import arrays
from input_rows import REAL, TARGETS, I, N, O, assert_same
from processes import run_python

# -- elements of other types -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int16", ">f4", "bool"])
def test_elements_of_any_type_are_those_that_numpy_makes_of_them(build: Implementation, dtype: str) -> None:
    X = (np.abs(REAL) * 9).astype(dtype) if dtype == "uint8" else REAL.astype(dtype)
    assert_same(build, X, X.astype(np.float64))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8"])
def test_some_columns_of_an_array_are_read_where_they_stand(build: Implementation, dtype: str) -> None:
    wide = np.abs(np.hstack([REAL, REAL + 1, REAL])).astype(dtype)
    X = wide[::2, I : 2 * I]
    assert arrays.convert(X, I, np.dtype(build.dtype)) is X
    nets = [build([I, 8, O], seed=3) for _ in range(2)]
    y = TARGETS[::2]
    own = X.astype(build.dtype)
    assert nets[0].evaluate(X, y) == nets[1].evaluate(own, y)
    assert nets[0].train_on_batch(X, y) == nets[1].train_on_batch(own, y)
    assert nets[0].fit(X, y, epochs=2, batch_size=9) == nets[1].fit(own, y, epochs=2, batch_size=9)
    np.testing.assert_array_equal(nets[0].predict(X), nets[1].predict(own))
    np.testing.assert_array_equal(nets[0].input_gradient(X, y), nets[1].input_gradient(own, y))
    for strange in (wide[:, ::3], wide[::-1, :I], np.broadcast_to(wide[0, :I], (5, I)), np.asfortranarray(wide[:, :I])):
        np.testing.assert_array_equal(nets[0].predict(strange), nets[0].predict(np.array(strange, build.dtype)))


def test_out_between_the_columns_of_x_is_refused() -> None:
    wide = np.zeros((4, I + 8), np.float32)
    net = fastmlp.Network([I, 8], seed=0)
    with pytest.raises(ValueError, match="out: expected memory of its own"):
        net.predict(wide[:1, :I], out=wide[:1, :8])
    with pytest.raises(ValueError, match="out: expected"):
        net.predict(wide[:, :I], out=wide[:, I:])


def test_halves_at_their_edges(build: Implementation) -> None:
    every = np.arange(65536, dtype=np.uint16).view(np.float16)
    X = every[np.isfinite(every)]
    net = build([1, 1], seed=0)
    net.set_layer(0, [[1.0]], [0.0])
    got = net.predict(X[:, np.newaxis])[:, 0]
    np.testing.assert_array_equal(got, X.astype(build.dtype))
    assert np.isnan(net.predict(np.array([[np.nan]], np.float16))).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_what_is_not_finite_is_named_by_row_and_column(build: Implementation, dtype: str, value: float) -> None:
    X = REAL.astype(dtype)
    X[150, 7] = X[180, 2] = value
    net = build([I, O], seed=0)
    before = net.parameters
    for train in (lambda: net.fit(X, TARGETS), lambda: net.train_on_batch(X, TARGETS)):
        with pytest.raises(ValueError, match=r"X: expected finite numbers, got .* at row 150, column 7"):
            train()
    with pytest.raises(ValueError, match=r"validation_data: X: expected finite .* row 150, column 7"):
        net.fit(REAL, TARGETS, validation_data=(X, TARGETS))
    np.testing.assert_array_equal(net.parameters, before)
    assert np.isnan(net.predict(X)[150]).any() or np.isinf(net.predict(X)[150]).any()


def test_a_double_too_large_for_float32_is_named() -> None:
    X = REAL.copy()
    X[4, 2] = 1e300
    net = fastmlp.Network([I, O], seed=0)
    with pytest.raises(ValueError, match=r"got 1e\+300, more than float32 can hold at row 4, column 2"):
        net.train_on_batch(X, TARGETS)
    with pytest.raises(ValueError, match=r"got 1e\+300, more than float32 can hold at row 4, column 2"):
        net.fit(X, TARGETS)  # fit converts it once for all epochs


@pytest.mark.parametrize("kind", ["dense", "sparse"])
def test_a_dtype_that_only_python_knows_is_refused(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """If `convert` kept a dtype that the core does not know, kernels would read beyond the array's end."""
    monkeypatch.setattr(arrays, "READ_AS_THEY_ARE", (*arrays.READ_AS_THEY_ARE, np.dtype(np.int16)))
    X: Any = np.ones((3, 5), np.int16)
    X = scipy.sparse.csr_array(X) if kind == "sparse" else X
    net = fastmlp.Network([5, 2])
    for call in (net.predict, net.classify, net.activations):
        with pytest.raises(TypeError, match="X: expected a dtype that the core reads, got int16"):
            call(X)
    with pytest.raises((TypeError, ValueError), match="X: expected"):
        net.fit(X, np.ones((3, 2)), epochs=1)


@pytest.mark.parametrize("kind", ["array", "memoryview", "bytearray", "ctypes", "__array__", "__array_interface__"])
def test_memory_of_other_objects(kind: str) -> None:
    row = np.arange(I, dtype=np.uint8 if kind == "bytearray" else np.float32)

    class Array:
        def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
            return row

    class Interface:
        __array_interface__ = row.__array_interface__

    objects: dict[str, Any] = {
        "array": array.array("f", row.tolist()),
        "memoryview": memoryview(row),
        "bytearray": bytearray(range(I)),
        "ctypes": (ctypes.c_float * I)(*row.tolist()),
        "__array__": Array(),
        "__array_interface__": Interface(),
    }
    net = fastmlp.Network([I, O], seed=0)
    np.testing.assert_array_equal(net.predict(objects[kind]), net.predict(row.astype(np.float32)))


class Capsule:
    """An object that exports its memory through DLPack only, as on some device."""

    def __init__(self, tensor: Any, device: tuple[int, int] | None = None) -> None:
        self.tensor, self.device = tensor, device

    def __dlpack__(self, **words: Any) -> Any:
        return self.tensor.__dlpack__(**words)

    def __dlpack_device__(self) -> Any:
        return self.device or self.tensor.__dlpack_device__()


def test_dlpack(build: Implementation) -> None:
    X = REAL.astype(np.float16)
    assert_same(build, Capsule(X), X.astype(np.float64))
    assert_same(build, Capsule(REAL), REAL)


def test_dlpack_reads_where_it_stands() -> None:
    x = np.arange(6.0)
    assert np.shares_memory(arrays.as_array("X", Capsule(x)), x)


@pytest.mark.parametrize("device", [(2, 0), (8, 1)])
def test_dlpack_of_another_device_is_refused(device: tuple[int, int]) -> None:
    net = fastmlp.Network([I, O], seed=0)
    with pytest.raises(TypeError, match="X: expected numbers in the memory of the CPU, got those of another device"):
        net.predict(Capsule(np.zeros(I), device))


# -- sparse matrices ---------------------------------------------------------------------------------------------------


def sparse(dtype: Any = np.float64, density: float = 0.3) -> Any:
    return scipy.sparse.random(N, I, density=density, format="csr", rng=np.random.default_rng(1)).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "uint8", "int64"])
@pytest.mark.parametrize("form", ["csr", "csc", "coo", "csr_array"])
def test_sparse_rows_are_the_dense_ones(build: Implementation, form: str, dtype: str) -> None:
    X = sparse() * 9
    X = scipy.sparse.csr_array(X.astype(dtype)) if form == "csr_array" else X.astype(dtype).asformat(form)
    assert_same(build, X, X.toarray())


def test_elements_of_the_same_column_are_added_up(build: Implementation) -> None:
    begins, columns = np.array([0, 3, 3, 5]), np.array([1, 1, 0, 2, 2])
    X = scipy.sparse.csr_matrix((np.array([1.0, 2.0, 4.0, 8.0, 16.0]), columns, begins), shape=(3, 3))
    net = build([3, 2], seed=0)
    np.testing.assert_array_equal(net.predict(X), net.predict([[4, 3, 0], [0, 0, 0], [0, 0, 24]]))
    assert not X.has_canonical_format


def test_what_is_not_finite_in_a_sparse_matrix_is_named(build: Implementation) -> None:
    X = sparse().astype(build.dtype)
    X.data[100] = np.nan
    row, column = np.argwhere(np.isnan(X.toarray()))[0]
    net = build([I, O], seed=0)
    with pytest.raises(ValueError, match=f"X: expected finite numbers, got nan at row {row}, column {column}"):
        net.fit(X, TARGETS)


def test_a_sparse_matrix_that_lies_is_refused() -> None:
    net = fastmlp.Network([I, O], seed=0)
    for name, value in (("indices", I), ("indices", -1), ("indptr", 10**6), ("indptr", -1)):
        X = sparse()
        getattr(X, name)[-1] = value
        with pytest.raises(ValueError, match="X: expected"):
            net.predict(X)
    with pytest.raises(ValueError, match=r"X: expected shape \(B, 19\)"):
        net.predict(sparse()[:, :5])
    with pytest.raises(TypeError, match="X: expected real numbers, got dtype complex"):
        net.predict(sparse().astype(complex))


def test_a_large_sparse_matrix_is_not_made_dense() -> None:
    code = """
import numpy as np, scipy.sparse, fastmlp
n, I = 5000, 50000  # 1 GB as float32
X = scipy.sparse.random(n, I, density=1e-4, format="csr", dtype=np.float32, rng=np.random.default_rng(0))
net = fastmlp.Network([I, 4, 1], seed=0)
net.fit(X, np.zeros(n), epochs=1, batch_size=512)
net.predict(X), net.evaluate(X, np.zeros(n))
print(*(int(line.split()[1]) // 1024 for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    assert int(run_python(code)) < 500


# -- files in memory, order by blocks ----------------------------------------------------------------------------------


def mapped(folder: Path, values: np.ndarray) -> np.memmap:
    memory = np.memmap(folder / f"{len(list(folder.iterdir()))}.bin", dtype=values.dtype, mode="w+", shape=values.shape)
    memory[:] = values
    memory.flush()
    return np.memmap(memory.filename, dtype=values.dtype, mode="r", shape=values.shape)


@pytest.fixture(scope="module")
def tall() -> tuple[np.ndarray, np.ndarray]:
    """Return so many rows that there are several windows of blocks."""
    generator = np.random.default_rng(2)
    return generator.normal(size=(90000, 300)).astype(np.float16), generator.integers(0, O, 90000)


def test_columns_of_a_file_are_read_where_they_stand(build: Implementation, tmp_path: Path) -> None:
    table = mapped(tmp_path, np.hstack([TARGETS, REAL]).astype(np.float64))
    nets = [build([I, 5, O], seed=0) for _ in range(2)]
    ours = nets[0].fit(table[:, O:], table[:, :O], epochs=2, batch_size=20)
    theirs = nets[1].fit(np.array(table[:, O:]), np.array(table[:, :O]), epochs=2, batch_size=20, shuffle="blocks")
    assert ours == theirs
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert nets[0]._rows(table[:, O:], TARGETS, often=True).x.base is not None


def test_a_file_may_be_read_in_the_order_of_an_array(build: Implementation, tmp_path: Path) -> None:
    X = REAL.astype(build.dtype)
    nets = [build([I, 5, O], seed=0) for _ in range(3)]
    oracle = reference.Network(nets[0].sizes, seed=0)
    for net, rows, shuffle in zip(
        nets, (X, mapped(tmp_path, X), mapped(tmp_path, X)), (True, "rows", True), strict=True
    ):
        net.fit(rows, TARGETS, epochs=2, batch_size=20, shuffle=shuffle)
    oracle.fit(X.tolist(), TARGETS.tolist(), epochs=2, batch_size=20, shuffle="rows")
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert not np.array_equal(nets[0].parameters, nets[2].parameters)
    build.assert_close(nets[0].parameters, oracle.parameters, nets[0].sizes, passes=6 * len(X))


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8"])
def test_a_file_is_read_in_the_order_by_blocks(build: Implementation, dtype: str, tmp_path: Path) -> None:
    X = np.abs(REAL * 9).astype(dtype)
    nets = [build([I, 5, O], seed=0) for _ in range(3)]
    y = mapped(tmp_path, TARGETS.astype(np.float64))
    histories = [
        nets[0].fit(mapped(tmp_path, X), y, epochs=2, batch_size=20),
        nets[1].fit(X.astype(build.dtype), TARGETS, epochs=2, batch_size=20, shuffle="blocks"),
    ]
    assert histories[0] == histories[1]
    np.testing.assert_array_equal(nets[0].parameters, nets[1].parameters)
    assert nets[0].predict(mapped(tmp_path, X)).tolist() == nets[1].predict(X.astype(build.dtype)).tolist()


def test_the_order_by_blocks_is_the_references(build64: Implementation) -> None:
    n_inputs = 2**15  # two rows a block, 128 rows a window
    X = np.zeros((301, n_inputs))
    X[:, 0] = np.linspace(-1, 1, 301)
    y = np.sin(5 * X[:, :1])
    net, other = build64([n_inputs, 1], seed=4), reference.Network([n_inputs, 1], seed=4)
    other.parameters = net.parameters
    ours = net.fit(X[:5], y[:5], epochs=2, batch_size=3, shuffle="blocks", optimizer="sgd")
    theirs = other.fit(X[:5].tolist(), y[:5].tolist(), epochs=2, batch_size=3, shuffle="blocks", optimizer="sgd")
    np.testing.assert_allclose(ours["loss"], theirs["loss"], rtol=1e-9)


@pytest.mark.parametrize(("n_rows", "n_inputs"), [(1, 1), (301, 2**15), (301, 2**17), (129, 2**15), (1000, 700)])
def test_the_order_by_blocks(n_rows: int, n_inputs: int) -> None:
    from fastmlp.reference.columns import block_order
    from fastmlp.reference.functions import SplitMix64

    order = block_order(SplitMix64(9), n_rows, n_inputs)
    assert sorted(order) == list(range(n_rows))
    net = fastmlp.Network([n_inputs, 1], seed=0)
    net = fastmlp.Network._from_architecture(net._architecture(), net.parameters, random_state=9)
    rows = fastmlp._core.Rows(np.zeros((n_rows, n_inputs), np.float32), np.zeros((n_rows, 1), np.float32))
    drawn = fastmlp._core.BlockOrder(n_rows, n_inputs, 7, False)
    net._use_optimizer(fastmlp.SGD(), None)
    net._begin_epoch(rows, drawn)
    assert drawn[:n_rows].tolist() == order


def test_blocks_mix_rows_and_stay_near(tall: tuple[np.ndarray, np.ndarray]) -> None:
    """Adjacent rows of a batch are from different blocks; the rows of a window are from its 64 blocks only."""
    order = fastmlp._core.BlockOrder(90000, 300, 32, False)
    net = fastmlp.Network([300, 1], seed=0)
    net._use_optimizer(fastmlp.SGD(), None)
    net._begin_epoch(fastmlp._core.Rows(tall[0], np.zeros((90000, 1), np.float32)), order)
    rows = order[:90000]
    assert np.array_equal(np.sort(rows), np.arange(90000))
    block = 2**16 // 300
    assert len(np.unique(rows[: 64 * block - block] // block)) <= 64
    assert np.mean([len(np.unique(rows[i : i + 32] // block)) for i in range(0, 5000, 32)]) > 20


@pytest.mark.parametrize("every", ["epoch", 37])
def test_an_order_by_blocks_resumes(tall: tuple[np.ndarray, np.ndarray], every: Any, tmp_path: Path) -> None:
    X, y = tall[0][:40000], tall[1][:40000]
    words = {"epochs": 3, "batch_size": 500, "shuffle": "blocks", "optimizer": "adam"}
    whole = fastmlp.Network([300, O], loss="cross_entropy", seed=1)
    whole.fit(X, y, **words)

    class InterruptError(Exception):
        pass

    def stop(epoch: int, logs: Any) -> None:
        if epoch == 1:
            raise InterruptError

    cut = fastmlp.Network([300, O], loss="cross_entropy", seed=1)
    path = tmp_path / "checkpoint"
    checkpoint = fastmlp.Checkpoint(path) if every == "epoch" else fastmlp.Checkpoint(path, every=every, unit="step")
    with pytest.raises(InterruptError):
        cut.fit(X, y, callbacks=[stop, checkpoint], **words)
    again = fastmlp.Network([300, O], loss="cross_entropy", seed=1)
    again.fit(X, y, callbacks=[fastmlp.Checkpoint(path)] if every == "epoch" else [checkpoint], resume=path, **words)
    np.testing.assert_array_equal(again.parameters, whole.parameters)


def test_targets_of_a_file_are_read_where_they_stand(tmp_path: Path) -> None:
    net = fastmlp.Network([I, O], seed=0)
    values, labels = mapped(tmp_path, TARGETS), mapped(tmp_path, np.arange(N) % O)
    assert np.shares_memory(net._rows(REAL, values).values, values)
    assert np.shares_memory(net._rows(REAL, labels).labels, labels)
    assert not np.shares_memory(net._rows(REAL, np.arange(N) % O).labels, labels)


def test_labels_that_change_in_the_file_do_no_harm(tmp_path: Path) -> None:
    writable = np.memmap(tmp_path / "labels", dtype=np.int64, mode="w+", shape=(N,))
    writable[:] = np.arange(N) % O
    net = fastmlp.Network([I, O], seed=0)
    rows = net._rows(REAL, writable)
    writable[:] = 10**12
    assert np.isfinite(net._evaluate(rows)[0])


def test_a_wrong_shuffle_is_refused() -> None:
    with pytest.raises(TypeError, match="shuffle"):
        fastmlp.Network([I, O]).fit(REAL, TARGETS, shuffle="row")


@pytest.mark.slow
def test_a_file_of_4_gigabytes_takes_less_than_300_megabytes(tmp_path: Path) -> None:
    code = f"""
import os, numpy as np, fastmlp
n, I = 2**20, 1024
with open({str(tmp_path / "data")!r}, "wb") as file:
    os.posix_fallocate(file.fileno(), 0, 4 * n * I)
X = np.memmap({str(tmp_path / "data")!r}, np.float32, "r", shape=(n, I))
most = 0
def look(epoch, logs):
    global most
    most = max(most, *(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("RssAnon")))
class Look:
    def on_batch_end(self, batch, logs):
        if batch % 1000 == 0:
            look(0, logs)
net = fastmlp.Network([I, 16, 1], seed=0, input_scaling="standard", dtype="float64")
net.fit(X, np.zeros(n, np.float32), epochs=1, batch_size=128, callbacks=[Look()])
net.evaluate(X, np.zeros(n, np.float32))
look(0, {{}})
print(most // 1024)
"""
    assert int(run_python(code)) < 300


def test_sparse_numbers_that_cancel_beyond_float32() -> None:
    matrix = scipy.sparse.csr_array((np.array([3.5e38, -3.5e38]), np.array([0, 0]), np.array([0, 2])), shape=(1, 2))
    with pytest.raises(ValueError, match=r"^X: expected finite numbers, got nan at row 0, column 0"):
        fastmlp.Network([2, 1]).fit(matrix, [1.0])


def test_shuffle_as_an_array_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match=r"^shuffle: expected"):
        fastmlp.Network([1, 1]).fit([[1.0], [2.0]], [1.0, 2.0], shuffle=np.array([1, 2]))


@pytest.mark.parametrize(
    ("message", "indices", "indptr", "data"),
    [
        ("column indices from 0 to 1, got -1", [-1, 0], [0, 1, 2], [1.0, 2.0]),
        ("column indices from 0 to 1, got 4294967296", [2**32, 0], [0, 1, 2], [1.0, 2.0]),
        ("a sparse matrix of vectors", [0.5, 1.0], [0, 1, 2], [1.0, 2.0]),
        ("a sparse matrix of vectors", [0, 1], [0.0, 1.0, 2.0], [1.0, 2.0]),
        ("a sparse matrix of vectors", [0, 1], [0, 2], [1.0, 2.0]),
        ("a sparse matrix of vectors", [0, 1], [0, 1, 2], [[1.0, 2.0], [3.0, 4.0]]),
    ],
)
def test_the_parts_of_a_sparse_matrix(message: str, indices: Any, indptr: Any, data: Any) -> None:
    matrix = scipy.sparse.csr_array((2, 2))
    matrix.indices, matrix.indptr, matrix.data = np.array(indices), np.array(indptr), np.array(data)
    with pytest.raises(ValueError, match=f"^X: expected {message}"):
        fastmlp.Network([2, 1]).fit(matrix, [1.0, 2.0])


class Lent:
    """A DLPack object with the given device and data."""

    def __init__(self, device: Any, given: Any) -> None:
        self.device, self.given = device, given

    def __dlpack_device__(self) -> Any:
        return self.device

    def __dlpack__(self, **_: Any) -> Any:
        return self.given


def test_what_dlpack_gives_is_taken_once_and_what_it_says_may_be_wrong() -> None:
    net, lent = fastmlp.Network([2, 1]), Lent((1, 0), np.ones((2, 2), np.float32).__dlpack__())
    net.fit(lent, [1.0, 2.0])
    for wrong in (lent, Lent((1, 0), "memory")):
        with pytest.raises((ValueError, TypeError), match=r"^X: expected an array of numbers, got Lent: "):
            net.fit(wrong, [1.0, 2.0])
    for device in (None, "ab", (), 1):
        with pytest.raises(TypeError, match=r"^X: expected \(kind, number\) from __dlpack_device__, got "):
            net.predict(Lent(device, None))


def test_what_is_masked_is_missing() -> None:
    net = fastmlp.Network([2, 1], seed=0)
    x = np.ma.masked_array([[1, 2], [3, 4]], [[False, True], [False, False]])
    assert np.isnan(net.predict(x)).ravel().tolist() == [True, False]
    np.testing.assert_array_equal(net.predict(np.ma.masked_array(x.data)), net.predict(x.data))
    for given in (x, x.astype(np.float32)):
        with pytest.raises(ValueError, match=r"^X: expected finite numbers, got nan at row 0, column 1"):
            net.fit(given, [1.0, 2.0])
    with pytest.raises(ValueError, match=r"^y: expected finite numbers, got nan at row 1"):
        net.fit(x.data, np.ma.masked_array([1.0, 9e9], [False, True]))
    with pytest.raises(ValueError, match=r"^sample_weight: expected finite numbers"):
        net.fit(x.data, [1.0, 2.0], sample_weight=np.ma.masked_array([1.0, 2.0], [False, True]))


@pytest.mark.parametrize("form", ["halves", "sparse", "scaled"])
def test_any_number_of_threads_gives_the_same_bits(form: str) -> None:
    wide = np.random.default_rng(0).normal(size=(700, 300))
    X = {"halves": wide.astype(np.float16), "sparse": scipy.sparse.csr_array(wide * (wide > 1)), "scaled": wide}[form]
    y = wide[:, :4]
    found = []
    for n_threads in (1, 2, 3):
        words: dict[str, Any] = {"input_scaling": "standard", "target_scaling": "minmax"} if form == "scaled" else {}
        net = fastmlp.Network([300, 256, 4], seed=0, engine="native", n_threads=n_threads, **words)
        net.fit(X, y, epochs=2, batch_size=128, shuffle="blocks")
        found.append((net.parameters.tobytes(), net.predict(X).tobytes(), net.evaluate(X, y)))
    assert found[0] == found[1] == found[2]
