"""The body of `Network.fit`: it checks the data, makes a source of rows from X and y, and runs the loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import _core, callbacks
from . import data
from .loop import Loop
from .plan import DEFAULT_BATCH_SIZE, FitPlan
from .sources import ArrayRows, BatchRows, Source, batch_opener

if TYPE_CHECKING:
    from ..history import History
    from ..network import Network
    from ..optimizers import Optimizer
    from .progress import Display


class Token:
    """Identifies one fit. The network holds a weak reference to it, and takes the fit for ended once the token is gone.

    So even a Ctrl-C that keeps the `finally` clause of `fit` from running does not leave the network marked as fitting.
    """

    __slots__ = ("__weakref__",)


def fit(network: Network, X: Any, y: Any, optimizer: object, validation_data: Any, plan: FitPlan) -> History:
    """Train the network as the plan says, and return the history; if y is None, X is an iterable of batches."""
    token = Token()
    try:
        network._begin_fit(token)
        network._refuse_untrainable("fit")
        if y is None:
            wanted = network._resolve_optimizer(optimizer)
            source: Source = _batch_rows(network, X, validation_data, plan, _optimizer_of_fit(network, wanted))
        else:
            rows, validation = _checked_rows(network, X, y, validation_data, plan)
            return loop_on_rows(network, rows, validation, optimizer, plan).train()
        return Loop(network, source, plan, wanted).train()
    finally:
        network._end_fit(token)


def loop_on_rows(
    network: Network,
    rows: _core.Rows,
    validation: _core.Rows | None,
    optimizer: object,
    plan: FitPlan,
    display: Display | None = None,
) -> Loop:
    """Return the loop over checked rows, whose columns the network has; `display` is as for `Loop`."""
    wanted, used = check_optimizer(network, optimizer, validation, plan)
    return Loop(network, ArrayRows(network, rows, validation, plan, used), plan, wanted, display)


def check_optimizer(
    network: Network, optimizer: object, validation: _core.Rows | None, plan: FitPlan
) -> tuple[Optimizer | None, Optimizer]:
    """Return the optimiser that the argument stands for (see `_resolve_optimizer`), and the one of this fit."""
    wanted = network._resolve_optimizer(optimizer)
    used = _optimizer_of_fit(network, wanted)
    _check_use(network, used, validation, plan)
    return wanted, used


def _optimizer_of_fit(network: Network, wanted: Optimizer | None) -> Optimizer:
    """Return the optimiser of this fit: the wanted one, or where that is None, the network's current one."""
    used = wanted or network._optimizer
    assert used is not None
    return used


def _check_use(network: Network, used: Optimizer, validation: _core.Rows | None, plan: FitPlan) -> None:
    """Raise an error if the optimiser cannot use the regularisation, or its schedule needs validation rows."""
    network._check_regularization(plan.regularization, used)
    if validation is None and getattr(used.schedule, "monitor", None) == "val_loss":
        raise ValueError("validation_data: expected a pair (X, y), as the learning rate follows val_loss, got None")


def _checked_rows(
    network: Network, X: Any, y: Any, validation_data: Any, plan: FitPlan
) -> tuple[_core.Rows, _core.Rows | None]:
    """Return the rows to train on and to validate on; set the schema and the scalings that they determine."""
    schema = network._infer_schema(X, y, plan.validation_split)
    rows = network._rows(X, y, plan.sample_weight, often=True, schema=schema)
    data.check_rank(network, rows)
    rows, validation = data.divide(network, rows, data.check_validation(network, validation_data, schema), plan, schema)
    network._fit_columns(schema, rows)
    return rows, validation


def _batch_rows(network: Network, X: Any, validation_data: Any, plan: FitPlan, used: Optimizer) -> BatchRows:
    """Return the source of the batches that X provides; refuse arguments that need all rows in advance."""
    open_batches = batch_opener(X, plan.epochs)
    _refuse_with_batches(plan, used)
    network._refuse_unscaled("batches")
    schema = network._columns[2]
    if isinstance(validation_data, (tuple, list)) and len(validation_data) > 1:
        schema = network._infer_schema(validation_data[0], validation_data[1], None)
    validation = data.check_validation(network, validation_data, schema)
    if plan.metrics and validation is None:
        raise ValueError("metrics: expected validation_data to go with them, got none")
    _check_use(network, used, validation, plan)
    return BatchRows(network, open_batches, validation, plan, validation_data)


def _refuse_with_batches(plan: FitPlan, used: Optimizer) -> None:
    """Raise an error for arguments that can be used with arrays of rows only."""
    refused = {
        "batch_size": plan.batch_size is not DEFAULT_BATCH_SIZE,
        "shuffle": isinstance(plan.shuffle, str),
        "validation_split": plan.validation_split is not None,
        "resume": plan.resume is not None,
        "sample_weight": plan.sample_weight is not None,
        "class_weight": isinstance(plan.class_weight, str),
    }
    for argument, wrong in refused.items():
        if wrong:
            raise ValueError(
                f"{argument}: cannot be combined with an iterable of batches; expected its default, got "
                f"{getattr(plan, argument)!r:.60}"
            )
    if any(isinstance(each, callbacks.Checkpoint) for each in plan.callbacks):
        raise ValueError(
            "callbacks: expected no Checkpoint beside batches, whose data and place it cannot find again, got one"
        )
    if used.full_batch:
        raise ValueError(f"optimizer: expected one that takes batches, got {used.name!r}, which needs all rows")
