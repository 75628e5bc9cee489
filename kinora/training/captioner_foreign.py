"""Clips of foreign origin, which are made for a network that is to tell them from a dataset's own.

Two in three are made of random numbers alone, with what natural pictures have in common: spectra that fall with the
frequency, and things of all sizes, textured, that hide one another (https://arxiv.org/abs/2106.05963, sections 3.1 and
3.2). The third are clips of the dataset, scrambled, so that what tells is how things look and not their colours.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from kinora.models.captioner import FrameSample

OVER, BEYOND = 2, 1.6  # scenes are drawn at twice the size and averaged, and so much larger than the frame
PIECE, PIECES = 96, 96  # pixels of outlines and textures, and how many of each are drawn ahead
MOST_LEAVES, MOST_MOVING = 90, 3


class Moving(NamedTuple):
    """A piece that moves: its place at first `[2, 3]`, outline, texture, pixels moved, radians turned, growth (log)."""

    place: np.ndarray
    outline: np.ndarray
    texture: np.ndarray
    way: np.ndarray
    turn: float
    growth: float


def foreign_clips(samples: Sequence[FrameSample], count: int, rng: np.random.Generator) -> list[np.ndarray]:
    """Make foreign clips `uint8 [F, H, W, 3]`, of the shapes of samples of a dataset's own."""
    own, leaves = by_shape([sample.frames for sample in samples]), Leaves(rng)
    clips = []
    for index, place in enumerate(rng.integers(len(samples), size=count)):
        shape = samples[place].frames.shape
        clips.append(scrambled(own[shape], rng) if index % 3 == 2 else leaves.clip(*shape[:3]))
    return clips


class Leaves:
    """Draws clips of textured pieces before textured grounds, seen by a camera. Brightness is 0..1."""

    def __init__(self, rng: np.random.Generator):
        self.rng = rng
        self.outlines = [_outline(rng) for _ in range(PIECES)]
        self.textures = [_noise(rng, PIECE) for _ in range(PIECES)]

    def clip(self, frames: int, height: int, width: int) -> np.ndarray:
        """Return a clip `uint8 [frames, height, width, 3]`."""
        rng, size = self.rng, np.array([width, height]) * OVER
        count = int(MOST_LEAVES ** rng.random()) if rng.random() < 0.75 else 0
        contrast = float(np.exp(rng.uniform(np.log(0.004), np.log(0.25))))
        tones = self._tones(count + 1 + MOST_MOVING)
        scene = self._scene((size * BEYOND).astype(int), tones[: count + 1], contrast)
        moving = []
        if frames > 1 and rng.random() < 0.6:
            moving = [self._moving(size, tone, contrast) for tone in tones[-rng.integers(1, MOST_MOVING + 1) :]]
        pictures = self._filmed(scene, moving, frames, size)
        clip = np.stack([cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA) for picture in pictures])
        if rng.random() < 0.3:
            blur = rng.uniform(0.4, 1.5)
            clip = np.stack([cv2.GaussianBlur(picture, (0, 0), blur) for picture in clip])
        if rng.random() < 0.3:
            clip = clip + rng.normal(0, rng.uniform(0.005, 0.04), clip.shape)
        if rng.random() < 0.25:
            clip = clip.mean(-1, keepdims=True).repeat(3, axis=-1)
        return _bytes(clip * 255)

    def _tones(self, count: int) -> np.ndarray:
        """Return colours `[count, 3]` of one scene: of one light and tint, more or less grey."""
        rng = self.rng
        light = rng.uniform(0.05, 0.95) + rng.uniform(0.05, 0.35) * rng.standard_normal((count, 1))
        tint = rng.normal(0, rng.uniform(0, 0.12), 3) + rng.uniform(0, 0.2) * rng.standard_normal((count, 3))
        return np.asarray(light + tint)

    def _scene(self, size: np.ndarray, tones: np.ndarray, contrast: float) -> np.ndarray:
        """Return a ground with pieces on it, in the order of their tones `float32 [H, W, 3]`."""
        rng, (width, height) = self.rng, size
        ground = cv2.resize(_noise(rng, 128), (int(width), int(height)), interpolation=cv2.INTER_CUBIC)
        colourful, (down, across) = rng.uniform(0, 0.5), rng.normal(0, 0.25, 2)
        lit = down * np.linspace(-0.5, 0.5, height)[:, None] + across * np.linspace(-0.5, 0.5, width)
        grain = contrast * rng.integers(2) if len(tones) > 1 else contrast
        texture = (1 - colourful) * ground[..., :1] + colourful * ground
        scene = np.asarray(tones[0] + grain * texture + lit[..., None], np.float32)
        least = rng.uniform(0.04, 0.4)
        for tone in tones[1:]:
            diameter = min(1.5, least * rng.uniform(0.02, 1) ** -0.7) * height / BEYOND  # few are large
            self._paste(scene, self._place(diameter, size), tone, contrast)
        return scene

    def _moving(self, size: np.ndarray, tone: np.ndarray, contrast: float) -> Moving:
        rng = self.rng
        place, outline = self._place(rng.uniform(0.15, 0.8) * size[1], size), self.outlines[rng.integers(PIECES)]
        way, (turn, growth) = rng.normal(0, 0.3, 2) * size, rng.normal(0, (0.5, 0.3))
        return Moving(place, outline, self._texture(tone, contrast), way, turn, growth)

    def _filmed(
        self, scene: np.ndarray, moving: Sequence[Moving], frames: int, size: np.ndarray
    ) -> Sequence[np.ndarray]:
        """Return the pictures `float32 [H, W, 3]` of a scene and what moves in it, by a camera that may move."""
        rng, box = self.rng, (int(size[0]), int(size[1]))
        amount = rng.uniform(0, 0.25) * (rng.random() < 0.7)
        pan, (zoom, turn) = rng.normal(0, amount, 2) * size, rng.normal(0, 0.6 * amount, 2)
        shake = np.cumsum(rng.normal(0, rng.choice([0, 0.5, 2.0]) * (amount > 0), (frames, 2)), axis=0)
        brighter, middle = rng.normal(0, 0.04) * rng.integers(2), np.array(scene.shape[1::-1]) / 2
        pictures = []
        for moment, shaken in zip(np.linspace(0, 1, frames), shake, strict=True):
            part = _turned(turn * (moment - 0.5), zoom * (moment - 0.5))
            view = np.column_stack([part, size / 2 + pan * (moment - 0.5) + shaken - part @ middle])
            picture = cv2.warpAffine(scene, view, box, borderMode=cv2.BORDER_REFLECT)
            for piece in moving:
                part = _turned(piece.turn * moment, piece.growth * moment)
                centre = piece.place @ np.array([PIECE / 2, PIECE / 2, 1])
                shift = part @ (piece.place[:, 2] - centre) + centre + piece.way * (moment - 0.5)
                place = np.column_stack([part @ piece.place[:, :2], shift])
                _cover(picture, piece.outline, piece.texture, place)
            pictures.append(picture + np.float32(brighter * (moment - 0.5)))
        return pictures

    def _place(self, diameter: float, size: np.ndarray) -> np.ndarray:
        """Return where in a picture a piece of a diameter in pixels comes to lie: an affine map `[2, 3]`."""
        stretch = np.exp(self.rng.normal(0, 0.3))
        part = _turned(self.rng.uniform(0, 2 * np.pi), np.log(diameter / PIECE)) @ np.diag([stretch, 1 / stretch])
        return np.column_stack([part, self.rng.uniform(-0.1, 1.1, 2) * size - part @ np.full(2, PIECE / 2)])

    def _paste(self, scene: np.ndarray, place: np.ndarray, tone: np.ndarray, contrast: float) -> None:
        corners = place @ np.array([[0, 0, PIECE, PIECE], [0, PIECE, 0, PIECE], [1, 1, 1, 1]])
        left, top = np.maximum(np.floor(corners.min(1)).astype(int), 0)
        right, bottom = np.minimum(np.ceil(corners.max(1)).astype(int) + 1, scene.shape[1::-1])
        if left < right and top < bottom:
            there = place - np.array([[0, 0, left], [0, 0, top]])
            lit = np.linspace(-0.5, 0.5, PIECE)[:, None, None] * self.rng.normal(0, 0.15)
            texture = self._texture(tone + lit, contrast)
            _cover(scene[top:bottom, left:right], self.outlines[self.rng.integers(PIECES)], texture, there)

    def _texture(self, tone: np.ndarray, contrast: float) -> np.ndarray:
        noise, colourful = self.textures[self.rng.integers(PIECES)], self.rng.uniform(0, 0.5)
        texture = tone + contrast * ((1 - colourful) * noise[..., :1] + colourful * noise)
        return np.asarray(texture, np.float32)


def scrambled(own: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return one of a dataset's own clips `uint8 [N, F, H, W, 3]` that is none any more `uint8 [F, H, W, 3]`."""
    ways: tuple[Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray], ...]
    ways = (_other_phases, _warped, _shuffled, _textured)
    one, other = own[rng.integers(len(own), size=2)]
    return _bytes(ways[rng.integers(len(ways))](one.astype(np.float32), other.astype(np.float32), rng))


def _other_phases(clip: np.ndarray, _: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Keep its spectrum and its changes, and lose its outlines."""
    height, width = clip.shape[1:3]
    turns = rng.uniform(0.5, 1) * np.angle(np.fft.rfft2(rng.standard_normal((height, width))))
    turns[0, 0] = 0
    spectrum = np.fft.rfft2(clip, axes=(1, 2)) * np.exp(1j * turns)[..., None]
    return np.asarray(np.fft.irfft2(spectrum, axes=(1, 2), s=(height, width)))


def _warped(clip: np.ndarray, _: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    height, width = clip.shape[1:3]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    bend = cv2.resize(_noise(rng, 64, rng.uniform(1.5, 2.2), 2), (width, height))
    bend *= rng.uniform(0.06, 0.16) * min(height, width)
    map_x, map_y = x + bend[..., 0], y + bend[..., 1]
    return np.stack([cv2.remap(f, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT) for f in clip])


def _shuffled(clip: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take pieces of two clips in any order, without hard seams."""
    side = min(int(rng.choice([4, 8, 8, 16])), *clip.shape[1:3])
    frames, rows, columns = len(clip), clip.shape[1] // side, clip.shape[2] // side

    def pieces(whole: np.ndarray) -> np.ndarray:
        even = whole[:, : rows * side, : columns * side].reshape(frames, rows, side, columns, side, 3)
        return even.transpose(1, 3, 0, 2, 4, 5).reshape(rows * columns, frames, side, side, 3)

    both = np.concatenate([pieces(clip), pieces(other)])[rng.permutation(2 * rows * columns)[: rows * columns]]
    shuffled = clip.copy()
    placed = both.reshape(rows, columns, frames, side, side, 3).transpose(2, 0, 3, 1, 4, 5)
    shuffled[:, : rows * side, : columns * side] = placed.reshape(frames, rows * side, columns * side, 3)
    return np.stack([cv2.GaussianBlur(picture, (0, 0), 0.5) for picture in shuffled])


def _textured(clip: np.ndarray, _: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    noise = cv2.resize(_noise(rng, 64, rng.uniform(0.3, 1.5)), clip.shape[2:0:-1])
    strength = np.exp(rng.uniform(np.log(8), np.log(50)))
    return np.asarray(clip + strength * (noise if rng.random() < 0.4 else noise[..., :1]))


def _noise(rng: np.random.Generator, side: int, power: float | None = None, channels: int = 3) -> np.ndarray:
    """Return noise `float32 [side, side, channels]` of spread 1 whose amplitude falls as 1 / frequency ** power."""
    power = rng.uniform(0.7, 2.2) if power is None else power
    down, across = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    turn, stretch = rng.uniform(0, np.pi), np.exp(rng.normal(0, 0.4))  # longer one way, as grass and water are
    u, v = across * np.cos(turn) + down * np.sin(turn), down * np.cos(turn) - across * np.sin(turn)
    frequency = np.hypot(u * stretch, v / stretch)
    frequency[0, 0] = np.inf
    white = np.fft.rfft2(rng.standard_normal((side, side, channels)), axes=(0, 1))
    noise = np.fft.irfft2(white * (frequency**-power)[..., None], axes=(0, 1), s=(side, side))
    return np.asarray(noise / noise.std((0, 1)), np.float32)


def _outline(rng: np.random.Generator) -> np.ndarray:
    """Return a piece's outline, its cover 0..1 `float32 [PIECE, PIECE]`: a blob, a jagged figure, or a stroke."""
    kind, cover = rng.integers(3), np.zeros((PIECE, PIECE), np.float32)
    if kind == 0:
        y, x = np.mgrid[-1 : 1 : PIECE * 1j, -1 : 1 : PIECE * 1j]
        rough = rng.uniform(0.2, 0.6) * _noise(rng, PIECE, rng.uniform(1.2, 2.5), 1)[..., 0]
        inside = rough + 1.2 - 2.2 * np.hypot(x, y * np.exp(rng.normal(0, 0.5)))
        return np.asarray(np.clip(inside * PIECE / 4, 0, 1), np.float32)
    if kind == 1:
        corners = int(rng.integers(4, 10))
        angle, radius = np.sort(rng.uniform(0, 2 * np.pi, corners)), rng.uniform(0.35, 1, corners)
        flat = np.exp(-abs(rng.normal(0, 0.5)))
        points = (np.stack([np.cos(angle), flat * np.sin(angle)], axis=1) * radius[:, None] + 1) * PIECE / 2
        cv2.fillPoly(cover, [_sixteenths(points)], 1.0, cv2.LINE_AA, 4)
    else:
        points = np.cumsum(rng.normal(0, PIECE * 0.12, (rng.integers(3, 8), 2)), axis=0)
        points += PIECE / 2 - points.mean(0)
        cv2.polylines(cover, [_sixteenths(points)], False, 1.0, int(rng.integers(2, PIECE // 5)), cv2.LINE_AA, 4)
    return cover


def _sixteenths(points: np.ndarray) -> np.ndarray:
    return np.asarray(np.round(points * 16), np.int32)


def _turned(angle: float, growth: float) -> np.ndarray:
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(np.exp(growth) * turn)


def _cover(picture: np.ndarray, outline: np.ndarray, texture: np.ndarray, place: np.ndarray) -> None:
    """Put a piece of a texture into a picture, where an affine map places it."""
    box = picture.shape[1::-1]
    cover = cv2.warpAffine(outline, place, box)[..., None]
    picture += cover * (cv2.warpAffine(texture, place, box, borderMode=cv2.BORDER_REFLECT) - picture)


def _bytes(clip: np.ndarray) -> np.ndarray:
    return np.asarray(np.clip(clip.round(), 0, 255), np.uint8)


def by_shape(clips: Sequence[np.ndarray]) -> dict[tuple[int, ...], np.ndarray]:
    """Return clips `[N, F, H, W, 3]` by the shape that they have in common."""
    groups: dict[tuple[int, ...], list[np.ndarray]] = defaultdict(list)
    for clip in clips:
        groups[clip.shape].append(clip)
    return {shape: np.stack(some) for shape, some in groups.items()}
