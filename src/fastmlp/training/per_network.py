"""Divides the arguments of `fastmlp.fit_many` among the networks: each is a value for all, or has one per network.

Which of the two an argument is depends on its type alone, and never on its length: the table PER_NETWORK has the test
for each argument. A list with one value per network that has another length is an error. Callbacks have the state of
one training, so each network needs callbacks of its own; see `callbacks_of`.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..callbacks import Checkpoint, EarlyStopping, has_hooks
from ..callbacks import check as check_callbacks
from ..network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _is_list(value: Any) -> bool:
    """Return whether the value is a list, a tuple or a vector; for arguments that are none of these themselves."""
    return isinstance(value, (list, tuple)) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _is_list_of_lists(value: Any) -> bool:
    """Return whether the value is a list or tuple of these; for arguments that are a list of other things."""
    return (
        isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(each, (list, tuple)) for each in value)
    )


def _is_list_of_vectors(value: Any) -> bool:
    """Return whether the value is a matrix, or a list of vectors and None; for arguments that are a vector."""
    if isinstance(value, (list, tuple)):
        return any(each is None or np.ndim(each) > 0 for each in value)
    return len(getattr(value, "shape", ())) > 1


PER_NETWORK: Mapping[str, Callable[[Any], bool]] = {
    "epochs": _is_list,
    "batch_size": _is_list,
    "optimizer": _is_list,
    "shuffle": _is_list,
    "validation_data": lambda value: isinstance(value, list),
    "validation_split": _is_list,
    "metrics": _is_list_of_lists,
    "callbacks": _is_list_of_lists,
    "max_time": _is_list,
    "resume": _is_list,
    "sample_weight": _is_list_of_vectors,
    "class_weight": _is_list,
    "regularization": _is_list,
}


def check_networks(networks: Any) -> list[Network]:
    """Return the networks as a list, after a check that each is a network and occurs once."""
    if isinstance(networks, Network) or not hasattr(networks, "__iter__"):
        raise TypeError(f"networks: expected a sequence of networks, got {type(networks).__name__}")
    checked = list(networks)
    if not checked:
        raise ValueError("networks: expected at least one, got none")
    places: dict[int, int] = {}
    for k, network in enumerate(checked):
        if not isinstance(network, Network):
            raise TypeError(f"networks[{k}]: expected a Network, got {type(network).__name__}")
        first = places.setdefault(id(network), k)
        if first != k:
            raise ValueError(
                f"networks[{k}]: expected each network once, got that of networks[{first}] again; network.copy() makes "
                "another one"
            )
    return checked


def divide(arguments: Mapping[str, Any], n_networks: int) -> list[dict[str, Any]]:
    """Return the arguments of each network by name: the value for all, or that of its place in the list."""
    columns = {name: _column(name, value, n_networks) for name, value in arguments.items()}
    columns["callbacks"] = callbacks_of(arguments["callbacks"], n_networks)
    return [{name: column[k] for name, column in columns.items()} for k in range(n_networks)]


def _column(name: str, value: Any, n_networks: int) -> Sequence[Any]:
    """Return the value of an argument for each network."""
    if not PER_NETWORK[name](value):
        return [value] * n_networks
    if not isinstance(value, (list, tuple)):
        value = np.asarray(value)  # the rows of a frame, whose own items are its columns
    if len(value) != n_networks:
        raise ValueError(
            f"{name}: expected one value for all networks, or a list of {n_networks}, one for each, got a list of "
            f"{len(value)}{HINTS.get(name, '')}"
        )
    return value  # type: ignore[no-any-return]


HINTS = {"validation_data": "; rows for all networks are a tuple (X, y)"}


def callbacks_of(value: Any, n_networks: int) -> list[list[Any]]:
    """Return the callbacks of each network, after a check that no two networks share one with a state.

    Of callbacks for all, functions are shared, and each network gets a copy of each `EarlyStopping`.
    """
    if PER_NETWORK["callbacks"](value):
        lists = [check_callbacks(each) for each in _column("callbacks", value, n_networks)]
        _refuse_shared(lists)
        return lists
    shared = check_callbacks(value)
    if n_networks == 1:
        return [shared]
    for i, callback in enumerate(shared):
        if isinstance(callback, Checkpoint) or (has_hooks(callback) and not isinstance(callback, EarlyStopping)):
            raise ValueError(
                f"callbacks[{i}]: expected a function or an EarlyStopping, as all networks share these callbacks, got "
                f"{callback!r:.80}; write a list for each network, callbacks=[[...] for network in networks]"
            )
    if not any(isinstance(each, EarlyStopping) for each in shared):
        return [shared] * n_networks
    return [
        [copy.copy(each) if isinstance(each, EarlyStopping) else each for each in shared] for _ in range(n_networks)
    ]


def _refuse_shared(lists: Sequence[Sequence[Any]]) -> None:
    """Raise a ValueError if two networks have the same object with hooks, or a Checkpoint of the same file."""
    owners: dict[object, int] = {}
    for k, callbacks in enumerate(lists):
        for callback in callbacks:
            is_file = isinstance(callback, Checkpoint)
            if not (is_file or has_hooks(callback)):
                continue
            key: object = os.path.realpath(callback.path) if is_file else id(callback)
            owner = owners.setdefault(key, k)
            if owner != k:
                what = "a file of its own" if is_file else "an object of its own"
                raise ValueError(
                    f"callbacks[{k}]: expected {what} for each network, got {callback!r:.80}, which is also that of "
                    f"networks[{owner}]"
                )


def check_rows(rows: Any, n_networks: int, n_rows: int) -> list[NDArray[np.uint32] | None]:
    """Return the indices of each network's rows, of n_rows rows; None stands for all rows.

    The arrays are copies, which nobody else can change. Networks with the same object of indices share its copy.
    """
    if rows is None:
        return [None] * n_networks
    if not (isinstance(rows, (list, tuple)) or (isinstance(rows, np.ndarray) and rows.ndim == 2)):
        raise TypeError(
            f"rows: expected a list with the indices of the rows of each network, or None, got {type(rows).__name__}"
        )
    if len(rows) != n_networks:
        raise ValueError(f"rows: expected a list of {n_networks}, the indices of each network, got {len(rows)}")
    if isinstance(rows, np.ndarray):
        rows = list(rows)
    copies: dict[int, NDArray[np.uint32] | None] = {}
    for k, indices in enumerate(rows):
        if id(indices) not in copies:
            copies[id(indices)] = None if indices is None else _check_indices(f"rows[{k}]", indices, n_rows)
    return [copies[id(indices)] for indices in rows]


def _check_indices(argument: str, indices: Any, n_rows: int) -> NDArray[np.uint32]:
    """Return row indices, or a mask with a Boolean for each row, as a new read-only array of indices."""
    try:
        array = np.asarray(indices)
    except ValueError:
        raise TypeError(
            f"{argument}: expected a vector of row indices or a mask, got a {type(indices).__name__} of vectors of "
            "unequal lengths; of scikit-learn's folds (train, test) give the rows to train on alone"
        ) from None
    if array.ndim != 1 or array.dtype.kind not in "iub":
        raise TypeError(
            f"{argument}: expected a vector of row indices or a mask, got {type(indices).__name__} of dtype "
            f"{array.dtype} and shape {array.shape}"
        )
    if array.dtype.kind == "b":
        if len(array) != n_rows:
            raise ValueError(f"{argument}: expected a mask with {n_rows} elements, one for each row, got {len(array)}")
        array = np.flatnonzero(array)
    if not len(array):
        raise ValueError(f"{argument}: expected at least one row, got none")
    for wrong in (array.min(), array.max()):
        if not 0 <= wrong < n_rows:
            raise ValueError(f"{argument}: expected indices from 0 to {n_rows - 1}, got {wrong}")
    checked = np.array(array, dtype=np.uint32)
    checked.flags.writeable = False
    return checked
