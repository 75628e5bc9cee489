"""The families `paper` and `clay`: clips are what they say, the same for one seed, failures where they should be."""

from itertools import islice

import numpy as np
import pytest

from evaluation.findings import TYPES
from evaluation.proving import clay, filming, paper
from evaluation.proving.case import SEVERITIES
from evaluation.proving.stage.dynamics import simulate


@pytest.fixture(scope="module", params=[paper, clay], ids=["paper", "clay"])
def family(request):
    return request.param


@pytest.fixture(scope="module")
def cases(family):
    return list(family.cases(16, seed=11))


def test_every_base_comes_first_without_failure(cases):
    met = set()
    for case in cases:
        assert (case.failure is None) == (case.base not in met)
        met.add(case.base)
    assert len({case.clip.name for case in cases}) == len(cases)


def test_clips_are_pictures_and_what_is_known_lies_within_them(cases):
    for case in cases:
        frames, known = case.clip.frames, case.failure
        assert frames.dtype == np.uint8
        assert frames.shape[3] == 3
        assert frames.std() > 5
        assert 8 <= case.clip.fps <= 60
        assert case.due <= set(TYPES)
        if known:
            assert known.type in case.due
            assert known.severity in SEVERITIES
            assert 0 <= known.start_frame <= known.end_frame < len(frames)
            if known.box:
                x0, y0, x1, y1 = known.box
                assert 0 <= x0 < x1 <= frames.shape[2]
                assert 0 <= y0 < y1 <= frames.shape[1]


def test_a_failure_shows_from_its_first_frame_on_and_in_its_box(cases):
    faultless = {case.base: case.clip.frames.astype(float) for case in cases if case.failure is None}
    for case in cases:
        known = case.failure
        if known is None or known.type in ("appearance", "flicker"):
            continue
        differs = np.abs(case.clip.frames - faultless[case.base]).max(3)  # [T, H, W], with what the codec makes of it
        before, at = differs[: known.start_frame], differs[known.start_frame]
        x0, y0, x1, y1 = known.box or (0, 0, differs.shape[2], differs.shape[1])
        assert np.percentile(at[y0:y1, x0:x1], 99 if known.box else 99.9) > 14, case.way
        assert (before > 40).mean() < 0.005, case.way


def test_the_same_seed_gives_the_same_clips(family):
    one, other = (list(islice(family.cases(3, seed=3), 3)) for _ in range(2))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.clip.frames, second.clip.frames)
        assert (first.clip.name, first.failure, first.due) == (second.clip.name, second.failure, second.due)


def test_faultless_clips_alone_are_those_of_all_the_cases(family, cases):
    bases = [case for case in cases if case.failure is None]
    for case, again in zip(bases[:1], family.cases(1, seed=11, faultless=True), strict=True):
        np.testing.assert_array_equal(case.clip.frames, again.clip.frames)


def test_things_are_drawn_where_the_stage_has_them(family):
    for seed in range(4):
        scene, painter = family.stage(np.random.default_rng(seed), None, (128, 96))
        take = simulate(scene)
        take = take.at(np.arange(0, scene.frames, 6))
        owner, places = painter.paint(take).owner, painter.whereabouts(take)
        seen = filming.visibility(scene, painter, take, filming.Picture(np.empty(0), owner))
        for frame, index in np.argwhere(seen > 0.97):
            rows, columns = np.nonzero(owner[frame] == index)
            if scene.things[index].round:
                assert np.hypot(columns.mean() - places[frame, index, 0], rows.mean() - places[frame, index, 1]) < 2.0
