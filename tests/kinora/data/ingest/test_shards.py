"""An ingest goes on where it was, does nothing twice, costs what is new, and survives what its inputs do to it."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from kinora.data.clips import ClipDataset
from kinora.data.grid import DEFAULT_GRID
from kinora.data.ingest import dataset as module
from kinora.data.ingest.config import IngestConfig, ReadingLimits, SimulatedClips
from kinora.data.ingest.dataset import collect, ingest, plan_shards, read_shards
from kinora.data.ingest.pool import WorkerPool
from kinora.errors import KinoraError, UsageError
from kinora.media import write_video
from kinora.processes import lives

CONFIG = IngestConfig(shard_items=4, near_duplicates=False)


def picture(path, seed: int) -> None:
    cells = np.random.default_rng(seed).integers(0, 255, (4, 5, 3), np.uint8)
    Image.fromarray(cells).resize((40, 32), Image.Resampling.NEAREST).save(path)


@pytest.fixture
def folder(tmp_path):
    """A folder of 18 different pictures and a broken one."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(18):
        picture(folder / f"{number:02d}.png", number)
    (folder / "broken.png").write_text("no picture")
    return folder


@pytest.fixture
def read(monkeypatch):
    """The names of inputs that are given to a reading process, as they are."""
    names = []
    whole = WorkerPool.read

    def observed(self, name, *arguments):
        names.append(name)
        return whole(self, name, *arguments)

    monkeypatch.setattr(WorkerPool, "read", observed)
    return names


def test_a_second_ingest_reads_nothing_and_one_of_more_reads_what_is_new(folder, tmp_path, read):
    first = ingest(str(folder), tmp_path / "out", CONFIG)
    assert sorted(read) == sorted(path.name for path in folder.iterdir())
    assert len(first) == 18
    again = ingest(str(folder), tmp_path / "out", CONFIG)
    assert len(read) == 19
    assert again.digest == first.digest
    assert (again.clips["observed_at"] == first.clips["observed_at"]).all()

    picture(folder / "05b.png", 100)
    picture(folder / "17.png", 101)  # another picture under the same name
    (folder / "03.png").unlink()
    (folder / "09.txt").write_text("A caption that came later.")
    grown = ingest(str(folder), tmp_path / "out", CONFIG)
    assert sorted(read[19:]) == ["05b.png", "09.png", "17.png"]
    fresh = ingest(str(folder), tmp_path / "fresh", CONFIG)
    assert grown.digest == fresh.digest
    assert grown.clips["source"].tolist() == fresh.clips["source"].tolist()
    assert "03.png" not in set(grown.clips["source"])
    assert all(grown.media(uri).is_file() for uri in grown.clips["uri"])


def test_the_dataset_of_another_source_is_not_replaced(folder, tmp_path, monkeypatch):
    first = ingest(str(folder), tmp_path / "out", CONFIG)
    other = tmp_path / "other"
    other.mkdir()
    picture(other / "one.png", 200)
    with pytest.raises(UsageError, match=r"out holds the dataset of another source \(.*/in\)"):
        ingest(str(other), tmp_path / "out", CONFIG)
    assert ClipDataset.open(tmp_path / "out").digest == first.digest
    monkeypatch.chdir(tmp_path)
    assert ingest("in/", tmp_path / "out", CONFIG).digest == first.digest  # the same one, written otherwise


def test_other_curation_reads_nothing_and_another_size_reads_all(folder, tmp_path, read):
    config = IngestConfig(shard_items=4)
    first = ingest(str(folder), tmp_path / "out", config)
    curated = IngestConfig(shard_items=4, curation=type(config.curation)(min_contrast=0.9))
    with pytest.raises(KinoraError, match=r"nothing in .* can be used .*18 blank"):
        ingest(str(folder), tmp_path / "elsewhere", curated)
    before = len(read)
    with pytest.raises(KinoraError, match="18 blank"):
        ingest(str(folder), tmp_path / "out", curated)
    assert len(read) == before
    assert ClipDataset.open(tmp_path / "out").digest == first.digest  # what was there is there
    assert not (tmp_path / "elsewhere").exists()
    ingest(str(folder), tmp_path / "out", IngestConfig(shard_items=4, max_side=32))
    assert len(read) == 2 * before - 19
    assert all(name.startswith("shards/") for name in ClipDataset.open(tmp_path / "out").clips["uri"])


def test_shards_that_several_machines_read_make_the_same_dataset(folder, tmp_path, s3):
    config = IngestConfig(shard_items=4, pods=3)
    one = ingest(str(folder), tmp_path / "one", config)
    for place in (str(tmp_path / "place"), f"{s3}/ingest"):
        portions, figures = plan_shards(str(folder), place, config)
        assert portions == ["1-of-3", "2-of-3", "3-of-3"]
        assert figures == {"inputs": 19.0, "left": 19.0}
        with pytest.raises(KinoraError, match=r"5 shards at .* have not been read"):
            collect(str(folder), place, tmp_path / "many", config)
        counts = [read_shards(str(folder), place, config, DEFAULT_GRID, portion) for portion in portions]
        assert sum(count["inputs"] for count in counts) == 19
        assert read_shards(str(folder), place, config)["inputs"] == 0
        many = collect(str(folder), place, tmp_path / "many", config)
        assert many.digest == one.digest
        assert many.clips["uri"].str.startswith("file://" if "://" not in place else place).all() or "://" not in place
        assert (many.frames(many.clips["clip_id"][0]) == one.frames(one.clips["clip_id"][0])).all()


def test_an_ingest_that_is_killed_ends_as_one_that_was_not(tmp_path):
    config = {"videos": 40, "images": 40}
    whole = ingest("worlds", tmp_path / "whole", IngestConfig(simulated=SimulatedClips(**config), shard_items=8))
    program = (
        "import sys; from kinora.data.ingest.config import *; from kinora.data.ingest.dataset import ingest; "
        f"ingest('worlds', sys.argv[1], IngestConfig(simulated=SimulatedClips(**{config}), shard_items=8))"
    )
    kills = 0
    while True:
        process = subprocess.Popen([sys.executable, "-c", program, tmp_path / "killed"], stderr=subprocess.DEVNULL)
        committed = tmp_path / "killed" / "committed"
        before = len(list(committed.glob("*"))) if committed.is_dir() else 0
        while process.poll() is None and (not committed.is_dir() or len(list(committed.glob("*"))) < before + 3):
            time.sleep(0.01)
        if process.poll() is not None:
            break
        process.send_signal(signal.SIGKILL)
        process.wait()
        kills += 1
        with pytest.raises(KinoraError, match="holds no clip dataset"):
            ClipDataset.open(tmp_path / "killed")
    assert process.returncode == 0
    assert kills >= 2
    assert ClipDataset.open(tmp_path / "killed").digest == whole.digest
    assert not list((tmp_path / "killed" / "shards").glob(".*"))


def test_an_input_that_takes_too_long_or_too_much_is_told_and_ends_nothing_but_itself(folder, tmp_path):
    write_video(folder / "long.mp4", np.random.default_rng(0).integers(0, 255, (900, 360, 480, 3), np.uint8), 24)
    huge = np.zeros((9000, 9000, 3), np.uint8)
    huge[::3] = 200
    Image.fromarray(huge).save(folder / "huge.png")
    config = IngestConfig(limits=ReadingLimits(seconds=0.5, memory_mb=128))
    dataset = ingest(str(folder), tmp_path / "out", config)
    found = dataset.quarantine.set_index("source")
    assert found.loc["long.mp4", "reason"] == "too_heavy"
    assert "more than 0.5 s" in found.loc["long.mp4", "explanation"]
    assert found.loc["huge.png", "reason"] in ("too_heavy", "undecodable")
    assert len(dataset) == 18


def test_a_reading_process_that_crashes_is_told_and_replaced(folder, tmp_path, monkeypatch):
    ask, crashed = module.WorkerPool.read, []

    def crash(self, name, *arguments):
        if name == "07.png":
            with self._worker() as worker:
                os.kill(worker.pid, signal.SIGSEGV)
                said = worker.ask({}, 5)
            crashed.append(said)
            return module.Reading(rejected=[module.rejection(name, "too_heavy", said)])
        return ask(self, name, *arguments)

    monkeypatch.setattr(module.WorkerPool, "read", crash)
    dataset = ingest(str(folder), tmp_path / "out", CONFIG)
    assert crashed == ["Reading it ended the reading process (SIGSEGV)."]
    assert len(dataset) == 17
    assert "07.png" in set(dataset.quarantine["source"])


def test_reading_processes_end_with_who_started_them(folder, tmp_path):
    import psutil

    program = (
        "import sys, time; from pathlib import Path; from kinora.data.grid import Grid; "
        "from kinora.data.ingest.config import IngestConfig; from kinora.data.ingest.pool import WorkerPool\n"
        "with WorkerPool(IngestConfig(), Grid()) as pool:\n"
        f"    pool.read('00.png', Path({str(folder / '00.png')!r}), '', Path({str(tmp_path)!r}))\n"
        "    print('ready', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) > 1
    process.kill()
    process.wait()
    gone = time.monotonic() + 20
    while any(lives(child) for child in children) and time.monotonic() < gone:
        time.sleep(0.05)
    assert not any(lives(child) for child in children)


def test_two_ingests_do_not_write_to_one_folder(folder, tmp_path):
    out = tmp_path / "out"
    with module._owned(out), pytest.raises(KinoraError, match="another ingest writes to"):
        ingest(str(folder), out, CONFIG)
    assert len(ingest(str(folder), out, CONFIG)) == 18


def test_captions_of_what_is_rejected_are_accounted_for(folder, tmp_path):
    (folder / "broken.txt").write_text("A broken thing.")
    (folder / "00.txt").write_text("A first picture.")
    (folder / "captions.jsonl").write_text(json.dumps({"file": "01.png", "caption": "A second picture."}) + "\n")
    dataset = ingest(str(folder), tmp_path / "out", CONFIG)
    said = dict(zip(dataset.clips["source"], dataset.clips["caption"], strict=True))
    assert (said["00.png"], said["01.png"], said["02.png"]) == ("A first picture.", "A second picture.", "")
    found = dict(zip(dataset.quarantine["source"], dataset.quarantine["reason"], strict=True))
    assert found == {"broken.png": "undecodable", "broken.txt": "caption_unused"}
    assert dataset.captions["caption"].tolist() == ["A first picture.", "A second picture."]
