"""Which checkpoint becomes a model version, and that it is held once against the deployed one, on other prompts."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from evaluation import checkpoint, task
from evaluation.checkpoint import evaluate_checkpoint, joined
from evaluation.gate.decision import decide
from evaluation.gate.measures import cluster
from evaluation.prompts import decision_questions, selection_questions
from evaluation.selection import TrainedModels, choice_page, choose, ranked, select_version
from evaluation.shards import work_of
from evaluation.task import evaluate_item
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
        clips = []
        for request in requests:
            self.asked.append(request.seed)
            prompt = next(one for one in PROMPTS if one.seed == request.seed)
            clip = simulate_prompt(prompt, WORLDS)
            noise = np.random.default_rng(request.seed).integers(0, 255, clip.shape, dtype=np.uint8)
            clips.append(clip if self.good else noise)
        return clips


PROMPTS: list = []


@pytest.fixture(scope="module", autouse=True)
def judged_once():
    """The real evaluator, which the tests of this file ask about the same clips again and again."""
    judge, known = checkpoint.prompt_record, {}

    def remembered(clip, prompt, backends):
        key = (clip.name, clip.frames.tobytes(), prompt)
        if key not in known:
            known[key] = judge(clip, prompt, backends)
        return dict(known[key])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "prompt_record", remembered)
        yield


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
    load = lambda autoencoder, checkpoint, *how: Simulator(checkpoint.name == GOOD)  # noqa: E731
    monkeypatch.setattr(task.VideoGenerator, "load", load)

    def of_version(path: Path) -> Simulator:
        return Simulator(read_json(path / "lineage.json")["checkpoint"] == GOOD)

    monkeypatch.setattr(task.VideoGenerator, "from_version", of_version)

    def remembered(*arguments):
        PROMPTS.extend(found := decision_questions(*arguments))
        return found

    monkeypatch.setattr(task, "decision_questions", remembered)
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


@dataclass
class Gate:
    """The gate's three steps in a row: a checkpoint is chosen, what decides is judged, the decision is made."""

    models: TrainedModels
    evaluations: dict[str, Path]
    clips: ClipDataset
    registry: Registry

    def choose(self, names: list[str], shards: int = 1):
        results = joined(read_json(self.evaluations[name] / "evaluation.json") for name in names)
        return choose(self.models, results, self.clips, RECIPE, self.registry, shards)

    def judge(self, choice, out: Path) -> list[dict]:
        made = (self.models.transformer, self.models.autoencoder, self.clips, RECIPE, self.registry)
        for item in choice.items:
            evaluate_item(item, *made, out.with_name(f"{out.name}-judged") / item)
        folders = [out.with_name(f"{out.name}-judged") / item for item in reversed(choice.items)]
        return joined(read_json(folder / "evaluation.json") for folder in folders)

    def decide(self, choice, decisive: list[dict], out: Path):
        return select_version(self.models, choice, decisive, self.clips, RECIPE, "code", self.registry, out)

    def __call__(self, names: list[str], out: Path, shards: int = 1):
        Simulator.asked.clear()
        choice = self.choose(names, shards)
        return self.decide(choice, self.judge(choice, out), out)


@pytest.fixture
def gate_at(evaluations, models, clips):
    return lambda root: Gate(models, evaluations, clips, Registry(str(root)))


@pytest.mark.parametrize("place", ["a folder", "S3"])
def test_the_gate_meets_the_version_that_another_machine_deployed(request, place, gate_at, evaluations, tmp_path):
    root = str(tmp_path / "artifacts") if place == "a folder" else request.getfixturevalue("s3_root")

    def run(names: list[str], out: str):
        return gate_at(root)(names, tmp_path / out)

    good, version = run(["step-000000", "step-000100", GOOD], "first")
    assert (good.outcome, good.rival, good.attempt) == ("better", "untrained", 1), good.reason
    lineage, evaluation = version.record("lineage"), version.record("evaluation")
    assert (lineage["checkpoint"], lineage["parent"]) == (GOOD, "1" * 64)
    assert len(Simulator.asked) == 28  # the candidate and its rival, the same 14
    assert len(set(Simulator.asked)) == len(evaluation["clips"]) == 14
    assert len(list((tmp_path / "first-judged").glob("step-000000.decision-*/report.html"))) == 1
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


def test_the_first_model_is_served_on_trial_if_nothing_shows_that_it_is_better(gate_at, tmp_path):
    gate = gate_at(tmp_path / "artifacts")
    decision, version = gate(["step-000000", "step-000100"], tmp_path / "out")
    assert (decision.outcome, decision.promote) == ("trial", True)
    assert gate.registry.decisions()[0].verdict == decision.reason
    assert version.record("lineage")["checkpoint"] == "step-000100"


@pytest.mark.parametrize("shards", [1, 3])
def test_whatever_the_shards_the_decision_is_that_of_the_whole(gate_at, clips, tmp_path, shards):
    gate = gate_at(tmp_path / "artifacts")
    decision, version = gate(["step-000000", "step-000100", GOOD], tmp_path / "out", shards)
    asked = decision_questions(clips, RECIPE, gate.choose(["step-000000", GOOD]).candidate)
    whole = clips if shards == 1 else None  # how the clips as a whole compare, shards say each of its own
    sides = [
        evaluate_checkpoint(Simulator(name == GOOD), asked, tmp_path / name, name=name, worlds=WORLDS, dataset=whole)
        for name in (GOOD, "step-000000")
    ]
    assert decision == decide(*sides, RECIPE.gate, role="untrained")
    assert version.record("evaluation") == json.loads(json.dumps(sides[0]))


def test_what_decides_is_judged_again_where_the_candidate_or_its_rival_is_another(gate_at, tmp_path):
    gate = gate_at(tmp_path / "artifacts")
    first = gate.choose(["step-000000", "step-000100", GOOD], shards=2)
    assert [(work_of(item).model, work_of(item).shard.number) for item in first.items] == [
        (GOOD, 1), (GOOD, 2), ("step-000000", 1), ("step-000000", 2),
    ]  # fmt: skip
    good, version = gate(["step-000000", GOOD], tmp_path / "good")
    gate.registry.promote(version.path, verdict=good.reason, run="first")
    second = gate.choose(["step-000000", "step-000100"], shards=2)
    assert {work_of(item).model for item in second.items} == {"step-000100", version.name}
    assert not set(first.items) & set(second.items)
    assert len(gate.choose(["step-000000", "step-000100"], shards=99).items) == 2 * 14  # each is asked for something


def test_a_version_that_was_deployed_meanwhile_is_not_replaced_by_what_was_never_held_against_it(gate_at, tmp_path):
    gate = gate_at(tmp_path / "artifacts")
    good, version = gate(["step-000000", GOOD], tmp_path / "good")
    choice = gate.choose(["step-000000", "step-000100"])
    decisive = gate.judge(choice, tmp_path / "out")
    gate.registry.promote(version.path, verdict=good.reason, run="meanwhile")
    with pytest.raises(KinoraError, match="another model version was deployed while"):
        gate.decide(choice, decisive, tmp_path / "out")
    assert len(gate.registry.decisions()) == 1


def test_the_page_of_the_choice_says_what_was_chosen_and_what_it_is_held_against(gate_at, evaluations, tmp_path):
    gate, names = gate_at(tmp_path / "artifacts"), ["step-000000", "step-000100", GOOD]
    results = joined(read_json(evaluations[name] / "evaluation.json") for name in names)
    said = choice_page(gate.choose(names), results, GatePlan()).write(tmp_path / "page.html").read_text()
    assert f"Chosen: {GOOD}" in said
    assert "Of 2 trained checkpoints it is the best by this: clips without any failure;" in said
    assert "It and the untrained checkpoint are now asked for" in said
    good, version = gate(names, tmp_path / "good")
    gate.registry.promote(version.path, verdict=good.reason, run="first")
    said = choice_page(gate.choose(names), results, GatePlan()).write(tmp_path / "page.html").read_text()
    assert "It is what is deployed, so nothing is judged." in said
