"""Batches of transformer training: what they depend on, what is in them, and that they can be learned from."""

from dataclasses import replace
from pathlib import Path

import torch

from kinora.data.latents import LatentDataset
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import TextEncoderConfig
from kinora.training.batches import Batches, TokenClip, held_out_batches, token_clips
from kinora.training.transformer import TrainingStep, TransformerTraining

SMALL = TransformerTraining(
    model=DiTConfig(width=16, depth=1, heads=2),
    text=TextEncoderConfig(width=16, heads=2),
    tokens_per_step=128,
    tokens_per_pack=64,
)


def clips_of(latents: Path):
    return token_clips(LatentDataset.open(latents).of_split("train"), 2)


def test_a_batch_depends_on_seed_pack_and_step_alone(latents):
    one, again = Batches(clips_of(latents), SMALL), Batches(clips_of(latents), SMALL)
    one.at(3, 0)
    assert torch.equal(one.at(7, 0).noise, again.at(7, 0).noise)
    assert one.at(7, 0).captions == again.at(7, 0).captions
    assert not torch.equal(one.at(7, 0).times[:3], one.at(8, 0).times[:3])
    assert not torch.equal(one.at(7, 0).times[:3], one.at(7, 1).times[:3])


def test_a_batch_mixes_sizes_videos_and_images_within_its_budget(latents):
    batches = Batches(clips_of(latents), SMALL)
    drawn = [batches.at(step, 0) for step in range(20)]
    assert all(len(batch.clean) <= SMALL.tokens_per_pack for batch in drawn)
    grids = {grid for batch in drawn for grid in batch.layout.grids}
    assert grids == {(3, 2, 2), (2, 2, 3), (1, 2, 2), (1, 3, 2)}
    assert any("" in batch.captions for batch in drawn)  # dropped for guidance
    assert any(batch.conditioning_mask.any() for batch in drawn)


def test_without_images_first_frames_are_images(latents):
    videos = [clip for clip in clips_of(latents) if clip.grid[0] > 1]
    batch = Batches(videos, SMALL).at(0, 0)
    assert any(grid[0] == 1 for grid in batch.layout.grids)


def test_a_few_steps_learn_to_tell_two_captions_apart():
    """On latents that the caption decides, the loss falls well below what the mean of all would reach."""
    torch.set_num_threads(1)  # threads cost more than they bring in matrices this small
    torch.manual_seed(0)
    config = replace(SMALL, tokens_per_pack=128, caption_dropout=0.0)
    config = replace(config, text=replace(config.text, vocabulary=("<pad>", "<unknown>", "up", "down")))
    step = TrainingStep(replace(config.model, latent_channels=4), config.text)
    clips = [
        TokenClip(torch.full((4, 16), value), (1, 2, 2), 2.0, word) for word, value in (("up", 1.0), ("down", -1.0))
    ]
    batches, optimizer = Batches(clips, config), torch.optim.Adam(step.parameters(), lr=3e-3)
    errors = []
    for number in range(120):
        loss, error = step(batches.at(number, 0))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(float(error))
    assert sum(errors[-10:]) < 0.1 * sum(errors[:10])


def test_held_out_batches_are_the_same_at_every_call_and_whatever_the_processes_do(latents):
    clips = token_clips(LatentDataset.open(latents).of_split("validation"), 2)
    one, again = held_out_batches(clips, SMALL), held_out_batches(clips, SMALL)
    assert sum(len(batch.captions) for batch in one) == len(clips)
    assert all(torch.equal(a.noise, b.noise) and torch.equal(a.times, b.times) for a, b in zip(one, again, strict=True))
    assert not any(batch.conditioning_mask.any() or "" in batch.captions for batch in one)
