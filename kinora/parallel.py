"""Several things done at once, in order, with only a few results waiting."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def ordered_map(
    function: Callable[[A], B], items: Iterable[A], workers: int | None = None, *, processes: bool = False
) -> Iterator[B]:
    """Yield `function` of each item, in order, computed in threads at most a few items ahead of who asks.

    `Executor.map` would take all items at once, and keep all results until they are asked for. `processes` are for
    work that holds the interpreter: function, items and results are pickled, and there is one a core unless said.
    """
    count = workers or (os.cpu_count() or 1 if processes else min(8, 2 * (os.cpu_count() or 1)))
    waiting: deque[Future[B]] = deque()
    with _pool(count, processes=processes) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > 2 * count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _pool(count: int, *, processes: bool) -> Executor:
    return ProcessPoolExecutor(count, get_context("spawn")) if processes else ThreadPoolExecutor(count)
