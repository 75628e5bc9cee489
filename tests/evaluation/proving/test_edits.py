"""Every edit puts in what it says, where and when it says it, and leaves the rest of the clip alone."""

from dataclasses import replace

import numpy as np
import pytest

from evaluation.findings import TYPES
from evaluation.proving.case import SEVERITIES
from evaluation.proving.edits import frames, objects, thrown
from evaluation.proving.edits.acts import MOVERS, drawn, staging
from evaluation.proving.edits.cutouts import clear_of
from evaluation.proving.edits.making import EDITS, KINDS, Making, seen
from evaluation.proving.real import moving

ALL = [(kind, words) for kind, ways in EDITS.items() for words in ways]
LASTING = ("disappearance", "appearance", "identity_drift", "state_change")


def made(bench, edit, tries=12):
    for seed in range(tries):
        found = edit(bench, np.random.default_rng(seed))
        if found is not None:
            return found
    pytest.fail("no edit could be made")


def changed(one, other):
    return np.abs(one.astype(int) - other).max(axis=3) > 8


def test_the_editor_finds_the_thing_that_moves_and_the_scene_behind_it(bench):
    (thing,) = bench.things
    assert sum(clear_of(thing, t) for t in range(thing.start, thing.end + 1)) > 15
    t = thing.start + 10
    x0, y0, x1, y1 = thing.box(t)
    assert abs((x0 + x1) / 2 - (20 + 3 * t)) < 3
    assert abs((y0 + y1) / 2 - 45) < 3
    without = bench.without(thing, t)[y0:y1, x0:x1].astype(int)
    assert np.abs(without - np.median(bench.frames, axis=0)[y0:y1, x0:x1]).mean() < 4


def test_a_turning_camera_is_followed(turning):
    camera = turning.camera
    assert camera.reliable
    T, height, width, _ = turning.frames.shape
    ends = [
        np.linalg.inv(camera.to_scene[T // 2]) @ camera.to_scene[t] @ (width / 2, height / 2, 1) for t in (0, T - 1)
    ]
    moved = np.linalg.norm(ends[1][:2] / ends[1][2] - ends[0][:2] / ends[0][2])
    assert moved > width / 8
    assert not turning.scene.differs[0].mean() > 0.2  # laid over one another, the views agree


@pytest.mark.parametrize(("kind", "words"), ALL)
def test_an_edit_fails_when_and_where_it_says(kind, words, bench, turning):
    here = turning if kind == "view_inconsistency" else bench
    edited, known = made(here, EDITS[kind][words])
    assert known.type == kind in TYPES
    assert known.severity in SEVERITIES
    assert edited.shape == here.frames.shape
    assert edited.dtype == np.uint8
    assert 0 <= known.start_frame <= known.end_frame < len(edited)
    differs = changed(edited, here.frames)
    if kind not in ("appearance", "freeze"):
        assert not differs[: known.start_frame].any()
    if kind == "appearance":
        assert not differs[known.start_frame + 5 :].any()
        assert differs[known.start_frame - 1].any()
    if kind in ("permanence", "flicker"):
        assert not differs[known.end_frame + 1 :].any()
    if known.box is not None and kind != "identity_drift":
        x0, y0, x1, y1 = known.box
        assert 0 <= x0 < x1 <= edited.shape[2]
        assert 0 <= y0 < y1 <= edited.shape[1]
        first = differs[known.start_frame - (kind == "appearance")]
        wide = np.zeros_like(first)
        wide[max(0, y0 - 6) : y1 + 6, max(0, x0 - 6) : x1 + 6] = True
        assert not (first & ~wide).any()


def test_what_is_removed_is_gone(bench):
    edited, known = made(bench, objects.removed)
    behind = np.median(bench.frames, axis=0)
    x0, y0, x1, y1 = known.box
    late = min(known.start_frame + 4, known.end_frame)
    assert np.abs(edited[late, y0:y1, x0:x1] - behind[y0:y1, x0:x1]).mean() < 6
    assert np.abs(bench.frames[known.start_frame - 1, y0:y1, x0:x1] - behind[y0:y1, x0:x1]).mean() > 20


@pytest.mark.parametrize("edit", [frames.morphed, frames.dissolved])
def test_what_begins_slowly_begins_where_it_is_seen(bench, edit):
    edited, known = made(bench, edit)
    off = (np.abs(edited.astype(int) - bench.frames) > 10).any(axis=3).mean(axis=(1, 2))
    assert off[known.start_frame] > 0.004
    assert (off[: known.start_frame] <= 0.004).all()


@pytest.mark.parametrize("edit", [frames.stopped, frames.looped, frames.turned_back])
def test_a_stop_is_put_where_something_moves(bench, edit):
    edited, known = made(bench, edit)
    assert moving(bench.frames)[known.start_frame - 1 : known.start_frame + 4].all()
    if edit is frames.stopped:
        assert (edited[known.start_frame : known.end_frame + 1] == edited[known.start_frame - 1]).all()
    if edit is frames.turned_back:
        last, first = known.start_frame - 1, 2 * known.start_frame - known.end_frame - 2
        assert (edited[known.start_frame : known.end_frame + 1] == bench.frames[first:last][::-1]).all()
        assert (edited[known.end_frame + 1 :] == bench.frames[first + 1 :][: len(edited) - known.end_frame - 1]).all()


@pytest.mark.parametrize("mover", MOVERS)
def test_cut_outs_move_rightly_and_fail_in_every_way(bench, mover):
    staged = [s for seed in range(12) if (s := staging(bench, np.random.default_rng(seed), MOVERS[mover]))]
    act, motion = max(staged, key=lambda one: np.ptp(one[0].at, axis=0).max())
    steps = np.diff(act.at, axis=0)
    if mover == "glides":
        assert np.ptp(steps, axis=0).max() < 1e-9
    if mover == "is thrown":
        flight = np.diff(act.at[: motion.bounces[0], 1], 2) * bench.piece.fps**2
        assert np.allclose(flight, motion.g)
        assert motion.g > 0
    right = drawn(bench, [act])
    for kind, ways in thrown.FAILURES[mover].items():
        for words, way in ways.items():
            found = [f for seed in range(12) if (f := way(bench, np.random.default_rng(seed), act, motion)) is not None]
            assert found, words
            wrong, known = found[0]
            assert known.type == kind
            frames_wrong = drawn(bench, [wrong])
            before = known.start_frame if kind != "appearance" else 0
            assert (frames_wrong[:before] == right[:before]).all()
            if kind == "identity_drift":  # the failure ends with the change, and not before
                of_it = [wrong.tint, wrong.scale, np.arange(len(wrong.at)) >= wrong.turned]
                steps_in = np.flatnonzero(np.any([np.diff(values) != 0 for values in of_it], axis=0)) + 1
                assert (known.start_frame, known.end_frame) == (steps_in[0], steps_in[-1])
            assert any(seen(drawn(bench, [w]), right, k) for w, k in found), words


def test_a_bounce_that_gains_goes_higher_than_it_came_from(bench):
    for seed in range(30):
        staged = staging(bench, np.random.default_rng(seed), MOVERS["is thrown"])
        changed_act = staged and thrown.gaining_at_a_bounce(bench, np.random.default_rng(seed), *staged)
        if changed_act:
            act, known = changed_act
            floor = act.at[known.start_frame, 1]
            assert floor - act.at[known.start_frame :, 1].min() > 1.2 * (
                floor - staged[0].at[known.start_frame :, 1].min()
            )
            return
    pytest.fail("none could be made")


def test_everything_made_of_a_piece_is_compressed_and_named_after_it(bench):
    cases = list(Making(bench, np.random.default_rng(0), len(KINDS)).cases())
    assert cases[0].failure is None
    assert {case.base for case in cases} == {"made-up.mp4"}
    assert len({case.clip.name for case in cases}) == len(cases)
    named = Making(bench, np.random.default_rng(0), len(KINDS), ["flicker", "freeze"]).cases()
    assert sorted(case.failure.type for case in named if case.failure) == ["flicker", "freeze"]
    assert not any(
        (case.clip.frames == bench.frames).all() for case in cases if case.clip.frames.shape == bench.frames.shape
    )
    types = {case.failure.type for case in cases if case.failure}
    assert len(types) >= 9
    assert all(case.failure.type in case.due for case in cases if case.failure)
    faultless = [case for case in cases if case.failure is None]
    assert {"filmed by a camera that turns", "untouched"} <= {case.way for case in faultless}


def test_the_same_seed_makes_the_same_cases(bench):
    one, two = ([c.clip for c in Making(bench, np.random.default_rng(3), 3).cases()] for _ in range(2))
    assert [c.name for c in one] == [c.name for c in two]
    assert all((a.frames == b.frames).all() for a, b in zip(one, two, strict=True))


def test_what_no_eye_could_see_is_no_case(bench):
    found = made(bench, frames.flickering)
    assert seen(*found[:1], bench.frames, found[1])
    assert not seen(bench.frames.copy(), bench.frames, replace(found[1]))
