"""A selection of the rows of a polars frame, gathered from each column when it is read.

Polars keeps a column of a text file in many short chunks, and allocating memory is what takes time: filtering the frame
would allocate a copy of its rows, and converting each column to NumPy another one. This module gathers numbers directly
from the chunks, a block of rows or one whole column at a time. It does not import polars.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen

PLAIN_NUMBERS = frozenset(  # dtypes of polars that NumPy has, too
    ["Float32", "Float64", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))]
)
CHUNK_ROWS = 1000  # shorter chunks are concatenated: the loop over them would take longer than the copy


@frozen
class Chunks:
    """All rows of a column of numbers, as arrays with the lengths of the chunks that a `Part` of the frame uses."""

    arrays: Sequence[NDArray[Any]]


class Part:
    """The rows of a polars frame with these ascending indices; they are gathered from a column when it is read."""

    def __init__(self, frame: Any, rows: NDArray[np.int64]) -> None:
        self.frame, self.rows = frame, rows
        lengths = [len(frame)]
        if frame.n_chunks() * CHUNK_ROWS <= len(frame):
            lengths = [len(chunk) for chunk in frame.to_series(0).get_chunks()]
        self._bounds = _bounds(lengths)  # the frame's row at which each chunk begins, and the number of rows
        self._part_bounds = np.searchsorted(rows, self._bounds).tolist()  # the bounds, as indices into `rows`
        self._offsets = rows.copy()  # of each row in its chunk
        for first, (begin, end) in zip(self._bounds, itertools.pairwise(self._part_bounds), strict=False):
            self._offsets[begin:end] -= first

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Any:
        """Return the part's rows of a column, as a polars series."""
        return self.frame[name].gather(self.rows)

    def numbers(self, name: str) -> tuple[NDArray[Any], Chunks] | None:
        """Return the part's rows of a column of numbers, NaN where missing, and all rows of the frame as chunks.

        The result is None for a column of another dtype.
        """
        series = self.frame[name]
        if str(series.dtype) not in PLAIN_NUMBERS:
            return None
        chunks = self._chunks(series)
        values = np.empty(len(self.rows), chunks.arrays[0].dtype)
        for index, rows in self.blocks(0, len(self), len(self.frame)):
            offsets, out = self._offsets[rows], values[rows]
            chunks.arrays[index].take(offsets, out=out, mode="clip")  # other modes use a temporary copy
        return values, chunks

    def finite_numbers(self, name: str) -> Chunks | None:
        """Return all rows of a column of the frame, if it has nothing but finite numbers; else None."""
        series = self.frame[name]
        if str(series.dtype) not in PLAIN_NUMBERS:
            return None
        chunks = self._chunks(series)
        return chunks if all(np.isfinite(array).all() for array in chunks.arrays) else None

    def _chunks(self, series: Any) -> Chunks:
        """Return all rows of a column of numbers, NaN where missing."""
        arrays = [chunk.to_numpy() for chunk in series.get_chunks()]
        one_type = len({array.dtype for array in arrays}) == 1  # chunks of integers with gaps become floats
        if not one_type or _bounds(map(len, arrays)) != self._bounds:
            arrays = np.split(np.concatenate(arrays), self._bounds[1:-1])
        return Chunks(arrays)

    def blocks(self, begin: int, end: int, n_rows: int) -> Iterator[tuple[int, slice]]:
        """Split the part's rows [begin, end) into slices of at most n_rows, each within one chunk; yield the index of
        the chunk and the slice.
        """
        for index, (first, last) in enumerate(itertools.pairwise(self._part_bounds)):
            first, last = max(first, begin), min(last, end)
            for start in range(first, last, n_rows):
                yield index, slice(start, min(start + n_rows, last))

    def gather(self, chunks: Chunks, index: int, rows: slice) -> NDArray[Any]:
        """Return the numbers of a column for a chunk and slice from `blocks`."""
        found: NDArray[Any] = chunks.arrays[index][self._offsets[rows]]
        return found


def _bounds(lengths: Iterable[int]) -> list[int]:
    """Return the offset of each array in the concatenation of arrays of these lengths, and the total length."""
    return [0, *itertools.accumulate(lengths)]
