"""What rested in a place for so long that it was taken for the scene, told from it where it left or had not come.

Where such a thing is not, the scene behind it differs from the background's picture: it stands out, but as a hole does.
A hole has the thing's outline in the background's picture and none in the frame. What is seen through a hole is the
scene, so that the thing stands out wherever it is instead.
"""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.background import BEYOND, LEVELS
from evaluation.evidence.medians import median
from evaluation.evidence.shots import Shot

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

OUTLINED = 1.25  # times the contrast along an outline in the frame: the least in the background for a hole
AGREE = 0.6  # intersection over union of one hole in two frames
FEWEST = 3  # frames in which a hole must be seen
MOST = 16  # holes of a shot
SAMPLES = 15  # frames that what is seen through a hole is the median of
KERNEL = np.ones((3, 3), np.uint8)


@dataclass(eq=False)
class _Hole:
    """A hole: its outline in one frame, and what is seen through it."""

    frame: int
    mask: np.ndarray  # bool [h, w]
    seen: list[tuple[int, np.ndarray]] = field(default_factory=list)  # frame, mask


@dataclass(frozen=True, eq=False)
class Outlines:
    """The contrast around every pixel in the frames of a shot and in its background's picture, both uint8 [n, h, w]."""

    frames: np.ndarray
    scenes: np.ndarray

    def is_hole(self, t: int, mask: np.ndarray) -> bool:
        """Say whether a region of the shot's frame t is outlined more in the background's picture than in the frame."""
        return bool(mask.any() and self.holes(t, mask.astype(np.uint8), 1)[0])

    def holes(self, t: int, labels: np.ndarray, count: int) -> np.ndarray:
        """Return which of the regions 1 to `count` of the shot's frame t are holes, bool `[count]`."""
        widened = cv2.dilate(labels, KERNEL)
        at = np.flatnonzero(widened != cv2.erode(labels, KERNEL))
        owner = widened.ravel()[at]
        now, then = (
            np.bincount(owner, weights=steps[t].ravel()[at], minlength=count + 1)[1:]
            for steps in (self.frames, self.scenes)
        )
        return np.asarray(then > OUTLINED * now)


def uncovered(evidence: "Evidence", shot: Shot, components: np.ndarray, outlines: Outlines) -> np.ndarray:
    """Return the foreground of a shot, bool `[n, h, w]`, with holes filled and what left them put in.

    `components` uint8 [n, h, w] numbers the regions of each frame that differ from the background.
    """
    foreground = components > 0
    holes = _holes(evidence, shot, components, outlines)
    for hole in holes:
        scene = _through(evidence, hole)
        for t in range(shot.start, shot.end + 1):
            matrix = _between(evidence, hole.frame, t)
            mask = _warped(hole.mask.astype(np.uint8), matrix) > 0
            if not mask.any():
                continue
            x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
            place = slice(y, y + h), slice(x, x + w)
            behind = _warped(scene, matrix)[place]
            differs = _differs(evidence.rgb[t][place].astype(np.float32), behind, evidence.noise)
            foreground[t - shot.start][place] = np.where(mask[place], differs, foreground[t - shot.start][place])
    return foreground


def _holes(evidence: "Evidence", shot: Shot, components: np.ndarray, outlines: Outlines) -> list[_Hole]:
    holes: list[_Hole] = []
    for t in range(shot.start, shot.end + 1):
        labels = components[t - shot.start]
        count = int(labels.max())
        if not count:
            continue
        for number in np.flatnonzero(outlines.holes(t - shot.start, labels, count)) + 1:
            mask = labels == number
            for hole in holes:
                known = _warped(hole.mask.astype(np.uint8), _between(evidence, hole.frame, t)) > 0
                if (known & mask).sum() > AGREE * (known | mask).sum():
                    hole.seen.append((t, mask))
                    break
            else:
                if len(holes) < MOST:
                    holes.append(_Hole(t, mask, [(t, mask)]))
    return [hole for hole in holes if len(hole.seen) >= FEWEST]


def _through(evidence: "Evidence", hole: _Hole) -> np.ndarray:
    """Return what is seen through a hole as seen from its frame, float32 [h, w, 3]; its mask becomes the usual."""
    chosen = [hole.seen[i] for i in np.unique(np.linspace(0, len(hole.seen) - 1, SAMPLES).round().astype(int))]
    pictures, masks = [], []
    for t, mask in chosen:
        matrix = _between(evidence, t, hole.frame)
        pictures.append(_warped(evidence.rgb[t], matrix))
        masks.append(_warped(mask.astype(np.uint8), matrix))
    usual = (np.mean(masks, axis=0) >= 0.5).astype(np.uint8)
    hole.mask = cv2.dilate(usual, KERNEL).astype(bool)
    return median(np.stack(pictures))


def contrast(picture: np.ndarray) -> np.ndarray:
    """Return the largest difference of a channel around every pixel of a `uint8` picture, in levels, `uint8 [h, w]`."""
    smooth = cv2.blur(picture, (3, 3))
    return strongest(cv2.subtract(cv2.dilate(smooth, KERNEL), cv2.erode(smooth, KERNEL)))


def scene_contrast(evidence: "Evidence", shot: Shot) -> np.ndarray:
    """Return the contrast of the background as seen from a shot's frames, `uint8 [n, h, w]`."""
    scenes = evidence.background.rgb[shot.start : shot.end + 1]
    if not evidence.camera.moves:
        return np.broadcast_to(contrast(scenes[0].astype(np.uint8)), scenes.shape[:3])
    return np.stack([contrast(scene.astype(np.uint8)) for scene in scenes])


def strongest(picture: np.ndarray) -> np.ndarray:
    """Return the largest of the three channels, `[h, w]`."""
    first, second, third = cv2.split(picture)
    return np.asarray(cv2.max(cv2.max(first, second), third))


def _differs(frame: np.ndarray, scene: np.ndarray, noise: float) -> np.ndarray:
    beyond = cv2.max(cv2.subtract(frame, cv2.dilate(scene, KERNEL)), cv2.subtract(cv2.erode(scene, KERNEL), frame))
    return np.asarray(strongest(beyond) > LEVELS + BEYOND * noise)


def _between(evidence: "Evidence", start: int, end: int) -> np.ndarray | None:
    """Return the homography from one frame of a shot to another, None where the camera stands still."""
    if not evidence.camera.moves or start == end:
        return None
    return np.asarray(np.linalg.inv(evidence.camera.to_first[end]) @ evidence.camera.to_first[start])


def _warped(picture: np.ndarray, matrix: np.ndarray | None) -> np.ndarray:
    if matrix is None:
        return picture
    how = cv2.INTER_NEAREST if picture.ndim == 2 else cv2.INTER_LINEAR
    return np.asarray(cv2.warpPerspective(picture, matrix, picture.shape[1::-1], flags=how))
