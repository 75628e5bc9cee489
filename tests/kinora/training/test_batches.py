"""Batches of transformer training: what they depend on, what is in them, and that they can be learned from."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from kinora.captioning.writers import CaptionMix
from kinora.data.latents import LatentDataset
from kinora.data.packing import unpack
from kinora.data.shards import COLUMNS
from kinora.errors import KinoraError
from kinora.models.dit import DiTConfig
from kinora.models.text_encoder import SPECIAL, UNKNOWN, TextEncoderConfig
from kinora.training.batches import Batches, HeldOut, TokenClip, make_batch, representatives
from kinora.training.transformer import TrainingStep, TransformerTraining

SMALL = TransformerTraining(
    model=DiTConfig(width=16, depth=1, heads=2),
    text=TextEncoderConfig((*SPECIAL, "circle"), width=16, heads=2),
    tokens_per_step=128,
    tokens_per_pack=64,
)


@pytest.fixture
def batches(latents):
    return Batches(LatentDataset.open(latents).of_split("train"), SMALL)


def test_what_is_drawn_for_a_clip_depends_on_seed_step_and_place_alone(batches, latents):
    again = Batches(LatentDataset.open(latents).of_split("train"), SMALL)
    batches.packs(3)
    for one, other in zip(batches.packs(7), again.packs(7), strict=True):
        assert torch.equal(one.clean, other.clean)
        assert torch.equal(one.noise, other.noise)
        assert torch.equal(one.times, other.times)
        assert torch.equal(one.text, other.text)
    assert not torch.equal(batches.packs(7)[0].times[:3], batches.packs(8)[0].times[:3])
    assert not torch.equal(batches.packs(7)[0].times[:3], batches.packs(7)[1].times[:3])


@pytest.mark.parametrize("receivers", [1, 2, 3, 5])
def test_the_batch_of_a_step_is_the_same_on_any_number_of_processes(batches, receivers):
    """Each pack counts once, and all processes compute equally many."""
    dealt = [next(batches.of_receiver(4, receiver, receivers)) for receiver in range(receivers)]
    assert len({len(hand) for hand in dealt}) == 1
    read = [job() for hand in dealt for job in hand]
    whole = batches.packs(4)
    assert sorted(float(b.noise.sum()) for b in read if b.tokens) == sorted(float(b.noise.sum()) for b in whole)
    assert sum(batch.free for batch in read) == sum(int((~batch.conditioning_mask).sum()) for batch in whole)
    assert sum(batch.tokens for batch in read) == sum(len(batch.clean) for batch in whole)


def test_a_process_meets_the_steps_to_the_last(batches):
    assert len(list(batches.of_receiver(SMALL.steps - 3, 1, 2))) == 3


def test_a_batch_mixes_sizes_videos_and_images_within_its_budget(batches):
    drawn = [batch for step in range(20) for batch in batches.packs(step)]
    assert all(len(batch.clean) <= SMALL.tokens_per_pack for batch in drawn)
    grids = {grid for batch in drawn for grid in batch.layout.grids}
    assert grids == {(3, 2, 2), (2, 2, 2), (2, 2, 3), (1, 2, 2), (1, 3, 2)}
    assert any((batch.text == 0).all(1).any() for batch in drawn)  # dropped for guidance
    assert any(batch.conditioning_mask.any() for batch in drawn)
    assert all(batch.free == len(batch.clean) - int(batch.conditioning_mask.sum()) for batch in drawn)


def test_a_pack_holds_its_clips_latents(batches, latents):
    dataset = LatentDataset.open(latents).of_split("train")
    (pack, *_) = batches.planner.packs(2)
    batch = batches.read(2, pack)
    read = unpack(batch.clean, batch.layout, 2)
    for number, latent in zip(pack.clips, read, strict=True):
        assert torch.equal(latent, dataset[number].latent)


def test_without_images_first_frames_are_images(latents, tmp_path):
    dataset = LatentDataset.open(latents)
    columns = {name: list(dataset.values(name)) for name in COLUMNS}
    rows = [
        ({name: columns[name][n] for name in COLUMNS}, dataset[n].latent)
        for n in range(len(dataset))
        if columns["kind"][n] == "video"
    ]
    written = LatentDataset.write(tmp_path / "videos", rows, dataset.config)
    batches = Batches(written, SMALL)
    drawn = [(batch, pack) for pack in batches.planner.packs(0) for batch in [batches.read(0, pack)]]
    assert any(grid[0] == 1 for batch, _ in drawn for grid in batch.layout.grids)
    for batch, pack in drawn:
        for number, still, latent in zip(pack.clips, pack.stills, unpack(batch.clean, batch.layout, 2), strict=True):
            whole = written[number].latent
            assert torch.equal(latent, whole[:, :1] if still else whole)


def test_a_few_steps_learn_to_tell_two_captions_apart():
    """On latents that the caption decides, the loss falls well below what the mean of all would reach."""
    torch.set_num_threads(1)  # threads cost more than they bring in matrices this small
    torch.manual_seed(0)
    config = replace(SMALL, text=replace(SMALL.text, vocabulary=("<pad>", "<unknown>", "up", "down")))
    step = TrainingStep(replace(config.model, latent_channels=4), config.text)
    clips = [
        TokenClip(torch.full((1, 2, 2, 16), value), 2.0, torch.tensor([word])) for word, value in ((2, 1.0), (3, -1.0))
    ] * 4
    config = replace(config, conditioning_share=0.0, caption_dropout=0.0)
    optimizer = torch.optim.Adam(step.parameters(), lr=3e-3)
    errors = []
    for number in range(120):
        loss, error = step(make_batch(clips, config, number, range(8)))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        errors.append(float(error))
    assert sum(errors[-10:]) < 0.1 * sum(errors[:10])


def test_held_out_batches_are_the_same_at_every_call(latents):
    clips = LatentDataset.open(latents).of_split("validation")
    one, again = HeldOut(clips, SMALL), HeldOut(clips, SMALL)
    batches = [one.read(number) for number in range(len(one))]
    assert sum(len(batch.text) for batch in batches) == len(clips)
    for number, batch in enumerate(batches):
        other = again.read(number)
        assert torch.equal(batch.noise, other.noise)
        assert torch.equal(batch.times, other.times)
        assert not batch.conditioning_mask.any()
        assert batch.text.all(1).any()
    assert len(HeldOut(LatentDataset.open(latents).of_split("nothing"), SMALL)) == 0


def test_held_out_clips_are_of_all_sizes_and_lengths():
    grids = np.array([(5, 4, 4)] * 900 + [(1, 4, 4)] * 99 + [(3, 3, 5)])
    chosen = representatives(grids, 12)
    assert len(chosen) == len(set(chosen)) == 12
    assert {tuple(grids[clip]) for clip in chosen} == {(5, 4, 4), (1, 4, 4), (3, 3, 5)}
    assert representatives(grids[:5], 12) == [0, 1, 2, 3, 4]


def test_a_clip_longer_than_a_pack_is_refused_by_name(latents):
    small = replace(SMALL, tokens_per_step=8, tokens_per_pack=8)
    for split, made in (("train", Batches), ("validation", HeldOut)):
        with pytest.raises(KinoraError, match=r"clip 0+\w+ has 12 tokens.*tokens_per_pack to 12"):
            made(LatentDataset.open(latents).of_split(split), small)


def test_a_share_of_the_words_is_learned_as_the_unknown_token_but_never_of_what_is_held_out(latents):
    """Otherwise the token for words that no caption held would keep its first, random vector."""
    vocabulary = (*SPECIAL, "a", "red", "blue", "circle", "square", "moves", "falls")
    config = replace(SMALL, text=replace(SMALL.text, vocabulary=vocabulary), unknown_words=0.2, caption_dropout=0.0)
    dataset = LatentDataset.open(latents)
    batches = Batches(dataset.of_split("train"), config)
    texts = torch.cat([batch.text.flatten() for step in range(40) for batch in batches.packs(step)])
    assert texts.min() > 0
    assert 0.15 < (texts == UNKNOWN).float().mean() < 0.25
    held_out = HeldOut(dataset.of_split("validation"), config)
    assert all((held_out.read(number).text > UNKNOWN).all() for number in range(len(held_out)))
    step = TrainingStep(replace(config.model, latent_channels=4), config.text)
    for weight in step.parameters():
        torch.nn.init.normal_(weight, std=0.1)
    step(batches.packs(0)[0])[0].backward()
    assert step.text_encoder.word_embedding.weight.grad[UNKNOWN].any()


def test_a_larger_clip_is_learned_in_windows_that_know_their_place(latents):
    """Where a window stands is told apart by what it holds: each token is the clip's own at that place."""
    config = replace(SMALL, window=(2, 1, 2), later_share=0.0, conditioning_share=0.0)
    whole = torch.arange(4 * 3 * 5).reshape(4, 3, 5, 1).expand(-1, -1, -1, 16).float()
    clip = TokenClip(whole, 2.0, torch.tensor([2]))
    seen = set()
    for step in range(60):
        batch = make_batch([clip], config, step, [0])
        (grid,) = batch.layout.grids
        assert grid == (2, 1, 2)
        time, row, column = batch.layout.positions[0, :3].tolist()
        top, left = round(row * 3 / 8 + 1), round(column * 3 / 8 + 2)
        assert torch.equal(batch.clean.reshape(2, 1, 2, 16), whole[int(time) :, top:, left:][:2, :1, :2])
        seen.add((time, top, left))
    assert {place[0] for place in seen} == {0, 1, 2}
    assert len({place[1:] for place in seen}) == 12
    batches = Batches(LatentDataset.open(latents).of_split("train"), config)
    assert {grid for batch in batches.packs(0) for grid in batch.layout.grids} <= {(2, 1, 2), (1, 1, 2)}


def test_some_videos_begin_in_the_middle():
    clip = TokenClip(torch.randn(4, 2, 2, 16), 2.0, torch.tensor([2]))
    batches = [make_batch([clip], replace(SMALL, later_share=0.5), step, [0]) for step in range(60)]
    begun = [batch for batch in batches if batch.layout.positions[0, 0] == 1]
    assert 15 < len(begun) < 45
    assert torch.equal(begun[0].clean.reshape(3, 2, 2, 16), clip.tokens[1:])
    assert begun[0].tokens == 12


WORDS = ("red", "blue", "square", "circle")


@pytest.fixture
def told(latents, tmp_path) -> LatentDataset:
    """Clips that have, in turn: all four texts, only a person's, only written ones, and none."""
    dataset = LatentDataset.open(latents)
    columns = {name: list(dataset.values(name)) for name in COLUMNS}
    rows = []
    for number in range(len(dataset)):
        row = {name: columns[name][number] for name in COLUMNS}
        original, written = number % 4 in (0, 1), number % 4 in (0, 2)
        row |= {"caption": "red" if original else "square" if written else ""}
        row |= {"short_caption": "blue" if original else "circle" if written else ""}
        row |= {"written_caption": "square" if written else "", "written_short_caption": "circle" if written else ""}
        rows.append((row | {"split": "train", "clip_id": f"{number:04d}"}, dataset[number].latent))
    return LatentDataset.write(tmp_path / "told", rows, dataset.config)


def shares(told: LatentDataset, mix: CaptionMix, steps: int = 150) -> dict[str, dict[str, float]]:
    """Return of the clips of each kind how often they are learned with which word, "" being none."""
    text = replace(SMALL.text, vocabulary=(*SPECIAL, *WORDS))
    config = replace(SMALL, text=text, caption_dropout=0.0, unknown_words=0.0)
    batches, found = Batches(told, config, mix), {kind: Counter() for kind in range(4)}
    for step in range(steps):
        for pack in batches.planner.packs(step):
            batch = batches.read(step, pack)
            for place, word in zip(batch.layout.order, batch.text[:, 0].tolist(), strict=True):
                found[int(told.name(pack.clips[place])) % 4][(*SPECIAL, *WORDS)[word]] += 1
    return {kind: {word: n / some.total() for word, n in some.items()} for kind, some in found.items()}


def test_each_draw_of_a_clip_has_one_of_its_texts_by_the_shares_of_the_mix(told):
    both, original, written, none = shares(told, CaptionMix(written=0.75, short=0.5)).values()
    expected = {"red": 0.125, "blue": 0.125, "square": 0.375, "circle": 0.375}
    assert both == pytest.approx(expected, abs=0.08)
    assert original == pytest.approx({"red": 0.5, "blue": 0.5}, abs=0.08)
    assert written == pytest.approx({"square": 0.5, "circle": 0.5}, abs=0.08)
    assert none == {"<pad>": 1.0}  # the empty sentence


def test_the_mix_changes_nothing_else_that_is_drawn(told):
    config = replace(SMALL, text=replace(SMALL.text, vocabulary=(*SPECIAL, *WORDS)))
    one, other = (Batches(told, config, mix).packs(3) for mix in (CaptionMix(0.0, 0.0), CaptionMix(1.0, 1.0)))
    assert any(not torch.equal(a.text, b.text) for a, b in zip(one, other, strict=True))
    for a, b in zip(one, other, strict=True):
        assert torch.equal(a.noise, b.noise)
        assert torch.equal(a.times, b.times)
    again = Batches(told, config, CaptionMix(1.0, 1.0)).packs(3)
    assert all(torch.equal(a.text, b.text) for a, b in zip(other, again, strict=True))


def test_held_out_clips_always_come_with_their_caption(told):
    text = replace(SMALL.text, vocabulary=(*SPECIAL, *WORDS))
    held_out = HeldOut(told, replace(SMALL, text=text))
    words = Counter(word for n in range(len(held_out)) for word in held_out.read(n).text[:, 0].tolist())
    assert set(words) == {SPECIAL.index("<pad>"), text.vocabulary.index("red"), text.vocabulary.index("square")}
