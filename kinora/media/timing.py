"""When frames are shown: sampling at one rate, and what rate a file has. Times are seconds."""

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import numpy as np

# A frame that is this much of a sampling period late still counts as in time, against rounding errors.
ROUNDING = 1e-4


class Timed(Protocol):
    """What is shown from `start_s` to `end_s`, in seconds."""

    @property
    def start_s(self) -> float: ...

    @property
    def end_s(self) -> float: ...


T = TypeVar("T", bound=Timed)


def sample(frames: Iterable[T], fps: float, slack: float = ROUNDING) -> Iterator[tuple[T, int]]:
    """Yield each frame with how many of the instants 0, 1/fps, 2/fps, ... a player shows it at; 0 for some.

    A frame that is up to `slack` of 1/fps late counts as in time. Looks one frame ahead.
    """

    def instants_before(time_s: float) -> int:
        return math.ceil(time_s * fps - slack)

    shown: T | None = None
    emitted = 0
    for frame in frames:
        if shown is not None:
            count = max(0, instants_before(frame.start_s) - emitted)
            yield shown, count
            emitted += count
        shown = frame
    if shown is not None:
        yield shown, max(0, instants_before(shown.end_s) - emitted)


def is_variable(frames: Sequence[Timed]) -> bool:
    """Say whether some frame is shown for half as long again, or half as long, as most are."""
    if len(frames) < 3:
        return False
    periods = _periods(frames)
    ratios = periods / max(float(np.median(periods)), 1e-9)
    return bool((ratios > 1.5).any() or (ratios < 0.5).any())


def typical_rate(frames: Sequence[Timed], announced: float) -> float:
    """Return the frames per second of a constant rate, or for a variable one the rate that most frames have.

    Some containers announce their clock's rate instead; where frames disagree with what is announced, they count.
    """
    periods = _periods(frames)
    if not len(periods) or float(np.median(periods)) <= 0:
        return announced
    median = float(np.median(periods))
    usual = periods[(periods >= 0.5 * median) & (periods <= 1.5 * median)]
    own = float(1 / usual.mean())
    return announced if not is_variable(frames) and abs(own - announced) < 0.05 * announced else own


def _periods(frames: Sequence[Timed]) -> np.ndarray:
    return np.diff([frame.start_s for frame in frames])
