"""The studies at the smallest size, through the real pipelines: what two of one recipe share is made once."""

import pytest

from cli.main import main
from kinora.config import read_json
from pipelines.events import EventReader
from pipelines.workflows import PREPARE, WORKFLOWS

SETTINGS = (
    "ingest.simulated.videos=24", "ingest.simulated.images=8", "ingest.simulated.captioned=1", "captioner.steps=1",
    "autoencoder.steps=4", "evaluation.prompts=3", "study.compute=[1,3]",
)  # fmt: skip
LAWS = (
    "ingest.simulated.videos=24", "captioner.steps=1", "autoencoder.steps=4", "transformer.steps=4", "study.laws=3",
    "sampling.steps=2", "compute.processes=1",
)  # fmt: skip


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("studies") / "work"


def run(work, name, capsys):
    """Run a study; return its events by step, and what it said last."""
    settings = [part for setting in SETTINGS for part in ("--set", setting)]
    command = ["pipeline", "run", "--pipeline", name, "--recipe", "smoke", "--work", str(work), *settings]
    assert main(command) == 0
    said = capsys.readouterr().out
    events = [e for e in EventReader(work / "runs" / "latest" / "events.jsonl").new() if e.artifacts]
    assert {event.step for event in events} == set(WORKFLOWS[name].steps)
    compared = read_json(f"{events[-1].artifacts['comparison']['path']}/comparison.json")
    assert compared["sentence"] == said.splitlines()[0]
    assert compared["sentence"] in (work / "runs" / "latest" / "index.html").read_text()
    return events, compared


def test_the_framing_study_and_then_the_scaling_study(work, capsys):
    _, framing = run(work, "framing_study", capsys)
    assert list(framing["trainings"]) == ["native-seed-0", "native-seed-1", "square-seed-0", "square-seed-1"]
    assert framing["simulator"]["whole"] > framing["simulator"]["square"]

    events, scaling = run(work, "scaling_study", capsys)
    assert {event.step for event in events if event.kind == "cached"} >= set(PREPARE)
    trained = scaling["trainings"]
    assert list(trained) == ["1x-seed-0", "1x-seed-1", "3x-seed-0", "3x-seed-1"]
    assert [one["steps"] for one in trained.values()] == [10, 10, 30, 30]
    assert trained["3x-seed-0"]["flops"] == pytest.approx(3 * trained["1x-seed-0"]["flops"], rel=0.1)
    assert trained["3x-seed-0"]["held_out_loss"] < trained["1x-seed-0"]["held_out_loss"]
    assert trained["1x-seed-0"]["held_out_loss"] != trained["1x-seed-1"]["held_out_loss"]


def test_the_study_of_laws_and_what_it_refuses(tmp_path, capsys):
    command = ["pipeline", "run", "--pipeline", "law_study", "--work", str(tmp_path / "work"), "--recipe"]
    assert main([*command, "tiny"]) == 2
    assert "phyworld" in capsys.readouterr().err
    assert main([*command, "phyworld", *(part for setting in LAWS for part in ("--set", setting))]) == 0
    said = capsys.readouterr().out
    events = [e for e in EventReader(tmp_path / "work" / "runs" / "latest" / "events.jsonl").new() if e.artifacts]
    assert {event.step for event in events} == set(WORKFLOWS["law_study"].steps)
    laws = read_json(f"{events[-1].artifacts['laws']['path']}/laws.json")
    assert laws["sentence"] == said.splitlines()[0]
    errors = laws["errors"]
    assert set(errors["model"]) == {"uniform motion", "parabola", "collision"}
    assert errors["simulator"]["collision"]["out"]["error"] < 0.08 < errors["model"]["collision"]["out"]["error"]
