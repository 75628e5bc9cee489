"""Reading ahead: what the next steps of a training need is read in threads while the present one computes."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Generic, TypeVar

T = TypeVar("T")
PATIENCE = 5.0  # seconds that `close` waits for a read that is under way: a store that hangs must not hold up the end


class Loader(Generic[T]):
    """Makes what each step needs in threads, ahead of time, and hands it over in order.

    What a thread raises is raised by `next`, where its result was due. Use it in a `with`: its end is the threads' end.

    Args:
        steps: yields what is to be called for each step. A thread advances it, ahead of time as well.
        ahead: how many results may wait or be in the making: memory does not grow beyond them.
        threads: how many results are made at once.
    """

    def __init__(self, steps: Iterator[Sequence[Callable[[], T]]], *, ahead: int = 4, threads: int = 2):
        self._steps, self._ahead = steps, ahead
        self._changed = threading.Condition()  # guards what follows
        self._planned: deque[list[Future[T]]] = deque()  # of steps that were not handed over yet
        self._jobs: deque[tuple[Callable[[], T], Future[T]]] = deque()  # that no thread took yet
        self._waiting = 0  # jobs and results that were not handed over yet
        self._ended: BaseException | None = None  # why no more steps are planned
        self._closed = False
        self._threads = [threading.Thread(target=self._plan, daemon=True)]
        self._threads += [threading.Thread(target=self._work, daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "Loader[T]":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> "Loader[T]":
        return self

    def __next__(self) -> list[T]:
        """Return the results of the next step, in the order in which they were asked for."""
        with self._changed:
            self._changed.wait_for(lambda: self._planned or self._ended)
            if self._closed or not self._planned:
                assert self._ended is not None
                raise self._ended
            futures = self._planned.popleft()
            self._changed.notify_all()
        results = []
        for future in futures:
            results.append(future.result())
            with self._changed:
                self._waiting -= 1
                self._changed.notify_all()
        return results

    def close(self) -> None:
        """End the threads, and forget what they made."""
        with self._changed:
            self._closed = True
            self._ended = self._ended or StopIteration()
            self._jobs.clear()
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)

    def _plan(self) -> None:
        ended: BaseException = StopIteration()
        try:
            for jobs in self._steps:
                futures = [Future[T]() for _ in jobs]
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or len(self._planned) < self._ahead)
                    self._planned.append(futures)
                    self._changed.notify_all()
                for job, future in zip(jobs, futures, strict=True):
                    with self._changed:
                        self._changed.wait_for(lambda: self._closed or self._waiting < self._ahead)
                        if self._closed:
                            return
                        self._waiting += 1
                        self._jobs.append((job, future))
                        self._changed.notify_all()
        except BaseException as error:
            ended = error
        with self._changed:
            self._ended = self._ended or ended
            self._changed.notify_all()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._closed or self._jobs)
                if self._closed:
                    return
                job, future = self._jobs.popleft()
            try:
                future.set_result(job())
            except BaseException as error:
                future.set_exception(error)
