"""The plan of a training: every clip once an epoch, within the budget, balanced, and the same for everybody."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kinora.data.planner import Planner, Stream, deal, spread
from kinora.errors import KinoraError

ASPECTS = np.array([(16, 16), (20, 12), (12, 20), (24, 10), (10, 24)])  # patches of frames of much the same area


def realistic(clips: int, seed: int = 0, images: float = 0.3) -> np.ndarray:
    """Five aspect ratios at two sizes, 1 to 65 frames (1 to 17 latent ones): 240 to 9,792 tokens."""
    random = np.random.default_rng(seed)
    frames = random.integers(1, 18, clips)
    frames[random.random(clips) < images] = 1
    return np.column_stack(
        [frames, (ASPECTS[random.integers(0, 5, clips)] * random.choice([[1], [1.5]], clips)).astype(int)]
    )


def planned(planner: Planner, windows: int) -> tuple[float, float, int]:
    """Return the padding, the worst imbalance of a step, and packs beyond those that steps are to have."""
    tokens, packs, worst = 0, 0, 0.0
    for step in range(windows * planner.window_steps):
        costs = [pack.cost for pack in planner.packs(step)]
        tokens += sum(pack.tokens for pack in planner.packs(step))
        packs += len(costs)
        worst = max(worst, max(costs) / float(np.mean(costs)) - 1)
    return (
        1 - tokens / (packs * planner.tokens_per_pack),
        worst,
        packs - windows * planner.window_steps * planner.packs_per_step,
    )


@pytest.mark.parametrize(
    ("budget", "packs", "attention_length", "images"),
    [
        (19_600, 8, 6 * 384, 0.25),  # the longest clip is half a pack
        (19_600, 8, 6 * 2048, 0.25),
        (32_768, 16, 6 * 1536, 0.0),
        (32_768, 64, 6 * 1536, 0.25),
    ],
)
def test_a_realistic_mix_is_packed_within_1_percent_and_balanced_within_5(budget, packs, attention_length, images):
    planner = Planner(
        realistic(50_000), tokens_per_pack=budget, packs_per_step=packs, image_share=images,
        attention_length=attention_length,
    )  # fmt: skip
    padding, imbalance, beyond = planned(planner, windows=3)
    assert padding <= 0.01 + 1e-4
    assert imbalance <= 0.05
    assert beyond == 0


grids = st.lists(st.tuples(st.integers(1, 9), st.integers(1, 5), st.integers(1, 5)), min_size=1, max_size=20)


@settings(max_examples=8, deadline=None)
@given(grids, st.integers(1, 5), st.sampled_from([0.0, 0.25, 1.0]), st.integers(2, 8))
def test_whatever_the_clips_no_pack_breaks_its_budget_and_short_clips_fill_it(clips, packs, share, times):
    """What cannot be reached is a padding of less than half the longest clip: clips of 51 % of a pack fill 51 %."""
    longest = max(t * h * w for t, h, w in clips)
    planner = Planner(clips, tokens_per_pack=times * longest, packs_per_step=packs, image_share=share)
    padding, _, beyond = planned(planner, windows=1)
    assert padding <= 0.03 + 0.75 / times
    assert beyond <= packs
    for step in range(planner.window_steps):
        chosen = planner.packs(step)
        assert all(0 < pack.tokens <= times * longest for pack in chosen)
        places = [place for pack in chosen for place in pack.places]
        assert places == list(range(len(places)))


def test_every_clip_comes_once_an_epoch_whatever_its_length():
    """Drawing until a clip no longer fits would take short clips more often than long ones."""
    clips = realistic(300, images=0.4)
    planner = Planner(clips, tokens_per_pack=9_792, packs_per_step=4, image_share=0.3)
    counts = np.zeros(len(clips), int)
    for step in range(12 * planner.window_steps):
        for pack in planner.packs(step):
            np.add.at(counts, list(pack.clips), 1)
    for moving in (True, False):
        seen = counts[(clips[:, 0] > 1) == moving]
        assert seen.min() > 2
        assert seen.max() - seen.min() == 1  # the last epoch is not over


def test_a_stream_is_one_permutation_after_another():
    lengths = np.array([3, 1, 4, 1, 5])
    stream = Stream(np.arange(5), lengths, (7,))
    epochs = [stream.between(14 * epoch, 14 * (epoch + 1)).tolist() for epoch in range(6)]
    assert all(sorted(epoch) == [0, 1, 2, 3, 4] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1
    pieces = [stream.between(start, start + 5).tolist() for start in range(0, 70, 5)]
    assert [clip for piece in pieces for clip in piece] == [clip for epoch in epochs[:5] for clip in epoch]


def test_images_have_their_share_of_the_tokens_as_first_frames_where_there_are_none():
    clips = realistic(3000, images=0.0)
    clips = clips[clips[:, 0] > 1]
    planner = Planner(clips, tokens_per_pack=20_000, packs_per_step=4, image_share=0.25)
    still = total = 0
    for step in range(2 * planner.window_steps):
        for pack in planner.packs(step):
            areas = clips[list(pack.clips), 1:].prod(axis=1)
            still += sum(area for area, first in zip(areas, pack.stills, strict=True) if first)
            lengths = [
                a if first else a * t
                for a, first, t in zip(areas, pack.stills, clips[list(pack.clips), 0], strict=True)
            ]
            assert sum(lengths) == pack.tokens
            total += pack.tokens
    assert still / total == pytest.approx(0.25, abs=0.01)


def test_the_plan_of_a_step_is_the_same_wherever_one_starts():
    arguments = {"tokens_per_pack": 9_792, "packs_per_step": 3, "image_share": 0.25, "seed": 3}
    one, other = (Planner(realistic(500), **arguments) for _ in range(2))
    for step in range(300):
        one.packs(step)
    assert one.packs(300) == other.packs(300)
    assert one.packs(12_345_678) == other.packs(12_345_678)
    assert Planner(realistic(500), **{**arguments, "seed": 4}).packs(300) != one.packs(300)


@pytest.mark.parametrize("clips", [[(5, 4, 4)], [(5, 4, 4), (1, 4, 4), (3, 3, 5)], [(1, 4, 4), (1, 3, 5)]])
def test_tiny_sets_are_taken_again_and_again(clips):
    planner = Planner(clips, tokens_per_pack=1280, packs_per_step=2, image_share=0.25)
    padding, imbalance, _ = planned(planner, windows=2)
    assert padding < 0.01
    assert imbalance < 0.05
    assert {clip for pack in planner.packs(0) for clip in pack.clips} == set(range(len(clips)))


def test_a_clip_longer_than_a_pack_is_named_with_what_to_set():
    with pytest.raises(KinoraError, match=r"clip b has 80 tokens.*\(2 such clips\).*tokens_per_pack to 80"):
        Planner([(1, 4, 4), (5, 4, 4), (4, 4, 4)], tokens_per_pack=32, packs_per_step=1, name="abc".__getitem__)
    with pytest.raises(KinoraError, match="no clips"):
        Planner([], tokens_per_pack=32, packs_per_step=1)


def test_a_clip_that_fits_nowhere_gets_a_pack_of_its_own():
    members = spread([6, 6, 6], packs=2, budget=10, attention_length=100)
    assert sorted(map(len, members)) == [1, 1, 1]


@pytest.mark.parametrize("receivers", [1, 2, 3, 8, 11])
def test_packs_are_dealt_evenly_and_all_of_them(receivers):
    planner = Planner(realistic(2000), tokens_per_pack=19_600, packs_per_step=8, image_share=0.25)
    packs = planner.packs(5)
    hands = deal(packs, receivers)
    assert sorted((pack for hand in hands for pack in hand), key=lambda pack: pack.places) == sorted(
        packs, key=lambda pack: pack.places
    )
    sizes = [len(hand) for hand in hands]
    assert max(sizes) - min(sizes) <= 1
    if receivers == 2:
        costs = [sum(pack.cost for pack in hand) for hand in hands]
        assert max(costs) / min(costs) < 1.02
