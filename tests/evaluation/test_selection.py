"""Which checkpoint becomes a model version, and that it is held once against the deployed one, on other prompts."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from evaluation import selection
from evaluation.checkpoint import evaluate_checkpoint
from evaluation.gate.measures import cluster
from evaluation.prompts import selection_questions
from evaluation.selection import TrainedModels, ranked, select_version
from kinora import recipes
from kinora.config import read_json
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS, defaults
from kinora.errors import KinoraError
from kinora.generation import Registry
from kinora.recipes.recipe import EvaluationPlan, GatePlan
from kinora.worlds import WorldsConfig, simulate_prompt

RECIPE = recipes.get("smoke")
WORLDS = WorldsConfig(frames=(13,), sizes=((32, 32),))
RECIPE = replace(
    RECIPE,
    ingest=replace(RECIPE.ingest, worlds=WORLDS),
    evaluation=EvaluationPlan(prompts=4, decision_prompts=14, seeds=1),
    gate=GatePlan(margin=0.4),  # so few prompts prove no smaller one
)
GOOD = "step-000200"


class Simulator:
    """Makes what was asked for, perfectly; or, where it is bad, noise. Counts what it was asked for."""

    asked: list = []  # noqa: RUF012 -- of all of them

    def __init__(self, good: bool):
        self.good = good

    def generate(self, requests, on_step=None):
        clips, noise = [], np.random.default_rng(0)
        for request in requests:
            self.asked.append(request.seed)
            prompt = next(one for one in PROMPTS if one.seed == request.seed)
            clip = simulate_prompt(prompt, WORLDS)
            clips.append(clip if self.good else noise.integers(0, 255, clip.shape, dtype=np.uint8))
        return clips


PROMPTS: list = []


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> ClipDataset:
    row = defaults(CLIP_COLUMNS) | {"clip_id": "a", "source": "worlds", "kind": "video", "caption_source": "simulator"}
    folder = tmp_path_factory.mktemp("clips")
    return ClipDataset.write(folder, table([row], CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {"source": "worlds"})


@pytest.fixture(scope="module")
def evaluations(tmp_path_factory, clips) -> dict[str, Path]:
    """Evaluations of an untrained, a bad and a good checkpoint, by the real evaluator, on the prompts to choose by."""
    root, prompts = tmp_path_factory.mktemp("evaluations"), selection_questions(clips, RECIPE)
    PROMPTS.extend(prompts)
    for name, good in (("step-000000", False), ("step-000100", False), (GOOD, True)):
        evaluate_checkpoint(Simulator(good), prompts, root / name, name=name)
    return {path.name: path for path in root.iterdir()}


@pytest.fixture
def models(tmp_path, monkeypatch) -> TrainedModels:
    """Folders with the shape of trained models, and what generates as each of them would."""
    for part in ("autoencoder", "captioner", "transformer", *(f"transformer/step-000{n}00" for n in range(3))):
        folder = tmp_path / "models" / part
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"name": part, "initial_digest": "1" * 64}))
    monkeypatch.setattr(selection, "_generator", lambda models, checkpoint, recipe: Simulator(checkpoint.name == GOOD))

    def of_version(path: Path) -> Simulator:
        return Simulator(read_json(path / "lineage.json")["checkpoint"] == GOOD)

    monkeypatch.setattr(selection.VideoGenerator, "from_version", of_version)
    real = selection.decision_questions

    def remembered(*arguments):
        PROMPTS.extend(found := real(*arguments))
        return found

    monkeypatch.setattr(selection, "decision_questions", remembered)
    return TrainedModels(*(tmp_path / "models" / name for name in ("transformer", "autoencoder", "captioner")))


def scored(name, faultless, overall=0.5, seed=0):
    clips = [
        {
            "asked": {"prompt": f"{number}", "seed": seed}, "measurable": {"freeze": True},
            "scores": {"freeze": 1.0 - good}, "failures": [], "due": [], "rates": {"overall": overall},
        }
        for number, good in enumerate(faultless)
    ]  # fmt: skip
    return {"name": name, "evaluator": {"digest": "a"}, "rates": {"overall": overall}, "clips": clips}


def test_the_best_trained_checkpoint_is_chosen_by_what_the_recipe_says_decides():
    some = [
        scored("step-000000", [1, 1, 1]),
        scored("step-000100", [0, 1, 1], overall=0.4),
        scored("step-000200", [0, 0, 1], overall=0.6),
    ]
    candidate, untrained = ranked(some, GatePlan())
    assert (candidate["name"], untrained["name"]) == ("step-000100", "step-000000")
    assert ranked(some, GatePlan(measure="overall"))[0]["name"] == "step-000200"


def test_checkpoints_that_were_not_judged_alike_are_not_ranked():
    with pytest.raises(KinoraError, match="different prompts, sizes or seeds"):
        ranked([scored("step-000000", [1]), scored("step-000100", [1], seed=1)], GatePlan())


@pytest.mark.parametrize("place", ["a folder", "S3"])
def test_the_gate_meets_the_version_that_another_machine_deployed(request, place, evaluations, models, clips, tmp_path):
    root = str(tmp_path / "artifacts") if place == "a folder" else request.getfixturevalue("s3_root")

    def run(names: list[str], out: str):
        paths, where = [evaluations[name] for name in names], (tmp_path / out, tmp_path / f"{out}-judged")
        Simulator.asked.clear()
        return select_version(models, paths, clips, RECIPE, "code", Registry(root), *where)

    good, version = run(["step-000000", "step-000100", GOOD], "first")
    assert (good.outcome, good.rival, good.attempt) == ("better", "untrained", 1), good.reason
    lineage, evaluation = version.record("lineage"), version.record("evaluation")
    assert (lineage["checkpoint"], lineage["parent"]) == (GOOD, "1" * 64)
    assert len(Simulator.asked) == 28  # the candidate and its rival, the same 14
    assert len(set(Simulator.asked)) == len(evaluation["clips"]) == 14
    assert (tmp_path / "first-judged" / "rival" / "report.html").is_file()
    chosen_by = read_json(evaluations[GOOD] / "evaluation.json")["clips"]
    for used in (cluster, lambda asked: asked["seed"]):  # neither a prompt nor a seed that it was chosen by
        assert not {used(c["asked"]) for c in chosen_by} & {used(c["asked"]) for c in evaluation["clips"]}
    Registry(root).promote(version.path, verdict=good.reason, run="first")

    bad, worse = run(["step-000000", "step-000100"], "second")  # a pod of its own, with an empty disk
    assert (bad.outcome, bad.rival, bad.attempt) == ("kept", "incumbent", 1)
    assert "Worse than the deployed model" in bad.reason
    assert worse.name != version.name
    assert not set(Simulator.asked) & {c["asked"]["seed"] for c in evaluation["clips"]}  # nor those of the first

    retried, _ = run(["step-000000", "step-000100"], "again")
    assert retried == bad  # the same question is asked once, however often
    lines = Registry(root).decisions()
    assert [(line.outcome, line.rival) for line in lines] == [("better", ""), ("kept", version.name)]
    assert [line.version for line in lines] == [version.name, worse.name]

    again, same = run(["step-000000", "step-000100", GOOD], "third")
    assert not Simulator.asked
    assert same.name == version.name
    assert same.path.parent == tmp_path / "third"
    assert not again.promote
    assert (again.promotion.run, again.promotion.verdict) == ("first", good.reason)


def test_the_first_model_is_served_on_trial_if_nothing_shows_that_it_is_better(evaluations, models, clips, tmp_path):
    paths = [evaluations[name] for name in ("step-000000", "step-000100")]
    places = (tmp_path / "out", tmp_path / "judged")
    decision, version = select_version(models, paths, clips, RECIPE, "code", Registry(str(tmp_path / "a")), *places)
    assert (decision.outcome, decision.promote) == ("trial", True)
    assert Registry(str(tmp_path / "a")).decisions()[0].verdict == decision.reason
    assert version.record("lineage")["checkpoint"] == "step-000100"
