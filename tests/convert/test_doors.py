"""How models are found and read: the table of formats, the public functions, what is missing, the command line."""

from __future__ import annotations

import contextlib
import gzip
import io
import json
import pathlib
import pickle
import zipfile
from typing import Any

import numpy as np
import polars
import pytest

import fastmlp
from fastmlp import cli, convert
from fastmlp.convert import checking, recognition
from fastmlp.convert.chain import Chain, Linear
from processes import run_python


def zipped(*names: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as file:
        for name in names:
            file.writestr(name, "{}")
    return stream.getvalue()


SAFETENSORS = b'{"__metadata__":{"format":"pt"},"0.bias":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
FILES = {
    "safetensors": (len(SAFETENSORS).to_bytes(8, "little") + SAFETENSORS + bytes(4), "safetensors_file"),
    "stable-baselines3": (zipped("data", "policy.pth", "system_info.txt"), "stable_baselines3"),
    "keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "keras_models"),
    "keras in another order": (zipped("model.weights.h5", "assets/a", "config.json"), "keras_models"),
    "torch": (zipped("plain/data.pkl", "plain/version"), "torch_file"),
    "torch at the root": (zipped("version", "data.pkl"), "torch_file"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(40), "keras_models"),
    "onnx": (b"\x08\x08\x12\x07pytorch\x1a\x052.4.0", "onnx_model"),
    "onnx of nobody": (b"\x08\x04\x3a\x02\x00\x00", "onnx_model"),
    "fann": (b"FANN_FLO_2.1\nnum_layers=3\n", "fann"),
    "fixed fann": (b"FANN_FIX_2.1\ndecimal_point=8\n", "fann"),
    "rds": (b"X\n\0\0\0\3\0\4\2\2", "r_nnet"),
    "packed rds": (gzip.compress(b"X\n\0\0\0\3" + bytes(1000)), "r_nnet"),
    "rds as text": (b"A\n3\n262658\n", "r_nnet"),
    "nnet as json": (b' {"n": [3, 2, 1], "wts": [1.0], "nconn": [0]}', "r_nnet"),
    "yaml of opencv": (b"%YAML:1.0\n---\nopencv_ml_ann_mlp:\n   format: 3\n", "opencv"),
    "xml of opencv": (b"<?xml version='1.0'?>\n<opencv_storage>\n<opencv_ml_ann_mlp>", "opencv"),
    "json of opencv": (b'{\n    "opencv_ml_ann_mlp": {}}', "opencv"),
    "pmml": (b"<?xml version='1.0'?>\n<PMML version='4.4'>", "pmml"),
    "rtneural": (b'{"in_shape": [null, 3], "layers": []}', "rtneural"),
    "lwtnn": (b'\n{"inputs": [], "layers": [], "outputs": []}', "lwtnn"),
    "pyrenn": (b"nn\n3,4,2,1\ndIn\n0\n", "pyrenn"),
}


@pytest.mark.parametrize("kind", FILES)
def test_files_are_known_by_their_content(kind: str, tmp_path: pathlib.Path) -> None:
    content, module = FILES[kind]
    path = tmp_path / "model.png"
    path.write_bytes(content)
    assert recognition.recognize(path).module == module
    assert {module for _, module in FILES.values()} | {None, "spark"} == {row.module for row in recognition.FORMATS}


READERS = {"from_onnx": "onnx_model", "from_torch": "torch_file", "from_keras": "keras_models"}


@pytest.mark.parametrize("function", READERS)
@pytest.mark.parametrize("kind", FILES)
def test_a_reader_says_whose_file_it_was_given(function: str, kind: str, tmp_path: pathlib.Path) -> None:
    content, module = FILES[kind]
    if READERS[function] == module == "keras_models":
        pytest.importorskip("h5py")
    path = tmp_path / "model.png"
    path.write_bytes(content)
    with pytest.raises(fastmlp.FormatError) as caught:
        getattr(fastmlp, function)(path, **({"output_activation": "relu"} if function == "from_torch" else {}))
    is_own = READERS[function] == module or (function == "from_torch" and module == "safetensors_file")
    names = {row.module: row.name for row in recognition.FORMATS}
    assert (f"got a model of {names[module]}; fastmlp.from_file reads it" in str(caught.value)) != is_own


@pytest.mark.parametrize("function", READERS)
def test_a_reader_says_what_it_was_given(function: str, tmp_path: pathlib.Path) -> None:
    fastmlp.Network([2, 1], seed=0).save(tmp_path / "ours")
    (tmp_path / "text").write_text("hello, world", "utf-8")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "saved_model.pb").write_bytes(b"")
    cases = [("ours", "got a model of fastmlp; fastmlp.load reads it"), ("text", "got a table as text")]
    if function == "from_keras":
        cases.append(("folder", "got a SavedModel of TensorFlow.*save it as .keras"))
    for name, message in cases:
        with pytest.raises(fastmlp.FormatError, match=message):
            getattr(fastmlp, function)(tmp_path / name)


def test_a_folder_of_spark(tmp_path: pathlib.Path) -> None:
    (tmp_path / "data").mkdir()
    with pytest.raises(fastmlp.FormatError, match=r"expected a model of .*, got a folder"):
        recognition.recognize(tmp_path)
    (tmp_path / "metadata").mkdir()
    assert recognition.recognize(tmp_path).module == "spark"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"age,income\n3,4\n", "a table as text, whose first line is 'age,income'"),
        (b'{"a": 1}', "JSON text$"),
        (b"\x08\x01\x12\xf5\x0a\x0a", "a TensorFlow SavedModel"),
        (gzip.compress(b"a" * 50), "a file packed by gzip. Unpack it first"),
        (pickle.dumps({"a": 1}), r"a pickle .* fastmlp\.from_sklearn\(estimator\) then makes a network"),
        (zipped("fastmlp-ensemble.json"), r"the file of an ensemble\. fastmlp\.Ensemble\.load reads it"),
        (zipped("a.txt"), "a zip archive"),
        (b"\x01\x02\x03", "other bytes"),
    ],
)
def test_other_files_are_described(content: bytes, found: str, tmp_path: pathlib.Path) -> None:
    (tmp_path / "m").write_bytes(content)
    with pytest.raises(fastmlp.FormatError, match=f"m: expected a model of fastmlp, Spark, .* pyrenn, got {found}"):
        fastmlp.from_file(tmp_path / "m")


def test_a_damaged_archive(tmp_path: pathlib.Path) -> None:
    (tmp_path / "m").write_bytes(zipped("data", "policy.pth")[:60])
    with pytest.raises(fastmlp.FormatError, match="m: expected a zip archive, got one that is cut off or altered"):
        fastmlp.from_file(tmp_path / "m")


def test_every_beginning_is_recognised_or_refused(tmp_path: pathlib.Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "m"
    for content, _ in FILES.values():
        for length in range(0, len(content), 1 + len(content) // 40):
            path.write_bytes(content[:length] + rng.bytes(10))
            with contextlib.suppress(fastmlp.FormatError):
                recognition.recognize(path)


def test_no_file(tmp_path: pathlib.Path) -> None:
    with pytest.raises(FileNotFoundError):
        fastmlp.from_file(tmp_path / "m")


def test_every_format_has_a_reader_and_every_tool_a_writer() -> None:
    """The modules of the tables are there, whether or not the packages that they need are."""
    folder = pathlib.Path(convert.__file__).parent
    names = {row.module for row in recognition.FORMATS} - {None} | {module for module, _ in convert.WRITERS.values()}
    assert [name for name in names if not (folder / f"{name}.py").exists()] == []
    assert all(name in fastmlp.__all__ for name in convert.__all__)


# to_c holds encoders: test_c.py
MODULES = {"sklearn": "sklearn", "torch": "torch", "keras": "keras", "onnx": "numpy", "fann": "numpy"}


@pytest.mark.parametrize("tool", MODULES)
def test_what_no_tool_can_hold_is_refused_before_anything_is_written(tool: str, tmp_path: pathlib.Path) -> None:
    pytest.importorskip(MODULES[tool])
    words = {"path": tmp_path / "m"} if tool in ("onnx", "fann") else {}
    for name in ("input_scaling", "target_scaling"):
        net = fastmlp.Network([3, 2], **{name: "standard"})
        with pytest.raises(ValueError, match=f"^{name}: expected one that a fit has computed, .*; fit the network"):
            getattr(net, f"to_{tool}")(**words)
    encoder = fastmlp.Encoder.fit(polars.DataFrame({"p": [1.0, 2.0], "q": ["u", "v"]}))
    net = fastmlp.Network([encoder.n_outputs, 2], encoder=encoder)
    with pytest.raises(ValueError, match=r"^encoder: expected a network without one, .*; encode the rows and train"):
        getattr(net, f"to_{tool}")(**words)
    assert not list(tmp_path.iterdir())


def test_a_file_goes_through_the_door_and_out_again(tmp_path: pathlib.Path) -> None:
    net = fastmlp.Network([3, 4, 2], activation="tanh", seed=0)
    net.to_onnx(tmp_path / "a")
    net.to_fann(tmp_path / "b")
    for name, tool in (("a", "fastmlp"), ("b", "FANN")):
        again = fastmlp.from_file(tmp_path / name)
        assert np.array_equal(again.parameters, net.parameters)
        assert again.conversion.source == tool
    out = tmp_path / "c.net"
    assert cli.main(["convert", str(tmp_path / "a"), str(out), "--quiet"]) == 0
    assert np.array_equal(fastmlp.from_fann(out).parameters, net.parameters)


# -- our own file ------------------------------------------------------------------------------------------------------


def test_our_own_file_is_loaded(tmp_path: pathlib.Path) -> None:
    net = fastmlp.Network([3, 4, 2], loss="cross_entropy", class_names=["a", "b"], seed=0)
    net.save(tmp_path / "m")
    again = fastmlp.from_file(tmp_path / "m", engine="blas", n_threads=1)
    assert np.array_equal(again.parameters, net.parameters)
    assert (again.class_names, again.engine, again.n_threads, again.conversion) == (("a", "b"), "blas", 1, None)
    assert fastmlp.from_file(tmp_path / "m", dtype="float32").dtype == np.float32
    with pytest.raises(ValueError, match="dtype: expected None or 'float32', that of the model file, got 'float64'"):
        fastmlp.from_file(tmp_path / "m", dtype="float64")
    with pytest.raises(TypeError, match="activation: not for a model file of fastmlp, which says everything itself"):
        fastmlp.from_file(tmp_path / "m", activation="tanh")


# -- what is imported, and what is missing -----------------------------------------------------------------------------


def test_nothing_is_imported_before_it_is_asked_for() -> None:
    lines = run_python(
        "import sys, fastmlp\n"
        "print('fastmlp.convert' in sys.modules)\n"
        "fastmlp.from_file\n"
        "print(*sorted(name for name in sys.modules if name.startswith('fastmlp.convert')))\n"
        "import fastmlp.convert.checking\n"
        "print(*sorted({'scipy', 'numpy.random', 'zipfile', 'torch', 'sklearn', 'keras'} & set(sys.modules)), end='.')"
    ).splitlines()
    assert lines == ["False", "fastmlp.convert", "."]


@pytest.mark.parametrize(
    ("package", "call", "extra"),
    [
        ("sklearn", "fastmlp.from_sklearn(None)", "sklearn"),
        ("sklearn", "net.to_sklearn()", "sklearn"),
        ("torch", "fastmlp.from_torch(object())", "torch"),
        ("torch", "net.to_torch()", "torch"),
    ],
)
def test_a_missing_package_is_named_with_its_extra(package: str, call: str, extra: str) -> None:
    lines = run_python(
        f"import sys\nsys.modules[{package!r}] = None\n"
        "import fastmlp\n"
        "net = fastmlp.Network([3, 2])\n"
        f"try:\n    {call}\nexcept ImportError as error:\n    print(error)"
    ).splitlines()
    assert lines == [f"{package} is needed for this and is not installed: pip install 'fastmlp[{extra}]'"]


def test_a_package_without_an_extra_is_the_error_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'other'", name="other")

    monkeypatch.setattr(convert, "import_module", missing)
    with pytest.raises(ModuleNotFoundError, match="No module named 'other'"):
        fastmlp.from_fann("m.net")


# -- the command line --------------------------------------------------------------------------------------------------


def test_convert_writes_what_the_suffix_says(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = Linear(np.ones((1, 3)), np.zeros(1), "layer")
    net = checking.network(Chain((layer,), "a tool", "1.2", "float32", 3, folded=("Dropout 0.3",)))
    given: dict[str, Any] = {}

    def from_file(path: str, **options: Any) -> fastmlp.Network:
        given.update(path=path, **options)
        return net

    monkeypatch.setattr(convert, "from_file", from_file)
    out = tmp_path / "out.safetensors"
    assert cli.main(["convert", "model.pt", str(out), "--activation", "tanh"]) == 0
    assert given == {"path": "model.pt", "dtype": None, "activation": "tanh"}
    assert np.array_equal(fastmlp.load(out).parameters, net.parameters)
    assert capsys.readouterr().out.splitlines() == [
        f"{out}: Network([3, 1], identity, half_squared_error, float32)",
        f"from a tool 1.2, largest difference {net.conversion.difference:.3g}",
        "  Dropout 0.3",
    ]
    assert cli.main(["convert", "model.pt", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["folded"] == ["Dropout 0.3"]
    assert cli.main(["convert", "model.pt", str(out), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_convert_takes_what_a_file_does_not_say(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {}

    def from_file(path: str, **options: Any) -> fastmlp.Network:
        given.update(options)
        return fastmlp.Network([2, 1], seed=0)

    monkeypatch.setattr(convert, "from_file", from_file)
    args = {
        "--activation": ("relu", "relu"), "--output-activation": ("softmax", "softmax"),
        "--dtype": ("float64", "float64"), "--layers": ("a.0,relu,a.2", ("a.0", "relu", "a.2")),
        "--eps": ("1e-3", 1e-3),
        "--entry": ("net", "net"),
        "--low": ("-1,-2.5", (-1.0, -2.5)), "--high": ("3", 3.0), "--loss": ("mse", "mse"),
        "--class-names": ("no,yes", ("no", "yes")), "--feature-names": ("x,y", ("x", "y")),
    }  # fmt: skip
    flags = ["--ignore-unused", "--half-precision"]
    listed = [text for name, (value, _) in args.items() for text in (name, value)]
    assert cli.main(["convert", "model", str(tmp_path / "out.onnx"), "--quiet", *listed, *flags]) == 0
    expected = {name: value for name, (_, value) in args.items()} | dict.fromkeys(flags, True)
    assert given == {name[2:].replace("-", "_"): value for name, value in expected.items()}
    for name, (value, _) in args.items():
        with pytest.raises(SystemExit):
            cli.main(["convert", "model", str(tmp_path / "out.onnx"), name, value, name, value])


def test_convert_asks_for_its_own_options(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Messages name options, and what they propose can be given."""
    shapes = {"enc.0": (4, 3), "enc.2": (2, 4), "head.0": (1, 2)}
    state = {f"{name}.{part}": np.ones(shape[:n], np.float32) for name, shape in shapes.items()
             for part, n in (("weight", 2), ("bias", 1))}  # fmt: skip
    header: dict[str, Any] = {}
    content = b"".join(array.tobytes() for array in state.values())
    end = 0
    for name, array in state.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [end, end + array.nbytes]}
        end += array.nbytes
    text = json.dumps(header).encode()
    path, out = tmp_path / "model", str(tmp_path / "out.onnx")
    path.write_bytes(len(text).to_bytes(8, "little") + text + content)
    assert cli.main(["convert", str(path), out, "--activation", "tanh", "--output-activation", "sigmoid"]) == 1
    message = capsys.readouterr().err
    proposed = message.split("--layers ")[1].strip()
    assert proposed == "enc.0,tanh,enc.2,tanh,head.0,sigmoid"
    assert cli.main(["convert", str(path), out, "--layers", "enc.0,tanh,enc.2"]) == 1
    assert "give --ignore-unused" in capsys.readouterr().err
    assert cli.main(["convert", str(path), out, "--layers", proposed]) == 0
    assert "order of the layers: enc.0 -> tanh -> enc.2 -> tanh -> head.0 -> sigmoid" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("name", "args", "outputs"),
    [
        ("dqn", [], "a score for each action, of which the largest is taken"),
        ("ppo_box", ["--low", "-2,0", "--high", "2,5"], "actions before they are clipped to low and high"),
    ],
)
def test_convert_says_what_a_policy_loses(
    name: str, args: list[str], outputs: str, tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = pathlib.Path(__file__).parent / "models" / "stable-baselines3" / f"{name}.zip"
    assert cli.main(["convert", str(path), str(tmp_path / "out.onnx"), *args]) == 0
    assert f"a policy, whose outputs are {outputs}" in capsys.readouterr().out.splitlines()
    assert cli.main(["convert", str(path), str(tmp_path / "out.onnx"), "--json", *args]) == 0
    assert json.loads(capsys.readouterr().out)["outputs"] == outputs


def test_convert_writes_and_reads_a_policy(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = pathlib.Path(__file__).parent / "models" / "stable-baselines3" / "ppo_box.zip"
    monkeypatch.chdir(tmp_path)
    assert cli.main(["convert", str(path), "policy.zip", "--low", "-2,0", "--high", "2,5"]) == 0
    assert capsys.readouterr().out.startswith("policy.zip: <Policy, clipped actions of Network([")
    policy = fastmlp.Policy.load("policy.zip")
    assert policy.high is not None
    assert policy.high.tolist() == [2, 5]
    assert cli.main(["convert", "policy.zip", "net.safetensors"]) == 0
    assert "a policy, whose outputs are actions before they are clipped" in capsys.readouterr().out
    assert np.array_equal(fastmlp.load("net.safetensors").parameters, policy.network.parameters)
    assert cli.main(["convert", "net.safetensors", "net.zip"]) != 0
    assert "*.zip for a network: .zip is the file of a policy" in capsys.readouterr().err


def test_convert_names_what_is_wrong(
    tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fastmlp.Network([3, 1], seed=0).save("m")
    for args, message in (
        (["m", "out.pt"], "OUT: expected a name that ends in one of .zip, .safetensors, .onnx, .keras, .net, got "),
        (["none", "out.onnx"], "none: No such file or directory"),
        (["m", "out.onnx", "--activation", "tanh"], "activation: not for a model file of fastmlp"),
    ):
        assert cli.main(["convert", *args]) == 1
        assert message in capsys.readouterr().err


def test_the_command_takes_the_order_of_layers(tmp_path: pathlib.Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = {"head.weight": np.eye(3, dtype=np.float32), "encoder.weight": np.full((3, 3), 0.5, np.float32)}
    places = {
        n: {"dtype": "F32", "shape": [3, 3], "data_offsets": [36 * i, 36 * i + 36]} for i, n in enumerate(weights)
    }
    header = json.dumps(places).encode()
    content = b"".join(each.tobytes() for each in weights.values())
    (tmp_path / "m").write_bytes(len(header).to_bytes(8, "little") + header + content)
    out = str(tmp_path / "out.safetensors")
    given = ["--activation", "tanh", "--output-activation", "identity"]
    assert cli.main(["convert", str(tmp_path / "m"), out, *given]) == 1
    assert "in the order in which forward uses them" in capsys.readouterr().err
    assert cli.main(["convert", str(tmp_path / "m"), out, "--layers", "encoder,tanh,head", "--quiet"]) == 0
    net = fastmlp.load(out)
    assert (net.activation, net.output_activation) == ((fastmlp.Tanh(),), fastmlp.Identity())
    assert np.array_equal(net.weights[0], weights["encoder.weight"])
