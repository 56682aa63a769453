"""R's nnet: what R writes, files of R 4.2.2 with nnet 7.3-18, and networks evaluated unit by unit as nnet.c does.

`apt-get install r-base-core r-cran-nnet` has both; without them the tests that run R are skipped.
"""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import subprocess
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fastmlp
from damage import damaged
from fastmlp.convert import checking, r_nnet, rds_file
from fastmlp.convert.chain import Linear

MODELS = Path(__file__).parent / "models" / "r-nnet"
KEYS = ("n", "wts", "conn", "nconn", "nsunits", "softmax", "entropy", "censored", "lev", "coefnames")


def expected(name: str) -> Any:
    return json.loads((MODELS / f"{name}.expected.json").read_text())


def rows(name: str, given: Any) -> Any:
    X = np.array(given["input"], float)
    return np.column_stack([X[:, 0], X[:, 1] == 2, X[:, 1] == 3]) if "factor" in name else X


# ------------------------------------------------------------------------------------------------------------ R itself


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run R, and return the folder of its models."""
    command, folder = shutil.which("Rscript"), tmp_path_factory.mktemp("R")
    script = Path(__file__).parents[1] / "support" / "r_models.R"
    done = command and subprocess.run([command, "--vanilla", script, folder], capture_output=True, text=True)
    if not done or "there is no package called" in done.stderr:
        pytest.skip("needs R and its package nnet: apt-get install r-base-core r-cran-nnet")
    assert done.returncode == 0, done.stderr
    return folder


OF_R: dict[str, tuple[int, Any, Any]] = {  # outputs, names of the columns, classes
    "logistic": (1, None, None),
    "linear": (2, None, None),
    "entropy": (1, None, ("0", "1")),
    "softmax": (3, None, ("hi", "lo", "mid")),
    "mask": (1, None, None),
    "no hidden layer": (1, None, None),
    "two levels": (1, ("p", "fv", "fw"), ("no", "yes")),
    "three levels": (3, ("p", "q", "p:q"), ("hi", "lo", "mid")),
    "multinom of two": (1, ("p", "fv", "fw"), ("no", "yes")),
    "multinom of three": (3, ("p", "q", "r"), ("hi", "lo", "mid")),
}


@pytest.mark.parametrize("name", OF_R)
def test_predictions_of_r(name: str, models: Path) -> None:
    n_outputs, columns, classes = OF_R[name]
    net = checking.network(r_nnet.read(models / f"{name}.rds"))
    X, outputs = (np.fromfile(models / f"{name}.{part}").reshape(60, -1) for part in ("rows", "outputs"))
    assert (net.sizes[0], net.sizes[-1]) == (X.shape[1], n_outputs)
    assert (net.feature_names, net.class_names) == (columns, classes)
    np.testing.assert_allclose(net.predict(X), outputs, rtol=0, atol=1e-13 * np.abs(outputs).max())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("skip", r"outputs: .*connection from unit 1, .*; fit with skip = FALSE"),
        ("censored", "censored: .*TRUE; fit with softmax = TRUE"),
        ("xz", r"saveRDS\(model, file\) writes one"),
        ("bzip2", r"saveRDS\(model, file\) writes one"),
    ],
)
def test_models_of_r_that_are_refused(name: str, message: str, models: Path) -> None:
    with pytest.raises(fastmlp.FormatError, match=message):
        r_nnet.read(models / f"{name}.rds")


# --------------------------------------------------------------------------------------------------- files and formulas


@pytest.mark.parametrize("source", ["rds", "json", "ascii"])
@pytest.mark.parametrize(
    "name", ["regression_linout", "formula_with_factor", "three_classes_softmax", "two_classes_entropy"]
)
def test_files_of_the_tool(name: str, source: str) -> None:
    given = expected(name)
    if source == "json":
        file: Any = json.dumps({key: given[key] for key in KEYS}).encode()
    else:
        file = MODELS / (f"{name}_ascii.rds" if source == "ascii" and name == "regression_linout" else f"{name}.rds")
    net = checking.network(r_nnet.read(file))
    X = rows(name, given)
    outputs = np.array(given["predict"], float).reshape(len(X), -1)
    # a unit beyond 15 is 0 or 1 in nnet.c, which the factor's model has
    limit = 4e-7 if "factor" in name else 2e-14
    np.testing.assert_allclose(net.predict(X), outputs, rtol=0, atol=limit)


def test_names_and_classes() -> None:
    net = checking.network(r_nnet.read(MODELS / "two_classes_entropy.rds"))
    assert (net.feature_names, net.class_names, net.loss.name) == (
        ("x1", "x2", "x3"), ("no", "yes"), "binary_cross_entropy",
    )  # fmt: skip
    assert "below -15" in net.conversion.folded[0]
    net = checking.network(r_nnet.read(MODELS / "three_classes_softmax.rds"))
    assert net.class_names == ("hi", "lo", "mid")
    net = checking.network(r_nnet.read(MODELS / "formula_with_factor.rds"))
    assert (net.feature_names, net.class_names) == (("a", "fv", "fw"), None)


def test_a_skip_layer_is_refused() -> None:
    with pytest.raises(fastmlp.FormatError, match=r"outputs: .*connection from unit 1, .*; fit with skip = FALSE"):
        r_nnet.read(MODELS / "skip_layer.rds")
    given = expected("skip_layer")
    given["wts"][-3:] = [0, 0, 0]
    net = checking.network(r_nnet.read(json.dumps({key: given[key] for key in KEYS if key in given}).encode()))
    assert net.sizes == (3, 2, 1)


def model(seed: int, linear: bool = False, softmax: bool = False, hidden: int | None = None) -> dict[str, Any]:
    """Return the numbers of a random network."""
    rng = np.random.default_rng(seed)
    n = [int(rng.integers(1, 6)), int(rng.integers(1, 6)) if hidden is None else hidden, int(rng.integers(1, 4))]
    n[2] += softmax and n[2] == 1
    begin = 1 + n[0] + n[1]
    conn, nconn = [], [0] * (n[0] + 2)
    for u in range(n[0] + 1, 1 + sum(n)):
        inner = u < begin or not n[1]
        sources = [0, *(range(1, n[0] + 1) if inner else range(n[0] + 1, begin))]
        conn += sources
        nconn.append(len(conn))
    lev = [f"c{i}" for i in range(n[2])] if softmax else {}
    return {
        "n": n, "wts": rng.standard_normal(len(conn)).tolist(), "conn": conn, "nconn": nconn,
        "nsunits": [begin if linear or softmax else 1 + sum(n)], "softmax": [softmax], "entropy": [False],
        "censored": [False], "lev": lev, "coefnames": [f"v{i}" for i in range(n[0])],
    }  # fmt: skip


def by_units(m: Any, X: Any) -> Any:
    """Evaluate unit by unit, as nnet.c does but for its logistic function, which is 0 and 1 beyond 15."""
    n, outputs = m["n"], []
    for row in X:
        values = [1.0, *row]
        for u in range(n[0] + 1, 1 + sum(n)):
            z = sum(m["wts"][i] * values[m["conn"][i]] for i in range(m["nconn"][u], m["nconn"][u + 1]))
            values.append(z if u >= m["nsunits"][0] else 1 / (1 + np.exp(-z)))
        y = np.array(values[-n[2] :])
        outputs.append(np.exp(y) / np.exp(y).sum() if m["softmax"][0] else y)
    return np.array(outputs)


@pytest.mark.parametrize("kind", ["logistic", "linear", "softmax", "no hidden layer"])
@pytest.mark.parametrize("seed", range(20))
def test_random_networks(seed: int, kind: str) -> None:
    m = model(seed, kind == "linear", kind == "softmax", 0 if kind == "no hidden layer" else None)
    X = np.random.default_rng(seed).standard_normal((10, m["n"][0]))
    for file in (json.dumps(m).encode(), rds(m), gzip.compress(rds(m))):
        net = checking.network(r_nnet.read(file))
        np.testing.assert_allclose(net.predict(X).reshape(10, -1), by_units(m, X), rtol=1e-12, atol=1e-13)


def test_multinom() -> None:
    """Its first column is of ones, and its units' own biases are 0."""
    m = model(3, softmax=True, hidden=0)
    m["coefnames"][0] = "(Intercept)"
    net = checking.network(r_nnet.read(json.dumps(m).encode()))
    X = np.random.default_rng(0).standard_normal((10, m["n"][0]))
    X[:, 0] = 1
    np.testing.assert_allclose(net.predict(X[:, 1:]), by_units(m, X), rtol=1e-12)
    assert net.feature_names == tuple(m["coefnames"][1:])
    assert net.class_names == tuple(m["lev"])


# ------------------------------------------------------------------------------------------------------------ RDS files


def rds(m: Any, classes: Any = ("nnet.formula", "nnet")) -> bytes:
    """Write a list of R as saveRDS does: XDR, version 3."""
    names = list(m)

    def integer(*values: int) -> bytes:
        return struct.pack(f">{len(values)}i", *values)

    def text(value: str) -> bytes:
        return integer(64 << 12 | 9, len(value)) + value.encode()

    def strings(values: Any) -> bytes:
        return integer(16, len(values)) + b"".join(map(text, values))

    def vector(key: str, value: Any) -> bytes:
        if key == "wts":
            return integer(14, len(value)) + struct.pack(f">{len(value)}d", *value)
        if key in ("lev", "coefnames"):
            return strings(value) if value else integer(254)
        return integer(10 if key in ("softmax", "entropy", "censored") else 13, len(value), *map(int, value))

    def pair(tag: str, value: bytes) -> bytes:
        return integer(2 | 1024, 1) + text(tag) + value

    body = integer(19 | 512 | 256, len(names)) + b"".join(vector(key, m[key]) for key in names)
    body += pair("names", strings(names)) + pair("class", strings(classes)) + integer(254)
    return b"X\n" + integer(3, 262658, 197888, 5) + b"UTF-8" + body


def test_a_short_form_of_a_sequence() -> None:
    def integer(*values: int) -> bytes:
        return struct.pack(f">{len(values)}i", *values)

    def altrep(name: bytes, n: float) -> bytes:
        state = integer(14, 3) + struct.pack(">3d", n, 5, 1)
        info = integer(2, 1) + integer(64 << 12 | 9, len(name)) + name + integer(254)
        return b"X\n" + integer(2, 262658, 197888) + integer(238) + info + state + integer(254) + bytes(40)

    assert rds_file.read(altrep(b"compact_intseq", 4)).values.tolist() == [5, 6, 7, 8]
    with pytest.raises(fastmlp.FormatError, match="sequences that together are no longer than the file"):
        rds_file.read(altrep(b"compact_intseq", 1e9))
    one = altrep(b"compact_intseq", 50)
    head, body = one[:14], one[14:-40]
    assert len(rds_file.read(head + integer(19, 2) + body * 2).values) == 2
    with pytest.raises(fastmlp.FormatError, match="sequences that together are no longer than the file"):
        rds_file.read(head + integer(19, 9) + body.replace(struct.pack(">d", 50), struct.pack(">d", 500)) * 9)
    with pytest.raises(fastmlp.FormatError, match="a short form 'mmap_real'"):
        rds_file.read(altrep(b"mmap_real", 4))


def test_other_objects_and_files() -> None:
    m = model(0)
    for file, message in [
        (rds(m, ("train",)), r"class: .*an object of class \['train'\]; of a model of caret, save its finalModel"),
        (b"X\n\0\0\0\1", "version 2 or 3"),
        (b"BZh91AY", "saveRDS\\(model, file\\) writes one"),
        (b"RDX3\nX\n", "a file that saveRDS has written"),
        (b"\x1f\x8b\x08abc", "a file packed by gzip"),
        (rds(m)[:300], "the file is cut off|fits into the file"),
        (gzip.compress(rds(m))[:-20], "cut off"),
        (rds({**m, "n": [2**31 - 1, 2, 2]}), "nconn"),
    ]:
        with pytest.raises(fastmlp.FormatError, match=message):
            r_nnet.read(file)


def test_bombs() -> None:
    head = b"X\n" + struct.pack(">3i", 2, 0, 0)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = packer.compress(head + bytes(2**28)) + packer.flush()
    assert len(bomb) < 2**19
    with pytest.raises(fastmlp.FormatError, match="bytes unpacked"):
        rds_file.read(bomb)
    with pytest.raises(fastmlp.FormatError, match="a length that fits into the file"):
        rds_file.read(head + struct.pack(">2i", 14, 2**31 - 1))
    with pytest.raises(fastmlp.FormatError, match="levels"):
        rds_file.read(head + struct.pack(">2i", 19, 1) * 50000)
    nested = head + struct.pack(">2i", 19, 1) * 9000 + struct.pack(">i", 254)
    assert isinstance(rds_file.read(nested), rds_file.Vector)


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "n": ({"n": [3, 4]}, "n: expected the numbers of inputs"),
    "no n": ({"n": None}, "an element 'n' of the model"),
    "weights": ({"wts": [1.0]}, "wts: expected"),
    "NaN": ({"wts": ["NA"]}, "wts: "),
    "nconn": ({"nconn": [0, 1]}, "nconn: expected"),
    "source": ({"conn": [-1]}, "conn: expected a whole number"),
    "nsunits": ({"nsunits": [3]}, "nsunits: .*outputs must be linear"),
    "censored": ({"censored": [True]}, "censored: .*TRUE"),
    "softmax": ({"softmax": [True]}, "nsunits: "),
    "flag": ({"softmax": ["yes"]}, "softmax: expected TRUE or FALSE"),
    "lev": ({"lev": [3]}, "lev: expected texts"),
}


def test_a_weight_may_be_a_large_whole_number() -> None:
    m = model(7)
    steps = r_nnet.read(json.dumps(m | {"wts": [99999999999999999999] * len(m["wts"])}).encode()).steps
    assert isinstance(steps[0], Linear)
    assert (steps[0].weight == 1e20).all()


@pytest.mark.parametrize("name", BAD)
def test_malformed(name: str) -> None:
    changes, message = BAD[name]
    with pytest.raises(fastmlp.FormatError, match=message):
        r_nnet.read(json.dumps(model(7) | changes).encode())


@pytest.mark.parametrize("name", ["two_classes_entropy.rds", "regression_linout_ascii.rds", "json"])
def test_fuzz(name: str) -> None:
    good = json.dumps(model(7)).encode() if name == "json" else (MODELS / name).read_bytes()
    refused = 0
    for source in (good, gzip.decompress(good)) if good[:2] == b"\x1f\x8b" else (good,):
        for bad in damaged(source, 300):
            try:
                checking.network(r_nnet.read(bad))
            except fastmlp.FormatError:
                refused += 1
    assert refused > 100
