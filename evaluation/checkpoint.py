"""Judge one checkpoint: let it make what is asked, and hold that against the prompt and physics, or against the truth.

Simulated worlds ask by prompts; a person's own footage is continued (`evaluation.footage`).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from evaluation.abilities import ABILITIES, abilities
from evaluation.evaluator import clip_record, evaluator, findings, summary
from evaluation.findings import ClipInput
from evaluation.footage import ContinuationTask, continue_clips, judge_footage
from evaluation.footage_report import footage_page, sentence
from evaluation.generating import Continues, Generates, generated
from evaluation.objects.observation import observe
from evaluation.rates import METRICS, mean_rates, rates
from evaluation.report import checkpoint_page, failed_types
from kinora.config import to_dict, write_json
from kinora.data.clips import ClipDataset
from kinora.data.drift import drift_section, generated_against_real
from kinora.errors import KinoraError
from kinora.media import write_video
from kinora.recipes.backends import NONE, Backends
from kinora.report import Page
from kinora.worlds import WORLDS, EvaluationPrompt, WorldsConfig, simulate_prompt
from kinora.worlds.registry import world_of

if TYPE_CHECKING:
    from kinora.generation import GenerationRequest

MOTIONS = frozenset(motion for world in WORLDS.values() for motion in world.motions)


def evaluate_checkpoint(
    generator: Generates,
    asked: Sequence[EvaluationPrompt | ContinuationTask],
    out: Path,
    *,
    name: str = "checkpoint",
    worlds: WorldsConfig | None = None,
    dataset: ClipDataset | None = None,
    backends: Backends = NONE,
) -> dict[str, Any]:
    """Generate and judge one clip for everything asked; write `evaluation.json`, `report.html` and the clips to `out`.

    Args:
        generator: the model under judgement.
        asked: prompts, or clips to be continued; the same ones and seeds make two evaluations comparable.
        out: folder for the results.
        name: what the report calls the model.
        worlds: the world's configuration, so that the simulator's own clip of every prompt can be shown beside it.
        dataset: where the clips are that are to be continued; its held-out clips are what the generated ones are
            compared with as a whole.
        backends: networks that help to judge what prompts ask for.

    Returns:
        The content of `evaluation.json`: the evaluator, `rates` (means), and one record a clip; of prompts also the
        rates `by_world`, `abilities` and `summary`, of continuations what `judge_footage` says.

    Raises:
        KinoraError: if nothing is asked, or a network of the backends cannot be had.
    """
    if not asked:
        raise KinoraError("there are no prompts to evaluate on; hold out some combinations of the world.")
    if isinstance(asked[0], ContinuationTask):
        assert dataset is not None, "what is to be continued lies in a dataset"
        tasks = cast(Sequence[ContinuationTask], asked)
        continued = continue_clips(cast(Continues, generator), tasks, dataset)
        evaluation = judge_footage(continued, name)
        evaluation["sentence"] = sentence(evaluation)
        page = footage_page(evaluation, continued)
        clips = [
            ClipInput(record["clip"], clip.made, clip.task.fps)
            for record, clip in zip(evaluation["clips"], continued, strict=True)
        ]
        new = [(clip.made[clip.task.given :], clip.task.fps) for clip in continued]
    else:
        prompts = cast(Sequence[EvaluationPrompt], asked)
        clips = generate_clips(generator, prompts)
        evaluation, page = _judged_beside_simulator(clips, prompts, name, worlds, backends)
        new = [(clip.frames, clip.fps) for clip in clips]
    if dataset is not None:
        drift = generated_against_real(new, dataset)
        evaluation["drift"] = drift.figures()
        drift_section(page, "The clips as a whole, against held-out ones", drift, "generated clips", "held-out clips")
    for clip in clips:
        path = out / "clips" / f"{clip.name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, clip.frames, clip.fps)
    write_json(out / "evaluation.json", evaluation)
    page.write(out / "report.html")
    return evaluation


def _judged_beside_simulator(
    clips: Sequence[ClipInput],
    prompts: Sequence[EvaluationPrompt],
    name: str,
    worlds: WorldsConfig | None,
    backends: Backends,
) -> tuple[dict[str, Any], Page]:
    """Return the evaluation and its page; with `worlds`, the simulator's own clips are judged too and shown beside."""
    evaluation = judge_prompts(clips, prompts, name, backends)
    references: list[np.ndarray] = []
    if worlds is not None:
        references = [simulate_prompt(prompt, worlds) for prompt in prompts]
        own = [replace(clip, frames=frames) for clip, frames in zip(clips, references, strict=True)]
        evaluation["reference"] = {"rates": judge_prompts(own, prompts, "the simulator", backends)["rates"]}
    return evaluation, checkpoint_page(evaluation, clips, references)


def generate_clips(generator: Generates, prompts: Sequence[EvaluationPrompt]) -> list[ClipInput]:
    """Return one generated clip a prompt, in the prompts' order."""
    made = generated(generator, [request(prompt) for prompt in prompts])
    return [
        ClipInput(f"{number:03d}", frames, prompt.fps, prompt.prompt)
        for number, (prompt, frames) in enumerate(zip(prompts, made, strict=True))
    ]


def judge_prompts(
    clips: Sequence[ClipInput], prompts: Sequence[EvaluationPrompt], name: str, backends: Backends = NONE
) -> dict[str, Any]:
    """Judge one clip a prompt and return the evaluation."""
    records = []
    for clip, prompt in zip(clips, prompts, strict=True):
        seen = observe(clip)
        found = findings(seen, backends)
        motion = prompt.attributes.motion
        records.append(
            {
                **clip_record(clip, found),
                "rates": rates(found),
                "world": world_of(motion) if motion in MOTIONS else "",
                "abilities": {ability: asdict(score) for ability, score in abilities(seen).items()},
                "asked": to_dict(prompt),
            }
        )
    summed = summary(records)
    return {
        "name": name,
        "evaluator": evaluator(backends),
        "rates": summed["rates"],
        "by_world": by_world(records),
        "abilities": {ability: mean_ability(records, ability) for ability in ABILITIES},
        "measurable": {kind: row["measurable"] / row["clips"] for kind, row in summed["types"].items()},
        "summary": summed,
        "clips_with_failure": sum(bool(failed_types(record)) for record in records),
        "clips": records,
    }


def by_world(records: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the number of clips and the mean rates of each world that prompts ask for; None what none of them asks."""
    groups: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        if record["world"]:
            groups.setdefault(record["world"], []).append(record["rates"])
    worlds = {}
    for world, group in sorted(groups.items()):
        asked = {name: mean for name, mean in mean_rates(group).items() if any(r[name] is not None for r in group)}
        worlds[world] = {"clips": len(group), "rates": dict.fromkeys(METRICS) | asked}
    return worlds


def mean_ability(records: Sequence[dict[str, Any]], ability: str) -> dict[str, Any]:
    """Return the mean score of an ability, over how many clips, and why the others could not be measured."""
    scores = [record["abilities"][ability] for record in records]
    known = [score["score"] for score in scores if score["score"] is not None]
    reasons = Counter(score["reason"] for score in scores if score["score"] is None)
    return {
        "score": float(np.mean(known)) if known else None,
        "measured": len(known),
        "not_measured": dict(reasons),
    }


def request(prompt: EvaluationPrompt) -> "GenerationRequest":
    """Return what the model is asked for."""
    from kinora.generation import GenerationRequest  # brings in torch, which judging clips does not need

    return GenerationRequest(
        prompt=prompt.prompt,
        width=prompt.width,
        height=prompt.height,
        frames=prompt.frames,
        fps=prompt.fps,
        seed=prompt.seed,
    )
