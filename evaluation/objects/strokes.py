"""A line that a brush paints, against the brush's way: what is painted, what stays, and what is painted elsewhere.

The brush has the shape that the world `painter` gives it: a round tip and a handle to the upper right. So the tip is
found from the edges of what is seen that only the brush can make.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.objects.observation import Observation
from kinora.worlds.figures import HANDLE, capsule_distance
from kinora.worlds.painter import DIRECTIONS, SIZE, STROKE

REACH_X = (HANDLE[1][0] + HANDLE[2]) * SIZE  # world units that the handle reaches to the right of the tip ...
REACH_Y = (HANDLE[1][1] + HANDLE[2]) * SIZE  # ... and above it
LOOSE = 0.05  # world units about the brush and its line that are not looked at for paint elsewhere
SHRINKING = 0.04  # of what is seen: less than this is no shrinking, but an edge


@dataclass(frozen=True)
class Stroke:
    """Figures of a painted line: shares, and its length in world units."""

    painted: float  # of the brush's way so far, in the second half of the clip
    kept: float  # of its way in the first half of the clip, to the end
    elsewhere: float  # of what is seen that is neither brush nor its way
    growing: float  # share of the steps in which what is seen does not become less
    length: float


def find_stroke(seen: Observation) -> Stroke | None:
    """Measure the line of the colour that most is painted in; None where there is none in half of the frames."""
    assert seen.wanted is not None
    areas: dict[int, float] = {}
    for blobs in seen.scene.blobs:
        for blob in blobs:
            areas[blob.colour] = areas.get(blob.colour, 0.0) + blob.area
    direction = DIRECTIONS.get(str(seen.wanted.motion))
    if not areas or direction is None:
        return None
    masks = _masks(seen, max(areas, key=lambda colour: areas[colour]))
    there = np.flatnonzero(masks.any(axis=(1, 2)))
    if len(there) < seen.frames / 2:
        return None
    unit = seen.unit
    tips = {int(t): _tip(masks[t], unit, direction) for t in there}
    start = _tip(masks[there[0]], unit, (-1, -1))  # nothing is painted yet, so both edges are the tip's
    H, W = masks.shape[1:]
    x, y = np.meshgrid((np.arange(W) + 0.5) / unit, -(np.arange(H) + 0.5) / unit)
    middle = there[len(there) // 2]
    first_half = _line(x, y, start, tips[int(middle)])
    painted, kept, elsewhere = [], [], []
    for t in there[there >= middle]:
        line = _line(x, y, start, tips[int(t)])
        handle = capsule_distance(
            x - tips[int(t)][0], y - tips[int(t)][1], np.multiply(HANDLE[0], SIZE), np.multiply(HANDLE[1], SIZE)
        )
        brush = np.minimum(handle - HANDLE[2] * SIZE, np.hypot(x - tips[int(t)][0], y - tips[int(t)][1]) - SIZE)
        painted.append(_share(masks[t], line < -1 / unit))
        kept.append(_share(masks[t], first_half < -1 / unit))
        elsewhere.append(1 - _share(np.minimum(line, brush) < LOOSE, masks[t]))
    area = masks[there].sum(axis=(1, 2))
    return Stroke(
        float(np.mean(painted)), float(np.min(kept)), float(np.mean(elsewhere)),
        float((area[1:] > (1 - SHRINKING) * area[:-1]).mean()),
        float(np.linalg.norm(tips[int(there[-1])] - tips[int(there[0])])),
    )  # fmt: skip


def _masks(seen: Observation, colour: int) -> np.ndarray:
    """Return `bool [T, H, W]`, where a colour is in every frame, the camera's motion taken out."""
    H, W = seen.scene.height, seen.scene.width
    camera = seen.scene.camera
    masks = np.zeros((seen.frames, H, W), dtype=np.float32)
    for blobs in seen.scene.blobs:
        for blob in blobs:
            if blob.colour == colour:
                x0, y0, x1, y1 = blob.box
                part = masks[blob.frame, y0:y1, x0:x1]
                np.maximum(part, blob.matte, out=part)
    for t in range(seen.frames):
        if camera.pans[t].any() or camera.zooms[t]:
            scale = np.exp(camera.zooms[t])
            shift = (1 - scale) * (np.array([W, H]) - 1) / 2 + camera.pans[t]
            matrix = np.array([[scale, 0, shift[0]], [0, scale, shift[1]]])
            masks[t] = cv2.warpAffine(masks[t], matrix, (W, H), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(masks > 0.5)


def _tip(mask: np.ndarray, unit: float, direction: tuple[float, float]) -> np.ndarray:
    """Return the tip's middle `[2]` in world units, y upward, from the edges that a line so directed leaves bare."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x = columns[0] / unit + SIZE if direction[0] < 0 else (columns[-1] + 1) / unit - REACH_X
    y = -(rows[-1] + 1) / unit + SIZE if direction[1] < 0 else -rows[0] / unit - REACH_Y
    return np.array([x, y])


def _line(x: np.ndarray, y: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Return how far points lie outside the line painted from one place to another."""
    return capsule_distance(x, y, start, end) - STROKE * SIZE


def _share(mask: np.ndarray, of: np.ndarray) -> float:
    """Return the share of the pixels `of` that a mask covers, 1 where there are none."""
    return float(mask[of].mean()) if of.any() else 1.0
