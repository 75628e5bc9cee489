"""PhyWorld's velocity error: what is drawn, what is read from frames, and what an error is."""

import json

import numpy as np
import pytest

from cli.main import main
from evaluation.yardsticks import phyworld, published
from evaluation.yardsticks.phyworld import (
    LOST,
    UNITS,
    Question,
    centres,
    draw_questions,
    measured_steps,
    velocity_error,
)
from evaluation.yardsticks.phyworld_page import error_rows, laws_page, laws_record
from kinora import recipes
from kinora.config import to_dict
from kinora.errors import UsageError
from kinora.generation.model_version import write_version
from kinora.worlds import render

WORLDS = recipes.get("phyworld").ingest.worlds
GIVEN = 5


@pytest.fixture(scope="module")
def questions():
    return draw_questions(WORLDS, GIVEN, 6, seed=3)


def moved(question: Question, change) -> np.ndarray:
    """Return the frames of a question whose balls go another way: `change` is made to their places."""
    states = question.sample.states.copy()
    change(states)
    height, width = question.sample.frames.shape[1:3]
    return render(question.sample.scene, states, width, height)


def test_what_is_inside_and_outside_is_drawn_evenly_over_scenarios_and_levels(questions):
    for scenario in phyworld.SCENARIOS.values():
        levels = [question.level for question in questions if question.scenario == scenario]
        assert sorted(levels) == sorted(["in"] * 6 + list(phyworld.LEVELS) * 2)
    for question in questions:
        for body in question.sample.scene.bodies:
            radius, speed = body.size * UNITS, np.hypot(body.vx, body.vy) * UNITS
            assert (0.7 <= radius <= 1.4) == (question.level not in ("radius", "both"))
            assert (1 <= speed <= 4) == (question.level not in ("speed", "both"))
        assert measured_steps(question).sum() >= phyworld.FEWEST_STEPS
        assert not measured_steps(question)[:GIVEN].any()


def test_the_simulators_own_clips_have_hardly_an_error_and_a_held_frame_that_of_the_speed(questions):
    for question in questions:
        frames = question.sample.frames
        error, of_mean, found = velocity_error(frames, question)
        assert of_mean <= error < 0.08  # about a hundredth of a pixel a frame
        assert found == 1
        still = np.concatenate([frames[:GIVEN], np.repeat(frames[GIVEN - 1 : GIVEN], len(frames) - GIVEN, axis=0)])
        if question.scenario == "uniform motion":
            assert velocity_error(still, question).error == pytest.approx(question.speed, abs=1e-6)


def test_a_ball_that_goes_too_fast_by_one_has_an_error_of_one(questions):
    question = next(q for q in questions if q.scenario == "uniform motion" and 1.5 < q.speed < 2)

    def faster(states):
        times = states[:, 0, phyworld.TIME]
        states[:, 0, phyworld.X] -= np.maximum(0, times - times[GIVEN]) / UNITS

    assert velocity_error(moved(question, faster), question)[:2] == pytest.approx((1, 1), abs=0.08)


def test_trembling_is_an_error_of_every_step_and_none_of_the_mean_velocity(questions):
    question = next(q for q in questions if q.scenario == "uniform motion" and measured_steps(q).sum() % 2 == 0)

    def trembling(states):
        states[1::2, 0, phyworld.X] += 0.02  # two tenths of a unit a step, ten steps a second

    error, of_mean, _ = velocity_error(moved(question, trembling), question)
    assert error == pytest.approx(2, abs=0.1)
    assert of_mean < 0.05


def test_losing_a_ball_is_never_better_than_holding_it_still(questions):
    for question in questions:
        frames = question.sample.frames.copy()
        frames[GIVEN:] = frames[0, 0, 0]  # nothing but background
        still = np.concatenate([frames[:GIVEN], np.repeat(frames[GIVEN - 1 : GIVEN], len(frames) - GIVEN, axis=0)])
        error, of_mean, found = velocity_error(frames, question)
        assert min(error, of_mean) >= max(LOST, velocity_error(still, question).error - 1e-9)
        assert found == 0


def test_faint_noise_moves_no_centre(questions):
    question = next(q for q in questions if q.scenario == "collision")
    frames = question.sample.frames
    noise = np.random.default_rng(0).integers(0, 40, frames.shape)
    noisy = np.clip(frames.astype(int) + noise, 0, 255).astype(np.uint8)
    apart = centres(noisy, question.sample.scene) - centres(frames, question.sample.scene)
    assert np.nanmax(np.abs(apart[GIVEN : GIVEN + 5])) * frames.shape[1] < 0.25  # pixels


def test_what_comes_before_a_collision_does_not_count(questions):
    for question in questions:
        if question.scenario == "collision":
            first = np.flatnonzero(measured_steps(question))[0]
            assert first / question.sample.fps >= question.sample.scene.event_s


def test_outside_is_the_hole_between_ranges_or_else_what_lies_beyond_them():
    assert phyworld.outside(((0.1, 0.4),), phyworld.SPEEDS_OUTSIDE) == ((0.0, 0.08), (0.45, 0.6))
    assert phyworld.outside(((0.06, 0.5),), phyworld.SPEEDS_OUTSIDE) == ((0.0, 0.06), (0.5, 0.6))
    assert phyworld.outside(((0.375, 0.4), (0.1, 0.125)), phyworld.SPEEDS_OUTSIDE) == ((0.125, 0.375),)
    with pytest.raises(UsageError, match="narrower"):
        phyworld.outside(((0.0, 0.7),), phyworld.SPEEDS_OUTSIDE)


def test_worlds_without_ranges_are_refused():
    with pytest.raises(UsageError, match="phyworld"):
        draw_questions(recipes.get("tiny").ingest.worlds, GIVEN, 3, 0)


@pytest.fixture
def recipe():
    return recipes.get("phyworld", "study.laws=3 sampling.steps=2")


def test_a_version_of_the_recipe_is_measured_beside_the_other_yardsticks(model_folders, recipe, tmp_path):
    folders = [model_folders / part for part in ("vae", "dit", "captioner")]
    version = write_version(tmp_path / "versions", *folders, to_dict(recipe), {}, {})
    out = tmp_path / "out"
    words = ["evaluate", "yardsticks", str(version.path), "--out", str(out), "--pairs", "1", "--clips", "3"]
    assert main(words) == 0
    record = json.loads((out / "yardsticks.json").read_text())
    assert record["laws"]["errors"]["model"]["collision"]["out"]["clips"] == 3
    assert record["laws"]["sentence"] in (out / "yardsticks.html").read_text()


def test_the_page_has_the_published_figures_beside_ours(model_folders, recipe, tmp_path):
    laws = phyworld.measure_checkpoint(model_folders / "vae", model_folders / "dit", recipe)
    assert set(laws.rows["made_by"]) == set(phyworld.MADE_BY)
    rows = {row[""]: row for row in error_rows(laws)}
    assert rows["published: DiT-L, 3M clips"]["uniform motion, out"] == "0.427"
    assert set(rows) >= {f"published: {name}" for name in published.PHYWORLD}
    record = json.loads(json.dumps(laws_record(laws)))
    assert record["errors"]["simulator"]["parabola"]["in"]["error"] < 0.08
    assert record["errors"]["model"]["collision"]["out"]["clips"] == 3
    html = laws_page(laws).write(tmp_path / "laws.html").read_text()
    assert "2411.02385" in html
    assert html.count("<video") == len(laws.shown)
