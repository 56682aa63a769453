"""Invalid files with correct checksums: they load to a network that works, or raise a `FormatError`.

There must be no other exception and no large amount of memory or time, and a network must be unchanged if it refuses a
checkpoint. FASTMLP_MUTATION_SEED selects the files, FASTMLP_MUTATION_KINDS the number of networks that write them; a
failure prints the fewest changes that still fail.
"""

from __future__ import annotations

import os
import pathlib
import pickle
import random
import time
import tracemalloc
from typing import Any

import numpy as np
import pytest

import fastmlp
from file_mutations import Kind, Parts, mutate, put_together, take_apart

SEED = int(os.environ.get("FASTMLP_MUTATION_SEED", "0"))
KINDS = int(os.environ.get("FASTMLP_MUTATION_KINDS", "240"))
MAX_MEMORY, MAX_SECONDS = 64 * 2**20, 1.0


def state(net: fastmlp.Network) -> Any:
    return net.parameters.tobytes(), net._architecture(), net._random_state, net.input_scaling, net.feature_names


def load(content: bytes, kind: Kind, path: pathlib.Path) -> None:
    """Load a model file, predict, save it again, and pickle the network."""
    path.write_bytes(content)
    net = fastmlp.load(path)
    X = np.ones((2, net.sizes[0]))
    if not isinstance(net.input_scaling, str) and not isinstance(net.target_scaling, str):
        net.predict(X)
    repr(net), net.summary()
    net.save(path)
    assert fastmlp.load(path).parameters.tobytes() == net.parameters.tobytes()
    assert pickle.loads(pickle.dumps(net)).parameters.tobytes() == net.parameters.tobytes()


def resume(content: bytes, kind: Kind, path: pathlib.Path) -> None:
    """Resume a checkpoint; a ValueError names what belongs to a different training."""
    path.write_bytes(content)
    net, (X, y), words = kind.network(), kind.data(), kind.words()
    before, another = state(net), ""
    try:
        net.fit(X, y, epochs=3, resume=path, **words)
    except fastmlp.FormatError:
        assert state(net) == before
        raise
    except FloatingPointError:
        pass  # large finite numbers may overflow
    except ValueError as error:
        another = str(error)
    if another:
        assert "expected a network with" in another or "expected that of the checkpoint" in another, another
        assert state(net) == before
    assert np.isfinite(net.parameters).all()
    assert fastmlp.load(path).parameters.size == net.n_parameters


def outcome(use: Any, content: bytes, kind: Kind, path: pathlib.Path) -> bool:
    """Return whether the file was refused; raise if anything else than a refusal or success happens."""
    start = time.process_time()
    tracemalloc.start()
    try:
        use(content, kind, path)
        refused = False
    except fastmlp.FormatError:
        refused = True
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    seconds = time.process_time() - start
    assert peak < MAX_MEMORY, f"{peak} bytes"
    assert seconds < MAX_SECONDS, f"{seconds} s"
    return refused


def written(kind: Kind, path: pathlib.Path) -> list[tuple[Any, Parts]]:
    """Yield the files of the kind, with a function that uses them."""
    net, (X, y), words = kind.network(), kind.data(), kind.words()
    every = random.Random(kind.seed).choice([1, 4])
    words["callbacks"] = [*words["callbacks"], fastmlp.Checkpoint(path, every=every, unit="step")]
    net.fit(X, y, epochs=2, **words)
    checkpoint = take_apart(path.read_bytes())
    net.save(path)
    return [(load, take_apart(path.read_bytes())), (resume, checkpoint), (load, checkpoint)]


def fewest_changes(use: Any, parts: Parts, seed: str, kind: Kind, path: pathlib.Path) -> str:
    """Return the smallest number of a failing mutation's first changes that fails, and the error."""
    for most in (1, 2, 3):
        mutated = mutate(parts, random.Random(seed), most)
        content = put_together(mutated)
        try:
            outcome(use, content, kind, path)
        except Exception as error:
            return f"{'; '.join(mutated.changes)}\n    {type(error).__name__}: {error!s:.300}"
    return "it does not fail again"


def run(kinds: range, path: pathlib.Path) -> tuple[int, int, list[str]]:
    """Return the number of refused files, the number of files, and the failures."""
    n, refused, failures = 0, 0, list[str]()
    for kind_seed in kinds:
        kind = Kind(kind_seed)
        for use, parts in written(kind, path):
            use(put_together(parts), kind, path)  # without changes, the file works
            for i in range(25):
                seed = f"{kind_seed} {use.__name__} {i}"
                content = put_together(mutate(parts, random.Random(seed)))
                n += 1
                try:
                    refused += outcome(use, content, kind, path)
                except Exception:
                    changes = fewest_changes(use, parts, seed, kind, path)
                    failures.append(f"Kind({kind_seed}), {seed!r}: {changes}")
        if len(failures) >= 20:
            break
    return refused, n, failures


def check(n_kinds: int, path: pathlib.Path) -> None:
    first = SEED * 1_000_000
    refused, n, failures = run(range(first, first + n_kinds), path)
    print(f"FASTMLP_MUTATION_SEED={SEED}: {n} files, {refused} refused")
    assert not failures, f"FASTMLP_MUTATION_SEED={SEED}:\n" + "\n".join(failures)
    assert 0.3 * n < refused < n


def test_some_mutations(tmp_path: pathlib.Path) -> None:
    check(12, tmp_path / "m")


@pytest.mark.slow
def test_many_mutations(tmp_path: pathlib.Path) -> None:
    check(KINDS, tmp_path / "m")
