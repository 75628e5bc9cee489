"""Incoherence: noise, frames that do not follow from the frame before, and scenes that turn into others.

Five things are measured. Neighbouring pixels of noise are unrelated. What no motion explains of a frame is large beside
the picture's contrast, or beside what it usually is in this clip. Of two frames between which the picture changes at
once, hardly anything is found again in the other. And a scene that turns into another is, half-way, the mean of the two
(nothing that moves is), though they have nothing in common. And what was light turns dark at once, in the whole picture
or in a part of it. A camera that goes on to new places does none of these.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from evaluation.consistency.negatives import negated
from evaluation.evidence.clip import Evidence
from evaluation.evidence.shots import unlike
from evaluation.findings import Candidate, Finding, calibrated

TYPE = "incoherence"
SIDE, SMALLEST = 32, 12  # pixels of the longer side, and of the shorter one at least, at which frames are compared
RELATED, UNRELATED = 0.75, 0.5  # correlation of neighbouring pixels that pictures have; that one in 1,000 has
FLAT = 8.0  # levels: a frame that varies less shows nothing that could be noise
CONTRAST, ANY = 0.1, 2.0  # of a picture's contrast, and levels, that may stay unexplained in each of its pixels
UNEXPLAINED = 0.57  # of that: what few faultless clips have in any step
CLEARLY = 6.0  # levels beyond three times the noise by which a pixel is not explained
# Times the usual share of such pixels, and what is added to that: few faultless clips have more.
SUDDEN, USUAL = 3.1, 0.02
# Share of a frame that is not found in the one before, more than which few faultless clips have; steps tried.
CHANGED, PEAKS = 0.7, 3
# Frames within which what was interrupted returns; the share then not found again, beside what was not.
RETURNS, SAME = 12, 0.3
NEGATIVE, SUREST = 0.025, 10.0  # share of a frame that is turned over: no faultless clip has any; the highest strength
LED_BACK = 100  # frames before a change that may be a part of it
SPANS = (2, 3, 4, 6, 9, 13, 19, 28, 40, 56)  # frames before and after the middle of what turns into something else
MIXED, TRIED = 9.4, 2  # levels by which few faultless clips seem to turn into something else; moments tried
BEGUN, TURNED = 0.12, 0.035  # of its largest, from which an unexplained change, and a turn into another scene, begins
GOES_ON = 0.5  # of its mean pace, from which a picture still turns into another
MORE, CLEARLY_APART = 6.0, 18.0  # levels: smaller changes are none; what tells how far a scene has turned


def incoherence(evidence: Evidence) -> Finding:
    """Find noise, unexplained changes, and scenes that give way to others, at once or by and by."""
    small = _small(evidence.rgb)
    candidates = [noise(evidence)]
    if len(small) > 1:
        candidates += as_one(change(evidence, small), list(unexplained(evidence)))
        if evidence.clip.one_shot:
            candidates += turns(small)
    return calibrated(TYPE, candidates)


def noise(evidence: Evidence) -> Candidate:
    """Return the stretch around the frame whose neighbouring pixels are least related."""
    related = np.array([relation(frame) for frame in evidence.luma])
    if evidence.scale < 1:  # noise as fine as the clip's own pixels is averaged away in the smaller ones
        own = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) for frame in evidence.clip.frames)
        related = np.minimum(related, [relation(frame) for frame in own])
    start, end = around(-related, int(np.argmin(related)), -(RELATED + UNRELATED) / 2)
    least = float(related[start : end + 1].mean())
    text = f"{_in_frames(start, end)} neighbouring pixels are related by {least:.2f}, as in noise (pictures: 0.8 to 1)."
    return Candidate(start, end, max(0.0, (RELATED - least) / (RELATED - UNRELATED)), text)


def relation(luma_HW: np.ndarray) -> float:
    """Return the correlation of neighbouring pixels, 1 where there is nothing to correlate."""
    centred = luma_HW - luma_HW.mean()
    variance = float((centred**2).mean())
    if variance < FLAT**2:
        return 1.0
    across, down = (centred[:, 1:] * centred[:, :-1]).mean(), (centred[1:] * centred[:-1]).mean()
    return float((across + down) / 2) / variance


def unexplained(evidence: Evidence) -> Iterator[Candidate]:
    """Yield where motion explains least of the picture, and where it explains far less than it usually does."""
    residual = evidence.flow.residual
    flat = residual.reshape(len(residual), -1)
    contrast = np.array([frame.std() for frame in evidence.luma[1:]])
    share = flat.mean(axis=1) / (ANY + evidence.noise + CONTRAST * contrast)
    clear = (flat > CLEARLY + 3 * evidence.noise).mean(axis=1)
    sudden = np.sort(clear)[-3:].mean() / (np.median(clear) + USUAL)
    found: dict[tuple[int, int], Candidate] = {}  # one of the same frames
    for values, strength in ((share, share.max() / UNEXPLAINED), (clear, sudden / SUDDEN)):
        calm = np.sort(values)[: len(values) // 4 + 1]
        limit = calm.mean() + max(BEGUN * (values.max() - calm.mean()), 3 * calm.std())
        start, end = around(values, int(np.argmax(values)), min(limit, values.max()))
        there = residual[start : end + 1].mean(axis=0)
        text = (
            f"{_in_frames(start + 1, end + 1)} motion does not explain {clear[start : end + 1].mean():.0%} of the "
            f"picture (usually {np.median(clear):.0%}), which is off by {there.max():.0f} levels."
        )
        candidate = Candidate(start + 1, end + 1, float(strength), text, _box(evidence, there))
        known = found.setdefault((start, end), candidate)
        found[start, end] = max(known, candidate, key=lambda one: one.strength)
    yield from found.values()


def _in_frames(start: int, end: int) -> str:
    return f"In frame {start}" if start == end else f"In frames {start} to {end}"


def change(evidence: Evidence, small: np.ndarray) -> Candidate | None:
    """Return the step after which least of the picture is found again; of edited footage, one within its shots."""
    moved = np.abs(np.diff(small, axis=0)).mean(axis=(1, 2, 3))
    padded = np.pad(moved, 2)
    peak = moved - 0.5 * np.max([padded[:-4], padded[1:-3], padded[3:-1], padded[4:]], axis=0)
    if not evidence.clip.one_shot:
        peak[[shot.start - 1 for shot in evidence.shots[1:]]] = -np.inf
    steps = [int(step) for step in np.argsort(-peak)[:PEAKS] if np.isfinite(peak[step])]
    if not steps:
        return None
    share, step = max((unlike(small[step], small[step + 1]), step) for step in steps)
    start, end = step + 1, len(small) - 1
    while share > CHANGED and start > max(1, step - LED_BACK) and unlike(small[start - 2], small[start - 1]) > CHANGED:
        start -= 1  # one frame after the other is not what follows
    later = range(step + 2, min(step + 2 + RETURNS, len(small))) if share > CHANGED / 2 else ()
    back = next((t for t in later if unlike(small[start - 1], small[t]) < SAME * share), None)
    end = end if back is None else back - 1
    text = f"Of frame {step + 1} {share:.0%} is not found in the frame before; so it is from frame {start} to {end}."
    strength = share / (1.05 - share) * (1.05 - CHANGED) / CHANGED  # 1 at CHANGED, 10 where nothing is found
    return max(negative(small, steps), Candidate(start, end, strength, text), key=lambda one: one.strength)


def negative(small: np.ndarray, steps: Sequence[int]) -> Candidate:
    """Return the first step, of some, at which much of the picture turns into its negative, until it turns back."""
    turned = {step: negated(small[step], small[step + 1]) for step in sorted(steps)}
    step, share = next((step, share) for step, share in turned.items() if share >= SAME * max(turned.values()))
    later = range(step + 2, len(small)) if share else ()
    end = next((t - 1 for t in later if negated(small[t - 1], small[t]) > SAME * share), len(small) - 1)
    text = f"From frame {step + 1} on {share:.0%} of the picture is the negative of what it was."
    return Candidate(step + 1, end, min(SUREST, share / NEGATIVE), text)


def as_one(found: Candidate | None, steps: list[Candidate]) -> list[Candidate]:
    """Return a change and unexplained steps, with the same frames where they are of one failure."""
    if found is None:
        return steps
    of_it = [
        c.strength > 1 and c.start_frame <= found.end_frame + 1 and found.start_frame <= c.end_frame + 1 for c in steps
    ]
    if found.strength > 1 and any(of_it):
        near = [c.start_frame for c, its in zip(steps, of_it, strict=True) if its]
        found = replace(found, start_frame=min(found.start_frame, *near), end_frame=max(found.end_frame, *near))
        first, last = found.start_frame, found.end_frame
        steps = [
            replace(c, start_frame=first, end_frame=last) if its else c for c, its in zip(steps, of_it, strict=True)
        ]
    return [*steps, found]


def turns(small: np.ndarray) -> Iterator[Candidate]:
    """Yield where one scene most seems to turn into another by and by."""
    moments = sorted((turning(small, span) for span in SPANS if 2 * span < len(small)), reverse=True)
    for amount, before, after in moments[:TRIED]:
        share = unlike(small[before], small[after])
        start = turned_from(small, before, after)
        text = (
            f"From frame {start} the picture turns into another: half-way to frame {after} it is the mean of both, "
            f"and {share:.0%} of it is not found again."
        )
        yield Candidate(start, len(small) - 1, amount * share / MIXED, text)


def turned_from(small: np.ndarray, before: int, after: int) -> int:
    """Return the first frame with something of the picture that a scene turns into from frame `before`, or earlier."""
    way = small[after] - small[before]
    apart = np.abs(way) > CLEARLY_APART
    if not apart.any():
        return before + 1

    def done(t: int) -> float:
        return float(np.median((small[t][apart] - small[before][apart]) / way[apart]))

    first = before
    while first > 1 and done(first) - done(first - 2) > GOES_ON * 2 / (after - before):
        first -= 1  # it has been turning for longer
    begun = done(first) + TURNED * (1 - done(first))
    return next((t for t in range(first, after) if done(t) > begun), first + 1)


def turning(small: np.ndarray, span: int) -> tuple[float, int, int]:
    """Return how much a picture seems at most to turn into the one `2 span` frames later, in levels, and the frames."""
    best = (0.0, 0, 2 * span)
    for before in range(0, len(small) - 2 * span, max(1, span // 3)):
        a, middle, b = small[before], small[before + span], small[before + 2 * span]
        apart, off = _cells(b - a) / 4, _cells(middle - (a + b) / 2)
        mean = np.sqrt(apart) * np.clip(1 - np.sqrt(off / (apart + 1e-3)), 0, 1)
        amount = float(np.where(apart > MORE**2, mean, 0).mean())
        if amount > best[0]:
            best = (amount, before, before + 2 * span)
    return best


def around(values: np.ndarray, peak: int, limit: float, gap: int = 3) -> tuple[int, int]:
    """Return the first and last index of what is above a limit around a peak, with gaps of less than `gap`."""
    above = np.flatnonzero(values >= limit)
    groups = np.split(above, np.flatnonzero(np.diff(above) > gap) + 1)
    mine = next((group for group in groups if len(group) and group[0] <= peak <= group[-1]), np.array([peak]))
    return int(mine[0]), int(mine[-1])


def _box(evidence: Evidence, there: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the place of what is unexplained, None where it is most of the picture."""
    height, width = there.shape
    soft = cv2.GaussianBlur(there, (0, 0), max(1.0, max(height, width) / 40))
    y, x = np.nonzero(soft >= 0.4 * soft.max())
    if not soft.max() or (np.ptp(x) + 1) * (np.ptp(y) + 1) > 0.6 * height * width:
        return None
    return evidence.box(x.min(), y.min(), x.max() + 1, y.max() + 1)


def _cells(difference: np.ndarray) -> np.ndarray:
    squares = np.einsum("hwc,hwc->hw", difference, difference)
    return np.asarray(cv2.resize(squares, (4, 4), interpolation=cv2.INTER_AREA))


def _small(rgb_THWC: np.ndarray) -> np.ndarray:
    height, width = rgb_THWC.shape[1:3]
    factor = SIDE / max(height, width)
    size = max(SMALLEST, round(width * factor)), max(SMALLEST, round(height * factor))
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in rgb_THWC]).astype(np.float32)
