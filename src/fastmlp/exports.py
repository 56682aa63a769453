"""Exports: what a `Network` becomes in native code and in other tools, and where it comes from if another tool made it.

The writers are modules of `convert`, which is imported when a method is called: `convert.WRITERS` is their table.
`Network` derives from Exports, and nothing else does.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from .bound import BoundPredictor
    from .convert.checking import Conversion


class Exports:
    """The methods of `Network` that make something else of it."""

    __slots__ = ()
    _conversion: Conversion | None

    @property
    def conversion(self) -> Conversion | None:
        """Where the network comes from, if it was made of another tool's model, as `fastmlp.from_file` does; else None.

        It has the fields `source` (the tool), `version`, `difference` (the largest difference of an output when the
        network was compared with the model) and `folded` (the model's steps that are no layers of the network). Files,
        pickles and copies do not contain it.
        """
        return getattr(self, "_conversion", None)

    def bind(self, weights: str | None = None) -> BoundPredictor:
        """Return a frozen predictor with a copy of the parameters, which native code calls without Python.

        Parameters
        ----------
        weights : {"float32", "float64", "bfloat16", "int8"}, optional
            What the weights are in memory; by default, the dtype of the network. bfloat16 and int8 are for float32
            networks; they are less exact, and faster where reading the weights takes most of the time.

        Returns
        -------
        BoundPredictor
            It shares nothing with the network: training and assignments do not change it.

        Raises
        ------
        ValueError
            If a layer or the loss has functions in Python, a scaling is not computed yet, or this network or this
            build cannot have such weights.

        Examples
        --------
        >>> net = fastmlp.Network([3, 8, 2], activation="tanh", seed=0)
        >>> bound = net.bind()
        >>> x = np.array([0.1, 0.2, 0.3], np.float32)
        >>> np.array_equal(bound(x), net.predict(x))
        True
        """
        made: BoundPredictor = import_module("fastmlp.bound").bind(self, weights)
        return made

    def to_sklearn(self) -> Any:
        """Return a fitted estimator of scikit-learn with the same parameters.

        Returns
        -------
        MLPClassifier, MLPRegressor, Pipeline or TransformedTargetRegressor
            An `MLPClassifier` for a loss of classes. With an input scaling, a `Pipeline` of a `StandardScaler` and the
            estimator; with a target scaling, a `TransformedTargetRegressor` around it. Parameters are the same numbers
            in the same dtype. It has no state of a training.

        Raises
        ------
        ValueError
            If scikit-learn has no such network: its hidden layers have one activation, which is identity, sigmoid, tanh
            or relu.

        Examples
        --------
        >>> net = fastmlp.Network([4, 8, 3], loss="cross_entropy", class_names=["a", "b", "c"], seed=0)
        >>> theirs = net.to_sklearn()
        >>> X = np.eye(4, dtype=np.float32)
        >>> np.allclose(theirs.predict_proba(X), net.predict(X), atol=1e-6)
        True
        """
        return _write("sklearn", self)

    def to_torch(self) -> Any:
        """Return a `torch.nn.Sequential` with the same parameters, in evaluation mode.

        Scalings are modules at its ends. It needs PyTorch (``pip install 'fastmlp[torch]'``).

        Raises
        ------
        ValueError
            If PyTorch has no such layer.

        Examples
        --------
        >>> net = fastmlp.Network([3, 8, 2], activation="tanh", seed=0)
        >>> [tuple(p.shape) for p in net.to_torch().parameters()]
        [(8, 3), (8,), (2, 8), (2,)]
        """
        return _write("torch", self)

    def to_keras(self) -> Any:
        """Return a `keras.Sequential` with the same parameters.

        Scalings are layers at its ends. It needs Keras 3 and one of its backends (``pip install keras torch``).

        Raises
        ------
        ValueError
            If Keras has no such layer.

        Examples
        --------
        >>> net = fastmlp.Network([3, 8, 2], activation="tanh", seed=0)
        >>> net.to_keras().save("model.keras")
        """
        return _write("keras", self)

    def to_onnx(self, path: str | os.PathLike[str] | None = None, **options: Any) -> bytes:
        """Return the network as an ONNX model, and write it to a file.

        It needs no other package.

        Parameters
        ----------
        path : path-like, optional
            The file to write.
        **options
            `opset`: 17 (the default), or 20 for GELU as one node. `probabilities`: False leaves out the softmax or
            sigmoid of the last layer. `labels`: True adds an output ``label``, the class of each row.

        Returns
        -------
        bytes
            The content of the file. Its input is called ``input``, its output ``output``; the batch is free.

        Raises
        ------
        ValueError
            If ONNX cannot say the network: a custom activation, an encoder.

        Examples
        --------
        >>> content = fastmlp.Network([3, 8, 2], activation="tanh", seed=0).to_onnx("model.onnx")
        >>> fastmlp.from_onnx("model.onnx")
        Network([3, 8, 2], tanh -> identity, mse, float32)
        """
        content: bytes = _write("onnx", self, path, **options)
        return content

    def to_fann(self, path: str | os.PathLike[str]) -> None:
        """Write the network to a file of FANN, which ``fann_create_from_file`` reads.

        Parameters
        ----------
        path : path-like

        Raises
        ------
        ValueError
            If FANN has no such layer.

        Examples
        --------
        >>> fastmlp.Network([3, 8, 2], activation="tanh", seed=0).to_fann("model.net")
        >>> fastmlp.from_fann("model.net").sizes
        (3, 8, 2)
        """
        _write("fann", self, path)

    def to_c(
        self,
        path: str | os.PathLike[str],
        weights: str | None = None,
        function: str = "predict",
        *,
        X: ArrayLike | None = None,
    ) -> None:
        """Write the network as one file of C99 that needs no library and allocates nothing.

        The file has a function ``void predict(const float input[I], float output[O])``, with `double` for a float64
        network, and where the input or target scaling needs it. It gives the outputs of `predict`, up to rounding.
        Compiled with ``-DFASTMLP_SELF_TEST``, it is a program that compares the outputs of stored rows.

        Parameters
        ----------
        path : path-like
            The file to write.
        weights : {"float32", "float64", "int8"}, optional
            None is the dtype of the network. With "int8", for float32 networks, weights have one byte and a scale for
            each output, and the inputs of a layer are rounded to integers of up to 16 bits.
        function : str
            The name of the function, which all other names in the file begin with.
        X : array_like, shape (B, I), optional
            Typical rows, from which those of the self-test are taken. None: rows are drawn, normally distributed.

        Raises
        ------
        ValueError
            If C cannot say the network (a custom activation, an encoder of text), the name is no identifier of C, or
            int8 would change a layer's weights by more than 1/32 (root mean square of the change over that of the
            weights).

        Examples
        --------
        >>> fastmlp.Network([3, 8, 2], activation="tanh", seed=0).to_c("model.c")
        """
        _write("c", self, path, weights, function, X=X)


def _write(tool: str, net: Exports, *args: Any, **options: Any) -> Any:
    return import_module("fastmlp.convert").write(tool, net, *args, **options)
