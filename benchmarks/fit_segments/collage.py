"""Collages: pieces of photographs, prints and plain colours that move over others, meet, cross, and pass behind others.

Unlike the family `paper`, outlines may be hollow, looks are of any kind, and what moves needs no cause.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.proving import prints

SIZES = (128, 128), (128, 96), (128, 72), (96, 128), (96, 96), (128, 108), (112, 128)  # width, height
OVER = 2  # drawn at twice the size, then averaged
MARGIN = 0.35  # of the sheets beyond the picture, of its shorter side
TURNS = np.linspace(0, 2 * np.pi, 64, endpoint=False)


@dataclass(frozen=True, eq=False)
class Film:
    """`frames` uint8 `[T, H, W, 3]`; `owners` int8 `[T, H, W]`: a thing, -1 the scene, -2 what hides things."""

    frames: np.ndarray
    owners: np.ndarray


@dataclass(frozen=True, eq=False)
class Thing:
    """A piece `[s, s]`: where it is in the middle of the film and how it goes before and after, in pixels and frames.

    It is to be seen from the first to before the second of `shown`, in frames after the middle.
    """

    look: np.ndarray  # float32 [s, s, 3]
    cover: np.ndarray  # uint8 [s, s]
    at: np.ndarray
    before: np.ndarray
    after: np.ndarray
    falls: float
    spin: float
    growth: float
    wobble: float  # of its width
    shown: tuple[float, float]

    def place(self, since: float) -> np.ndarray:
        """Return the matrix `[2, 3]` that puts it where it is, some frames after the middle."""
        at = self.at + (self.before if since < 0 else self.after) * since + [0, 0.5 * self.falls * since**2]
        size, turn = 1 + self.growth * since, self.spin * since
        wide, cos, sin = size * (1 + self.wobble * np.sin(0.8 * since)), np.cos(turn), np.sin(turn)
        matrix = np.array([[wide * cos, -size * sin], [wide * sin, size * cos]])
        middle = len(self.cover) / 2 - 0.5
        return np.column_stack([matrix, at - matrix @ [middle, middle]])


@dataclass(frozen=True, eq=False)
class Sheet:
    """What rests: a picture as large as the scene with its margins, what it covers, and the first thing before it."""

    look: np.ndarray
    cover: np.ndarray
    before: int


def collage(rng: np.random.Generator, photographs: list[np.ndarray]) -> Film:
    """Return a film of up to five things."""
    width, height = SIZES[rng.integers(len(SIZES))]
    T, size = int(rng.integers(14, 25)), np.array([width, height]) * OVER
    unit = int(size.min())
    margin = int(MARGIN * unit)
    whole = int(size[0]) + 2 * margin, int(size[1]) + 2 * margin
    scene = texture(rng, whole, photographs, calm=True)
    if rng.random() < 0.4:  # a floor
        row = int(rng.uniform(0.55, 0.85) * size[1]) + margin
        scene[row:] = texture(rng, (whole[0], whole[1] - row), photographs, calm=True)
    pan = np.zeros(2) if rng.random() < 0.7 else rng.uniform(-0.25, 0.25, 2) * unit / T
    middle = rng.uniform(0.25, 0.75) * T
    things = _things(rng, photographs, size * rng.uniform(0.3, 0.7, 2), unit, T)
    sheets = [_sheet(rng, photographs, size, margin, len(things)) for _ in range(rng.choice([0, 0, 1, 1, 2]))]
    shadow = _Shadow(rng, unit)
    light = 1 + rng.choice([0.0, 0.03, 0.08]) * np.sin(np.linspace(0, 3, T) + rng.uniform(0, 6))
    frames, owners = [], []
    for t in range(T):
        shift = -pan * (t - T / 2)
        view = np.column_stack([np.eye(2), shift - margin])
        canvas = cv2.warpAffine(scene, view, size.tolist(), borderMode=cv2.BORDER_REFLECT)
        owner = np.full(size[::-1], -1, np.int8)
        for index in range(len(things) + 1):
            for sheet in sheets:
                if sheet.before == index:
                    owner[_lay(canvas, sheet.look, sheet.cover, view, shadow) > 127] = -2
            if index < len(things) and things[index].shown[0] <= t - middle < things[index].shown[1]:
                place = things[index].place(t - middle)
                place[:, 2] += shift
                owner[_lay(canvas, things[index].look, things[index].cover, place, shadow) > 102] = index
        frames.append(cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA) * np.float32(light[t]))
        owners.append(owner[OVER // 2 :: OVER, OVER // 2 :: OVER])
    return Film(prints.Finish(rng, (width, height))(np.stack(frames)), np.stack(owners))


class _Shadow:
    def __init__(self, rng: np.random.Generator, unit: int) -> None:
        self.strength = rng.uniform(0, 0.5) if rng.random() < 0.7 else 0.0
        self.shift = np.column_stack([np.eye(2), rng.uniform(-0.05, 0.05, 2) * unit])
        self.blur = int(unit * rng.uniform(0.01, 0.05)) | 1

    def fall(self, canvas: np.ndarray, cover: np.ndarray) -> None:
        if self.strength:
            dark = cv2.blur(cv2.warpAffine(cover, self.shift, cover.shape[::-1]), (self.blur, self.blur))
            canvas *= 1 - np.float32(self.strength / 255) * dark[..., None]


def _lay(canvas: np.ndarray, look: np.ndarray, cover: np.ndarray, place: np.ndarray, shadow: _Shadow) -> np.ndarray:
    """Put a piece and its shadow on a canvas, and return what it covers there, in bytes."""
    size = canvas.shape[1::-1]
    covered = np.asarray(cv2.warpAffine(cover, place, size))
    shadow.fall(canvas, covered)
    share = covered[..., None] / np.float32(255)
    canvas[:] = canvas * (1 - share) + cv2.warpAffine(look, place, size, borderMode=cv2.BORDER_REPLICATE) * share
    return covered


def _things(
    rng: np.random.Generator, photographs: list[np.ndarray], meeting: np.ndarray, unit: int, T: int
) -> list[Thing]:
    things: list[Thing] = []
    usual = rng.uniform(0.07, 0.2)
    for _ in range(rng.choice([0, 1, 2, 2, 2, 3, 3, 3, 4, 5])):
        radius = float(np.clip(usual * rng.uniform(0.6, 1.6), 0.05, 0.28)) * unit
        side = 2 * int(np.ceil(radius)) + 6
        cover, look = _cover(rng, side), texture(rng, (side, side), photographs)
        if rng.random() < 0.4:  # lit from one side
            y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
            turn = rng.uniform(0, 2 * np.pi)
            look *= np.float32(1 + rng.uniform(0.1, 0.5) * (x * np.cos(turn) + y * np.sin(turn)))[..., None]
        elif rng.random() < 0.2:  # with a printed line around it
            inner = cv2.erode(cover, np.ones((3, 3), np.uint8), iterations=int(rng.integers(1, 3)))
            look[inner < 128] = prints.ink(rng)
        if things and rng.random() < 0.15:  # the same again
            look, cover = things[-1].look, things[-1].cover
        speed = 0.0 if rng.random() < 0.15 else rng.uniform(0.4, 1.6) * unit / T
        way = rng.normal(0, 1, 2) * [1, 0.6]
        before = after = way / np.linalg.norm(way) * speed
        change = rng.random()
        if change < 0.3:
            after = rng.normal(0, 0.7, 2) * speed
        elif change < 0.45:  # it comes to rest
            after = np.zeros(2)
        elif change < 0.6:  # it rests until it goes
            before = np.zeros(2)
        moment = rng.uniform(-T / 3, T / 3)
        shown = [(-np.inf, np.inf)] * 6 + [(-np.inf, moment), (moment, np.inf)]
        things.append(
            Thing(
                look, cover, meeting + rng.normal(0, 1, 2) * radius * rng.choice([0.4, 1.0, 2.5]), before, after,
                falls=float(rng.uniform(0, 0.0015) * unit * (rng.random() < 0.3)),
                spin=float(rng.normal(0, 0.1) * (rng.random() < 0.6)),
                growth=float(rng.normal(0, 0.006) * (rng.random() < 0.3)),
                wobble=float(rng.uniform(0, 0.12) * (rng.random() < 0.2)),
                shown=shown[rng.integers(len(shown))],
            )
        )  # fmt: skip
    return things


def _sheet(rng: np.random.Generator, photographs: list[np.ndarray], size: np.ndarray, margin: int, most: int) -> Sheet:
    """Return a pillar, or a piece of any outline."""
    width, height = (size + 2 * margin).tolist()
    unit, cover = int(size.min()), np.zeros((height, width), np.uint8)
    if rng.random() < 0.6:
        left, top = int(rng.uniform(0.2, 0.8) * size[0]) + margin, int(rng.choice([0, rng.uniform(0, 0.5) * size[1]]))
        cover[margin + top if top else 0 :, left : left + int(rng.uniform(0.08, 0.3) * unit)] = 255
    else:
        _fill(cover, _outline(rng) * rng.uniform(0.12, 0.3) * unit + size * rng.uniform(0.2, 0.8, 2) + margin)
    return Sheet(texture(rng, (width, height), photographs), cover, int(rng.integers(most + 1)))


def texture(
    rng: np.random.Generator, size: tuple[int, int], photographs: list[np.ndarray], *, calm: bool = False
) -> np.ndarray:
    """Return a piece of a photograph, a print, a slope of colours or a colour, float32 `[height, width, 3]`."""
    width, height = size
    kind = rng.choice(4, p=(0.5, 0.2, 0.2, 0.1))
    if kind == 0:
        picture = photographs[rng.integers(len(photographs))]
        share = rng.uniform(0.25, 1)
        rows, columns = (max(8, int(share * n)) for n in picture.shape[:2])
        top, left = rng.integers(picture.shape[0] - rows + 1), rng.integers(picture.shape[1] - columns + 1)
        piece = cv2.resize(picture[top : top + rows, left : left + columns], size, interpolation=cv2.INTER_AREA)
        piece = piece.astype(np.float32)[:, :: rng.choice([-1, 1])]
        if rng.random() < 0.4:
            piece = (piece - piece.mean()) * rng.uniform(0.4, 1.3) + rng.uniform(50, 210) + rng.normal(0, 15, 3)
        return np.ascontiguousarray(piece[..., rng.permutation(3)] if rng.random() < 0.3 else piece, np.float32)
    if kind == 1:
        return prints.sheet(rng, size, max(8, height * rng.uniform(0.4, 1.2)), calm=calm).astype(np.float32)
    first = prints.ink(rng)
    second = np.clip(first + rng.normal(0, 40, 3), 0, 255) if kind == 2 else first
    y, x = np.mgrid[:height, :width]
    turn = rng.uniform(0, 2 * np.pi)
    slope = x * np.cos(turn) + y * np.sin(turn)
    slope = (slope - slope.min()) / max(float(np.ptp(slope)), 1.0)
    grain = prints.pulp(rng, size, rng.uniform(3, 14))[..., None] * rng.uniform(0, 10)
    return np.asarray(first + (second - first) * slope[..., None] + grain, np.float32)


def _cover(rng: np.random.Generator, side: int) -> np.ndarray:
    """Return what a thing covers of its square, some with limbs."""
    cover = np.zeros((side, side), np.uint8)
    middle, radius = side / 2 - 0.5, side / 2 - 2
    _fill(cover, _outline(rng) * rng.choice([1, 1, 0.8]) * radius + middle)
    if rng.random() < 0.15:
        for _ in range(rng.integers(1, 4)):
            turn = rng.uniform(0, 2 * np.pi)
            along = np.array([np.cos(turn), np.sin(turn)])
            limb = _outline(rng) * [0.55, 0.22] @ np.array([along, [-along[1], along[0]]])
            _fill(cover, (limb + 0.45 * along) * radius + middle)
    return cover


def _fill(cover: np.ndarray, corners: np.ndarray) -> None:
    cv2.fillPoly(cover, [np.round(corners * 16).astype(np.int32)], 255, cv2.LINE_AA, 4)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Return a disc, a blob, a polygon, a star or a box within the unit circle, `[n, 2]`, mostly pressed flat a bit."""
    kind = rng.choice(["disc", "pebble", "blob", "polygon", "star", "box"])
    if kind == "box":
        points = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * [1, rng.uniform(0.35, 1)]
    else:
        turns, radii = TURNS, np.ones(len(TURNS))
        if kind in ("pebble", "blob"):
            rough = 0.45 if kind == "pebble" else 0.9
            waves = [rng.uniform(0, rough) / n * np.cos(n * TURNS + rng.uniform(0, 2 * np.pi)) for n in range(2, 7)]
            radii = np.maximum(1 + np.sum(waves, axis=0), 0.25)
        elif kind == "polygon":
            turns = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
            radii = rng.uniform(0.6, 1, len(turns))
        elif kind == "star":
            turns = np.linspace(0, 2 * np.pi, 2 * rng.integers(3, 9), endpoint=False)
            radii = np.tile([1.0, rng.uniform(0.4, 0.9)], len(turns) // 2)
        points = np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None]
    points = points * [1, rng.uniform(0.45, 1)]
    return np.asarray(points / np.linalg.norm(points, axis=1).max())
