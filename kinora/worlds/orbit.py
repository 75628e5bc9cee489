"""A solid on the ground, seen by a camera that circles it: a scene in three dimensions, drawn by casting rays.

Coordinates of the scene: x and y along the ground, z upward, the solid near the origin; the camera looks at a point
above the origin. A picture's coordinates are those of a flat world: x to the right, y upward, in shorter sides.
"""

import math

import numpy as np

from kinora.worlds import shading
from kinora.worlds.scene import (
    ANGLE,
    BACKGROUNDS,
    PALETTE,
    TIME,
    VISIBLE,
    VX,
    VY,
    Body,
    Brief,
    Scene,
    X,
    Y,
    blank_states,
)

SIZE = 0.25  # radius of the ball; the others have its volume, about
CUBE, PYRAMID = 0.21, (0.3, 0.5)  # half a side; half a side of the base, and the height
TURN = (0.5, 0.65)  # radians per second
DISTANCE, ELEVATION = 1.5, 0.6  # of the camera from where it looks, and radians above the ground
FOCAL = 1.5  # at this distance a length is as long in the picture
AIM = 0.17  # height of the point that it looks at
LIGHT = (-0.55, 0.3, 0.78)  # its direction, of length 1, where the camera starts: left, to the eye, up
TILE = 0.34  # side of the ground's tiles
HAZE = 5.0  # distance at which the ground fades
SUPERSAMPLING = 2
COLUMNS = ("x", "y", "z", "azimuth", "elevation", "focal")


class Orbit:
    """The camera circles at even speed. The state's x, y are the solid's middle in the picture, angle the azimuth."""

    motions: tuple[str, ...] = ("orbit right", "orbit left")
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = 1
    shapes: tuple[str, ...] | None = None
    shortest_s = 1.0
    fixed: tuple[str, ...] = ("orbit right", "orbit left")
    leaving: tuple[str, ...] = ()
    camera_columns: tuple[str, ...] = COLUMNS

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw where the camera starts; a body's x, y are on the ground, `angle` and `spin` the azimuth's."""
        ((colour, shape),) = brief.things
        turn = rng.uniform(*TURN) * (1 if brief.motion == "orbit right" else -1)
        x, y = rng.uniform(-0.06, 0.06, size=2)
        start = rng.uniform(-np.pi, np.pi)
        body = Body(colour, shape, SIZE, float(x), float(y), angle=float(start), spin=float(turn))
        size = brief.width, brief.height
        texture = int(rng.integers(2**31))
        return Scene("orbit", brief.motion, None, brief.background, *size, (body,), texture=texture, look="shaded")

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return where the picture shows the solid's middle, and how this moves."""
        (body,) = scene.bodies
        states = blank_states(frames, 1, fps)
        t = np.arange(frames) / fps
        middle = np.array([[body.x, body.y, _height(body) / 2]])
        states[:, 0, [X, Y]] = self.project(scene, t, middle)[:, 0]
        step = 1e-4
        states[:, 0, [VX, VY]] = (self.project(scene, t + step, middle)[:, 0] - states[:, 0, [X, Y]]) / step
        states[:, 0, ANGLE] = body.angle + body.spin * t
        return states

    def camera(self, scene: Scene, times: np.ndarray) -> np.ndarray:
        """Return the camera's place and direction, `[T, 6]`; it looks at (0, 0, AIM)."""
        (body,) = scene.bodies
        azimuth = body.angle + body.spin * times
        around, up = DISTANCE * np.cos(ELEVATION), DISTANCE * np.sin(ELEVATION)
        place = around * np.cos(azimuth), around * np.sin(azimuth), np.full(len(times), AIM + up)
        return np.stack([*place, azimuth, np.full(len(times), ELEVATION), np.full(len(times), FOCAL)], axis=1)

    def project(self, scene: Scene, times: np.ndarray, points: np.ndarray) -> np.ndarray:
        """Return where the picture shows points `[N, 3]` of the scene at `times` `[T]`: `[T, N, 2]`."""
        poses = self.camera(scene, times)
        seen = np.einsum("tij,tnj->tni", axes(poses), points[None] - poses[:, None, :3])
        flat = FOCAL * seen[..., :2] / seen[..., 2:]
        return np.asarray(flat + np.array([scene.width / 2, scene.height / 2]))

    def draw(self, scene: Scene, states: np.ndarray, width: int, height: int) -> np.ndarray:
        """Cast rays through every pixel."""
        times = states[:, 0, TIME]
        poses, corners = self.camera(scene, times), self.project(scene, times, _around(scene.bodies[0]))
        visible = states[:, 0, VISIBLE] > 0
        pictures = _ground(scene, poses, visible, width, height)
        for index in np.flatnonzero(visible):
            _add_solid(pictures[index], scene, poses[index], corners[index])
        return np.asarray(pictures.round().clip(0, 255).astype(np.uint8))


def axes(poses: np.ndarray) -> np.ndarray:
    """Return the camera's axes `[T, 3, 3]`, rows right, up and forward, of poses `[T, 6]`."""
    azimuth, elevation = poses[:, 3], poses[:, 4]
    zero = np.zeros_like(azimuth)
    right = np.stack([-np.sin(azimuth), np.cos(azimuth), zero], axis=1)
    level = np.stack([-np.cos(azimuth), -np.sin(azimuth), zero], axis=1)
    rise = np.array([0.0, 0.0, 1.0])
    forward = level * np.cos(elevation)[:, None] - rise * np.sin(elevation)[:, None]
    up = level * np.sin(elevation)[:, None] + rise * np.cos(elevation)[:, None]
    return np.stack([right, up, forward], axis=1)


def _height(body: Body) -> float:
    return {"circle": 2 * SIZE, "square": 2 * CUBE, "triangle": PYRAMID[1]}[body.shape]


def _planes(body: Body) -> tuple[np.ndarray, np.ndarray]:
    """Return the outward normals `[n, 3]` of a cube's or pyramid's faces and their distances from the base's middle."""
    around = np.array([[1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], dtype=float)
    floor = np.array([[0, 0, -1.0]])
    if body.shape == "square":
        return np.concatenate([around, [[0, 0, 1.0]], floor]), np.array([CUBE] * 4 + [2 * CUBE, 0])
    half, height = PYRAMID
    slanted = (around * height + np.array([0, 0, half])) / np.hypot(height, half)
    return np.concatenate([slanted, floor]), np.array([half * height / np.hypot(height, half)] * 4 + [0])


def _around(body: Body) -> np.ndarray:
    """Return the corners `[8, 3]` of a box around the solid."""
    half = {"circle": SIZE, "square": CUBE, "triangle": PYRAMID[0]}[body.shape]
    corners = np.array([[i, j, k] for i in (-half, half) for j in (-half, half) for k in (0, _height(body))])
    return np.asarray(corners + np.array([body.x, body.y, 0]))


def _samples(
    scene: Scene, unit: float, left: float, right: float, top: float, bottom: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return how far right `[columns]` and up `[rows]` of the picture's middle samples lie, `unit` in a world unit.

    The ray through a sample is `across * right + up * rise + FOCAL * forward`, with the camera's axes.
    """
    across = (np.arange(left, right) + 0.5) / unit - scene.width / 2
    up = scene.height / 2 - (np.arange(top, bottom) + 0.5) / unit
    return across.astype(np.float32), up.astype(np.float32)


def _ground(scene: Scene, poses: np.ndarray, visible: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the ground, `float32 [T, H, W, 3]`: soft tiles, blotches, a visible solid's shadow, and haze far away.

    The camera's axis `right` is level, so that a row of pixels sees a line of the ground, x and y affine in `across`.
    """
    (body,) = scene.bodies
    across, up = _samples(scene, min(width, height), 0, width, 0, height)
    right, rise, forward = np.moveaxis(axes(poses), 1, 0)[..., None]  # each [T, 3, 1]
    ray = up * rise + FOCAL * forward  # [T, 3, H], of the middle column
    down = np.minimum(ray[:, 2], -1e-3)
    far = -poses[:, 2, None] / down  # [T, H]
    x0, y0 = poses[:, 0, None] + far * ray[:, 0], poses[:, 1, None] + far * ray[:, 1]
    x1, y1 = far * right[:, 0], far * right[:, 1]

    def along(a: float, b: float, c: float) -> np.ndarray:
        """Return a x + b y + c for every pixel `[T, H, W]`."""
        start, slope = a * x0 + b * y0 + c, a * x1 + b * y1
        return np.asarray(start[..., None].astype(np.float32) + slope[..., None].astype(np.float32) * across)

    turn, shift, shift_2, phase, phase_2 = np.random.default_rng([scene.texture, 1]).uniform(0, 2 * np.pi, 5).tolist()
    cosine, sine = math.cos(turn) * math.pi / TILE, math.sin(turn) * math.pi / TILE
    tiles = np.sin(along(cosine, sine, shift)) * np.sin(along(-sine, cosine, shift_2))
    tone = 0.13 * np.clip(5 * tiles, -1, 1)
    tone += 0.12 * np.sin(along(2.1, 1.3, phase)) * np.sin(along(-0.9, 1.7, phase_2))
    # The shadow is an ellipse from the solid away from the light.
    light = _light(scene)
    level = float(np.hypot(light[0], light[1]))
    away_x, away_y = -light[0] / level, -light[1] / level
    reach = 0.5 * _height(body) * level / light[2]
    wide = SIZE if body.shape == "circle" else 1.15 * SIZE
    a, b = away_x / wide / (1 + 0.8 * reach / SIZE), away_y / wide / (1 + 0.8 * reach / SIZE)
    x, y = body.x + away_x * reach, body.y + away_y * reach
    length, side = along(a, b, -a * x - b * y), along(-away_y / wide, away_x / wide, (away_y * x - away_x * y) / wide)
    shadow = np.clip(1.35 - np.sqrt(length**2 + side**2), 0, 0.6)
    tone -= shadow * visible[:, None, None]
    clear = np.exp(-((far * np.linalg.norm(ray, axis=1) / HAZE) ** 2))
    tone = 0.06 + clear[..., None].astype(np.float32) * tone
    base = np.array(BACKGROUNDS[scene.background], dtype=np.float32)
    return np.asarray(base + tone[..., None] * (0.7 * base + 22), dtype=np.float32)


def _add_solid(picture: np.ndarray, scene: Scene, pose: np.ndarray, seen: np.ndarray) -> None:
    """Draw the solid, which lies within the points `seen [N, 2]`, into a picture `[H, W, 3]`, supersampled."""
    height, width = picture.shape[:2]
    unit, s = min(width, height), SUPERSAMPLING
    (low_x, low_y), (high_x, high_y) = seen.min(axis=0) * unit, seen.max(axis=0) * unit
    left, right = max(0, int(low_x) - 1), min(width, int(high_x) + 2)
    top, bottom = max(0, int(scene.height * unit - high_y) - 1), min(height, int(scene.height * unit - low_y) + 2)
    if left >= right or top >= bottom:
        return
    across, up = _samples(scene, unit * s, left * s, right * s, top * s, bottom * s)
    hit, colours = _cast(scene, pose, across, up)
    covered = np.zeros((*hit.shape, 4), dtype=np.float32)
    covered[hit, :3], covered[hit, 3] = colours, 1
    small = np.sum([covered[i::s, j::s] for i in range(s) for j in range(s)], axis=0) / np.float32(s * s)
    part = picture[top:bottom, left:right]
    part *= 1 - small[..., 3:]
    part += small[..., :3]


def _cast(scene: Scene, pose: np.ndarray, across: np.ndarray, up: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which rays through `across [W]` and `up [H]` meet the solid, `bool [H, W]`, and its colours `[n, 3]`.

    Along a ray from the eye, w = 1 / distance in lengths of the ray.
    """
    (body,) = scene.bodies
    right, rise, forward = axes(pose[None])[0]
    eye = pose[:3] - np.array([body.x, body.y, 0])

    def along(direction: np.ndarray) -> np.ndarray:
        """Return the rays' product with a direction, `[H, W]`."""
        of_up = (up * (rise @ direction) + FOCAL * (forward @ direction)).astype(np.float32)
        return np.asarray(of_up[:, None] + (across * (right @ direction)).astype(np.float32))

    light = _light(scene).astype(np.float32)
    if body.shape == "circle":
        to_eye = eye - np.array([0, 0, SIZE])
        b, c = along(to_eye), np.float32(to_eye @ to_eye - SIZE**2)
        under = b**2 - c * ((across**2)[None, :] + (up**2 + np.float32(FOCAL**2))[:, None])
        hit = (under > 0) & (b < 0)
        w = (-b[hit] + np.sqrt(under[hit])) / c  # the larger w is the nearer point
    else:
        normals, offsets = _planes(body)
        before = offsets - normals @ eye  # negative: the eye is before the face, through which a ray then enters
        face = np.zeros((len(up), len(across)), dtype=np.int8)
        enter = np.full(face.shape, np.inf, dtype=np.float32)
        leave = np.full(face.shape, -np.inf, dtype=np.float32)
        for number, (normal, offset) in enumerate(zip(normals, before, strict=True)):
            crossing = along(normal / offset)
            if offset < 0:
                face[crossing < enter] = number
                np.minimum(enter, crossing, out=enter)
            else:
                np.maximum(leave, crossing, out=leave)
        hit = (enter > leave) & (enter > 0)
        w = enter[hit]
    rows, columns = np.nonzero(hit)
    right, rise, forward = axes(pose[None])[0].astype(np.float32)
    ray = across[columns, None] * right + (up[rows, None] * rise + np.float32(FOCAL) * forward)  # [n, 3]
    x, y, z = (eye.astype(np.float32) + ray / w[:, None]).T
    if body.shape == "circle":
        normal = np.stack([x, y, z - SIZE], axis=1) / SIZE
        halfway = light - ray / np.linalg.norm(ray, axis=1, keepdims=True)
        halfway /= np.linalg.norm(halfway, axis=1, keepdims=True)
        shine = shading.GLOSS * np.maximum((normal * halfway).sum(axis=1), 0) ** (1.6 * shading.SHININESS)
    else:
        normal, shine = normals.astype(np.float32)[face[hit]], np.zeros(len(w), dtype=np.float32)
    tone = shading.texture(scene.texture, 0, (x + 0.4 * y) / SIZE, (z + y) / SIZE - 1)
    tone = tone * (0.68 + 0.1 * normal[:, 2] + 0.36 * np.maximum(normal @ light, 0))
    colours = np.minimum(tone[:, None] * np.array(PALETTE[body.colour], dtype=np.float32), 250)
    return hit, colours + shine[:, None] * (255 - colours)


def _light(scene: Scene) -> np.ndarray:
    """Return the direction of the light in the scene: from the left of where the camera starts, high above."""
    (body,) = scene.bodies
    right = np.array([-np.sin(body.angle), np.cos(body.angle), 0])
    to_eye = np.array([np.cos(body.angle), np.sin(body.angle), 0])
    return np.asarray(right * LIGHT[0] + to_eye * LIGHT[1] + np.array([0, 0, LIGHT[2]]))
