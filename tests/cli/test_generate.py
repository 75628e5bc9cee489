"""`kinora generate`: what it makes, and what it refuses in one sentence."""

import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cli.main import main
from cli.preview import Preview
from cli.tasks import parse_ranges, parse_region, parse_size
from kinora.config import to_dict
from kinora.diffusion.sampler import Sampling
from kinora.generation import ModelVersion, Registry, write_version
from kinora.media import read_image, read_metadata, read_video, write_image, write_video
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAE, VAEConfig
from kinora.models.world_model import WorldModel, save_world_model
from kinora.progress import Progress

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


@pytest.mark.parametrize(
    ("parse", "text", "value"),
    [
        (parse_size, "40x24", (40, 24)),
        (parse_size, " 8X16 ", (8, 16)),
        (parse_ranges, "5:12", ((5, 12),)),
        (parse_ranges, "5:12, 20", ((5, 12), (20, 20))),
        (parse_ranges, "3:3", ((3, 3),)),
        (parse_region, "8,16,24x12", (8, 16, 24, 12)),
        (parse_region, " 0, 0, 1X1 ", (0, 0, 1, 1)),
    ],
)
def test_sizes_ranges_and_regions(parse, text, value):
    assert parse(text) == value


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> Path:
    """An image, a video of 10 frames, one of 2, and files that are neither."""
    folder = tmp_path_factory.mktemp("files")
    write_image(folder / "i.png", VIDEO[0])
    write_video(folder / "v.mp4", VIDEO, 8)
    write_video(folder / "short.mp4", VIDEO[:2], 8)
    (folder / "text.mp4").write_text("no video")
    (folder / "text.png").write_text("no image")
    (folder / "cut.mp4").write_bytes((folder / "v.mp4").read_bytes()[:2000])
    (folder / "folder.mp4").mkdir()
    return folder


# What is asked for, and what the one sentence says. {f} is the folder of files.
REFUSED_AT_ONCE = {
    "--size big": "'big' is no size",
    "--size 4000x24": "a width of 4000 pixels cannot be made; give 16 to 2048",
    "--size 24x8": "a height of 8 pixels cannot be made; give 16 to 2048",
    "--size 99999999999999x24": "is no size",
    "--frames 0": "0 frames cannot be made",
    "--frames -3": "-3 frames cannot be made",
    "--frames 9 --seconds 1": "give one of them",
    "--fps 0": "0 frames a second cannot be made",
    "--fps nan": "nan frames a second cannot be made",
    "--seed -1": "a seed of -1 cannot be",
    "--seed 99999999999999999999": "cannot be; give a whole number",
    "--steps 0": "0 steps",
    "--steps 2000": "give 1 to 1,000 steps",
    "--guidance nan": "a guidance of nan",
    "--guidance -1": "a guidance from 0 to 100",
    "--solver magic": "magic",
    "--preview now.jpg": "is no PNG file",
    "--out x.avi": "no known video or image suffix",
    "--out x.png --frames 9": "cannot hold 9 frames",
    "--out x.mp4 --frames 1": "a video of one frame",
    "--out x.gif --fps 60": "a GIF shows 50",
    "--image {f}/none.png": "there is no file",
    "--image {f}/text.png": "cannot be decoded as an image",
    "--image {f}/v.mp4": "cannot be decoded as an image",
    "--last-image {f}/none.png": "there is no file",
    "--extend {f}/none.mp4": "there is no file",
    "--extend {f}/text.mp4": "cannot be decoded as video",
    "--extend {f}/folder.mp4": "folder.mp4",
    "--edit {f}/text.mp4": "cannot be decoded as video",
    "--connect {f}/v.mp4 {f}/text.mp4": "text.mp4 cannot be decoded as video",
    "--interpolate {f}/text.mp4": "cannot be decoded as video",
    "--fill {f}/v.mp4": "give --frames-missing, --region, or both",
    "--fill {f}/v.mp4 --frames-missing 5-12": "'5-12' is no range of frames",
    "--fill {f}/v.mp4 --frames-missing 6:3": "'6:3' is no range of frames",
    "--fill {f}/v.mp4 --frames-missing -1:3": "no range of frames",
    "--fill {f}/v.mp4 --region 1,2": "'1,2' is no region",
    "--edit {f}/v.mp4 --strength 0": "a strength of 0 cannot be",
    "--edit {f}/v.mp4 --strength 1.5": "a strength of 1.5 cannot be",
    "--interpolate {f}/v.mp4 --factor 1": "a factor of 1 cannot be; give a whole number from 2 to 16",
    # What does not belong to the task.
    "--edit {f}/v.mp4 --extend {f}/v.mp4": "--extend and --edit are different tasks",
    "--image {f}/i.png --fill {f}/v.mp4 --region 1,1,2x2": "--image and --fill are different tasks",
    "--direction backward": "--direction goes with --extend",
    "--strength 0.5": "--strength goes with --edit",
    "--extend {f}/v.mp4 --strength 0.5": "--strength goes with --edit",
    "--frames-missing 5:6": "--frames-missing goes with --fill",
    "--edit {f}/v.mp4 --region 1,1,2x2": "--region goes with --fill",
    "--factor 2": "--factor goes with --interpolate",
    "--loop --extend {f}/v.mp4": "--loop goes with a prompt alone, or with --image",
    "--loop --last-image {f}/i.png": "a loop ends where it begins",
    "--edit {f}/v.mp4 --frames 9": "--frames cannot be chosen with --edit",
    "--fill {f}/v.mp4 --region 1,1,2x2 --seconds 9": "--seconds cannot be chosen with --fill",
    "--interpolate {f}/v.mp4 --frames 9": "--frames cannot be chosen with --interpolate",
}
REFUSED_BY_THE_MODEL = {
    "--out x.png": "cannot hold 9 frames",
    "--seconds 0": "a clip of 0 s cannot be made",
    "--loop --frames 9": "a loop of 9 frames cannot be made; give a multiple of 4",
    "--image {f}/i.png --frames 1 --out x.png": "leaves nothing to generate",
    "--extend {f}/short.mp4": "the video has 2 frames, too few",
    "--extend {f}/cut.mp4": "cut.mp4",
    "--extend {f}/v.mp4 --frames 10": "the video has 10 frames already",
    "--connect {f}/v.mp4 {f}/short.mp4": "the second video has 2 frames, too few",
    "--connect {f}/v.mp4 {f}/v.mp4 --frames 20": "the two videos have 20 frames; ask for more",
    "--fill {f}/v.mp4 --frames-missing 5:12": "no frames 5 to 12 in a video of 10 frames; give numbers from 0 to 9",
    "--fill {f}/v.mp4 --frames-missing 0:9": "all frames are missing",
    "--fill {f}/v.mp4 --region 30,0,11x5": "not within frames of 40x24",
    "--fill {f}/v.mp4 --region 0,0,40x24": "the region is the whole frame",
}


def words(wish: str, files: Path) -> list[str]:
    return wish.format(f=files).split()


@pytest.mark.parametrize("wish", REFUSED_AT_ONCE)
def test_what_no_model_can_make_is_one_sentence_before_it_is_loaded(wish, files, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["generate", "a red circle", "--model", "nowhere", *words(wish, files)]) == 2
    told = capsys.readouterr().err
    assert REFUSED_AT_ONCE[wish] in told
    assert told.startswith("kinora generate: ")
    assert len(told.splitlines()) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wish", REFUSED_BY_THE_MODEL)
def test_what_this_model_cannot_make_is_one_sentence_before_the_first_step(make, wish, files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = make(*words(wish, files))
    assert code == 2
    assert REFUSED_BY_THE_MODEL[wish] in printed.err
    assert len(printed.err.splitlines()) == 1  # no progress: nothing was sampled
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("prompt", "sentence"),
    [
        ("", "the prompt is empty"),
        (" \n", "the prompt is empty"),
        ("red " * 25_000, "the prompt has 100,000 characters"),
    ],
)
def test_a_prompt_that_no_model_reads(prompt, sentence, capsys):
    assert main(["generate", prompt, "--model", "nowhere"]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("prompt", "options", "sentence"),
    [
        ("a dragon", [], "the model never saw the word 'dragon'"),
        ("a red dragon, a dragon roars", [], "the words 'dragon' and 'roars'"),
        ("a red cirle", [], "'cirle' (did you mean 'circle'?)"),
        ("a red ball", ["--no-expand"], "'ball'"),
        ("a red circle", ["--negative-prompt", "a dragon"], "'dragon'"),
        ("a red circle " * 10, [], "the prompt has 30 words, and this model reads 24"),
    ],
)
def test_a_prompt_that_this_model_does_not_read(make, tmp_path, prompt, options, sentence):
    code, printed = make("--out", tmp_path / "x.mp4", *options, prompt=prompt)
    assert code == 2
    assert sentence in printed.err
    assert len(printed.err.splitlines()) == 1
    assert make("--out", tmp_path / "x.mp4", "--allow-unknown-words", *options, prompt="a red dragon")[0] == 0


# A wish, then what comes out: frames, height, width, frames a second; and what its file says besides.
MADE = {
    "": (9, 16, 24, 12.0, {"task": "text", "loop": False}),
    "--seconds 3 --fps 8": (24, 16, 24, 8.0, {"task": "text"}),
    "--size 50x98 --frames 2": (2, 98, 50, 12.0, {"width": 50, "height": 98}),
    "--loop": (8, 16, 24, 12.0, {"loop": True}),
    "--loop --image {f}/i.png": (8, 24, 40, 12.0, {"task": "image", "loop": True}),
    "--image {f}/i.png": (9, 24, 40, 12.0, {"task": "image"}),
    "--last-image {f}/i.png --frames 6": (6, 24, 40, 12.0, {"task": "image"}),
    "--image {f}/i.png --last-image {f}/i.png": (9, 24, 40, 12.0, {"task": "image"}),
    "--extend {f}/v.mp4": (14, 24, 40, 8.0, {"task": "extend", "direction": "forward"}),
    "--extend {f}/v.mp4 --direction backward --frames 12": (12, 24, 40, 8.0, {"direction": "backward"}),
    "--edit {f}/v.mp4 --strength 0.3": (10, 24, 40, 8.0, {"task": "edit", "strength": 0.3}),
    "--connect {f}/v.mp4 {f}/v.mp4 --seconds 3": (24, 24, 40, 8.0, {"task": "connect"}),
    "--fill {f}/v.mp4 --frames-missing 3:5,8": (10, 24, 40, 8.0, {"task": "fill", "missing": [[3, 5], [8, 8]]}),
    "--fill {f}/v.mp4 --region 8,4,16x8": (10, 24, 40, 8.0, {"region": [8, 4, 16, 8]}),
    "--interpolate {f}/v.mp4 --factor 3": (28, 24, 40, 24.0, {"task": "interpolate", "factor": 3}),
}


@pytest.mark.parametrize("wish", MADE)
def test_every_task_comes_out_as_it_is_asked_for(make, wish, files, tmp_path):
    code, printed = make(*words(wish, files), "--out", tmp_path / "x.mp4", "--preview", tmp_path / "now.png")
    assert code == 0, printed.err
    count, height, width, rate, said = MADE[wish]
    frames, fps = read_video(tmp_path / "x.mp4")
    assert (frames.shape, fps) == ((count, height, width, 3), rate)
    assert f"{count} frames of {width}x{height} at {rate:g} frames a second" in printed.out
    assert read_metadata(tmp_path / "x.mp4").items() >= said.items()
    assert read_image(tmp_path / "now.png").shape[1] == 96


@pytest.mark.parametrize("prompt", ["", " "])
def test_with_media_the_prompt_may_be_empty(make, files, tmp_path, prompt):
    code, printed = make("--image", files / "i.png", "--out", tmp_path / "x.mp4", prompt=prompt)
    assert code == 0, printed.err
    assert read_metadata(tmp_path / "x.mp4").items() >= {"prompt": prompt, "sampled": prompt, "task": "image"}.items()


def test_a_missing_model_exits_1(capsys):
    assert main(["generate", "a circle", "--model", "nowhere"]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


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


def test_how_a_clip_was_made_is_in_its_file(make, version, tmp_path):
    wish = [
        "--seed",
        "5",
        "--steps",
        "3",
        "--guidance",
        "1.5",
        "--solver",
        "dpm",
        "--negative-prompt",
        "circle",
        "--no-expand",
    ]
    for name in ("x.mp4", "x.webm", "x.gif", "x.webp", "x"):
        assert make("--out", tmp_path / name, *wish)[0] == 0
        found = read_metadata(tmp_path / name)
        assert found["sampling"].items() >= {"steps": 3, "guidance": 1.5, "solver": "dpm"}.items()
        assert (
            found.items()
            >= {
                "prompt": "a red circle",
                "sampled": "a red circle",
                "negative_prompt": "circle",
                "seed": 5,
                "model_version": version.name,
                "task": "text",
                "width": 24,
                "height": 16,
                "frames": 9,
                "fps": 12.0,
            }.items()
        )


def test_frames_in_a_folder_and_a_length_in_seconds(make, tmp_path):
    assert make("--out", f"{tmp_path}/frames/", "--seconds", "0.5")[0] == 0
    names = sorted(path.name for path in (tmp_path / "frames").iterdir())
    assert names == [*(f"{number:06d}.png" for number in range(6)), "clip.json"]
    assert read_image(tmp_path / "frames" / "000005.png").shape == (1, 16, 24, 3)


def test_what_is_chosen_for_a_person_is_said(make, files, tmp_path):
    _, printed = make("--out", tmp_path / "x.mp4", "--size", "21x18")
    assert "21x18 is made as 24x24, multiples of 8 pixels, and cut." in printed.out
    assert "even sides only" in printed.out
    assert read_video(tmp_path / "x.mp4")[0].shape == (9, 18, 22, 3)
    _, printed = make("--out", tmp_path / "x.gif", "--image", files / "i.png", "--size", "24x24")
    assert "The image has 40x24 pixels and the clip 24x24" in printed.out


def test_a_preview_is_rewritten_while_the_clip_is_made(make, tmp_path):
    seen = []

    class Watched(Preview):
        def show(self, step):
            super().show(step)
            seen.append(read_image(tmp_path / "now.png").shape)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cli.generate.Preview", Watched)
        assert make("--out", tmp_path / "x.mp4", "--preview", tmp_path / "now.png")[0] == 0
    assert len(seen) == 2
    assert seen == [(1, 96, 6 * 144, 3)] * 2


@pytest.mark.parametrize("name", ["x.mp4", "x.webm", "x.gif", "x.webp", "x"])
@pytest.mark.parametrize("step", [1, 2])
def test_an_interruption_at_any_step_leaves_no_file(make, tmp_path, monkeypatch, name, step):
    update = Progress.update

    def interrupted(self, done, **figures):
        update(self, done, **figures)
        if done == 50 * step:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Progress, "update", interrupted)
    code, printed = make("--out", tmp_path / name, "--preview", tmp_path / "now.png")
    assert code == 130
    assert "interrupted" in printed.err
    assert not list(tmp_path.iterdir())
