"""Cases made of one piece of footage: itself, and failures of every type that it lets be edited in."""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import cv2
import numpy as np

from evaluation.proving.case import Case, Known
from evaluation.proving.edits import frames, objects, thrown
from evaluation.proving.edits.acts import MOVERS, Act, Motion, drawn, staging
from evaluation.proving.edits.workbench import Bench
from evaluation.proving.real import OF_THINGS, case_of, named, panned

UNTOUCHED, TURNED = "untouched", "filmed by a camera that turns"  # ways of a piece without a failure
VISIBLE = 10.0, 0.004  # levels by which a share of the picture differs where a failure is seen

Edit = Callable[[Bench, np.random.Generator], tuple[np.ndarray, Known] | None]

# Of each type, in words: edits of what is in the footage. Cut-outs put into it fail in the ways of `thrown`.
EDITS: dict[str, dict[str, Edit]] = {
    "disappearance": {"a thing is removed": objects.removed},
    "appearance": {"a thing is not there at first": objects.uncovered},
    "permanence": {"a thing is gone for a while": objects.gone_for_a_while},
    "teleport": {"a thing jumps": objects.jumped},
    "identity_drift": {
        "a thing takes another colour": objects.recoloured,
        "a thing changes its size": objects.resized,
        "a thing turns into another": objects.exchanged,
    },
    "flicker": {
        "the picture flickers": frames.flickering,
        "one frame flashes": frames.flashing,
        "a region flickers": frames.region_flickering,
    },
    "freeze": {
        "the picture stands still": frames.stopped,
        "the picture stands still under grain": frames.stopped_with_grain,
        "a few frames are repeated": frames.looped,
        "time runs backward": frames.turned_back,
    },
    "incoherence": {
        "a cut to another clip": frames.cut_away,
        "a morph into another clip": frames.morphed,
        "the picture dissolves": frames.dissolved,
    },
    "view_inconsistency": {
        "a region swims under a moving camera": frames.swimming,
        "the scene wobbles under a moving camera": frames.wobbling,
    },
    "state_change": {"a stain comes from nowhere": frames.stained},
}
PUT: dict[str, tuple[tuple[str, str, thrown.Way], ...]] = {
    kind: tuple((mover, words, way) for mover in MOVERS for words, way in thrown.FAILURES[mover].get(kind, {}).items())
    for kind in (*OF_THINGS, "gravity", "momentum")
}
KINDS = sorted({*EDITS, *PUT, "interpenetration"})
DUE_OF = {"glides": {"momentum"}, "lies": set(), "is thrown": {"gravity", "momentum"}}


@dataclass
class Making:
    """What is made of a piece: at most `failures` failures of some kinds, and each motion of a cut-out once rightly.

    `untouched` is the way of the piece itself.
    """

    bench: Bench
    rng: np.random.Generator
    failures: int
    kinds: Sequence[str] = field(default_factory=lambda: KINDS)
    untouched: str = UNTOUCHED
    acts: dict[str, tuple[Act, Motion] | None] = field(default_factory=dict)

    def cases(self) -> Iterator[Case]:
        """Yield the piece, and cases with failures of types that take turns over the pieces."""
        piece = self.bench.piece
        yield case_of(piece, piece.frames, self.untouched)
        first = zlib.crc32(piece.name.encode()) % len(self.kinds)
        made = 0
        for kind in [*self.kinds[first:], *self.kinds[:first]]:
            if made == self.failures:
                return
            for way in self._ways(kind):
                found = list(way())
                yield from found
                if found:
                    made += 1
                    break

    def _ways(self, kind: str) -> list[Callable[[], Iterator[Case]]]:
        """Return the ways to make a failure of one type, in random order."""
        ways: list[Callable[[], Iterator[Case]]] = []
        ways += [partial(self._edited, words, edit) for words, edit in EDITS.get(kind, {}).items()]
        self.rng.shuffle(ways)
        put: list[Callable[[], Iterator[Case]]] = [partial(self._put, *entry) for entry in PUT.get(kind, ())]
        self.rng.shuffle(put)
        if kind == "interpenetration":
            put.append(self._through)
        if kind == "view_inconsistency" and self.bench.piece.steady:
            return [self._panned]
        return [*ways, *put] if self.rng.random() < 0.85 else [*put, *ways]

    def _edited(self, words: str, edit: Edit) -> Iterator[Case]:
        found = edit(self.bench, self.rng)
        if found is not None and seen(found[0], self.bench.frames, found[1]):
            yield self._failing(found[0], words, found[1], self.bench.piece.due, self.untouched)

    def _put(self, mover: str, words: str, way: thrown.Way) -> Iterator[Case]:
        new = mover not in self.acts
        if new:
            self.acts[mover] = staging(self.bench, self.rng, MOVERS[mover])
        act = self.acts[mover]
        changed = None if act is None else way(self.bench, self.rng, *act)
        due = self.bench.piece.due | OF_THINGS | DUE_OF[mover]
        rightly = f"a cut-out {mover}"
        right = self.bench.frames if act is None else drawn(self.bench, [act[0]])
        if new and act is not None:
            yield case_of(self.bench.piece, right, rightly, due=due)
        if changed is not None and seen(frames := drawn(self.bench, [changed[0]]), right, changed[1]):
            yield self._failing(frames, f"{rightly} and {words}", changed[1], due, rightly)

    def _through(self) -> Iterator[Case]:
        found = thrown.passing_through(self.bench, self.rng) if self.bench.camera.reliable else None
        if found is not None:
            right, wrong, known = found
            due = self.bench.piece.due | OF_THINGS | {"momentum", "interpenetration"}
            rightly = "two cut-outs meet and part"
            yield case_of(self.bench.piece, drawn(self.bench, right), rightly, due=due)
            yield self._failing(drawn(self.bench, wrong), "two cut-outs go through each other", known, due, rightly)

    def _panned(self) -> Iterator[Case]:
        """Yield what a camera that turns would have filmed of a resting one's picture, and the same with a failure."""
        bench = replace(self.bench, piece=panned(self.bench.piece, self.rng))
        making = Making(bench, self.rng, 1, untouched=TURNED)
        yield case_of(bench.piece, bench.frames, TURNED)
        for words, edit in EDITS["view_inconsistency"].items():
            yield from making._edited(words, edit)

    def _failing(self, frames: np.ndarray, words: str, known: Known, due: frozenset[str], rightly: str) -> Case:
        case = case_of(self.bench.piece, frames, words, due=due | {known.type})
        return replace(case, failure=known, twin=named(self.bench.piece, rightly))


def seen(frames: np.ndarray, right: np.ndarray, known: Known) -> bool:
    """Say whether an eye sees a failure: a part of the picture is clearly other than it should be while it lasts.

    Half the levels are enough where all of the picture differs.
    """
    levels, share = VISIBLE
    start = 0 if known.type == "appearance" else known.start_frame  # what appears was missing until then
    span = slice(start, known.end_frame + 1)
    for wrong, as_is in zip(frames[span], right[span], strict=True):
        far = cv2.absdiff(wrong, as_is).max(axis=2)
        if (far > levels).mean() > share or (far > levels / 2).mean() > 0.4:
            return True
    return False
