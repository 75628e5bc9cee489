"""Where a fall bends: from one moment on a thing is accelerated otherwise, with the velocity that it had.

What strikes or catches a thing changes its velocity, and what lets it go was not letting it fall before. So neither
explains a fall that goes over into another acceleration without a step of its velocity; nor does anything explain one
that stands still where it is highest. Windows of many lengths about every moment are fitted by least squares: with one
acceleration and at most one blow, and with what would be a failure. The ratio of the likelihoods tells them apart. A
blow of what rests makes nothing faster, so one that does counts half.

Places of outlines tell of it and, apart from them, the way that the flow inside goes: outlines are frayed by what is
near, flow lags in what is plain, and seldom do both err alike.
"""

from dataclasses import dataclass
from functools import cache, cached_property
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from evaluation.evidence.tracks import Track
from evaluation.physics.laws import Law

LENGTHS = (3, 4, 5, 7, 10, 14, 20, 28)  # steps on each side of a moment that are tried
UNEVEN = 2  # how far apart in this row those of both sides are at most
LONGEST = 0.8  # seconds of a side
ALIKE = 0.25  # difference of the areas' logarithms up to which all of a thing is seen
BLUR, OF_STEP = 0.25, 0.02  # pixels, and parts of a step, of the least error of a place
FITS = 6.0  # times the least error's square, that what is left may be
FASTER = 1.05, 0.1  # times the speed, and pixels a frame, up to which a blow makes nothing faster
DOWN = 1.2  # of its pull aside, that a fall is drawn down the picture at least
SURE, CLEAR = 4.0, 3.0  # standard errors of the fall's acceleration, and of its change
CHANGED, LARGEST = 0.4, 7.0  # of the fall's acceleration: the least and largest change
HIGHEST = 1.5, 0.3  # frames of its pull, and pixels by steps before, of the speed down or up of what is highest
ODDS, FAR = 6.0, 0.8  # root of twice the log odds, and radii that it leads elsewhere, of strength log 2
LAWFUL = 0.25  # of the law, beside errors, that a fall may be off
LONE, UNLAWFUL = 0.8, 0.5  # times the strength where no other thing tells the law, and where it tells another one


@dataclass(frozen=True, eq=False)
class Kink:
    """A fall of a track that bends in sight `sight`, told by so many `steps` before and after.

    `before` and `after` are accelerations, `[2]`, in pixels / s².
    """

    sight: int
    steps: tuple[int, int]
    before: np.ndarray
    after: np.ndarray
    strength: float


def kink_of(track: Track, steps: np.ndarray, fps: float, law: Law | None) -> Kink | None:
    """Return the surest kink of a track, None if there is none.

    `steps [n - 1, 2]` are what the flow says of its way from sight to sight, in steady pixels, nan where it is not
    known; `law` is what other things tell of falls.
    """
    inside = ~track.at_border
    clear = inside & (np.abs(np.log(track.areas / track.area)) < ALIKE)
    known = np.isfinite(steps[:, 0]) & inside[1:] & inside[:-1]
    way = np.concatenate([np.zeros((1, 2)), np.cumsum(np.where(known[:, None], steps, 0), axis=0)])
    seen = _Seen(
        np.stack([track.steady, way], axis=1),
        np.stack([clear[1:] & clear[:-1], known], axis=1),
        float(np.sqrt(track.area / np.pi)),
        fps,
        law,
    )
    lengths = [(i, k) for i, k in enumerate(LENGTHS) if k == LENGTHS[0] or k <= LONGEST * fps]
    found = [
        seen.kink(before, after)
        for (i, before), (j, after) in product(lengths, repeat=2)
        if abs(i - j) <= UNEVEN and before + after < len(track.frames)
    ]
    return max((kink for kink in found if kink is not None), key=lambda kink: kink.strength, default=None)


@dataclass(frozen=True, eq=False)
class _Seen:
    """What is seen of a thing: its places `[n, 2, 2]` by its outline and by the flow, and which steps these tell."""

    places: np.ndarray
    told: np.ndarray  # bool [n - 1, 2]
    radius: float
    fps: float
    law: Law | None

    @cached_property
    def error(self) -> np.ndarray:
        """Least error of places, `[2]`, by how unsteady they are from one to the next."""
        third = np.abs(np.diff(self.places, 3, axis=0))
        spread = 1.4826 * np.median(third, axis=(0, 2)) / np.sqrt(20) if len(third) > 5 else np.zeros(2)
        return np.asarray(np.maximum(BLUR, spread))

    def kink(self, before: int, after: int) -> Kink | None:
        """Return the surest kink in windows of so many steps before and after a moment."""
        whole = sliding_window_view(self.told, before + after, axis=0).all(axis=2)  # [m, 2]
        if not whole.any():
            return None
        windows = sliding_window_view(self.places, before + after + 1, axis=0)  # [m, 2, 2, k]
        models = _models(before, after)
        rightly = models.rightly(windows)
        paces = np.linalg.norm(np.diff(self.places, axis=0), axis=2)
        least = np.maximum(self.error, OF_STEP * sliding_window_view(paces, before + after, axis=0).max(axis=2)) ** 2
        best = None
        for failure in models.failures:
            if failure.fall is not None and self.law is None:
                continue
            fit = self._fitted(failure, windows, least)
            odds = np.where(whole & fit.good, (rightly - fit.left) / fit.variance, 0)
            if odds.max() <= 0:
                continue
            strength = self._strength(failure, fit, odds, before, after)
            agree = (fit.turns[:, 0] * fit.turns[:, 1]).sum(axis=1) > 0.5 * np.linalg.norm(fit.turns, axis=2).prod(
                axis=1
            )
            both = np.where(agree, strength.sum(axis=1), strength.max(axis=1)) / 2
            k, s = int(both.argmax()), int(strength[both.argmax()].argmax())
            if both[k] > 0 and (best is None or both[k] > best.strength):
                fall, turn = (of[k, s] * self.fps**2 for of in (fit.falls, fit.turns))
                best = Kink(k + before, (before, after), fall, fall + turn, float(both[k]))
        return best

    def _fitted(self, failure: "_Failure", windows: np.ndarray, least: np.ndarray) -> "_Fit":
        pull = None if self.law is None or failure.fall is None else self.law.pull / self.fps**2
        data = windows if pull is None or failure.fall is None else windows - pull[:, None] * failure.fall
        fitted = data @ failure.inverse.T  # [m, 2, 2, p]
        left = ((data - fitted @ failure.powers.T) ** 2).sum(axis=(2, 3))
        spare = max(1, 2 * (windows.shape[3] - fitted.shape[3]))
        variance = np.maximum(least, left / spare)
        falls = fitted[..., 2] if pull is None else np.broadcast_to(pull, fitted.shape[:3])
        turns = -falls if failure.rests else fitted[..., -1]
        return _Fit(left, left < FITS * spare * least, variance, falls, turns, fitted[..., 1])

    def _strength(self, failure: "_Failure", fit: "_Fit", odds: np.ndarray, before: int, after: int) -> np.ndarray:
        """Return how surely and how far a thing is led elsewhere, by its outline and by the flow, `[m, 2]`."""
        size, off = np.linalg.norm(fit.falls, axis=2), np.linalg.norm(fit.turns, axis=2)
        law_error = 0.0 if self.law is None else self.law.error / self.fps**2
        error = law_error if failure.fall is not None else np.sqrt(fit.variance) * failure.errors[0]
        good = (fit.falls[..., 1] > DOWN * np.abs(fit.falls[..., 0])) & (size > SURE * error)
        good &= (size * self.fps**2 > self.radius) & (off > CHANGED * size) & (off < LARGEST * size)
        far = 0.5 * off * after**2
        if failure.rests:
            good &= np.abs(fit.paces[..., 1]) < HIGHEST[0] * size + HIGHEST[1] / before
            far = np.minimum(far, 0.5 * size * before**2)
        else:
            good &= off > CLEAR * np.sqrt(fit.variance) * failure.errors[1]
        sure = np.sqrt(np.maximum(odds, 0)) / ODDS
        least = np.minimum(np.minimum(sure, far / (FAR * self.radius)), off / np.maximum(CHANGED * size, 1e-9))
        strength = np.where(good, np.log1p(least), 0)
        if self.law is None:
            return strength * LONE
        away = np.linalg.norm(fit.falls - self.law.pull / self.fps**2, axis=2)
        lawful = away < LAWFUL * self.law.size / self.fps**2 + 2.5 * np.hypot(error, law_error)
        return strength * np.where(lawful, 1, UNLAWFUL)


@dataclass(frozen=True, eq=False)
class _Fit:
    """A failure fitted to windows, by outline and flow: `[m, 2]`, and `[m, 2, 2]` in pixels and frames."""

    left: np.ndarray  # the sum of squares that it leaves
    good: np.ndarray  # bool: which is little
    variance: np.ndarray
    falls: np.ndarray
    turns: np.ndarray
    paces: np.ndarray  # at the moment


@dataclass(frozen=True, eq=False)
class _Failure:
    """A way to fail, as powers of time `[k, p]`, on top of a fall that is known (`[k]`, times its pull) or not (None).

    `errors` are those of the fall's acceleration and of its change, for places with an error of 1.
    """

    powers: np.ndarray
    inverse: np.ndarray
    fall: np.ndarray | None
    rests: bool
    errors: tuple[float, float]


@dataclass(frozen=True, eq=False)
class _Models:
    """What windows of one length are fitted with: even acceleration `[k, 3]`, a blow at some moments, and failures."""

    even: np.ndarray
    inverse: np.ndarray
    moments: np.ndarray  # [b], frames
    blows: np.ndarray  # [k, b], what a blow adds beside even acceleration, of length 1
    lengths: np.ndarray  # [b], of what it adds for a change of velocity by 1
    lever: np.ndarray  # [2, b], of velocity and acceleration, that it takes from the fitted ones
    failures: tuple[_Failure, ...]

    def rightly(self, windows: np.ndarray) -> np.ndarray:
        """Return the sums of squares that even acceleration and a blow leave in windows `[..., 2, k]`.

        It is the mean of that with any blow and that with one that makes nothing faster.
        """
        left = windows - (windows @ self.inverse.T) @ self.even.T
        gains = left @ self.blows  # [..., 2, b]
        change = gains / self.lengths
        pace, pull = (
            (windows @ of)[..., None] - change * lever for of, lever in zip(self.inverse[1:], self.lever, strict=True)
        )
        came = pace + pull * self.moments
        speed, after = (np.hypot(of[..., 0, :], of[..., 1, :]) for of in (came, came + change))
        squares = (gains**2).sum(axis=-2)
        passive = np.where(after < FASTER[0] * speed + FASTER[1], squares, 0)
        gained = (squares.max(axis=-1) + passive.max(axis=-1)) / 2
        return np.asarray((left**2).sum(axis=(-2, -1)) - gained)


@cache
def _models(before: int, after: int) -> _Models:
    time = np.arange(-before, after + 1, dtype=float)
    one, past, later = np.ones_like(time), np.minimum(time, 0), np.maximum(time, 0)
    even = np.stack([one, time, time**2 / 2], axis=1)
    inverse = np.linalg.pinv(even)
    moments = np.arange(-before + 0.5, after, 0.5)
    blows = np.maximum(time[:, None] - moments, 0)
    lever = (inverse @ blows)[1:]
    blows = blows - even @ (inverse @ blows)
    lengths = np.linalg.norm(blows, axis=0)
    failures = tuple(
        _failure(np.stack(powers, axis=1), fall, rests)
        for powers, fall, rests in (
            ([one, time, time**2 / 2, later**2 / 2], None, False),
            ([one, time, later**2 / 2], time**2 / 2, False),
            ([one, past, past**2 / 2], None, True),
            ([one, past], past**2 / 2, True),
        )
    )
    return _Models(even, inverse, moments, blows / lengths, lengths, lever, failures)


def _failure(powers: np.ndarray, fall: np.ndarray | None, rests: bool) -> _Failure:
    inverse = np.linalg.pinv(powers)
    errors = float(np.linalg.norm(inverse[2 if fall is None else -1])), float(np.linalg.norm(inverse[-1]))
    return _Failure(powers, inverse, fall, rests, errors)
