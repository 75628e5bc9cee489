"""Objects in front of a background, found in RGB alone: nothing here knows what a simulator drew.

`evaluation.objects.lit` says what every pixel shows; here that becomes objects with a place, a size and a colour, and
the camera's motion is taken from the background.

Layouts: frames `[T, H, W, 3]`, RGB levels 0..255; mattes `[T, H, W]` in [0, 1]; positions in pixels, x to the right,
y downward, the centre of the first pixel at 0.5.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.medians import median
from evaluation.objects.camera import Camera, find_camera, still_camera
from evaluation.objects.lit import Layers, find_layers, length, mattes

LONGEST_SIDE = 96  # larger frames are measured at this size: what counts here is whole objects
LIKE = 48.0  # RGB distance from the background's surface, in its shadows and bright spots too
PLAIN_SHARE = 0.4  # objects can be told from a background that covers this share of the clip's pixels
SMALLEST = 0.006  # an object covers this share of a frame at least ...
SMALLEST_PIXELS = 5.0  # ... and this many pixels
MOST_OBJECTS = 7  # a frame on average; a scene in more pieces is not objects before a background
CUT = 0.5  # an object that covers this share of its diameter along the frame's edge continues beyond it
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)  # ITU-R BT.601


@dataclass(frozen=True, eq=False)
class Blob:
    """One object in one frame: soft area and centroid in pixels, colour of its lit half, its matte around it."""

    frame: int
    colour: int  # index into kinora.worlds.PALETTE of the colour that is nearest in direction
    x: float
    y: float
    area: float
    rgb: np.ndarray  # [3]
    cut_x: bool  # part of it lies beyond the left or right edge of the frame
    cut_y: bool  # part of it lies beyond the upper or lower edge
    box: tuple[int, int, int, int]  # x0, y0, x1, y1, the last two exclusive
    matte: np.ndarray  # [y1 - y0, x1 - x0]

    @property
    def cut(self) -> bool:
        """Whether part of it lies outside the frame."""
        return self.cut_x or self.cut_y

    @property
    def radius(self) -> float:
        """Radius in pixels of the disc of equal area."""
        return float(np.sqrt(self.area / np.pi))


@dataclass(frozen=True, eq=False)
class Segmentation:
    """A clip explained as a background and objects; `plain` is False, and there are no blobs, where it cannot be."""

    width: int
    height: int
    background: np.ndarray  # [T, 3], its colour on the whole
    blobs: list[list[Blob]]  # one list a frame
    plain: bool
    camera: Camera
    stands_out: np.ndarray  # bool [T, H, W], what is not background


def measuring_size(frames: np.ndarray) -> np.ndarray:
    """Return the frames no larger than `LONGEST_SIDE`, aspect ratio kept, as float32."""
    height, width = frames.shape[1:3]
    scale = LONGEST_SIDE / max(height, width)
    if scale >= 1:
        return frames.astype(np.float32)
    size = (max(8, round(width * scale)), max(8, round(height * scale)))
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames]).astype(np.float32)


def segment(pixels_THWC: np.ndarray) -> Segmentation:
    """Segment pixels `float32 [T, H, W, 3]` as `measuring_size` gives them."""
    T, H, W, _ = pixels_THWC.shape
    layers = find_layers(pixels_THWC, background_colour(pixels_THWC))
    colours = median(layers.background.reshape(T, -1, 3).swapaxes(0, 1))
    cluttered = Segmentation(W, H, colours, [[] for _ in range(T)], False, still_camera(T, W, H), layers.stands_out)
    like = length(pixels_THWC - layers.background) < LIKE
    if like.mean() < PLAIN_SHARE:
        return cluttered
    smallest = max(SMALLEST_PIXELS, SMALLEST * H * W)
    blobs = [_blobs(t, pixels_THWC[t], layers, smallest) for t in range(T)]
    if np.mean([len(found) for found in blobs]) > MOST_OBJECTS:
        return cluttered
    camera = find_camera(pixels_THWC @ LUMA, ~layers.stands_out)
    return Segmentation(W, H, colours, blobs, True, camera, layers.stands_out)


def background_colour(pixels_THWC: np.ndarray) -> np.ndarray:
    """Return the commonest colour `[3]` along the clip's border, where objects are rarest, or in all of it.

    Of the two it is the one that more pixels are like: a room's walls line the border, and a near wall the middle.
    """
    border = np.concatenate([pixels_THWC[:, [0, -1]].reshape(-1, 3), pixels_THWC[:, :, [0, -1]].reshape(-1, 3)])
    every = pixels_THWC[::4].reshape(-1, 3)
    return max(
        (_commonest(border), _commonest(every)),
        key=lambda colour: float((length(every - colour) < LIKE).mean()),
    )


def _blobs(frame: int, pixels: np.ndarray, layers: Layers, smallest: float) -> list[Blob]:
    return [_blob(frame, pixels, *found) for found in mattes(layers, frame, smallest)]


def _blob(frame: int, pixels: np.ndarray, colour: int, mask: np.ndarray, matte_HW: np.ndarray) -> Blob:
    H, W = mask.shape
    ys, xs = np.nonzero(matte_HW)
    x0, x1, y0, y1 = xs.min(), xs.max() + 1, ys.min(), ys.max() + 1
    matte = matte_HW[y0:y1, x0:x1]
    area = float(matte.sum())
    x = float((matte.sum(0) * (np.arange(x0, x1) + 0.5)).sum() / area)
    y = float((matte.sum(1) * (np.arange(y0, y1) + 0.5)).sum() / area)
    inside = cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    shown = pixels[inside if inside.any() else mask]
    luma = shown @ LUMA
    rgb = median(shown[luma >= median(luma)])
    border = CUT * 2 * float(np.sqrt(area / np.pi))
    cut_x = (x0 == 0 and matte[:, 0].sum() > border) or (x1 == W and matte[:, -1].sum() > border)
    cut_y = (y0 == 0 and matte[0].sum() > border) or (y1 == H and matte[-1].sum() > border)
    box = (int(x0), int(y0), int(x1), int(y1))
    return Blob(frame, colour, x, y, area, rgb, bool(cut_x), bool(cut_y), box, matte)


def _commonest(colours_NC: np.ndarray) -> np.ndarray:
    """Return the median of the fullest cell of a 16-level colour grid, looked up on two offset grids."""
    best: np.ndarray = colours_NC[0]
    best_count = 0
    for offset in (0, 16):
        cells = (colours_NC + offset).astype(np.int32) // 32
        keys = (cells[:, 0] * 16 + cells[:, 1]) * 16 + cells[:, 2]
        counts = np.bincount(keys)
        key = int(counts.argmax())
        if counts[key] > best_count:
            best, best_count = median(colours_NC[keys == key]), int(counts[key])
    return best
