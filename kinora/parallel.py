"""Several things done at once, in order, with only a few results waiting."""

import os
import signal
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TypeVar

from kinora.errors import KinoraError

A = TypeVar("A")
B = TypeVar("B")


def ordered_map(
    function: Callable[[A], B], items: Iterable[A], workers: int | None = None, *, processes: bool = False
) -> Iterator[B]:
    """Yield `function` of each item, in order, computed in threads at most a few items ahead of who asks.

    `Executor.map` would take all items at once, and keep all results until they are asked for. `processes` are for
    work that holds the interpreter: function, items and results are pickled, and there is one a core unless said.

    Raises:
        KinoraError: a process was killed.
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
        except BrokenProcessPool as error:
            raise KinoraError("a process was killed at its work, perhaps for want of memory; use fewer.") from error
        finally:
            for future in waiting:
                future.cancel()


def _pool(count: int, *, processes: bool) -> Executor:
    return ProcessPoolExecutor(count, get_context("spawn"), _alone) if processes else ThreadPoolExecutor(count)


def _alone() -> None:
    """Leave a process one thread for sums, as there is one process a core, and let Ctrl-C end it without a word.

    How many threads there may be, libraries ask when they are imported.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")
