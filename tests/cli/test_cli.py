"""The command line from outside: processes, files, exit codes, signals, pipes, terminals."""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import fastmlp
from fastmlp import cli
from fastmlp.datasets import load_digits
from fastmlp.formats import model_file
from file_mutations import of_version_1

Run = Callable[..., subprocess.CompletedProcess[str]]
COMMAND = [sys.executable, "-m", "fastmlp"]
POSIX = pytest.mark.skipif(os.name != "posix", reason="signals and terminals of POSIX")


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run the command line in an empty folder."""

    def call(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*COMMAND, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    return call


def error_line(done: subprocess.CompletedProcess[str]) -> str:
    """Return the line of an error message, without its prefix."""
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert done.stderr.startswith("fastmlp: error: ")
    return done.stderr.removeprefix("fastmlp: error: ").rstrip("\n")


def write_flowers(path: Path, *, header: bool = True, n: int = 90) -> tuple[np.ndarray, list[str]]:
    """Write a table of three easily separable classes, with columns of very different scales."""
    random = np.random.default_rng(7)
    names = ["iris, blue", "rosa", "tulipán"]
    kinds = random.integers(0, 3, n)
    x = np.stack([kinds + random.normal(0, 0.1, n), 1e6 * (kinds == 1) + random.normal(0, 1e5, n)], axis=1)
    labels = [names[kind] for kind in kinds]
    rows = [f'{a!r},"{label}",{b!r}' for (a, b), label in zip(x.tolist(), labels, strict=True)]
    path.write_text("\n".join([*(["width,kind,area"] if header else []), *rows]) + "\n", encoding="utf-8")
    return x, labels


# ---------------------------------------------------------------------------------------------- train


def test_train_alone(run: Run, tmp_path: Path) -> None:
    done = run("train")
    lines = done.stdout.splitlines()
    assert (
        lines[0] == "digits: 1438 rows to train on, 359 to test on (fixed stratified split, 80/20), "
        "64 inputs, 10 classes"
    )
    assert re.fullmatch(r"test accuracy 9\d\.\d\d %", lines[-2])
    assert lines[-1] == "saved digits.safetensors"
    assert re.search(
        r"epoch 40/40  loss \d\.[\de-]+  test accuracy 9\d\.\d\d %  [\d,]+ rows/s  \d:\d\d, 0:00 left\n$", done.stderr
    )
    assert "\r" not in done.stderr
    network = fastmlp.load(tmp_path / "digits.safetensors")
    x, y = load_digits()[1]
    assert lines[-2] == f"test accuracy {100 * network.evaluate(x, y)['accuracy']:.2f} %"


def test_accuracy_over_seeds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    accuracies = []
    for seed in range(20):
        assert cli.main(["train", "--quiet", "--seed", str(seed), "-o", str(tmp_path / "m.safetensors")]) == 0
        found = re.match(r"test accuracy (\d+\.\d\d) %\n", capsys.readouterr().out)
        assert found is not None
        accuracies.append(float(found[1]))
    assert statistics.median(accuracies) >= 97
    assert min(accuracies) >= 95.5


def test_quiet_and_json(run: Run) -> None:
    done = run("train", "--epochs", "3", "--quiet")
    assert len(done.stdout.splitlines()) == 2
    assert done.stderr == ""
    record = json.loads(run("train", "--epochs", "3", "--json").stdout)
    assert record["saved"] == "digits.safetensors"
    assert record["sizes"] == [64, 128, 10]
    assert record["interrupted"] is False
    assert [len(values) for values in record["history"].values()] == [3, 3, 3]
    assert record["history"]["test_accuracy"][-1] == record["test_accuracy"]
    assert done.stdout.startswith(f"test accuracy {100 * record['test_accuracy']:.2f} %\n")


def test_options_reach_the_network(run: Run, tmp_path: Path) -> None:
    run(
        "train",
        "--layers",
        "12,7",
        "--activation",
        "tanh",
        "--loss",
        "half_squared_error",
        "--output-activation",
        "sigmoid",
        "--optimizer",
        "sgd",
        "--momentum",
        "0.9",
        "--learning-rate",
        "0.5",
        "--epochs",
        "4",
        "--batch-size",
        "10",
        "--seed",
        "3",
        "--threads",
        "1",
        "--dtype",
        "float64",
        "-o",
        "small.safetensors",
    )
    network = fastmlp.load(tmp_path / "small.safetensors")
    assert network.sizes == (64, 12, 7, 10)
    x, y = load_digits()[0]
    same = fastmlp.Network(
        [64, 12, 7, 10],
        activation="tanh",
        loss="half_squared_error",
        output_activation="sigmoid",
        dtype="float64",
        seed=3,
        n_threads=1,
    )
    same.fit(x, y, epochs=4, batch_size=10, optimizer=fastmlp.SGD(0.5, momentum=0.9))
    np.testing.assert_allclose(network.parameters, same.parameters, rtol=1e-9)


def test_accuracy_of_a_loss_that_is_not_made_for_classes(run: Run) -> None:
    done = run("train", "--loss", "mse", "--layers", "none", "--epochs", "3")
    assert re.search(r"test accuracy \d\d\.\d\d %  ", done.stderr)
    assert re.fullmatch(r"test accuracy \d\d\.\d\d %", done.stdout.splitlines()[-2])


def test_scaling_of_bytes(run: Run, tmp_path: Path) -> None:
    (x, y), (x_test, y_test) = load_digits()
    images, tests = (np.rint(255 * each).astype(np.uint8).reshape(-1, 8, 8) for each in (x, x_test))
    np.savez(tmp_path / "images.npz", x_train=images, y_train=y, x_test=tests, y_test=y_test)
    done = run("train", "images.npz", "--epochs", "10")
    assert "1438 rows to train on, 359 to test on (the file's own split)" in done.stdout
    assert float(done.stdout.split()[-4]) > 90
    predicted = json.loads(run("predict", "images.safetensors", "images.npz", "--json").stdout)["predictions"]
    assert f"test accuracy {100 * np.mean(np.array(predicted) == y_test):.2f} %" in done.stdout


def test_no_test_rows(run: Run, tmp_path: Path) -> None:
    write_flowers(tmp_path / "flowers.csv")
    done = run("train", "flowers.csv", "--target", "kind", "--test-fraction", "0", "--epochs", "20")
    assert "90 rows to train on, none to test on" in done.stdout
    assert done.stdout.splitlines()[-2].startswith("training accuracy ")


# -------------------------------------------------------------------------------- train, then predict


@pytest.mark.parametrize("loss", ["cross_entropy", "binary_cross_entropy", "mse"])
def test_text_classes_come_back(run: Run, tmp_path: Path, loss: str) -> None:
    x, labels = write_flowers(tmp_path / "flowers.csv")
    done = run("train", "flowers.csv", "--target", "kind", "--loss", loss)
    assert "72 rows to train on, 18 to test on (stratified split of seed 0), 2 inputs, 3 classes" in done.stdout
    assert done.stdout.splitlines()[-2:] == ["test accuracy 100.00 %", "saved flowers.safetensors"]
    assert run("predict", "flowers.safetensors", "flowers.csv").stdout.splitlines() == labels
    swapped = "\n".join(["area;width", *(f"{b!r};{a!r}" for a, b in x.tolist())])
    (tmp_path / "new.csv").write_text(swapped)
    done = run("predict", "flowers.safetensors", "new.csv", "--output", "kinds.txt")
    assert done.stdout == done.stderr == ""
    assert (tmp_path / "kinds.txt").read_text(encoding="utf-8").splitlines() == labels
    record = json.loads(run("predict", "flowers.safetensors", "new.csv", "--json", "--proba").stdout)
    assert record["predictions"] == labels
    assert record["classes"] == ["iris, blue", "rosa", "tulipán"]
    assert [record["classes"][int(np.argmax(row))] for row in record["probabilities"]] == labels
    lines = run("predict", "flowers.safetensors", "new.csv", "--proba").stdout.splitlines()
    assert lines[0] == '"iris, blue",rosa,tulipán'
    np.testing.assert_allclose(
        [list(map(float, line.split(","))) for line in lines[1:]], record["probabilities"], rtol=1e-7
    )


def test_a_table_without_header_and_one_output_for_two_classes(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    values = random.normal(size=(80, 2))
    kinds = (values.sum(axis=1) > 0).astype(int)
    text = [f"{kind},{a!r},{b!r}" for kind, (a, b) in zip(kinds, values.tolist(), strict=True)]
    (tmp_path / "plain.csv").write_text("\n".join(text))
    run("train", "plain.csv", "--no-header", "--target", "0", "--loss", "binary_cross_entropy")
    assert fastmlp.load(tmp_path / "plain.safetensors").sizes == (2, 64, 32, 1)
    predicted = run("predict", "plain.safetensors", "plain.csv", "--no-header").stdout.split()
    assert np.mean(np.array(predicted, int) == kinds) > 0.9
    (tmp_path / "inputs.csv").write_text("\n".join(line.split(",", 1)[1] for line in text))
    assert run("predict", "plain.safetensors", "inputs.csv", "--no-header").stdout.split() == predicted
    lines = run("predict", "plain.safetensors", "inputs.csv", "--no-header", "--proba").stdout.splitlines()
    assert lines[0] == "0,1"
    rows = np.array([line.split(",") for line in lines[1:]], float)
    np.testing.assert_allclose(rows.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_array_equal((rows[:, 1] > 0.5).astype(int), np.array(predicted, int))


def test_regression_in_the_target_s_unit(run: Run, tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    x = random.uniform(-1, 1, (400, 2))
    y = 5000 + 900 * x[:, 0] * x[:, 1] + 300 * x[:, 1]
    rows = [f"{a!r},{b!r},{t!r}" for (a, b), t in zip(x.tolist(), y.tolist(), strict=True)]
    (tmp_path / "house.csv").write_text("\n".join(["a,b,price", *rows]))
    done = run("train", "house.csv", "--target", "price")
    found = re.search(r"\ntest loss (\S+), RMSE (\S+), R2 (\S+)\nsaved house.safetensors\n$", done.stdout)
    assert found is not None
    assert float(found[3]) > 0.98
    assert "  test loss 0." in done.stderr
    predicted = np.array(run("predict", "house.safetensors", "house.csv").stdout.split(), float)
    assert predicted.shape == (400,)
    assert 0.3 * float(found[2]) < np.sqrt(np.mean((predicted - y) ** 2)) < 3 * float(found[2])
    assert "a regression" in error_line(run("predict", "house.safetensors", "house.csv", "--proba", code=1))


@pytest.mark.parametrize("kind", ["numbers", "classes"])
@pytest.mark.parametrize("options", [[], ["--early-stopping", "9", "--validation", "0.3", "--learning-rate", "0.3"]])
def test_scores_of_the_report_are_those_of_the_saved_weights(
    options: list[str],
    kind: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    x = np.random.default_rng(0).normal(size=(120, 3))
    y = x[:, 0] * x[:, 1] if kind == "numbers" else (x[:, 0] > 0).astype(np.int64)
    data, model = str(tmp_path / "data.npz"), str(tmp_path / "model.safetensors")
    np.savez(data, x_train=x[:80], y_train=y[:80], x_test=x[80:], y_test=y[80:])
    calls: list[object] = []
    evaluate = fastmlp.Network.evaluate
    monkeypatch.setattr(
        fastmlp.Network, "evaluate", lambda *args, **words: calls.append(words) or evaluate(*args, **words)
    )
    assert cli.main(["train", data, "--epochs", "6", "-o", model, "--quiet", "--json", *options]) == 0
    record = json.loads(capsys.readouterr().out)
    assert len(calls) == 6 + bool(options)  # the weights of the best epoch are evaluated again
    metrics = ["rmse", "r2"] if kind == "numbers" else []
    expected = evaluate(fastmlp.load(model), x[80:], y[80:], metrics=metrics)
    assert {name: record[f"test_{name}"] for name in expected} == expected
    same = record["history"]["test_loss"][-1] == expected["loss"]
    assert same == (not options)
    assert "test_rmse" not in record["history"]


def test_regression_of_several_numbers(run: Run, tmp_path: Path) -> None:
    x = np.random.default_rng(0).normal(size=(100, 3))
    np.savez(tmp_path / "data.npz", X=x, y=np.stack([x[:, 0] + 7, 1e3 * x[:, 1]], axis=1))
    record = json.loads(run("train", "data.npz", "--json", "--layers", "none").stdout)
    assert record["task"] == "regression"
    assert record["test_r2"] > 0.9
    lines = run("predict", "data.safetensors", "data.npz").stdout.splitlines()
    assert [len(line.split(",")) for line in lines] == [2] * 100


def test_a_network_that_python_has_saved(run: Run, tmp_path: Path) -> None:
    network = fastmlp.Network([3, 4, 2], seed=0)
    network.save(tmp_path / "plain.safetensors")
    (tmp_path / "x.csv").write_text("p,q,r\n1,2,3\n")
    line = run("predict", "plain.safetensors", "x.csv").stdout
    np.testing.assert_allclose(np.array(line.split(","), float), network.predict([1, 2, 3]), rtol=1e-6)


def test_built_in_classes_are_predicted_as_numbers(run: Run, tmp_path: Path) -> None:
    run("train")
    np.savez(tmp_path / "x.npz", X=load_digits()[1][0])
    expected = fastmlp.load(tmp_path / "digits.safetensors").classify(load_digits()[1][0])
    assert run("predict", "digits.safetensors", "x.npz").stdout.split() == [str(label) for label in expected]


# --------------------------------------------------------------------------------------- info, version


def test_info(run: Run) -> None:
    assert fastmlp.__version__ in run("info").stdout
    assert json.loads(run("info", "--json").stdout)["version"] == fastmlp.__version__
    assert run("--version").stdout == f"fastmlp {fastmlp.__version__}\n"


def test_info_of_a_model(run: Run, tmp_path: Path) -> None:
    write_flowers(tmp_path / "flowers.csv")
    run("train", "flowers.csv", "--target", "kind", "--layers", "5")
    record = json.loads(run("info", "flowers.safetensors", "--json").stdout)
    assert record["sizes"] == [2, 5, 3]
    assert record["parameters"] == 33
    assert record["columns"] == ["width", "area"]
    assert record["target"] == "kind"
    assert record["classes"] == ["iris, blue", "rosa", "tulipán"]
    assert record["checksums"] == {"architecture": "verified", "parameters": "verified", "extra": "verified"}
    assert record["encoded"] == {"width": "number", "area": "number"}
    assert record["scaled_inputs"] is True
    assert record["scaled_targets"] is False
    text = run("info", "flowers.safetensors").stdout
    assert re.search(r"^columns +width, area$", text, re.MULTILINE)
    fastmlp.load(tmp_path / "flowers.safetensors").save(tmp_path / "bare.safetensors")
    again = json.loads(run("info", "bare.safetensors", "--json").stdout)
    assert {**again, "file": record["file"]} == record


# -------------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "none.csv", "--target", "y"], "none.csv: No such file or directory"),
        (["train", "none.npz"], "none.npz: No such file or directory"),
        (["predict", "none.safetensors", "x.csv"], "none.safetensors: No such file or directory"),
        (["info", "none.safetensors"], "none.safetensors: No such file or directory"),
        (["info", "bad.csv"], "bad.csv: "),
        (
            ["train", "bad.csv", "--target", "y"],
            "bad.csv: column 'y': expected classes that occur more than once, got as many classes as rows (2)",
        ),
        (["train", "bad.csv", "--target", "z"], "--target: expected a column of bad.csv ('a', 'b', 'y')"),
        (["train", "-o", "no/such/folder.safetensors"], "--output: expected a file that can be written"),
        (["train", "-o", "."], "--output: expected a file that can be written"),
        (["train", "bad.csv", "--target", "y", "-o", "./bad.csv"], "--output: expected another file than the data"),
        (["train", "--output-activation", "sigmoid"], "output_activation: expected 'softmax'"),
        (["train", "--optimizer", "sgd", "--learning-rate", "1e30", "--loss", "mse"], "epoch 1 of 40: "),
        (["train", "fashion-mnist", "--folder", "."], "folder: expected Fashion-MNIST in '.'"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(run: Run, tmp_path: Path, arguments: list[str], message: str) -> None:
    bad = "a,b,y\n1,2,x\n3,4,z\n"
    (tmp_path / "bad.csv").write_text(bad)
    assert error_line(run(*arguments, "--quiet" if arguments[0] == "train" else "--json", code=1)).startswith(message)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.csv"]
    assert (tmp_path / "bad.csv").read_text() == bad


def test_columns_that_do_not_fit_the_model(run: Run, tmp_path: Path) -> None:
    write_flowers(tmp_path / "flowers.csv")
    run("train", "flowers.csv", "--target", "kind", "--epochs", "1")
    (tmp_path / "x.csv").write_text("width,height\n1,2\n")
    message = error_line(run("predict", "flowers.safetensors", "x.csv", code=1))
    assert message == (
        "x.csv: expected the model's columns, got no 'area' but the unknown 'height'; "
        "read with separator ',', header 'width', 'height'"
    )


def test_an_altered_model_file_is_an_error(run: Run, tmp_path: Path) -> None:
    run("train", "--epochs", "1")
    data = bytearray((tmp_path / "digits.safetensors").read_bytes())
    data[-1] ^= 1
    (tmp_path / "digits.safetensors").write_bytes(data)
    assert "SHA-256" in error_line(run("info", "digits.safetensors", code=1))


def test_a_model_file_with_words_that_do_not_fit_is_an_error(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    words = {"task": '"regression"', "scaling": '{"offset": [0], "scale": [1]}'}  # as 0.1.0 wrote them
    path.write_bytes(of_version_1(model_file.to_bytes(fastmlp.Network([2, 2]), words)))
    assert "expected a Scaling of 2 columns, got one of 1" in error_line(run("info", "m.safetensors", code=1))


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["fly"],
        ["train", "mnist"],
        ["train", "table.csv"],
        ["train", "--target", "y"],
        ["train", "--test-fraction", "0.5"],
        ["train", "data.npz", "--test-fraction", "1"],
        ["train", "--task", "regression"],
        ["train", "--folder", "."],
        ["train", "--momentum", "0.9"],
        ["train", "--layers", "64,,3"],
        ["train", "--layers", "0"],
        ["train", "--epochs", "0"],
        ["train", "--batch-size", "-1"],
        ["train", "--learning-rate", "nan"],
        ["train", "--learning-rate", "0"],
        ["train", "--seed", "1.5"],
        ["train", "--seed", str(2**64)],
        ["train", "--threads", "0"],
        ["train", "--loss", "crossentropy"],
        ["train", "--activation", "softmax"],
        ["train", "--optimizer", "adamx"],
        ["predict", "m.safetensors"],
    ],
)
def test_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2
    assert capsys.readouterr().out == ""


# ------------------------------------------------------------------------- signals, pipes, terminals


def _default_sigint() -> None:
    # A shell that runs the tests in the background ignores SIGINT, which children inherit.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@POSIX
@pytest.mark.parametrize("json_wanted", [False, True])
def test_ctrl_c_saves_what_was_learnt(tmp_path: Path, json_wanted: bool) -> None:
    command = [*COMMAND, "train", "--epochs", "10000000", *(["--json"] if json_wanted else [])]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=_default_sigint
    ) as process:
        assert process.stderr is not None
        assert process.stdout is not None
        first = process.stderr.readline()
        assert first.startswith("epoch 1/10000000")
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130
    found = re.search(r"fastmlp: interrupted after (\d+) of 10000000 epochs; what was learnt is saved in (.*)\n$", err)
    assert found is not None
    assert int(found[1]) >= 1
    assert "Traceback" not in err
    accuracy = fastmlp.load(tmp_path / found[2]).evaluate(*load_digits()[1])["accuracy"]
    assert accuracy > 0.9
    if json_wanted:
        record = json.loads(out)
        assert record["interrupted"] is True
        assert record["test_accuracy"] == pytest.approx(accuracy)
    else:
        assert out.splitlines()[-2:] == [f"test accuracy {100 * accuracy:.2f} %", "saved digits.safetensors"]


@POSIX
def test_a_reader_who_leaves_does_not_stop_the_training(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*COMMAND, "train"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        err = process.stderr.read()
    assert process.returncode == 0
    assert "Broken" not in err
    assert "Exception" not in err
    assert fastmlp.load(tmp_path / "digits.safetensors").sizes == (64, 128, 10)


@POSIX
@pytest.mark.parametrize("arguments", [["--help"], ["info"], ["train", "--help"]])
def test_a_reader_who_leaves_is_no_error(tmp_path: Path, arguments: list[str]) -> None:
    with subprocess.Popen(
        [*COMMAND, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_an_error(tmp_path: Path) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([*COMMAND, "info"], stdout=full, stderr=subprocess.PIPE, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr == "fastmlp: error: [Errno 28] No space left on device\n"


@POSIX
@pytest.mark.parametrize("columns", [0, 60])
def test_the_bar_on_a_terminal(tmp_path: Path, columns: int) -> None:
    """The bar is written to a terminal with a known width and to one with the width 0."""
    import pty
    import termios

    main, terminal = pty.openpty()
    termios.tcsetwinsize(terminal, (24, columns))
    environment = {**os.environ, "COLUMNS": "60"}
    with subprocess.Popen(
        [*COMMAND, "train"], cwd=tmp_path, stdout=subprocess.PIPE, stderr=terminal, text=True, env=environment
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(main, 65536)
            except OSError:  # on Linux, the other end of the terminal is closed
                break
            if not part:
                break
            shown += part
        assert process.stdout is not None
        assert process.stdout.read().endswith("saved digits.safetensors\n")
    os.close(main)
    assert process.returncode == 0
    redrawn = shown.decode().removesuffix("\r\n").split("\r")
    assert redrawn[1].startswith("epoch 0/40   0%|")
    assert redrawn[-1].startswith("epoch 40/40 100%|")
    assert re.search(r"\| \d\d:\d\d<00:00, loss ", redrawn[-1])
    assert max(map(len, redrawn)) <= 60
    assert "\n" not in "".join(redrawn)


def test_the_command_line_is_imported_only_when_used() -> None:
    code = "import sys, fastmlp; print(any(name in sys.modules for name in ('fastmlp.cli', 'argparse', 'csv')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("loss", ["poisson", "gamma", "gaussian_nll", "quantile"])
def test_losses_whose_outputs_are_no_targets(run: Run, tmp_path: Path, loss: str) -> None:
    """For a loss with several heads, training and `predict` report predictions in the unit of the target."""
    rng = np.random.default_rng(3)
    x = rng.uniform(size=(400, 2))
    target = np.maximum(1, rng.poisson(5 + 20 * x[:, 0]))
    lines = ["a,b,n", *(f"{a:.6f},{b:.6f},{n}" for (a, b), n in zip(x, target, strict=True))]
    (tmp_path / "counts.csv").write_text("\n".join(lines) + "\n")
    done = run("train", "counts.csv", "--target", "n", "--task", "regression", "--loss", loss)
    found = re.search(r"\ntest loss \S+, RMSE (\S+), R2 (\S+)\n", done.stdout)
    assert found is not None
    assert float(found[2]) > 0.3
    predicted = [float(line) for line in run("predict", "counts.safetensors", "counts.csv").stdout.splitlines()]
    assert np.corrcoef(predicted, target)[0, 1] > 0.7
    assert abs(np.mean(predicted) - target.mean()) < 2
