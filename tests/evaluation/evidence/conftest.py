"""Small films whose truth is known: textured things on a textured ground, with grain, and the evidence in them."""

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import pytest

from evaluation.evidence.clip import Evidence, gather
from evaluation.findings import ClipInput

OVER = 2  # drawn at twice the size
MARGIN = 60  # pixels of ground beyond the frame


@dataclass(frozen=True)
class Drawn:
    """A thing of a film: where its centre is `[T, 2]`, in the ground's pixels, and in which frames it is to be seen."""

    path: np.ndarray
    kind: str = "disc"  # or "box", "star", or "blob", whose outline changes
    radius: float = 10.0
    seen: np.ndarray | None = None
    colour: tuple[float, float, float] = (200.0, 60.0, 50.0)


@dataclass(frozen=True, eq=False)
class Film:
    """The evidence in a film, and the owner of every pixel `[T, h, w]`: 0 none, else which thing, from 1."""

    evidence: Evidence
    owners: np.ndarray

    def overlap(self, thing: int, frame: int, mask: np.ndarray) -> float:
        truth = self.owners[frame] == thing
        return float((truth & mask).sum() / max(1, (truth | mask).sum()))

    def followed(self, thing: int) -> list[int]:
        """The track that overlaps a thing most in every frame it is seen in; -1 where none has half of both."""
        h, w = self.owners.shape[1:]
        found = []
        for t in np.flatnonzero((self.owners == thing).sum(axis=(1, 2)) > 20):
            tracks = self.evidence.tracks
            overlaps = [
                self.overlap(thing, t, track.mask(t - track.start, h, w)) if track.start <= t <= track.end else 0.0
                for track in tracks
            ]
            best = int(np.argmax(overlaps)) if overlaps else -1
            found.append(best if best >= 0 and overlaps[best] >= 0.5 else -1)
        return found


def along(frames: int, *points: tuple[float, float]) -> np.ndarray:
    """Straight lines between points, each in the same number of frames, `[T, 2]`."""
    place = np.linspace(0, len(points) - 1, frames)
    return np.stack(
        [np.interp(place, np.arange(len(points)), axis) for axis in np.array(points, dtype=float).T], axis=1
    )


@pytest.fixture(scope="package")
def film() -> Callable[..., Film]:
    return _film


def _film(
    things: list[Drawn],
    *,
    size: tuple[int, int] = (128, 96),
    fps: float = 24.0,
    grain: float = 2.0,
    pillar: tuple[int, int] | None = None,
    camera: np.ndarray | None = None,
    light: np.ndarray | None = None,
) -> Film:
    """Draw a film of a width and height. `pillar`: x0, x1 of what stands before all things; `camera` [T, 2]."""
    T = len(things[0].path)
    rng = np.random.default_rng(7)
    W, H, M = size[0] * OVER, size[1] * OVER, MARGIN * OVER
    ground = _sheet(rng, W + 2 * M, H + 2 * M, (95, 130, 110), 8)
    front = _sheet(rng, W + 2 * M, H + 2 * M, (60, 70, 160), 8)
    frames, owners = [], []
    for t in range(T):
        shift = np.zeros(2) if camera is None else camera[t]
        left, top = np.round(M + shift * OVER).astype(int)
        picture, owner = ground[top : top + H, left : left + W].copy(), np.zeros((H, W), np.uint8)
        for number, thing in enumerate(things, 1):
            if thing.seen is not None and not thing.seen[t]:
                continue
            x, y = np.meshgrid(np.arange(W), np.arange(H))
            dx, dy = ((x + 0.5) / OVER - 0.5, (y + 0.5) / OVER - 0.5)
            dx, dy = dx - (thing.path[t, 0] - shift[0]), dy - (thing.path[t, 1] - shift[1])
            mask = _inside(thing, dx, dy, t)
            shade = 12 * np.sin(dx[mask] / 2.5)[:, None] - 1.2 * dy[mask][:, None]
            picture[mask], owner[mask] = np.array(thing.colour) + shade, number
        if pillar:
            x0, x1 = (round(float(x - shift[0]) * OVER) for x in pillar)
            x0, x1 = max(0, x0), max(0, x1)
            picture[:, x0:x1] = front[top : top + H, left : left + W][:, x0:x1]
            owner[:, x0:x1] = 0
        picture = cv2.resize(cv2.GaussianBlur(picture, (0, 0), 1.2), size, interpolation=cv2.INTER_AREA)
        picture = picture * (1 if light is None else light[t]) + grain * rng.standard_normal(picture.shape)
        frames.append(np.clip(picture, 0, 255).astype(np.uint8))
        owners.append(owner[::OVER, ::OVER])
    return Film(gather(ClipInput("film", np.stack(frames), fps)), np.stack(owners))


def _inside(thing: Drawn, dx: np.ndarray, dy: np.ndarray, t: int) -> np.ndarray:
    if thing.kind == "box":
        return (abs(dx) <= 0.9 * thing.radius) & (abs(dy) <= 0.7 * thing.radius)
    reach = {"disc": 1.0, "star": 0.8 + 0.2 * np.cos(5 * np.arctan2(dy, dx))}
    breathing = 0.75 + 0.25 * np.cos(2 * np.arctan2(dy, dx) + 0.4 * t) * np.sin(0.5 * t)
    return np.hypot(dx, dy) <= thing.radius * reach.get(thing.kind, breathing)


def _sheet(
    rng: np.random.Generator, width: int, height: int, colour: tuple[int, int, int], amount: float
) -> np.ndarray:
    coarse = cv2.GaussianBlur(rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), 9)
    fine = cv2.GaussianBlur(rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), 2)
    return np.asarray(colour, np.float32) + amount * coarse / coarse.std() + 0.5 * amount * fine / fine.std()
