"""What the things of the family `clay` are made of: skins about a sphere, their bumps, and the lamps over them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

SIDE = 144  # of a skin, unfolded from the sphere to a square
TURNS = 720  # steps of an outline's table of radii


@dataclass(frozen=True, eq=False)
class Lamps:
    """Directions `[K, 3]` to lamps (x right, y up, z to the eye), their colours, and those of sky and earth."""

    towards: np.ndarray
    colours: np.ndarray
    sky: np.ndarray
    earth: np.ndarray

    def fall(self, normal: np.ndarray) -> np.ndarray:
        """Return the light that falls on surfaces of unit normals `[..., 3]`, about 1 where it is bright."""
        up = (normal[..., 1:2] + 1) / 2
        light = self.earth + (self.sky - self.earth) * up
        for towards, colour in zip(self.towards, self.colours, strict=True):
            light = light + np.clip(normal @ towards, 0, None)[..., None] * colour
        return np.asarray(light, np.float32)

    def glint(self, normal: np.ndarray, gloss: float) -> np.ndarray:
        """Return how strongly lamps are mirrored to the eye, `[...]` in 0..1 (Blinn 1977)."""
        half = self.towards[0] + [0, 0, 1]
        return np.asarray(np.clip(normal @ (half / np.linalg.norm(half)).astype(np.float32), 0, 1) ** gloss)


def lamps(rng: np.random.Generator) -> Lamps:
    """Return one lamp or two, above and before the scene."""
    count = int(rng.integers(1, 3))
    towards = np.stack([rng.uniform(-1, 1, count), rng.uniform(0.2, 1, count), rng.uniform(0.3, 1.2, count)], 1)
    towards /= np.linalg.norm(towards, axis=1, keepdims=True)
    colours = rng.uniform(0.45, 0.85) * np.array([1, 0.5])[:count, None] * (1 + rng.uniform(-0.12, 0.12, (count, 3)))
    ambient = rng.uniform(0.4, 0.6)
    sky, earth = ambient * (1 + rng.uniform(-0.1, 0.1, 3)), ambient * rng.uniform(0.4, 0.9) * np.ones(3)
    return Lamps(*(np.asarray(value, np.float32) for value in (towards, colours, sky, earth)))


def colour(rng: np.random.Generator, unlike: np.ndarray | None = None, most: float = 65) -> np.ndarray:
    """Return a colour, float `[3]` in 0..255, well apart from another one to the eye (in CIE L*a*b*)."""
    other = None if unlike is None else _convert(unlike, cv2.COLOR_RGB2LAB)
    for _ in range(60):
        turn, chroma = rng.uniform(0, 2 * np.pi), rng.uniform(3, most)
        lab = np.array([rng.uniform(30, 92), chroma * np.cos(turn), chroma * np.sin(turn)], np.float32)
        if other is None or np.linalg.norm(lab - other) > 45:
            break
    return np.asarray(np.clip(cv2.cvtColor(lab[None, None], cv2.COLOR_LAB2RGB)[0, 0], 0, 1).astype(np.float64) * 255)


def _convert(rgb: np.ndarray, code: int) -> np.ndarray:
    return np.asarray(cv2.cvtColor((rgb / 255).astype(np.float32)[None, None], code)[0, 0])


def folded(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where points of the sphere `[..., 3]` lie on a skin, in its pixels.

    The sphere is unfolded as an octahedron (Cigolle et al., "A survey of efficient representations for independent unit
    vectors", JCGT 2014).
    """
    x, y, z = np.moveaxis(points, -1, 0)
    total = np.abs(x) + np.abs(y) + np.abs(z)
    x, y = x / total, y / total
    below = z < 0
    x, y = (
        np.where(below, (1 - np.abs(y)) * np.where(x < 0, -1, 1), x),
        np.where(below, (1 - np.abs(x)) * np.where(y < 0, -1, 1), y),
    )
    return ((x + 1) * (SIDE - 1) / 2).astype(np.float32), ((y + 1) * (SIDE - 1) / 2).astype(np.float32)


def _sphere() -> np.ndarray:
    x, y = np.meshgrid(*[np.linspace(-1, 1, SIDE)] * 2)
    z = 1 - np.abs(x) - np.abs(y)
    inner = np.maximum(-z, 0)
    points = np.stack([x - np.sign(x) * inner, y - np.sign(y) * inner, z], -1)
    return np.asarray(points / np.linalg.norm(points, axis=-1, keepdims=True))


SPHERE = _sphere()


def noise(rng: np.random.Generator, points: np.ndarray, low: float, high: float, stretch: float = 1.0) -> np.ndarray:
    """Return a sum of waves at points `[..., 3]`, of about unit variance; `stretch` draws it out along one way."""
    count = 20
    pitch = np.exp(rng.uniform(np.log(low), np.log(high), (count, 1)))
    ways = rng.standard_normal((count, 3))
    ways /= np.linalg.norm(ways, axis=1, keepdims=True)
    ways[:, 0] /= stretch
    total = np.zeros(points.shape[:-1])
    for way, start in zip(ways * pitch, rng.uniform(0, 6.28, count), strict=True):
        total += np.sin(points @ way + start)
    return np.asarray(total / np.sqrt(count / 2))


def _steps(field: np.ndarray, sharp: float) -> np.ndarray:
    return np.asarray(1 / (1 + np.exp(-sharp * np.clip(field, -20 / sharp, 20 / sharp))))


def _marbled(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    warp = np.stack([noise(rng, SPHERE, 1, 4) for _ in range(3)], -1) * rng.uniform(0.1, 0.5)
    field = noise(rng, SPHERE + warp, 2, 6)
    return _steps(field, rng.uniform(3, 12)), 0.4 * field


def _striped(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    warp = noise(rng, SPHERE, 1, 5) * rng.uniform(0, 0.25)
    field = np.sin(rng.uniform(5, 16) * (SPHERE @ _way(rng) + warp) + rng.uniform(0, 6))
    return _steps(field - rng.uniform(-0.5, 0.5), rng.uniform(4, 15)), 0.3 * field


def _speckled(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    field = np.zeros(SPHERE.shape[:2])
    for _ in range(int(rng.integers(15, 70))):
        near = np.arccos(np.clip(SPHERE @ _way(rng), -1, 1))
        field = np.maximum(field, _steps(rng.uniform(0.06, 0.28) - near, 40))
    return field, field * rng.uniform(-1, 1)


def _patched(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Patches of clay or felt, pressed together."""
    seeds = np.stack([_way(rng) for _ in range(int(rng.integers(6, 22)))])
    near = np.sort(SPHERE @ seeds.T, axis=-1)
    owner = np.argmax(SPHERE @ seeds.T, axis=-1)
    return rng.uniform(0, 1, len(seeds))[owner], np.minimum((near[..., -1] - near[..., -2]) * 8, 1)


def _knitted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = float(rng.integers(10, 18)), float(rng.integers(14, 26))
    up, around = (
        np.arccos(SPHERE[..., 1]) / np.pi * rows,
        np.arctan2(SPHERE[..., 2], SPHERE[..., 0]) / 2 / np.pi * columns,
    )
    across = np.abs(around % 1 - 0.5)  # of a stitch, a V
    stitch = np.sin(np.pi * ((up + across * 1.4) % 1)) * np.sqrt(np.clip(np.sin(np.pi * 2 * across), 0, 1))
    bands = rng.uniform(0, 1, 40)[np.floor(up / rng.integers(1, 5)).astype(int)]
    if rng.random() < 0.4:
        bands = (np.floor(up) + np.floor(around)) % 2
    return bands * 0.8 + 0.2 * stitch, 1.6 * stitch


def _brushed(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    field = noise(rng, SPHERE, 10, 40, stretch=rng.uniform(6, 14)) + noise(rng, SPHERE, 1, 3)
    return _steps(field, 2.0), 0.3 * field


def _spotted(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    field = np.zeros(SPHERE.shape[:2])
    for _ in range(int(rng.integers(4, 11))):
        field = np.maximum(field, _steps(SPHERE @ _way(rng) - rng.uniform(0.8, 0.95), 60))
    return field, 0.2 * field


STYLES = (_marbled, _striped, _speckled, _patched, _knitted, _brushed, _spotted)


def _way(rng: np.random.Generator) -> np.ndarray:
    way = rng.standard_normal(3)
    return np.asarray(way / np.linalg.norm(way))


def skin(look: int, unlike: np.ndarray) -> np.ndarray:
    """Return a skin, float32 `[SIDE, SIDE, 4]`: colour in 0..255, and how far it stands out, in radii."""
    rng = np.random.default_rng(look)
    style: Callable[[np.random.Generator], tuple[np.ndarray, np.ndarray]] = STYLES[rng.integers(len(STYLES))]
    share, height = style(rng)
    first = colour(rng, unlike)
    second = colour(rng, first) if rng.random() < 0.6 else np.clip(first + rng.uniform(-1, 1, 3) * 90, 0, 255)
    ground = first + (second - first) * share[..., None] * rng.uniform(0.6, 1)
    ground = ground * (1 + rng.uniform(0.02, 0.12) * noise(rng, SPHERE, 3, 14))[..., None]
    fine = noise(rng, SPHERE, 8, rng.choice([16, 40])) * rng.uniform(0.1, 0.7)
    return np.dstack([np.clip(ground, 0, 255), 0.03 * rng.uniform(0.4, 1.6) * (height + fine)]).astype(np.float32)


def marked(own: np.ndarray, look: int, *, fragile: bool, ink: np.ndarray) -> np.ndarray:
    """Return a skin broken by cracks, or splashed with an ink."""
    rng = np.random.default_rng([look, 2])
    if fragile:
        share, ink = np.zeros(SPHERE.shape[:2]), np.array([22.0, 18.0, 18.0])
        for _ in range(4):
            field = SPHERE @ _way(rng) + 0.08 * noise(rng, SPHERE, 4, 12) + rng.uniform(-0.3, 0.3)
            share = np.maximum(share, _steps(rng.uniform(0.05, 0.08) - np.abs(field), 80))
    else:
        share = _steps(noise(rng, SPHERE, 2, 4) + 0.1, 12)
    share = share[..., None]
    rgb, height = own[..., :3] * (1 - share) + ink * share, own[..., 3:] * (1 - share) - 0.04 * share * fragile
    return np.dstack([rgb, height]).astype(np.float32)


def radii(outline: np.ndarray, *, is_round: bool) -> np.ndarray:
    """Return how far an outline `[K, 2]` is from its middle in each of `TURNS` directions, from -pi on."""
    if is_round:
        return np.ones(TURNS, np.float32)
    turn = np.linspace(-np.pi, np.pi, TURNS, endpoint=False)
    way = np.stack([np.cos(turn), np.sin(turn)], 1)
    found = np.full(TURNS, 0.0)
    for one, other in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        side = other - one
        across = way[:, 0] * side[1] - way[:, 1] * side[0]
        with np.errstate(divide="ignore", invalid="ignore"):
            far = (one[0] * side[1] - one[1] * side[0]) / across
            along = (one[0] * way[:, 1] - one[1] * way[:, 0]) / across
        found = np.where((along > -1e-9) & (along < 1 + 1e-9) & (far > 0), np.maximum(found, np.nan_to_num(far)), found)
    return np.asarray(np.maximum(found, 0.05), np.float32)


def turn_about(axis: np.ndarray, angle: float) -> np.ndarray:
    """Return the turn by an angle about an axis, `[3, 3]`."""
    return np.asarray(cv2.Rodrigues(np.asarray(axis, np.float64) * angle)[0])
