"""Ensemble: networks for the same rows, whose mean is the prediction and whose spread says how much they disagree."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, SupportsIndex

import numpy as np

from .formats import atomic, ensemble_file
from .inputs import arrays, labels
from .losses import Hinge
from .network import Network

if TYPE_CHECKING:
    from numpy.typing import NDArray


class Ensemble:
    """Several networks that predict the same from the same inputs.

    Parameters
    ----------
    networks : sequence of Network
        At least one. They need the same numbers of inputs and outputs, the same names of columns and classes, and the
        same encoder; their hidden layers, dtypes and scalings may differ. The ensemble refers to the networks
        themselves: what they learn later changes its predictions.

    Raises
    ------
    ValueError, TypeError
        If a network does not fit the first one.

    Notes
    -----
    Networks that differ in their parameters alone predict in one pass, see `Network.predict_population`. Mean and
    deviation are computed in float64. All predictions together take K B O numbers of memory.

    Examples
    --------
    >>> networks = [fastmlp.Network([2, 8, 1], seed=seed) for seed in range(3)]
    >>> ensemble = fastmlp.Ensemble(networks)
    >>> X = np.ones((4, 2))
    >>> ensemble.predict_all(X).shape, ensemble.predict(X).shape
    ((3, 4, 1), (4, 1))
    """

    __slots__ = ("_networks",)

    def __init__(self, networks: Sequence[Network]) -> None:
        if isinstance(networks, Network) or not hasattr(networks, "__iter__"):
            raise TypeError(f"networks: expected a sequence of networks, got {type(networks).__name__}")
        self._networks = tuple(networks)
        if not self._networks:
            raise ValueError("networks: expected at least one, got none")
        for index, network in enumerate(self._networks):
            _check_network(index, network, self._networks[0])

    @property
    def networks(self) -> tuple[Network, ...]:
        """The networks, in the order in which they were given."""
        return self._networks

    def __len__(self) -> int:
        return len(self._networks)

    def __iter__(self) -> Iterator[Network]:
        return iter(self._networks)

    def __getitem__(self, index: int) -> Network:
        return self._networks[index]

    def __repr__(self) -> str:
        return f"Ensemble of {len(self)} networks, the first {self._networks[0]!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (list(self._networks),)

    # -- predictions ---------------------------------------------------------------------------------------------------

    def predict_all(self, X: Any) -> NDArray[Any]:
        """The predictions of each network.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)
            As for `Network.predict`.

        Returns
        -------
        ndarray, shape (K, B, O), or (K, O) for a single row
            What `predict` of each of the K networks gives, to the same bits; of the widest of their dtypes.

        Examples
        --------
        >>> first, second = fastmlp.Network([1, 1]), fastmlp.Network([1, 1])
        >>> first.set_layer(0, [[1.0]], [0.0])
        >>> second.set_layer(0, [[2.0]], [1.0])
        >>> fastmlp.Ensemble([first, second]).predict_all([[10.0]])
        array([[[10.]],
        <BLANKLINE>
               [[21.]]], dtype=float32)
        """
        predictions: list[Any] = [None] * len(self)
        for group in self._groups():
            first = self._networks[group[0]]
            if len(group) == 1 or not _are_rows(X, first.sizes[0]):
                for k in group:
                    predictions[k] = self._networks[k].predict(X)
                continue
            P = np.stack([self._networks[k].parameters for k in group])
            for k, prediction in zip(group, first.predict_population(P, X), strict=True):
                predictions[k] = prediction
        return np.stack(predictions)

    def predict(self, X: Any) -> NDArray[Any]:
        """The mean of the networks' predictions.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)

        Returns
        -------
        ndarray, shape (B, O), or (O,) for a single row

        Examples
        --------
        >>> first, second = fastmlp.Network([1, 1]), fastmlp.Network([1, 1])
        >>> first.set_layer(0, [[1.0]], [0.0])
        >>> second.set_layer(0, [[2.0]], [1.0])
        >>> fastmlp.Ensemble([first, second]).predict([[10.0]])
        array([[15.5]], dtype=float32)
        """
        predictions = self.predict_all(X)
        mean: NDArray[Any] = predictions.mean(axis=0, dtype=np.float64).astype(predictions.dtype)
        return mean

    def std(self, X: Any) -> NDArray[Any]:
        """The standard deviation of the networks' predictions around their mean.

        It divides by the number of networks K, as `numpy.std` does.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)

        Returns
        -------
        ndarray, shape (B, O), or (O,) for a single row
            In the unit of the predictions.

        Examples
        --------
        >>> first, second = fastmlp.Network([1, 1]), fastmlp.Network([1, 1])
        >>> first.set_layer(0, [[1.0]], [0.0])
        >>> second.set_layer(0, [[2.0]], [1.0])
        >>> fastmlp.Ensemble([first, second]).std([[10.0]])
        array([[5.5]], dtype=float32)
        """
        predictions = self.predict_all(X)
        deviation: NDArray[Any] = predictions.std(axis=0, dtype=np.float64).astype(predictions.dtype)
        return deviation

    def classify(self, X: Any, *, names: bool = False) -> Any:
        """The class of each row by the mean of the networks' outputs; see `Network.classify`.

        Parameters
        ----------
        X : array_like, shape (B, I) or (I,)
        names : bool, default False
            Return the class names in place of their indices.

        Returns
        -------
        ndarray of int64, shape (B,), or a single int64 for a single row
            With `names`, the names.

        Raises
        ------
        ValueError
            If the networks tell their classes apart in different ways, because some have the hinge loss and some not.
            With `names`, also if a row has no class because its outputs are NaN.

        Examples
        --------
        >>> networks = [fastmlp.Network([2, 3], loss="cross_entropy", seed=seed) for seed in range(5)]
        >>> fastmlp.Ensemble(networks).classify(np.zeros((2, 2)))  # all outputs are 1/3
        array([0, 0])
        """
        thresholds = {0.0 if isinstance(network.loss, Hinge) else 0.5 for network in self._networks}
        if len(thresholds) > 1:
            raise ValueError("classify: expected networks of which all or none have the hinge loss, got some")
        mean = self.predict(X)
        single = mean.ndim == 1
        mean = np.atleast_2d(mean)
        nan = np.isnan(mean).any(axis=1)
        if names and nan.any():
            raise ValueError(
                f"X: row {int(np.argmax(nan))} has no class, as its outputs are NaN; expected finite outputs"
            )
        classes = (mean[:, 0] > thresholds.pop()).astype(np.int64) if mean.shape[1] == 1 else mean.argmax(axis=1)
        classes[nan] = 0
        if names:
            return labels.named(self._networks[0].class_names, classes, single)
        return classes[0] if single else classes

    def _groups(self) -> list[list[int]]:
        """The indices of the networks, those together that differ in their parameters alone."""
        groups: list[tuple[tuple[Any, ...], list[int]]] = []
        for index, network in enumerate(self._networks):
            key = _kind(network)
            group = next((members for other, members in groups if other == key), None)
            if group is None:
                groups.append((key, [index]))
            else:
                group.append(index)
        return [members for _, members in groups]

    # -- files ---------------------------------------------------------------------------------------------------------

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write all networks to one file, so that a crash leaves the old file or the new one.

        The file is an uncompressed zip archive of model files; an optimiser's state is not in it.

        Parameters
        ----------
        path : path-like
            An existing file is replaced.

        Raises
        ------
        ValueError
            If a network has a `CustomActivation` or a `CustomLoss`: a file holds no code.
        OSError
            As `Network.save`.

        Examples
        --------
        >>> ensemble = fastmlp.Ensemble([fastmlp.Network([3, 2], seed=seed) for seed in range(2)])
        >>> ensemble.save("ensemble.zip")
        >>> len(fastmlp.Ensemble.load("ensemble.zip"))
        2
        """
        atomic.write(path, ensemble_file.to_bytes([network._published_contents() for network in self._networks]))

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], *, engine: str = "auto", n_threads: SupportsIndex | str = "auto"
    ) -> Ensemble:
        """The ensemble that `save` wrote.

        Parameters
        ----------
        path : path-like
        engine, n_threads
            As for `Network`.

        Raises
        ------
        FormatError
            If the file is truncated, altered, or not that of an ensemble; no code from it is run.
        OSError
            If it cannot be read.

        Examples
        --------
        >>> fastmlp.Ensemble([fastmlp.Network([3, 2], seed=0)]).save("ensemble.zip")
        >>> fastmlp.Ensemble.load("ensemble.zip")[0].sizes
        (3, 2)
        """
        return cls(
            [
                Network._from_architecture(
                    contents.architecture,
                    contents.parameters,
                    random_state=contents.random_state,
                    engine=engine,
                    n_threads=n_threads,
                )
                for contents in ensemble_file.read(path)
            ]
        )


def _check_network(index: int, network: Any, first: Any) -> None:
    """Refuse a network that does not predict the same from the same inputs as the first one."""
    if not isinstance(network, Network):
        raise TypeError(f"networks[{index}]: expected a Network, got {type(network).__name__}")
    ends = [(each.sizes[0], each.sizes[-1]) for each in (network, first)]
    if ends[0] != ends[1]:
        raise ValueError(f"networks[{index}]: expected the first one's (inputs, outputs) {ends[1]}, got {ends[0]}")
    for name in ("feature_names", "class_names", "encoder"):
        found, expected = getattr(network, name), getattr(first, name)
        if found != expected:
            raise ValueError(f"networks[{index}]: expected the first one's {name} {expected!r:.60}, got {found!r:.60}")


def _kind(network: Network) -> tuple[Any, ...]:
    """What networks have in common that differ in their parameters alone, as far as predictions depend on it."""
    return (
        network.sizes,
        network.activation,
        network.output_activation,
        network.dtype,
        network.engine,
        network._isa,
        network.input_scaling,
        network.target_scaling,
    )


def _are_rows(X: Any, n_inputs: int) -> bool:
    """Whether X is rows of that width, and neither a single row nor anything that `Network.predict` has to refuse."""
    if arrays.is_frame(X) or arrays.is_sparse(X):
        return True
    try:
        return np.ndim(X) == 2 and np.shape(X)[1] == n_inputs
    except ValueError:  # a list of unequal lengths
        return False
