"""Work ahead by threads: order, bounds, errors, and no thread left behind."""

import threading
import time
import traceback
from functools import partial

import pytest

from convlet.sources import in_order


def threads():
    return [t for t in threading.enumerate() if t.name.startswith("convlet-data")]


def late_if_even(number):
    time.sleep(0.004 if number % 2 == 0 else 0)
    return number


@pytest.mark.parametrize(("workers", "ahead"), [(1, 1), (4, 2), (4, 10), (2, 100)])
def test_order_is_that_of_the_tasks(workers, ahead):
    tasks = (partial(late_if_even, n) for n in range(20))
    assert list(in_order(tasks, workers, ahead)) == list(range(20))
    assert threads() == []


def test_several_are_computed_at_the_same_time():
    together = threading.Barrier(3)
    tasks = [partial(together.wait, timeout=10)] * 3
    assert sorted(in_order(tasks, 3, 3)) == [0, 1, 2]


def test_no_more_than_asked_for_are_begun():
    begun = []

    def tasks():
        for number in range(100):
            begun.append(number)
            yield partial(int, number)

    results = in_order(tasks(), 4, 3)
    for number in range(10):
        assert next(results) == number
        assert len(begun) == number + 1 + 3
    results.close()


def test_error_comes_in_its_turn_with_its_own_traceback():
    def that_fails():
        raise KeyError("seven")

    results = in_order([partial(int, 1), that_fails, partial(int, 2)], 2, 3)
    assert next(results) == 1
    with pytest.raises(KeyError, match="seven") as caught:
        next(results)
    assert "that_fails" in [
        frame.name for frame in traceback.extract_tb(caught.value.__traceback__)
    ]
    assert threads() == []


def test_an_early_end_leaves_no_thread_and_begins_nothing_more():
    done = []

    def task(number):
        time.sleep(0.002)
        done.append(number)

    results = in_order((partial(task, n) for n in range(1000)), 3, 20)
    next(results)
    results.close()
    assert threads() == []
    assert len(done) < 10


def test_no_tasks():
    assert list(in_order([], 2, 2)) == []
