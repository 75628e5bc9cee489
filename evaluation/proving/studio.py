"""The family `studio`: lit solids before floors and walls, ray cast, seen by a camera in space that may orbit.

World coordinates: x and y as in the stage's plane of motion, z towards the camera. Things of one plane stand at one
depth; a table's plane lies on the floor instead. No look is shared with the family `paper`.
"""

from collections.abc import Iterator

import cv2
import numpy as np

from evaluation.proving import solids
from evaluation.proving.case import Case
from evaluation.proving.filming import Picture, film
from evaluation.proving.materials import Lens, Stuff, Surface, contrasting
from evaluation.proving.solids import Solid, morphed_shape_of, shape_of
from evaluation.proving.stage.scene import Scene, Take
from evaluation.proving.stage.scenes import SIZES, draw
from evaluation.proving.viewpoint import Canvas, View, turned_about

OUTLINES = ("disc", "disc", "disc", "box", "polygon")
APART = 0.4  # of the planes in depth: more than any thing is thick
WALL = -2.6  # depth of the wall behind everything
RIM = 0.09  # height of a table's cushions


def cases(count: int, seed: int, *, faultless: bool = False) -> Iterator[Case]:
    """`count` clips: of every scene the faultless one, then one for each failure it allows (unless `faultless`)."""
    return film("studio", stage, count, seed, faultless=faultless)


def stage(rng: np.random.Generator, like: Scene | None, size: tuple[int, int] | None) -> tuple[Scene, "Studio"]:
    size = size or SIZES[rng.integers(len(SIZES))]
    scene = draw(rng, size, OUTLINES, like)
    return scene, Studio(scene, size)


class Studio:
    """Draws takes of one scene as pictures of a width and height."""

    def __init__(self, scene: Scene, size: tuple[int, int]) -> None:
        self.scene, self.size = scene, size
        rng = np.random.default_rng([scene.look, 5])
        over = 2.0 if size[0] * size[1] <= 17000 else 1.5
        self.drawn = round(size[0] * over), round(size[1] * over)
        self.flat = scene.kind == "billiard"
        self.distance, self.raised = rng.uniform(2.0, 2.8), rng.uniform(0.02, 0.3)
        if self.flat:
            self.distance, self.raised = rng.uniform(2.2, 2.8), rng.uniform(0.7, 1.2)
        self.orbits = rng.random() < 0.5
        self.light = np.array([rng.uniform(-0.7, 0.7), 1.0, rng.uniform(0.3, 1.0)], np.float32)
        self.light /= np.linalg.norm(self.light)
        self.ambient, self.shadow = rng.uniform(0.3, 0.5), rng.uniform(0.25, 0.6)
        self.haze, self.haze_colour = rng.choice([0.0, 0.0, 0.08, 0.15]), rng.uniform(0.5, 0.9, 3)
        self.shallow = rng.choice([0.0, 0.0, 1.0, 2.0])  # depth of field: how soft floors and walls are
        self.surfaces = [Surface(rng) for _ in range(len(scene.walls) + 1)]
        self.planes = self._planes()
        grounds = [surface.mean for surface in self.surfaces]
        self.stuff = {i: (Stuff(t.look, grounds), Stuff(t.look + 1, grounds)) for i, t in enumerate(scene.things)}
        self.wet = contrasting(rng, grounds)
        self.blocks = self._blocks(grounds)
        self.finish = Lens(rng, size)
        self._kept: tuple[bytes, tuple[np.ndarray, ...]] | None = None

    def _planes(self) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, Surface]]:
        """Point, normal, direction of u, texture of the floors and walls that have no end."""
        back = (np.array([0.0, 0.0, WALL]), np.array([0.0, 0.0, 1.0]), np.array([1.0, 0.0, 0.0]), self.surfaces[0])
        if self.flat:
            return [(np.zeros(3), np.array([0.0, 1.0, 0.0]), np.array([1.0, 0.0, 0.0]), self.surfaces[0])]
        planes = [back]
        for (x0, y0, x1, y1), surface in zip(self.scene.walls, self.surfaces[1:], strict=True):
            along = np.array([x1 - x0, y1 - y0, 0.0]) / np.hypot(x1 - x0, y1 - y0)
            planes.append((np.array([x0, y0, 0.0]), np.array([-along[1], along[0], 0.0]), along, surface))
        return planes

    def _blocks(self, grounds: list[np.ndarray]) -> list[Solid]:
        """Boxes that stand still: occluders, a table's cushions."""
        boxes = []
        for o in self.scene.occluders:
            depth = -APART * o.before + 0.2
            boxes.append((np.array([o.x0, o.y0, depth - 0.03]), np.array([o.x1, o.y1, depth + 0.03]), o.look))
        if self.flat and self.scene.walls:
            for x0, x1, z0, z1 in (
                (-0.03, 0.05, -0.53, 0.53),
                (self.scene.aspect - 0.05, self.scene.aspect + 0.03, -0.53, 0.53),
                (0.0, self.scene.aspect, -0.53, -0.45),
                (0.0, self.scene.aspect, 0.45, 0.53),
            ):
                boxes.append((np.array([x0, 0.0, z0]), np.array([x1, RIM, z1]), self.scene.look))
        return [self._box(low, high, Stuff(look, grounds)) for low, high, look in boxes]

    def _box(self, low: np.ndarray, high: np.ndarray, stuff: Stuff) -> Solid:
        half = (high - low) / 2
        outline = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * half[:2]
        reach = float(np.linalg.norm(half))
        return Solid((low + high) / 2, np.eye(3), outline, float(half[2]), reach, lambda at: stuff.at(at * 3), 0.1)

    def view(self, camera: np.ndarray) -> View:
        x, y, zoom, roll = camera
        target = np.array([self.scene.aspect / 2, 0.0 if self.flat else 0.5, 0.0])
        turn = 2.0 * x if self.orbits else 0.0
        tilt = self.raised + (0.8 * y if self.orbits else 0.0)
        back = np.array([np.sin(turn) * np.cos(tilt), np.sin(tilt), np.cos(turn) * np.cos(tilt)])
        if not self.orbits:
            target = target + np.array([x, 0.0, -y] if self.flat else [x, y, 0.0])
        right = np.cross([0.0, 1.0, 0.0], back)
        right /= np.linalg.norm(right)
        up = np.cross(back, right)
        right, up = np.cos(roll) * right + np.sin(roll) * up, np.cos(roll) * up - np.sin(roll) * right
        return View(target + self.distance * back, np.stack([right, up, -back]), self.distance * zoom)

    def place(self, position: np.ndarray, index: int) -> np.ndarray:
        """Where a thing of the stage's plane is in space."""
        thing = self.scene.things[index]
        if self.flat:
            return np.array([position[0], thing.radius, 0.5 - position[1]])
        return np.array([position[0], position[1], -APART * thing.plane])

    def whereabouts(self, take: Take) -> np.ndarray:
        """Where each thing is, hidden or not, and how large: float `[T, N, 3]`, x, y and the pixels of a height."""
        places = np.empty((*take.angle.shape, 3))
        for frame, camera in enumerate(take.camera):
            view = self.view(camera)
            for index in range(len(self.scene.things)):
                pixel, ahead = view.pixel(self.place(take.position[frame, index], index), self.size)
                places[frame, index] = *pixel, view.focal / ahead * self.size[1]
        return places

    def paint(self, take: Take) -> Picture:
        turns = self._turns(take)
        frames, owners = zip(*(self._frame(take, frame, turns[frame]) for frame in range(len(take.angle))), strict=True)
        return Picture(np.stack(frames), np.stack(owners))

    def _turns(self, take: Take) -> np.ndarray:
        """How each thing is turned in space: `[T, N, 3, 3]`. On a table, balls roll the way they go."""
        total, count = take.angle.shape
        turns = np.empty((total, count, 3, 3))
        for index, thing in enumerate(self.scene.things):
            tilt = turned_about(
                np.random.default_rng(thing.look).standard_normal(3),
                1.0 if thing.round or self.scene.kind == "drift" else 0.0,
            )
            for frame in range(total):
                if not self.flat:
                    turns[frame, index] = turned_about(np.array([0.0, 0.0, 1.0]), take.angle[frame, index]) @ tilt
                else:
                    step = take.position[frame, index] - take.position[max(0, frame - 1), index]
                    length = float(np.hypot(*step))
                    axis = np.array([-step[1], 0.0, -step[0]]) if length > 1e-6 else np.array([0.0, 1.0, 0.0])
                    tilt = turned_about(axis, length / thing.radius) @ tilt
                    turns[frame, index] = tilt
        return turns

    def _frame(self, take: Take, frame: int, turns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        view = self.view(take.camera[frame])
        rays, ground, depth, points = self._ground(view, take.camera[frame])
        places = [self.place(take.position[frame, index], index) for index in range(len(self.scene.things))]
        shade = np.ones(depth.shape, np.float32)
        for index, place in enumerate(places):
            if take.opacity[frame, index] > 0:
                reach = self.scene.things[index].radius * take.size[frame, index]
                shade *= 1 - self.shadow * take.opacity[frame, index] * self._shadow(points, place, reach)
        canvas = Canvas(view, rays, ground * shade[..., None], depth.copy(), np.full(depth.shape, -1, np.int8))
        for solid in self.blocks:
            self._cast(canvas, solid)
        for index in sorted(range(len(places)), key=lambda i: -float(np.linalg.norm(places[i] - view.place))):
            for solid in self._solids(take, frame, index, places[index], turns[index]):
                self._cast(canvas, solid)
        picture, owner = canvas.picture, canvas.owner
        if self.haze:
            clear = np.exp(-self.haze * np.minimum(canvas.depth, 9))[..., None]
            picture = picture * clear + self.haze_colour * (1 - clear)
        picture = np.clip(picture * take.light[frame], 0, 1).astype(np.float32)
        if take.bend[frame]:
            picture, owner = self._bent(picture, owner, take.camera[frame], float(take.bend[frame]))
        shown = cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA) * 255
        return shown, cv2.resize(owner.view(np.uint8), self.size, interpolation=cv2.INTER_NEAREST).view(np.int8)

    def _ground(self, view: View, camera: np.ndarray) -> tuple[np.ndarray, ...]:
        """Rays, and the colour, distance and place of the floor or wall they meet; kept while the camera stands."""
        if self._kept and self._kept[0] == camera.tobytes():
            return self._kept[1]
        rays = view.rays(self.drawn)
        depth = np.full(rays.shape[:2], 40.0, np.float32)
        colour: np.ndarray = np.broadcast_to(self.haze_colour, rays.shape).astype(np.float32)
        for point, normal, along, surface in self.planes:
            distance = solids.plane(view.place, rays, point, normal)
            nearer = distance < depth
            depth = np.where(nearer, distance, depth)
            places = view.place + np.where(nearer, distance, 0)[..., None] * rays
            across = np.cross(normal, along)
            lit = surface.at((places - point) @ along, (places - point) @ across, np.where(nearer, distance, 9))
            lit = lit * (self.ambient + (1 - self.ambient) * max(0.15, float(normal @ self.light)))
            if self.scene.wet and normal[1] > 0.9:
                x0, _, x1, _ = self.scene.wet
                x, z = (places[..., 0] - (x0 + x1) / 2) / (x1 - x0) * 2, places[..., 2] / APART / 1.7 + 0.3
                lit = np.where((x**2 + z**2 < 1)[..., None], self.wet * 0.9, lit)
            colour = np.where(nearer[..., None], lit, colour).astype(np.float32)
        if self.shallow:
            colour = np.asarray(cv2.GaussianBlur(colour, (0, 0), float(self.shallow) * self.drawn[1] / 200))
        points = (view.place + depth[..., None] * rays).astype(np.float32)
        self._kept = (camera.tobytes(), (rays, colour, depth, points))
        return self._kept[1]

    def _shadow(self, points: np.ndarray, place: np.ndarray, reach: float) -> np.ndarray:
        """How deep each point lies in a body's soft shadow, 0..1."""
        away = points - place.astype(np.float32)
        along = away @ self.light
        aside = np.sqrt(np.maximum(np.einsum("...i,...i", away, away) - along**2, 0))
        return np.asarray(np.clip((1.15 * reach - aside) / (0.5 * reach), 0, 1) * (along < 0))

    def _solids(self, take: Take, frame: int, index: int, place: np.ndarray, turn: np.ndarray) -> Iterator[Solid]:
        """What is to be drawn of a thing: one solid, or two while it morphs."""
        thing = self.scene.things[index]
        own, other = self.stuff[index]
        reach = thing.radius * float(take.size[frame, index])
        turned, mark, gain = (float(of[frame, index]) for of in (take.turned, take.mark, take.gain))

        def colour(local: np.ndarray) -> np.ndarray:
            unit = local / reach
            shade = own.at(unit)
            if turned:
                shade = shade * (1 - turned) + other.at(unit) * turned
            if mark:
                stain, where = own.marked(unit, thing.fragile, self.wet)
                shade = np.where(where[..., None], shade * (1 - mark) + stain * mark, shade)
            return shade * gain

        morphed, opacity = float(take.morphed[frame, index]), float(take.opacity[frame, index])
        for (outline, half), share in ((shape_of(thing), float(morphed < 1)), (morphed_shape_of(thing), morphed)):
            if share * opacity > 0:
                scaled = None if outline is None else outline * reach
                yield Solid(place, turn, scaled, half * reach, reach, colour, own.gloss, share * opacity, index)

    def _cast(self, canvas: Canvas, solid: Solid) -> None:
        """Draws a solid where it is nearer than what is drawn already."""
        middle, ahead = canvas.view.pixel(solid.centre, self.drawn)
        wide = 1.6 * solid.reach * (1.0 if solid.outline is None else 1.8)
        around = wide / max(ahead - solid.reach, 0.1) * canvas.view.focal * self.drawn[1] + 3
        x0, y0 = np.maximum(np.floor(middle - around), 0).astype(int)
        x1, y1 = np.minimum(np.ceil(middle + around), self.drawn).astype(int)
        if x0 >= x1 or y0 >= y1:
            return
        window = (slice(y0, y1), slice(x0, x1))
        origin, local, distance, normal = solid.met_by(canvas.view.place, canvas.rays[window])
        hit = distance < canvas.depth[window]
        if not hit.any():
            return
        at = origin + distance[hit][:, None] * local[hit]
        facing = normal[hit] @ solid.turn.T.astype(np.float32)
        lit = self._lit(solid, at, facing, canvas.rays[window][hit])
        region = canvas.picture[window]
        region[hit] = region[hit] * (1 - solid.opacity) + lit * solid.opacity
        if solid.opacity > 0.4:
            canvas.owner[window][hit] = solid.whose
        if solid.opacity == 1:
            canvas.depth[window][hit] = distance[hit]

    def _lit(self, solid: Solid, at: np.ndarray, facing: np.ndarray, rays: np.ndarray) -> np.ndarray:
        """Colour `[M, 3]` of places on a solid by their normals: Lambert's law, the sky's light, Phong's highlight."""
        diffuse = facing @ self.light
        shade = self.ambient * (0.75 + 0.25 * facing[:, 1]) + (1 - self.ambient) * np.maximum(diffuse, 0)
        mirrored = 2 * diffuse[:, None] * facing - self.light
        shine = solid.gloss * np.maximum(-(mirrored * rays).sum(1), 0) ** 24
        return np.asarray(solid.colour(at) * shade[:, None] * 1.15 + shine[:, None])

    def _bent(
        self, picture: np.ndarray, owner: np.ndarray, camera: np.ndarray, bend: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The picture drawn out of shape, as a scene that is not rigid would look."""
        y, x = np.mgrid[: picture.shape[0], : picture.shape[1]].astype(np.float32) / np.float32(picture.shape[0])
        wave_x = np.sin(2 * np.pi * 1.3 * (y - camera[1]) + 0.5) + 0.6 * np.cos(2 * np.pi * 0.8 * (x + camera[0]))
        wave_y = np.cos(2 * np.pi * 1.1 * (x + camera[0]) + 1.5)
        to = [((axis + bend * wave) * picture.shape[0]).astype(np.float32) for axis, wave in ((x, wave_x), (y, wave_y))]
        whose = cv2.remap(owner.view(np.uint8), to[0], to[1], cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT)
        bent = cv2.remap(picture, to[0], to[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
        return bent, whose.view(np.int8)
