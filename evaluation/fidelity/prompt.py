"""Prompt agreement: does the clip show the objects, the background and the motion that its prompt names?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import linear_sum_assignment

from evaluation.fidelity.colours import name_colour
from evaluation.fidelity.judged import judged
from evaluation.fidelity.motions import CHECKED, EVEN, motion_of, name_speed, name_track
from evaluation.fidelity.scenes import SCENES, breaking, pieces, shattered
from evaluation.fidelity.shapes import CENTRES, SOLIDS, classify_shape
from evaluation.findings import Failure, Finding, stretches, unmeasurable
from evaluation.judges.judge import open_judge
from evaluation.objects.observation import Observation
from evaluation.objects.tracking import Track
from kinora.recipes.backends import NONE, Backends
from kinora.worlds import BACKGROUNDS, PALETTE, Attributes
from kinora.worlds.language import BEFORE

TYPE = "prompt_mismatch"
SHORTEST = 3  # frames that show a motion

JobRequest = tuple[str | None, str | None]  # colour and shape; None where the prompt leaves it open
Pair = tuple[Track | None, JobRequest]


@dataclass(frozen=True)
class Check:
    """One attribute: what the prompt asks for and what is seen, None where it cannot be told."""

    part: str
    asked: str
    found: str | None


def prompt_mismatch(seen: Observation, backends: Backends = NONE) -> Finding:
    """Compare what is seen with what the prompt asks for, or ask the judge where the worlds' language does not say it.

    `parts` gives 1 for every attribute that is right and 0 for one that is wrong or cannot be seen: `colour`, `shape`,
    `background`, `motion`; `objects` is the share of frames with exactly the prompted number of objects. The score is
    1 - mean(parts).
    """
    if seen.wanted is None and seen.clip.prompt and backends.judge:
        return judged(seen.clip.frames, seen.clip.prompt, open_judge(backends.judge), backends.judge_frames)
    if seen.wanted is None:
        reason = "the prompt names nothing that can be checked" if seen.clip.prompt else "there is no prompt"
        return unmeasurable(TYPE, reason, due=False)
    wanted = seen.wanted
    pairs = match(seen, wanted.objects)
    checks: list[Check] = []
    if pairs:
        checks.append(_colours(pairs))
        checks.append(_shapes(seen, pairs))
    if wanted.background:
        found = name_colour(np.median(seen.scene.background, axis=0), BACKGROUNDS) if seen.scene.plain else None
        checks.append(Check("background", wanted.background, found))
    if seen.frames >= SHORTEST:
        checks += _motions(seen, pairs, wanted)
    checks = [check for check in checks if check.asked]
    parts = {check.part: float(check.asked == check.found) for check in checks}
    failures = [_failure(check, seen.frames) for check in checks if check.asked != check.found]
    if pairs:
        exact = exactly(seen, len(pairs), wanted.motion)
        parts["objects"] = float(exact.mean())
        failures += _miscounts(seen, exact, len(pairs))
    if not parts:
        return unmeasurable(TYPE, "the prompt names nothing that can be checked", due=False)
    return Finding(TYPE, 1.0 - float(np.mean(list(parts.values()))), tuple(failures), parts=parts)


def _colours(pairs: list[Pair]) -> Check:
    asked = [(t, colour) for t, (colour, _) in pairs if colour is not None]
    return Check(
        "colour", _list([c for _, c in asked]), _list([name_colour(t.rgb, PALETTE) if t else None for t, _ in asked])
    )


def _shapes(seen: Observation, pairs: list[Pair]) -> Check:
    asked = [(t, shape) for t, (_, shape) in pairs if shape in CENTRES]
    return Check("shape", _list([s for _, s in asked]), _list([shape_of(seen, t) if t else None for t, _ in asked]))


def _motions(seen: Observation, pairs: list[Pair], wanted: Attributes) -> list[Check]:
    if wanted.motion in SCENES:
        return [Check("motion", wanted.motion, SCENES[wanted.motion](seen, [track for track, _ in pairs]))]
    if wanted.motion not in CHECKED:
        return []
    track = pairs[0][0] if pairs else max(seen.objects, key=lambda t: len(t.blobs), default=None)
    checks = [Check("motion", wanted.motion, name_track(seen, track))]
    if wanted.speed and wanted.motion in EVEN:
        motion = motion_of(seen, track)
        checks.append(Check("speed", wanted.speed, name_speed(motion) if motion else None))
    return checks


def shape_of(seen: Observation, track: Track) -> str | None:
    """Return the shape that a track shows, by its whole views where it has any; of what breaks, before it does."""
    motion = seen.wanted.motion if seen.wanted is not None else None
    views = track.whole or track.blobs
    if motion == "shatter":
        views = [blob for blob in views if blob.frame < breaking(seen)] or views
    return classify_shape(views, SOLIDS if motion in BEFORE else CENTRES)[0]


def _failure(check: Check, frames: int) -> Failure:
    text = f"{check.part} asked for: {check.asked}; seen: {check.found or 'none that has a name'}."
    return Failure(TYPE, 0, frames - 1, 1.0, text)


def _miscounts(seen: Observation, exact: np.ndarray, number: int) -> list[Failure]:
    failures = []
    for start, end in stretches(~exact):
        counts = " or ".join(str(c) for c in sorted(set(seen.counts[start : end + 1].tolist())))
        text = f"objects asked for: {number}; seen: {counts}."
        failures.append(Failure(TYPE, start, end, 0.5 + 0.5 * (end - start + 1) / seen.frames, text))
    return failures


def match(seen: Observation, wanted: Sequence[JobRequest]) -> list[Pair]:
    """Pair every wanted (colour, shape) with the track most like it, or with None where there are too few."""
    tracks = seen.objects
    cost = np.zeros((len(wanted), len(tracks)))
    for i, (colour, shape) in enumerate(wanted):
        for j, track in enumerate(tracks):
            # Long and large tracks first among those that agree equally.
            cost[i, j] -= len(track.blobs) * np.sqrt(track.area) / 1e4
            cost[i, j] -= 2.0 * (name_colour(track.rgb, PALETTE) == colour)
            cost[i, j] -= 1.0 * (shape_of(seen, track) == shape)
    rows, columns = linear_sum_assignment(cost)
    found = {int(r): tracks[c] for r, c in zip(rows, columns, strict=True)}
    return [(found.get(i), (colour, shape)) for i, (colour, shape) in enumerate(wanted)]


def exactly(seen: Observation, number: int, motion: str | None = None) -> np.ndarray:
    """Return `bool [T]`: the frames that show exactly `number` objects, or fewer where some are beyond the edge.

    What shatters is one thing, and then never again. All that a brush paints is one thing with it.
    """
    if seen.unseen:
        return np.zeros(seen.frames, dtype=bool)
    if motion == "shatter":
        before = np.arange(seen.frames) < breaking(seen)
        return np.where(before, pieces(seen) == number, shattered(seen))
    if motion is not None and motion.startswith("paint"):
        return np.array([len({blob.colour for blob in blobs}) == number for blobs in seen.scene.blobs])
    counts = seen.counts
    return np.asarray((counts <= number) & (counts + seen.away >= number))


def _list(names: list[str | None]) -> str:
    return " and ".join(name or "none that has a name" for name in names)
