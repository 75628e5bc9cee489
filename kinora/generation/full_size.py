"""From a draft at the model's usual size to the full size: enlarge, add noise, denoise again, in a few levels."""

import cv2
import numpy as np

from kinora.data.grid import Grid
from kinora.generation.fitting import within_area
from kinora.generation.request import SMALLEST_SIDE

MOST_ENLARGED = 2.5  # times, each side, from one level to the next
STRENGTH = 0.5  # the time to which an enlarged draft is noised
STEPS = 0.25  # of those from noise, for each level
LARGE = 2  # times the usual number of pixels are made without a draft


def levels(width: int, height: int, usual_area: int, grid: Grid) -> list[tuple[int, int]]:
    """Return the sizes (width, height) at which a clip is made, one after another; the last is its own.

    The first has about `usual_area` pixels, in the nearest aspect ratio that the grid has.
    """
    ratio = (width * height / usual_area) ** 0.5
    if ratio**2 <= LARGE:
        return [(width, height)]
    count = max(1, int(np.ceil(np.log(ratio) / np.log(MOST_ENLARGED))))
    areas = [usual_area * (ratio ** (2 * level / count)) for level in range(count)]
    drafts = [within_area(width / height, area, grid) for area in areas]
    return [*((max(SMALLEST_SIDE, across), max(SMALLEST_SIDE, down)) for across, down in drafts), (width, height)]


def enlarged(frames: np.ndarray, width: int, height: int) -> np.ndarray:
    """Scale `uint8 [T, H, W, 3]` to `width` x `height`."""
    return np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_CUBIC) for frame in frames])


def with_detail(frames: np.ndarray, original: np.ndarray, share: float) -> np.ndarray:
    """Return enlarged frames with a `share` of the fine detail that `original`, as large, has and an enlarged draft
    cannot have: what an edit leaves as it was."""
    height, width = original.shape[1:3]
    made = []
    for frame, own in zip(frames, original, strict=True):
        small = cv2.resize(own, (max(1, int(width / MOST_ENLARGED)), max(1, int(height / MOST_ENLARGED))))
        smooth = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
        made.append(np.clip(frame + share * (own.astype(np.float32) - smooth), 0, 255).astype(np.uint8))
    return np.stack(made)
