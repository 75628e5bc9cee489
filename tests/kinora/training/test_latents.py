"""Every clip is encoded with its own caption."""

from dataclasses import replace

import pytest
import torch

from kinora.data import shards
from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.latents import LatentDataset
from kinora.data.shards import TEXTS
from kinora.files import file_digest
from kinora.media.tensors import to_tensor
from kinora.models import autoencoder
from kinora.models.hf_text_encoder import FrozenTextEncoder, HFTextEncoder
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAE, VAEConfig
from kinora.training import latents as module
from kinora.training.batches import prepared_caption
from kinora.training.latents import encode_latents
from kinora.training.reconstruction import measure_latents
from kinora.training.transformer import TransformerTraining
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
def test_every_clip_is_encoded_with_its_caption_whatever_the_captions_order(
    dataset, vae, captions, tmp_path, monkeypatch
):
    monkeypatch.setattr(autoencoder, "compute_dtype", lambda: torch.float32)  # on any machine
    figures = encode_latents(dataset, captions.sample(frac=1, random_state=0), vae, tmp_path / "latents")
    latents, model = LatentDataset.open(tmp_path / "latents"), VAE.load(vae)
    assert figures["clips"] == len(latents) == len(dataset.clips)
    assert {latents[n].clip_id for n in range(len(latents))} == set(dataset.clips["clip_id"])
    for number, shape in enumerate(latents.shapes()):
        clip = latents[number]
        assert clip.caption == f"caption of {clip.clip_id}"
        assert latents.texts(number)["short_caption"] == "short"
        video = to_tensor(dataset.frames(clip.clip_id))[None]
        assert clip.latent.shape == (4, *shape)
        torch.testing.assert_close(clip.latent[None], model.normalise(model.encode(video)[0]), atol=5e-3, rtol=2e-3)
    assert figures["latent_mean_off"] < 1e-3
    assert figures["latent_std_off"] < 1e-3
    assert latents.config["vae_digest"] == file_digest(vae / "model.safetensors")
    splits = dict(zip(latents.values("clip_id"), latents.values("split"), strict=True))
    assert splits == dict(zip(dataset.clips["clip_id"], dataset.clips["split"], strict=True))


def test_a_clip_keeps_all_its_texts_and_one_without_any_is_encoded_too(
    dataset, vae, captions, hf_text_encoder, tmp_path
):
    text = TextEncoderConfig(kind="hf", pretrained=f"hf:{hf_text_encoder('t5')}", max_words=8)
    texts = {
        "caption": "a red circle moves", "short_caption": "a circle",
        "written_caption": "a blue square rests on grey", "written_short_caption": "a circle",
    }  # fmt: skip
    some = captions.iloc[2:].assign(**texts)
    figures = encode_latents(dataset, some, vae, tmp_path / "latents", text)
    assert (figures["clips"], figures["captioned"]) == (len(captions), len(captions) - 2)
    latents, encoder = LatentDataset.open(tmp_path / "latents"), FrozenTextEncoder(text.pretrained, 8)
    without = set(captions["clip_id"].iloc[:2])
    for number, clip_id in enumerate(latents.values("clip_id")):
        assert latents.texts(number) == (dict.fromkeys(TEXTS, "") if clip_id in without else texts)
        for name in TEXTS:
            (clip,) = latents.read([number], [name])
            if clip_id in without:
                assert clip.text is None
            else:
                torch.testing.assert_close(clip.text, encoder.encode([texts[name]])[0].bfloat16())
    config = TransformerTraining(text=replace(text, width=encoder.width))
    pair = sorted(range(len(latents)), key=lambda number: latents.name(number) not in without)[1:3]
    prepared = [prepared_caption(latents[number], config.text, {}) for number in pair]
    assert [bool(one.any()) for one in prepared] == [False, True]
    model = HFTextEncoder(config.text)
    assert model(prepared[0][None]).words.isfinite().all()


def test_a_killed_encoding_goes_on_after_the_last_finished_shard(dataset, vae, captions, tmp_path, monkeypatch):
    monkeypatch.setattr(shards, "CLIPS_PER_SHARD", 4)
    monkeypatch.setattr(module, "CLIPS_AT_ONCE", 2)  # the same groups before and after
    whole = encode_latents(dataset, captions, vae, tmp_path / "whole")
    read, encoded = ClipDataset.read_rows, []

    def interrupted(self, rows):
        encoded.extend(rows)
        if len(encoded) > 6:
            raise KeyboardInterrupt
        return read(self, rows)

    monkeypatch.setattr(ClipDataset, "read_rows", interrupted)
    with pytest.raises(KeyboardInterrupt):
        encode_latents(dataset, captions, vae, tmp_path / "latents")
    assert not (tmp_path / "latents").exists()
    monkeypatch.setattr(ClipDataset, "read_rows", lambda self, rows: (encoded.extend(rows), read(self, rows))[1])
    encoded.clear()
    assert encode_latents(dataset, captions, vae, tmp_path / "latents") == pytest.approx(whole)
    assert len(encoded) == len(captions) - 4
    assert LatentDataset.open(tmp_path / "latents").digest == LatentDataset.open(tmp_path / "whole").digest
    assert sorted(path.name for path in tmp_path.iterdir()) == ["latents", "whole"]
