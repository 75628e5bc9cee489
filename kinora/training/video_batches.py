"""The batches of an autoencoder's training: excerpts of clips, read when they are needed, a few batches ahead.

A batch is of one size and length. Which excerpts it holds is a function of (seed, step) alone, and they are dealt to
the processes one by one; so neither a stop nor another number of processes changes what is learned. Only a few batches
and a bounded cache of small clips are in memory, however many clips there are.
"""

import math
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from kinora.data.clips import ClipDataset
from kinora.data.loader import Loader

Shape = tuple[int, int, int]  # frames, height, width
COLUMNS = ("uri", "kind", "frames", "width", "height")  # of a clip, to read it
CACHE_BYTES = 2**28  # of decoded clips, in each process: small sets are decoded once


@dataclass(frozen=True)
class Limits:
    """What excerpts are cut to: at most so many frames, one more than a multiple of `temporal`, and pixels of a side, a
    multiple of `spatial`.
    """

    frames: int
    side: int
    temporal: int = 1
    spatial: int = 1

    def shapes(self, sizes: np.ndarray) -> np.ndarray:
        """Return the shapes `[N, 3]` of excerpts of clips of `sizes [N, 3]`; what is below the grid is taken whole."""
        most = np.array([self.frames, self.side, self.side])
        grid = np.array([self.temporal, self.spatial, self.spatial])
        extra = np.array([1, 0, 0])  # the first frame stands beside the grid
        shapes = (np.minimum(sizes, most) - extra) // grid * grid + extra
        return np.where(shapes > 0, shapes, sizes)


@dataclass(frozen=True)
class Excerpt:
    """A part of a clip: its first frame, row and column, its shape, and whether left and right are exchanged.

    clip: the place of its row in the dataset.
    """

    clip: int
    start: Shape
    shape: Shape
    mirrored: bool = False


class Excerpts:
    """Excerpts of the clips of one split, by shape. Of each clip place and size are held, some 50 bytes."""

    def __init__(self, dataset: ClipDataset, split: str, limits: Limits):
        first, places, found = 0, [np.zeros(0, np.int32)], [np.zeros((0, 3), np.int64)]
        for piece in dataset.pieces(["split", "frames", "height", "width"]):
            of_split = (piece["split"] == split).to_numpy()
            places.append(np.flatnonzero(of_split).astype(np.int32) + np.int32(first))
            found.append(piece.loc[of_split, ["frames", "height", "width"]].to_numpy(np.int64))
            first += len(piece)
        sizes, self.clips = np.concatenate(found), np.concatenate(places)
        shapes, kinds = np.unique(limits.shapes(sizes), axis=0, return_inverse=True)
        self.groups: dict[Shape, np.ndarray] = {  # the numbers of their clips
            (t, h, w): np.flatnonzero(kinds == kind) for kind, (t, h, w) in enumerate(shapes.tolist())
        }
        self.sizes = sizes
        self.pixels = {shape: np.cumsum(sizes[group].prod(1)) for shape, group in self.groups.items()}

    def __len__(self) -> int:
        """Return how many clips there are."""
        return len(self.clips)

    def batch(self, pixels: int, seed: int, step: int) -> list[Excerpt]:
        """Draw the excerpts of a step, `pixels` in all or nearly; every pixel of the set is as likely as any other."""
        chance = np.random.default_rng([seed, step])
        totals = np.cumsum([counted[-1] for counted in self.pixels.values()])
        shape = list(self.groups)[int(np.searchsorted(totals, chance.random() * totals[-1], side="right"))]
        group, counted = self.groups[shape], self.pixels[shape]
        count = min(max(1, round(pixels / math.prod(shape))), len(group))
        drawn = np.searchsorted(counted, chance.random(count) * counted[-1], side="right")
        return [self._excerpt(int(group[number]), shape, chance) for number in drawn]

    def some(self, count: int, seed: int = 0) -> dict[Shape, list[Excerpt]]:
        """Return the middles of clips of every shape, at most `count` of each, drawn evenly."""
        chosen = {}
        for shape, group in self.groups.items():
            chance = np.random.default_rng([seed, *shape])
            few = np.sort(chance.permutation(len(group))[:count])
            chosen[shape] = [self._middle(int(number), shape) for number in group[few]]
        return chosen

    def _excerpt(self, number: int, shape: Shape, chance: np.random.Generator) -> Excerpt:
        first, top, left = (int(chance.integers(free + 1)) for free in self.sizes[number] - shape)
        # Left and right look alike: twice the clips.
        return Excerpt(int(self.clips[number]), (first, top, left), shape, bool(chance.random() < 0.5))

    def _middle(self, number: int, shape: Shape) -> Excerpt:
        first, top, left = ((self.sizes[number] - shape) // 2).tolist()
        return Excerpt(int(self.clips[number]), (first, top, left), shape)


class ExcerptReader:
    """Reads excerpts. Whole clips are kept decoded until `cache_bytes` are full; then what is kept stays."""

    def __init__(self, dataset: ClipDataset, cache_bytes: int = CACHE_BYTES):
        self.dataset, self.free = dataset, cache_bytes
        self.cache: dict[int, np.ndarray] = {}
        self.lock = threading.Lock()

    def read(self, excerpt: Excerpt) -> np.ndarray:
        """Return the frames `uint8 [T, H, W, 3]` of an excerpt.

        Raises:
            KinoraError: if the clip's file is missing or broken.
        """
        (first, top, left), (count, height, width) = excerpt.start, excerpt.shape
        frames = self.cache.get(excerpt.clip)
        if frames is None:
            row = dict(self.dataset.rows.read([excerpt.clip], COLUMNS).iloc[0])
            frames = self.dataset.row_frames(row, first, count)[:, top : top + height, left : left + width]
            if excerpt.shape == (row["frames"], row["height"], row["width"]):
                self._keep(excerpt.clip, frames)
        return frames[:, :, ::-1] if excerpt.mirrored else frames

    def stack(self, excerpts: Sequence[Excerpt]) -> Tensor:
        """Return excerpts of one shape as `uint8 [B, T, H, W, 3]`."""
        return torch.from_numpy(np.stack([self.read(excerpt) for excerpt in excerpts]))

    def portions(self, excerpts: Sequence[Excerpt], pixels: int) -> Iterator[Tensor]:
        """Yield excerpts of one shape in stacks of at most `pixels`, but no less than one, the next one read ahead."""
        most = max(1, pixels // math.prod(excerpts[0].shape)) if excerpts else 1
        stacks = [excerpts[start : start + most] for start in range(0, len(excerpts), most)]
        with Loader(([partial(self.stack, some)] for some in stacks), ahead=2, threads=1) as loader:
            for (stack,) in loader:
                yield stack

    def _keep(self, clip: int, frames: np.ndarray) -> None:
        with self.lock:
            if frames.nbytes <= self.free and clip not in self.cache:
                self.free -= frames.nbytes
                self.cache[clip] = frames
