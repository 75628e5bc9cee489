"""Things that jump: gone from one place and in another from one frame to the next, though they neither came nor left.

Two places of one thing in successive frames are suspected where a thing that is followed steps farther than its pace
before and after allows, where the flow does, and where a frame shows what motion does not explain. The pixels decide:
the thing is found at the new place as it was at the old one, and not where its motion, before or after, would have it.
A collision changes the pace, not the place; what moves fast goes on as fast.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.clip import Evidence
from evaluation.evidence.flow import largest, sample
from evaluation.evidence.tracks import Track
from evaluation.findings import Candidate, Finding, calibrated, unmeasurable
from evaluation.physics.steps import excess, pace_after, pace_before

TYPE = "teleport"
SHORTEST = 4  # frames
SUSPECTS = 6  # of each kind that are looked at closely
SIGHTS = 5  # that tell a pace
LEAST = 1.5  # pixels, beside a tenth of the radius, that motion must leave unexplained
GAP = 3  # frames between two tracks of what may be one thing
ANOTHER_SIZE = 0.9  # difference of the areas' logarithms from which it is another
CLEAR, NOISES = 8.0, 4.0  # levels, and times the noise, that motion does not explain
SMALLEST, LARGEST = 6e-4, 0.2  # of the frame: regions that are looked for elsewhere
FEWEST = 16  # pixels of such a region
JERK = 3.0  # pixels by which the flow of a frame differs from that before and after
JOLT = 0.3  # of the frame: where more is out of step the camera is, or all is another
REACH, FARTHEST = 2, 40  # pixels about a place within which a thing is found; farthest that a pace is searched for
OFF = 4.0  # levels that a thing may look otherwise
FAR = 1.3  # radii from which a step is as far as it needs to be
SURE = 1.0  # natural logarithm of how much less it differs at the new place than where it should be
KERNEL = np.ones((3, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class Part:
    """What is followed of a frame: a box x0, y0, x1, y1 (the last two exclusive), and a mask of it."""

    frame: int
    box: tuple[int, int, int, int]
    mask: np.ndarray

    @property
    def corner(self) -> np.ndarray:
        """Upper left corner of the box, x and y."""
        return np.array(self.box[:2], dtype=float)

    @property
    def middle(self) -> np.ndarray:
        """Mean of the pixels."""
        y, x = np.nonzero(self.mask)
        return np.asarray(np.array([x.mean(), y.mean()]) + self.corner)

    def moved(self, frame: int, by: np.ndarray) -> "Part":
        """Return the same part of another frame, elsewhere."""
        x, y = (round(float(v)) for v in self.corner + by)
        return Part(frame, (x, y, x + self.mask.shape[1], y + self.mask.shape[0]), self.mask)


@dataclass(frozen=True, eq=False)
class Jump:
    """A step of a thing from the part `before` to the part `after`, of a length in pixels, the camera's motion aside.

    `found` and `missed` say by how many levels, root mean square, it differs at the new place and where it should be.
    """

    before: Part
    after: Part
    length: float
    found: float
    missed: float
    strength: float


def teleport(evidence: Evidence) -> Finding:
    """Find things that are suddenly elsewhere."""
    if len(evidence.rgb) < SHORTEST:
        return unmeasurable(TYPE, f"in fewer than {SHORTEST} frames no motion is seen before and after", due=False)
    clip = _Clip(evidence)
    jumps = [jump for before, after in clip.suspects() if (jump := clip.jump(before, after)) is not None]
    strongest = sorted(jumps, key=lambda jump: -jump.strength)[:SUSPECTS]
    return calibrated(TYPE, [_candidate(evidence, jump) for jump in strongest])


def _candidate(evidence: Evidence, jump: Jump) -> Candidate:
    corners = np.array([jump.before.box, jump.after.box])
    box = evidence.box(*corners[:, :2].min(axis=0), *corners[:, 2:].max(axis=0))
    t, length = jump.after.frame, jump.length / evidence.scale
    text = f"Something jumps by {length:.0f} pixels into frame {t}: there it differs by {jump.found:.0f} levels from"
    text += f" what it was, and by {jump.missed:.0f} where its motion would have it."
    return Candidate(t, t, jump.strength, text, box)


class _Clip:
    """The frames of a clip, joined where a jump was taken for a cut or left the camera lost."""

    def __init__(self, evidence: Evidence) -> None:
        self.evidence, self.rgb = evidence, evidence.rgb
        self.limit = CLEAR + NOISES * evidence.noise
        self.residual = evidence.flow.residual
        lost = {shot.start for shot in evidence.shots[1:]}
        if evidence.camera.moves:
            lost |= set((np.flatnonzero(~evidence.camera.reliable) + 1).tolist())
        unlike = {t: _outside(self.rgb[t], self.rgb[t - 1]) for t in lost}
        self.joined = {t: levels for t, levels in unlike.items() if (levels > self.limit).mean() < JOLT}
        self.lost = np.zeros(len(self.rgb), bool)
        self.lost[list(lost - set(self.joined))] = True

    def unexplained(self, t: int) -> np.ndarray:
        """Return the levels of frame t, 1 or later, that what was in the frame before does not explain."""
        return np.asarray(self.joined.get(t, self.residual[t - 1]))

    def known(self, earlier: int, later: int) -> bool:
        """Say whether it is known where the camera carries one frame of the clip in another."""
        return 0 <= earlier <= later < len(self.rgb) and not self.lost[earlier + 1 : later + 1].any()

    def carried(self, part: Part, frame: int) -> np.ndarray:
        """Return by how much the camera carries a part to another frame, x and y."""
        matrix, to_next = np.eye(3), self.evidence.camera.to_next
        for t in range(min(part.frame, frame), max(part.frame, frame)):
            matrix = to_next[t] @ matrix
        middle = part.middle[None]
        return np.asarray(carry(matrix if frame >= part.frame else np.linalg.inv(matrix), middle)[0] - middle[0])

    def suspects(self) -> Iterator[tuple[Part, Part]]:
        """Yield parts of successive frames that may be one thing that jumped."""
        yield from self._followed()
        regions = sorted([*self._unexplained(), *self._out_of_step()], key=lambda region: -region[0])
        for _, after, step in regions[: 2 * SUSPECTS]:
            if step is not None:
                yield after.moved(after.frame - 1, step), after
                continue
            unlike = self._distances(after, after.frame - 1)
            y, x = np.unravel_index(int(unlike.argmin()), unlike.shape)
            yield after.moved(after.frame - 1, np.array([x, y]) - after.corner), after

    def _followed(self) -> Iterator[tuple[Part, Part]]:
        tracks = self.evidence.tracks
        steps = [self._step(k, i - 1, k, i) for k in tracks for i in range(2, len(k.frames) - 1)]
        steps.sort(key=lambda step: -step[0])
        ends = [k for k in tracks if k.ends != "clip" and len(k.frames) > 2]
        begins = [k for k in tracks if k.begins != "clip" and len(k.frames) > 2]
        breaks = [
            (self._step(k, len(k.frames) - 1, q, 0), float(np.linalg.norm(k.look[-1] - q.look[0])))
            for k in ends
            for q in begins
            if 1 <= q.start - k.end <= GAP and abs(np.log(q.areas[:3].max() / k.areas[-3:].max())) < ANOTHER_SIZE
        ]
        breaks = sorted((b for b in breaks if b[0][0] > 0), key=lambda b: b[1])
        for beyond, before, after in [*steps[:SUSPECTS], *(b[0] for b in breaks[:SUSPECTS])]:
            if beyond > 0:
                yield before, after

    def _step(self, k: Track, i: int, q: Track, j: int) -> tuple[float, Part, Part]:
        """Return how far a step from a sight to another is beyond both paces, in radii, 0 if it is not; and both."""
        parts = [_sight(k, i), _sight(q, j)]
        gap = parts[1].frame - parts[0].frame
        paces = pace_before(k.steady, i, SIGHTS) * gap, pace_after(q.steady, j, SIGHTS) * gap
        step = q.steady[j] - k.steady[i] if k.shot == q.shot else q.centres[j] - k.centres[i]
        beyond = excess(step, *paces)
        radius = np.sqrt(max(k.areas[i], q.areas[j]) / np.pi)
        clear = beyond > LEAST and self.known(parts[0].frame, parts[1].frame)
        return (beyond / (radius + 3) if clear else 0.0), parts[0], parts[1]

    def _unexplained(self) -> Iterator[tuple[float, Part, None]]:
        """Yield regions that motion does not explain, how surely, and that it is not known where they were."""
        for t in range(1, len(self.rgb)):
            if not self.known(t - 1, t):
                continue
            levels = self.unexplained(t)
            mask = (levels > self.limit).astype(np.uint8)
            if cv2.countNonZero(mask) < FEWEST:
                continue
            smooth = cv2.morphologyEx(cv2.medianBlur(mask, 3), cv2.MORPH_CLOSE, KERNEL)
            beside = [self.unexplained(s) for s in (t - 1, t + 1) if 1 <= s < len(self.rgb)]
            for part in _regions(smooth, t):
                x0, y0, x1, y1 = part.box
                here, *around = (float(some[y0:y1, x0:x1][part.mask].sum()) for some in (levels, *beside))
                yield here - max(around, default=0.0), part, None

    def _out_of_step(self) -> Iterator[tuple[float, Part, np.ndarray]]:
        """Yield regions whose flow from the frame before is like that of neither neighbour, and where they were."""
        flow = self.evidence.flow
        h, w = flow.residual.shape[1:]
        grid = np.stack(np.meshgrid(np.arange(0, w, 2), np.arange(0, h, 2)), axis=-1).astype(np.float32)
        for t in range(2, len(self.rgb) - 1):
            if not self.known(t - 2, t + 1) or any(s in self.joined for s in (t - 1, t, t + 1)):
                continue
            back = flow.backward[t - 1][::2, ::2]
            earlier = sample(flow.backward[t - 2], grid + back)
            off = cv2.min(_length(back - earlier), _length(back + flow.forward[t][::2, ::2]))
            mask = (off > JERK).astype(np.uint8)
            if not mask.any() or mask.mean() > JOLT:
                continue
            whole = cv2.resize(cv2.medianBlur(mask, 3), (w, h), interpolation=cv2.INTER_NEAREST)
            for part in _regions(whole, t):
                x0, y0, x1, y1 = part.box
                step = np.median(flow.backward[t - 1][y0:y1, x0:x1][part.mask], axis=0)
                yield float(np.hypot(*step)) * 255 / JERK * np.sqrt(part.mask.sum()), part, step

    def _distances(self, part: Part, t: int) -> np.ndarray:
        """Return by how many levels a part differs from frame t at every place of its box's corner."""
        picture, mask = _cut(self.rgb[part.frame], part)
        weight = np.repeat(mask.astype(np.float32)[..., None], 3, axis=-1)
        squares = cv2.matchTemplate(self.rgb[t].astype(np.float32), picture, cv2.TM_SQDIFF, mask=weight)
        return np.asarray(np.sqrt(np.maximum(squares, 0) / max(1, 3 * mask.sum())))

    def _pace(self, part: Part, t: int, reach: int) -> np.ndarray | None:
        """Return by how much a part is elsewhere in frame t than the camera alone has it, None if nobody knows."""
        if not self.known(min(t, part.frame), max(t, part.frame)):
            return None
        at = part.corner + self.carried(part, t)
        unlike, corner = _around(self._distances(part, t), at, reach)
        if not unlike.size:
            return None
        y, x = np.mgrid[: unlike.shape[0], : unlike.shape[1]]
        away = np.stack([x, y], axis=-1) + corner - at
        best = np.argmin(unlike + 0.02 * np.linalg.norm(away, axis=-1))
        return np.asarray(away.reshape(-1, 2)[best])

    def jump(self, start: Part, end: Part) -> Jump | None:
        """Return what the pixels say of a step, None if it is none."""
        before, after = (_inside(part, *self.rgb.shape[1:3]) for part in (start, end))
        if before is None or after is None or not self.known(before.frame, after.frame):
            return None
        gap = after.frame - before.frame
        there, back = self.carried(before, after.frame), self.carried(after, before.frame)
        step = after.middle - before.middle - there
        length = float(np.hypot(*step))
        reach = int(min(FARTHEST, length + 4))
        came, goes = self._pace(before, before.frame - 1, reach), self._pace(after, after.frame + 1, reach)
        if came is None or goes is None:
            return None
        came, goes = -gap * came, gap * goes
        beyond = excess(step, came[None], goes[None])
        radius = np.sqrt(before.mask.sum() / np.pi)
        if beyond < LEAST + 0.1 * radius:
            return None
        now, then = self._distances(before, after.frame), self._distances(after, before.frame)
        found = max(_least(now, before.corner + there + step, REACH), _least(then, after.corner + back - step, REACH))
        near = int(np.clip(beyond / 3, 1, 4))
        ways = [came + share * (goes - came) for share in (0.0, 0.5, 1.0)]
        missed = min(
            min(_least(now, before.corner + there + way, near), _least(then, after.corner + back - way, near))
            for way in ways
        )
        ratio = missed / (found + OFF + self.evidence.noise)
        far = min(1.0, beyond / (FAR * radius))
        return Jump(before, after, length, found, missed, far * max(0.0, float(np.log(max(ratio, 1e-3)))) / SURE)


def _sight(track: Track, index: int) -> Part:
    x0, y0, x1, y1 = (int(v) for v in track.boxes[index])
    return Part(int(track.frames[index]), (x0, y0, x1, y1), track.masks[index])


def _regions(mask: np.ndarray, t: int) -> Iterator[Part]:
    """Yield the connected regions of a mask that are neither small nor large."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    for i in range(1, count):
        x, y, w, h, area = (int(v) for v in stats[i])
        if max(FEWEST, SMALLEST * mask.size) <= area <= LARGEST * mask.size:
            yield Part(t, (x, y, x + w, y + h), labels[y : y + h, x : x + w] == i)


def _inside(part: Part, height: int, width: int) -> Part | None:
    """Return what of a part is within the frame, None if little is."""
    x0, y0, x1, y1 = part.box
    left, top, right, bottom = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
    if (left, top, right, bottom) == part.box:
        return part
    mask = part.mask[top - y0 : max(top, bottom) - y0, left - x0 : max(left, right) - x0]
    return Part(part.frame, (left, top, right, bottom), mask) if mask.sum() > 0.7 * part.mask.sum() else None


def _cut(frame: np.ndarray, part: Part) -> tuple[np.ndarray, np.ndarray]:
    x0, y0, x1, y1 = part.box
    return frame[y0:y1, x0:x1].astype(np.float32), part.mask


def _around(values: np.ndarray, place: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the part of a map about a place (x, y), which may be empty, and its upper left corner."""
    x, y = (round(float(v)) for v in place)
    left, top = max(0, x - reach), max(0, y - reach)
    return values[top : max(0, y + reach + 1), left : max(0, x + reach + 1)], np.array([left, top])


def _least(values: np.ndarray, place: np.ndarray, reach: int) -> float:
    """Return the least of a map about a place, 0 where that is off the map: there it may have left or come in."""
    some, _ = _around(values, place, reach)
    return float(some.min()) if some.size else 0.0


def _outside(frame: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Return by how many levels a frame lies beyond what another shows around each pixel, float32 `[h, w]`."""
    beyond = cv2.max(cv2.subtract(frame, cv2.dilate(seen, KERNEL)), cv2.subtract(cv2.erode(seen, KERNEL), frame))
    return largest(beyond).astype(np.float32)


def _length(vectors: np.ndarray) -> np.ndarray:
    return np.asarray(np.linalg.norm(vectors, axis=-1), np.float32)
