"""The endpoint says what a clip of the feature store is, and which known prompts are near, of what was published."""

import hashlib
import io
import os
import signal
import subprocess
import sys

import httpx
import pandas as pd
import pytest
import yaml
from PIL import Image

from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.features import Features
from serving import known
from serving.errors import ApiError
from serving.known import KnownClips


def picture(colour: str) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (32, 32), colour).save(file, "PNG")
    return file.getvalue()


RED, BLUE, GREEN = map(picture, ("red", "blue", "green"))
CAPTIONS = {RED: "A man skis down a slope.", BLUE: ""}


def clip_id(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def published(artifact_root: str, folder, captions: dict[bytes, str]) -> None:
    rows = [
        {
            "clip_id": clip_id(content),
            "kind": "image",
            "width": 32,
            "height": 32,
            "frames": 1,
            "caption": caption,
            "caption_source": "human" if caption else "",
            "split": "train",
            "observed_at": pd.Timestamp("2026-11-01T00:00Z"),
        }
        for content, caption in captions.items()
    ]
    clips = ClipDataset.write(folder, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})
    Features.open(artifact_root).publish(clips)


@pytest.fixture(scope="module")
def address(root, free_port, wait_until, tmp_path_factory):
    """A running gateway beside whose queue features are published."""
    work, port = tmp_path_factory.mktemp("known"), free_port()
    published(str(work / "artifacts"), work / "clips", CAPTIONS)
    command = [sys.executable, "-m", "serving.gateway", "--work", str(work), "--port", str(port)]
    process = subprocess.Popen(command, cwd=root, env=os.environ | {"KINORA_WORKER_TOKEN": "secret"})
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"{address}/v1/clips/{clip_id(RED)}").status_code == 200
        except httpx.ConnectError:
            return False

    try:
        wait_until(answers)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.wait()


def test_a_clip_is_told_by_its_id(address, root):
    found = httpx.get(f"{address}/v1/clips/{clip_id(RED)}").json()
    assert (found["caption"], found["caption_source"], found["size"]) == (CAPTIONS[RED], "human", "32x32")
    assert found["observed_at"] == pd.Timestamp("2026-11-01T00:00Z").timestamp()
    schemas = yaml.safe_load((root / "docs" / "reference" / "openapi.yaml").read_text())["components"]["schemas"]
    assert set(found) == set(schemas["Clip"]["properties"])
    (near,) = httpx.get(f"{address}/v1/prompts", params={"near": "men skiing"}).json()["data"]
    assert set(near) == set(schemas["Prompt"]["properties"])
    for unknown in (clip_id(GREEN), "x", "x' OR 1"):
        refused = httpx.get(f"{address}/v1/clips/{unknown}")
        assert (refused.status_code, refused.json()["error"]["code"]) == (404, "not_found")


def test_known_prompts_are_found_near_a_text(address):
    def near(**asked: str) -> httpx.Response:
        return httpx.get(f"{address}/v1/prompts", params=asked)

    (found,) = near(near="a woman skiing").json()["data"]
    assert (found["prompt"], found["source"], found["clips"]) == (CAPTIONS[RED], "human", 1)
    assert near(near="dragons").json() == {"object": "list", "data": []}
    for wrong in ({"near": " "}, {}, {"near": "a", "limit": "0"}, {"near": "a", "limit": "21"}):
        assert near(**wrong).status_code == 400


def test_an_uploaded_clip_that_is_known_is_named_in_the_notes(address):
    def notes(content: bytes) -> list[str]:
        asked = {"prompt": "a red circle", "size": "32x32"}
        made = httpx.post(f"{address}/v1/videos", data=asked, files={"input_reference": content}).json()
        return made["notes"]

    (note,) = notes(RED)
    assert note == f"The input reference is the train clip {clip_id(RED)[:12]}, of which a person says: {CAPTIONS[RED]}"
    assert notes(BLUE)[0].endswith("which has no caption.")
    assert notes(GREEN) == []


def test_what_is_published_later_is_known_and_a_store_that_is_lost_is_one_sentence(tmp_path, wait_until, monkeypatch):
    monkeypatch.setattr(known, "SECONDS_BETWEEN_LOOKS", 0.05)
    clips = KnownClips(str(tmp_path / "root"))
    assert clips.clip(clip_id(RED)) is None
    assert clips.prompts("a man", 5) == []
    clips.start()
    try:
        for caption in ("A man skis.", "A man sleeps."):
            published(str(tmp_path / "root"), tmp_path / caption, {RED: caption})
            wait_until(lambda caption=caption: _said(clips) == caption)
        assert [found["prompt"] for found in clips.prompts("a man", 5)] == ["A man sleeps."]
    finally:
        clips.stop()
    (tmp_path / "root" / "features" / "prompts.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(ApiError, match="damaged") as refused:
        clips.prompts("a man", 5)
    assert refused.value.status == 503


def _said(clips: KnownClips) -> str | None:
    try:
        found = clips.clip(clip_id(RED))
    except ApiError:  # while it is read
        return None
    return found and found["caption"]


def test_the_page_offers_known_prompts_within_a_phone_s_width(root, in_browser):
    script = """$("near").hidden = false;
    $("near_chips").replaceChildren(...chips(["A man skis down a slope. ".repeat(20), "word".repeat(99)], $("prompt")));
    $("near_chips").lastChild.click();
    [document.documentElement.scrollWidth, $("prompt").value.length]"""
    assert in_browser([root / "serving" / "page.html"], script) == [[390, 396]]
