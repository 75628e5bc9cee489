"""The page of one checkpoint that continued a person's own footage: every held-out clip beside its continuation."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np
import pandas as pd

from evaluation.continuation import MEASURES
from evaluation.distances import FLOOR
from evaluation.footage import Continued
from evaluation.gate import measures
from evaluation.gate.measures import FAULTLESS, failed_types
from evaluation.intervals import clustered
from evaluation.overlay import FAILING, outline
from evaluation.report import failure_sentence
from evaluation.report_tables import rate_with_interval, share_of, share_with_interval
from kinora.media import read_video
from kinora.numbers import count
from kinora.report import Clip, Page

SHOWN_CLIPS = 48  # a page shows at most this many clips
SIDE, GAP, STRIP = 160, 6, 8  # pixels: the longer side of a clip shown, the space between two, the strip of time
BASELINES = {
    "held": "the last given frame, held still",
    "autoencoder": "the truth, through the autoencoder",
    "blurred": "the truth, blurred",
}
NO_MOTION = "what the clip shows does not move, so that no motion can agree"
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
    more = evaluation["detectors"]["more"]["count"]
    if more:
        said += f" The detectors find a failure that the truth has not in {more} of {counts['continuations']}."
    if not counts["with_words"]:
        said += " No person wrote a caption for any of them: no words were judged."
    return said


def footage_page(evaluation: Mapping[str, Any], folder: Path) -> Page:
    """Return the page of one checkpoint: what it can, the clips, and what it is compared with.

    Args:
        evaluation: what `footage_evaluation` returned, with its `sentence`.
        folder: has the first continuation of each clip beside the truth in `beside/`.
    """
    counts, nearer = evaluation["compared"], clustered(_nearer(evaluation))
    page = Page(f"Evaluation of {evaluation['name']}", evaluation["sentence"])
    page.figures(
        {
            "overall score": rate_with_interval(evaluation, "overall"),
            "overall score of the last given frame, held still": _baseline(evaluation, "held", "overall"),
            "overall score of the truth, through the autoencoder": _baseline(evaluation, "autoencoder", "overall"),
            f"clips nearer to the truth than a frame held still: {counts['nearer']} of {counts['clips']}": str(nearer),
            "continuations without a failure that the truth has not": str(share_of(evaluation, FAULTLESS)),
            f"{'held-out clip' if counts['clips'] == 1 else 'held-out clips'} of {count(counts['sources'], 'file')}, "
            f"continued {counts['continuations']} times in all": str(counts["clips"]),
        }
    )
    page.heading("Every held-out clip")
    page.text(
        "On the left what the clip shows, in the middle the continuation with its first seed, on the right the truth "
        "through the autoencoder. While the strip below is blue, the frames are given; then the model goes on. Where "
        "the detectors find a failure in the continuation, of a type that they do not find in the truth, the strip is "
        "red, and the place, where it has one, is outlined."
    )
    page.clips(
        _shown(evaluation, folder),
        f"{counts['clips'] - SHOWN_CLIPS} more clips are in evaluation.json." if counts["clips"] > SHOWN_CLIPS else "",
        filter_by="failure",
    )
    page.heading("How near the continuations are")
    page.table(
        [
            {"": MEASURE_LABELS[measure], evaluation["name"]: rate_with_interval(evaluation, measure)}
            | {label: _baseline(evaluation, base, measure) for base, label in BASELINES.items()}
            for measure in MEASURES
        ],
        "100% is the truth; in brackets the intervals of 95% by files. A frame that is held still is about half as "
        "near in its pixels, and moves nothing. No continuation that this autoencoder decodes can be expected to come "
        "nearer than the truth does through it.",
    )
    _detectors(page, evaluation)
    _distances(page, evaluation)
    still = counts["clips"] - counts["moving"]
    if still:
        page.heading("Not measurable")
        page.table([{"measure": "motion", "clips": still, "why": NO_MOTION}])
    page.heading("How this was measured")
    page.text(
        "As Physics-IQ does (arXiv:2501.09038): where, when and how much things move is compared with the truth, "
        "and the pixels are. Brightening and darkening are told apart, so that a clip that is inverted or played "
        "backwards does not pass for the truth, and a clip in which nothing moves has no motion to agree. That is what "
        "decides, if no type of failure becomes more frequent; distances are shown beside it. None of them knows "
        "whether a continuation that differs from the truth is possible too."
    )
    return page.text(
        f"Evaluator {evaluation['evaluator']['version']}, digest {evaluation['evaluator']['digest'][:16]}; "
        f"detectors {evaluation['detectors']['evaluator']['digest'][:16]}."
    )


def _detectors(page: Page, evaluation: Mapping[str, Any]) -> None:
    """Add which failures the detectors find in the continuations, and in the truth that they continue."""
    found = evaluation["detectors"]
    more, of = found["more"], found["continuations"]
    page.heading("Failures of physics and consistency")
    page.text(
        f"In {more['count']} of {count(of, 'continuation')}, {_between(more, 'share', '{:.0%}')}, the detectors find a "
        f"failure of a type that they do not find in the truth. They find any in {found['any']['made']} of "
        f"the continuations, in {found['any']['truth']} of the truths, where each is a false alarm, and in "
        f"{found['any']['autoencoder']} of the truths through the autoencoder. In the interval the clips of one file "
        "count as far as they differ."
    )
    rows = [
        {
            "type": kind.replace("_", " "),
            "in the continuation, not in the truth": row["more"],
            "in the continuation": row["made"],
            "in the truth": row["truth"],
            "in the truth, through the autoencoder": row["autoencoder"],
        }
        for kind, row in found["types"].items()
        if any(row.values())
    ]
    if rows:
        page.table(rows, f"Of {count(of, 'continuation')}, each with its truth; the frames that were given are seen.")


def _distances(page: Page, evaluation: Mapping[str, Any]) -> None:
    """Add how far all continuations together are from all truths."""
    found = evaluation["distances"]
    page.heading("All continuations, as a distribution")
    if "reason" in found:
        page.text(f"Not measurable: {found['reason']}.")
        return
    names = {"made": evaluation["name"], **BASELINES, FLOOR: FLOOR}
    page.table(
        [
            {
                "": label,
                "kernel distance": _between(found["kernel"][name], "value", "{:.2f}"),
                "Fréchet distance": _between(found["frechet"][name], "value", "{:.1f}"),
            }
            for name, label in names.items()
        ],
        f"Distances from the truth of {count(found['clips'], 'clip')} of {count(found['files'], 'file')}, with 95% "
        f"intervals by files; features: {found['features']}, in units of the truth's own spread. Of so few clips the "
        "kernel distance (KID) is the one to read: it is 0 on average where nothing differs. The Fréchet distance is "
        "above that, the more the fewer clips there are; halves have half as many.",
    )


def new_failures(record: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the failures that the detectors find in a continuation, of types that they do not find in the truth."""
    kinds = failed_types(record)
    return [failure for failure in record["detectors"]["made"]["failures"] if failure["type"] in kinds]


def side_by_side(clip: Continued, best: np.ndarray, failures: Sequence[Mapping[str, Any]] = ()) -> np.ndarray:
    """Return the truth, the continuation and `best`, the truth through the autoencoder, `uint8 [T, h, w, 3]`.

    They are enlarged, over a strip of time that is blue where frames are given; a dark cursor runs along it. Where one
    of the `failures` of the continuation lies, the strip's lower half is red, and its place is outlined.
    """
    frames, height, width, _ = clip.truth.shape
    scale = SIDE / max(height, width)
    size = (round(width * scale), round(height * scale))
    how = cv2.INTER_NEAREST if scale > 1 else cv2.INTER_AREA
    gap = np.full((frames, size[1], GAP, 3), BETWEEN, np.uint8)
    parts: list[np.ndarray] = []
    for video in (clip.truth, clip.made, best):
        parts += [gap] if parts else []
        parts.append(np.stack([cv2.resize(frame, size, interpolation=how) for frame in video]))
    placed = [failure for failure in failures if failure["box"]]
    outline(parts[2], clip.made.shape, [(f["start_frame"], f["end_frame"], tuple(f["box"]), "found") for f in placed])
    shown = np.concatenate(parts, axis=2)
    edges = np.linspace(0, shown.shape[2], frames + 1).round().astype(int)
    strip = np.full((frames, STRIP, shown.shape[2], 3), MADE, np.uint8)
    strip[:, :, : edges[clip.task.given]] = GIVEN
    for failure in failures:
        strip[:, STRIP // 2 + 1 :, edges[failure["start_frame"]] : edges[failure["end_frame"] + 1]] = FAILING
    strip[:, :2] = BETWEEN
    for t in range(frames):
        middle = (edges[t] + edges[t + 1]) // 2
        strip[t, :, max(0, middle - 2) : middle + 2] = CURSOR
    return np.concatenate([shown, strip], axis=1)


def _shown(evaluation: Mapping[str, Any], folder: Path) -> Iterator[Clip]:
    """Yield the first continuation of each of the first clips, beside the truth."""
    seeds: dict[str, list[Mapping[str, Any]]] = {}
    for record in evaluation["clips"]:
        seeds.setdefault(record["asked"]["clip"], []).append(record)
    for clip, records in list(seeds.items())[:SHOWN_CLIPS]:
        first, own = records[0], evaluation["by_clip"][clip]
        asked = first["asked"]
        said = f"“{asked['prompt']}”" if asked["prompt"] else "no caption by a person, so no words"
        spread = [record["rates"]["overall"] for record in records]
        tags = failed_types(first)
        note = (
            f"{count(asked['given'], 'frame')} of {asked['frames']} given. Overall score {own['overall']:.0%}"
            + (f" (mean of {len(records)} seeds, {min(spread):.0%} to {max(spread):.0%})" if len(records) > 1 else "")
            + f"; held still {first['baselines']['held']['overall']:.0%}. Appearance {own['appearance']:.0%}"
            + ("; nothing moves." if own["motion"] is None else f", motion {own['motion']:.0%}.")
            + "".join(f" {failure_sentence(failure, asked['frames'] - 1)}" for failure in new_failures(first))
        )
        frames, _ = read_video(folder / "beside" / f"{first['clip']}.mp4")
        label = f"{PurePosixPath(asked['source']).name}: {said}"
        yield Clip(frames, asked["fps"], label, note, bool(tags), tags)


def _between(figure: Mapping[str, float], value: str, form: str) -> str:
    """Return a figure with its interval."""
    return f"{form.format(figure[value])} ({form.format(figure['low'])} to {form.format(figure['high'])})"


def _baseline(evaluation: Mapping[str, Any], base: str, measure: str) -> str:
    """Return what comes out for something that is no continuation by a model, with its interval by files."""
    known = measures.by_cluster(evaluation, lambda record: record["baselines"][base][measure])
    return share_with_interval(evaluation["baselines"][base].get(measure), known)


def _nearer(evaluation: Mapping[str, Any]) -> "pd.Series[bool]":
    """Return of every clip whether its continuations are nearer to the truth than a frame held still, by file."""
    first = {record["asked"]["clip"]: record for record in reversed(evaluation["clips"])}
    flags = [
        evaluation["by_clip"][clip]["appearance"] > record["baselines"]["held"]["appearance"]
        for clip, record in first.items()
    ]
    return pd.Series(flags, index=pd.Index([record["asked"]["source"] for record in first.values()], name="base"))
