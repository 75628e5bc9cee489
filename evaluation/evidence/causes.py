"""What may have changed a thing: something that stained it as it came there, or a blow just as it began to change.

A cause happens at the time of its effect: what lies beside a thing that rests stains it no more than before, and a
blow that comes after a change did not make it.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from evaluation.evidence.marks import Mark, mark_of, new_colour, struck
from evaluation.evidence.stains import stained, turned_to
from evaluation.evidence.turning import followed
from evaluation.evidence.turning_measures import Turned

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

SECONDS, FEWEST = 0.3, 2  # and frames before a change in which a thing comes to what stains it
CAME, LEAST = 0.15, 1.5  # radii, and pixels, by which it moves then
LIKELY = -1.0  # log odds from which a cause is looked for
EXCUSED = 4.0  # log odds that a cause takes away


def unexcused(odds: float, caused: Callable[[], bool]) -> float:
    """Return the log odds that something changed without a cause, from those that it changed."""
    return odds - EXCUSED if odds > LIKELY and caused() else odds


def is_marked(evidence: "Evidence", mark: Mark, colour: np.ndarray | None = None) -> bool:
    """Say whether a thing that got another surface came to what stained it, or was struck just then.

    `colour`, of `shades`, is what it shows since, where that is known better than from all of it.
    """
    outline = mark.track.masks[mark.index]
    colour = new_colour(evidence, mark) if colour is None else colour
    came = _came(evidence, mark.a, mark.b, mark.before, mark.after[0], outline)
    return (came and stained(evidence, mark.a, mark.b, outline, mark.after[0], colour)) or struck(evidence, mark)


def has_turned(evidence: "Evidence", turned: Turned) -> bool:
    """Say the same of a region that turned into something else, and of the thing that it is on."""
    turn, colour, mark = turned.turn, turned_to(evidence, turned.turn), mark_of(evidence, turned)
    if mark is not None:
        return is_marked(evidence, mark, colour)
    start = next(shot.start for shot in evidence.shots if shot.start <= turn.a <= shot.end)
    count = max(FEWEST, round(SECONDS * evidence.clip.fps))
    before = followed(evidence, turn.a, turn.from_, turn.mask, -1, count, start)
    came = _came(evidence, turn.a, turn.b, before, turn.at, turn.mask)
    return came and stained(evidence, turn.a, turn.b, turn.mask, turn.at, colour)


def _came(evidence: "Evidence", a: int, b: int, before: np.ndarray, after: np.ndarray, mask: np.ndarray) -> bool:
    """Say whether something moved in the scene until it changed: places `before` in the frames a, a - 1, ..."""
    frames = np.array([b, *(a - np.arange(len(before)))])
    steady = evidence.camera.steady(frames, np.concatenate([[after], before]))
    way = float(np.linalg.norm(steady - steady[0], axis=1).max())
    return way > max(LEAST, CAME * float(np.sqrt(mask.sum() / np.pi)))
