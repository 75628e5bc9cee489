"""What moves in a piece, cut out, and the scene without it: the editor's own eyes.

The camera is followed by corner points, from frame to frame; the scene is the median of all frames laid
over one another; what differs from it clearly is a thing. It is plain and slow, and errs by finding too little.
"""

from dataclasses import dataclass

import cv2
import numpy as np

CLEAR = 26.0  # levels by which a thing differs from the scene
SMALLEST, LARGEST = 0.003, 0.2  # share of the picture
SAMPLES = 41  # frames that the scene is made of
MARGIN = 1.6  # times the picture: the largest canvas that a moving camera's scene is laid out on


@dataclass(frozen=True, eq=False)
class Camera:
    """Where the camera looks: `to_scene float64 [T, 3, 3]` carries pixels of a frame to those of the scene's canvas."""

    to_scene: np.ndarray
    size: tuple[int, int]  # width, height of the canvas
    reliable: bool

    def point(self, frame: int, x: float, y: float) -> tuple[float, float]:
        """Return where a point of the scene is seen in a frame."""
        u, v, w = np.linalg.inv(self.to_scene[frame]) @ (x, y, 1.0)
        return float(u / w), float(v / w)


@dataclass(frozen=True, eq=False)
class Scene:
    """A piece without what moves: `seen uint8 [T, H, W, 3]` from every frame, and `differs bool [T, H, W]` from it."""

    camera: Camera
    seen: np.ndarray
    differs: np.ndarray


@dataclass(frozen=True, eq=False)
class Thing:
    """A thing that moves: its frames (consecutive), the mask of each `bool [H, W]`, and boxes `int [n, 4]`."""

    start: int
    masks: list[np.ndarray]
    boxes: np.ndarray

    @property
    def end(self) -> int:
        """Return its last frame."""
        return self.start + len(self.masks) - 1

    def mask(self, frame: int) -> np.ndarray:
        """Return its mask in a frame in which it is."""
        return self.masks[frame - self.start]

    def box(self, frame: int) -> tuple[int, int, int, int]:
        """Return its box in a frame in which it is."""
        x0, y0, x1, y1 = (int(v) for v in self.boxes[frame - self.start])
        return x0, y0, x1, y1


def follow_camera(frames: np.ndarray, *, steady: bool) -> Camera:
    """Return where the camera looks in every frame; of a `steady` one it is known."""
    T, height, width, _ = frames.shape
    if steady:
        return Camera(np.tile(np.eye(3), (T, 1, 1)), (width, height), True)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    steps, sure = np.tile(np.eye(3), (T, 1, 1)), True
    for t in range(1, T):
        found = _step(grey[t], grey[t - 1])
        sure = sure and found is not None
        steps[t] = np.eye(3) if found is None else found
    to_first = np.stack(list(_products(steps)))
    to_middle = np.linalg.inv(to_first[T // 2]) @ to_first
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]], dtype=float).T
    laid = to_middle @ corners
    laid = laid[:, :2] / laid[:, 2:]
    low, high = laid.min(axis=(0, 2)), laid.max(axis=(0, 2))
    low, high = np.maximum(low, (-width * MARGIN, -height * MARGIN)), np.minimum(high, (width * 3, height * 3))
    shift = np.array([[1, 0, -low[0]], [0, 1, -low[1]], [0, 0, 1]])
    size = (int(np.ceil(high[0] - low[0])), int(np.ceil(high[1] - low[1])))
    return Camera(shift @ to_middle, size, bool(sure and size[0] < 3 * width and size[1] < 3 * height))


def scene_of(frames: np.ndarray, camera: Camera) -> Scene:
    """Return the scene behind what moves, as every frame sees it."""
    T, height, width, _ = frames.shape
    chosen = np.unique(np.linspace(0, T - 1, min(T, SAMPLES)).round().astype(int))
    still = bool(np.allclose(camera.to_scene, np.eye(3)))
    if still:
        plate = np.median(frames[chosen], axis=0).astype(np.uint8)
        seen = np.broadcast_to(plate, frames.shape)
    else:
        laid = np.stack([cv2.warpPerspective(frames[t], camera.to_scene[t], camera.size) for t in chosen])
        there = np.stack(
            [cv2.warpPerspective(np.ones((height, width), np.uint8), camera.to_scene[t], camera.size) for t in chosen]
        )
        plate = _median_where(laid, there.astype(bool))
        back = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
        seen = np.stack([cv2.warpPerspective(plate, m, (width, height), flags=back) for m in camera.to_scene])
    return Scene(camera, seen, _differs(frames, seen))


def things_in(scene: Scene) -> list[Thing]:
    """Return what moves before the scene, followed from frame to frame, each a piece of its own."""
    area = scene.differs.shape[1] * scene.differs.shape[2]
    open_: list[tuple[int, list[np.ndarray], list[list[int]]]] = []
    done: list[tuple[int, list[np.ndarray], list[list[int]]]] = []
    for t, differs in enumerate(scene.differs):
        count, labels, stats, _ = cv2.connectedComponentsWithStats(differs.astype(np.uint8))
        blobs = [i for i in range(1, count) if stats[i, cv2.CC_STAT_AREA] > 0.3 * SMALLEST * area]
        taken: set[int] = set()
        following = []
        for track in open_:
            over = np.bincount(labels[track[1][-1]], minlength=count)
            over[0] = 0
            best = int(np.argmax(over))
            last = track[1][-1].sum()
            fits = best in blobs and best not in taken and over[best] > 0.15 * last
            if fits and 0.5 < stats[best, cv2.CC_STAT_AREA] / last < 2.0:
                taken.add(best)
                x, y, w, h = (int(v) for v in stats[best, :4])
                track[1].append(labels == best)
                track[2].append([x, y, x + w, y + h])
                following.append(track)
            else:
                done.append(track)
        for i in blobs:
            if i not in taken:
                x, y, w, h = (int(v) for v in stats[i, :4])
                following.append((t, [labels == i], [[x, y, x + w, y + h]]))
        open_ = following
    return [Thing(start, masks, np.array(boxes)) for start, masks, boxes in [*done, *open_] if len(masks) >= 6]


def clear_of(thing: Thing, frame: int) -> bool:
    """Say whether an eye sees a thing well in a frame: large enough, whole, and compact."""
    mask, (x0, y0, x1, y1) = thing.mask(frame), thing.box(frame)
    height, width = mask.shape
    inside = x0 > 1 and y0 > 1 and x1 < width - 1 and y1 < height - 1
    share = mask.mean()
    solid = mask.sum() / max(1, (x1 - x0) * (y1 - y0))
    return bool(inside and SMALLEST < share < LARGEST and solid > 0.4 and min(x1 - x0, y1 - y0) >= 0.05 * height)


def soft(mask: np.ndarray, grow: int, feather: float = 1.0) -> np.ndarray:
    """Return a mask `bool [H, W]` grown by some pixels, with soft edges, `float32 [H, W, 1]` in 0..1."""
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(grow) + 1, 2 * abs(grow) + 1))
    change = cv2.dilate if grow > 0 else cv2.erode
    grown = change(mask.astype(np.uint8), kernel) if grow else mask.astype(np.uint8)
    return cv2.GaussianBlur(grown.astype(np.float32), (0, 0), feather)[..., None]


def _step(now: np.ndarray, before: np.ndarray) -> np.ndarray | None:
    """Return the shift, turn and zoom that carry pixels of a frame to the one before; None where they are not seen.

    More freedom than that, perspective above all, drifts over many frames more than it gains.
    """
    points = cv2.goodFeaturesToTrack(now, 200, 0.01, 8)
    if points is None or len(points) < 20:
        return None
    moved, found, _ = cv2.calcOpticalFlowPyrLK(now, before, points, points.copy(), winSize=(21, 21), maxLevel=4)
    good = found.ravel() == 1
    if good.sum() < 20:
        return None
    matrix, inliers = cv2.estimateAffinePartial2D(points[good], moved[good], ransacReprojThreshold=1.0)
    if matrix is None or inliers.mean() < 0.5 or abs(np.linalg.det(matrix[:, :2]) - 1) > 0.2:
        return None
    return np.vstack([matrix, [0, 0, 1]])


def _products(steps: np.ndarray) -> list[np.ndarray]:
    total, products = np.eye(3), []
    for step in steps:
        total = total @ step
        products.append(total / total[2, 2])
    return products


def _median_where(laid: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Return the median over frames `[n, H, W, 3]` of what is there, 0 where no frame shows the canvas."""
    values = np.sort(np.where(there[..., None], laid.astype(np.int16), 256), axis=0)  # what is missing comes last
    middle = np.maximum(there.sum(axis=0) - 1, 0) // 2
    found = np.take_along_axis(values, np.broadcast_to(middle[None, ..., None], (1, *values.shape[1:])), axis=0)[0]
    return np.where(found < 256, found, 0).astype(np.uint8)


def _differs(frames: np.ndarray, seen: np.ndarray) -> np.ndarray:
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (3, 3))
    wide = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5))
    masks = np.zeros(frames.shape[:3], dtype=bool)
    for t, (frame, behind) in enumerate(zip(frames, seen, strict=True)):
        far = cv2.absdiff(cv2.GaussianBlur(frame, (0, 0), 0.8), cv2.GaussianBlur(behind, (0, 0), 0.8)).max(axis=2)
        mask = cv2.morphologyEx((far > CLEAR).astype(np.uint8), cv2.MORPH_CLOSE, wide)
        masks[t] = cv2.morphologyEx(mask, cv2.MORPH_OPEN, kernel).astype(bool)
    return masks
