"""Which checkpoint becomes a model version, and that it is held against the version that is deployed."""

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.checkpoint import evaluate_checkpoint
from evaluation.selection import TrainedModels, ranked, select_version
from kinora import recipes
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.generation import Registry
from kinora.worlds import WorldsConfig, evaluation_prompts, simulate_prompt

WORLDS = WorldsConfig()


class Simulator:
    """Makes what was asked for, perfectly; or, where it is bad, noise."""

    def __init__(self, prompts, good: bool):
        self.clips = {prompt.seed: simulate_prompt(prompt, WORLDS) for prompt in prompts}
        self.good = good

    def generate(self, requests, on_step=None):
        clips = [self.clips[request.seed] for request in requests]
        noise = np.random.default_rng(0)
        return clips if self.good else [noise.integers(0, 255, clip.shape, dtype=np.uint8) for clip in clips]


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory) -> dict[str, Path]:
    """Evaluations of an untrained, a bad and a good checkpoint, by the real evaluator."""
    root, prompts = tmp_path_factory.mktemp("evaluations"), evaluation_prompts(WORLDS, 8, 0)
    for name, good in (("step-000000", False), ("step-000100", False), ("step-000200", True)):
        evaluate_checkpoint(Simulator(prompts, good), prompts, root / name, name=name)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def models(tmp_path) -> TrainedModels:
    """Folders with the shape of trained models."""
    for part in ("autoencoder", "captioner", "transformer", *(f"transformer/step-000{n}00" for n in range(3))):
        folder = tmp_path / "models" / part
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"name": part, "initial_digest": "1" * 64}))
    return TrainedModels(*(tmp_path / "models" / name for name in ("transformer", "autoencoder", "captioner")))


@pytest.fixture
def clips(tmp_path) -> ClipDataset:
    return ClipDataset.write(tmp_path / "clips", table([], CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


def test_the_best_trained_checkpoint_is_the_candidate():
    scores = {"step-000000": 0.9, "step-000100": 0.5, "step-000200": 0.4}
    candidate, untrained = ranked([{"name": name, "rates": {"overall": score}} for name, score in scores.items()])
    assert (candidate["name"], untrained["name"]) == ("step-000100", "step-000000")


@pytest.mark.parametrize("place", ["a folder", "S3"])
def test_the_gate_meets_the_version_that_another_machine_deployed(request, place, evaluations, models, clips, tmp_path):
    root = str(tmp_path / "artifacts") if place == "a folder" else request.getfixturevalue("s3_root")
    recipe = recipes.get("smoke")

    def run(names: list[str], out: str):
        paths = [evaluations[name] for name in names]
        return select_version(models, paths, clips, recipe, "code", Registry(root), tmp_path / out)

    good, version = run(["step-000000", "step-000100", "step-000200"], "first")
    assert (good.promote, good.rival) == (True, "untrained")
    assert version.record("lineage")["checkpoint"] == "step-000200"
    assert version.record("lineage")["parent"] == "1" * 64
    Registry(root).promote(version.path, verdict=good.reason, run="first")

    bad, worse = run(["step-000000", "step-000100"], "second")  # a pod of its own, with an empty disk
    assert (bad.promote, bad.rival) == (False, "incumbent")
    assert "worse than the incumbent" in bad.reason
    assert worse.name != version.name

    again, same = run(["step-000000", "step-000100", "step-000200"], "third")
    assert same == version or same.name == version.name
    assert not again.promote
    assert (again.promotion.run, again.promotion.verdict) == ("first", good.reason)
