"""Prefetching: order, errors, and a thread that always ends."""

import gc
import itertools
import threading
import time
import traceback

import pytest

from jaxgan import data


def _threads():
    return [t for t in threading.enumerate() if t.name == "prefetch"]


@pytest.fixture(autouse=True)
def no_thread_outlives_a_test():
    assert not _threads()
    yield
    assert not _threads()


def test_yields_in_order_from_start():
    with data.prefetch(lambda step: step * 10, 7) as batches:
        assert list(itertools.islice(batches, 5)) == [70, 80, 90, 100, 110]


def test_works_ahead_by_depth_in_one_thread():
    made, makers = [], set()
    three = threading.Event()

    def make(step):
        made.append(step)
        makers.add(threading.current_thread())
        if len(made) == 3:
            three.set()
        return step

    with data.prefetch(make, 0, depth=2) as batches:
        assert three.wait(5)
        time.sleep(0.05)
        # Two that wait, and one in hand that does not fit.
        assert made == [0, 1, 2]
        assert next(batches) == 0
        assert len(makers) == 1 and threading.current_thread() not in makers


def test_an_error_arrives_in_turn_with_its_traceback():
    def faulty(step):
        if step == 2:
            raise KeyError("broken batch")
        return step

    batches = data.prefetch(faulty, 0)
    assert [next(batches), next(batches)] == [0, 1]
    with pytest.raises(KeyError, match="broken batch") as caught:
        next(batches)
    assert "faulty" in [f.name for f in traceback.extract_tb(caught.tb)]
    assert list(batches) == []
    assert not _threads()


def test_a_stray_stop_iteration_is_an_error():
    batches = data.prefetch(lambda step: next(iter(())), 0)
    with pytest.raises(RuntimeError, match="StopIteration"):
        next(batches)


def test_close_ends_the_thread_whatever_it_is_doing():
    waiting = data.prefetch(lambda step: step, 0, depth=1)
    next(waiting)
    time.sleep(0.02)  # full: the thread waits for room
    waiting.close()
    waiting.close()
    assert not _threads()
    assert list(waiting) == []

    begun = threading.Event()

    def slow(step):
        begun.set()
        time.sleep(0.05)
        return step

    busy = data.prefetch(slow, 0)
    assert begun.wait(5)
    busy.close()


def test_an_error_in_the_consumer_closes():
    with pytest.raises(ZeroDivisionError):  # noqa: SIM117
        with data.prefetch(lambda step: step, 0) as batches:
            1 / next(batches)
    with data.prefetch(lambda step: step, 3) as batches:
        assert next(batches) == 3


def test_an_iterator_that_is_dropped_ends_its_thread():
    batches = data.prefetch(lambda step: step, 0)
    assert next(batches) == 0
    del batches
    gc.collect()


def test_depth_is_checked():
    with pytest.raises(ValueError, match="depth"):
        data.prefetch(lambda step: step, 0, depth=0)
