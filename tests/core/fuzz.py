"""Fuzz the C API's reader of model files: build the target with libFuzzer and AddressSanitizer, and run it.

    python tests/core/fuzz.py [--runs N] [--seed N]

The seeds are files that this fastmlp writes, of all activations and kinds of scalings. With the same seed, clang and
fastmlp, a run makes the same inputs. Inputs that fail are kept in build/fuzz.
"""

from __future__ import annotations

import argparse
import itertools
import os
import subprocess
import sys
from pathlib import Path

import build

import fastmlp
from fastmlp.activations import ACTIVATIONS
from fastmlp.formats import model_file

FOLDER = build.TOP / "build" / "fuzz"
SANITIZERS = ("-fsanitize=fuzzer-no-link,address,undefined", "-fno-sanitize-recover=all", "-g1", "-O1")
# Kernels in plain C are compiled fastest, and the reader of files is the same with all of them; -w, because clang warns
# of loops that it does not unroll with so little optimisation.
MACROS = (
    "-w",
    "-DFML_NO_VECTOR_EXTENSIONS",
    "-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION",
    "-DFML_SANITIZED",
)
LIMITS = ("-max_len=8192", "-rss_limit_mb=2048", "-malloc_limit_mb=1024", "-timeout=20", "-print_final_stats=1")


def seeds() -> list[bytes]:
    """Return model files that differ in what a reader of them does."""
    names = [f for f in dict.fromkeys(ACTIVATIONS.values()) if not f.output_only]
    own = [fastmlp.Sigmoid(2.0), fastmlp.GELU("tanh"), fastmlp.HardTanh(-2.0, 3.0), fastmlp.Gaussian(1.0, 0.5)]
    nets = [fastmlp.Network([3, 4, 2], activation=f, seed=0) for f in [*(f() for f in names), *own]]
    nets += [
        fastmlp.Network([1, 1], dtype=dtype, loss=loss, seed=0)
        for dtype, loss in itertools.product(("float32", "float64"), ("mse", "binary_cross_entropy", "gaussian_nll"))
        if loss != "gaussian_nll"
    ]
    one, two = fastmlp.Scaling([0.5], [2.0]), fastmlp.Scaling([-1.0, 1e3], [0.25, 3.0])
    nets += [
        fastmlp.Network([2, 3, 1], input_scaling=two, target_scaling=one, seed=0),
        fastmlp.Network([2, 1], input_scaling="standard", feature_names=["a", "\u00e9"], target_name="y", seed=0),
        fastmlp.Network([1, 2], loss="cross_entropy", class_names=["no", "yes"], dtype="float64"),
        fastmlp.Network([40, 17, 17, 17, 3], activation="tanh", seed=0),
    ]
    files = [model_file.to_bytes(net) for net in nets]
    files.append(model_file.to_bytes(nets[0].bind(), weights="float32"))
    files.append(model_file.to_bytes(nets[0], extra={"note": "text"}))
    return files


def compile_target() -> Path:
    """Compile the core and the target with clang, and return the program."""
    target = build.Target(compiler="clang", machine="any", flags=(*SANITIZERS, *MACROS))
    FOLDER.mkdir(parents=True, exist_ok=True)
    build.build(target, FOLDER, {"fuzz_model": [build.HERE / "fuzz_model.c"]}, link=("-fsanitize=fuzzer",))
    return FOLDER / "fuzz_model"


def main() -> int:
    """Build, write the seeds, run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    program, corpus = compile_target(), FOLDER / "seeds"
    corpus.mkdir(exist_ok=True)
    for old in corpus.iterdir():
        old.unlink()
    for i, content in enumerate(seeds()):
        (corpus / f"{i:03}").write_bytes(content)
    command = [
        program,
        f"-runs={options.runs}",
        f"-seed={options.seed}",
        *LIMITS,
        f"-artifact_prefix={FOLDER}/",
        corpus,
    ]
    environment = {**os.environ, "ASAN_OPTIONS": "allocator_may_return_null=1:detect_leaks=1"}
    return subprocess.run(command, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
