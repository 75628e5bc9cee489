"""Printed paper for the family `paper`: inks, sheets, torn cut-outs, and what a camera makes of the picture."""

from itertools import pairwise

import cv2
import numpy as np

RIM = 4  # pixels about a cut-out's unit circle


def ink(rng: np.random.Generator, unlike: np.ndarray | None = None) -> np.ndarray:
    """A colour, float [3] in 0..255, well apart from another one."""
    for _ in range(50):
        hsv = np.array([[[rng.integers(180), rng.integers(30, 230), rng.integers(60, 250)]]], np.uint8)
        colour: np.ndarray = cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)[0, 0].astype(np.float64)
        if unlike is None or np.abs(colour - unlike).mean() > 55:
            break
    return colour


def pulp(rng: np.random.Generator, shape: tuple[int, int], cells: float) -> np.ndarray:
    """Cloudy noise of several scales, about -1..1, float32 [height, width]."""
    total = np.zeros(shape[::-1], np.float32)
    for octave in range(4):
        across = max(2, int(cells * 2**octave))
        down = max(2, int(across * shape[1] / shape[0]))
        grid = rng.standard_normal((down, across)).astype(np.float32)
        total += cv2.resize(grid, shape, interpolation=cv2.INTER_CUBIC) / 1.8**octave
    return np.clip(total / 2.5, -1.5, 1.5)


def _pattern(rng: np.random.Generator, shape: tuple[int, int], pitch: float) -> np.ndarray:
    """A printed pattern, 0..1, float32 [height, width]."""
    y, x = np.mgrid[: shape[1], : shape[0]].astype(np.float32)
    turn = rng.uniform(0, np.pi)
    u, v = (x * np.cos(turn) + y * np.sin(turn)) / pitch, (y * np.cos(turn) - x * np.sin(turn)) / pitch
    style = rng.integers(6)
    if style == 0:  # stripes
        field = np.sin(2 * np.pi * u)
    elif style == 1:  # dots
        field = np.sin(2 * np.pi * u) * np.sin(2 * np.pi * v) - 0.2
    elif style == 2:  # waves
        field = np.sin(2 * np.pi * (u + 0.25 * np.sin(2 * np.pi * v / 1.5)))
    elif style == 3:  # tartan
        field = np.maximum(np.sin(2 * np.pi * u), np.sin(2 * np.pi * v / 1.7)) - 0.5
    elif style == 4:  # blots
        field = pulp(rng, shape, shape[0] / pitch / 1.5) * 2 - 0.2
    else:  # rings
        field = np.sin(2 * np.pi * np.hypot(u - rng.uniform(-3, 3), v - rng.uniform(-3, 3)))
    return np.asarray(np.clip(0.5 + 2.5 * field, 0, 1), np.float32)


def sheet(rng: np.random.Generator, shape: tuple[int, int], unit: float, *, calm: bool = False,
          unlike: np.ndarray | None = None, scenery: bool = False) -> np.ndarray:  # fmt: skip
    """A printed sheet, uint8 [height, width, 3]; `unit` pixels are as wide as a picture is high."""
    first = ink(rng, unlike)
    second = np.clip(first + rng.uniform(-1, 1, 3) * (60 if calm else 160), 0, 255)
    y, x = np.mgrid[: shape[1], : shape[0]].astype(np.float32)
    turn = rng.uniform(0, 2 * np.pi)
    slope = (x * np.cos(turn) + y * np.sin(turn)) / max(shape)
    slope = (slope - slope.min()) / np.ptp(slope)
    paper = first + (second - first) * (slope * rng.uniform(0, 1) if calm else slope)[:, :, None]
    if rng.random() < (0.6 if calm else 0.9):
        third = np.clip(first + rng.choice([-1, 1], 3) * rng.uniform(12, 40 if calm else 150, 3), 0, 255)
        paper += (third - paper) * (_pattern(rng, shape, unit * rng.uniform(0.06, 0.3)) * rng.uniform(0.4, 1))[
            :, :, None
        ]
    if scenery:
        for _ in range(int(rng.integers(3, 16))):
            _paste(rng, paper, unit, first)
    paper += pulp(rng, shape, shape[0] / unit * rng.uniform(3, 12))[:, :, None] * rng.uniform(3, 16)
    return np.asarray(np.clip(paper, 0, 255), np.uint8)


def _paste(rng: np.random.Generator, paper: np.ndarray, unit: float, near: np.ndarray) -> None:
    """A hill, a house, a cloud: a piece of much the same colour, pasted on the sheet."""
    turn = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 12))))
    radii = unit * rng.uniform(0.08, 0.4) * rng.uniform(0.7, 1, len(turn))
    centre = rng.uniform([0, 0], paper.shape[1::-1])
    corners = np.round(centre + np.stack([np.cos(turn), np.sin(turn)], 1) * radii[:, None]).astype(np.int32)
    colour = np.clip(near + rng.choice([-1, 1], 3) * rng.uniform(8, 55, 3), 0, 255)
    cv2.fillPoly(paper, [corners], tuple(map(float, colour)), cv2.LINE_AA)


def cut_out(look: int, outline: np.ndarray, pixels: float, unlike: np.ndarray, edge: int | None = None) -> np.ndarray:
    """A torn piece, uint8 RGBA [S, S, 4], of a radius in pixels; `edge` is the seed of its tear, if not its look's."""
    rng = np.random.default_rng(look)
    side = 2 * (int(np.ceil(pixels * 1.2)) + RIM)
    radius = side / 2 - RIM
    piece = sheet(rng, (side, side), side * rng.uniform(0.8, 1.6), unlike=unlike)
    tear = np.random.default_rng([look if edge is None else edge, 1])
    dense = _dense(outline)
    rough = tear.choice([0.0, 0.0, 0.015, 0.03])
    dense = dense * (1 + rough * np.clip(tear.standard_normal(len(dense)), -2, 1))[:, None]
    corners = (side / 2 - 0.5 + dense * [1, -1] * radius) * 16
    alpha = np.zeros((side, side), np.uint8)
    cv2.fillPoly(alpha, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA, 4)
    if tear.random() < 0.5:  # the white of the tear, or a printed line
        line = (245, 240, 232) if rough else tuple(int(value) for value in ink(rng))
        cv2.polylines(
            piece, [np.round(corners).astype(np.int32)], True, line, max(1, round(radius / 12)), cv2.LINE_AA, 4
        )
    return np.dstack([piece, alpha])


def _dense(outline: np.ndarray) -> np.ndarray:
    ring = np.vstack([outline, outline[:1]])
    steps = max(1, 72 // len(outline))
    weights = np.linspace(0, 1, steps, endpoint=False)[:, None]
    return np.concatenate([a + (b - a) * weights for a, b in pairwise(ring)])


def painted(piece: np.ndarray, look: int, colour: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng([look, 2])
    side = piece.shape[0]
    splash = np.zeros((side, side), np.uint8)
    for _ in range(5):
        turn, out = rng.uniform(0, 2 * np.pi), rng.uniform(0.1, 0.35) * side
        centre = int(side / 2 + out * np.cos(turn)), int(side / 2 + out * np.sin(turn))
        cv2.circle(splash, centre, int(side * rng.uniform(0.12, 0.24)), 255, -1, cv2.LINE_AA)
    share = splash[:, :, None] / 255.0
    return np.dstack([(piece[:, :, :3] * (1 - share) + colour * share).astype(np.uint8), piece[:, :, 3]])


def cracked(piece: np.ndarray, look: int) -> np.ndarray:
    """Torn apart: dark rents from rim to rim, and a corner gone."""
    rng = np.random.default_rng([look, 3])
    side = piece.shape[0]
    torn = piece.copy()
    for turn in rng.uniform(0, np.pi) + np.array([0, 1.2, 2.3]):
        along = np.linspace(-0.55, 0.55, 7)[:, None] * [np.cos(turn), np.sin(turn)]
        points = (0.5 + along + rng.normal(0, 0.025, along.shape)) * side
        cv2.polylines(torn, [points.astype(np.int32)], False, (25, 20, 18, 255), max(1, side // 22), cv2.LINE_AA)
    torn[:, :, 3] = np.minimum(torn[:, :, 3], piece[:, :, 3])
    turn = rng.uniform(0, 2 * np.pi)
    corner = side / 2 + side * 0.5 * np.array([np.cos(turn), np.sin(turn)])
    cv2.circle(torn, tuple(map(int, corner)), int(side * 0.27), (25, 20, 18, 0), -1, cv2.LINE_AA)
    return torn


class Finish:
    """What a camera makes of it: gamma, softness, vignette, grain; drawn once, the same for all takes of a scene."""

    def __init__(self, rng: np.random.Generator, size: tuple[int, int]) -> None:
        self.gamma = rng.uniform(0.8, 1.25)
        self.soft = rng.choice([0.0, 0.0, 0.5, 0.8])
        self.grain = rng.choice([0.0, 1.0, 2.0, 4.0, 7.0])
        self.coarse = rng.random() < 0.4
        self.seed = int(rng.integers(1 << 30))
        x, y = np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]))
        self.vignette = (1 - rng.choice([0.0, 0.0, 0.12]) * (x**2 + y**2))[:, :, None].astype(np.float32)

    def __call__(self, frames: np.ndarray) -> np.ndarray:
        """uint8 [T, H, W, 3] of float [T, H, W, 3] in 0..255."""
        rng = np.random.default_rng(self.seed)
        done = np.empty(frames.shape, np.uint8)
        for index, frame in enumerate(frames):
            frame = 255 * (np.clip(frame, 0, 255) / 255) ** self.gamma * self.vignette
            if self.soft:
                frame = cv2.GaussianBlur(frame, (0, 0), float(self.soft))
            if self.grain:
                height, width = frame.shape[:2]
                shape = (height // 2 + 1, width // 2 + 1) if self.coarse else (height, width)
                noise = rng.standard_normal(shape, np.float32) * self.grain
                frame = frame + (cv2.resize(noise, (width, height)) * 1.5 if self.coarse else noise)[:, :, None]
            done[index] = np.clip(np.round(frame), 0, 255)
        return done
