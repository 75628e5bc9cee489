"""From scenes to cases: takes are painted, failures checked to be visible, pictures finished and compressed."""

import zlib
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from evaluation.findings import Box, ClipInput
from evaluation.proving.case import Case, Known
from evaluation.proving.codec import compressed
from evaluation.proving.stage.dynamics import simulate
from evaluation.proving.stage.failures import Fault, due
from evaluation.proving.stage.scene import Scene, Take
from evaluation.proving.stage.ways import faults

VISIBLE = 14.0  # levels by which a pixel must differ from the faultless take's to be seen to
CRFS = (None, 18, 23, 28, 33)  # of H.264; None: not compressed


@dataclass(frozen=True, eq=False)
class Picture:
    """A painted take: `frames` float32 `[T, H, W, 3]` in 0..255; `owner` int8 `[T, H, W]`: a thing, or negative."""

    frames: np.ndarray
    owner: np.ndarray


class Painter(Protocol):
    """Draws the takes of one scene; `finish` makes uint8 of float `[T, H, W, 3]`: lens, sensor, grain."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def finish(self) -> Callable[[np.ndarray], np.ndarray]: ...

    def paint(self, take: Take) -> Picture: ...

    def whereabouts(
        self, take: Take
    ) -> np.ndarray: ...  # of the things: float [T, N, 3], x and y in pixels, pixels a height


Stage = Callable[[np.random.Generator, Scene | None, tuple[int, int] | None], tuple[Scene, Painter]]


def film(
    family: str, stage: Stage, count: int, seed: int, *, faultless: bool, types: Collection[str] | None = None
) -> Iterator[Case]:
    """`count` cases of a family, of some types of failures alone if they are named.

    `stage` draws a scene and who paints it, as long and large as another one if asked.
    """
    made, number = 0, 0
    while made < count:
        for case in _of_one_base(family, stage, seed, number, faultless, types):
            yield case
            made += 1
            if made == count:
                return
        number += 1


def _of_one_base(
    family: str, stage: Stage, seed: int, number: int, faultless: bool, types: Collection[str] | None = None
) -> Iterator[Case]:
    rng = np.random.default_rng([seed, number, zlib.crc32(family.encode())])
    scene, painter = stage(rng, None, None)
    take = simulate(scene)
    picture = painter.paint(take)
    seen = visibility(scene, painter, take, picture)
    if (seen.max(1) > 0.5).mean() < 0.4:  # too little to be seen: not a clip that anybody would judge
        return
    base, crf = f"{family}-{seed}-{number}", CRFS[rng.integers(len(CRFS))]
    inside = within(painter.whereabouts(take), painter.size)
    judged = due(scene, take, seen, inside)

    def case(frames: np.ndarray, way: str, failure: Known | None) -> Case:
        name = f"{base}-{failure.type if failure else 'faultless'}"
        finished = painter.finish(frames)
        if crf is not None:
            finished = compressed(finished, scene.fps, crf)
        due_here = judged | {failure.type} if failure else judged
        return Case(ClipInput(name, finished, scene.fps), family, base, way, failure, frozenset(due_here))

    yield case(picture.frames, f"{scene.kind}, as nature does it", None)
    if faultless:
        return
    done: set[str] = set()
    for fault in faults(scene, take, seen, inside, rng):
        if fault.type in done or (types is not None and fault.type not in types):
            continue
        if fault.mix is None:
            failed = painter.paint(fault.take)
        else:
            other, stranger = stage(rng, scene, painter.size)
            share = fault.mix[:, None, None, None].astype(np.float32)
            frames = picture.frames * (1 - share) + stranger.paint(simulate(other)).frames * share
            failed = Picture(frames, picture.owner)
        known = evidence(fault, picture, failed)
        if fault.known_by is not None and not evidence(fault.known_by, picture, painter.paint(fault.known_by.take)):
            continue
        if known and convinces(fault, known, scene, take, visibility(scene, painter, fault.take, failed)):
            done.add(fault.type)
            yield case(failed.frames, f"{scene.kind}: {fault.way}", known)


def visibility(scene: Scene, painter: Painter, take: Take, picture: Picture) -> np.ndarray:
    """The share of each thing that is seen: float `[T, N]`."""
    scale = painter.whereabouts(take)[:, :, 2] * take.size
    seen = np.zeros(take.angle.shape)
    for index, thing in enumerate(scene.things):
        x, y = thing.outline.T * thing.radius
        area = 0.5 * abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1)))
        seen[:, index] = np.clip((picture.owner == index).sum((1, 2)) / (area * scale[:, index] ** 2), 0, 1)
    return seen


def within(whereabouts: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Whether the middle of each thing is in the picture: bool `[T, N]`."""
    return np.asarray(((whereabouts[:, :, :2] > 0) & (whereabouts[:, :, :2] < np.array(size))).all(2))


def convinces(fault: Fault, known: Known, scene: Scene, take: Take, seen: np.ndarray) -> bool:
    """Whether a failure of motion leads so far from what should happen, while it can be seen, that an eye can tell."""
    if fault.type not in ("gravity", "momentum", "teleport"):
        return True
    span = slice(known.start_frame, known.start_frame + max(4, round(scene.fps)))
    away = np.linalg.norm(fault.take.position[span] - take.position[span], axis=2)
    least = 1.0 if fault.severity == "subtle" else 1.6  # radii
    shown = seen[span] > 0.6
    if fault.type == "teleport" and not shown[0, list(fault.things)].all():
        return False
    return any(
        shown[:, index].sum() >= 3 and away[shown[:, index], index].max() >= least * scene.things[index].radius
        for index in fault.things
    )


def evidence(fault: Fault, right: Picture, wrong: Picture) -> Known | None:
    """The failure as an eye can see it: from the first frame that looks other than it should; None if none does.

    A failure that shows only after it happened (behind something) begins when it shows.
    """
    differs = np.abs(wrong.frames - right.frames).max(3) > VISIBLE  # [T, H, W]
    area = differs.sum((1, 2))
    needed = max(4.0, 0.0004 * differs[0].size)
    if fault.things:
        needed = max(4.0, 0.08 * _size(fault, right))
    shown = np.flatnonzero(area >= needed)
    if fault.type == "appearance":  # what should be there all the time is not: it shows once it is there
        shown = np.flatnonzero(fault.take.opacity[:, fault.things[0]] >= 0.2)
    shown = shown[shown >= fault.start]
    if not len(shown):
        return None
    start = int(shown[0])
    if fault.type == "interpenetration":  # what has left the picture fails no more
        there = np.isin(wrong.owner, fault.things).reshape(len(area), -1).any(1)
        shown = np.flatnonzero(there & (np.arange(len(area)) >= start))
    end = max(start, min(fault.end, int(shown[-1]) if len(shown) else start))
    box = _box(fault, right, wrong, start, end) if fault.things else None
    return Known(fault.type, start, min(end, len(area) - 1), box, fault.severity)


def _size(fault: Fault, picture: Picture) -> float:
    """Pixels of the smallest of the fault's things where it is best seen."""
    return float(min((picture.owner == index).sum((1, 2)).max() for index in fault.things))


def _box(fault: Fault, right: Picture, wrong: Picture, start: int, end: int) -> Box | None:
    """What the things cover over these frames and just before; where they are missing, what they should cover."""
    span = slice(max(0, start - 1), end + 1)
    owners = [wrong.owner[span]]
    if fault.type in ("appearance", "disappearance", "permanence"):
        owners.append(right.owner[span])
    covered = np.any(np.isin(np.concatenate(owners), fault.things), axis=0)
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    if not len(rows):
        return None
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
