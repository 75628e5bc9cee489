"""A clip that runs backward is found; what rises and falls, swings or bounces is none."""

import numpy as np
import pytest

from evaluation.consistency.backwards import turned_round

T = np.arange(60)


def cells(path, grain=0.3):
    """Levels `[T, 40]` of cells that a soft blob of 60 levels passes along a path."""
    noise = np.random.default_rng(0).normal(0, grain, (len(path), 40))
    return 60 * np.exp(-0.5 * ((np.arange(40) - np.asarray(path)[:, None]) / 2.5) ** 2) + noise


def strength(small):
    found = turned_round(small)
    return found.strength if found else 0.0


@pytest.mark.parametrize("shown_twice", [False, True])
def test_a_turn_at_full_speed_is_found_where_it_is(shown_twice):
    order = np.concatenate([T[:36], T[35 - (not shown_twice) :: -1]])[:60]
    found = turned_round(cells(2 + 0.6 * order))
    assert found.strength > 1.0
    assert found.start_frame == 36
    assert "backward" in found.explanation


def test_of_two_turns_the_first_is_told():
    order = np.concatenate([T[:30], T[28:10:-1], T[12:24]])  # backward from frame 30 on, forward again from 48 on
    assert turned_round(cells(2 + 0.6 * order)).start_frame == 30


@pytest.mark.parametrize(
    "path",
    [
        2 + 0.6 * T,
        4 + 1.6 * T - 0.5 * 0.053 * T**2,  # up and down again
        20 + 15 * np.sin(2 * np.pi * T / 40),  # a pendulum
        np.where(T < 30, 4 + T, 34 - 0.75 * (T - 30)),  # a bounce that loses a quarter of its speed
    ],
)
def test_what_turns_by_itself_is_none(path):
    assert strength(cells(path)) < 1.0


def test_nothing_is_said_of_what_stands_still_or_is_short():
    assert strength(cells(np.full(60, 20.0))) < 0.5
    assert strength(cells(2 + 0.6 * T[:6])) == 0.0
