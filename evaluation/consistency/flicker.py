"""Flicker: brightness, colour or texture that goes up and down from frame to frame, of the picture or of a part of it.

A pixel's excess is how far it lies outside of what both neighbouring frames, brought to it by the motion, show: what
moves, appears, or becomes lighter by and by agrees with one of them at least. What
has one sign all over a cell of the picture is flicker of its light, and what is far larger than usual in this clip, of
its texture; grain, water, leaves and fire have both signs in every cell.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from evaluation.evidence.clip import Evidence
from evaluation.evidence.flow import pixel_grid, sample
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable

TYPE = "flicker"
SIDE = 64  # pixels of the longer side that flicker is measured at
CELLS = 16  # along the longer side
SMALLEST_CELL = 4  # pixels
TOGETHER = 3  # cells across that must flicker together
FLOOR = np.array([0.7, 0.9, 0.9], np.float32)  # levels of Y, Cr, Cb by which any cell may be off
MIXED = 0.4  # of what a cell's excess varies by may be of one sign
BUSIEST, BEYOND, ALLOWED = 0.95, 2.0, 4.0  # a quantile; times what cells vary by there, plus levels: more is no excuse
SURE = 2.5  # times its floor: what few faultless clips have a cell go beyond
LASTS = 5  # frames over which flicker is averaged
GAP = 6  # frames that may be as they should within one flicker
FLASH, UNEVEN = 1.9, 2.0  # one frame alone must be off by as much more than lasting flicker, and evenly so
AS_STRONG = 0.3  # of a flicker's strength is what still belongs to it
EVERYWHERE = 0.5  # share of the cells from which the whole picture flickers


def flicker(evidence: Evidence) -> Finding:
    """Find stretches in which light, colour or texture alternates, and single frames that are lighter or darker."""
    if max(len(shot) for shot in evidence.shots) < 4:
        return unmeasurable(TYPE, "in fewer than 4 frames nothing can go up and down", due=False)
    mean, spread = excess(evidence)
    candidates = [lasting(evidence, mean, unlike(mean, spread)), flashing(mean)]
    return calibrated(TYPE, candidates)


def unlike(mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """Return how far the excess of cells is of one sign, beside what is usual, `[T, rows, columns]`."""
    usual = np.quantile(spread[1:-1].reshape(-1, 3), BUSIEST, axis=0).astype(np.float32)
    varies = np.minimum(spread, ALLOWED + BEYOND * usual)
    ratio = (np.abs(mean) / (FLOOR + MIXED * varies)).max(axis=-1)
    return np.stack([cv2.blur(cells, (TOGETHER, TOGETHER)).reshape(cells.shape) for cells in ratio])


def excess(evidence: Evidence) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of the excess of Y, Cr, Cb in cells, levels `[T, rows, columns, 3]` each."""
    found = list(_excess(evidence))
    mean, square = np.stack([f[0] for f in found]), np.stack([f[1] for f in found])
    return mean, np.sqrt(np.maximum(square - mean**2, 0))


def _excess(evidence: Evidence) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield for every frame the means of the excess and of its square in cells; 0 beside a cut and at the ends."""
    height, width = evidence.luma.shape[1:]
    factor = min(1.0, SIDE / max(height, width))
    size = max(4, round(width * factor)), max(4, round(height * factor))
    cell = max(SMALLEST_CELL, max(size) / CELLS)
    cells = max(1, round(size[0] / cell)), max(1, round(size[1] / cell))
    grid = pixel_grid(size[1], size[0])
    shrink = np.array([size[0] / width, size[1] / height], np.float32)
    none = np.zeros((cells[1], cells[0], 3), np.float32)

    def small(t: int) -> np.ndarray:
        picture = cv2.resize(evidence.rgb[t], size, interpolation=cv2.INTER_AREA).astype(np.float32)
        return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))

    def brought(picture: np.ndarray, flow: np.ndarray) -> np.ndarray:
        place = grid + cv2.resize(flow, size, interpolation=cv2.INTER_AREA) * shrink
        return sample(picture, place)

    for shot in evidence.shots:
        before, now = none, small(shot.start)
        for t in range(shot.start, shot.end + 1):
            if t == shot.end:
                yield none, none
                break
            after = small(t + 1)
            if t == shot.start:
                yield none, none
            else:
                past = brought(before, evidence.flow.backward[t - 1])
                future = brought(after, evidence.flow.forward[t])
                low, high = cv2.min(past, future), cv2.max(past, future)
                beyond = np.maximum(now - high, 0) - np.maximum(low - now, 0)
                yield tuple(
                    cv2.resize(x, cells, interpolation=cv2.INTER_AREA).reshape(none.shape) for x in (beyond, beyond**2)
                )
            before, now = now, after


def lasting(evidence: Evidence, mean: np.ndarray, ratio: np.ndarray) -> Candidate:
    """Return the strongest flicker that lasts for some frames, `LASTS` or a whole short clip."""
    frames, rows, columns = ratio.shape
    lasts = min(LASTS, frames)
    flat = ratio.reshape(frames, -1)
    windows = np.lib.stride_tricks.sliding_window_view(flat, lasts, axis=0)
    level = (np.median(windows, axis=-1) + windows.mean(axis=-1)) / 2  # [T - lasts + 1, cells]
    start, peak = np.unravel_index(int(np.argmax(level)), level.shape)
    strength = float(level[start, peak])
    top = flat.max(axis=1)  # a thing that flickers takes it from cell to cell
    first, last = extent(top, int(start), lasts, strength)
    during = flat[first : last + 1].max(axis=0) >= 0.5 * top[first : last + 1].mean()
    box, where = None, "the picture"
    if during.mean() < EVERYWHERE:
        y, x = np.divmod(np.flatnonzero(_around(during.reshape(rows, columns), int(peak))), columns)
        across, down = evidence.rgb.shape[2] / columns, evidence.rgb.shape[1] / rows
        box = evidence.box(x.min() * across, y.min() * down, (x.max() + 1) * across, (y.max() + 1) * down)
        where = "a part of the picture"
    amount = np.abs(mean.reshape(frames, -1, 3)[first : last + 1, peak]).max(axis=-1).mean()
    when = f"From frame {first} to {last}" if first < last else f"In frame {first}"
    text = f"{when} {where} goes up and down by {amount:.1f} levels from frame to frame, which no motion explains."
    return Candidate(first, last, strength / SURE, text, box)


def extent(ratio: np.ndarray, start: int, lasts: int, strength: float) -> tuple[int, int]:
    """Return the first and last frame of what flickers, `[T]`, and is strongest from `start` on."""
    limit = AS_STRONG * strength
    strong = np.flatnonzero(ratio[start : start + lasts] > limit)
    first, last = (start, start + lasts - 1) if not len(strong) else (start + int(strong[0]), start + int(strong[-1]))
    for step, end in ((-1, 0), (1, len(ratio) - 1)):
        t, missed = (first if step < 0 else last), 0
        while t != end and missed < GAP:
            t += step
            missed = 0 if ratio[t] > limit else missed + 1
            if not missed:
                first, last = (t, last) if step < 0 else (first, t)
    return first, last


def flashing(mean: np.ndarray) -> Candidate:
    """Return the frame that is most unlike both its neighbours in all of the picture."""
    frames = len(mean)
    whole = np.median(mean.reshape(frames, -1, 3), axis=1)
    uneven = np.median(np.abs(mean.reshape(frames, -1, 3) - whole[:, None]), axis=1)
    flash = (np.abs(whole) / (FLOOR + UNEVEN * uneven)).max(axis=-1)
    t = int(np.argmax(flash))
    text = f"Frame {t} is off by {np.abs(whole[t]).max():.1f} levels from the frames before and after it."
    return Candidate(t, t, float(flash[t]) / FLASH / SURE, text)


def _around(during: np.ndarray, peak: int) -> np.ndarray:
    """Return those of the flickering cells `[rows, columns]` that hang together with the strongest one."""
    labels = cv2.connectedComponents(during.astype(np.uint8))[1]
    return np.asarray(labels == labels.ravel()[peak])
