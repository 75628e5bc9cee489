"""How many frames a second the detectors judge on one core, and where their time goes.

    python -m benchmarks.detectors_speed [--side 128] [--clips 12]

Clips are of three kinds: square ones of the family `paper`, the simulator's own with their prompts, and, with the
folder that KINORA_TEST_MEDIA names, pieces of real footage of as long a side. Processor time is counted, of one thread.
"""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import cv2
import numpy as np
import tyro

from evaluation.evaluator import DETECTORS, OF_OBJECTS
from evaluation.evidence.clip import Evidence, gather
from evaluation.fidelity.promises import held_against
from evaluation.findings import ClipInput, Finding
from evaluation.objects.observation import observe
from evaluation.proving import paper
from evaluation.proving.filming import Painter, film
from evaluation.proving.real import MEDIA, clips_of, media_folder, pieces, reduced
from evaluation.proving.stage.scene import Scene
from kinora.worlds import WorldsConfig, evaluation_prompts, simulate_prompt

SEED = 15000
EVIDENCE = ("shots", "camera", "flow", "noise", "background", "tracks", "changes", "turned")


def drawn(side: int, count: int) -> Iterator[ClipInput]:
    """Yield clips of the family `paper`, faultless and failing."""

    def stage(rng: np.random.Generator, like: Scene | None, size: tuple[int, int] | None) -> tuple[Scene, Painter]:
        return paper.stage(rng, like, size or (side, side))

    for number in range(count):  # of every scene another case
        yield list(film("paper", stage, 1 + number % 4, SEED + number, faultless=False))[-1].clip


def simulated(side: int, count: int) -> Iterator[ClipInput]:
    """Yield the simulator's clips of prompts."""
    worlds = replace(WorldsConfig(), sizes=((side, side),))
    for prompt in evaluation_prompts(worlds, count, SEED):
        yield ClipInput("simulated", simulate_prompt(prompt, worlds), prompt.fps, prompt.prompt)


def filmed(side: int, count: int) -> Iterator[ClipInput]:
    """Yield pieces of the real clips that detectors may be built on, one of each."""
    folder = media_folder()
    for row in clips_of(folder, "dev")[:count]:
        for piece in islice(pieces(folder, row), 1):
            yield ClipInput(piece.name, reduced(piece.frames, side), piece.fps)


def timed(clip: ClipInput) -> dict[str, float]:
    """Return the seconds of every stage of judging a clip."""
    spent: dict[str, float] = {}

    def run(name: str, work: Callable[[], Any]) -> Any:
        began = time.process_time()
        result = work()
        spent[name] = time.process_time() - began
        return result

    evidence: Evidence = run("gather", lambda: gather(clip))
    for name in EVIDENCE:
        run(name, lambda name=name: getattr(evidence, name))
    found: dict[str, Finding] = {}
    for kind, detector in DETECTORS.items():
        if kind not in OF_OBJECTS:
            found[kind] = run(kind, lambda detector=detector: detector(evidence))
    if clip.prompt:
        seen = run("objects", lambda: observe(clip))
        found |= {kind: run(kind, lambda kind=kind: DETECTORS[kind](seen)) for kind in OF_OBJECTS}
        run("promises", lambda: held_against(seen, found))
    return spent


def measure(side: int = 128, clips: int = 12) -> str:
    """Return the figures as a section of Markdown.

    Args:
        side: the longer side of clips, in pixels.
        clips: of each kind.
    """
    cv2.setNumThreads(1)
    kinds = {"paper": drawn, "simulator": simulated} | ({"footage": filmed} if os.environ.get(MEDIA) else {})
    rows: dict[str, list[tuple[int, dict[str, float]]]] = {}
    for kind, make in kinds.items():
        some = list(make(side, clips))
        timed(some[0])  # what is made once
        rows[kind] = [(len(clip.frames), timed(clip)) for clip in some]
    rows["all"] = [row for group in list(rows.values()) for row in group]
    lines = [
        "## The detectors' speed",
        "",
        f"One core, clips with a longer side of {side} pixels, {clips} of each kind.",
    ]
    lines += ["", "| clips | frames a second, median | least and most |", "|---|---|---|"]
    for kind, group in rows.items():
        rates = np.array([frames / sum(spent.values()) for frames, spent in group])
        lines.append(f"| {kind} | {np.median(rates):.0f} | {rates.min():.0f} to {rates.max():.0f} |")
    lines += ["", f"| ms a frame, median | {' | '.join(rows)} |", f"|---|{'---|' * len(rows)}"]
    for name in max((spent for _, spent in rows["all"]), key=len):
        values = [
            np.median([1000 * spent.get(name, 0.0) / frames for frames, spent in group]) for group in rows.values()
        ]
        lines.append(f"| {name} | {' | '.join(f'{value:.2f}' for value in values)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(tyro.cli(measure))
