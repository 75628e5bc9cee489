"""What native aspect ratios buy: models trained on whole clips and on square crops of them, asked for whole clips."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evaluation.findings import ClipInput
from evaluation.objects.observation import observe
from evaluation.study import (
    Comparison,
    Spread,
    better,
    by_setting,
    keep_clips,
    read_evaluations,
    score_rows,
    scores,
    show_clips,
)
from kinora.config import from_dict, write_json
from kinora.data.squares import centre_square
from kinora.media import read_video
from kinora.progress import Progress
from kinora.recipes.recipe import Recipe
from kinora.recipes.studies import NATIVE, SQUARE, arms
from kinora.report import Page
from kinora.worlds import EvaluationPrompt, simulate_prompt


def share_in_view(clip: ClipInput) -> float:
    """Return the share of the frames whose largest object is seen whole: it is there, and no edge cuts it."""
    seen = observe(clip)
    whole = [bool(blobs) and not max(blobs, key=lambda blob: blob.area).cut for blobs in seen.scene.blobs]
    return sum(whole) / seen.frames


def compare_framing(evaluations: Sequence[Path], recipe: Recipe, out: Path) -> Comparison:
    """Hold the trainings of the framing study against each other, on the same prompts at the clips' native sizes.

    Args:
        evaluations: folders with an `evaluation.json` named after its training, and the clips.
        recipe: what was varied.
        out: receives `comparison.json`, `clips/` and `report.html`.
    """
    judged = read_evaluations(evaluations)
    names = [name for group in (NATIVE, SQUARE) for name in arms(recipe, group) if name in judged]
    shares = {}
    with Progress("find the subject", len(names), "trainings") as progress:
        for done, name in enumerate(names, start=1):
            folder, evaluation = judged[name]
            shares[name] = float(np.mean([_share(folder, n, e) for n, e in enumerate(evaluation["clips"])]))
            progress.update(done)
    whole, cut = simulated_shares([record["asked"] for record in judged[names[0]][1]["clips"]], recipe)
    spread, spreads = by_setting(shares), scores({name: judged[name][1] for name in names})
    verdicts = {"subject_in_view": better(spread[NATIVE], spread[SQUARE])}
    verdicts |= {metric: better(row[NATIVE], row[SQUARE]) for metric, row in spreads.items()}
    sentence = _sentence(spread, verdicts["subject_in_view"])
    asked = keep_clips({name: judged[name] for name in names}, out)
    found = {
        "sentence": sentence,
        "trainings": {name: {"in_view": shares[name], "rates": judged[name][1]["rates"]} for name in names},
        "simulator": {"whole": whole, "square": cut},
        "better": verdicts,
        "asked": asked,
    }
    write_json(out / "comparison.json", found)
    page = Page("Framing", sentence)
    page.figures({name: value.text() for name, value in spread.items()})
    page.table(
        [
            {"": "subject whole and in view", **{name: value.text() for name, value in spread.items()}},
            *score_rows(spreads, list(spread)),
        ],
        "Share of the frames in which the subject is seen whole, and the scores: means over the seeds; in brackets the "
        f"lowest and the highest. In the simulator's own clips of these prompts it is {whole:.1%}, in their middle "
        f"squares {cut:.1%}.",
    )
    page.heading("The same prompts and seeds")
    show_clips(page, out, asked, [f"{NATIVE}-seed-0", f"{SQUARE}-seed-0"])
    page.write(out / "report.html")
    return Comparison(sentence, {f"in_view_{name}": value.mean for name, value in spread.items()})


def simulated_shares(asked: Sequence[dict[str, Any]], recipe: Recipe) -> tuple[float, float]:
    """Return the share in view of the simulator's own clips of the prompts, whole and cut to squares."""
    clips = []
    for one in asked:
        prompt = from_dict(EvaluationPrompt, one)
        frames = simulate_prompt(prompt, recipe.ingest.worlds)
        clips.append([share_in_view(ClipInput("", cut, prompt.fps, "")) for cut in (frames, centre_square(frames))])
    whole, square = np.mean(clips, axis=0)
    return float(whole), float(square)


def _share(folder: Path, number: int, record: dict[str, Any]) -> float:
    frames, fps = read_video(folder / "clips" / f"{number:03d}.mp4")
    return share_in_view(ClipInput(f"{number:03d}", frames, fps, record["asked"]["prompt"]))


def _sentence(spread: dict[str, Spread], certain: bool) -> str:
    how = "more than the seeds differ" if certain else "no more than the seeds differ"
    return (
        f"The subject is whole and in view in {spread[NATIVE].mean:.0%} of the frames after training on native aspect "
        f"ratios, in {spread[SQUARE].mean:.0%} after training on square crops: {how}."
    )
