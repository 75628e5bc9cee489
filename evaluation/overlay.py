"""Clips prepared for looking at: enlarged, beside a reference, with a strip that shows where they fail."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from evaluation.findings import Box

SIDE = 160  # pixels of the longer side of each clip shown
GAP = 6
STRIP = 8
PASSING, FAILING, CURSOR = (190, 198, 207), (214, 60, 48), (24, 28, 33)
OUTLINES = {"true": (38, 140, 74), "found": FAILING}
Mark = tuple[int, int, Box | None, str]
BETWEEN = 128  # the grey between and around clips, which suits a light page and a dark one


def annotated(
    frames: np.ndarray,
    failing: np.ndarray,
    reference: np.ndarray | None = None,
    side: int = SIDE,
    marks: Sequence[Mark] = (),
) -> np.ndarray:
    """Return frames `uint8 [T, h, w, 3]` enlarged, the reference to their right, a strip of time below.

    Args:
        frames: `uint8 [T, H, W, 3]`.
        failing: `bool [T]`: the strip is red there; a dark cursor runs along it.
        reference: `uint8 [T', H', W', 3]`; a shorter one stays on its last frame.
        side: longer side in pixels of each clip shown.
        marks: places that are outlined while they last, as of `boxed`.
    """
    T = len(frames)
    shown = _resized(frames, side)
    outline(shown, frames.shape, marks)
    if reference is not None:
        other = _resized(reference, side)[np.minimum(np.arange(T), len(reference) - 1)]
        height = max(shown.shape[1], other.shape[1])
        gap = np.full((T, height, GAP, 3), BETWEEN, np.uint8)
        shown = np.concatenate([_padded(shown, height), gap, _padded(other, height)], axis=2)
    if T == 1:
        return shown
    return np.concatenate([shown, _strips(failing, shown.shape[2])], axis=1)


def failing_frames(record: Mapping[str, Any], frames: int) -> np.ndarray:
    """Return `bool [T]`: the frames that any failure of a clip's record covers."""
    flags = np.zeros(frames, dtype=bool)
    for failure in record["failures"]:
        flags[failure["start_frame"] : failure["end_frame"] + 1] = True
    return flags


def outlined(frames: np.ndarray, failing: np.ndarray, width: int = 2) -> np.ndarray:
    """Return a copy of frames `uint8 [T, H, W, 3]` with a red border of `width` pixels where `failing [T]`."""
    shown = frames.copy()
    for side in (np.s_[:, :width], np.s_[:, -width:], np.s_[:, :, :width], np.s_[:, :, -width:]):
        part = shown[side]
        part[failing] = FAILING
    return shown


def boxed(frames: np.ndarray, marks: Sequence[Mark], side: int = 256) -> np.ndarray:
    """Return frames `uint8 [T, h, w, 3]` enlarged, with places outlined while they last and a strip of time for each.

    Args:
        frames: `uint8 [T, H, W, 3]`.
        marks: first and last frame, the box in the frames' pixels (None: all of it), and "true" or "found".
        side: longer side in pixels.
    """
    shown = _resized(frames, side)
    outline(shown, frames.shape, marks)
    strips = []
    for start, end, _, whose in marks:
        flags = np.zeros(len(frames), dtype=bool)
        flags[max(0, start) : end + 1] = True
        strips.append(_strips(flags, shown.shape[2], OUTLINES[whose]))
    return np.concatenate([shown, *strips], axis=1) if len(frames) > 1 else shown


def outline(shown: np.ndarray, shape: tuple[int, ...], marks: Sequence[Mark]) -> None:
    """Draw the places of `marks` into frames `uint8 [T, h, w, 3]` that were enlarged from the `shape [T, H, W, 3]`."""
    across, down = shown.shape[2] / shape[2], shown.shape[1] / shape[1]
    for start, end, box, whose in marks:
        x0, y0, x1, y1 = box or (0, 0, shape[2], shape[1])
        corners = (round(x0 * across), round(y0 * down)), (round(x1 * across) - 1, round(y1 * down) - 1)
        for t in range(max(0, start), min(len(shown), end + 1)):
            cv2.rectangle(shown[t], *corners, (255, 255, 255), 3)
            cv2.rectangle(shown[t], *corners, OUTLINES[whose], 1 if whose == "found" else 2)


def _strips(failing: np.ndarray, width: int, colour: tuple[int, int, int] = FAILING) -> np.ndarray:
    T = len(failing)
    edges = np.linspace(0, width, T + 1).round().astype(int)
    strip = np.empty((STRIP, width, 3), np.uint8)
    for t in range(T):
        strip[:, edges[t] : edges[t + 1]] = colour if failing[t] else PASSING
    strips = np.repeat(strip[None], T, axis=0)
    strips[:, :2] = BETWEEN
    for t in range(T):
        middle = (edges[t] + edges[t + 1]) // 2
        strips[t, :, max(0, middle - 2) : middle + 2] = CURSOR
    return strips


def _resized(frames: np.ndarray, side: int) -> np.ndarray:
    height, width = frames.shape[1:3]
    scale = side / max(height, width)
    size = (max(2, round(width * scale)), max(2, round(height * scale)))
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    return np.stack([cv2.resize(frame, size, interpolation=how) for frame in frames])


def _padded(frames: np.ndarray, height: int) -> np.ndarray:
    missing = height - frames.shape[1]
    return np.pad(frames, ((0, 0), (0, missing), (0, 0), (0, 0)), constant_values=BETWEEN)
