"""The same pipeline on a person's own files, real clips and images and a broken one, all kept on an S3 server."""

import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from components.runtime.mirror import whole_folders
from kinora.config import read_json
from kinora.generation import Registry, VideoGenerator
from kinora.storage import open_store
from pipelines.events import EventReader
from pipelines.workflows import WORLD_SIMULATOR

STEPS = WORLD_SIMULATOR.steps


@pytest.fixture(scope="module")
def folder(tmp_path_factory, real_videos, real_images):
    folder = tmp_path_factory.mktemp("files") / "mine"
    (folder / "images").mkdir(parents=True)
    for video in real_videos:
        shutil.copy(video, folder)
    for image in real_images:
        shutil.copy(image, folder / "images")
    (folder / "broken.mp4").write_bytes(b"not a video")
    (folder / "carphone_pristine.txt").write_text("A man talks in a car.")
    return folder


def test_real_files_become_a_model_version(folder, s3_root, tmp_path, root):
    work = tmp_path / "work"
    command = [
        sys.executable, "-m", "cli", "pipeline", "run",
        "--source", str(folder), "--recipe", "examples/own_recipe.py:small",
        "--set", "transformer.steps=30", "--work", str(work), "--artifact-root", s3_root,
    ]  # fmt: skip
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    log = work / "runs" / "latest" / "log.txt"
    assert done.returncode == 0, done.stderr[-2000:] + (log.read_text()[-3000:] if log.exists() else "")
    assert str((work / "runs" / "latest").resolve() / "index.html") in done.stdout
    made = {
        event.step: event
        for event in EventReader(work / "runs" / "latest" / "events.jsonl").new()
        if event.kind == "finished"
    }
    assert set(STEPS) - {"promote"} <= set(made)

    clips = Path(made["caption"].artifacts["captioned_clips"]["path"])
    table = pd.read_parquet(clips / "clips.parquet")
    assert set(table["kind"]) == {"video", "image"}
    assert "human" in set(table["caption_source"]) <= {"human", "captioner", ""}
    assert ((table["caption"] == "") == (table["caption_source"] == "")).all()  # where the captioner is not sure
    quarantine = pd.read_parquet(clips / "quarantine.parquet")
    assert quarantine["source"].str.contains("broken.mp4").any()

    (version,) = Path(made["gate"].artifacts["version"]["path"]).iterdir()
    evaluation = read_json(version / "evaluation.json")
    held_out = table[(table["split"] == "validation") & (table["kind"] == "video")].set_index("clip_id")
    for asked in (record["asked"] for record in evaluation["clips"]):
        row = held_out.loc[asked["clip"]]
        assert asked["prompt"] == (row["caption"] if row["caption_source"] == "human" else "")
    assert evaluation["sentence"].startswith("Continues ")
    assert evaluation["sentence"] in (version / "README.md").read_text()
    assert VideoGenerator.from_version(version)
    recipe = read_json(version / "recipe.json")  # of one's own, and one value beside it
    assert (recipe["name"], recipe["transformer"]["model"]["depth"], recipe["transformer"]["steps"]) == ("small", 3, 30)

    store = open_store(s3_root)
    for step in set(STEPS) - {"evaluate", "evaluate-2", "promote"}:
        assert any(key.startswith(f"steps/{step}/") for key in store.list("steps")), step
    assert whole_folders(store, "steps/ingest/clips")
    assert any(key.startswith("checkpoints/pretrain-") for key in store.list("checkpoints"))
    if "promote" in made:
        registry = Registry(s3_root)
        assert registry.deployed() == version.name
        assert registry.history()[0].run == (work / "runs" / "latest").resolve().name
        assert VideoGenerator.from_version(registry.fetch(version.name, tmp_path).path)
