"""The family `paper`: cut-outs of printed paper with torn edges and drop shadows, pushed over printed sheets.

Everything is drawn here, by warping sheets: no look is shared with the family `studio`.
"""

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from evaluation.proving import prints
from evaluation.proving.case import Case
from evaluation.proving.filming import Picture, film
from evaluation.proving.planes import OVER, Planes
from evaluation.proving.stage.outlines import box, star
from evaluation.proving.stage.scene import Scene, Take
from evaluation.proving.stage.scenes import draw, draw_size

OUTLINES = ("disc", "disc", "box", "polygon", "pebble", "star")


def cases(count: int, seed: int, *, faultless: bool = False) -> Iterator[Case]:
    """`count` clips: of every scene the faultless one, then one for each failure it allows (unless `faultless`)."""
    return film("paper", stage, count, seed, faultless=faultless)


def stage(rng: np.random.Generator, like: Scene | None, size: tuple[int, int] | None) -> tuple[Scene, "Paper"]:
    size = size or draw_size(rng)
    scene = draw(rng, size, OUTLINES, like)
    return scene, Paper(scene, size)


class Paper(Planes):
    """Draws takes of one scene as pictures of a width and height."""

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        super().__init__(scene, size)
        rng = np.random.default_rng(scene.look)
        self.ground_depth = float(rng.choice([1.0, 1.0, 1.5, 2.5]))
        if scene.kind in ("paint", "billiard"):
            self.ground_depth = 1.0
        self.plane_depth = 0.25 if scene.kind == "drift" else 0.0
        self.ground = prints.sheet(rng, self.sheet_size, self.unit, calm=True, scenery=rng.random() < 0.6)
        self.mean = self.ground.reshape(-1, 3).mean(0)
        self.shade = rng.uniform(0.15, 0.5), rng.uniform(-0.03, 0.03), rng.uniform(0.005, 0.03)
        self.blurred = rng.random() < 0.25  # by motion
        self.wet_ink = prints.ink(rng, self.mean)
        self.walls = self._walls(rng, self.sheet_size)
        self.pillars = {
            before: self._pillars(before, self.sheet_size) for before in {o.before for o in scene.occluders}
        }
        self.finish = prints.Finish(rng, size)
        self._cut_out = lru_cache(512)(self._cut_out_of)

    def _walls(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray | None:
        if not self.scene.walls:
            return None
        mask = np.zeros(shape[::-1], np.uint8)
        for x0, y0, x1, y1 in self.scene.walls:
            along = np.array([x1 - x0, y1 - y0]) / np.hypot(x1 - x0, y1 - y0)
            behind = np.array([along[1], -along[0]])
            corners = [
                np.array([x0, y0]),
                np.array([x1, y1]),
                np.array([x1, y1]) + 3 * behind,
                np.array([x0, y0]) + 3 * behind,
            ]
            cv2.fillPoly(mask, [self.sheet_points(np.array(corners))], 255)
        sheet = prints.sheet(rng, shape, self.unit, calm=True, unlike=self.mean)
        if self.scene.wet:
            x0, y0, x1, y1 = self.scene.wet
            lo, hi = self.sheet_points(np.array([[x0, y1], [x1, y0]]))
            centre, axes = (lo + hi) // 2, (hi - lo) // 2
            cv2.ellipse(
                sheet, tuple(map(int, centre)), tuple(map(int, axes)), 0, 0, 360, self.wet_ink.tolist(), -1, cv2.LINE_AA
            )
        return self._layer(sheet, mask)

    def _layer(self, sheet: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """A sheet cut along its mask, with its shadow: what it adds, and in the fourth channel what it lets through."""
        strength, right, down = self.shade
        shift = np.array([[1, 0, right * self.unit], [0, 1, down * self.unit]])
        shadow = cv2.blur(cv2.warpAffine(mask, shift, mask.shape[::-1]), (int(self.unit * 0.03) | 1,) * 2)
        cover = mask[:, :, None] / np.float32(255)
        through = (255 - strength * shadow[:, :, None].astype(np.float32)) * (1 - cover)
        return np.round(np.dstack([sheet * cover, through])).astype(np.uint8)

    def _pillars(self, before: int, shape: tuple[int, int]) -> np.ndarray:
        whole, mask = np.zeros((shape[1], shape[0], 3), np.uint8), np.zeros(shape[::-1], np.uint8)
        for occluder in self.scene.occluders:
            if occluder.before == before:
                rng = np.random.default_rng(occluder.look)
                (x0, y0), (x1, y1) = self.sheet_points(
                    np.array([[occluder.x0, occluder.y1], [occluder.x1, occluder.y0]])
                )
                sheet = prints.sheet(rng, shape, self.unit, calm=rng.random() < 0.5, unlike=self.mean)
                whole[max(y0, 0) : y1, x0:x1] = sheet[max(y0, 0) : y1, x0:x1]
                mask[max(y0, 0) : y1, x0:x1] = 255
        return self._layer(whole, mask)

    def _cut_out_of(self, index: int, turned: float, morphed: float, mark: float) -> np.ndarray:
        """RGBA of a thing, upright, uint8 square that holds its unit circle and a rim."""
        thing = self.scene.things[index]
        pixels = thing.radius * self.unit
        own = prints.cut_out(thing.look, thing.outline, pixels, self.mean)
        if turned:
            own = _mixed(own, prints.cut_out(thing.look + 1, thing.outline, pixels, self.mean, edge=thing.look), turned)
        if morphed:
            own = _mixed(
                own, prints.cut_out(thing.look, other_outline(thing.look, thing.outline), pixels, self.mean), morphed
            )
        if mark:
            marked = prints.cracked(own, thing.look) if thing.fragile else prints.painted(own, thing.look, self.wet_ink)
            own = _mixed(own, marked, mark)
        return own

    def paint(self, take: Take) -> Picture:
        frames, owners = zip(*(self._frame(take, frame) for frame in range(len(take.angle))), strict=True)
        return Picture(np.stack(frames), np.stack(owners))

    def _frame(self, take: Take, frame: int) -> tuple[np.ndarray, np.ndarray]:
        moments = (0.0, 0.2, 0.4) if self.blurred else (0.0,)
        total = np.zeros((self.size[1], self.size[0], 3), np.float32)
        for back in moments:
            canvas, owner = self._moment(take, frame, -back / self.scene.fps)
            total += cv2.resize(canvas, self.size, interpolation=cv2.INTER_AREA)
            if back == 0:
                whose = owner[OVER // 2 :: OVER, OVER // 2 :: OVER]
        return np.clip(total / len(moments) * np.float32(take.light[frame]), 0, 255), whose

    def _moment(self, take: Take, frame: int, seconds: float) -> tuple[np.ndarray, np.ndarray]:
        size = (self.size[0] * OVER, self.size[1] * OVER)
        camera, scene = take.camera[frame], self.scene
        canvas = cv2.warpAffine(
            self.ground, self.sheet_view(camera, self.ground_depth), size, borderMode=cv2.BORDER_REFLECT
        )
        owner = np.full(size[::-1], -1, np.int8)
        if self.walls is not None:
            self._lay(canvas, owner, self.walls, self.sheet_view(camera, 1.0))
        for plane in sorted({thing.plane for thing in scene.things} | set(self.pillars), reverse=True):
            depth = 1 + self.plane_depth * plane
            for index, thing in enumerate(scene.things):
                if thing.plane == plane and take.opacity[frame, index] > 0:
                    self._put(canvas, owner, take, frame, index, seconds, depth)
            if plane in self.pillars:
                self._lay(canvas, owner, self.pillars[plane], self.sheet_view(camera, depth - self.plane_depth / 2))
        if take.bend[frame]:
            canvas, owner = self._bent(canvas, owner, camera, take.bend[frame])
        return canvas, owner

    def _lay(self, canvas: np.ndarray, owner: np.ndarray, layer: np.ndarray, view: np.ndarray) -> None:
        laid = cv2.warpAffine(layer, view, canvas.shape[1::-1], borderValue=(0, 0, 0, 255))
        through = laid[:, :, 3]
        cv2.multiply(canvas, cv2.merge([through] * 3), canvas, 1 / 255)
        cv2.add(canvas, np.ascontiguousarray(laid[:, :, :3]), canvas)
        owner[through < 64] = -2

    def _put(
        self, canvas: np.ndarray, owner: np.ndarray, take: Take, frame: int, index: int, seconds: float, depth: float
    ) -> None:
        thing = self.scene.things[index]
        step = 1 / 16
        turned, morphed, mark = (
            round(float(of[frame, index]) / step) * step for of in (take.turned, take.morphed, take.mark)
        )
        piece = self._cut_out(index, turned, morphed, mark)
        view = self.view(take.camera[frame], depth)
        place = take.position[frame, index] + take.velocity[frame, index] * seconds
        centre = view[:, :2] @ place + view[:, 2]
        middle = piece.shape[0] / 2 - 0.5
        scale = take.size[frame, index] * thing.radius / (middle + 0.5 - prints.RIM) * float(np.hypot(*view[:, 0]))
        turn = take.angle[frame, index] + np.arctan2(-view[1, 0], view[0, 0])
        cos, sin = scale * np.cos(turn), scale * np.sin(turn)
        matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
        matrix[:, 2] = centre - 0.5 - matrix[:, :2] @ [middle, middle]
        reach = scale * (middle + 2) * 1.05 + self.unit * 0.05
        x0, y0 = np.maximum(np.floor(centre - reach), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(centre + reach), [canvas.shape[1], canvas.shape[0]]).astype(int)
        if x0 >= x1 or y0 >= y1:
            return
        matrix[:, 2] -= [x0, y0]
        flags = cv2.INTER_AREA if scale < 0.6 else cv2.INTER_LINEAR
        warped = cv2.warpAffine(piece, matrix, (x1 - x0, y1 - y0), flags=flags)
        alpha = warped[:, :, 3].astype(np.float32) / 255 * float(take.opacity[frame, index])
        strength, right, down = self.shade
        matrix[:, 2] += np.array([right, down]) * self.unit
        dark = cv2.blur(cv2.warpAffine(piece[:, :, 3], matrix, (x1 - x0, y1 - y0)), (int(self.unit * 0.03) | 1,) * 2)
        weight = 1 - strength * float(take.opacity[frame, index]) * (dark.astype(np.float32) / 255)
        region = canvas[y0:y1, x0:x1]
        ink = np.clip(warped[:, :, :3] * np.float32(take.gain[frame, index]), 0, 255)
        region[:] = region * (weight * (1 - alpha))[:, :, None] + ink * alpha[:, :, None]
        owner[y0:y1, x0:x1][alpha > 0.4] = index

    def _bent(
        self, canvas: np.ndarray, owner: np.ndarray, camera: np.ndarray, bend: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture drawn out of shape by waves that stand in the scene."""
        view = self.view(camera, 1.0)
        y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
        plane = np.linalg.inv(view[:, :2]) @ (np.stack([x.ravel(), y.ravel()]) - view[:, 2:])
        wave = np.sin(2 * np.pi * 1.1 * plane[1] + 1), np.sin(2 * np.pi * 0.9 * plane[0] + 2)
        amount = np.float32(bend * self.unit)
        x, y = (
            axis + amount * bent.reshape(axis.shape).astype(np.float32) for axis, bent in zip((x, y), wave, strict=True)
        )
        canvas = cv2.remap(canvas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return canvas, cv2.remap(owner.view(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT).view(
            np.int8
        )


def other_outline(look: int, outline: np.ndarray) -> np.ndarray:
    """What an outline morphs into: plainly another."""
    rng = np.random.default_rng(look)
    return star(rng) if len(outline) == 4 else box(rng)


def _mixed(one: np.ndarray, other: np.ndarray, share: float) -> np.ndarray:
    return cv2.addWeighted(one, 1 - share, other, share, 0) if share < 1 else other
