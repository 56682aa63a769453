"""Writes the folders models, checkpoints and pickles. It was run once, with version 0.1.0 of fastmlp, and is kept so
that anybody sees how they came about; with a later version it would write other files.

    FASTMLP_ISA=avx2 python write.py

Each folder has `expected.npz`: what 0.1.0 itself made of the files that it had just read, and which instruction set.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import pickle
import shutil
import tempfile
import warnings
from typing import Any

import cases_of_0_1_0 as cases
import numpy as np

import fastmlp

HERE = pathlib.Path(__file__).parent


def write_models(folder: pathlib.Path) -> dict[str, Any]:
    """Each model after two epochs."""
    expected = {}
    for name, words in cases.models().items():
        net = fastmlp.Network(words["sizes"], **{key: value for key, value in words.items() if key != "sizes"})
        if all(f.trainable for f in net.activation) and name != "unlearnt_scaling":
            net.fit(cases.X, cases.targets(net.loss), epochs=2, batch_size=8)
        net.save(folder / f"{name}.model")
        expected[name] = cases.of_model(fastmlp.load(folder / f"{name}.model"), name)
    return expected


def write_checkpoints(folder: pathlib.Path) -> dict[str, Any]:
    """Each training, cut off, and its end."""
    expected = {}
    for name, case in cases.checkpoints().items():
        path = folder / f"{name}.checkpoint"
        net, (X, y), how = cases.network(case["net"]), cases.rows(case), cases.fit_arguments(case)
        cut = case["cut"]
        keep = [*how["callbacks"], fastmlp.Checkpoint(path, every=1, unit="step")]
        with contextlib.suppress(cases.Cut):
            net.fit(X, y, **{**how, "callbacks": keep + ([] if cut is None else [cases.CutAfter(cut + 1)])})
        resumed, whole = cases.network(case["net"]), cases.network(case["net"])
        history = resumed.fit(X, y, resume=path, **cases.to_the_end(case))
        whole.fit(X, y, **cases.to_the_end(case))
        assert np.array_equal(resumed.parameters, whole.parameters), name
        expected[name] = cases.of_checkpoint(resumed, history)
    return expected


def write_pickles(folder: pathlib.Path) -> dict[str, Any]:
    """Networks, estimators and what else is pickled."""
    expected = {}
    for name, net in cases.networks().items():
        content = pickle.dumps(net, protocol=4)
        (folder / f"network_{name}.pickle").write_bytes(content)
        expected[f"network_{name}"] = cases.of_network(pickle.loads(content))
    for name in ("objects", "others"):
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(getattr(cases, name)(), protocol=4))
    for name, (estimator, y, what) in cases.estimators().items():
        if what == "partial_fit":
            classes = {"classes": np.unique(y)} if hasattr(estimator, "predict_proba") else {}
            for _ in range(2):
                estimator.partial_fit(cases.X, y, **classes)
        elif name != "unfitted":
            estimator.fit(cases.X, y)
        content = pickle.dumps(estimator, protocol=4)
        (folder / f"estimator_{name}.pickle").write_bytes(content)
        expected[f"estimator_{name}"] = cases.of_estimator(content, y, what)
    return expected


def main() -> None:
    """All three folders."""
    assert fastmlp.__version__ == "0.1.0"
    warnings.simplefilter("ignore")
    os.chdir(tempfile.mkdtemp())
    for kind in ("models", "checkpoints", "pickles"):
        folder = HERE / kind
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        expected = globals()[f"write_{kind}"](folder)
        cases.write_expected(folder / "expected.npz", fastmlp.info()["isa"], expected)


if __name__ == "__main__":
    main()
