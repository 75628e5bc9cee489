"""Things done at once come in order, a few ahead, and a process that dies is said to."""

import operator
import os
from itertools import islice

import pytest

from kinora.errors import KinoraError
from kinora.parallel import ordered_map


@pytest.mark.parametrize("processes", [False, True])
def test_results_come_in_the_order_of_the_items(processes):
    assert list(ordered_map(operator.neg, range(20), 2, processes=processes)) == [-i for i in range(20)]


def test_only_a_few_items_are_taken_ahead():
    taken = []

    def items():
        for i in range(1000):
            taken.append(i)
            yield i

    first = list(islice(ordered_map(operator.neg, items(), 2), 3))
    assert first == [0, -1, -2]
    assert len(taken) < 10


def test_a_process_has_one_thread_for_sums(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert list(ordered_map(os.getenv, ["OMP_NUM_THREADS"], 1, processes=True)) == ["1"]


def test_a_process_that_dies_is_an_error_in_a_sentence():
    with pytest.raises(KinoraError, match="killed"):
        list(ordered_map(os._exit, [3], 1, processes=True))
