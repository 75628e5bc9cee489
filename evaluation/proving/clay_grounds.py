"""What lies behind the things of the family `clay`: cloth, sand, grass, shelves, planks; and the lens before it all."""

import cv2
import numpy as np

from evaluation.proving.clay_skins import Lamps, colour
from evaluation.proving.prints import pulp

FAR = ("shelves", "strokes", "grass", "plaster", "cloth", "knit")
FLAT = ("cloth", "sand", "plaster", "knit", "planks", "strokes", "grass")
SOLID = ("sand", "planks", "plaster", "knit", "cloth", "brick")


def sheet(
    rng: np.random.Generator, kind: str, shape: tuple[int, int], unit: float, lamps: Lamps, unlike: np.ndarray | None
) -> np.ndarray:
    """Return a lit sheet, uint8 `[height, width, 3]`; `unit` pixels are as wide as a picture is high."""
    first = colour(rng, unlike, most=45)
    second = np.clip(first + rng.uniform(-1, 1, 3) * rng.uniform(25, 80), 0, 255)
    if kind in ("shelves", "strokes", "grass"):
        drawn = {"shelves": _shelves, "strokes": _strokes, "grass": _grass}[kind](rng, shape, unit, first, second)
        return np.asarray(np.clip(drawn * lamps.fall(np.array([0, 0.2, 0.98], np.float32)), 0, 255), np.uint8)
    share, height = _relief(rng, kind, shape, unit)
    ground = first + (second - first) * np.clip(share, 0, 1)[:, :, None]
    down, right = np.gradient(height)
    normal = np.dstack([-right, down, np.ones_like(height)]).astype(np.float32)
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    return np.asarray(np.clip(ground * lamps.fall(normal), 0, 255), np.uint8)


def _relief(rng: np.random.Generator, kind: str, shape: tuple[int, int], unit: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the share of the second colour, and heights in pixels: float `[height, width]`."""
    y, x = np.mgrid[: shape[1], : shape[0]].astype(np.float32) / np.float32(unit)
    across = shape[0] / unit
    cloud = pulp(rng, shape, across * rng.uniform(1.5, 5))
    fine = pulp(rng, shape, across * rng.uniform(15, 40))
    deep = unit * rng.uniform(0.5, 1.2)
    if kind == "cloth":
        threads = rng.uniform(14, 32)
        weave = np.sin(2 * np.pi * threads * x) * np.sin(2 * np.pi * threads * y)
        check = (np.sin(2 * np.pi * rng.uniform(2, 7) * x) > 0.3) * 0.5 + (
            np.sin(2 * np.pi * rng.uniform(2, 7) * y) > 0.3
        ) * 0.5
        share = check * (rng.random() < 0.6) + 0.15 * weave
        return share, deep * (0.03 * cloud + 0.002 * weave)
    if kind == "sand":
        ripples = np.sin(2 * np.pi * rng.uniform(5, 14) * (y + 0.2 * x + 0.08 * cloud))
        return 0.5 + 0.5 * fine, deep * (0.006 * ripples * (rng.random() < 0.6) + 0.008 * fine + 0.015 * cloud)
    if kind == "plaster":
        warped = np.sin(6 * cloud + 3 * fine)
        return 0.5 + 0.4 * cloud, deep * (0.006 * warped + 0.005 * fine)
    if kind == "planks":
        wide = rng.uniform(0.08, 0.25)
        along, over = (x, y) if rng.random() < 0.5 else (y, x)
        number = np.floor(over / wide)
        grain = np.sin(2 * np.pi * (over * 40 + 3 * cloud + number * 1.7)) + np.sin(along * 3 + number * 9)
        gap = np.abs(over / wide % 1 - 0.5) > 0.47
        return 0.5 + 0.2 * grain + 0.4 * np.sin(number * 5), deep * (-0.02 * gap + 0.003 * fine)
    if kind == "brick":
        high, long = rng.uniform(0.05, 0.1), rng.uniform(0.12, 0.25)
        row = np.floor(y / high)
        inset = np.minimum(np.abs(y / high % 1 - 0.5), 1) > 0.42
        inset |= np.abs((x / long + 0.5 * (row % 2)) % 1 - 0.5) > 0.46
        tone = np.sin(row * 7.3 + np.floor(x / long + 0.5 * (row % 2)) * 3.7)
        return 0.5 + 0.5 * tone, deep * (-0.02 * inset + 0.008 * fine)
    stitches = rng.uniform(12, 28)  # knit
    u, v = x * stitches, y * stitches
    leg = np.abs(u % 1 - 0.5)
    stitch = np.sin(np.pi * ((v + 1.4 * leg) % 1)) * np.sqrt(np.clip(np.sin(2 * np.pi * leg), 0, 1))
    bands = np.sin(np.floor(v / 3) * 2.3) * (rng.random() < 0.6)
    return 0.5 + 0.4 * bands, deep * (0.012 * stitch + 0.02 * cloud)


def _shelves(
    rng: np.random.Generator, shape: tuple[int, int], unit: float, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Boards with shapes on them, out of focus."""
    width, height = shape
    drawn = np.broadcast_to(first, (height, width, 3)).astype(np.float32).copy()
    gap = unit * rng.uniform(0.25, 0.5)
    for board in np.arange(rng.uniform(0, gap), height, gap):
        x = 0.0
        while x < width:
            wide, tall = unit * rng.uniform(0.05, 0.2), gap * rng.uniform(0.3, 0.85)
            own = tuple(map(float, first * 0.5 + 0.5 * colour(rng)))
            if rng.random() < 0.6:
                cv2.rectangle(drawn, (int(x), int(board - tall)), (int(x + wide), int(board)), own, -1)
            else:
                cv2.ellipse(
                    drawn,
                    (int(x + wide / 2), int(board - tall / 2)),
                    (int(wide / 2), int(tall / 2)),
                    0,
                    0,
                    360,
                    own,
                    -1,
                )
            x += wide * rng.uniform(1, 2)
        cv2.rectangle(drawn, (0, int(board)), (width, int(board + gap * 0.08)), tuple(map(float, second)), -1)
    return cv2.GaussianBlur(drawn, (0, 0), unit * float(rng.uniform(0.004, 0.02)))


def _strokes(
    rng: np.random.Generator, shape: tuple[int, int], unit: float, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Brush strokes that follow a field, in the colours of a cloudy picture."""
    field, way = (pulp(rng, shape, shape[0] / unit * rng.uniform(1, 3)) for _ in range(2))
    drawn = np.broadcast_to(first, (shape[1], shape[0], 3)).astype(np.float32).copy()
    long, thick = unit * rng.uniform(0.05, 0.15), unit * rng.uniform(0.012, 0.03)
    for x, y in rng.uniform(0, 1, (int(1.6 * shape[0] * shape[1] / long / thick / 2), 2)) * shape:
        turn = 2.5 * way[int(y), int(x)]
        step = np.array([np.cos(turn), np.sin(turn)]) * long / 2
        own = first + (second - first) * np.clip(0.5 + field[int(y), int(x)], 0, 1) + rng.uniform(-14, 14)
        one, other = np.array([x, y]) - step, np.array([x, y]) + step
        cv2.line(
            drawn,
            tuple(map(int, one)),
            tuple(map(int, other)),
            tuple(map(float, own)),
            max(1, round(thick)),
            cv2.LINE_8,
        )
    return cv2.GaussianBlur(drawn, (0, 0), 1.0)


def _grass(
    rng: np.random.Generator, shape: tuple[int, int], unit: float, first: np.ndarray, second: np.ndarray
) -> np.ndarray:
    """Blades, one before the other."""
    green = first * 0.4 + 0.6 * np.array([rng.uniform(60, 170), rng.uniform(110, 190), rng.uniform(40, 110)])
    drawn = np.broadcast_to(green * 0.6, (shape[1], shape[0], 3)).astype(np.float32).copy()
    long = unit * rng.uniform(0.05, 0.12)
    rows = np.sort(rng.uniform(0, shape[1] + long, int(shape[0] * shape[1] / long / unit * 90)))
    for y in rows:
        x, lean = rng.uniform(0, shape[0]), rng.normal(0, 0.35) * long
        own = np.clip(green * rng.uniform(0.75, 1.25) + (second - green) * rng.uniform(0, 0.15), 0, 255)
        cv2.line(
            drawn,
            (int(x), int(y)),
            (int(x + lean), int(y - long)),
            tuple(map(float, own)),
            max(1, round(unit * 0.008)),
            cv2.LINE_8,
        )
    return cv2.GaussianBlur(drawn, (0, 0), float(rng.uniform(0.8, 2.5)))


class Lens:
    """A lens and a sensor, the same for all takes of a scene: bent lines, fringes, bloom, vignette, gamma and grain."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.size = size
        width, height = size
        x, y = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
        far = x**2 + y**2
        self.vignette = (1 - rng.choice([0.0, 0.08, 0.18]) * far)[:, :, None].astype(np.float32)
        barrel, fringe = rng.choice([0.0, 0.0, -0.012, 0.012]), rng.choice([0.0, 0.0, 0.003, 0.006])
        self.maps = []
        for channel in (-1, 0, 1):
            scale = (1 + channel * fringe) * (1 + barrel * (far - 1))
            self.maps.append(tuple(
                ((axis * scale + 1) / 2 * (side - 1)).astype(np.float32) for axis, side in ((x, width), (y, height))
            ))  # fmt: skip
        self.bends = bool(barrel or fringe)
        self.bloom = rng.choice([0.0, 0.0, 0.15, 0.3])
        self.gamma = rng.uniform(0.85, 1.2)
        self.soft = rng.choice([0.0, 0.4, 0.7])
        self.grain = rng.choice([0.0, 0.5, 1.0, 2.0])
        self.seed = int(rng.integers(1 << 30))

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """Return uint8 `[T, H, W, 3]` of float `[T, H, W, 3]` in 0..255."""
        rng = np.random.default_rng(self.seed)
        done = np.empty(frames.shape, np.uint8)
        for index, frame in enumerate(frames):
            frame = np.clip(frame, 0, 255)
            if self.bends:
                frame = np.dstack([_looked_up(frame[:, :, k], *self.maps[k]) for k in range(3)])
            if self.bloom:
                glow = cv2.GaussianBlur(np.maximum(frame - 150, 0), (0, 0), self.size[1] * 0.03)
                frame = frame + np.float32(self.bloom * 2) * glow
            frame = 255 * (np.clip(frame, 0, 255) / 255) ** self.gamma * self.vignette
            if self.soft:
                frame = cv2.GaussianBlur(frame, (0, 0), float(self.soft))
            if self.grain:  # of light: more where there is more
                frame = frame + rng.standard_normal(frame.shape, np.float32) * np.sqrt(1 + frame / 20) * self.grain
            done[index] = np.clip(np.round(frame), 0, 255)
        return done


def _looked_up(plane: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray(cv2.remap(np.ascontiguousarray(plane), x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT))
