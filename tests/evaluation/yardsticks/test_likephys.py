"""The preference error is what the paper defines, of the loss that the model is trained by."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from evaluation.yardsticks.likephys import TIMES, denoising_losses, errors, prefer, untrained
from evaluation.yardsticks.twins import draw_twins
from kinora.data.packing import patchify
from kinora.diffusion.loss import SMALLEST_TIME
from kinora.media.tensors import to_tensor
from kinora.models.autoencoder import load_autoencoder
from kinora.models.world_model import load_world_model
from kinora.worlds import WorldsConfig

PROMPT = "a red circle moves to the right"


@pytest.fixture(scope="module")
def vae(model_folders):
    return load_autoencoder(model_folders / "vae").for_inference()


@pytest.fixture(scope="module")
def model(model_folders):
    return load_world_model(model_folders / "dit")


@pytest.fixture(scope="module")
def twins():
    worlds = WorldsConfig(sizes=((32, 32),), frames=(17,), held_out=64)
    return draw_twins(worlds, 2, seed=3)


class Believer:
    """Estimates, whatever it is given, one clip."""

    def __init__(self, vae, model):
        self.config, self.vae, self.clip = model.dit.config, vae, None

    def __call__(self, noisy, layout, *_):
        latent = self.vae.latents_of(to_tensor(self.clip)[None])[0]
        return patchify(latent, self.config.patch_size).repeat(len(layout.grids), 1)


def test_a_model_that_knows_what_is_possible_errs_never_and_one_that_believes_the_impossible_always(vae, model, twins):
    scene = twins[0]
    believer = Believer(vae, model)
    judge = SimpleNamespace(dit=believer, text_encoder=model.text_encoder)
    clips = [scene.possible, *scene.impossible.values()]
    believer.clip = scene.possible
    losses = denoising_losses(vae, judge, clips, scene.prompt, scene.fps, 0)
    assert losses[0] == pytest.approx(0, abs=1e-6)
    assert (losses[1:] > 1e-3).all()
    believer.clip = clips[1]
    losses = denoising_losses(vae, judge, clips[:2], scene.prompt, scene.fps, 0)
    assert losses[0] > losses[1]


def test_the_loss_of_an_untrained_model_is_that_of_estimating_nothing(vae, model, twins):
    """Its head begins at zero, so the loss is |x0|^2 / t^2, whatever the noise."""
    clip = twins[0].possible
    weight = np.mean([max(t, SMALLEST_TIME) ** -2 for t in TIMES])
    fresh = untrained(model)
    loss = denoising_losses(vae, fresh, [clip], PROMPT, 8.0, 5)[0]
    squared = float(vae.latents_of(to_tensor(clip)[None]).square().mean())
    assert loss == pytest.approx(weight * squared, rel=1e-3)


def test_twins_are_compared_under_the_same_noise_and_other_noise_gives_other_losses(vae, model, twins):
    clip = twins[0].possible
    a, b = denoising_losses(vae, model, [clip, clip], PROMPT, 8.0, 1)
    assert a == pytest.approx(b, rel=1e-4)
    assert denoising_losses(vae, model, [clip], PROMPT, 8.0, 2)[0] != pytest.approx(a, rel=1e-6)
    assert denoising_losses(vae, model, [clip], "", 8.0, 1)[0] != pytest.approx(a, rel=1e-6)


def test_errors_are_shares_of_pairs_with_intervals(vae, model, twins):
    rows = prefer(vae, model, twins)
    assert len(rows) == sum(len(scene.impossible) for scene in twins)
    found = errors(rows)
    own = rows[rows["kind"] == "vanishing"]
    share = found["vanishing"].model
    assert (share.count, share.of) == (own["model"].sum(), 2)
    assert share.low <= share.value <= share.high
    assert found["all kinds"].untrained.of == len(rows)
    assert "passing through" not in found
    assert errors(rows[:0]) == {}


def judged(model, untrained):
    return errors(pd.DataFrame({"kind": "teleport", "scene": range(40), "model": model, "untrained": untrained}))


def test_whoever_goes_by_the_looks_gets_half_with_the_looks_balanced():
    looks = np.arange(40) < 32
    found = judged(looks, looks)["teleport"]
    assert (found.model.value, found.balanced.value) == (0.8, 0.5)
    right = judged(np.zeros(40, bool), looks)["teleport"].balanced
    assert right.value == right.low == 0
    assert 0 < right.high < 0.25
    assert judged(looks, np.ones(40, bool))["teleport"].balanced is None


def test_the_random_state_of_whoever_measures_is_left_alone(model):
    before = torch.random.get_rng_state()
    untrained(model)
    assert (torch.random.get_rng_state() == before).all()
