"""Judge one checkpoint: let it make what is asked, and hold that against the prompt and physics, or against the truth.

Simulated worlds ask by prompts; a person's own footage is continued (`evaluation.footage`).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from evaluation.abilities import ABILITIES, abilities
from evaluation.evaluator import clip_record, evaluator, findings, summary
from evaluation.findings import ClipInput
from evaluation.footage import ContinuationTask
from evaluation.footage_evaluation import footage_evaluation, judge_continuations
from evaluation.footage_report import footage_page, sentence
from evaluation.gate import measures
from evaluation.generating import Continues, Generates, generated
from evaluation.intervals import averaged_share
from evaluation.objects.observation import observe
from evaluation.rates import METRICS, mean_rates, rates
from evaluation.report import checkpoint_page
from evaluation.shards import WHOLE, Shard
from kinora.config import from_dict, to_dict, write_json
from kinora.data.clips import ClipDataset
from kinora.data.drift import drift_section, generated_against_real
from kinora.errors import KinoraError
from kinora.media import read_video, write_video
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
    shard: Shard = WHOLE,
    features: str = "",
) -> dict[str, Any]:
    """Generate and judge one clip for everything asked; write `evaluation.json`, `report.html` and the clips to `out`.

    One clip after the other is judged, written and forgotten: memory does not grow with their number.

    Args:
        generator: the model under judgement.
        asked: prompts, or clips to be continued; the same ones and seeds make two evaluations comparable.
        out: folder for the results.
        name: what the report calls the model.
        worlds: the world's configuration, so that the simulator's own clip of every prompt can be shown beside it.
        dataset: where the clips are that are to be continued; its held-out clips are what the generated ones are
            compared with as a whole.
        backends: networks that help to judge what prompts ask for.
        shard: which part of what is asked is judged; `joined` makes one evaluation of the shards'.
        features: by which continuations are compared as distributions, `hf:NAME`, or the autoencoder's own if empty.

    Returns:
        The content of `evaluation.json`: the evaluator, `rates` (means), and one record a clip; of prompts also the
        rates `by_world`, `abilities` and `summary`, of continuations what `footage_evaluation` says.

    Raises:
        KinoraError: if nothing is asked, or a network of the backends cannot be had.
    """
    mine = shard.part(asked)
    if not mine:
        raise KinoraError("there are no prompts to evaluate on; hold out some combinations of the world.")
    records: list[dict[str, Any]] = []
    if isinstance(mine[0][1], ContinuationTask):
        assert dataset is not None, "what is to be continued lies in a dataset"
        tasks = cast(Sequence[tuple[int, ContinuationTask]], mine)
        judged = judge_continuations(cast(Continues, generator), tasks, dataset, out, records, features, backends)
    else:
        prompts = cast(Sequence[tuple[int, EvaluationPrompt]], mine)
        judged = _judge_generated(generator, prompts, out, records, worlds, backends)
    drift = generated_against_real(judged, dataset) if dataset is not None else None
    for _ in judged:  # where nothing is compared as a whole, what asks for the next clip
        pass
    evaluation = evaluation_of(records, name, evaluator(backends))
    page = footage_page(evaluation, out) if "kind" in evaluation else _prompts_page(evaluation, out, worlds)
    if drift is not None:
        evaluation["drift"] = drift.figures()
        drift_section(page, "The clips as a whole, against held-out ones", drift, "generated clips", "held-out clips")
    write_json(out / "evaluation.json", evaluation)
    page.write(out / "report.html")
    return evaluation


def evaluation_of(records: Sequence[dict[str, Any]], name: str, judge: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluation of the model `name` by the records of its clips, which the detectors `judge` made."""
    if "given" not in records[0]["asked"]:
        return prompts_evaluation(records, name, judge)
    evaluation = footage_evaluation(records, name, judge)
    return evaluation | {"sentence": sentence(evaluation)}


def joined(evaluations: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one evaluation a model, of those of its shards, in the order of their names.

    The only shard of a model is its evaluation. Of several, what is measured of the clips as a whole against the
    dataset's is the shards' own, and left out.

    Raises:
        KinoraError: if the shards of a model were not judged alike.
    """
    shards: dict[str, list[Mapping[str, Any]]] = {}
    for evaluation in evaluations:
        shards.setdefault(evaluation["name"], []).append(evaluation)
    whole = []
    for name, some in sorted(shards.items()):
        if len(some) == 1:
            whole.append(dict(some[0]))
            continue
        if len({shard["evaluator"]["digest"] for shard in some}) > 1:
            raise KinoraError(f"parts of {name} were judged by different versions of the evaluator; evaluate it again.")
        records = sorted((record for shard in some for record in shard["clips"]), key=lambda one: str(one["clip"]))
        whole.append(evaluation_of(records, name, some[0].get("detectors", some[0])["evaluator"]))
    return whole


def _judge_generated(
    generator: Generates,
    asked: Sequence[tuple[int, EvaluationPrompt]],
    out: Path,
    records: list[dict[str, Any]],
    worlds: WorldsConfig | None,
    backends: Backends,
) -> Iterator[tuple[np.ndarray, float]]:
    """Let a model make clips of prompts; after each was judged and written, yield its frames and rate.

    With `worlds`, the simulator's own clip of each prompt is judged too.
    """
    (out / "clips").mkdir(parents=True, exist_ok=True)
    made = generated(generator, (request(prompt) for _, prompt in asked), len(asked))
    for (place, prompt), frames in zip(asked, made, strict=True):
        clip = ClipInput(f"{place:03d}", frames, prompt.fps, prompt.prompt)
        record = prompt_record(clip, prompt, backends)
        if worlds is not None:
            own = replace(clip, frames=simulate_prompt(prompt, worlds))
            record["reference"] = prompt_record(own, prompt, backends)["rates"]
        records.append(record)
        write_video(out / "clips" / f"{clip.name}.mp4", frames, prompt.fps)
        yield frames, prompt.fps


def _prompts_page(evaluation: dict[str, Any], out: Path, worlds: WorldsConfig | None) -> Page:
    """Return the page of a checkpoint that was asked by prompts, whose clips are in `out`."""

    def made(number: int) -> ClipInput:
        record = evaluation["clips"][number]
        frames, fps = read_video(out / "clips" / f"{record['clip']}.mp4")
        return ClipInput(record["clip"], frames, fps, record["prompt"])

    def reference(number: int) -> np.ndarray | None:
        asked = from_dict(EvaluationPrompt, evaluation["clips"][number]["asked"])
        return None if worlds is None else simulate_prompt(asked, worlds)

    return checkpoint_page(evaluation, made, reference)


def generate_clips(generator: Generates, prompts: Sequence[EvaluationPrompt]) -> list[ClipInput]:
    """Return one generated clip a prompt, in the prompts' order, all at once: for a few."""
    made = generated(generator, map(request, prompts), len(prompts))
    return [
        ClipInput(f"{number:03d}", frames, prompt.fps, prompt.prompt)
        for number, (prompt, frames) in enumerate(zip(prompts, made, strict=True))
    ]


def judge_prompts(
    clips: Iterable[ClipInput], prompts: Sequence[EvaluationPrompt], name: str, backends: Backends = NONE
) -> dict[str, Any]:
    """Judge one clip a prompt and return the evaluation."""
    records = [prompt_record(clip, prompt, backends) for clip, prompt in zip(clips, prompts, strict=True)]
    return prompts_evaluation(records, name, evaluator(backends))


def prompt_record(clip: ClipInput, prompt: EvaluationPrompt, backends: Backends) -> dict[str, Any]:
    """Return what `evaluation.json` holds of the clip of a prompt."""
    seen = observe(clip)
    found = findings(seen, backends)
    motion = prompt.attributes.motion
    return {
        **clip_record(clip, found),
        "rates": rates(found),
        "world": world_of(motion) if motion in MOTIONS else "",
        "abilities": {ability: asdict(score) for ability, score in abilities(seen).items()},
        "asked": to_dict(prompt),
    }


def prompts_evaluation(records: Sequence[dict[str, Any]], name: str, judge: Mapping[str, Any]) -> dict[str, Any]:
    """Return the evaluation, the content of `evaluation.json`, of the records of clips made of prompts."""
    summed, told = summary(records), averaged_share(measures.values({"clips": records}, measures.FAULTLESS))
    summed["without_failure"]["interval"] = [told.low, told.high]  # in which clips of one prompt count as one
    references = [record["reference"] for record in records if "reference" in record]
    return {
        "name": name,
        "evaluator": dict(judge),
        "rates": summed["rates"],
        "by_world": by_world(records),
        "abilities": {ability: mean_ability(records, ability) for ability in ABILITIES},
        "measurable": {kind: row["measurable"] / row["clips"] for kind, row in summed["types"].items()},
        "summary": summed,
        "clips_with_failure": sum(bool(measures.failed_types(record)) for record in records),
        **({"reference": {"rates": mean_rates(references)}} if references else {}),
        "clips": list(records),
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
