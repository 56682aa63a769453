"""Networks of other tools: read into a `Network`, and written out again.

The functions here are those that users call; `fastmlp` has the same names. Each imports its format's module when it is
called, and turns what that returns, a `Chain` (see chain.py), into a network that is compared with the original (see
checking.py). `recognition.FORMATS` is the table of the formats of files; `WRITERS` is the one of what networks become.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, SupportsIndex

if TYPE_CHECKING:
    from types import ModuleType

    from ..network import Network

    Threads = SupportsIndex | str

__all__ = [
    "from_fann",
    "from_file",
    "from_keras",
    "from_onnx",
    "from_sklearn",
    "from_spark",
    "from_stable_baselines3",
    "from_torch",
]

# What a network becomes: the module with `write(net, ...)`, and the extra of pyproject.toml that it needs.
WRITERS = {
    "sklearn": ("sklearn_models", "sklearn"),
    "torch": ("torch_modules", "torch"),
    "keras": ("keras_models", "keras"),
    "onnx": ("onnx_writer", ""),
    "fann": ("fann", ""),
}


def from_sklearn(estimator: Any, *, dtype: Any = None, engine: str = "auto", n_threads: Threads = "auto") -> Network:
    """Return the network of a fitted estimator of scikit-learn.

    Parameters
    ----------
    estimator : MLPClassifier, MLPRegressor, Pipeline, TransformedTargetRegressor
        Also the classes of `fastmlp.sklearn`. A `Pipeline` may have scalers (StandardScaler, MinMaxScaler,
        MaxAbsScaler, RobustScaler) before the estimator, and a `TransformedTargetRegressor` one for its targets.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the estimator's.
    engine, n_threads
        As for `Network`.

    Returns
    -------
    Network
        Its `predict` gives what the regressor's does, as rows of targets, or the classifier's `predict_proba`; of two
        classes it is one column, the probability of the second. Names of columns and classes are the estimator's.

    Raises
    ------
    FormatError
        If no network is equal to the estimator; the message names the step.

    Examples
    --------
    >>> from sklearn.neural_network import MLPRegressor
    >>> X, y = np.eye(4), np.arange(4.0)
    >>> theirs = MLPRegressor(hidden_layer_sizes=(8,), solver="lbfgs", random_state=0).fit(X, y)
    >>> net = fastmlp.from_sklearn(theirs)
    >>> np.allclose(net.predict(X)[:, 0], theirs.predict(X))
    True
    """
    return _network(_module("sklearn_models", "sklearn").read(estimator), dtype, engine, n_threads)


def from_torch(
    model: Any, *, dtype: Any = None, engine: str = "auto", n_threads: Threads = "auto", **spec: Any
) -> Network:
    """Return the network of a PyTorch module, or of a state dict and what it does not say.

    Parameters
    ----------
    model : torch.nn.Module, mapping of str to tensor, path-like or bytes
        A module of layers in a row, such as `torch.nn.Sequential`; or a state dict, as a mapping, as a file of
        `torch.save`, or as a safetensors file. Files are read without PyTorch, and no code in them is run.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the model's.
    engine, n_threads
        As for `Network`.
    **spec
        What a state dict does not say: `activation` of the hidden layers (one, or a list with one for each),
        `output_activation`, and more that `docs/convert.md` lists.

    Raises
    ------
    FormatError
        If no network is equal to the model; the message names the layer.

    Examples
    --------
    >>> state = {"0.weight": np.ones((2, 3), np.float32), "0.bias": np.zeros(2, np.float32)}
    >>> state |= {"2.weight": np.ones((1, 2), np.float32), "2.bias": np.zeros(1, np.float32)}
    >>> fastmlp.from_torch(state, activation="relu")
    Network([3, 2, 1], relu -> identity, half_squared_error, float32)
    """
    is_file = isinstance(model, (str, bytes, os.PathLike, Mapping))
    module = _module("torch_file") if is_file else _module("torch_modules", "torch")
    return _network(module.read(model, **spec), dtype, engine, n_threads)


def from_keras(model: Any, *, dtype: Any = None, engine: str = "auto", n_threads: Threads = "auto") -> Network:
    """Return the network of a Keras model.

    Parameters
    ----------
    model : keras.Model or path-like
        A Sequential or Functional model whose layers stand in a row; or its file, ``.keras`` or ``.h5``, also of
        Keras 2. Files are read by h5py (``pip install 'fastmlp[keras]'``), without Keras.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the model's.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If no network is equal to the model; the message names the layer.
    """
    name = "keras_file" if isinstance(model, (str, bytes, os.PathLike)) else "keras_models"
    return _network(_module(name, "keras").read(model), dtype, engine, n_threads)


def from_onnx(
    model: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    **options: Any,
) -> Network:
    """Return the network of an ONNX model.

    Parameters
    ----------
    model : path-like or bytes
        The file, or its content. External data is read from the file's folder.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the model's.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to the model; the message names the node.

    Examples
    --------
    >>> net = fastmlp.Network([3, 8, 2], seed=0)
    >>> again = fastmlp.from_onnx(net.to_onnx())
    >>> np.array_equal(again.parameters, net.parameters)
    True
    """
    return _network(_module("onnx_model").read(model, **options), dtype, engine, n_threads)


def from_stable_baselines3(model: Any, **options: Any) -> Any:
    """Return the policy of a model of stable-baselines3.

    Parameters
    ----------
    model : path-like, bytes or model
        The file that `model.save` has written, read without stable-baselines3 and without running code; or the model.
    **options
        What the file does not say: `low`, `high`, `observation_scaling`, `activation`, and more that `docs/convert.md`
        lists.

    Returns
    -------
    Policy
        Its `action(observations)` is ``model.predict(observations, deterministic=True)[0]``; `network` is the network.
    """
    return _module("stable_baselines3").policy(model, **options)


def from_spark(model: Any, *, dtype: Any = None, engine: str = "auto", n_threads: Threads = "auto") -> Network:
    """Return the network of a MultilayerPerceptronClassificationModel of Spark.

    Parameters
    ----------
    model : path-like or model
        The folder that ``model.save`` has written, which pyarrow reads (``pip install 'fastmlp[spark]'``); or the
        model in PySpark.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64, as in Spark.
    engine, n_threads
        As for `Network`.
    """
    return _network(_module("spark", "spark").read(model), dtype, engine, n_threads)


def from_fann(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    **options: Any,
) -> Network:
    """Return the network of a file of FANN.

    Parameters
    ----------
    path : path-like or bytes
        The file that ``fann_save`` has written.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the file's.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it.
    """
    return _network(_module("fann").read(path, **options), dtype, engine, n_threads)


def from_file(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    **options: Any,
) -> Any:
    """Return the network in a file of any tool that is known here, found by the file's content.

    Parameters
    ----------
    path : path-like
        A model file of ONNX, PyTorch, safetensors, Keras, stable-baselines3, FANN, R (nnet), OpenCV, PMML, lwtnn,
        RTNeural or pyrenn; a folder of Spark; or a model file of fastmlp.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the file's.
    engine, n_threads
        As for `Network`.
    **options
        What the file does not say, as `from_torch` and the others take it.

    Returns
    -------
    Network or Policy
        A `Policy` of a file of stable-baselines3.

    Raises
    ------
    FormatError
        If the content is none that is known, is damaged, or has no equal network.
    OSError
        If the file cannot be read.

    Examples
    --------
    >>> fastmlp.Network([3, 2], loss="cross_entropy", seed=0).save("model.safetensors")
    >>> fastmlp.from_file("model.safetensors")
    Network([3, 2], softmax, cross_entropy, float32)
    """
    from . import recognition

    row = recognition.recognize(path)
    if row.module is None:
        return _load(path, dtype, engine, n_threads, options)
    module = _module(row.module, row.extra)
    if hasattr(module, "policy"):
        return module.policy(path, dtype=dtype, engine=engine, n_threads=n_threads, **options)
    return _network(module.read(path, **options), dtype, engine, n_threads)


def write(tool: str, net: Network, *args: Any, **options: Any) -> Any:
    """Return what `Network.to_<tool>` returns: the network in the form of the tool, one of WRITERS."""
    return _module(*WRITERS[tool]).write(net, *args, **options)


def _load(path: Any, dtype: Any, engine: str, n_threads: Threads, options: Mapping[str, Any]) -> Network:
    """Return the network in a model file of fastmlp, which says everything itself."""
    from ..architecture import check_dtype
    from ..network import load

    if options:
        raise TypeError(f"{', '.join(options)}: not for a model file of fastmlp, which says everything itself")
    net = load(path, engine=engine, n_threads=n_threads)
    if dtype is not None and check_dtype(dtype) != net.dtype:
        raise ValueError(f"dtype: expected None or {net.dtype.name!r}, that of the model file, got {dtype!r}")
    return net


def _network(chain: Any, dtype: Any, engine: str, n_threads: Threads) -> Network:
    from .checking import network

    return network(chain, dtype=dtype, engine=engine, n_threads=n_threads)


def _module(name: str, extra: str = "") -> ModuleType:
    """Import a module of this folder; where a package that it needs is missing, say which extra has it."""
    try:
        return import_module(f"fastmlp.convert.{name}")
    except ModuleNotFoundError as error:
        if error.name == f"fastmlp.convert.{name}":
            raise NotImplementedError(f"fastmlp {name}: this format is not supported by this version") from None
        if not extra:
            raise
        raise ImportError(
            f"{error.name} is needed for this and is not installed: pip install 'fastmlp[{extra}]'", name=error.name
        ) from error
