"""For the tests of the library: real files, and tiny models saved by diffusers and transformers."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.dataset import ingest


@pytest.fixture(scope="session")
def footage(tmp_path_factory, real_videos, real_images) -> Path:
    """A folder with real videos, one of them captioned, and images."""
    folder = tmp_path_factory.mktemp("footage")
    (folder / "images").mkdir()
    for path in real_videos:
        (folder / path.name).symlink_to(path)
    for path in real_images:
        (folder / "images" / path.name).symlink_to(path)
    (folder / "carphone_pristine.txt").write_text("A man talks\n in a car. He is animated.\n")
    return folder


@pytest.fixture(scope="session")
def real_dataset(tmp_path_factory, footage):
    """The dataset of that folder."""
    return ingest(str(footage), tmp_path_factory.mktemp("dataset") / "clips", IngestConfig())


CHANNELS = (8, 8, 8, 8)


def _wan():
    from diffusers import AutoencoderKLWan

    statistics = {"latents_mean": [0.1, -0.2, 0.3, 0.4], "latents_std": [1.0, 2.0, 0.5, 4.0]}
    return AutoencoderKLWan(base_dim=8, z_dim=4, dim_mult=[1, 1, 1, 1], num_res_blocks=1, **statistics)


def _cogvideox():
    from diffusers import AutoencoderKLCogVideoX

    return AutoencoderKLCogVideoX(
        down_block_types=("CogVideoXDownBlock3D",) * 4,
        up_block_types=("CogVideoXUpBlock3D",) * 4,
        block_out_channels=CHANNELS,
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=4,
    )


def _ltx(**options):
    from diffusers import AutoencoderKLLTXVideo

    model = AutoencoderKLLTXVideo(
        latent_channels=4,
        block_out_channels=CHANNELS,
        decoder_block_out_channels=CHANNELS,
        layers_per_block=(1,) * 5,
        decoder_layers_per_block=(1,) * 5,
        **options,
    )
    model.latents_mean.copy_(torch.tensor([0.1, -0.2, 0.3, 0.4]))
    model.latents_std.copy_(torch.tensor([1.0, 2.0, 0.5, 4.0]))
    return model


def _ltx_timed():
    return _ltx(timestep_conditioning=True, decoder_inject_noise=(False,) * 5)


def _hunyuan():
    from diffusers import AutoencoderKLHunyuanVideo

    return AutoencoderKLHunyuanVideo(
        latent_channels=4, block_out_channels=CHANNELS, layers_per_block=1, norm_num_groups=4
    )


AUTOENCODERS = {"wan": _wan, "cogvideox": _cogvideox, "ltx": _ltx, "ltx_timed": _ltx_timed, "hunyuan": _hunyuan}


@pytest.fixture(scope="session")
def hf_autoencoder(tmp_path_factory) -> Callable[[str], Path]:
    """Return the folder of a tiny autoencoder of diffusers, by its name in `AUTOENCODERS`."""
    root = tmp_path_factory.mktemp("hf")

    def saved(name: str) -> Path:
        if not (root / name).exists():
            torch.manual_seed(0)
            AUTOENCODERS[name]().save_pretrained(root / name)
        return root / name

    return saved


def _text_network(kind):
    import transformers

    size = {"vocab_size": 32, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2}
    if kind == "t5":
        return transformers.T5EncoderModel(transformers.T5Config(**size))
    if kind == "umt5":
        return transformers.UMT5EncoderModel(transformers.UMT5Config(**size))
    return transformers.CLIPTextModel(
        transformers.CLIPTextConfig(
            vocab_size=32, hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
            max_position_embeddings=12, bos_token_id=2, eos_token_id=1, pad_token_id=0,
        )
    )  # fmt: skip


def _tokenizer(kind):
    """Return a tokenizer of a few words; a sentence ends with </s>, and for CLIP begins with <s>."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    special, words = ["<pad>", "</s>", "<s>", "<unk>"], "a red blue circle square moves rests slowly on grey ."
    places = {word: place for place, word in enumerate([*special, *words.split(" ")])}
    tokenizer = Tokenizer(models.WordLevel(places, "<unk>"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    template = "<s> $A </s>" if kind == "clip" else "$A </s>"
    tokenizer.post_processor = processors.TemplateProcessing(template, special_tokens=[("<s>", 2), ("</s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="</s>", bos_token="<s>", unk_token="<unk>"
    )


@pytest.fixture(scope="session")
def hf_text_encoder(tmp_path_factory) -> Callable[[str], Path]:
    """Return the folder of a tiny text encoder of transformers with its tokenizer: "t5", "umt5" or "clip"."""
    root = tmp_path_factory.mktemp("hf-text")

    def saved(kind: str) -> Path:
        if not (root / kind).exists():
            torch.manual_seed(0)
            _text_network(kind).save_pretrained(root / kind)
            _tokenizer(kind).save_pretrained(root / kind)
        return root / kind

    return saved
