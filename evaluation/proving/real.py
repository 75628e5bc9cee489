"""Real clips: faultless pieces of a few seconds, in two halves that share no clip.

A folder of real clips holds `captions.jsonl`, one line a clip: `file`, `physics` (what happens, and how the camera
behaves) and `cuts` (the first frame of every new shot). The half `dev` is what detectors may be built and fitted on;
`report` is for what is reported. Which half a clip is in is decided by its name alone.
"""

import json
import os
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np

from evaluation.findings import TYPES, ClipInput
from evaluation.proving.case import Case
from evaluation.proving.codec import compressed
from kinora.errors import UsageError
from kinora.media import read_video

HALVES = ("dev", "report")
MEDIA = "KINORA_TEST_MEDIA"  # names the folder of test media
FASTEST = 30.0  # frames a second; faster clips are thinned out, as their slow motion is nothing that a model makes
PIECE_SECONDS = 3.0  # about; shots are cut into equal pieces of 2 to 4 s
LEAST_SECONDS, LEAST_FRAMES = 0.8, 16
LONGEST_SECONDS = 16.0  # of a file that are read
SIDES = (320, 320, 192, 128)  # longest sides in pixels that pieces are reduced to, one each by its name
RATES = (18, 20, 23, 26)  # constant rate factors of H.264, one each by its name

THINGS = frozenset({"walks", "drives", "falls", "rolls", "collides"})  # there is a thing that an eye can follow
ARROW = frozenset({"walks", "drives", "falls", "collides", "flows"})  # time is seen to run forward
OF_THINGS = frozenset({"appearance", "disappearance", "permanence", "teleport", "identity_drift"})
OF_FRAMES = frozenset({"flicker", "incoherence"})


@dataclass(frozen=True, eq=False)
class Piece:
    """A few seconds of one shot, of a real clip or one that a model made: `frames uint8 [T, H, W, 3]`, sides even."""

    name: str
    file: str
    frames: np.ndarray
    fps: float
    physics: frozenset[str]
    crf: int  # how strongly everything made of it is compressed
    family: str = "real"

    @property
    def steady(self) -> bool:
        """Say whether the camera rests."""
        return "static_camera" in self.physics

    @property
    def due(self) -> frozenset[str]:
        """Return the types that an eye can judge in it, by what its caption says of it."""
        types = set(OF_FRAMES)
        if self.physics & THINGS:
            types |= OF_THINGS
        if moving(self.frames).any():
            types.add("freeze")
        if "camera_pan" in self.physics:
            types.add("view_inconsistency")
        if "falls" in self.physics:
            types.add("gravity")
        if "collides" in self.physics:
            types |= {"momentum", "interpenetration"}
        return frozenset(types)


def media_folder() -> Path:
    """Return the folder of real clips.

    Raises:
        UsageError: there is none.
    """
    named = os.environ.get(MEDIA)
    folder = (Path(named) if named else Path(__file__).parents[2].parent / "shared" / "media") / "natural"
    if not (folder / "captions.jsonl").is_file():
        raise UsageError(f"{folder} holds no real clips with captions.jsonl; name their folder in {MEDIA}.")
    return folder


def half_of(file: str) -> str:
    """Return the half that a clip is in."""
    return HALVES[zlib.crc32(file.encode()) % 2]


def clips_of(folder: Path, half: str) -> list[dict[str, object]]:
    """Return the lines of `captions.jsonl` whose clips are in one half, by name."""
    lines = [json.loads(line) for line in (folder / "captions.jsonl").read_text().splitlines() if line.strip()]
    return sorted((row for row in lines if half_of(row["file"]) == half), key=lambda row: str(row["file"]))


def pieces(folder: Path, row: dict[str, object]) -> Iterator[Piece]:
    """Yield the pieces of one clip of `clips_of`."""
    file = str(row["file"])
    frames, fps = read_video(folder / file, round(LONGEST_SECONDS * 60))
    cuts = [int(cut) for cut in row["cuts"]]  # type: ignore[attr-defined]
    edges = [0, *cuts, len(frames)]
    number = 0
    for start, end in pairwise(edges):
        shot = frames[start : min(end, start + round(LONGEST_SECONDS * fps))]
        step = max(1, round(fps / FASTEST))
        shot, rate = shot[::step], fps / step
        parts = max(1, round(len(shot) / rate / PIECE_SECONDS))
        for part in np.array_split(np.arange(len(shot)), parts):
            if len(part) < LEAST_FRAMES or len(part) / rate < LEAST_SECONDS:
                continue
            number += 1
            name = f"{Path(file).stem} {number}"
            choice = zlib.crc32(name.encode()) >> 4
            side, crf = SIDES[choice % len(SIDES)], RATES[(choice >> 8) % len(RATES)]
            yield Piece(name, file, reduced(shot[part], side), rate, frozenset(row["physics"]), crf)  # type: ignore[call-overload]


def reduced(frames: np.ndarray, side: int) -> np.ndarray:
    """Return frames whose longer side is at most `side` pixels, both sides even."""
    height, width = frames.shape[1:3]
    scale = min(1.0, side / max(height, width))
    size = (2 * round(width * scale / 2), 2 * round(height * scale / 2))
    if size == (width, height):
        return frames
    return np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in frames])


def moving(frames: np.ndarray, levels: float = 6.0, share: float = 0.004) -> np.ndarray:
    """Say for each of the `[T - 1]` steps whether an eye sees something move: a share of the picture changes clearly.

    Frames a sixth of a second apart would show more; neighbours are what a stop is seen in.
    """
    soft = frames[:, ::2, ::2].astype(np.int16).mean(axis=3)
    return np.array([(np.abs(b - a) > levels).mean() > share for a, b in pairwise(soft)])


def panned(piece: Piece, rng: np.random.Generator) -> Piece:
    """Return what a camera would have filmed that turns over the picture of a resting one and comes a bit closer."""
    T, height, width, _ = piece.frames.shape
    low, high = rng.uniform(0.0, 0.05, 2), rng.uniform(0.95, 1.0, 2)
    ends = np.array([low, high]) if rng.random() < 0.5 else np.array([(low[0], high[1]), (high[0], low[1])])
    ends = ends[:: rng.choice([-1, 1])]
    share = np.linspace(0, 1, T)
    part = 0.68 - 0.06 * share * rng.random()  # of the picture that is seen
    frames = []
    for t, frame in enumerate(piece.frames):
        x, y = (ends[0] + share[t] * (ends[1] - ends[0])) * (1 - part[t]) * (width - 1, height - 1)
        view = np.array([[part[t], 0, x], [0, part[t], y]])
        how = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        frames.append(cv2.warpAffine(frame, view, (width, height), flags=how, borderMode=cv2.BORDER_REFLECT))
    return replace(
        piece,
        name=f"{piece.name}, panned",
        frames=np.stack(frames),
        physics=piece.physics - {"static_camera"} | {"camera_pan"},
    )


def named(piece: Piece, way: str) -> str:
    """Return the name of the clip that is made of a piece in some way."""
    return f"{piece.name}, {way}"


def case_of(
    piece: Piece, frames: np.ndarray, way: str, *, due: frozenset[str] | None = None, base: str | None = None
) -> Case:
    """Return the faultless case that `frames`, made of a piece, are, compressed as everything made of it."""
    clip = ClipInput(named(piece, way), compressed(frames, piece.fps, piece.crf), piece.fps)
    types = piece.due if due is None else due
    assert types <= set(TYPES)
    return Case(clip, piece.family, base or piece.file, way, None, types)


@dataclass(frozen=True, eq=False)
class Footage:
    """One half of the real clips in a folder."""

    folder: Path
    half: str

    def rows(self) -> list[dict[str, object]]:
        """Return the lines of its clips."""
        return clips_of(self.folder, self.half)

    def piece_of_another(self, file: str, rng: np.random.Generator) -> Piece | None:
        """Return a piece of another clip, None if there is no other."""
        others = [row for row in self.rows() if row["file"] != file]
        if not others:
            return None
        return next(pieces(self.folder, others[int(rng.integers(len(others)))]), None)
