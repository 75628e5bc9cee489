"""The whole story at the smallest size: simulated worlds to a served video, through the real pipeline."""

import json
import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from kinora.data.media import read_video
from kinora.generation import read_version
from pipelines.events import EventReader
from pipelines.run import STEPS


def demo(work: Path, root: Path) -> subprocess.CompletedProcess:
    """Run the demo as `make demo` does, where nobody watches."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "pipelines.demo", "--recipe", "smoke", "--work", str(work), "--port", str(port)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=280)


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("demo") / "work"


@pytest.fixture(scope="module")
def first(work, root):
    """The first run."""
    return demo(work, root)


def events(work: Path) -> list:
    return list(EventReader(work / "run" / "events.jsonl").new())


def test_ends_with_a_video_and_where_to_look(first, work):
    assert first.returncode == 0, first.stderr[-2000:] + log(work)
    places = dict(re.findall(r"^  (The [a-z ]+?) {2,}(\S.*)$", first.stdout, re.MULTILINE))
    assert set(places) == {"The prompt", "The video", "The evaluation", "The run", "The web page"}
    frames, _ = read_video(places["The video"])
    assert len(frames) > 1
    assert "<html" in Path(places["The evaluation"]).read_text()
    page = Path(places["The run"]).read_text()
    assert page.index("<video") < page.index("Steps")
    for link in re.findall(r'href="([^"]+)"', page):
        assert (work / "run" / link).is_file()
    assert f"kinora serve --work {work}" in first.stdout


def test_every_step_ran(first, work):
    finished = {event.step for event in events(work) if event.kind == "finished"}
    assert finished == set(STEPS)


def test_the_promoted_version_is_whole_and_says_where_it_came_from(first, work):
    (path,) = (work / "pipeline").glob("*/choose/version/*")
    version = read_version(path)
    lineage = version.record("lineage")
    assert lineage["checkpoint"] != "step-000000"
    assert all(lineage[name] for name in ("dataset", "code", "evaluator"))
    assert version.record("recipe")["name"] == "smoke"


def test_nothing_is_left_running(first, work):
    assert first.returncode == 0
    for process in psutil.process_iter(["cmdline"]):
        assert str(work) not in " ".join(process.info["cmdline"] or []), process.info["cmdline"]


def test_again_everything_comes_from_the_cache(first, work, root):
    promoted = json.loads((work / "run" / "request.json").read_text())["arguments"]
    again = demo(work, root)
    assert json.loads((work / "run" / "request.json").read_text())["arguments"] == promoted
    assert again.returncode == 0, again.stderr[-2000:] + log(work)
    ran = {event.step for event in events(work) if event.kind == "finished"}
    assert ran == {"choose"}  # what is in service is as good as the same model again: nothing to promote
    assert (work / "run" / "video.mp4").exists()


def log(work: Path) -> str:
    path = work / "run" / "log.txt"
    return path.read_text()[-3000:] if path.exists() else os.linesep
