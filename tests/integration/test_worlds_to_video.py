"""The whole story at the smallest size: simulated worlds to a served video, through the real pipeline."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kinora.config import read_json
from kinora.generation import read_version
from kinora.media import read_video
from pipelines.events import EventReader
from pipelines.workflows import WORLD_SIMULATOR

STEPS = WORLD_SIMULATOR.steps
LAST_CHECKPOINT = "artifacts/checkpoints/pretrain-*/*/step-*"


def command(work: Path) -> list[str]:
    """Return the demo's command line, as `make demo` has it, with a free port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return [sys.executable, "-m", "pipelines.demo", "--recipe", "smoke", "--work", str(work), "--port", str(port)]


def demo(work: Path, root: Path) -> subprocess.CompletedProcess:
    """Run the demo where nobody watches."""
    return subprocess.run(command(work), cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "work"


@pytest.fixture(scope="module")
def interrupted(work, root, wait_until):
    """A first run, ended by Ctrl-C while the transformer trained: its exit code, what it said, its last checkpoint."""
    process = subprocess.Popen(command(work), cwd=root, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_until(lambda: process.poll() is not None or list(work.glob(LAST_CHECKPOINT)))
    checkpoint = max(work.glob(LAST_CHECKPOINT)).name
    process.send_signal(signal.SIGINT)
    _, said = process.communicate()
    return process.returncode, said, int(re.search(r"\d+", checkpoint).group())


@pytest.fixture(scope="module")
def first(interrupted, work, root):
    """The run after it, which reaches the end."""
    return demo(work, root)


def test_an_interrupted_run_says_so_and_leaves_no_process(interrupted, work):
    code, said, _ = interrupted
    assert code == 130
    assert "interrupted" in said.splitlines()[-1]
    assert "Traceback" not in said
    assert not processes_of(work)


def test_the_next_run_goes_on_from_the_last_finished_step_and_the_last_checkpoint(interrupted, first, work):
    kinds = {event.step: event.kind for event in events(work)}
    for step in STEPS[: STEPS.index("pretrain")]:
        assert kinds[step] == "cached", step
    progress = read_json(work / "runs" / "latest" / "progress" / "pretrain" / "train-transformer.json")
    assert progress["first"] >= interrupted[2] > 0


def events(work: Path) -> list:
    return list(EventReader(work / "runs" / "latest" / "events.jsonl").new())


def test_ends_with_a_video_and_where_to_look(first, work):
    assert first.returncode == 0, first.stderr[-2000:] + log(work)
    places = dict(re.findall(r"^  (The [a-z ]+?) {2,}(\S.*)$", first.stdout, re.MULTILINE))
    assert set(places) == {"The prompt", "The video", "The evaluation", "The run", "The web page"}
    frames, _ = read_video(places["The video"])
    assert len(frames) > 1
    assert "<html" in Path(places["The evaluation"]).read_text()
    page = Path(places["The run"]).read_text()
    assert page.index("<video") < page.index("Steps")
    links = re.findall(r'href="([^"]+)"', page)
    assert all((work / "runs" / "latest" / link).is_file() for link in links)
    reports = [link for link in links if not link.startswith("../")]  # the others lead to the run that made a result
    assert {int(link[:2]) for link in reports} == set(range(1, len(STEPS) + 1))  # every step has something to look at
    assert f"kinora serve --work {work}" in first.stdout


def test_every_step_is_done(first, work):
    done = {event.step for event in events(work) if event.kind in ("finished", "cached")}
    assert done == set(STEPS)


def test_the_promoted_version_is_whole_and_says_where_it_came_from(first, work):
    (path,) = (work / "pipeline").glob("*/gate/version/*")
    version = read_version(path)
    lineage = version.record("lineage")
    assert lineage["checkpoint"] != "step-000000"
    assert all(lineage[name] for name in ("dataset", "code", "evaluator"))
    assert version.record("recipe")["name"] == "smoke"


def test_nothing_is_left_running(first, work):
    assert first.returncode == 0
    assert not processes_of(work)


def test_again_everything_comes_from_the_cache(first, work, root):
    promoted = json.loads((work / "runs" / "latest" / "request.json").read_text())["arguments"]
    again = demo(work, root)
    assert json.loads((work / "runs" / "latest" / "request.json").read_text())["arguments"] == promoted
    assert again.returncode == 0, again.stderr[-2000:] + log(work)
    ran = {event.step for event in events(work) if event.kind == "finished"}
    assert ran == {"choose", "gate"}
    assert "Already deployed since" in again.stdout
    evidence = (work / "runs" / "latest" / "14-gate.html").read_text()
    links = re.findall(r'href="(\.\./[^"]*)"', evidence)
    assert [link.rpartition("/")[2] for link in links] == ["14-gate.html", "15-promote.html"]
    assert all((work / "runs" / "latest" / link).is_file() for link in links)
    assert (work / "runs" / "latest" / "video.mp4").exists()


def processes_of(work: Path) -> list[list[str]]:
    """Return the command lines of the processes that work in the folder."""
    lines = (process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"]))
    return [line for line in lines if str(work) in " ".join(line)]


def log(work: Path) -> str:
    path = work / "runs" / "latest" / "log.txt"
    return path.read_text()[-3000:] if path.exists() else os.linesep
