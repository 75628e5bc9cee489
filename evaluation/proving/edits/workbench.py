"""A piece of footage on the workbench: what moves in it and the scene behind, found once for all edits of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np

from evaluation.findings import Box
from evaluation.proving.edits.cutouts import Camera, Scene, Thing, clear_of, follow_camera, scene_of, soft, things_in
from evaluation.proving.real import THINGS, Piece

LEAST_TRAVEL = 1.0  # of its longer side: what moves less may be a part of something
SETTLED = 5  # frames, and
SETTLED_SECONDS = 0.25  # that a thing is seen before and missed after it vanishes


@dataclass(frozen=True, eq=False)
class Sprite:
    """A thing cut out: `image uint8 [h, w, 3]`, `alpha float32 [h, w]` in 0..1."""

    image: np.ndarray
    alpha: np.ndarray

    def sized(self, height: float) -> "Sprite":
        """Return it so that the root of its area is `height` pixels."""
        scale = height / np.sqrt(self.image.shape[0] * self.image.shape[1])
        size = (max(4, round(self.image.shape[1] * scale)), max(4, round(self.image.shape[0] * scale)))
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        return Sprite(cv2.resize(self.image, size, interpolation=how), cv2.resize(self.alpha, size, interpolation=how))


@dataclass(frozen=True, eq=False)
class Bench:
    """A piece, and what can be put into it: `sprites` of other clips, `foreign` pieces to cut to."""

    piece: Piece
    sprites: Sequence[Sprite]
    foreign: Callable[[np.random.Generator], Piece | None]

    @property
    def frames(self) -> np.ndarray:
        """Return the frames of the piece, `uint8 [T, H, W, 3]`."""
        return self.piece.frames

    @cached_property
    def camera(self) -> Camera:
        """Return where the camera looks."""
        return follow_camera(self.frames, steady=self.piece.steady)

    @cached_property
    def scene(self) -> Scene:
        """Return the scene behind what moves."""
        return scene_of(self.frames, self.camera)

    @cached_property
    def things(self) -> list[Thing]:
        """Return the whole things that are seen to move, well enough to edit them."""
        if not self.piece.physics & THINGS or not self.camera.reliable:
            return []
        return [thing for thing in things_in(self.scene) if self._whole(thing)]

    def settled(self) -> int:
        """Return how many frames something is to be seen before it fails, and after."""
        return max(SETTLED, round(SETTLED_SECONDS * self.piece.fps))

    def without(self, thing: Thing, frame: int, share: float | np.ndarray = 1.0) -> np.ndarray:
        """Return a frame in which a share of a thing gave way to the scene behind."""
        alpha = share * soft(thing.mask(frame), self.spread())
        mixed = (1 - alpha) * self.frames[frame] + alpha * self.scene.seen[frame]
        return np.asarray(mixed.round().astype(np.uint8))

    def spread(self) -> int:
        """Return how many pixels beyond its mask a thing reaches, with its blur and near shadow."""
        return max(2, round(0.014 * float(max(self.frames.shape[1:3]))))

    def comes_from_border(self, thing: Thing) -> bool:
        """Say whether a thing is there from the first frame on, or comes over the border."""
        return thing.start == 0 or self.at_border(thing.box(thing.start))

    def goes_over_border(self, thing: Thing) -> bool:
        """Say whether a thing stays to the last frame, or leaves over the border."""
        return thing.end == len(self.frames) - 1 or self.at_border(thing.box(thing.end))

    def at_border(self, box: Box) -> bool:
        """Say whether a box touches the border."""
        height, width = self.frames.shape[1:3]
        return box[0] <= 2 or box[1] <= 2 or box[2] >= width - 2 or box[3] >= height - 2

    def clear_frames(self, thing: Thing, margin: int) -> list[int]:
        """Return the frames in which a thing is seen well, and `margin` frames before and after too."""
        clear = np.array([clear_of(thing, frame) for frame in range(thing.start, thing.end + 1)])
        wide = np.convolve(clear, np.ones(2 * margin + 1), mode="same") >= 2 * margin + 1
        return [thing.start + int(i) for i in np.flatnonzero(wide) if margin <= i < len(clear) - margin]

    def _whole(self, thing: Thing) -> bool:
        """Say whether it is a thing and not a part of one: it travels, and the scene around it is as it always is."""
        clear = self.clear_frames(thing, 0)
        if len(clear) < 2 * self.settled():
            return False
        centres = np.array([_centre(self.camera, thing, frame) for frame in (clear[0], clear[-1])])
        middle = clear[len(clear) // 2]
        x0, y0, x1, y1 = thing.box(middle)
        travels = np.linalg.norm(centres[1] - centres[0]) > LEAST_TRAVEL * max(x1 - x0, y1 - y0)
        ring = soft(thing.mask(middle), 3 * self.spread(), 0.5)[..., 0] > 0.5
        ring &= ~(soft(thing.mask(middle), self.spread(), 0.5)[..., 0] > 0.5)
        return bool(travels and not self.scene.differs[middle][ring].mean() > 0.05)


def around(boxes: Sequence[Box]) -> Box:
    """Return the smallest box that holds all."""
    x0, y0, x1, y1 = np.array(boxes).T
    return int(x0.min()), int(y0.min()), int(x1.max()), int(y1.max())


def tinted(pixels: np.ndarray, target: np.ndarray, share: float | np.ndarray) -> np.ndarray:
    """Return pixels `[..., 3]` coloured: their own brightness in the colour `target`, mixed in by a share."""
    luma = pixels.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)
    coloured = np.clip((0.35 + 0.65 * luma[..., None] / max(1.0, float(luma.mean()))) * target, 0, 255)
    return np.asarray((1 - share) * pixels + share * coloured, dtype=np.float32)


def other_colour(mean: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a clear colour `float [3]` that is far from the mean colour of a thing."""
    colours = np.array([(215, 40, 40), (40, 170, 60), (45, 80, 215), (225, 200, 40), (200, 60, 200), (40, 190, 200)])
    far = np.linalg.norm(colours - mean, axis=1)
    return np.asarray(rng.choice(colours[np.argsort(-far)[:3]]), dtype=float)


def _centre(camera: Camera, thing: Thing, frame: int) -> np.ndarray:
    x0, y0, x1, y1 = thing.box(frame)
    point = camera.to_scene[frame] @ ((x0 + x1) / 2, (y0 + y1) / 2, 1.0)
    return np.asarray(point[:2] / point[2])
