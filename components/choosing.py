"""What checkpoints are asked for, which of them becomes a model version, and what it has to beat."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.sources import code_digest
from kinora.config import from_dict, read_json, to_dict, write_json

if TYPE_CHECKING:
    from evaluation.gate import Decision
    from kinora.data.clips import ClipDataset
    from kinora.generation import ModelVersion
    from kinora.recipes.recipe import Recipe
    from kinora.worlds import EvaluationPrompt

CURRENT = "models/current.json"


@dataclass(frozen=True)
class Models:
    """The folders of what a run trained; `transformer` holds all checkpoints."""

    transformer: Path
    autoencoder: Path
    captioner: Path


def simulated(dataset: "ClipDataset") -> bool:
    """Say whether the clips are simulated worlds; a person's own files have none among them."""
    return bool((dataset.clips["caption_source"] == "simulator").any())


def prompts_for(dataset: "ClipDataset", recipe: "Recipe") -> list["EvaluationPrompt"]:
    """Return what checkpoints trained on `dataset` are asked for.

    Where the clips are simulated, that is the recipe's held-out combinations. A person's own files have no such
    combinations: the captions of their validation clips are asked for, as far as they name what can be checked, in
    turn until there are as many as the recipe wants, each with a seed of its own.
    """
    from kinora.worlds import EvaluationPrompt, evaluation_prompts, parse

    plan, clips = recipe.evaluation, dataset.clips
    unseen = clips[clips["split"] == "validation"]
    videos = unseen[unseen["kind"] == "video"]
    rows = [] if simulated(dataset) else (videos if len(videos) else unseen).to_dict("records")
    asked = [(row, attributes) for row in rows if (attributes := parse(row["caption"])) is not None]
    if not asked:
        return evaluation_prompts(recipe.ingest.worlds, plan.prompts, plan.seed)
    return [
        EvaluationPrompt(
            prompt=row["caption"],
            attributes=attributes,
            width=row["width"],
            height=row["height"],
            frames=row["frames"],
            fps=row["fps"] or recipe.ingest.fps,  # a still has none
            seed=plan.seed + number,
        )
        for number in range(plan.prompts)
        for row, attributes in [asked[number % len(asked)]]
    ]


def decide_promotion(
    models: Models, evaluations: Sequence[Path], clips: Path, recipe: str, artifact_root: str, out: Path
) -> tuple["Decision", str]:
    """Write the best checkpoint as a model version below `out` and ask the gate whether it goes into service.

    Return what the gate decided, and the checkpoint's name.
    """
    from evaluation.gate import Decision, decide
    from kinora import recipes
    from kinora.data.clips import ClipDataset
    from kinora.generation import read_version, write_version

    candidate, untrained = ranked([read_json(path / "evaluation.json") for path in evaluations])
    with tempfile.TemporaryDirectory() as temporary:
        incumbent = version_in_service(artifact_root, Path(temporary))
        lineage = {
            "dataset": ClipDataset.open(clips).digest,
            "code": code_digest(),
            "evaluator": candidate["evaluator"]["digest"],
            "checkpoint": candidate["name"],
            "parent": None,  # every version is trained from nothing
        }
        checkpoint = models.transformer / candidate["name"]
        resolved = to_dict(recipes.get(recipe))
        version = write_version(out, models.autoencoder, checkpoint, models.captioner, resolved, candidate, lineage)
        if incumbent and read_version(incumbent).digest == version.digest:
            reason = "The candidate is the model that is in service already; nothing changes."
            return Decision(False, reason, "incumbent", 0, None), candidate["name"]
        rival = incumbent_evaluation(incumbent, candidate, Path(temporary)) if incumbent else None
        return decide(candidate, rival, untrained), candidate["name"]


def ranked(evaluations: Sequence[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the evaluations of the best trained checkpoint and of the untrained one, which is the first by name."""
    untrained, *trained = sorted(evaluations, key=lambda evaluation: evaluation["name"])
    return max(trained, key=lambda evaluation: evaluation["rates"]["overall"]), untrained


def incumbent_evaluation(incumbent: Path, candidate: dict[str, Any], out: Path) -> dict[str, Any]:
    """Return an evaluation of the model in service that can be compared with the candidate's.

    That is the one it came with, if the same evaluator made it on the same prompts; else it is evaluated again.
    """
    from evaluation.checkpoint import evaluate_checkpoint
    from evaluation.gate import incomparable
    from kinora.generation import VideoGenerator
    from kinora.worlds import EvaluationPrompt

    known = read_json(incumbent / "evaluation.json")
    if not incomparable(candidate, known):
        return known
    prompts = [from_dict(EvaluationPrompt, clip["asked"]) for clip in candidate["clips"]]
    return evaluate_checkpoint(VideoGenerator.from_version(incumbent), prompts, out, name="the model in service")


def version_in_service(artifact_root: str, cache: Path) -> Path | None:
    """Return the folder of the model version in service, or None.

    With an `s3://` artifact root that is the last one promoted there, whatever machine did it; else the one in this
    machine's model store.
    """
    if not artifact_root.startswith("s3://"):
        from serving.model_store import current

        return current()
    from kinora.storage import open_store

    store = open_store(artifact_root)
    if not store.exists(CURRENT):
        return None
    store.get_file(CURRENT, cache / "current.json")
    name = read_json(cache / "current.json")["version"]
    store.get_folder(f"models/{name}", cache / name)
    return cache / name


def promote_version(folder: Path, artifact_root: str) -> tuple["ModelVersion", str]:
    """Put the one model version below `folder` into service; return it and its URI.

    It goes into this machine's BentoML model store and, with an `s3://` artifact root, to `models/` there, where
    a cluster's workers fetch it.
    """
    from kinora.generation import read_version
    from kinora.storage import open_store
    from serving import model_store

    (path,) = (child for child in folder.iterdir() if child.is_dir())
    version = read_version(path)
    stored = model_store.promote(version.path)
    if not artifact_root.startswith("s3://"):
        return version, str(stored)
    store, key = open_store(artifact_root), f"models/{version.name}"
    store.put_folder(version.path, key)
    with tempfile.TemporaryDirectory() as temporary:
        write_json(Path(temporary) / "current.json", {"version": version.name, "uri": store.uri(key)})
        store.put_file(Path(temporary) / "current.json", CURRENT)
    return version, store.uri(key)
