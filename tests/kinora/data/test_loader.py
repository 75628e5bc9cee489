"""Reading ahead: in order, bounded, with its errors, and without threads left behind."""

import threading
from functools import partial
from itertools import count

import pytest

from kinora.data.loader import Loader
from kinora.errors import KinoraError


def test_results_come_in_order_however_long_each_takes(wait_until):
    """The first of each step is made only after the second, by another thread."""
    done = [threading.Event() for _ in range(20)]

    def first(step):
        done[step].wait()
        return (step, 0)

    def second(step):
        done[step].set()
        return (step, 1)

    steps = ([partial(first, step), partial(second, step)] for step in range(20))
    with Loader(steps, ahead=4, threads=2) as loader:
        assert list(loader) == [[(step, 0), (step, 1)] for step in range(20)]
    wait_until(lambda: threading.active_count() == 1 or not any("_work" in t.name for t in threading.enumerate()))


def test_no_more_than_agreed_wait_in_memory(wait_until):
    made = []
    with Loader(([partial(made.append, step)] for step in count()), ahead=3) as loader:
        wait_until(lambda: len(made) == 3)
        for taken in range(1, 6):
            next(loader)
            wait_until(lambda taken=taken: len(made) == taken + 3)
        assert sorted(made) == list(range(8))


def test_a_step_may_need_more_than_may_wait():
    with Loader(iter([[partial(int, n) for n in range(10)], [], [partial(int, 10)]]), ahead=2) as loader:
        assert list(loader) == [list(range(10)), [], [10]]


def test_an_error_reaches_the_step_that_it_belongs_to_as_it_is():
    def broken():
        raise KinoraError("clip a is damaged.")

    def plan():
        yield [partial(int, 1)]
        yield [broken]

    with Loader(plan()) as loader:
        assert next(loader) == [1]
        with pytest.raises(KinoraError, match="clip a is damaged"):
            next(loader)

    def unplannable():
        yield [partial(int, 1)]
        raise KinoraError("there are no clips.")

    with Loader(unplannable()) as loader:
        assert next(loader) == [1]
        with pytest.raises(KinoraError, match="no clips"):
            next(loader)


def test_closing_ends_its_threads_whatever_they_wait_for(wait_until):
    before = set(threading.enumerate())
    with pytest.raises(KeyboardInterrupt), Loader(([partial(int, step)] for step in count()), ahead=2):
        raise KeyboardInterrupt
    assert set(threading.enumerate()) == before
