"""Networks of other tools: read into a `Network`, and written out again.

The functions here are those that users call; `fastmlp` has the same names. Each imports its format's module when it is
called, and turns what that returns, a `Chain` (see chain.py), into a network that is compared with the original (see
checking.py). `recognition.FORMATS` is the table of the formats of files; `WRITERS` is the one of what networks become.
"""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, SupportsIndex

from ..errors import FormatError

if TYPE_CHECKING:
    from types import ModuleType

    from ..inputs.labels import Label
    from ..losses import Loss
    from ..network import Network

    Threads = SupportsIndex | str
    ClassNames = Sequence[Label] | None
    FeatureNames = Sequence[str] | None

__all__ = [
    "from_fann",
    "from_file",
    "from_keras",
    "from_lwtnn",
    "from_onnx",
    "from_opencv",
    "from_pmml",
    "from_pyrenn",
    "from_r_nnet",
    "from_rtneural",
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
    "fann": ("fann_writer", ""),
    "c": ("c_writer", ""),
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
    model: Any,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    loss: str | Loss | None = None,
    class_names: ClassNames = None,
    feature_names: FeatureNames = None,
    **spec: Any,
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
    loss, class_names, feature_names
        As for `Network`, where the model does not say them. If the model gives logits (BCEWithLogitsLoss,
        from_logits=True) and the loss is one of probabilities, the network has the sigmoid or softmax and gives these.
    **spec
        What a state dict does not say, and only for one: `activation` of the hidden layers (a name or an object, or a
        list with one for each) and `output_activation` ("identity" if there is none); or in their place `layers`, the
        names of the modules and the activations in the order of their use, which is required where names and shapes
        leave it in doubt, with `ignore_unused`, True if it leaves out modules on purpose; `eps` of BatchNorm1d, by
        default 1e-5; and `entry`, the name of the state dict in a checkpoint, where it is not "state_dict",
        "model_state_dict" or "model". No check can find a wrong order: compare a row with the model's own forward.

    Raises
    ------
    FormatError
        If no network is equal to the model; the message names the layer.

    Examples
    --------
    >>> state = {"0.weight": np.ones((2, 3), np.float32), "0.bias": np.zeros(2, np.float32)}
    >>> state |= {"2.weight": np.ones((1, 2), np.float32), "2.bias": np.zeros(1, np.float32)}
    >>> fastmlp.from_torch(state, activation="relu", output_activation="identity")
    Network([3, 2, 1], relu -> identity, half_squared_error, float32)
    """
    is_file = isinstance(model, (str, bytes, os.PathLike, Mapping))
    modules = ("torch_file", "safetensors_file") if is_file else ("torch_modules",)
    chain = _read(model, spec, *modules, extra="" if is_file else "torch")
    return _network(chain, dtype, engine, n_threads, loss, class_names, feature_names)


def from_keras(
    model: Any,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    loss: str | Loss | None = None,
    class_names: ClassNames = None,
    feature_names: FeatureNames = None,
    **options: Any,
) -> Network:
    """Return the network of a Keras model.

    Parameters
    ----------
    model : keras.Model, path-like or bytes
        A Sequential or Functional model whose layers stand in a row; or its file, ``.keras``, ``.h5`` or
        ``.weights.h5``, also of Keras 2. Files are read by h5py (``pip install 'fastmlp[keras]'``), without Keras.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the model's.
    engine, n_threads
        As for `Network`.
    loss, class_names, feature_names
        As for `Network`, where the model does not say them. If the model gives logits (BCEWithLogitsLoss,
        from_logits=True) and the loss is one of probabilities, the network has the sigmoid or softmax and gives these.
    **options
        What the file does not say: `architecture`, the text of ``model.to_json()``, for a file of weights alone;
        `keras_version`; `half_precision`. See `docs/convert.md`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to the model; the message names the layer.
    """
    chain = _read(model, options, "keras_models")
    return _network(chain, dtype, engine, n_threads, loss, class_names, feature_names)


def from_onnx(
    model: Any,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    loss: str | Loss | None = None,
    class_names: ClassNames = None,
    feature_names: FeatureNames = None,
    **options: Any,
) -> Network:
    """Return the network of an ONNX model.

    Parameters
    ----------
    model : path-like, bytes or onnx.ModelProto
        The file, or its content. External data is read from the file's folder.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the model's.
    engine, n_threads
        As for `Network`.
    loss, class_names, feature_names
        As for `Network`, where the model does not say them. If the model gives logits (BCEWithLogitsLoss,
        from_logits=True) and the loss is one of probabilities, the network has the sigmoid or softmax and gives these.
    **options
        `output`, the name of the output to import, where the graph has several; `half_precision`, True for a model that
        computes in float16 or bfloat16, which then becomes one of float32.

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
    chain = _read(model, options, "onnx_model")
    return _network(chain, dtype, engine, n_threads, loss, class_names, feature_names)


def from_stable_baselines3(model: Any, **options: Any) -> Any:
    """Return the policy of a model of stable-baselines3.

    Parameters
    ----------
    model : path-like, bytes or model
        The file that `model.save` has written, read without stable-baselines3 and without running code; or the model.
    **options
        What the file does not say: `low` and `high`, the bounds of continuous actions; `observation_scaling`, the
        statistics of VecNormalize; `activation`, where the file does not name it; `dtype`, `engine`, `n_threads`.

    Returns
    -------
    Policy
        Its `action(observations)` is ``model.predict(observations, deterministic=True)[0]``; `network` is the network.
    """
    return _call(_module("stable_baselines3").policy, options, model)


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
    scaling: bool = False,
    clip: bool = True,
    rectifiers: bool = False,
) -> Network:
    """Return the network of a file of FANN.

    Parameters
    ----------
    path : path-like or bytes
        The text file that ``fann_save`` has written.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64 if a weight in the file is none of float32, else float32.
    engine, n_threads
        As for `Network`.
    scaling : bool, default False
        Whether the network does what ``fann_scale_input``, ``fann_run`` and ``fann_descale_output`` do together. False
        is ``fann_run`` alone, which does not apply the scaling parameters of its file.
    clip : bool, default True
        Whether sums are clipped as FANN does, at 150 divided by the steepness, where that can be seen. False is faster,
        and right where no sum gets so large.
    rectifiers : bool, default False
        Whether activation codes 18 and 19 are ReLU and leaky ReLU, as in FANN's newest source. Release 2.2.0 accepts
        and computes something else, so by default they are refused.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it.

    Examples
    --------
    >>> fastmlp.Network([3, 8, 2], activation="tanh", seed=0).to_fann("model.net")
    >>> fastmlp.from_fann("model.net")
    Network([3, 8, 2], tanh -> identity, half_squared_error, float32)
    """
    chain = _module("fann").read(path, scaling=scaling, clip=clip, rectifiers=rectifiers)
    return _network(chain, dtype, engine, n_threads)


def from_lwtnn(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
) -> Network:
    """Return the network of a sequential network of lwtnn.

    Parameters
    ----------
    path : path-like or bytes
        The JSON that its converters have written.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it; the message names the place.
    """
    return _network(_module("lwtnn").read(path), dtype, engine, n_threads)


def from_opencv(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
) -> Network:
    """Return the network of an ANN_MLP of OpenCV.

    Parameters
    ----------
    path : path-like or bytes
        What its ``save`` has written, as YAML, XML or JSON.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it; the message names the place.
    """
    return _network(_module("opencv").read(path), dtype, engine, n_threads)


def from_pmml(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
) -> Network:
    """Return the network of a NeuralNetwork of PMML.

    Parameters
    ----------
    path : path-like or bytes
        The XML, as nyoka and sklearn2pmml write it.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it; the message names the place.
    """
    return _network(_module("pmml").read(path), dtype, engine, n_threads)


def from_pyrenn(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
) -> Network:
    """Return the network of a feed-forward network of pyrenn.

    Parameters
    ----------
    path : path-like or bytes
        The CSV that ``pyrenn.saveNN`` has written.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it; the message names the place.
    """
    return _network(_module("pyrenn").read(path), dtype, engine, n_threads)


def from_r_nnet(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
) -> Network:
    """Return the network of an nnet of R.

    Parameters
    ----------
    path : path-like or bytes
        What ``saveRDS`` has written, or the JSON export of `docs/convert.md`.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float64.
    engine, n_threads
        As for `Network`.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it; the message names the place.
    """
    return _network(_module("r_nnet").read(path), dtype, engine, n_threads)


def from_rtneural(
    path: str | os.PathLike[str] | bytes,
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    unnamed: Any = None,
) -> Network:
    """Return the network of a network of dense layers of RTNeural.

    Parameters
    ----------
    path : path-like or bytes
        The JSON that its exporter has written.
    dtype : {"float32", "float64"}, optional
        That of the network; None is float32.
    engine, n_threads
        As for `Network`.
    unnamed : str, Activation or a sequence of them, optional
        The activation of the layers for which the file says "", which is what the exporter writes for GELU and others:
        one for all, or one for each. Without it, the last layer has none, and such a hidden layer is refused.

    Raises
    ------
    FormatError
        If the file is damaged, or no network is equal to it; the message names the place.
    """
    return _network(_module("rtneural").read(path, unnamed=unnamed), dtype, engine, n_threads)


def from_file(
    path: str | os.PathLike[str],
    *,
    dtype: Any = None,
    engine: str = "auto",
    n_threads: Threads = "auto",
    loss: str | Loss | None = None,
    class_names: ClassNames = None,
    feature_names: FeatureNames = None,
    **options: Any,
) -> Any:
    """Return the network in a file of any tool that is known here, found by the file's content.

    Parameters
    ----------
    path : path-like
        A model file of ONNX, PyTorch, safetensors, Keras, stable-baselines3, FANN, R (nnet), OpenCV, PMML, lwtnn,
        RTNeural or pyrenn; a folder of Spark; or a file of a network or a policy of fastmlp.
    dtype : {"float32", "float64"}, optional
        That of the network; None is the file's.
    engine, n_threads
        As for `Network`.
    loss, class_names, feature_names
        As for `Network`, where the model does not say them. If the model gives logits (BCEWithLogitsLoss,
        from_logits=True) and the loss is one of probabilities, the network has the sigmoid or softmax and gives these.
    **options
        What the file does not say, as `from_torch` and the others take it.

    Returns
    -------
    Network or Policy
        A `Policy` of a file of stable-baselines3, or of one that `Policy.save` has written.

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
    given = {"loss": loss, "class_names": class_names, "feature_names": feature_names}
    supplied = {name: value for name, value in given.items() if value is not None}
    if row.module is None:
        return _load(row is recognition.POLICY, path, dtype, engine, n_threads, {**options, **supplied})
    module = _module(row.module, row.extra)
    if hasattr(module, "policy"):
        options = {**options, **supplied, "dtype": dtype, "engine": engine, "n_threads": n_threads}
        return _call(module.policy, options, path)
    return _network(_call(module.read, options, path), dtype, engine, n_threads, loss, class_names, feature_names)


def write(tool: str, net: Network, *args: Any, **options: Any) -> Any:
    """Return what `Network.to_<tool>` returns: the network in the form of the tool, one of WRITERS."""
    return _call(_module(*WRITERS[tool]).write, options, net, *args)


def _load(is_policy: bool, path: Any, dtype: Any, engine: str, n_threads: Threads, options: Mapping[str, Any]) -> Any:
    """Return the network or the policy in a file of fastmlp, which says everything itself."""
    from ..architecture import check_dtype
    from ..network import load
    from ..policy import Policy

    if options:
        raise TypeError(f"{', '.join(options)}: not for a model file of fastmlp, which says everything itself")
    read = Policy.load if is_policy else load
    model: Any = read(path, engine=engine, n_threads=n_threads)
    own = getattr(model, "network", model).dtype
    if dtype is not None and check_dtype(dtype) != own:
        raise ValueError(f"dtype: expected None or {own.name!r}, that of the model file, got {dtype!r}")
    return model


def _read(source: Any, options: Mapping[str, Any], *modules: str, extra: str = "") -> Any:
    """Return what the first of these modules reads; of a file that none of them reads, say what it is."""
    read = _module(modules[0], extra).read
    try:
        return _call(read, options, source)
    except FormatError as error:
        if isinstance(source, (str, os.PathLike)):
            from . import recognition

            try:
                recognition.refuse_other(source, modules)
            except FormatError as other:
                raise other from error
        raise


def _call(function: Callable[..., Any], options: Mapping[str, Any], *args: Any) -> Any:
    """Call a reader or writer, after a check that it takes the options."""
    if options:
        parameters = inspect.signature(function).parameters.values()
        taken = [each.name for each in parameters if each.kind is each.KEYWORD_ONLY]
        unknown = next((name for name in options if name not in taken), None)
        if unknown is not None:
            expected = f"one of the arguments {', '.join(taken)}" if taken else "no arguments for this kind of model"
            raise TypeError(f"{unknown}: expected {expected}, got {unknown}={options[unknown]!r:.60}")
    return function(*args, **options)


def _network(chain: Any, dtype: Any, engine: str, n_threads: Threads, *supplied: Any) -> Network:
    """Return the network of a chain and of what the caller says beside it, see supplied.py."""
    from .checking import network
    from .supplied import supply

    return network(supply(chain, *supplied), dtype=dtype, engine=engine, n_threads=n_threads)


def _module(name: str, extra: str = "") -> ModuleType:
    """Import a module of this folder; where a package that it needs is missing, say which extra has it."""
    try:
        return import_module(f"fastmlp.convert.{name}")
    except ModuleNotFoundError as error:
        if not extra:
            raise
        raise ImportError(
            f"{error.name} is needed for this and is not installed: pip install 'fastmlp[{extra}]'", name=error.name
        ) from error
