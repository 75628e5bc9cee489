"""A dataset of latents comes back as it was written, or not at all."""

import pytest
import torch

from kinora.data import latents as module
from kinora.data.latents import LatentDataset
from kinora.errors import KinoraError

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
        assert clip.short_caption == written["short_caption"]
        assert clip.kind == written["kind"]
        assert clip.fps == 8
        assert clip.latent.dtype == torch.float32
        torch.testing.assert_close(clip.latent, latent, rtol=1e-3, atol=1e-3)  # float16 on disk
    assert dataset.shapes() == [tuple(latent.shape[1:]) for _, latent in clips]
    assert "uri" not in dataset.index.columns


def test_a_split_is_a_dataset_too(clips, tmp_path):
    dataset = LatentDataset.write(tmp_path / "latents", clips, CONFIG).of_split("validation")
    assert [dataset[n].clip_id for n in range(len(dataset))] == ["clip3"]
    assert dataset.shapes() == [(5, 8, 8)]


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
