"""A dataset of latents comes back as it was written, or not at all."""

import json
import os
import re
import subprocess
import sys
import tempfile

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

from kinora.data import latents
from kinora.data import shards as module
from kinora.data.latents import LatentDataset
from kinora.data.shards import TEXTS, LatentWriter
from kinora.errors import KinoraError
from kinora.storage import open_store

CONFIG = {"temporal": 4, "spatial": 4, "latent_channels": 3}


def row(number: int, frames: int, width: int, height: int, split: str = "train") -> dict:
    return {
        "clip_id": f"clip{number}",
        "caption": f"A long caption of clip {number}.",
        "short_caption": f"Clip {number}.",
        "split": split,
        "kind": "video" if frames > 1 else "image",
        "width": width,
        "height": height,
        "frames": frames,
        "fps": 8.0,
        "uri": "columns that the index does not have are left out",
    }


@pytest.fixture
def clips():
    sizes = [(17, 32, 32), (9, 40, 24), (1, 24, 40), (17, 32, 32), (1, 32, 32)]
    random = torch.Generator().manual_seed(0)
    return [
        (
            row(n, frames, width, height, "validation" if n == 3 else "train"),
            torch.randn(3, 1 + (frames - 1) // 4, height // 4, width // 4, generator=random),
        )
        for n, (frames, width, height) in enumerate(sizes)
    ]


def test_clips_come_back_as_they_were_written(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CLIPS_PER_SHARD", 2)
    dataset = LatentDataset.write(tmp_path / "latents", clips, CONFIG)
    assert len(dataset) == 5
    assert sorted(p.name for p in (tmp_path / "latents" / "shards").iterdir()) == [
        f"0000{n}.safetensors" for n in range(3)
    ]
    for number, (written, latent) in enumerate(clips):
        clip = dataset[number]
        assert clip.clip_id == written["clip_id"]
        assert clip.caption == written["caption"]
        texts = {**dict.fromkeys(TEXTS, ""), "caption": written["caption"], "short_caption": written["short_caption"]}
        assert dataset.texts(number) == texts
        assert clip.kind == written["kind"]
        assert clip.fps == 8
        assert clip.latent.dtype == torch.float32
        torch.testing.assert_close(clip.latent, latent, rtol=1e-3, atol=1e-3)  # float16 on disk
    assert dataset.shapes().tolist() == [list(latent.shape[1:]) for _, latent in clips]
    assert list(dataset.values("split")) == [written["split"] for written, _ in clips]


def test_a_split_is_a_dataset_too(clips, tmp_path):
    dataset = LatentDataset.write(tmp_path / "latents", clips, CONFIG).of_split("validation")
    assert [dataset[n].clip_id for n in range(len(dataset))] == ["clip3"]
    assert dataset.shapes().tolist() == [[5, 8, 8]]


def test_anyone_can_open_a_shard(clips, tmp_path):
    dataset = LatentDataset.write(tmp_path / "latents", clips, CONFIG)
    tensors = load_file(tmp_path / "latents" / "shards" / "00000.safetensors")
    assert torch.equal(tensors["clip2/latent"].float(), dataset[2].latent)
    with safe_open(tmp_path / "latents" / "shards" / "00000.safetensors", "pt") as shard:
        assert json.loads(shard.metadata()["clips"])[2]["caption"] == "A long caption of clip 2."


def test_an_embedding_of_the_text_stands_beside_the_latent_where_there_is_one(clips, tmp_path):
    text = torch.randn(7, 5).bfloat16()
    both = [(clips[0][0], {"latent": clips[0][1], "text": text}), clips[1]]
    dataset = LatentDataset.write(tmp_path / "latents", both, CONFIG)
    one, other = dataset.read([0, 1])
    assert torch.equal(one.text, text)
    assert other.text is None


def test_a_clip_comes_with_the_text_that_is_asked_for_and_equal_ones_are_kept_once(clips, tmp_path):
    (one, latent), (other, other_latent), *_ = clips
    texts = {"caption": "Long.", "short_caption": "Short.", "written_caption": "Long.", "written_short_caption": "W."}
    vectors = {name: torch.randn(2, 3).bfloat16() for name in ("text", "short_text", "written_short_text")}
    empty = other | dict.fromkeys(TEXTS, "")
    made = [(one | texts, {"latent": latent, **vectors}), (empty, {"latent": other_latent})]
    dataset = LatentDataset.write(tmp_path / "latents", made, CONFIG)
    for name, vector in (
        ("caption", "text"),
        ("short_caption", "short_text"),
        ("written_caption", "text"),
        ("written_short_caption", "written_short_text"),
    ):
        read, without = dataset.read([0, 1], [name, name])
        assert read.caption == texts[name]
        assert torch.equal(read.text, vectors[vector])
        assert (without.caption, without.text) == ("", None)
    assert sorted(dataset.sentences(list(TEXTS))) == ["Long.", "Short.", "W."]
    assert list(dataset.sentences(["caption", "written_caption"])) == ["Long."]


@pytest.mark.parametrize("rows", [1, 2, 3, 100])
def test_rows_are_found_whatever_the_batches_of_the_index(clips, tmp_path, monkeypatch, rows):
    for name in (module, latents):
        monkeypatch.setattr(name, "ROWS_PER_BATCH", rows)
    dataset = LatentDataset.write(tmp_path / "latents", clips, CONFIG)
    assert [clip.clip_id for clip in dataset.read([4, 0, 2])] == ["clip4", "clip0", "clip2"]
    assert list(dataset.of_split("train").values("clip_id")) == ["clip0", "clip1", "clip2", "clip4"]
    assert dataset.of_split("train").of_split("train")[3].clip_id == "clip4"


def test_they_are_read_a_clip_at_a_time_from_an_s3_server(clips, tmp_path, s3_root, monkeypatch):
    written = LatentDataset.write(tmp_path / "latents", clips, CONFIG)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    uri = open_store(s3_root).put_folder(tmp_path / "latents", "latents")
    dataset = LatentDataset.open(uri)
    assert dataset.digest == written.digest
    for one, other in zip(dataset.read([3, 1]), written.read([3, 1]), strict=True):
        assert torch.equal(one.latent, other.latent)
        assert one.caption == other.caption
    open_store(uri).delete("shards/00000.safetensors")
    with pytest.raises(KinoraError, match="there is no file s3://"):
        dataset[0]
    with pytest.raises(KinoraError, match=r"not whole: shards/00000.safetensors is missing"):
        LatentDataset.open(uri)
    with pytest.raises(KinoraError, match="holds no latents"):
        LatentDataset.open(f"{s3_root}/elsewhere")


def refusal(dataset, number) -> str:
    try:
        dataset[number]
    except KinoraError as error:
        return str(error)
    return ""


def test_one_changed_byte_is_found_where_it_is_read_and_named(clips, tmp_path):
    dataset = LatentDataset.write(tmp_path / "latents", clips, CONFIG)
    shard = tmp_path / "latents" / "shards" / "00000.safetensors"
    whole = shard.read_bytes()
    changed = bytearray(whole)
    changed[-1] ^= 1
    shard.write_bytes(changed)
    said = list(filter(None, (refusal(dataset, number) for number in range(len(dataset)))))
    assert len(said) == 1
    assert re.search(r"latent of clip clip\d is damaged: .*00000.safetensors", said[0])
    shard.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(KinoraError, match="is damaged"):
        dataset.read(range(len(dataset)))


@pytest.mark.parametrize("name", ["latents.json", "index.arrow"])
def test_a_damaged_index_is_refused(clips, tmp_path, name):
    LatentDataset.write(tmp_path / "latents", clips, CONFIG)
    path = tmp_path / "latents" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 64] = bytes(64)
    path.write_bytes(content)
    with pytest.raises(KinoraError, match=f"damaged: {name}"):
        LatentDataset.open(tmp_path / "latents")


def test_latents_of_an_earlier_version_are_named_as_such(tmp_path):
    (tmp_path / "index.parquet").write_bytes(b"")
    with pytest.raises(KinoraError, match=r"earlier version.*kinora encode"):
        LatentDataset.open(tmp_path)


def test_an_interrupted_writing_goes_on_with_the_shards_that_were_finished(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "CLIPS_PER_SHARD", 2)

    def interrupted():
        with LatentWriter(tmp_path / "latents", CONFIG, "this") as writer:
            for clip in clips[:3]:
                writer.add(*clip)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    with LatentWriter(tmp_path / "latents", CONFIG, "this") as writer:
        assert writer.written == 2
        assert [row["clip_id"] for row, _ in writer.committed()] == ["clip0", "clip1"]
        for clip in clips[writer.written :]:
            writer.add(*clip)
    whole = LatentDataset.write(tmp_path / "whole", clips, CONFIG)
    assert LatentDataset.open(tmp_path / "latents").digest == whole.digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents", "whole"]


MEMORY = """
import sys, psutil
from kinora.data import latents
from kinora.data.latents import LatentDataset
from kinora.data.shards import LatentWriter
from kinora.data.planner import Planner
from kinora.data.loader import Loader
dataset = LatentDataset.open(sys.argv[1]).of_split("train")
def use(steps):
    planner = Planner(dataset.shapes(), tokens_per_pack=64, packs_per_step=1)
    jobs = ([lambda pack=pack: dataset.read(pack.clips) for pack in planner.packs(step)] for step in range(steps))
    with Loader(jobs) as loader:
        for clips in loader:
            pass
use(200)
memory = psutil.Process().memory_info()
print(memory.rss - memory.shared)
"""


def test_memory_does_not_grow_with_the_set(tmp_path, root):
    """Thirty times as many clips weigh some 20 bytes each in a process: what is planned with, not what is read."""
    latent = torch.zeros(4, 2, 2, 2)
    used = {}
    for count in (1_000, 30_000):
        clips = (({**row(n, 5, 8, 8), "caption": f"{n} " * 50}, latent) for n in range(count))
        LatentDataset.write(tmp_path / str(count), clips, CONFIG)
        command = [sys.executable, "-c", MEMORY, str(tmp_path / str(count))]
        environment = os.environ | {"PYTHONPATH": str(root)}
        used[count] = int(subprocess.run(command, env=environment, capture_output=True, check=True).stdout)
    assert used[30_000] - used[1_000] < 6 * 2**20


def test_the_digest_names_the_content_and_not_the_place(clips, tmp_path):
    one = LatentDataset.write(tmp_path / "one", clips, CONFIG).digest
    assert LatentDataset.write(tmp_path / "two", clips, CONFIG).digest == one
    clips[0][1][0, 0, 0, 0] += 1
    assert LatentDataset.write(tmp_path / "three", clips, CONFIG).digest != one


def test_interrupted_writing_leaves_nothing(clips, tmp_path):
    def broken():
        yield from clips[:2]
        raise KinoraError("The disk is full.")

    with pytest.raises(KinoraError, match="full"):
        LatentDataset.write(tmp_path / "latents", broken(), CONFIG)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KinoraError, match="holds no latents"):
        LatentDataset.open(tmp_path / "latents")
