"""What may have changed a thing: something that stained it as it came there, or a blow just as it began to change.

A cause happens at the time of its effect: what lies beside a thing that rests stains it no more than before, and a
blow that comes after a change did not make it.
"""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import numpy as np

from evaluation.evidence.marks import Mark, mark_of, new_colour, struck
from evaluation.evidence.stains import FEWEST as SOURCE
from evaluation.evidence.stains import carried_by_camera, nearest, source, turned_to
from evaluation.evidence.turning import followed
from evaluation.evidence.turning_measures import Turned

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

SECONDS, FEWEST = 0.3, 2  # and frames before a change in which a thing comes to what stains it
CAME, LEAST = 0.15, 1.5  # radii, and pixels, by which it moves then
BESIDE = 5.0  # pixels from its outline to what stained it, the rim of which is not told from its own
LIKELY = -1.0  # log odds from which a cause is looked for
EXCUSED = 4.0  # log odds that a cause takes away


def unexcused(odds: float, caused: Callable[[], bool]) -> float:
    """Return the log odds that something changed without a cause, from those that it changed."""
    return odds - EXCUSED if odds > LIKELY and caused() else odds


def is_marked(evidence: "Evidence", mark: Mark, *colours: np.ndarray) -> bool:
    """Say whether a thing that got another surface came to what stained it, or was struck just then.

    `colours`, of `shades`, are others than that of all of it which it may have been stained with.
    """
    inks, outline = (new_colour(evidence, mark), *colours), mark.track.masks[mark.index]
    stained = _came_to(evidence, mark.a, mark.b, outline, mark.before, mark.after[0], inks)
    return stained or struck(evidence, mark)


def has_turned(evidence: "Evidence", turned: Turned) -> bool:
    """Say the same of a region that turned into something else, and of the thing that it is on."""
    turn, ink, mark = turned.turn, turned_to(evidence, turned.turn), mark_of(evidence, turned)
    if mark is not None:
        caused = is_marked(evidence, mark, ink)
        if caused or mark.b == turn.b:  # of a slow turn the mark is but its beginning
            return caused
    start = next(shot.start for shot in evidence.shots if shot.start <= turn.a <= shot.end)
    count = max(FEWEST, round(SECONDS * evidence.clip.fps))
    before = followed(evidence, turn.a, turn.from_, turn.mask, -1, count, start)
    return _came_to(evidence, turn.a, turn.b, turn.mask, before, turn.at, (ink,))


def _came_to(
    evidence: "Evidence", a: int, b: int, mask: np.ndarray, before: np.ndarray, at: np.ndarray,
    inks: Iterable[np.ndarray],
) -> bool:  # fmt: skip
    """Say whether what was at places `before` in the frames a, a - 1, ... moved until frame `b`, past an ink."""
    frames = np.array([b, *(a - np.arange(len(before)))])
    steady = evidence.camera.steady(frames, np.concatenate([[at], before]))
    way = float(np.linalg.norm(steady - steady[0], axis=1).max())
    if way <= max(LEAST, CAME * float(np.sqrt(mask.sum() / np.pi))):
        return False
    y, x = np.nonzero(mask)
    own = np.stack([x, y], axis=1) - (np.array(mask.shape[::-1]) - 1) / 2
    path = np.linspace(carried_by_camera(evidence, before[0], a, b), at, b - a + 1)
    spilt = (source(evidence, a, b, mask, at, ink) for ink in inks)
    return any(
        nearest(places, own + centre).min() < BESIDE for places in spilt if len(places) >= SOURCE for centre in path
    )
