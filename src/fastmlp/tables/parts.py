"""Some rows of a frame of polars, taken from its columns as they are read.

Polars keeps a column of a text file in many short chunks, and new memory is what takes time: a filtered frame would be
as much of it as its rows are, NumPy's view of its columns as much once more. Here numbers are taken from the chunks
where they lie, a few rows at a time or all rows of one column. Polars itself is not imported.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..frozen import frozen

PLAIN_NUMBERS = frozenset(  # polars' types that are NumPy's, too
    ["Float32", "Float64", *(f"{sign}Int{bits}" for sign in ("", "U") for bits in (8, 16, 32, 64))]
)
CHUNK_ROWS = 1000  # chunks of fewer rows are put together: going over them would take longer than their numbers


@frozen
class Chunks:
    """A column of numbers, all rows of a frame, in arrays that are as long as the chunks of a `Part` of the frame."""

    arrays: Sequence[NDArray[Any]]


class Part:
    """Some rows of a frame of polars, by their ascending indices; each column gives them when it is read."""

    def __init__(self, frame: Any, rows: NDArray[np.int64]) -> None:
        self.frame, self.rows = frame, rows
        lengths = [len(frame)]
        if frame.n_chunks() * CHUNK_ROWS <= len(frame):
            lengths = [len(chunk) for chunk in frame.to_series(0).get_chunks()]
        self._bounds = _bounds(lengths)  # of the chunks, among the rows of the frame
        self._cuts = np.searchsorted(rows, self._bounds).tolist()  # of the chunks, among the rows of the part
        self._places = rows - np.repeat(self._bounds[:-1], np.diff(self._cuts))  # of each row, within its chunk

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, name: str) -> Any:
        """The rows of a column, a series of polars."""
        return self.frame[name].gather(self.rows)

    def numbers(self, name: str) -> tuple[NDArray[Any], Chunks] | None:
        """The rows of a column of numbers, NaN where they are missing, and all its rows; None for another type."""
        series = self.frame[name]
        if str(series.dtype) not in PLAIN_NUMBERS:
            return None
        arrays = [chunk.to_numpy() for chunk in series.get_chunks()]
        one_type = len({array.dtype for array in arrays}) == 1  # else whole numbers, and floats where there are gaps
        if not one_type or _bounds(map(len, arrays)) != self._bounds:
            arrays = np.split(np.concatenate(arrays), self._bounds[1:-1])
        values = np.empty(len(self.rows), arrays[0].dtype)
        for index, rows in self.blocks(0, len(self), len(self.frame)):
            arrays[index].take(self._places[rows], out=values[rows], mode="clip")  # other modes take by way of a copy
        return values, Chunks(arrays)

    def blocks(self, begin: int, end: int, n_rows: int) -> Iterator[tuple[int, slice]]:
        """The rows from begin up to end as slices within one chunk, of n_rows at most, with the chunk's index."""
        for index, (first, last) in enumerate(itertools.pairwise(self._cuts)):
            first, last = max(first, begin), min(last, end)
            for start in range(first, last, n_rows):
                yield index, slice(start, min(start + n_rows, last))

    def taken(self, chunks: Chunks, index: int, rows: slice) -> NDArray[Any]:
        """The numbers of a column in rows that `blocks` has given."""
        found: NDArray[Any] = chunks.arrays[index][self._places[rows]]
        return found


def _bounds(lengths: Iterable[int]) -> list[int]:
    """Where arrays of these lengths begin, one below the other, and where the last one ends."""
    return [0, *itertools.accumulate(lengths)]
