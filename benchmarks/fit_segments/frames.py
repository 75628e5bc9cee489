"""Frames of made clips, as the network sees them, and which thing every pixel is truly of."""

import numpy as np

from benchmarks.fit_segments.collage import Film, collage
from evaluation.evidence.clip import gather
from evaluation.evidence.instances import seen
from evaluation.evidence.segments import find_regions
from evaluation.findings import ClipInput
from evaluation.proving import clay, paper
from evaluation.proving.codec import compressed
from evaluation.proving.filming import CRFS
from evaluation.proving.stage.dynamics import simulate
from evaluation.proving.stage.scenes import draw, draw_size

Frame = tuple[np.ndarray, np.ndarray]  # what is seen, int8 [CHANNELS, h, w]; owners, int8 [h, w]: a thing, or negative
EACH = 8  # frames of a clip
LONGEST, LARGEST = 48, 192  # frames, and pixels of a side, of a drawn clip
FAMILIES = (paper.OUTLINES, paper.Paper), (clay.OUTLINES, clay.Clay)
RATE = 12.0  # frames a second
RARE = {"roll": 0.5, "slide": 0.5, "still": 0.3, "slope": 0.3, "paint": 0.2, "break": 0.2}  # scenes of few meetings
BUSY, OFTEN = 4, 4.0  # pixels that a thing touches other things along, and how much more often such frames are taken


def frames_of(number: int, seed: int, photographs: list[np.ndarray] | None) -> list[Frame]:
    """Return frames of one clip: a collage with pieces of photographs, or, without these, a drawn clip."""
    rng = np.random.default_rng([seed, number, photographs is None])
    film = drawn_film(rng) if photographs is None else collage(rng, photographs)
    crf, frames = CRFS[rng.integers(len(CRFS))], film.frames
    evidence = gather(ClipInput("made", frames if crf is None else compressed(frames, RATE, crf), RATE))
    owners = np.stack([_reduced(owner, evidence.luma.shape[1:]) for owner in film.owners])
    regions, _ = find_regions(evidence)
    weights = np.where([_meetings(owner) > BUSY for owner in owners], OFTEN, 1.0)
    chosen = rng.choice(len(owners), min(EACH, len(owners)), replace=False, p=weights / weights.sum())
    return [(seen(evidence, regions, t), owners[t]) for t in chosen]


def drawn_film(rng: np.random.Generator) -> Film:
    """Return a film of the family `paper` or `clay`, of things that meet, mostly."""
    outlines, painter_of = FAMILIES[rng.integers(len(FAMILIES))]
    while True:
        size = draw_size(rng)
        scene = draw(rng, size, outlines)
        if scene.frames <= LONGEST and max(size) <= LARGEST and rng.random() < RARE.get(scene.kind, 1.0):
            painter = painter_of(scene, size)
            picture = painter.paint(simulate(scene))
            return Film(painter.finish(picture.frames), picture.owner)


def _reduced(owner: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = (((np.arange(n) + 0.5) * size / n).astype(int) for n, size in zip(shape, owner.shape, strict=True))
    return np.asarray(owner[rows][:, columns], np.int8)


def _meetings(owner: np.ndarray) -> int:
    """Return along how many pixels things touch things or what hides them."""
    count = 0
    for a, b in ((owner[1:], owner[:-1]), (owner[:, 1:], owner[:, :-1])):
        count += int(((a != b) & (np.maximum(a, b) >= 0) & (a != -1) & (b != -1)).sum())
    return count
