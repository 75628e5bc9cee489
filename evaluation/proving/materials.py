"""What the solids of the family `studio` are made of, and the lens and sensor that take them."""

import cv2
import numpy as np

TILE = 384  # pixels of a baked texture
SPAN = 3.0  # heights that it covers before it repeats


def hashed(cells: np.ndarray, seed: int) -> np.ndarray:
    """A number in 0..1 for every integer cell `[..., D]`: value noise needs no table."""
    weights = np.array([12.9898, 78.233, 37.719][: cells.shape[-1]]) * (1 + seed % 97 / 97)
    value = np.sin(cells @ weights) * 43758.5453
    return value - np.floor(value)


def value_noise(points: np.ndarray, seed: int, octaves: int = 3) -> np.ndarray:
    """Smooth noise about 0..1 at points `[..., D]`, of a unit wave length, by hashed lattices."""
    total, weight = np.zeros(points.shape[:-1]), 0.0
    for octave in range(octaves):
        scaled = points * 2**octave
        low = np.floor(scaled)
        part = scaled - low
        part = part * part * (3 - 2 * part)
        value = np.zeros(points.shape[:-1])
        for corner in np.ndindex(*(2,) * points.shape[-1]):
            share = np.prod(np.where(corner, part, 1 - part), -1)
            value += share * hashed(low + corner, seed + octave)
        total += value / 2**octave
        weight += 1 / 2**octave
    return total / weight


def hue(rng: np.random.Generator, *, pale: bool = False) -> np.ndarray:
    """A material's colour, float [3] in 0..1: by cosines, as light mixes."""
    phase = rng.uniform(0, 1)
    colour = 0.5 + 0.5 * np.cos(2 * np.pi * (phase + np.array([0.0, 1 / 3, 2 / 3])))
    grey = rng.uniform(0.35, 0.9)
    share = rng.uniform(0.55, 0.95) if pale else rng.uniform(0.0, 0.45)
    return (colour * (1 - share) + grey * share) * rng.uniform(0.55, 1.0)


def contrasting(rng: np.random.Generator, grounds: list[np.ndarray]) -> np.ndarray:
    """The colour, of many tries, that is farthest from all the grounds."""
    tries = [hue(rng) for _ in range(16)]
    return max(tries, key=lambda colour: min(np.abs(colour - ground).sum() for ground in grounds))


class Surface:
    """A baked texture of a floor or wall: float32 `[TILE, TILE, 3]` in 0..1, that repeats."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.colour, second = hue(rng, pale=True), hue(rng, pale=True)
        axis = np.arange(TILE) / TILE * SPAN
        u, v = np.meshgrid(axis, axis)
        style = rng.choice(["checks", "wood", "plaster", "tiles", "bricks"])
        seed, cell = int(rng.integers(1000)), float(rng.choice([0.25, 0.375, 0.5]))
        around = np.stack(
            [np.cos(2 * np.pi * u / SPAN), np.sin(2 * np.pi * u / SPAN), 3 * np.cos(2 * np.pi * v / SPAN)], -1
        )
        cloud = value_noise(around * 2 + 10, seed)
        if style == "checks":
            field = ((np.floor(u / cell) + np.floor(v / cell)) % 2).astype(float)
        elif style == "wood":
            field = 0.5 + 0.5 * np.sin(2 * np.pi * (v / cell * 2 + 3 * cloud))
        elif style == "plaster":
            field = np.clip(2.2 * cloud - 0.6, 0, 1)
        elif style == "tiles":
            field = ((u / cell % 1 < 0.06) | (v / cell % 1 < 0.06)).astype(float)
        else:
            shifted = u / cell + 0.5 * (np.floor(v / cell * 2) % 2)
            field = ((shifted % 1 < 0.05) | (v / cell * 2 % 1 < 0.1)) + 0.4 * (
                hashed(np.floor(np.stack([shifted, v / cell * 2], -1)), seed)
            )
        strength = rng.uniform(0.3, 0.9)
        mixed = self.colour + (second - self.colour) * (np.clip(field, 0, 1) * strength)[..., None]
        mixed *= (0.88 + 0.24 * cloud)[..., None]
        self.tile = cv2.GaussianBlur(np.clip(mixed, 0, 1), (3, 3), 0.8).astype(np.float32)
        self.mean = self.tile.mean((0, 1))

    def at(self, u: np.ndarray, v: np.ndarray, distance: np.ndarray) -> np.ndarray:
        """Colour at places in heights; what is far away is seen as its mean, as it does not shimmer then."""
        x, y = ((np.nan_to_num(axis) * (TILE / SPAN)) % TILE for axis in (u, v))
        colour = cv2.remap(
            self.tile, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP
        )
        near = np.clip(1.6 - distance / 5, 0, 1)[..., None].astype(np.float32)
        return np.asarray(self.mean + (colour - self.mean) * near)


class Stuff:
    """What a thing is made of: colour at points of its own unit frame `[..., 3]`."""

    def __init__(self, look: int, grounds: list[np.ndarray]) -> None:
        rng = np.random.default_rng([look, 77])
        self.seed = look % 1000
        self.colours = [contrasting(rng, grounds), hue(rng), hue(rng)]
        self.style = str(rng.choice(["plain", "beach", "marble", "spots", "bands", "halves", "grainy"]))
        self.axis = rng.standard_normal(3)
        self.axis /= np.linalg.norm(self.axis)
        self.gloss = float(rng.choice([0.0, 0.25, 0.6]))
        self.rate = rng.uniform(1.5, 3.5)
        spots = rng.standard_normal((9, 3))
        self.spots = spots / np.linalg.norm(spots, axis=1, keepdims=True)

    def at(self, points: np.ndarray) -> np.ndarray:
        unit = points / np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), 1e-6)
        if self.style == "plain":
            share = np.zeros(points.shape[:-1])
        elif self.style == "beach":
            share = (np.floor(np.arctan2(unit[..., 0], unit[..., 2]) / np.pi * 4) % 2).astype(float)
        elif self.style == "marble":
            share = 0.5 + 0.5 * np.sin(
                self.rate * 3 * points @ self.axis + 6 * value_noise(points * 1.5 + 9, self.seed)
            )
        elif self.style == "spots":
            share = ((unit @ self.spots.T).max(-1) > 0.88).astype(float)
        elif self.style == "bands":
            share = (np.sin(self.rate * 2.5 * points @ self.axis) > 0.2).astype(float)
        elif self.style == "halves":
            share = (points @ self.axis > 0).astype(float)
        else:
            share = np.clip(2 * value_noise(points * 3 + 9, self.seed) - 0.5, 0, 1)
        return np.asarray(self.colours[0] + (self.colours[1] - self.colours[0]) * share[..., None])

    def marked(self, points: np.ndarray, fragile: bool, paint: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The colour of a mark (cracks and chips, or paint) and where it is: `[3]` and bool `[...]`."""
        unit = points / np.maximum(np.linalg.norm(points, axis=-1, keepdims=True), 1e-6)
        if not fragile:
            return paint, (unit @ self.spots[:5].T).max(-1) > 0.78
        wobble = 0.3 * (value_noise(points * 2 + 9, self.seed) - 0.5)
        rents = np.stack([np.abs(unit @ axis + wobble) < 0.08 for axis in self.spots[:3]]).any(0)
        return np.array([0.06, 0.05, 0.05]), rents | ((unit @ self.spots[3:5].T).max(-1) > 0.85)


class Lens:
    """Exposure, tone curve, fall-off to the corners, softness and shot noise, the same for all takes of a scene."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.size, self.seed = size, int(rng.integers(1 << 30))
        self.exposure, self.contrast = rng.uniform(0.8, 1.1), rng.uniform(0.0, 0.5)
        self.tint = 1 + rng.uniform(-0.06, 0.06, 3)
        self.noise = rng.choice([0.0, 0.004, 0.01, 0.02])
        self.soft = rng.choice([0.0, 0.0, 0.45, 0.7])
        x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
        self.corners = (1 / (1 + rng.choice([0.0, 0.1]) * (x**2 + y**2)) ** 2)[..., None].astype(np.float32)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """uint8 `[T, H, W, 3]` of float `[T, H, W, 3]` in 0..255."""
        rng = np.random.default_rng(self.seed)
        done = np.empty(frames.shape, np.uint8)
        for index, frame in enumerate(frames):
            light = np.clip(frame / 255 * self.exposure * self.tint * self.corners, 0, 1).astype(np.float32)
            light = light + self.contrast * light * (1 - light) * (2 * light - 1)
            if self.soft:
                light = cv2.GaussianBlur(light, (0, 0), float(self.soft))
            if self.noise:
                light = light + rng.standard_normal(light.shape, np.float32) * self.noise * np.sqrt(0.3 + light)
            done[index] = np.clip(np.round(light * 255), 0, 255)
        return done
