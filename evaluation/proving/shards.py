"""The benchmark's work in parts that processes take: each makes some cases, judges them, and gives rows of figures.

Only rows and a few small example clips leave a process, so that memory does not grow with the number of clips.
"""

import time
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evaluation.evaluator import judge
from evaluation.findings import TYPES, Candidate, Finding, unmeasurable
from evaluation.overlay import boxed
from evaluation.proving import clay, paper, studio
from evaluation.proving.case import Case
from evaluation.proving.edits.making import KINDS as ALL
from evaluation.proving.edits.making import Making
from evaluation.proving.edits.sprites import sprites_of
from evaluation.proving.edits.workbench import Bench, Sprite
from evaluation.proving.nulls import nulls_of
from evaluation.proving.real import Footage, pieces
from kinora.media import video_bytes
from kinora.recipes.backends import NONE, Backends
from kinora.worlds import EvaluationPrompt

KINDS = tuple(kind for kind in TYPES if kind != "prompt_mismatch")  # it is judged on prompts, in its own tests
FAULTLESS, FAILING, NULL, RECONSTRUCTED = "faultless", "failing", "null", "reconstructed"
AS_MADE, EDITED = "as made", "edited"  # clips of a model, of which nobody knows which are faultless
FAMILIES = {"paper": paper.cases, "clay": clay.cases, "studio": studio.cases}


@dataclass(frozen=True)
class Extras:
    """What else is judged of some faultless clips: of every `nulls`th base its nulls, of every `again`th its copy.

    `autoencoder` is the folder of the one that copies are made by; 0 means none.
    """

    nulls: int = 4
    again: int = 4
    autoencoder: Path | None = None


@dataclass(frozen=True)
class Drawn:
    """Cases of a family of renderers, all of them or the faultless alone."""

    family: str
    count: int
    seed: int
    extras: Extras
    faultless: bool = False

    def cases(self) -> Iterator[tuple[Case, frozenset[str] | None]]:
        """Yield the cases, and what is known of what happens in them."""
        for case in FAMILIES[self.family](self.count, self.seed, faultless=self.faultless):
            yield case, None


@dataclass(frozen=True, eq=False)
class Filmed:
    """Cases of one real clip: its pieces, and failures of some kinds edited into each."""

    footage: Footage
    row: dict[str, Any]
    failures: int
    most_pieces: int
    sprites: Sequence[Sprite]
    seed: int
    extras: Extras
    kinds: Sequence[str] = tuple(ALL)

    def cases(self) -> Iterator[tuple[Case, frozenset[str] | None]]:
        """Yield the cases, and what the caption says of the clip."""
        for number, piece in enumerate(pieces(self.footage.folder, self.row)):
            if number == self.most_pieces:
                return
            rng = np.random.default_rng([self.seed, zlib.crc32(piece.name.encode())])
            foreign = lambda rng, file=piece.file: self.footage.piece_of_another(file, rng)  # noqa: E731
            for case in Making(Bench(piece, self.sprites, foreign), rng, self.failures, self.kinds).cases():
                yield case, piece.physics


@dataclass(frozen=True, eq=False)
class Generated:
    """Cases of clips that a model version makes of some prompts: as made, and with failures edited in."""

    version: Path
    prompts: Sequence[EvaluationPrompt]
    failures: int
    seed: int


Shard = Drawn | Filmed | Generated


@dataclass(frozen=True)
class Cutting:
    """Cut-outs from one real clip's first piece."""

    footage: Footage
    row: dict[str, Any]

    def sprites(self) -> list[Sprite]:
        """Return the cut-outs."""
        piece = next(pieces(self.footage.folder, self.row), None)
        if piece is None:
            return []
        return sprites_of(Bench(piece, [], lambda rng: None), np.random.default_rng(zlib.crc32(piece.name.encode())))


@dataclass(frozen=True)
class Judged:
    """What a shard gives: rows, one a case and type, and for some failing cases a video with the place outlined.

    `crashes` names the cases whose detectors raised, which none may.
    """

    rows: list[dict[str, Any]]
    examples: list[tuple[dict[str, Any], bytes]]
    crashes: list[str]


def cut(part: Cutting) -> list[Sprite]:
    """Return the cut-outs of one clip; what a process runs."""
    cv2.setNumThreads(1)
    return part.sprites()


def judged(shard: Shard, backends: Backends = NONE) -> Judged:
    """Make and judge the cases of a shard, with some networks; what a process runs."""
    cv2.setNumThreads(1)
    rows: list[dict[str, Any]] = []
    examples: dict[str, tuple[dict[str, Any], bytes]] = {}
    crashes: list[str] = []
    for case, group in _all_cases(shard):
        try:
            found, seconds = _timed(case, backends)
        except Exception as error:  # a detector's fault is a result of the benchmark, not its end
            crashes.append(f"{case.clip.name}, {case.way}: {type(error).__name__}: {error}")
            continue
        new = list(_rows(case, group, found, seconds))
        rows += new
        if case.failure is not None and case.failure.type not in examples and case.failure.type in found:
            row = next(row for row in new if row["type"] == case.failure.type)
            examples[case.failure.type] = row, _video(case, found[case.failure.type])
    return Judged(rows, list(examples.values()), crashes)


def _all_cases(shard: Shard) -> Iterator[tuple[Case, str]]:
    """Yield the cases of a shard and what is made of the faultless ones, each with its group."""
    if isinstance(shard, Generated):
        from evaluation.proving import generated  # imports torch

        for case in generated.cases(shard.version, shard.prompts, shard.failures, shard.seed):
            yield case, NULL if case.way == generated.UNTRAINED else EDITED if case.failure else AS_MADE
        return
    for case, physics in shard.cases():
        yield case, FAILING if case.failure else FAULTLESS
        if case.failure is None:
            yield from _made_of(case, shard.extras, physics)


def _made_of(case: Case, extras: Extras, physics: frozenset[str] | None) -> Iterator[tuple[Case, str]]:
    number = zlib.crc32(case.clip.name.encode())
    rng = np.random.default_rng(number)
    if extras.nulls and number % extras.nulls == 0:
        for name, null in nulls_of(physics).items():
            yield replace(case, way=name, clip=replace(case.clip, frames=null(case.clip.frames, rng))), NULL
    if extras.autoencoder is not None and extras.again and (number >> 8) % extras.again == 0:
        from evaluation.proving.reconstruction import through_autoencoder  # imports torch

        frames = through_autoencoder(extras.autoencoder)(case.clip.frames)
        yield replace(case, way="through the autoencoder", clip=replace(case.clip, frames=frames)), RECONSTRUCTED


def _timed(case: Case, backends: Backends) -> tuple[dict[str, Finding], float]:
    start = time.process_time()
    return judge(case.clip, KINDS, backends), time.process_time() - start


def _rows(case: Case, group: str, found: dict[str, Finding], seconds: float) -> Iterator[dict[str, Any]]:
    """Yield a row for each type: what is true, and what its detector made of it."""
    T, height, width, _ = case.clip.frames.shape
    about = {
        "case": case.clip.name, "family": case.family, "base": case.base, "way": case.way, "group": group,
        "twin": case.twin, "frames": T, "fps": case.clip.fps, "width": width, "height": height, "seconds": seconds,
    }  # fmt: skip
    truth = case.failure
    about |= {
        "true_type": truth.type if truth else "", "severity": truth.severity if truth else "",
        "true_start": truth.start_frame if truth else -1, "true_end": truth.end_frame if truth else -1,
        "true_box": list(truth.box) if truth and truth.box else None,
    }  # fmt: skip
    for kind in KINDS:
        finding = found.get(kind) or unmeasurable(kind, "no detector of this version finds it", due=False)
        best = strongest(finding)
        yield about | {
            "type": kind,
            "due": kind in case.due,
            "measured": finding.score is not None,
            "strength": strength_of(finding),
            "reason": finding.reason,
            "missed": finding.due and finding.score is None,
            "start": best.start_frame if best else -1,
            "end": best.end_frame if best else -1,
            "box": list(best.box) if best and best.box else None,
            "explanation": best.explanation if best else "",
        }


def strength_of(finding: Finding) -> float:
    """Return how strong a finding is; nan where it could not be measured, the score where that is all there is."""
    if finding.score is None:
        return float("nan")
    return float(finding.score if finding.strength is None else finding.strength)


def strongest(finding: Finding) -> Candidate | None:
    """Return the strongest candidate of a finding, None if there is none."""
    if finding.candidates:
        return max(finding.candidates, key=lambda candidate: candidate.strength)
    worst = max(finding.failures, key=lambda failure: failure.score, default=None)
    if worst is None:
        return None
    return Candidate(worst.start_frame, worst.end_frame, worst.score, worst.explanation, worst.box)


def _video(case: Case, finding: Finding) -> bytes:
    """Return a case as a small video: the true place outlined in green, the one found in red."""
    assert case.failure is not None
    best, known = strongest(finding), case.failure
    marks = [(known.start_frame, known.end_frame, known.box, "true")]
    if best is not None:
        marks.append((best.start_frame, best.end_frame, best.box, "found"))
    return video_bytes(boxed(case.clip.frames, marks), case.clip.fps)
