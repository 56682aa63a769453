from typing import Any

from numpy.typing import NDArray
from typing_extensions import disjoint_base

from .inputs import arrays
from .inputs.schema import Schema
from .scaling import Scaling

@disjoint_base
class Sparse:
    shape: tuple[int, int]
    def __init__(self, rows: arrays.SparseRows) -> None: ...

@disjoint_base
class Columns:
    inputs: Scaling | None
    targets: Scaling | None
    schema: Schema
    def __init__(self, inputs: Scaling | None, targets: Scaling | None, schema: Schema) -> None: ...

@disjoint_base
class Rows:
    x: Any
    values: NDArray[Any] | None
    labels: NDArray[Any] | None
    weights: NDArray[Any] | None
    total_weight: float
    def __init__(
        self,
        x: NDArray[Any] | arrays.SparseRows | arrays.RowSubset,
        values: NDArray[Any] | None = ...,
        labels: NDArray[Any] | None = ...,
        weights: NDArray[Any] | None = ...,
    ) -> None: ...
    @property
    def n_rows(self) -> int: ...
