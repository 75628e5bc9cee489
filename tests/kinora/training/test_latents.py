"""Every clip is encoded with its own caption."""

import pytest
import torch

from kinora.data import shards
from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.latents import LatentDataset
from kinora.errors import KinoraError
from kinora.files import file_digest
from kinora.media.tensors import to_tensor
from kinora.models.vae import VAE, VAEConfig
from kinora.training import latents as module
from kinora.training.latents import encode_latents
from kinora.training.reconstruction import measure_latents
from kinora.training.video_batches import ExcerptReader, Excerpts, Limits
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32), (40, 24)), frames=(9,), held_out=60, seed=5)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    return ingest(
        "worlds", tmp_path_factory.mktemp("worlds") / "clips", IngestConfig(WORLDS, SimulatedClips(videos=8, images=4))
    )


@pytest.fixture(scope="module")
def vae(dataset, tmp_path_factory):
    torch.manual_seed(0)
    model = VAE(VAEConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1))
    measure_latents(model, ExcerptReader(dataset), Excerpts(dataset, "train", Limits(17, 64)).some(99))
    folder = tmp_path_factory.mktemp("vae")
    model.save(folder)
    return folder


@pytest.fixture
def captions(dataset):
    texts = [f"caption of {clip_id}" for clip_id in dataset.clips["clip_id"]]
    return dataset.clips[["clip_id"]].assign(caption=texts, short_caption=["short"] * len(texts))


@torch.no_grad()
def test_every_clip_is_encoded_with_its_caption_whatever_the_captions_order(dataset, vae, captions, tmp_path):
    figures = encode_latents(dataset, captions.sample(frac=1, random_state=0), vae, tmp_path / "latents")
    latents, model = LatentDataset.open(tmp_path / "latents"), VAE.load(vae)
    assert figures["clips"] == len(latents) == len(dataset.clips)
    assert {latents[n].clip_id for n in range(len(latents))} == set(dataset.clips["clip_id"])
    for number, shape in enumerate(latents.shapes()):
        clip = latents[number]
        assert clip.caption == f"caption of {clip.clip_id}"
        assert clip.short_caption == "short"
        video = to_tensor(dataset.frames(clip.clip_id))[None]
        assert clip.latent.shape == (4, *shape)
        torch.testing.assert_close(clip.latent[None], model.normalise(model.encode(video)[0]), atol=5e-3, rtol=2e-3)
    assert figures["latent_mean_off"] < 1e-3
    assert figures["latent_std_off"] < 1e-3
    assert latents.config["vae_digest"] == file_digest(vae / "model.safetensors")
    splits = dict(zip(latents.values("clip_id"), latents.values("split"), strict=True))
    assert splits == dict(zip(dataset.clips["clip_id"], dataset.clips["split"], strict=True))


def test_a_clip_without_a_caption_is_refused(dataset, vae, captions, tmp_path):
    with pytest.raises(KinoraError, match=f"2 of {len(captions)} clips have no caption"):
        encode_latents(dataset, captions.iloc[2:], vae, tmp_path / "latents")
    assert not (tmp_path / "latents").exists()


def test_a_killed_encoding_goes_on_after_the_last_finished_shard(dataset, vae, captions, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CLIPS_PER_SHARD", 4)
    monkeypatch.setattr(module, "CLIPS_AT_ONCE", 2)  # the same groups before and after
    whole = encode_latents(dataset, captions, vae, tmp_path / "whole")
    read, encoded = ClipDataset.read, []

    def interrupted(self, clip_ids):
        encoded.extend(clip_ids)
        if len(encoded) > 6:
            raise KeyboardInterrupt
        return read(self, clip_ids)

    monkeypatch.setattr(ClipDataset, "read", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode_latents(dataset, captions, vae, tmp_path / "latents")
    assert not (tmp_path / "latents").exists()
    monkeypatch.setattr(ClipDataset, "read", lambda self, clip_ids: (encoded.extend(clip_ids), read(self, clip_ids))[1])
    encoded.clear()
    assert encode_latents(dataset, captions, vae, tmp_path / "latents") == pytest.approx(whole)
    assert len(encoded) == len(captions) - 4
    assert LatentDataset.open(tmp_path / "latents").digest == LatentDataset.open(tmp_path / "whole").digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents", "whole"]
