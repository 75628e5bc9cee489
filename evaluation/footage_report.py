"""The page of one checkpoint that continued a person's own footage: every held-out clip beside its continuation."""

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

import cv2
import numpy as np

from evaluation.continuation import MEASURES
from evaluation.footage import BASELINES, NO_MOTION, Continued
from kinora.numbers import count
from kinora.report import Clip, Page

SHOWN_CLIPS = 48  # a page shows at most this many clips
SIDE, GAP, STRIP = 160, 6, 8  # pixels: the longer side of a clip shown, the space between two, the strip of time
GIVEN, MADE, CURSOR, BETWEEN = (47, 95, 208), (190, 198, 207), (24, 28, 33), 128
MEASURE_LABELS = {
    "overall": "overall score: appearance, of which half counts as far as motion is right",
    "appearance": "appearance: how near the pixels are",
    "motion": "motion: the mean of where, when and how much",
    "where": "where things move",
    "when": "where and when",
    "how_much": "where and how much",
}


def sentence(evaluation: Mapping[str, Any]) -> str:
    """Say what a model can and cannot do with a person's footage."""
    counts, rates, best = evaluation["compared"], evaluation["rates"], evaluation["baselines"]["autoencoder"]
    said = (
        f"Continues {count(counts['clips'], 'held-out clip')} from {'its' if counts['clips'] == 1 else 'their'} first "
        f"frames, and is nearer to the truth than the last given frame held still in {counts['nearer']} of "
        f"{counts['clips']}."
    )
    if counts["moving"]:
        said += (
            f" What moves, where and when, is {rates['motion']:.0%} right; the truth itself, through this model's "
            f"autoencoder, {best['motion']:.0%}."
        )
    if counts["moving"] < counts["clips"]:
        said += f" In {counts['clips'] - counts['moving']} of them nothing moves, so motion is not measured there."
    if not counts["with_words"]:
        said += " No person wrote a caption for any of them: no words were judged."
    return said


def footage_page(evaluation: Mapping[str, Any], clips: Sequence[Continued]) -> Page:
    """Return the page of one checkpoint: what it can, what it is compared with, and the clips."""
    counts, rates = evaluation["compared"], evaluation["rates"]
    page = Page(f"Evaluation of {evaluation['name']}", evaluation["sentence"])
    page.figures(
        {
            "overall score": f"{rates['overall']:.0%}",
            "overall score of the last given frame, held still": f"{evaluation['baselines']['held']['overall']:.0%}",
            "overall score of the truth, through the autoencoder": (
                f"{evaluation['baselines']['autoencoder']['overall']:.0%}"
            ),
            "clips nearer to the truth than a frame held still": f"{counts['nearer']} of {counts['clips']}",
            f"{'held-out clip' if counts['clips'] == 1 else 'held-out clips'} of {count(counts['sources'], 'file')}, "
            f"continued {counts['continuations']} times in all": str(counts["clips"]),
        }
    )
    page.heading("How near the continuations are")
    page.table(
        [
            {"": MEASURE_LABELS[measure], evaluation["name"]: _percent(rates.get(measure))}
            | {label: _percent(evaluation["baselines"][base].get(measure)) for base, label in BASELINES.items()}
            for measure in MEASURES
        ],
        "100% is the truth. A frame that is held still is about half as near in its pixels, and moves nothing. No "
        "continuation that this autoencoder decodes can be expected to come nearer than the truth does through it.",
    )
    page.heading("Every held-out clip")
    page.text(
        "On the left what the clip shows, in the middle the continuation with its first seed, on the right the truth "
        "through the autoencoder. While the strip below is blue, the frames are given; then the model goes on."
    )
    first = {clip.task.clip: clip for clip in reversed(clips)}
    shown = list(dict.fromkeys(clip.task.clip for clip in clips))[:SHOWN_CLIPS]
    page.clips(
        (_shown(first[name], evaluation) for name in shown),
        f"{counts['clips'] - SHOWN_CLIPS} more clips are in evaluation.json." if counts["clips"] > SHOWN_CLIPS else "",
    )
    still = counts["clips"] - counts["moving"]
    if still:
        page.heading("Not measurable")
        page.table([{"measure": "motion", "clips": still, "why": NO_MOTION}])
    page.heading("How this was measured")
    page.text(
        "As Physics-IQ does (arXiv:2501.09038): where, when and how much things move is compared with the truth, "
        "and the pixels are. Brightening and darkening are told apart, so that a clip that is inverted or played "
        "backwards does not pass for the truth, and a clip in which nothing moves has no motion to agree. Nothing else "
        "is looked for: not whether objects keep their shape, nor whether a continuation that differs is possible too."
    )
    return page.text(
        f"Evaluator {evaluation['evaluator']['version']}, digest {evaluation['evaluator']['digest'][:16]}."
    )


def side_by_side(clip: Continued) -> np.ndarray:
    """Return the truth, the continuation and the reconstruction, enlarged, over a strip of time, `uint8 [T, h, w, 3]`.

    The strip is blue where frames are given; a dark cursor runs along it.
    """
    frames, height, width, _ = clip.truth.shape
    scale = SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    gap = np.full((frames, size[1], GAP, 3), BETWEEN, np.uint8)
    parts: list[np.ndarray] = []
    for video in (clip.truth, clip.made, clip.reconstruction):
        parts += [gap] if parts else []
        parts.append(np.stack([cv2.resize(frame, size, interpolation=how) for frame in video]))
    shown = np.concatenate(parts, axis=2)
    edges = np.linspace(0, shown.shape[2], frames + 1).round().astype(int)
    strip = np.full((frames, STRIP, shown.shape[2], 3), MADE, np.uint8)
    strip[:, :, : edges[clip.task.given]] = GIVEN
    strip[:, :2] = BETWEEN
    for t in range(frames):
        middle = (edges[t] + edges[t + 1]) // 2
        strip[t, :, max(0, middle - 2) : middle + 2] = CURSOR
    return np.concatenate([shown, strip], axis=1)


def _shown(clip: Continued, evaluation: Mapping[str, Any]) -> Clip:
    task, own = clip.task, evaluation["by_clip"][clip.task.clip]
    seeds = [record for record in evaluation["clips"] if record["asked"]["clip"] == task.clip]
    held = seeds[0]["baselines"]["held"]
    said = f"“{task.prompt}”" if task.prompt else "no caption by a person, so no words"
    spread = [record["rates"]["overall"] for record in seeds]
    note = (
        f"{count(task.given, 'frame')} of {task.frames} given. Overall score {own['overall']:.0%}"
        + (f" (mean of {len(seeds)} seeds, {min(spread):.0%} to {max(spread):.0%})" if len(seeds) > 1 else "")
        + f"; held still {held['overall']:.0%}. Appearance {own['appearance']:.0%}"
        + ("; nothing moves." if own["motion"] is None else f", motion {own['motion']:.0%}.")
    )
    return Clip(side_by_side(clip), task.fps, f"{PurePosixPath(task.source).name}: {said}", note)


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
