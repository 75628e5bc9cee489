"""The three trainers from a user's side: one way to call them, one kind of result, one report."""

import dataclasses
import re
from pathlib import Path

import pytest

from kinora.config import from_dict, read_json
from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.latents import LatentDataset
from kinora.errors import KinoraError
from kinora.models.captioner import Captioner, CaptionerConfig
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.models.vae import VAE, VAEConfig
from kinora.models.world_model import load_world_model
from kinora.training.autoencoder import train_autoencoder
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.captioner import CaptionerTraining, train_captioner
from kinora.training.config import TrainingConfig, TrainingResult
from kinora.training.latents import encode_latents
from kinora.training.log import read_rows
from kinora.training.report import duration
from kinora.training.transformer import TransformerTraining, train_transformer
from kinora.worlds import WorldsConfig

WORLDS = WorldsConfig(worlds=("uniform",), sizes=((32, 32),), frames=(9,), held_out=60)
COMMON = {"steps": 20, "warmup_steps": 2, "validate_every": 15, "save_every": 10, "samples": 2}
CONFIGS = {
    "captioner": CaptionerTraining(
        model=CaptionerConfig(channels=8, keypoints=16, width=32, depth=1), batch_size=4, examples=16, **COMMON
    ),
    "autoencoder": AutoencoderTraining(
        model=VAEConfig(width=16, encoder_blocks=1, decoder_blocks=1), pixels_per_step=2 * 9 * 32 * 32, **COMMON
    ),
    "transformer": TransformerTraining(
        model=DiTConfig(width=32, depth=1, heads=2), text=TextEncoderConfig(width=16), tokens_per_step=128,
        tokens_per_pack=128, **COMMON,
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> dict[str, TrainingResult]:
    """What the three trainers make of one dataset, each in its turn."""
    root = tmp_path_factory.mktemp("trained")
    dataset = ingest("worlds", root / "clips", IngestConfig(WORLDS, SimulatedClips(videos=24, images=8, captioned=1.0)))
    state = root / "state"
    captioner = train_captioner(dataset, root / "captioner", CONFIGS["captioner"], state, worlds=WORLDS)
    autoencoder = train_autoencoder(dataset, root / "autoencoder", CONFIGS["autoencoder"], state)
    encode_latents(dataset, dataset.clips, autoencoder.path, root / "latents")
    latents = LatentDataset.open(root / "latents")
    transformer = train_transformer(
        latents, root / "transformer", CONFIGS["transformer"], state, autoencoder=autoencoder.path
    )
    assert not list(state.iterdir())
    return {"captioner": captioner, "autoencoder": autoencoder, "transformer": transformer}


def test_all_configurations_have_the_same_names_for_the_same_things():
    common = {field.name for field in dataclasses.fields(TrainingConfig)}
    for config in CONFIGS.values():
        assert common <= {field.name for field in dataclasses.fields(config)}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_folder_holds_the_model_and_what_explains_it(results, name):
    result = results[name]
    beside = {"config.json", "metrics.json", "training.jsonl", "report.html"}
    if name == "captioner":
        beside |= {"calibration.json", "familiar.safetensors"}  # how sure it has to be, and of which clips
    models = set(result.checkpoints) or {"model.safetensors"}
    assert {path.name for path in result.path.iterdir()} == beside | models
    assert read_json(result.path / "metrics.json") == pytest.approx(result.metrics)
    resolved = from_dict(type(CONFIGS[name]), read_json(result.path / "config.json"))
    assert {f: getattr(resolved, f) for f in COMMON} == COMMON


def test_the_models_load(results):
    assert Captioner.load(results["captioner"].path).config.vocabulary[4:]
    assert VAE.load(results["autoencoder"].path).config == CONFIGS["autoencoder"].model
    for checkpoint in results["transformer"].checkpoints:
        load_world_model(results["transformer"].path / checkpoint)


@pytest.mark.parametrize("name", CONFIGS)
def test_log_and_metrics_say_the_same_of_every_training(results, name):
    rows = read_rows(results[name].path / "training.jsonl")
    assert [row["step"] for row in rows] == [10, 15, 20]
    assert [row["step"] for row in rows if "held_out_loss" in row] == [15, 20]
    last = {key: rows[-1][key] for key in ("loss", "held_out_loss", "seconds")}
    metrics = results[name].metrics
    assert metrics["steps"] == 20
    assert {key: metrics[key] for key in last} == last


@pytest.mark.parametrize("name", CONFIGS)
def test_the_report_stands_alone_and_shows_loss_samples_and_time(results, name):
    html = (results[name].path / "report.html").read_text()
    for text in ("held-out loss at the end", "The course of training", "Samples along the way", "Before the first step",
                 "After 20 steps", "of the time", "<svg"):  # fmt: skip
        assert text in html
    samples = html[html.index("Samples along the way") :]
    assert samples.count("data:video/mp4") + samples.count("data:image/png") >= 4
    assert not re.search(r'(src|href)="(?!data:|#)', html)


def test_a_training_without_held_out_clips_says_so(results, tmp_path):
    root = results["autoencoder"].path.parent
    dataset = ClipDataset.open(root / "clips")
    seen = dataset.derive(tmp_path / "seen", dataset.clips.assign(split="train"), dataset.quarantine, {})
    config = dataclasses.replace(CONFIGS["autoencoder"], steps=2)
    result = train_autoencoder(seen, tmp_path / "out", config)
    assert "held_out_loss" not in result.metrics
    assert "There is no held-out loss" in (result.path / "report.html").read_text()


def test_latents_of_another_autoencoder_are_refused(results, tmp_path):
    root = results["autoencoder"].path.parent
    other = train_autoencoder(
        ClipDataset.open(root / "clips"), tmp_path / "other", dataclasses.replace(CONFIGS["autoencoder"], steps=0)
    )
    latents = LatentDataset.open(root / "latents")
    with pytest.raises(KinoraError, match="was not encoded by the autoencoder"):
        train_transformer(latents, tmp_path / "out", CONFIGS["transformer"], autoencoder=other.path)
    with pytest.raises(KinoraError, match="holds no autoencoder"):
        train_transformer(latents, tmp_path / "out", CONFIGS["transformer"], autoencoder=Path(tmp_path / "absent"))


def test_a_duration_is_said_as_people_say_it():
    assert [duration(seconds) for seconds in (7.4, 125, 12_000)] == ["7 s", "2 min 05 s", "3 h 20 min"]
