"""Operations on many rows that are divided among threads."""

from __future__ import annotations

import threading
import time

import pytest

from fastmlp.inputs.sharing import shared


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_results_stand_in_order(n_threads: int) -> None:
    def action(item: int) -> tuple[int, int]:
        time.sleep(0.001 * (item % 3))
        return item, threading.get_ident()

    results = shared(n_threads, range(40), action)
    assert [item for item, _ in results] == list(range(40))
    assert len({thread for _, thread in results}) == n_threads
    assert shared(n_threads, [], action) == []


@pytest.mark.parametrize("n_threads", [1, 2, 5])
def test_of_several_errors_that_of_the_first_item_is_raised_and_no_thread_goes_on(n_threads: int) -> None:
    done: list[int] = []
    before = set(threading.enumerate())

    def action(item: int) -> None:
        if item == 7:
            time.sleep(0.02)  # so that a later item raises first
        if item >= 7:
            raise ValueError(str(item))
        done.append(item)

    with pytest.raises(ValueError, match=r"^7$"):
        shared(n_threads, range(10_000), action)
    assert sorted(done) == list(range(7))
    assert set(threading.enumerate()) <= before


def test_ctrl_c_stops_the_other_threads() -> None:
    begun: list[int] = []
    main, before = threading.get_ident(), set(threading.enumerate())

    def action(item: int) -> None:
        begun.append(item)
        time.sleep(0.001)
        if threading.get_ident() == main and item > 10:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shared(3, range(10_000), action)
    assert len(begun) < 100
    assert set(threading.enumerate()) <= before
