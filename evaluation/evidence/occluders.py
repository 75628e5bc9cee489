"""What other things go behind: parts of the scene, found by how they cut the outline of what goes behind them.

Where something still hides a thing that moves on, a place that is once hidden stays hidden: what is seen of the thing
and what is missing of it never lie on the same place. A thing that vanishes is missing where it was just seen.
"""

from typing import TYPE_CHECKING

import cv2
import numpy as np

from evaluation.evidence.camera import carry
from evaluation.evidence.looks import regions, unlike
from evaluation.evidence.things import Sight, Thing

if TYPE_CHECKING:
    from evaluation.evidence.clip import Evidence

WHOLE = 0.92  # of its usual area, from which a sight shows all of a thing
LONGEST = 24  # sights from the last seen in which it goes out of sight
DISJOINT = 0.35  # of what is missing of a thing: the most that lies where it was seen
ANOTHER_SURFACE = 0.5  # unlikeness of two parts of a scene


def hidden_by_scene(
    evidence: "Evidence", owners: np.ndarray, start: int, thing: Thing, sights: list[Sight], way: int
) -> str:
    """Say whether a part of the scene hides a thing after its last sight (`way` 1), or before its first (-1).

    "gradually": its outline is cut more and more; "at once": within a step, where the scene is another; "" if not.
    `sights` are its sights from that one on; `owners` those of the shot, which begins with frame `start`.
    """
    usual = np.median([sight.area for sight in sights[: 3 * LONGEST] if not sight.shared] or [sights[0].area])
    whole = [i for i, sight in enumerate(sights[:LONGEST]) if sight.area >= WHOLE * usual and not sight.shared]
    if not whole:
        return ""
    reference = whole[0]
    basis = sights[reference : reference + 5]
    if len(basis) < 2:
        return ""
    h, w = owners.shape[1:]
    steady = carry(evidence.camera.to_first[[s.frame for s in basis]], np.stack([s.centre for s in basis]))
    velocity = np.polyfit(np.array([s.frame for s in basis]), steady, 1)[0]
    mask = owners[basis[0].frame - start] == thing.number
    seen = np.zeros((h, w), bool)
    missing = np.zeros((h, w), bool)
    frames = [s.frame for s in sights[reference::-1]] + [sights[0].frame + way]
    for t in frames:
        gap = t - basis[0].frame
        expected = _moved(mask, velocity * gap)
        now = owners[t - start] == thing.number if t != frames[-1] else np.zeros((h, w), bool)
        now = cv2.dilate(now.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
        seen |= now & expected
        missing |= cv2.erode(expected.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool) & ~now
    if missing.sum() < 0.4 * mask.sum():
        return ""
    inside = cv2.erode(seen.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
    if (missing & inside).sum() > DISJOINT * missing.sum():
        return ""
    if reference > 0:
        return "gradually"
    t = sights[0].frame
    where = np.where(missing & ~seen, 1, np.where(seen, 2, 0)).astype(np.uint8)
    picture = evidence.background.rgb[t].round().astype(np.uint8)
    looks = regions(picture, evidence.luma[t], where, 2).looks
    return "at once" if unlike(looks[0], looks[1]) > ANOTHER_SURFACE else ""


def _moved(mask: np.ndarray, by: np.ndarray) -> np.ndarray:
    h, w = mask.shape
    matrix = np.array([[1, 0, by[0]], [0, 1, by[1]]])
    return np.asarray(cv2.warpAffine(mask.astype(np.uint8), matrix, (w, h), flags=cv2.INTER_NEAREST) > 0)
