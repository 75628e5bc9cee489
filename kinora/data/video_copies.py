"""Copies among videos: laid over each other at some offset in time, mirrored or not, their pictures change alike.

Where nothing moves in either, copies are those with equal pictures: no moment of a still scene is another.

Candidates come from an index of codes: the signs of a snapshot's lowest frequencies, and of those of what changes in
the half second after it, so that two moments before one fixed camera have different codes. Snapshots have 64 cells.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import numpy.typing as npt

from kinora.data.code_index import like_pairs, signs

Ints = npt.NDArray[np.signedinteger[Any]]
Floats = npt.NDArray[np.float32]
Instants = npt.NDArray[np.float64]

CELLS = 8  # each way
MIRRORED = np.arange(CELLS * CELLS).reshape(CELLS, CELLS)[:, ::-1].ravel()
BITS = 32  # of a code for the picture, and as many for its change
NEAR = 12  # bits in which the codes of copies may differ
CHANGE_S = 0.5  # over which a code looks at change
GAP_S = 0.19  # between two snapshots of one shot, at most
TICK_S = 1 / 8  # in which offsets are counted
MOVING = 1 / 8  # share of a source's snapshots after which something changes at once, if it moves at all
OFFSETS = 3  # that are tried for two sources, each with FINE around it, and FINER around the best
SLOW = 3  # ticks between the offsets that are tried where change is slow
FINE, FINER = (-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, 1.5), 0.25
PIECE = 2**14  # snapshots that are worked on together
# In levels of luminance, root mean square: what encoding alone changes, of small and finely textured pictures, and what
# a cell must change by over time, and in CHANGE_S, so that it tells one moment from another.
NOISE, STILL, CHANGED = 2.5, 1.0, 2.0
FEW = 8  # still snapshots, of which one is enough
FEWEST_CELLS = 2  # in which something must happen
ALIKE, RATHER_ALIKE = 0.87, 0.6  # of change: enough by itself, and enough for a clip of a video that is a copy
EQUAL = 2.5  # levels by which the mean pictures of copies in which nothing moves may differ, root mean square
SAME_PICTURE, SAME_STILL = 0.9, 0.98  # correlation of the mean pictures, and of those that nothing moves in
LIKE_CHANGE = 0.5  # correlation of what changes after two snapshots that may be the same
PROMISING = 0.4  # how alike change must be at a whole tick for others near it to be tried
FEWEST, FEWEST_OF_PART = 5, 8  # snapshots that can be compared, of two sources, and of a part that alone is alike


@dataclass(frozen=True)
class Snapshots:
    """All snapshots `[S]` in order of source and time: places in the fingerprints, numbers of clips and of sources."""

    fingerprints: npt.NDArray[np.uint64]
    rows: Ints
    clips: Ints
    sources: Ints
    times_s: Instants

    def cells(self, part: slice | Ints) -> Floats:
        """Return the cells of some snapshots, `float32 [n, 64]`."""
        return np.ascontiguousarray(self.fingerprints[self.rows[part]]).view(np.uint8).astype(np.float32)


def video_copies(snapshots: Snapshots) -> Iterator[tuple[int, int, float]]:
    """Yield (clip, clip of an earlier source, the share of the first that the second holds) of every two that share."""
    bounds = np.searchsorted(snapshots.sources, np.arange(snapshots.sources[-1] + 2))
    candidates, alive = _candidates(snapshots)
    for (a, b, mirrored), rows in groupby(candidates.tolist(), key=lambda row: tuple(row[:3])):
        here, there = (slice(bounds[source], bounds[source + 1]) for source in (a, b))
        earlier, later = snapshots.cells(here), snapshots.cells(there)
        ticks = [row[3] for row in sorted(rows, key=lambda row: (-row[4], row[3]))[:OFFSETS]]
        if not (alive[a] and alive[b]):  # where change is slow, a snapshot hardly says when it was taken
            first, last = (snapshots.times_s[there][[0, -1]] - snapshots.times_s[here][[-1, 0]]) / TICK_S
            ticks += range(int(first), int(last) + 1, SLOW)
        overlay = _Overlay(
            earlier,
            snapshots.times_s[here],
            snapshots.clips[here],
            later[:, MIRRORED] if mirrored else later,
            snapshots.times_s[there],
            snapshots.clips[there],
        )
        yield from overlay.shared(ticks)


def _candidates(snapshots: Snapshots) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return rows [earlier source, later source, mirrored, offset in ticks, votes], in order.

    And which sources move.
    """
    after = _later(snapshots)
    code, mirrored, moving = _codes(snapshots, after)
    # Nothing says when a still snapshot was taken; of sources that have enough others a few of them will do.
    alive = np.bincount(snapshots.sources, moving) > MOVING * np.bincount(snapshots.sources)
    some = np.arange(len(moving)) % FEW == 0
    kept = np.flatnonzero(moving | some | ~alive[snapshots.sources]).astype(np.int32)
    # Of two mirrored videos each is found by the other's mirror images; half of these are enough.
    places = np.concatenate([kept, kept[::2]])
    codes = np.concatenate([code[kept], mirrored[kept[::2]]])
    del code, mirrored, moving
    found = [np.zeros((0, 4), np.int64)]
    for i, j in like_pairs(codes, snapshots.sources[places], NEAR):
        turned = i >= len(kept), j >= len(kept)
        upright = ~(turned[0] & turned[1])
        i, j, mirror = i[upright], j[upright], (turned[0] ^ turned[1])[upright]
        a, b = np.minimum(places[i], places[j]), np.maximum(places[i], places[j])
        same = _same(snapshots, after, a, b, mirror)
        a, b, mirror = a[same], b[same], mirror[same]
        ticks = np.round((snapshots.times_s[b] - snapshots.times_s[a]) / TICK_S).astype(np.int64)
        found.append(np.column_stack([snapshots.sources[a], snapshots.sources[b], mirror, ticks]))
    rows, votes = np.unique(np.concatenate(found), axis=0, return_counts=True)
    return np.column_stack([rows, votes]), alive


def _later(snapshots: Snapshots) -> Ints:
    """Return for each snapshot the one CHANGE_S later, or itself where there is none."""
    line = snapshots.sources * 1e6 + snapshots.times_s
    after = np.minimum(np.searchsorted(line, line + CHANGE_S - 0.01), len(line) - 1)
    return np.where(line[after] - line < CHANGE_S + GAP_S, after, np.arange(len(line))).astype(np.int32)


def _codes(
    snapshots: Snapshots, after: Ints
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64], npt.NDArray[np.bool_]]:
    """Return every snapshot's code, that of its mirror image, and whether anything changes after it."""
    waves, turns = _waves()
    count = len(snapshots.rows)
    code, mirrored, moving = np.zeros(count, np.uint64), np.zeros(count, np.uint64), np.zeros(count, bool)
    for low in range(0, count, PIECE):
        part = np.arange(low, min(count, low + PIECE))
        here = snapshots.cells(part)
        change = snapshots.cells(after[part]) - here
        change[np.abs(change) < CHANGED] = 0
        moving[part] = (change != 0).sum(axis=1) >= FEWEST_CELLS
        picture, change = here @ waves, (change * moving[part, None]) @ waves
        code[part] = signs(np.concatenate([picture, change], axis=1))
        mirrored[part] = signs(np.concatenate([picture * turns, change * turns], axis=1))
    return code, mirrored, moving


def _same(
    snapshots: Snapshots, after: Ints, a: Ints, b: Ints, mirrored: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Say which pairs of snapshots with like codes have like pictures, and like changes after them."""
    same = np.zeros(len(a), bool)
    for low in range(0, len(a), PIECE):
        part = slice(low, low + PIECE)
        here, there = snapshots.cells(a[part]), snapshots.cells(b[part])
        change, other = snapshots.cells(after[a[part]]) - here, snapshots.cells(after[b[part]]) - there
        turned = mirrored[part, None]
        there, other = np.where(turned, there[:, MIRRORED], there), np.where(turned, other[:, MIRRORED], other)
        still = (np.abs(change) >= CHANGED).sum(axis=1) < FEWEST_CELLS
        like = _correlations(here - here.mean(axis=1, keepdims=True), there - there.mean(axis=1, keepdims=True))
        same[part] = (like >= SAME_PICTURE) & (still | (_correlations(change, other) >= LIKE_CHANGE))
    return same


def _correlations(a: Floats, b: Floats) -> Floats:
    return np.asarray((a * b).sum(axis=1) / np.sqrt(np.maximum((a * a).sum(axis=1) * (b * b).sum(axis=1), 1e-9)))


def _waves() -> tuple[Floats, Floats]:
    """Return the lowest frequencies of the cosine transform, `[64, BITS]`, and -1 where a mirror turns the sign."""
    at = (np.arange(CELLS) + 0.5) * np.pi / CELLS
    frequencies = sorted(((u, v) for u in range(CELLS) for v in range(CELLS)), key=lambda f: (f[0] ** 2 + f[1] ** 2, f))
    chosen = frequencies[1 : BITS + 1]  # all but the mean
    waves = np.stack([np.outer(np.cos(u * at), np.cos(v * at)).ravel() for u, v in chosen], axis=1)
    return waves.astype(np.float32), np.array([1 - v % 2 * 2 for _, v in chosen], np.float32)


@dataclass(frozen=True)
class _Overlay:
    """Two sources' snapshots: cells `[n, 64]`, instants in seconds and clips."""

    earlier: Floats
    earlier_s: Instants
    earlier_clips: Ints
    later: Floats
    later_s: Instants
    later_clips: Ints

    def shared(self, ticks: list[int], part: bool = False) -> Iterator[tuple[int, int, float]]:
        """Yield what the later source's clips share with the earlier one's, at the best offset near some.

        `part` says that they are but a part of the source, of which the whole is unlike.
        """
        if self._best(ticks)[0] < PROMISING:
            for clip in () if part else np.unique(self.later_clips):  # two edits may have but one shot in common
                own = self.later_clips == clip
                later = {"later": self.later[own], "later_s": self.later_s[own], "later_clips": self.later_clips[own]}
                yield from replace(self, **later).shared(ticks[:OFFSETS], part=True)
            return
        best = self._best({tick + fine for tick in ticks for fine in FINE})
        score, _, offset = max(best, self._best({best[2] - FINER, best[2] + FINER}))
        cells, there, nearest = self._laid(offset)
        whole = score >= ALIKE and not part
        for clip in np.unique(self.later_clips[there]):
            own = self.later_clips == clip
            fewest, enough = (1, RATHER_ALIKE) if whole else (FEWEST_OF_PART, ALIKE)
            if self._score(cells, there & own, fewest) >= enough:
                clips, counts = np.unique(self.earlier_clips[nearest[there & own]], return_counts=True)
                for other, count in zip(clips.tolist(), counts.tolist(), strict=True):
                    yield int(clip), other, count / int(own.sum())

    def _best(self, offsets: Collection[float]) -> tuple[float, int, float]:
        """Return how alike all is that lies over each other at the best offset, how much that is, and it, in ticks."""
        laid = ((offset, *self._laid(offset)[:2]) for offset in offsets)
        return max((self._score(cells, there), int(there.sum()), offset) for offset, cells, there in laid)

    def _laid(self, offset: float) -> tuple[Floats, npt.NDArray[np.bool_], Ints]:
        """Return the earlier source at the later one's instants, where it has any, and its nearest snapshots."""
        at = self.later_s - offset * TICK_S
        after = np.searchsorted(self.earlier_s, at).clip(1, max(1, len(self.earlier_s) - 1))
        before, after = after - 1, np.minimum(after, len(self.earlier_s) - 1)
        gap = self.earlier_s[after] - self.earlier_s[before]
        share = (at - self.earlier_s[before]) / np.maximum(gap, 1e-6)
        there = (gap < GAP_S) & (share > -0.01) & (share < 1.01)
        weight = share.clip(0, 1)[:, None].astype(np.float32)
        return (
            self.earlier[before] * (1 - weight) + self.earlier[after] * weight,
            there,
            np.where(share < 0.5, before, after),
        )

    def _score(self, cells: Floats, some: npt.NDArray[np.bool_], fewest: int = FEWEST) -> float:
        """Return how alike the two change (1: equal, 0: not at all), and just ALIKE where neither does but both are."""
        if some.sum() < fewest:
            return 0.0
        a, b = cells[some], self.later[some]
        picture_a, picture_b = a.mean(axis=0), b.mean(axis=0)
        same = _correlation(picture_a, picture_b)
        if same < SAME_PICTURE:
            return 0.0
        a, b = a - picture_a, b - picture_b
        # Only cells in which something happens: of a small thing before a still ground the others have but noise.
        alive = _cells_alive(a) | _cells_alive(b)
        if alive.sum() < FEWEST_CELLS:
            return ALIKE * (same >= SAME_STILL and _equal(picture_a, picture_b))
        a, b = a[:, alive], b[:, alive]
        power_a, power_b = float((a * a).mean()), float((b * b).mean())
        gain = float(np.clip((power_b / max(power_a, 1e-9)) ** 0.25, 0.85, 1.18))  # one may be brighter
        rest = float(((a * gain - b / gain) ** 2).mean())
        return 1 - rest / (power_a * gain**2 + power_b / gain**2 + 2 * NOISE**2)


def _cells_alive(cells: Floats) -> npt.NDArray[np.bool_]:
    """Say in which cells something happens, of differences to their means `[n, 64]`."""
    return np.asarray((cells * cells).mean(axis=0) >= STILL**2)


def _equal(a: Floats, b: Floats) -> bool:
    """Say whether two mean pictures differ by what encoding leaves, brightness and contrast aside."""
    ground = a - a.mean()
    rest = b - b.mean() - ground * float((ground * (b - b.mean())).sum() / max(float((ground * ground).sum()), 1e-9))
    return bool(float((rest * rest).mean()) <= EQUAL**2)


def _correlation(a: Floats, b: Floats) -> float:
    a, b = a - a.mean(), b - b.mean()
    return float((a * b).sum() / max(np.sqrt(float((a * a).sum() * (b * b).sum())), 1e-9))
