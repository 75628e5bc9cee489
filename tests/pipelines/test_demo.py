"""What the demo asks its endpoint for, and how long it says that it takes."""

import re
import socket
import subprocess

import pytest

from evaluation.shards import work_items
from kinora.errors import KinoraError
from pipelines.demo import main, serving, shortened, wish_of
from pipelines.events import Event
from pipelines.run import RunResult
from pipelines.state import RunState
from pipelines.workflows import WORLD_SIMULATOR
from pipelines.workspace import Run, Workspace


def test_a_caption_longer_than_the_model_reads_is_cut_at_a_word():
    assert shortened("A red circle falls.", 24) == "A red circle falls."
    assert shortened("one-two three four", 3) == "one-two three"  # the model reads one-two as two words
    assert shortened("one-two three four", 1) == ""


ASKED = {"prompt": "A red circle falls.", "width": 40, "height": 24, "frames": 17, "fps": 8.0, "seed": 3}


def test_of_simulated_worlds_a_held_out_prompt_is_asked_for():
    wish = wish_of(ASKED, 24)
    assert (wish.prompt, wish.said, wish.size, wish.fields) == (
        ASKED["prompt"],
        ASKED["prompt"],
        "40x24",
        {"allow_unknown_words": True},
    )


def test_of_own_footage_a_persons_caption_is_asked_for_and_a_held_out_clip_continued():
    wish = wish_of(ASKED | {"prompt": "A dog jumps on a bed.", "clip": "1f", "source": "mine/dog.mp4", "given": 5}, 3)
    assert wish.prompt == "A dog jumps"
    assert wish.said == "“A dog jumps”; continued from the first frame of dog.mp4, which was held out"
    assert wish.fields == {"frames": 17, "fps": 8.0, "seed": 3, "expand": False, "allow_unknown_words": True}


def test_of_own_footage_without_captions_no_words_are_invented():
    wish = wish_of(ASKED | {"prompt": "", "clip": "1f", "source": "dog.mp4", "given": 5}, 24)
    assert wish.prompt == ""
    assert wish.said.startswith("no words, for no person wrote a caption; continued from the first frame of dog.mp4")


@pytest.mark.parametrize(("shards", "page"), [(1, "step-000010"), (2, "step-000010.1of2")])
def test_the_evaluation_that_is_shown_is_of_the_chosen_checkpoint(tmp_path, shards, page):
    run = Run(Workspace(tmp_path), "2026-11-21-110203")
    state = RunState(WORLD_SIMULATOR.steps, {}, run.progress)
    version = {"path": "", "type": "system.Model", "metadata": {"checkpoint": "step-000010"}}
    items = work_items(["step-000000", "step-000010", "step-000020"], shards)[::-1]
    for step, item, made in [*(("evaluate", item, {}) for item in items), ("gate", "", {"version": version})]:
        state.apply(Event("started", step, item))
        state.apply(Event("finished", step, item, artifacts=made))
    result = RunResult(WORLD_SIMULATOR, state, run, {})
    number = WORLD_SIMULATOR.steps.index("evaluate") + 1
    assert result.report("evaluate").name == f"{number}-evaluate-{page}.html"
    assert result.report("gate").name == f"{WORLD_SIMULATOR.steps.index('gate') + 1}-gate.html"


def test_how_long_it_takes_is_said_wherever_a_person_looks_and_was_measured(root, capsys):
    measured = re.search(r"installation included: \*\*([0-9.]+) minutes", (root / "docs" / "benchmarks.md").read_text())
    said = f"about {float(measured[1]):.0f} minutes on two CPU cores"
    with pytest.raises(SystemExit):
        main(["--help"])
    helps = {
        "--help": " ".join(re.sub(r"[^\w -]", " ", capsys.readouterr().out).split()),
        "README": (root / "README.md").read_text(),
        "make help": subprocess.run(["make", "help"], cwd=root, capture_output=True, text=True, check=True).stdout,
    }
    assert [name for name, text in helps.items() if said not in text] == []


def test_a_port_that_was_taken_meanwhile_is_refused_and_its_server_never_asked():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(KinoraError, match=f"port {port} cannot be used"), serving(None, port):
            pass
