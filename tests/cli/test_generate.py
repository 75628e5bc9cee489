"""`kinora generate`: what it makes, and what it refuses in one sentence."""

import pytest

from cli.generate import parse_size, save
from cli.main import main
from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.errors import UsageError
from kinora.media import read_video


@pytest.mark.parametrize("option", ["--loop", "--edit", "--connect", "--fill"])
def test_later_tasks_say_so_and_exit_2(option, capsys):
    assert main(["generate", "a red circle", "--model", "x", option]) == 2
    assert "later version" in capsys.readouterr().err


@pytest.mark.parametrize(("text", "size"), [("40x24", (40, 24)), (" 8X16 ", (8, 16))])
def test_sizes(text, size):
    assert parse_size(text) == size


def test_bad_wishes_exit_2_and_missing_models_1(capsys):
    assert main(["generate", "", "--model", "nowhere"]) == 2
    assert main(["generate", "a circle", "--model", "nowhere", "--size", "big"]) == 2
    assert main(["generate", "a circle", "--model", "nowhere"]) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3
    assert all(line.startswith("kinora generate: ") for line in lines)


def test_without_a_model_the_deployed_one_is_asked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KINORA_ARTIFACT_ROOT", str(tmp_path))
    assert main(["generate", "a circle"]) == 1
    assert f"no model version is deployed in {tmp_path}" in capsys.readouterr().err


def test_the_suffix_must_fit(tmp_path):
    import numpy as np

    with pytest.raises(UsageError, match=r"\*\.png"):
        save(tmp_path / "x.mp4", np.zeros((1, 8, 8, 3), np.uint8), 8.0)


def test_a_video_is_made(tmp_path):
    import torch

    from kinora.generation import write_version
    from kinora.models.dit import DiTConfig
    from kinora.models.text_encoder import TextEncoderConfig
    from kinora.models.vae import VAE, VAEConfig
    from kinora.models.world_model import WorldModel, save_world_model

    torch.manual_seed(0)
    VAE(VAEConfig(latent_channels=4, width=8)).save(tmp_path / "vae")
    dit, text = DiTConfig(latent_channels=4, width=16, depth=1, heads=2), TextEncoderConfig(width=16, heads=2)
    save_world_model(tmp_path / "dit", dict(WorldModel(dit, text).named_parameters()), dit, text)
    (tmp_path / "captioner").mkdir()
    recipe = {"sampling": to_dict(Sampling(steps=2))}
    version = write_version(tmp_path, tmp_path / "vae", tmp_path / "dit", tmp_path / "captioner", recipe, {}, {})
    out = tmp_path / "made" / "x.mp4"
    arguments = ["--model", str(version.path), "--size", "24x16", "--frames", "9", "--fps", "12", "--out", str(out)]
    assert main(["generate", "a red circle", *arguments]) == 0
    frames, fps = read_video(out)
    assert frames.shape == (9, 16, 24, 3)
    assert fps == 12
