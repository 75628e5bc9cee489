"""The page that walks through every step by hand: its commands are run as they stand, to a served clip and drift."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import COMMANDS, main
from kinora.config import read_json
from kinora.generation import Registry
from kinora.media import read_video

pytestmark = pytest.mark.timeout(1800)  # every step in small, also on a busy machine
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "step-by-step.md"
STORY = [
    "ingest",
    "validate",
    "train",
    "caption",
    "features",
    "encode",
    "evaluate",
    "gate",
    "promote",
    "serve",
    "drift",
]


def commands() -> list[list[str]]:
    """Return the words of every command on the page."""
    return [shlex.split(line) for line in re.findall(r"^kinora (.+)$", PAGE.read_text(), re.MULTILINE)]


def test_the_page_walks_in_the_order_of_the_story_which_is_that_of_the_help():
    assert list(COMMANDS)[: len(STORY)] == STORY
    walked = [" ".join(words[:2]) if words[0] in ("train", "evaluate") else words[0] for words in commands()]
    assert list(dict.fromkeys(walked)) == [
        "ingest", "validate", "train captioner", "caption", "features", "train autoencoder", "encode",
        "train transformer", "evaluate checkpoint", "gate", "promote", "generate", "serve", "drift",
    ]  # fmt: skip


def test_every_step_by_hand(tmp_path, monkeypatch, capsys, free_port, wait_until):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("KINORA_ARTIFACT_ROOT", raising=False)
    for words in commands():
        words = [name for word in words for name in (sorted(map(str, _folders(word))) if "*" in word else [word])]
        if words[0] == "serve":
            _serve_and_ask(free_port(), wait_until)
            continue
        assert main(words) == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
        printed = capsys.readouterr().out
        if "--out" in words and words[0] != "generate":
            out = Path(words[words.index("--out") + 1])
            (page,) = {match for match in re.findall(r"\S+\.html", printed) if Path(match).parent == out} or {None}
            assert page is not None, f"{shlex.join(words)} names no page: {printed}"
            assert Path(page).stat().st_size > 1000
    assert read_video("circle.mp4")[0].shape[0] > 1
    version = Registry("work/artifacts").find("")
    recipe, lineage = version.record("recipe"), version.record("lineage")
    assert (recipe["name"], recipe["transformer"]["steps"], lineage["checkpoint"]) == ("smoke", 20, "step-000020")
    assert Registry("work/artifacts").history()[0].verdict == "Walked through by hand."
    assert 0 <= read_json("made/drift/drift.json")["drifted_share"] <= 1


def _folders(pattern: str) -> list[Path]:
    return [path for path in Path().glob(pattern) if path.is_dir()]


def _serve_and_ask(port: int, wait_until) -> None:
    """Serve in the folder's own work folder, ask for one clip and wait for it, and for as many as drift needs."""
    from openai import OpenAI

    with open("serve.txt", "w") as log:
        command = [sys.executable, "-m", "cli", "serve", "--port", str(port)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
    try:
        wait_until(lambda: "Model version" in Path("serve.txt").read_text() or process.poll() is not None)
        assert process.poll() is None, Path("serve.txt").read_text()
        client = OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="none", max_retries=5)
        asked = [client.videos.create(prompt=f"A red circle {'moves ' * n}falls.") for n in range(10)]
        wait_until(lambda: client.videos.retrieve(asked[0].id).status == "completed")
        client.videos.download_content(asked[0].id).write_to_file("served.mp4")
        assert read_video("served.mp4")[0].shape[3] == 3
    finally:
        process.terminate()
        process.wait()
