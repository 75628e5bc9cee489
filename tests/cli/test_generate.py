"""`kinora generate`: what it makes, and what it refuses in one sentence."""

import numpy as np
import pytest
import torch
from PIL import Image

from cli.generate import parse_size
from cli.main import main
from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.generation import ModelVersion, Registry, write_version
from kinora.media import read_image, read_video, write_image, write_video
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAE, VAEConfig
from kinora.models.world_model import WorldModel, save_world_model

VIDEO = np.random.default_rng(0).integers(0, 255, (10, 24, 40, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def version(tmp_path_factory) -> ModelVersion:
    """A model version with random weights, trained (as it says) on clips of 24x16, 9 frames, 12 a second."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("version")
    VAE(VAEConfig(latent_channels=4, width=8)).save(folder / "vae")
    words = ("<pad>", "<unknown>", "a", "red", "circle")
    dit, text = DiTConfig(latent_channels=4, width=16, depth=1, heads=2), TextEncoderConfig(words, width=16, heads=2)
    save_world_model(folder / "dit", dict(WorldModel(dit, text).named_parameters()), dit, text)
    (folder / "captioner").mkdir()
    (folder / "captioner" / "config.json").write_text("{}")
    ingest = {"worlds": {"sizes": [[24, 16], [32, 32]]}, "max_frames": 9, "fps": 12.0}
    recipe = {"sampling": to_dict(Sampling(steps=2)), "ingest": ingest}
    return write_version(folder, folder / "vae", folder / "dit", folder / "captioner", recipe, {}, {})


@pytest.fixture
def make(version, tmp_path, capsys):
    """Run `kinora generate` with that version in an empty folder; return its exit code and what it printed."""

    def run(*arguments, prompt="a red circle"):
        code = main(["generate", prompt, "--model", str(version.path), *map(str, arguments)])
        return code, capsys.readouterr()

    return run


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


def test_without_a_model_the_deployed_one_is_taken(version, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("KINORA_ARTIFACT_ROOT", str(tmp_path))
    out = ["--out", str(tmp_path / "x.mp4")]
    assert main(["generate", "a circle", *out]) == 1
    assert "no model version is deployed" in capsys.readouterr().err
    Registry(str(tmp_path)).promote(version.path, verdict="a test")
    assert main(["generate", "a circle", *out]) == 0, capsys.readouterr().err


def test_what_is_left_open_is_as_in_training(make, tmp_path):
    code, printed = make("--out", tmp_path / "x.mp4")
    assert code == 0
    frames, fps = read_video(tmp_path / "x.mp4")
    assert (frames.shape, fps) == ((9, 16, 24, 3), 12)
    assert "9 frames of 24x16 at 12 frames a second" in printed.out


def test_a_video_is_made_as_asked(make, tmp_path):
    assert make("--size", "20x18", "--frames", "6", "--fps", "6", "--out", tmp_path / "new" / "x.mp4")[0] == 0
    frames, fps = read_video(tmp_path / "new" / "x.mp4")
    assert (frames.shape, fps) == ((6, 18, 20, 3), 6)


@pytest.mark.parametrize(("suffix", "kind"), [("gif", "GIF"), ("webp", "WEBP")])
def test_it_is_written_as_its_name_says(make, tmp_path, suffix, kind):
    assert make("--out", tmp_path / f"x.{suffix}")[0] == 0
    with Image.open(tmp_path / f"x.{suffix}") as image:
        assert (image.format, image.n_frames, image.size) == (kind, 9, (24, 16))


def test_webm_and_png_too(make, tmp_path):
    assert make("--out", tmp_path / "x.webm")[0] == 0
    assert read_video(tmp_path / "x.webm")[0].shape == (9, 16, 24, 3)
    assert make("--frames", "1", "--out", tmp_path / "x.png")[0] == 0
    assert read_image(tmp_path / "x.png").shape == (1, 16, 24, 3)


def test_what_cannot_be_written_is_refused_before_sampling(make, tmp_path):
    for name, wish in (("x.png", []), ("x.mp4", ["--frames", "1"]), ("x.avi", []), ("x", [])):
        code, printed = make("--out", tmp_path / name, *wish)
        assert code == 2
        assert len(printed.err.splitlines()) == 1  # no progress: nothing was sampled
        assert not (tmp_path / name).exists()


def test_an_extension_is_as_large_and_as_fast_as_the_video(make, tmp_path):
    write_video(tmp_path / "v.mp4", VIDEO, 15)
    code, printed = make("--extend", tmp_path / "v.mp4", "--out", tmp_path / "x.mp4")
    assert code == 0
    frames, fps = read_video(tmp_path / "x.mp4")
    assert frames.shape[1:3] == (24, 40)
    assert len(frames) > len(VIDEO)
    assert fps == 15
    assert "scaled" not in printed.out
    assert make("--extend", tmp_path / "v.mp4", "--out", tmp_path / "x.mp4", "--size", "16x16", "--fps", "10")[0] == 0
    frames, fps = read_video(tmp_path / "x.mp4")
    assert (frames.shape[1:3], fps) == ((16, 16), 10)


def test_an_animated_image_keeps_its_size_and_cutting_is_said(make, tmp_path):
    write_image(tmp_path / "i.png", np.zeros((30, 46, 3), np.uint8))
    code, printed = make("--image", tmp_path / "i.png", "--out", tmp_path / "x.mp4")
    assert code == 0
    assert read_video(tmp_path / "x.mp4")[0].shape == (9, 30, 46, 3)
    code, printed = make("--image", tmp_path / "i.png", "--size", "30x30", "--out", tmp_path / "x.mp4")
    assert code == 0
    assert "The image has 46x30 pixels and the clip 30x30: it is scaled to 46x30, and 16 columns are cut" in printed.out


@pytest.mark.parametrize("option", ["--image", "--extend"])
def test_a_missing_file_is_called_missing(make, tmp_path, option):
    code, printed = make(option, tmp_path / "nothing.png")
    assert code == 1
    assert f"there is no file {tmp_path / 'nothing.png'}" in printed.err


def test_words_that_the_model_has_never_seen_are_named(make, tmp_path):
    _, printed = make("--out", tmp_path / "x.mp4", prompt="a red dragon, a dragon flies")
    assert "kinora generate: the model never saw: dragon. It goes by the other words." in printed.err.splitlines()
    _, printed = make("--out", tmp_path / "x.mp4")
    assert "never saw" not in printed.err
