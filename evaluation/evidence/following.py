"""Segments associated from frame to frame within one shot: which thing every pixel of every frame is of.

Three things say where a thing is next: its pixels carried on by the flow, its motion (a Kalman filter of its centre
with a constant velocity, in the camera's moving frame, whose expected acceleration is learnt from the thing's own
surprises), and its look. They are weighed together (Hungarian method). A segment that several things claim is shared
out among them by their last whole shapes and their colours; pieces within a thing's last shape are put together. A
thing that has no segment, because it came to rest, is kept while the picture is still of it. A thing that looks the
same as one that is missing is taken for it however far it jumped: its innovation says so.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

from evaluation.evidence.camera import carry
from evaluation.evidence.flow import pixel_grid
from evaluation.evidence.looks import Regions, regions, unlike
from evaluation.evidence.medians import median
from evaluation.evidence.segments import smallest
from evaluation.evidence.things import Sight, Thing

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

SAME = 0.35  # unlikeness of looks, up to which two may be one thing
OVERLAPS = 0.3  # of the smaller region: an overlap from which the flow's word counts whatever the look
CLAIMS = 0.5  # of a thing's carried pixels in a segment, from which it has a claim to it
ANOTHER_SIZE = 1.0  # difference of the areas' logarithms from which a thing that jumped is another
VISIBLE = 0.12  # of a thing's whole area: less is out of sight
JUMPS = 3  # times the smallest segment: the least thing that is believed to jump
APART = 3  # pixels between the pieces of one thing
KNOWN = 3  # sights from which a thing is believed to jump
FORBIDDEN = 1e6


def follow_shot(evidence: "Evidence", segments: np.ndarray, start: int, end: int) -> tuple[np.ndarray, list[Thing]]:
    """Follow things from frame `start` to `end`, inclusive.

    Returns the owner of every pixel, `uint32 [end - start + 1, h, w]` (0 nobody), and the things in order of number.
    """
    owners = np.zeros((end - start + 1, *segments.shape[1:]), np.uint32)
    things: list[Thing] = []
    active: list[Thing] = []
    for t in range(start, end + 1):
        active = _Frame(evidence, segments[t], t, things, active, owners[t - start - 1] if t > start else None).solve(
            owners[t - start]
        )
    return owners, things


class _Frame:
    """The association of one frame: things so far against its segments."""

    def __init__(
        self,
        evidence: "Evidence",
        segments: np.ndarray,
        t: int,
        things: list[Thing],
        active: list[Thing],
        before: np.ndarray | None,
    ) -> None:
        self.evidence, self.segments, self.t, self.things, self.active = evidence, segments, t, things, active
        self.h, self.w = segments.shape
        self.count = int(segments.max())
        self.found = regions(evidence.rgb[t], evidence.luma[t], segments, self.count, evidence.features(t))
        self.carried = np.zeros((self.h, self.w), np.uint8)
        if before is not None and active:
            local = np.zeros(len(things) + 1, np.uint8)
            for index, thing in enumerate(active):
                local[thing.number] = index + 1
                thing.predict(evidence.camera.to_next[t - 1])
            self.carried = carried_by(evidence.flow.backward[t - 1], local.take(before))
        table = _together(self.carried, len(active) + 1, segments, self.count + 1)
        self.overlap, self.carried_areas = table[1:, 1:], table[1:].sum(axis=1)

    def solve(self, owners: np.ndarray) -> list[Thing]:
        """Write who owns the frame's pixels and return the things that are in it."""
        matched = self._match()
        claims = self._claims(matched)
        people, owner = list(self.active), np.zeros(256, np.uint8)
        several: dict[int, list[int]] = {}
        for segment in range(self.count):
            mine = [i for i, segment_of in claims if segment_of == segment]
            if not mine and len(people) < 250:
                people.append(Thing(0))
                mine = [len(people) - 1]
            if len(mine) == 1:
                owner[segment + 1] = mine[0] + 1
            elif mine:
                several[segment] = mine
        local = owner.take(self.segments)
        for segment, mine in several.items():
            self._share(local, segment, mine)
        shared = {i for mine in several.values() for i in mine}
        kept = self._keep(local, {i for i, _ in claims})
        at = {int(i) - 1: segment for segment, i in enumerate(owner[1 : self.count + 1])}
        if kept or several or len(at) < self.count:  # things that are not one segment each
            seen = regions(
                self.evidence.rgb[self.t],
                self.evidence.luma[self.t],
                local,
                len(people),
                self.evidence.features(self.t),
            )
            at = {i: i for i in range(len(people))}
        else:
            seen = self.found
        return self._take(local, people, at, seen, shared, kept, owners)

    def _match(self) -> dict[int, int]:
        """Return the best segment of every thing that has one."""
        if not self.active or not self.count:
            return {}
        areas = np.array([thing.area for thing in self.active])
        within = self.overlap / np.maximum(np.minimum(self.carried_areas[:, None], self.found.areas), 1)
        looks = unlike(np.stack([thing.look for thing in self.active])[:, None], self.found.looks)
        expected = np.stack([thing.state[0] for thing in self.active])
        away = np.linalg.norm(expected[:, None] - self.found.centres, axis=-1)
        reach = np.array([2 + thing.radius + np.hypot(*thing.state[1]) for thing in self.active])[:, None]
        size = np.abs(np.log(self.found.areas / areas[:, None]))
        cost = looks + 0.6 * (1 - within) + 0.4 * np.minimum(away / reach, 3.0) + 0.15 * size
        alike = (looks < SAME) & ((size < ANOTHER_SIZE) | (away < reach))
        # A jump is believed of a thing that is known to what was not there before, not where either may pass the edge.
        x0, y0, x1, y1 = self.found.boxes.T
        at_edge = (np.minimum(x0, y0) <= 1) | (x1 >= self.w - 1) | (y1 >= self.h - 1)
        fixed = np.array([len(thing.sights) < KNOWN or self._leaves(thing) for thing in self.active])
        fixed |= areas < JUMPS * smallest(self.h, self.w)
        alike &= (away < 2 * reach) | ((looks < SAME / 2) & ~fixed[:, None] & ~at_edge & self._new())
        cost[~(alike | (within > OVERLAPS))] = FORBIDDEN
        rows, columns = linear_sum_assignment(cost)
        return {int(r): int(c) for r, c in zip(rows, columns, strict=True) if cost[r, c] < FORBIDDEN}

    def _new(self) -> np.ndarray:
        """Return which segments show what motion from the frame before does not explain, bool `[count]`."""
        weights = self.evidence.flow.residual[self.t - 1].ravel()
        sums = np.bincount(self.segments.ravel(), weights=weights, minlength=self.count + 1)[1:]
        return np.asarray(sums > (3 * self.evidence.noise + 3) * self.found.areas)

    def _leaves(self, thing: Thing) -> bool:
        """Say whether it was cut by the frame's edge, or is expected beyond it."""
        x0, y0, x1, y1 = thing.sights[-1].box
        x, y = thing.state[0]
        return bool(min(x0, y0, self.w - x1, self.h - y1) <= 1 or not (0 <= x < self.w and 0 <= y < self.h))

    def _claims(self, matched: dict[int, int]) -> list[tuple[int, int]]:
        """Return (thing, segment) for every claim: the matched ones, pieces of a thing, and things in one segment."""
        claims = list(matched.items())
        taken = set(matched.values())
        for i in range(len(self.active)):
            if i not in matched and self.carried_areas[i]:
                segment = int(self.overlap[i].argmax()) if self.count else -1
                if segment >= 0 and self.overlap[i, segment] > CLAIMS * self.carried_areas[i]:
                    claims.append((i, segment))
        for segment in set(range(self.count)) - taken - {s for _, s in claims}:
            i = int(self.overlap[:, segment].argmax()) if len(self.active) else -1
            looks = self.found.looks[[segment, matched.get(i, segment)]]
            if i in matched and self.overlap[i, segment] > CLAIMS * self.found.areas[segment] and unlike(*looks) < SAME:
                whole = self.active[i].drawn(self.active[i].state[0], self.h, self.w)
                inside = cv2.dilate(whole.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
                piece = (self.segments == segment + 1).astype(np.uint8)
                near = cv2.dilate(piece, np.ones((2 * APART + 1, 2 * APART + 1), np.uint8)).astype(bool)
                if inside[piece > 0].mean() > 0.6 and (self.segments[near] == matched[i] + 1).any():
                    claims.append((i, segment))
        return claims

    def _share(self, local: np.ndarray, segment: int, mine: list[int]) -> None:
        """Share out a segment: each pixel to the thing whose shape and colour it fits best."""
        x0, y0, x1, y1 = self.found.boxes[segment]
        here = self.segments[y0:y1, x0:x1] == segment + 1
        pixels = self.evidence.rgb[self.t, y0:y1, x0:x1][here].astype(np.float32)
        costs = []
        for i in mine:
            thing = self.active[i]
            shape = thing.drawn(thing.state[0], self.h, self.w)
            if not shape.any():
                costs.append(np.full(len(pixels), FORBIDDEN))
                continue
            outside = cv2.distanceTransform((~shape).astype(np.uint8), cv2.DIST_L2, 3)[y0:y1, x0:x1][here]
            colour = ((pixels - thing.colour) ** 2).mean(axis=1) / (2 * (thing.variance + 12.0**2))
            costs.append(outside / 2 + np.minimum(colour, 4.0))
        local[y0:y1, x0:x1][here] = np.array(mine, np.uint8)[np.argmin(costs, axis=0)] + 1

    def _keep(self, local: np.ndarray, claimed: set[int]) -> dict[int, np.ndarray]:
        """Put in the things without a segment of which the picture still is, and return their centres."""
        kept = {}
        for i in set(range(len(self.active))) - claimed:
            thing = self.active[i]
            if self.carried_areas[i] < max(CLAIMS * thing.area, 1):
                continue
            still = still_there(self.evidence, thing, (self.carried == i + 1).view(np.uint8), local, self.t)
            if still is not None:
                local[still[0] & (local == 0)] = i + 1
                kept[i] = still[1]
        return kept

    def _take(
        self,
        local: np.ndarray,
        people: list[Thing],
        at: dict[int, int],
        seen: Regions,
        shared: set[int],
        kept: dict[int, np.ndarray],
        owners: np.ndarray,
    ) -> list[Thing]:
        least = smallest(self.h, self.w)
        both = _together(self.carried, len(self.active) + 1, local, len(people) + 1)
        present: list[Thing] = []
        numbers = np.zeros(len(people) + 1, np.uint32)
        for i, thing in enumerate(people):
            region, new = at.get(i), i >= len(self.active)
            area = 0 if region is None else seen.areas[region]
            if region is None or area < (1 if new else max(VISIBLE * thing.area, 0.5 * least)):
                continue
            fit = 0.0 if new else both[i + 1, i + 1] / max(self.carried_areas[i] + area - both[i + 1, i + 1], 1)
            sight = Sight(
                self.t, float(area), seen.centres[region], seen.boxes[region], seen.colours[region],
                seen.looks[region], 0.0, float(fit), i in shared, i in kept,
            )  # fmt: skip
            mask = local == i + 1
            if new:
                self.things.append(thing)
                thing.number = len(self.things)
                thing.begin(self._velocity(mask, sight), sight)
            else:
                if i in kept:  # to less than a pixel, which its mask is not
                    sight.centre = kept[i]
                thing.take(sight)
            if not sight.shared and not sight.kept and area > 0.7 * thing.area:
                thing.remember(mask, sight.box, sight.centre)
                thing.variance = float(seen.spreads[region] ** 2)
            numbers[i + 1] = thing.number
            present.append(thing)
        np.take(numbers, local, out=owners)
        return present

    def _velocity(self, mask: np.ndarray, sight: Sight) -> np.ndarray:
        """Return how a new thing moves against the scene, in pixels a frame, by the flow to the next frame."""
        if self.t >= len(self.evidence.flow.forward):
            return np.zeros(2)
        x0, y0, x1, y1 = sight.box
        step = median(self.evidence.flow.forward[self.t, y0:y1, x0:x1][mask[y0:y1, x0:x1]])
        stays = carry(self.evidence.camera.to_next[self.t], sight.centre[None])[0] - sight.centre
        return np.asarray(step - stays)


def still_there(
    evidence: "Evidence", thing: Thing, carried: np.ndarray, taken: np.ndarray, t: int
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the mask and centre in frame `t` of a thing without a segment, if its pixels there are as they were.

    `carried` is its mask carried on by the flow, `taken` what belongs to others, both `uint8 [h, w]`.
    """
    x, y, wide, high = cv2.boundingRect(carried)
    place = slice(y, y + high), slice(x, x + wide)
    at = np.flatnonzero(carried[place])
    if evidence.flow.residual[t - 1][place].ravel().take(at).mean() > 3 * evidence.noise + 3:
        return None
    back = median(evidence.flow.backward[t - 1][place].reshape(-1, 2).take(at, axis=0))
    centre = thing.sights[-1].centre - back
    mask = thing.drawn(centre, *carried.shape)
    x, y, wide, high = cv2.boundingRect(mask.view(np.uint8))
    place = slice(y, y + high), slice(x, x + wide)
    shape = mask[place].astype(np.uint8)
    if not wide or (taken[place][shape > 0] == 0).mean() <= CLAIMS:
        return None
    features = evidence.features(t)
    look = regions(
        evidence.rgb[t][place], evidence.luma[t][place], shape, 1, None if features is None else features[place]
    ).looks[0]
    return None if unlike(look, thing.look) > SAME else (mask, centre)


def carried_by(back: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return labels `[h, w]` of one frame carried to another, whose flow `[h, w, 2]` back to the first is given."""
    x, y = cv2.split(pixel_grid(*labels.shape) + back)
    return np.asarray(cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT))


def _together(ones: np.ndarray, one_count: int, others: np.ndarray, other_count: int) -> np.ndarray:
    """Return how many pixels have each pair of two maps' labels, `int [one_count, other_count]`."""
    pairs = cv2.addWeighted(ones, other_count, others, 1, 0, dtype=cv2.CV_32S)
    return np.bincount(pairs.ravel(), minlength=one_count * other_count).reshape(one_count, other_count)
