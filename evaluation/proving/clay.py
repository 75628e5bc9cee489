"""The family `clay`: kneaded, knitted and felted things with volume, lit by lamps, before cloth, grass and shelves.

Balls turn in space and so show their other sides; nearer and farther things shift against one another as the camera
moves. No look is shared with the families `paper` and `studio`.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from evaluation.proving.case import Case
from evaluation.proving.clay_bodies import Body, trailed
from evaluation.proving.clay_grounds import FAR, FLAT, SOLID, Lens, sheet
from evaluation.proving.clay_skins import colour, lamps, turn_about
from evaluation.proving.filming import Picture, film
from evaluation.proving.planes import MARGIN, OVER, Planes
from evaluation.proving.stage.scene import Scene, Take
from evaluation.proving.stage.scenes import draw, draw_size

OUTLINES = ("disc", "disc", "disc", "box", "polygon", "pebble", "pebble", "star")
COARSE = 4  # drawn pixels in one of the map of shadows
STEPS = 16  # of a change from one look to another


def cases(count: int, seed: int, *, faultless: bool = False) -> Iterator[Case]:
    """`count` clips: of every scene the faultless one, then one for each failure it allows (unless `faultless`)."""
    return film("clay", stage, count, seed, faultless=faultless)


def stage(rng: np.random.Generator, like: Scene | None, size: tuple[int, int] | None) -> tuple[Scene, "Clay"]:
    size = size or draw_size(rng)
    scene = draw(rng, size, OUTLINES, like)
    return scene, Clay(scene, size)


class Clay(Planes):
    """Draws takes of one scene as pictures of a width and height."""

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        super().__init__(scene, size)
        rng = np.random.default_rng([scene.look, 7])
        self.lamps = lamps(rng)
        floats = scene.kind == "drift"
        self.ground_depth = 1.0 if scene.kind in ("paint", "billiard") else float(rng.choice([1.0, 1.4, 2.0, 3.0]))
        self.plane_depth = 0.25 if floats else float(rng.choice([0.0, 0.03]))
        kind = str(rng.choice(FLAT if scene.kind == "billiard" else FAR))
        self.ground = sheet(rng, kind, self.sheet_size, self.unit, self.lamps, None)
        self.mean = self.ground.reshape(-1, 3).mean(0)
        self.wet_ink = colour(rng, self.mean)
        self.walls = self._walls(rng, self.sheet_size)
        self.pillars = {o: self._pillar(before=o, shape=self.sheet_size) for o in {o.before for o in scene.occluders}}
        towards = self.lamps.towards[0]
        self.cast = -towards[:2] / max(towards[2], 0.5) * 0.06 * (2 if floats else 1), rng.uniform(0.25, 0.55)
        self.pool = self._pool(rng)
        self.blurred = rng.random() < 0.2  # by motion
        self.waves = rng.uniform(0.7, 1.4, (2, 2)) * rng.choice([-1, 1], (2, 2)), rng.uniform(0, 6.28, 2)
        self.finish = Lens(rng, size)
        self.bodies = [Body(scene, index, self.lamps, self.mean, self.wet_ink) for index in range(len(scene.things))]

    def _pool(self, rng: np.random.Generator) -> np.ndarray:
        """A pool of light that lies in the plane of motion, float32 `[32, 32]` over it and the margin."""
        y, x = np.mgrid[-1:1:32j, -1:1:32j]
        middle = rng.uniform(-0.4, 0.4, 2)
        fall = rng.choice([0.0, 0.25, 0.5])
        return np.asarray(1.08 - fall * ((x - middle[0]) ** 2 + (y - middle[1]) ** 2), np.float32)

    def _walls(self, rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray | None:
        """Blocks with a bright rim, uint8 RGBA."""
        if not self.scene.walls:
            return None
        own = sheet(rng, str(rng.choice(SOLID)), shape, self.unit, self.lamps, self.mean)
        mask, rim = np.zeros(shape[::-1], np.uint8), np.zeros(shape[::-1], np.uint8)
        for x0, y0, x1, y1 in self.scene.walls:
            one, other = np.array([x0, y0]), np.array([x1, y1])
            along = (other - one) / np.linalg.norm(other - one)
            behind = np.array([along[1], -along[0]])
            for target, deep in ((mask, 3.0), (rim, 0.02)):
                corners = np.array([one, other, other + deep * behind, one + deep * behind])
                cv2.fillPoly(target, [self.sheet_points(corners)], 255)
        own = np.where(rim[:, :, None] > 0, np.clip(own * 1.25 + 12, 0, 255), own).astype(np.uint8)
        if self.scene.wet:
            x0, y0, x1, y1 = self.scene.wet
            lo, hi = self.sheet_points(np.array([[x0, y1], [x1, y0]]))
            centre, axes = (lo + hi) // 2, (hi - lo) // 2
            wet = tuple(map(float, self.wet_ink))
            cv2.ellipse(own, tuple(map(int, centre)), tuple(map(int, axes)), 0, 0, 360, wet, -1, cv2.LINE_AA)
        return np.dstack([own, mask])

    def _pillar(self, before: int, shape: tuple[int, int]) -> np.ndarray:
        """What stands before the things of a plane, round or square, uint8 RGBA."""
        drawn = np.zeros((shape[1], shape[0], 4), np.uint8)
        for occluder in self.scene.occluders:
            if occluder.before == before:
                rng = np.random.default_rng(occluder.look)
                corners = np.array([[occluder.x0, occluder.y1], [occluder.x1, occluder.y0]])
                (x0, y0), (x1, y1) = np.clip(self.sheet_points(corners), 0, shape)
                own = sheet(rng, str(rng.choice(SOLID)), (x1 - x0, y1 - y0), self.unit, self.lamps, self.mean)
                across = np.linspace(-1, 1, x1 - x0) * rng.choice([0.3, 0.85])
                normal = np.stack([across, 0 * across, np.sqrt(1 - across**2)], 1).astype(np.float32)
                light = self.lamps.fall(normal) / self.lamps.fall(np.array([0, 0, 1], np.float32))
                drawn[y0:y1, x0:x1, :3] = np.clip(own * light, 0, 255)
                drawn[y0:y1, x0:x1, 3] = 255
        return drawn

    def zoomed(self, zoom: float, depth: float) -> float:
        """Return how many times as large a plane at a depth is seen: the camera zooms by going nearer."""
        return depth / (depth - 1 + 1 / zoom)

    def paint(self, take: Take) -> Picture:
        turned = [body.turns(take) for body in self.bodies]
        frames = np.empty((len(take.angle), self.size[1], self.size[0], 3), np.float32)
        owners = np.empty(frames.shape[:3], np.int8)
        for frame in range(len(frames)):
            canvas, owner = self._frame(take, frame, [of[frame] for of in turned])
            frames[frame] = cv2.resize(canvas, self.size, interpolation=cv2.INTER_AREA)
            owners[frame] = owner[OVER // 2 :: OVER, OVER // 2 :: OVER]
        frames *= take.light[:, None, None, None].astype(np.float32)
        return Picture(np.clip(frames, 0, 255), owners)

    def _frame(self, take: Take, frame: int, turned: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        size = (self.size[0] * OVER, self.size[1] * OVER)
        camera, scene = take.camera[frame], self.scene
        view = self.sheet_view(camera, self.ground_depth)
        canvas = cv2.warpAffine(self.ground, view, size, borderMode=cv2.BORDER_REFLECT).astype(np.float32)
        owner = np.full(size[::-1], -1, np.int8)
        if self.walls is not None:
            self._lay(canvas, owner, self.walls, self.sheet_view(camera, 1.0))
        canvas *= self._shadows(take, frame)[:, :, None]
        for plane in sorted({thing.plane for thing in scene.things} | set(self.pillars), reverse=True):
            depth = 1 + self.plane_depth * plane
            for index, thing in enumerate(scene.things):
                if thing.plane == plane and take.opacity[frame, index] > 0:
                    self._put(canvas, owner, take, frame, index, turned[index])
            if plane in self.pillars:
                view = self.sheet_view(camera, depth - self.plane_depth / 2)
                self._lay(canvas, owner, self.pillars[plane], view)
        pool = np.array([len(self.pool) / (scene.aspect + 2 * MARGIN), len(self.pool) / (1 + 2 * MARGIN)])
        view = self.sheet_view(camera, 1.0, 1.0) @ np.diag([*1 / pool, 1.0])
        canvas *= cv2.warpAffine(self.pool, view, size, borderMode=cv2.BORDER_REPLICATE)[:, :, None]
        return self._bent(canvas, owner, camera, take.bend[frame]) if take.bend[frame] else (canvas, owner)

    def _lay(self, canvas: np.ndarray, owner: np.ndarray, layer: np.ndarray, view: np.ndarray) -> None:
        laid = cv2.warpAffine(layer, view, canvas.shape[1::-1])
        share = laid[:, :, 3:].astype(np.float32) / 255
        canvas *= 1 - share
        canvas += laid[:, :, :3] * share
        owner[laid[:, :, 3] > 128] = -2

    def _shadows(self, take: Take, frame: int) -> np.ndarray:
        """What is left of the light on ground and walls: dark where things touch, and soft away from the lamp."""
        shape = self.size[1] * OVER // COARSE, self.size[0] * OVER // COARSE
        near, far = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
        shift, strength = self.cast
        for index, thing in enumerate(self.scene.things):
            outline = thing.outline @ turn_about(np.array([0, 0, 1]), take.angle[frame, index])[:2, :2].T
            points = take.position[frame, index] + outline * thing.radius * take.size[frame, index]
            view = self.view(take.camera[frame], 1 + self.plane_depth * thing.plane)
            for target, moved in ((near, np.array([0.0, -0.01])), (far, shift)):
                drawn = ((points + moved) @ view[:, :2].T + view[:, 2]) / COARSE * 16
                single = np.zeros(shape, np.float32)
                cv2.fillPoly(
                    single, [np.round(drawn).astype(np.int32)], float(take.opacity[frame, index]), cv2.LINE_AA, 4
                )
                np.maximum(target, single, out=target)
        soft = cv2.GaussianBlur(far, (0, 0), self.unit / COARSE * 0.025)
        close = cv2.GaussianBlur(near, (0, 0), self.unit / COARSE * 0.012)
        left = (1 - np.float32(strength) * soft) * (1 - np.float32(0.45) * close)
        return cv2.resize(left, (self.size[0] * OVER, self.size[1] * OVER), interpolation=cv2.INTER_LINEAR)

    def _put(
        self, canvas: np.ndarray, owner: np.ndarray, take: Take, frame: int, index: int, turned: np.ndarray
    ) -> None:
        thing, camera = self.scene.things[index], take.camera[frame]
        view = self.view(camera, 1 + self.plane_depth * thing.plane)
        centre = view[:, :2] @ take.position[frame, index] + view[:, 2]
        radius = take.size[frame, index] * thing.radius
        pixels = radius * float(np.hypot(*view[:, 0]))
        trail = view[:, :2] @ take.velocity[frame, index] / self.scene.fps * 0.4 if self.blurred else np.zeros(2)
        reach = pixels * 1.02 + 2 + np.abs(trail)
        x0, y0 = np.maximum(np.floor(centre - reach), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(centre + reach), canvas.shape[1::-1]).astype(int)
        if x0 >= x1 or y0 >= y1:
            return
        x, y = np.meshgrid(np.arange(x0, x1) + 0.5 - centre[0], np.arange(y0, y1) + 0.5 - centre[1])
        u, v = (
            np.linalg.inv(view[:, :2]).astype(np.float32) @ np.stack([x.ravel(), y.ravel()]).astype(np.float32) / radius
        )
        body = self.bodies[index]
        change = tuple(round(float(of[frame, index]) * STEPS) / STEPS for of in (take.turned, take.morphed, take.mark))
        drawn, cover = body.seen(
            u.reshape(x.shape), v.reshape(x.shape), pixels, take.angle[frame, index], turned, change
        )
        drawn *= np.float32(take.gain[frame, index])
        np.clip(drawn, 0, 255, out=drawn)
        whole = cover > 0.5
        if np.abs(trail).max() > 1:
            drawn, cover = trailed(drawn, cover, trail)
        share = (cover * np.float32(take.opacity[frame, index]))[:, :, None]
        region = canvas[y0:y1, x0:x1]
        region += (drawn - region) * share
        if take.opacity[frame, index] > 0.4:
            owner[y0:y1, x0:x1][whole] = index

    def _bent(
        self, canvas: np.ndarray, owner: np.ndarray, camera: np.ndarray, bend: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture drawn out of shape by waves that stand in the scene, each across a way of its own."""
        view = self.view(camera, 1.0)
        y, x = np.mgrid[: canvas.shape[0], : canvas.shape[1]].astype(np.float32)
        plane = np.linalg.inv(view[:, :2]) @ (np.stack([x.ravel(), y.ravel()]) - view[:, 2:])
        ways, starts = self.waves
        wave = np.sin(2 * np.pi * ways @ plane + starts[:, None]).astype(np.float32) * np.float32(bend * self.unit)
        x, y = x + wave[0].reshape(x.shape), y + wave[1].reshape(y.shape)
        canvas = cv2.remap(canvas, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        whose = cv2.remap(owner.view(np.uint8), x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
        return canvas, whose.view(np.int8)
