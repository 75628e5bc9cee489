"""Objects in front of a plain background, found in RGB alone.

Nothing here knows what a simulator drew. A clip is explained as a background colour (one a frame) and a few object
colours, all found in the clip itself; every pixel p is read as a mixture of the background b and one object colour c,

    p = b + alpha (c - b),    alpha = <p - b, c - b> / |c - b|^2    (least squares),

so that an antialiased or blurred edge becomes a soft `alpha` instead of a colour of its own.

Layouts: frames `[T, H, W, 3]`, RGB levels 0..255; mattes `alpha [T, H, W]` in [0, 1]; positions in pixels, x to the
right, y downward, the centre of the first pixel at 0.5.
"""

from dataclasses import dataclass

import cv2
import numpy as np

LONGEST_SIDE = 96  # larger frames are measured at this size: what counts here is whole objects
SAME_COLOUR = 48.0  # RGB distance within which two pixels show the same surface
BACKGROUND_REACH = 60.0  # how far a background may wander from its clip-wide colour
EXPLAINED = 34.0  # RGB distance from the line background to object within which a pixel is a mixture of them
VISIBLE = 40.0  # RGB distance from the background from which a pixel belongs to something
PLAIN_SHARE = 0.45  # a background is plain if it covers this share of the clip's pixels
SMALLEST = 0.006  # an object covers this share of a frame at least ...
SMALLEST_PIXELS = 5.0  # ... and this many pixels
MOST_COLOURS = 6
MOST_OBJECTS = 6  # a frame on average; a scene in more pieces is not objects before a plain background
CUT = 0.5  # an object that covers this share of its diameter along the frame's edge continues beyond it


@dataclass(frozen=True, eq=False)
class Blob:
    """One object in one frame: soft area and centroid in pixels, mean colour of its core, its matte around it."""

    frame: int
    colour: int  # index into Segmentation.palette
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
    background: np.ndarray  # [T, 3]
    palette: np.ndarray  # [K, 3]
    blobs: list[list[Blob]]  # one list a frame
    plain: bool
    unexplained: np.ndarray  # [T]: share of each frame that is neither background nor a mixture with an object colour


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
    background_TC, plain = find_background(pixels_THWC)
    difference = pixels_THWC - background_TC[:, None, None]
    away = np.linalg.norm(difference, axis=-1)
    cluttered = Segmentation(W, H, background_TC, np.zeros((0, 3)), [[] for _ in range(T)], False, np.ones(T))
    if not plain:
        return cluttered
    smallest = max(SMALLEST_PIXELS, SMALLEST * H * W)
    palette_KC = find_palette(pixels_THWC, background_TC, away, smallest)
    alpha, owner, error = unmix(difference, background_TC, palette_KC)
    unexplained = ((error > EXPLAINED) & (away > VISIBLE)).mean(axis=(1, 2))
    blobs = [_blobs(t, pixels_THWC[t], alpha[t], owner[t], len(palette_KC), smallest) for t in range(T)]
    if np.mean([len(found) for found in blobs]) > MOST_OBJECTS:
        return cluttered
    return Segmentation(W, H, background_TC, palette_KC, blobs, True, unexplained)


def find_background(pixels_THWC: np.ndarray) -> tuple[np.ndarray, bool]:
    """Return the background colour of every frame `[T, 3]` and whether the background is plain.

    The clip-wide colour is the commonest along the border, where objects are rarest; each frame may differ a little.
    """
    border = np.concatenate([pixels_THWC[:, [0, -1]].reshape(-1, 3), pixels_THWC[:, :, [0, -1]].reshape(-1, 3)])
    clip_colour = _commonest(border)
    near = np.linalg.norm(pixels_THWC - clip_colour, axis=-1) < BACKGROUND_REACH
    colours = np.stack(
        [np.median(f[n], axis=0) if n.any() else clip_colour for f, n in zip(pixels_THWC, near, strict=True)]
    )
    share = (np.linalg.norm(pixels_THWC - colours[:, None, None], axis=-1) < VISIBLE).mean()
    return colours, bool(share >= PLAIN_SHARE)


def find_palette(pixels: np.ndarray, background_TC: np.ndarray, away: np.ndarray, smallest: float) -> np.ndarray:
    """Return the object colours `[K, 3]` that explain the clip, the commonest first.

    A colour is taken from pixels that no earlier colour explains, as long as some frame has an object's worth of them.
    """
    left = away > VISIBLE
    palette: list[np.ndarray] = []
    difference = pixels - background_TC[:, None, None]
    while len(palette) < MOST_COLOURS and max(_solid(frame).sum() for frame in left) >= smallest:
        # Pixels far from the background are cores; nearer ones are mostly mixed edges.
        core = left & (away >= 0.6 * np.quantile(away[left], 0.95))
        candidates = pixels[core]
        colour = _commonest(candidates)
        near = np.linalg.norm(candidates - colour, axis=-1) < SAME_COLOUR
        colour = np.median(candidates[near], axis=0)
        palette.append(colour)
        _, _, error = unmix(difference, background_TC, colour[None])
        explained = (error < EXPLAINED) | (np.linalg.norm(pixels - colour, axis=-1) < SAME_COLOUR)
        if not (left & explained).any():
            break
        left &= ~explained
    return np.array(palette).reshape(-1, 3)


def unmix(
    difference: np.ndarray, background_TC: np.ndarray, palette_KC: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read every pixel as background mixed with its best object colour.

    Returns `alpha [T, H, W]`, the colour's index `[T, H, W]` and what the mixture leaves unexplained, in RGB levels.
    """
    T, H, W, _ = difference.shape
    best_error = np.full((T, H, W), np.inf, dtype=np.float32)
    best_alpha = np.zeros((T, H, W), dtype=np.float32)
    owner = np.zeros((T, H, W), dtype=np.int32)
    for k, colour in enumerate(palette_KC):
        direction = (colour - background_TC)[:, None, None].astype(np.float32)  # [T, 1, 1, 3]
        alpha = (difference * direction).sum(-1) / np.maximum((direction**2).sum(-1), 1.0)
        alpha = np.clip(alpha, 0.0, 1.0)
        error = np.linalg.norm(difference - alpha[..., None] * direction, axis=-1)
        better = error < best_error
        best_error[better], best_alpha[better], owner[better] = error[better], alpha[better], k
    if not len(palette_KC):
        best_error = np.linalg.norm(difference, axis=-1)
    return best_alpha, owner, best_error


def _blobs(
    frame: int, pixels: np.ndarray, alpha: np.ndarray, owner: np.ndarray, colours: int, smallest: float
) -> list[Blob]:
    found = []
    for k in range(colours):
        own = np.where(owner == k, alpha, 0.0)
        core = (own > 0.5).astype(np.uint8)
        if not core.any():
            continue
        count, labels, stats, _ = cv2.connectedComponentsWithStats(core, connectivity=8)
        for label in range(1, count):
            if stats[label, cv2.CC_STAT_AREA] >= smallest and _solid(labels == label).any():
                found.append(_blob(frame, k, pixels, own, labels, label))
    return found


def _solid(mask_HW: np.ndarray) -> np.ndarray:
    """Return the parts of a mask that are 3 pixels thick: objects are, an autoencoder's coloured fringes are not."""
    return cv2.morphologyEx(mask_HW.astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))


def _blob(frame: int, colour: int, pixels: np.ndarray, own: np.ndarray, labels: np.ndarray, label: int) -> Blob:
    H, W = own.shape
    core = labels == label
    ys, xs = np.nonzero(core)
    margin = 2 + int(0.25 * np.sqrt(len(ys)))  # the soft edge reaches this far beyond the core
    x0, x1 = max(0, xs.min() - margin), min(W, xs.max() + 1 + margin)
    y0, y1 = max(0, ys.min() - margin), min(H, ys.max() + 1 + margin)
    window = np.s_[y0:y1, x0:x1]
    others = (labels[window] > 0) & ~core[window]
    matte = np.where(others, 0.0, own[window])
    matte[matte < 0.08] = 0.0
    area = float(matte.sum())
    x = float((matte.sum(0) * (np.arange(x0, x1) + 0.5)).sum() / area)
    y = float((matte.sum(1) * (np.arange(y0, y1) + 0.5)).sum() / area)
    dense = core & (own >= 0.9)
    rgb = np.median(pixels[dense if dense.any() else core], axis=0)
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
            best, best_count = np.median(colours_NC[keys == key], axis=0), int(counts[key])
    return best
