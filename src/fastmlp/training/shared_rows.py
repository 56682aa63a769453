"""The rows of several trainings on one X and y: conversions are shared, and no matrix is copied for a network.

A conversion is made once for all networks to which it looks the same. What a network gets are `Rows` of its own, since
a pass over Rows writes the scaling into them; they refer to the shared arrays. A network with row indices gets an
`arrays.RowSubset` of the inputs, and copies of the targets and weights of these rows.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from .. import _core
from ..inputs import arrays, row_weights
from ..inputs import schema as schemas
from . import data

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..inputs.schema import Schema
    from ..network import Network
    from .plan import FitPlan

T = TypeVar("T")


class Memo:
    """Results by their keys, which need not be hashable. There are few different keys, so they are compared in turn."""

    def __init__(self) -> None:
        self._results: list[tuple[tuple[Any, ...], Any]] = []

    def get(self, key: tuple[Any, ...], make: Callable[[], T]) -> T:
        """Return the result of that key; `make` is called for a new key."""
        for known, result in self._results:
            if known == key:
                return result  # type: ignore[no-any-return]
        result = make()
        self._results.append((key, result))
        return result


class SharedRows:
    """One X and y, from which each network gets its rows.

    Only one thread may call `checked`; afterwards any thread may call `checked` with arguments that were used before.

    Parameters
    ----------
    X, y : as for `Network.fit`
    """

    def __init__(self, X: Any, y: Any) -> None:
        self.X, self.y = X, y
        if not (hasattr(X, "shape") or hasattr(X, "__len__")):
            self.X = arrays.as_array("X", X)
            if self.X.ndim == 0:
                raise TypeError(f"X: expected an array of rows, got {type(X).__name__}")
        self._schemas, self._inputs, self._rows, self._validations, self._weights = (Memo() for _ in range(5))

    def checked(
        self, network: Network, plan: FitPlan, validation_data: Any, indices: NDArray[np.uint32] | None
    ) -> tuple[_core.Rows, _core.Rows | None, Schema]:
        """Return the network's rows to train on and to validate on, and the schema of their columns; change nothing."""
        schema = self._schema(network, plan, indices)
        rows = self._selected(self._all_rows(network, schema), indices)
        if plan.sample_weight is not None:
            weights = self._checked_weights(plan.sample_weight)
            rows = network._with_weights(rows, weights if indices is None else weights[indices], None, schema)
        validation = None
        if validation_data is not None:
            key = (id(validation_data), *_reading(network, schema), *_targets(network))
            found = self._validations.get(key, lambda: data.check_validation(network, validation_data, schema))
            assert found is not None
            validation = _core.Rows(found.x, found.values, found.labels, found.weights)
        return *data.divide(network, rows, validation, plan, schema), schema

    @property
    def n_rows(self) -> int:
        """The number of rows of X; 1 if X is no matrix, which is refused later."""
        shape = getattr(self.X, "shape", None)
        return int(shape[0]) if shape else len(self.X)

    def _schema(self, network: Network, plan: FitPlan, indices: NDArray[np.uint32] | None) -> Schema:
        """Return the schema of the network's columns, completed by the names that all of X and y give."""
        known = network._columns[2]
        share = plan.validation_split if indices is None else None
        key = known, network.sizes[0], network.sizes[-1], network.loss.classifies, network.loss.n_heads, share
        schema = self._schemas.get(key, lambda: network._infer_schema(self.X, self.y, share))
        if indices is not None and schema.encoder is not known.encoder:
            raise ValueError(
                "rows: X has columns that are not numbers, and an encoder must not be fitted to rows that a network "
                "does not train on; expected networks with an encoder, Network(..., encoder=fastmlp.Encoder.fit(frame))"
            )
        return schema

    def _all_rows(self, network: Network, schema: Schema) -> _core.Rows:
        """Return all rows, without weights, in the form that the network reads."""
        reading = _reading(network, schema)

        def inputs() -> Any:
            scaled = network._given_architecture.input_scaling is not None
            X = schemas.to_inputs(schema, self.X)
            return arrays.convert(X, network.sizes[0], network.dtype, often=True, scaled=scaled)

        def rows() -> _core.Rows:
            x = self._inputs.get(reading, inputs)
            found = network._rows(x, self.y, often=True, schema=schema)
            data.check_rank(network, found)
            return found

        return self._rows.get((*reading, *_targets(network)), rows)

    def _selected(self, rows: _core.Rows, indices: NDArray[np.uint32] | None) -> _core.Rows:
        """Return new Rows with the rows of those indices; None: all rows."""
        if indices is None:
            return _core.Rows(rows.x, rows.values, rows.labels)
        parts = [None if part is None else part[indices] for part in (rows.values, rows.labels)]
        return _core.Rows(arrays.RowSubset(rows.x, indices), *parts)

    def _checked_weights(self, sample_weight: Any) -> NDArray[np.float64]:
        """Return the weights of all rows as float64."""
        return self._weights.get(
            (id(sample_weight),), lambda: row_weights.check_sample_weight(sample_weight, self.n_rows)
        )


def _reading(network: Network, schema: Schema) -> tuple[Any, ...]:
    """Return all on which the conversion of X for a network depends."""
    return schema, network.sizes[0], network.dtype, network._given_architecture.input_scaling is not None


def _targets(network: Network) -> tuple[Any, ...]:
    """Return all on which, beside the schema and the dtype, the check and the conversion of y depends."""
    loss, scaled = network.loss, network._given_architecture.target_scaling is not None
    return network.sizes[-1], loss.name, loss.targets, loss.n_heads, loss.classifies, scaled
