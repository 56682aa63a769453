"""Networks written in C: the outputs of `predict` by every compiler and for every activation, and what is refused.

A file of C is compiled to a library that is called through ctypes, or, with FASTMLP_SELF_TEST, to a program. Several
networks go into one file by #include, as all names in a generated file begin with the name of its function.
"""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import SAFETY, ULP

import fastmlp
from fastmlp import activations as a
from fastmlp import cli
from fastmlp.convert import c_int8
from fastmlp.convert.c_writer import JUMPS
from fastmlp.tables.columns import PlainFrame

KINDS: list[fastmlp.Activation] = [
    a.Identity(), a.Sigmoid(), a.Sigmoid(-2.5), a.Tanh(), a.ReLU(), a.PiecewiseLinear(), a.PiecewiseLinear(-0.3, 1.7),
    a.PiecewiseLinear(-3e38, 3e38), a.Gaussian(), a.Gaussian(0.3, 0.8), a.Threshold(),
    a.StepwiseSigmoid(), a.StepwiseTanh(), a.LeakyReLU(), a.LeakyReLU(0.25), a.ELU(), a.ELU(0.7), a.SELU(), a.GELU(),
    a.GELU("tanh"), a.SiLU(), a.Mish(), a.Softplus(), a.Softplus(1.7), a.Softsign(), a.HardSigmoid(), a.HardTanh(),
    a.HardTanh(-0.4, 1.2), a.HardTanh(0.0, 6.0), a.Sine(), a.Sine(30.0),
]  # fmt: skip
CASES = [(f, dtype) for f in KINDS for dtype in ULP] + [(a.PiecewiseLinear(-8e307, 8e307), "float64")]
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic", "-Wconversion", "-Wshadow", "-Wdouble-promotion"]
C = ["-std=c99", *WARNINGS, "-Wmissing-prototypes", "-Wstrict-prototypes"]
PLAIN = ["-U__SSE2__", "-U__AVX__", "-U__AVX512F__"]  # no vectors, as on a microcontroller
COMPILERS = {  # name: the command; each also shows that there is no warning
    "gcc": ["gcc", *C, "-O3", "-march=native"],
    "gcc-base": ["gcc", *C, "-O2"],
    "gcc-plain": ["gcc", *C, "-Os", *PLAIN],
    "gcc-sanitized": ["gcc", *C, "-O1", "-march=native", "-fsanitize=undefined", "-fno-sanitize-recover=all"],
    "g++": ["g++", "-x", "c++", "-std=c++11", *WARNINGS, "-O2"],
    "clang": ["clang", *C, "-O3", "-march=native"],
    "clang-plain": ["clang", *C, "-O2", *PLAIN],
    "clang++": ["clang++", "-x", "c++", "-std=c++20", *WARNINGS, "-O2", "-mavx2", "-mfma"],
}
SHAPES = [  # around the ends of vectors and of panels, with layers by rows and by columns
    [1, 1], [2, 3, 1], [3, 17, 2], [10, 32, 32, 1], [16, 1], [33, 5, 40, 3], [31, 2], [4, 64, 2], [7, 65, 1],
    [5, 130, 9], [20, 200, 16], [129, 15, 1], [64, 8], [1, 96, 31],
]  # fmt: skip
CORTEX_M4 = ["-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"]
CORTEX_A15 = ["-mcpu=cortex-a15", "-mthumb", "-mfloat-abi=hard", "-mfpu=vfpv4"]  # which qemu-arm runs without a system


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        package = {"qemu-arm": "qemu-user", "clang++": "clang"}.get(name, name)
        package = "gcc-arm-none-eabi libnewlib-arm-none-eabi" if name.startswith("arm-") else package
        pytest.skip(f"{name}: apt-get install {package}")
    return found


def network(sizes: list[int], dtype: str, seed: int, spread: float = 0.7, **more: Any) -> fastmlp.Network:
    net = fastmlp.Network(sizes, dtype=dtype, seed=seed, **more)
    net.parameters = np.random.default_rng(seed).normal(size=net.n_parameters) * spread
    return net


def compiled(folder: Path, source: Path, compiler: list[str]) -> ctypes.CDLL:
    tool(compiler[0])
    library = folder / f"{source.stem}.so"
    subprocess.run([*compiler, "-shared", "-fPIC", str(source), "-o", str(library), "-lm"], check=True)
    return ctypes.CDLL(str(library))


def answers(library: ctypes.CDLL, function: str, x: Any, n_outputs: int, dtype: Any) -> Any:
    """Return the outputs of the C function for rows."""
    y = np.full((len(x), n_outputs), np.nan, dtype)
    for row, output in zip(np.ascontiguousarray(x), y, strict=True):
        getattr(library, function)(row.ctypes.data_as(ctypes.c_void_p), output.ctypes.data_as(ctypes.c_void_p))
    return y


def self_test(
    folder: Path, source: Path, compiler: list[str], run: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    tool(compiler[0])
    program = folder / "self_test"
    command = [*compiler, "-DFASTMLP_SELF_TEST", str(source), "-o", str(program), "-lm"]
    subprocess.run(command, check=True)
    return subprocess.run([*run, str(program)], capture_output=True, text=True, timeout=60, check=False)


def assert_close(net: fastmlp.Network, actual: Any, expected: Any, slope: float = 1.0) -> None:
    """Compare outputs; the tolerance is that of two implementations (see conftest.py), relative to the largest output.

    `slope` is how much larger an output's error may be than the error of the sum that its activation takes.
    """
    assert actual.dtype == expected.dtype
    relative = SAFETY * ULP[net.dtype.name] * sum(np.sqrt(n) + 4 for n in net.sizes[:-1]) * slope
    np.testing.assert_allclose(actual, expected, rtol=0, atol=relative * max(np.abs(expected).max(), 1e-30))


@pytest.fixture(scope="module", params=list(COMPILERS))
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Return a library of one layer for each activation and dtype, of SHAPES and of a softmax, and the networks."""
    folder = tmp_path_factory.mktemp("c")
    nets: dict[str, fastmlp.Network] = {}
    for number, (f, dtype) in enumerate(CASES):
        nets[f"layer{number}"] = network([1, 1], dtype, number, output_activation=f)
        nets[f"layer{number}"].set_layer(0, [[1.0]], [0.0])
    for dtype in ULP:
        for number, sizes in enumerate(SHAPES):
            kinds = [KINDS[(number * 5 + layer) % 5 + 1] for layer in range(len(sizes) - 2)]
            nets[f"shape{number}_{dtype}"] = network(sizes, dtype, number, activation=kinds)
        nets[f"softmax_{dtype}"] = network([6, 9, 7], dtype, 5, output_activation="softmax", loss="cross_entropy")
    for name, net in nets.items():
        net.to_c(folder / f"{name}.c", function=name)
    (folder / "all.c").write_text("".join(f'#include "{name}.c"\n' for name in nets))
    return compiled(folder, folder / "all.c", COMPILERS[request.param]), nets


POINTS = np.concatenate(
    [np.linspace(-12, 12, 2001), np.geomspace(1e-12, 1e4, 500), -np.geomspace(1e-12, 1e4, 500), [0.0, -0.0]]
)
SPECIAL = np.array([np.inf, -np.inf, np.nan, -np.nan, 3e38, -3e38, 1e6, -2e7])


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda number: "{!r}-{}".format(*CASES[number]))
def test_an_activation_is_that_of_predict(built: Any, number: int) -> None:
    """As accurate as the kernels: 8 ULP, and 8 ULP of what is added where large numbers cancel; NaN and infinities."""
    library, nets = built
    name, dtype = f"layer{number}", CASES[number][1]
    net = nets[name]
    x = np.concatenate([POINTS, SPECIAL]).astype(dtype)[:, np.newaxis]
    actual, expected = answers(library, name, x, 1, dtype), net.predict(x)
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    np.testing.assert_array_equal(np.isinf(actual), np.isinf(expected))
    finite = np.isfinite(expected)
    tiny = float(np.finfo(dtype).tiny)  # the kernels flush smaller numbers to 0
    np.testing.assert_allclose(
        actual[finite], expected[finite], rtol=8 * ULP[dtype], atol=max(8 * ULP[dtype] * 1e-3, tiny)
    )


@pytest.mark.parametrize("dtype", list(ULP))
@pytest.mark.parametrize("number", range(len(SHAPES)), ids=lambda number: str(SHAPES[number]))
def test_a_network_of_any_shape_is_that_of_predict(built: Any, number: int, dtype: str) -> None:
    library, nets = built
    name = f"shape{number}_{dtype}"
    x = np.random.default_rng(3).normal(size=(50, nets[name].sizes[0])).astype(dtype)
    actual = answers(library, name, x, nets[name].sizes[-1], dtype)
    assert_close(nets[name], actual, nets[name].predict(x))


@pytest.mark.parametrize("dtype", list(ULP))
def test_softmax(built: Any, dtype: str) -> None:
    library, nets = built
    x = np.random.default_rng(3).normal(size=(50, 6)).astype(dtype) * 10
    actual = answers(library, f"softmax_{dtype}", x, 7, dtype)
    np.testing.assert_allclose(actual.sum(axis=1), 1, rtol=8 * ULP[dtype])
    assert_close(nets[f"softmax_{dtype}"], actual, nets[f"softmax_{dtype}"].predict(x), slope=40)


def random_network(seed: int) -> fastmlp.Network:
    """Return a network of random shape, activations, dtype and scalings."""
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.choice([1, 2, 3, 7, 8, 15, 16, 17, 33, 64, 70], rng.integers(2, 6))]
    smooth = [f for f in KINDS if not isinstance(f, (*JUMPS, a.PiecewiseLinear)) and f != a.Sine(30.0)]
    chosen = [smooth[i] for i in rng.integers(0, len(smooth), len(sizes) - 2)]
    more: dict[str, Any] = {}
    if rng.random() < 0.7:
        far = 10.0 ** rng.uniform(-3, 3 if rng.random() < 0.5 else 6, sizes[0])
        more["input_scaling"] = fastmlp.Scaling(rng.normal(size=sizes[0]) * far, 10.0 ** rng.uniform(-2, 2, sizes[0]))
    if rng.random() < 0.7:
        far = 10.0 ** rng.uniform(-3, 3 if rng.random() < 0.5 else 6, sizes[-1])
        more["target_scaling"] = fastmlp.Scaling(
            rng.normal(size=sizes[-1]) * far, 10.0 ** rng.uniform(-2, 2, sizes[-1])
        )
    return network(sizes, str(rng.choice(["float32", "float64"])), seed, 0.4, activation=chosen, **more)


@pytest.mark.parametrize("seed", range(20))
def test_a_random_network_with_scalings_is_that_of_predict(seed: int, tmp_path: Path) -> None:
    net = random_network(seed)
    net.to_c(tmp_path / "net.c", function="f")
    text = (tmp_path / "net.c").read_text()
    types = re.search(r"^void f\(const (\w+) input\[F_INPUTS\], (\w+) output", text, re.MULTILINE)
    assert types is not None
    in_dtype, out_dtype = ({"float": "float32", "double": "float64"}[name] for name in types.groups())
    scaling = net.input_scaling
    x = np.random.default_rng(seed).normal(size=(40, net.sizes[0]))
    if isinstance(scaling, fastmlp.Scaling):
        x = x * scaling.scale + scaling.offset
        assert in_dtype == ("float64" if scaling.needs_float64 else net.dtype)
    x = x.astype(in_dtype)
    expected = net.predict(x)
    assert out_dtype == expected.dtype
    actual = answers(compiled(tmp_path, tmp_path / "net.c", COMPILERS["gcc"]), "f", x, net.sizes[-1], out_dtype)
    if isinstance(net.target_scaling, fastmlp.Scaling):  # compare what the network itself computes, and the sum
        scale, offset = net.target_scaling.scale, net.target_scaling.offset
        rounding = 2 * ULP["float32" if out_dtype == "float32" else "float64"] * np.abs(offset)
        y, z = (expected - offset) / scale, (np.asarray(actual, np.float64) - offset) / scale
        bound = SAFETY * ULP[net.dtype.name] * sum(np.sqrt(n) + 4 for n in net.sizes[:-1]) * np.abs(y).max() * 30
        assert (np.abs(y - z) <= bound + rounding / scale).all()
    else:
        assert_close(net, actual, expected, slope=30)
    assert self_test(tmp_path, tmp_path / "net.c", COMPILERS["clang"]).returncode == 0


@pytest.mark.parametrize("seed", range(8))
def test_int8_is_what_numpy_computes_of_the_rounded_layers(seed: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(seed)
    sizes = [int(n) for n in rng.choice([3, 8, 17, 64, 500], rng.integers(2, 5))]
    net = network(sizes, "float32", seed, 0.2, activation="tanh")
    net.to_c(tmp_path / "net.c", "int8")
    x = rng.normal(size=(30, sizes[0])).astype(np.float32)
    pairs = list(zip(net.weights, net.biases, strict=True))
    rounded = c_int8.layers(pairs)[2]
    functions = [*net.activation, net.output_activation]
    expected = c_int8.predict(rounded, functions, None, None, x)
    actual = answers(compiled(tmp_path, tmp_path / "net.c", COMPILERS["gcc"]), "predict", x, sizes[-1], "float32")
    size = np.abs(expected).max()
    assert np.abs(actual - expected).max() <= 2.0**-12 * len(sizes) * size
    assert np.abs(actual - net.predict(x)).max() <= 0.1 * size
    for (w, _), layer in zip(pairs, rounded, strict=True):
        assert np.abs(layer.q).max() == 127
        assert np.abs(layer.q * layer.scale[:, None].astype(np.float64) - w).max() <= 0.501 * layer.scale.max()
        assert np.abs(layer.q.astype(np.int64)).sum(axis=1).max() * layer.range < 2**31
    for name in ("gcc", "gcc-plain", "gcc-sanitized", "g++", "clang"):
        assert self_test(tmp_path, tmp_path / "net.c", COMPILERS[name]).returncode == 0, name


def test_int8_is_refused_where_a_layer_would_change_too_much(tmp_path: Path) -> None:
    net = network([100, 5, 1], "float32", 0)
    w = np.full((5, 100), 0.01)  # all of these become 0, beside a weight of 100 in the same output
    w[:, 0] = 100.0
    net.set_layer(0, w, np.zeros(5))
    net.to_c(tmp_path / "kept.c", "int8")  # but they are little of the layer
    w[0, 0], w[1:] = 60.0, 0.2
    net.set_layer(0, w, np.zeros(5))
    w[0, 1:] = 0.23  # half a unit of 60 / 127
    net.set_layer(0, w, np.zeros(5))
    with pytest.raises(ValueError, match=r"layer 0; 'int8' would change its weights by 3\.8% .* more than 3\.1%") as e:
        net.to_c(tmp_path / "refused.c", "int8")
    assert "use weights='float32'" in str(e.value)
    assert not (tmp_path / "refused.c").exists()


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_the_self_test_finds_a_changed_weight(tmp_path: Path, weights: str) -> None:
    net = network([4, 8, 2], "float32", 0, activation="tanh")
    net.to_c(tmp_path / "net.c", weights)
    done = self_test(tmp_path, tmp_path / "net.c", COMPILERS["gcc"])
    assert (done.returncode, done.stdout) == (0, "")
    text = (tmp_path / "net.c").read_text()
    head, first, rest = re.split(r"(?<=ALIGNED = \{\n)    (-?[\d.]+f?)", text, maxsplit=1)
    (tmp_path / "net.c").write_text(f"{head}    {'-' * (first[0] != '-')}{first.lstrip('-')}{rest}")
    done = self_test(tmp_path, tmp_path / "net.c", COMPILERS["gcc"])
    assert done.returncode == 1
    assert re.match(r"row \d, output 0: expected \S+, got \S+\n", done.stdout)


def test_the_self_test_looks_at_each_output_in_its_own_unit(tmp_path: Path) -> None:
    net = network([4, 8, 2], "float32", 0, target_scaling=fastmlp.Scaling([0.0, 0.0], [1e-3, 1e3]))
    net.to_c(tmp_path / "net.c")
    assert self_test(tmp_path, tmp_path / "net.c", COMPILERS["gcc"]).returncode == 0
    text = (tmp_path / "net.c").read_text()
    tolerances = re.search(r"tolerances\[PREDICT_OUTPUTS\] = \{\n\s+(\S+), (\S+)\n", text)
    assert tolerances is not None
    assert float(tolerances[2]) / float(tolerances[1]) == pytest.approx(1e6, rel=0.5)


@pytest.mark.parametrize("name", ["output", "input", "row", "o", "x", "y", "i", "n_wrong", "real"])
def test_names_that_the_file_uses_within_may_be_the_functions(tmp_path: Path, name: str) -> None:
    network([4, 8, 2], "float32", 0).to_c(tmp_path / "net.c", function=name)
    assert self_test(tmp_path, tmp_path / "net.c", COMPILERS["gcc"]).returncode == 0


def test_typical_rows_are_those_of_the_self_test(tmp_path: Path) -> None:
    net = network([2, 3, 1], "float32", 0)
    net.to_c(tmp_path / "net.c", X=[[0.5, 0.25], [-7.0, 3.0]])
    text = (tmp_path / "net.c").read_text()
    assert "0.5f, 0.25f\n" in text
    assert "-7.0f, 3.0f\n" in text
    assert self_test(tmp_path, tmp_path / "net.c", COMPILERS["gcc"]).returncode == 0


@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_on_arm(tmp_path: Path, weights: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A program for a Cortex-M4 links, without libm; the same code for a Cortex-A15 runs, which can be emulated."""
    compiler = tool("arm-none-eabi-gcc")
    net = network([10, 32, 32, 1], "float32", 0, activation="tanh")
    net.to_c(tmp_path / "net.c", weights)
    program = tmp_path / "program"
    test = ["-DFASTMLP_SELF_TEST", str(tmp_path / "net.c"), "--specs=rdimon.specs", "-o", str(program)]
    subprocess.run([compiler, *CORTEX_M4, *C, "-O2", *test], check=True)
    small = tmp_path / "net.o"
    subprocess.run([compiler, *CORTEX_M4, *C, "-Os", "-c", str(tmp_path / "net.c"), "-o", str(small)], check=True)
    undefined = subprocess.run(
        ["arm-none-eabi-nm", "-u", str(small)], capture_output=True, text=True, check=True
    ).stdout
    assert undefined.split() == []
    sizes = subprocess.run(["arm-none-eabi-size", str(small)], capture_output=True, text=True, check=True).stdout
    with capsys.disabled():
        print(f"\nCortex-M4, 10-32-32-1 tanh, {weights}: {sizes.splitlines()[1].split()[3]} bytes")
    assert int(sizes.splitlines()[1].split()[3]) < {"float32": 8000, "int8": 4000}[weights]
    run = [tool("qemu-arm"), "-cpu", "cortex-a15", str(program)]
    subprocess.run([compiler, *CORTEX_A15, *C, "-O2", *test], check=True)
    assert subprocess.run(run, check=False).returncode == 0
    text = (tmp_path / "net.c").read_text()
    (tmp_path / "net.c").write_text(text.replace("output[o] = ", "output[o] = 1.125f * "))
    subprocess.run([compiler, *CORTEX_A15, *C, "-O2", *test], check=True)
    assert subprocess.run(run, capture_output=True, check=False).returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"function": "int"}, "function: expected a name that is no keyword of C or C\\+\\+ and not main, got 'int'"),
        ({"function": "main"}, "function: expected a name that is no keyword"),
        ({"function": "class"}, "function: expected a name that is no keyword"),
        *[
            ({"function": name}, f"function: expected a name that the C library does not use .* got '{name}'")
            for name in ("sin", "printf", "uint8_t", "FLT_MAX", "NULL", "stdout", "malloc")
        ],
        ({"function": "2x"}, "function: expected an identifier of C, .* got '2x'"),
        ({"function": "a b"}, "function: expected an identifier of C"),
        ({"function": "_x"}, "function: expected an identifier of C"),
        ({"function": "a__b"}, "function: expected an identifier of C"),
        ({"function": "é"}, "function: expected an identifier of C"),
        ({"function": "x" * 32}, "function: expected an identifier of C, of at most 31"),
        ({"function": "x\n"}, "function: expected an identifier of C"),
        ({"weights": "bfloat16"}, "weights: expected 'float32' or 'int8' for a float32 network, got 'bfloat16'"),
        ({"weights": "float64"}, "weights: expected 'float32' or 'int8' for a float32 network, got 'float64'"),
        ({"X": [[1.0]]}, r"X: expected shape \(B, 2\) with B >= 1, got shape \(1, 1\)"),
        ({"X": np.zeros((0, 2))}, "X: expected shape"),
        ({"X": [[np.nan, 0.0]]}, "X: expected finite numbers"),
    ],
)
def test_what_no_file_can_be_is_refused(tmp_path: Path, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        network([2, 3, 1], "float32", 0).to_c(tmp_path / "net.c", **arguments)
    assert list(tmp_path.iterdir()) == []


def test_arguments_of_another_type_are_refused(tmp_path: Path) -> None:
    net = network([2, 3, 1], "float32", 0)
    with pytest.raises(TypeError, match="function: expected a name, got int"):
        net.to_c(tmp_path / "net.c", function=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="X: expected real numbers"):
        net.to_c(tmp_path / "net.c", X=[["a", "b"]])
    with pytest.raises(ValueError, match="weights: expected 'float64' for a float64 network, got 'int8'"):
        network([2, 1], "float64", 0).to_c(tmp_path / "net.c", "int8")
    assert list(tmp_path.iterdir()) == []


def test_networks_that_c_cannot_say_are_refused(tmp_path: Path) -> None:
    double = fastmlp.CustomActivation(lambda z: 2 * z, lambda z: 0 * z + 2)
    with pytest.raises(ValueError, match="activation: layer 1 has a CustomActivation"):
        network([2, 3, 1], "float32", 0, output_activation=double).to_c(tmp_path / "net.c")
    with pytest.raises(ValueError, match="input_scaling: expected a Scaling before to_c"):
        network([2, 3, 1], "float32", 0, input_scaling="standard").to_c(tmp_path / "net.c")
    frame = PlainFrame({"age": np.array([30, 41, 50]), "kind": np.array(["a", "b", "a"])})
    encoder = fastmlp.Encoder.fit(frame)
    with pytest.raises(ValueError, match=r"encoder: expected one of numbers only, .* booleans or dates: 'kind'"):
        network([3, 1], "float32", 0, encoder=encoder).to_c(tmp_path / "net.c")
    assert list(tmp_path.iterdir()) == []


def test_an_encoder_of_numbers_names_the_inputs(tmp_path: Path) -> None:
    frame = PlainFrame({"a*/b": np.array([30.0, 41, 50, np.nan]), "c??/\\": np.array([1.0, 2, 3, 4])})
    encoder = fastmlp.Encoder.fit(frame)
    net = network([3, 5, 2], "float32", 0, encoder=encoder, loss="cross_entropy", class_names=["tulipán", "*/ x"])
    net.to_c(tmp_path / "net.c")
    text = (tmp_path / "net.c").read_text()
    assert " * Inputs: a* /b, a* /b is missing, c? ? / \\ .\n" in text
    assert " * Classes: tulip\\xe1n, * / x.\n" in text
    assert self_test(tmp_path, tmp_path / "net.c", COMPILERS["gcc"]).returncode == 0


def test_the_file_is_replaced_in_one_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Any] = []
    monkeypatch.setattr("fastmlp.formats.atomic.write", lambda path, data: written.append((path, data)))
    network([2, 1], "float32", 0).to_c(tmp_path / "net.c")
    assert [path for path, _ in written] == [tmp_path / "net.c"]
    assert b"\nvoid predict(const float input[PREDICT_INPUTS]," in written[0][1]


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    network([4, 8, 2], "float32", 0, activation="tanh").save(tmp_path / "model.safetensors")
    return tmp_path


def test_the_command_writes_a_file_of_c(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "model.safetensors", "--to", "c"]) == 0
    assert capsys.readouterr().out == (
        "model.c: Network([4, 8, 2], tanh -> identity, mse, float32), function predict, weights float32\n"
    )
    assert self_test(model, model / "model.c", COMPILERS["gcc"]).returncode == 0
    options = ["-o", "b.c", "--weights", "int8", "--function", "b", "--json"]
    assert cli.main(["export", "model.safetensors", "--to", "c", *options]) == 0
    assert '"weights": "int8"' in capsys.readouterr().out
    assert "void b(const float input[B_INPUTS]" in (model / "b.c").read_text()


def test_the_command_says_what_is_wrong_in_one_line(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["export", "model.safetensors", "--to", "c", "--function", "int"]) == 1
    assert capsys.readouterr().err.startswith("fastmlp: error: function: expected a name that is no keyword")
    with pytest.raises(SystemExit):
        cli.main(["export", "model.safetensors"])
