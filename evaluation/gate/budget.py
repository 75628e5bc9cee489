"""The error that the gate may make, over all releases: spent, not renewed.

    level of the k-th attempt since the last earned promotion = error / (k (k + 1))

The levels of all attempts add up to `error`, so that however many models are tried against what is deployed, one that
is no better takes its place with at most that probability. A promotion that was earned begins the series again, for
there is then something else to beat: the levels restart at each discovery, as in LORD (Javanmard and Montanari, "Online
Rules for Control of False Discovery Rate and False Discovery Exceedance", 2018), which bounds the share of promotions
that are mistaken. What a person promotes or goes back to renews nothing. The series falls slowly enough to go on: the
sixth attempt needs 1.8 times, the twentieth 2.3 times as many clusters as the first.
"""

from collections.abc import Sequence

from kinora.generation.registry import GateDecision

EARNED = "better"


def attempt(decisions: Sequence[GateDecision], candidate: str, rival: str) -> int:
    """Return which attempt since the last earned promotion it is to put `candidate` in the place of `rival`, from 1 on.

    To decide the same again is the same attempt.
    """
    number = 0
    for decision in decisions:
        number += 1
        if (decision.candidate, decision.rival) == (candidate, rival):
            return number
        if decision.outcome == EARNED:
            number = 0
    return number + 1


def level(attempt: int, error: float) -> float:
    """Return the error that an attempt may make, of the `error` of all together."""
    return error / (attempt * (attempt + 1))


def spent(attempt: int, error: float) -> float:
    """Return how much of the `error` is spent with this attempt and those before it."""
    return error * attempt / (attempt + 1)
