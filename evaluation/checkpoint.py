"""Judge one checkpoint: generate a clip for every held-out prompt and hold it against the prompt and physics."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from evaluation.abilities import ABILITIES, abilities
from evaluation.evaluator import clip_record, evaluator, findings, summary
from evaluation.findings import ClipInput
from evaluation.observation import observe
from evaluation.rates import METRICS, mean_rates, rates
from evaluation.report import checkpoint_page, failed_types
from kinora.config import to_dict, write_json
from kinora.errors import KinoraError
from kinora.media import write_video
from kinora.progress import Progress
from kinora.worlds import WORLDS, EvaluationPrompt, WorldsConfig, simulate_prompt
from kinora.worlds.registry import world_of

if TYPE_CHECKING:
    from kinora.generation import GenerationRequest

MOTIONS = frozenset(motion for world in WORLDS.values() for motion in world.motions)
BATCH = 16  # prompts generated together: few enough that progress shows, enough to fill a packed sequence


class Generates(Protocol):
    """Whatever turns requests into clips; `kinora.generation.VideoGenerator` does."""

    def generate(self, requests: list["GenerationRequest"]) -> list[np.ndarray]:
        """Return frames `uint8 [T, H, W, 3]` for every request."""
        ...


def evaluate_checkpoint(
    generator: Generates,
    prompts: Sequence[EvaluationPrompt],
    out: Path,
    *,
    name: str = "checkpoint",
    worlds: WorldsConfig | None = None,
) -> dict[str, Any]:
    """Generate and judge one clip a prompt; write `evaluation.json`, `report.html` and the clips to `out`.

    Args:
        generator: the model under judgement.
        prompts: what to ask for; the same prompts and seeds make two evaluations comparable.
        out: folder for the results.
        name: what the report calls the model.
        worlds: the world's configuration, so that the simulator's own clip of every prompt can be shown beside it.

    Returns:
        The content of `evaluation.json`: the evaluator, `rates` (means over prompts), the same `by_world`,
        `abilities`, `summary`, one record a clip.

    Raises:
        KinoraError: if there are no prompts.
    """
    if not prompts:
        raise KinoraError("there are no prompts to evaluate on; hold out some combinations of the world.")
    clips = generate_clips(generator, prompts)
    evaluation = judge_prompts(clips, prompts, name)
    references: list[np.ndarray] = []
    if worlds is not None:
        references = [simulate_prompt(prompt, worlds) for prompt in prompts]
        own = [replace(clip, frames=frames) for clip, frames in zip(clips, references, strict=True)]
        evaluation["reference"] = {"rates": judge_prompts(own, prompts, "the simulator")["rates"]}
    for clip in clips:
        path = out / "clips" / f"{clip.name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_video(path, clip.frames, clip.fps)
    write_json(out / "evaluation.json", evaluation)
    checkpoint_page(evaluation, clips, references).write(out / "report.html")
    return evaluation


def generate_clips(generator: Generates, prompts: Sequence[EvaluationPrompt]) -> list[ClipInput]:
    """Return one generated clip a prompt, in the prompts' order."""
    clips: list[ClipInput] = []
    with Progress("generate for evaluation", len(prompts), "clips") as progress:
        for start in range(0, len(prompts), BATCH):
            group = prompts[start : start + BATCH]
            for prompt, frames in zip(group, generator.generate([request(p) for p in group]), strict=True):
                clips.append(ClipInput(f"{len(clips):03d}", frames, prompt.fps, prompt.prompt))
            progress.update(len(clips))
    return clips


def judge_prompts(clips: Sequence[ClipInput], prompts: Sequence[EvaluationPrompt], name: str) -> dict[str, Any]:
    """Judge one clip a prompt and return the evaluation."""
    records = []
    for clip, prompt in zip(clips, prompts, strict=True):
        seen = observe(clip)
        found = findings(seen)
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
        "evaluator": evaluator(),
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
