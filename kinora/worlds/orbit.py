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
        poses = self.camera(scene, states[:, 0, TIME])
        (body,) = scene.bodies
        corners = self.project(scene, states[:, 0, TIME], _around(body))
        frames = np.empty((len(poses), height, width, 3), dtype=np.uint8)
        for index, pose in enumerate(poses):
            visible = bool(states[index, 0, VISIBLE] > 0)
            picture = _ground(scene, pose, _rays(scene, pose, width, height), visible=visible)
            if visible:
                _add_solid(picture, scene, pose, corners[index])
            frames[index] = picture.round().clip(0, 255)
        return frames


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


def _rays(
    scene: Scene, pose: np.ndarray, width: int, height: int, box: tuple[int, int, int, int] | None = None, s: int = 1
) -> np.ndarray:
    """Return directions `float32 [rows, columns, 3]`, `s` x `s` a pixel; `box` is left, top, right and bottom."""
    left, top, right, bottom = box or (0, 0, width, height)
    unit = min(width, height) * s
    across = ((np.arange(left * s, right * s) + 0.5) / unit - scene.width / 2).astype(np.float32)
    up = (scene.height / 2 - (np.arange(top * s, bottom * s) + 0.5) / unit).astype(np.float32)
    to_right, rise, forward = axes(pose[None])[0].astype(np.float32)
    ray = across[None, :, None] * to_right + (up[:, None, None] * rise + np.float32(FOCAL) * forward)
    ray /= np.sqrt((across**2)[None, :] + (up**2)[:, None] + np.float32(FOCAL**2))[..., None]
    return np.asarray(ray)


def _add_solid(picture: np.ndarray, scene: Scene, pose: np.ndarray, seen: np.ndarray) -> None:
    """Draw the solid, which lies within the points `seen [N, 2]`, into a picture `[H, W, 3]`, supersampled."""
    height, width = picture.shape[:2]
    unit, s = min(width, height), SUPERSAMPLING
    (low_x, low_y), (high_x, high_y) = seen.min(axis=0) * unit, seen.max(axis=0) * unit
    left, right = max(0, int(low_x) - 1), min(width, int(high_x) + 2)
    top, bottom = max(0, int(scene.height * unit - high_y) - 1), min(height, int(scene.height * unit - low_y) + 2)
    if left >= right or top >= bottom:
        return
    (body,) = scene.bodies
    eye = pose[:3].astype(np.float32)
    ray = _rays(scene, pose, width, height, (left, top, right, bottom), s).reshape(-1, 3)
    hit, distance, normal = _meet(body, eye, ray)
    colours = np.zeros((len(ray), 4), dtype=np.float32)  # times coverage, and coverage
    met = ray[hit]
    colours[hit, :3] = _solid(scene, body, eye + distance[hit, None] * met, normal[hit], met)
    colours[hit, 3] = 1
    small = colours.reshape(bottom - top, s, right - left, s, 4).mean(axis=(1, 3))
    part = picture[top:bottom, left:right]
    part *= 1 - small[..., 3:]
    part += small[..., :3]


def _light(scene: Scene) -> np.ndarray:
    """Return the direction of the light in the scene: from the left of where the camera starts, high above."""
    (body,) = scene.bodies
    azimuth = body.angle
    right = np.array([-np.sin(azimuth), np.cos(azimuth), 0])
    to_eye = np.array([np.cos(azimuth), np.sin(azimuth), 0])
    return np.asarray(right * LIGHT[0] + to_eye * LIGHT[1] + np.array([0, 0, LIGHT[2]]), dtype=np.float32)


def _meet(body: Body, eye: np.ndarray, ray: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which rays `[N, 3]` from `eye` meet the solid, how far from it, and the normals there."""
    base = np.array([body.x, body.y, 0], dtype=np.float32)
    if body.shape == "circle":
        middle = base + np.array([0, 0, SIZE], dtype=np.float32)
        to_eye = eye - middle
        b = ray @ to_eye
        under = b**2 - (to_eye @ to_eye - SIZE**2)
        distance = -b - np.sqrt(np.maximum(under, 0))
        normal = (eye + distance[:, None] * ray - middle) / SIZE
        return (under > 0) & (distance > 0), distance, normal
    normals, offsets = _planes(body)
    enter = np.full(len(ray), -np.inf, dtype=np.float32)
    leave = np.full(len(ray), np.inf, dtype=np.float32)
    face = np.zeros(len(ray), dtype=int)
    for number, (n, offset) in enumerate(zip(normals.astype(np.float32), offsets, strict=True)):
        speed = ray @ n
        when = (np.float32(offset) - n @ (eye - base)) / np.where(np.abs(speed) < 1e-7, 1e-7, speed)
        face = np.where((speed < 0) & (when > enter), number, face)
        enter = np.where(speed < 0, np.maximum(enter, when), enter)
        leave = np.where(speed > 0, np.minimum(leave, when), leave)
    return (enter < leave) & (enter > 0), enter, normals.astype(np.float32)[face]


def _solid(scene: Scene, body: Body, place: np.ndarray, normal: np.ndarray, ray: np.ndarray) -> np.ndarray:
    """Return the colours `[N, 3]` of the solid at places with normals, seen along rays."""
    light = _light(scene)
    u, v = (place[:, 0] - body.x) / SIZE, (place[:, 2] - SIZE) / SIZE
    tone = shading.texture(scene.texture, 0, u + 0.4 * (place[:, 1] - body.y) / SIZE, v + (place[:, 1] - body.y) / SIZE)
    diffuse = np.maximum(normal @ light, 0)
    tone = tone * (0.68 + 0.1 * normal[:, 2] + 0.36 * diffuse)
    colour = np.minimum(tone[:, None] * np.array(PALETTE[body.colour], dtype=np.float32), 250)
    if body.shape == "circle":
        halfway = light - ray
        halfway /= np.linalg.norm(halfway, axis=-1, keepdims=True)
        shine = shading.GLOSS * np.maximum((normal * halfway).sum(axis=-1), 0) ** (1.6 * shading.SHININESS)
        colour += shine[:, None] * (255 - colour)
    return np.asarray(colour, dtype=np.float32)


def _ground(scene: Scene, pose: np.ndarray, ray: np.ndarray, *, visible: bool) -> np.ndarray:
    """Return the colours of the ground: soft tiles, blotches, the solid's shadow, and haze far away."""
    (body,) = scene.bodies
    eye, light = pose[:3].astype(np.float32), _light(scene)
    base = np.array(BACKGROUNDS[scene.background], dtype=np.float32)
    distance = np.where(ray[..., 2] < -1e-3, eye[2] / np.maximum(-ray[..., 2], 1e-3), 1e3)
    x, y = eye[0] + distance * ray[..., 0], eye[1] + distance * ray[..., 1]
    turn, shift, shift_2, phase, phase_2 = np.random.default_rng([scene.texture, 1]).uniform(0, 2 * np.pi, 5).tolist()
    cosine, sine = math.cos(turn) * math.pi / TILE, math.sin(turn) * math.pi / TILE
    tiles = np.sin(cosine * x + sine * y + shift) * np.sin(cosine * y - sine * x + shift_2)
    tiles = np.clip(5 * tiles, -1, 1)
    blotches = np.sin(2.1 * x + 1.3 * y + phase) * np.sin(1.7 * y - 0.9 * x + phase_2)
    clear = np.exp(-((distance / HAZE) ** 2))
    tone = clear * (0.13 * tiles + 0.12 * blotches) + 0.06
    if visible:
        # The shadow is an ellipse from the solid away from the light.
        level = float(np.hypot(light[0], light[1]))
        away_x, away_y = float(-light[0] / level), float(-light[1] / level)
        reach = 0.5 * _height(body) * level / float(light[2])
        dx, dy = x - (body.x + away_x * reach), y - (body.y + away_y * reach)
        length = (away_x * dx + away_y * dy) / (1 + reach / SIZE * 0.8)
        side = away_x * dy - away_y * dx
        wide = SIZE if body.shape == "circle" else 1.15 * SIZE
        tone -= clear * np.clip(1.35 - np.sqrt(length**2 + side**2) / wide, 0, 0.6)
    return np.asarray(base + tone[..., None] * (0.7 * base + 22))
