"""How strong an edit is: what subtle, plain and gross mean for each kind of change."""

import numpy as np

from evaluation.proving.case import SEVERITIES

FADES = {"subtle": 4, "plain": 2, "gross": 0}  # frames over which something comes or goes
GONE_SECONDS = {"subtle": 0.2, "plain": 0.4, "gross": 0.8}
JUMPS = {"subtle": 0.8, "plain": 1.5, "gross": 3.0}  # of the longer side of what jumps
TINTS = {"subtle": 0.45, "plain": 0.7, "gross": 1.0}  # share of another colour
SCALES = {"subtle": 1.35, "plain": 1.6, "gross": 2.0}
CHANGE_SECONDS = {"subtle": 0.4, "plain": 0.2, "gross": 0.0}  # over which a thing turns into another
TURNS = {"subtle": 60, "plain": 110, "gross": 180}  # degrees
BOUNCES = {"subtle": 1.25, "plain": 1.5, "gross": 1.9}  # of the speed before a bounce
UPWARD = {"subtle": 0.4, "plain": 0.8, "gross": 1.5}  # of gravity
ASIDE = {"subtle": 0.5, "plain": 0.9, "gross": 1.5}  # of gravity
NOT_AT_ALL = {"subtle": 0.0, "plain": 0.0, "gross": 0.0}
GAINS = {"subtle": 0.08, "plain": 0.15, "gross": 0.35}  # of the brightness
STOP_SECONDS = {"subtle": 0.5, "plain": 1.0, "gross": 9.0}
SWIMS = {"subtle": 0.02, "plain": 0.035, "gross": 0.06}  # of the picture's width
STAINS = {"subtle": 0.3, "plain": 0.5, "gross": 0.75}  # of the brightness lost
MORPH_SECONDS = {"subtle": 1.0, "plain": 0.5, "gross": 0.2}
MESS = {"subtle": 0.5, "plain": 0.75, "gross": 1.0}  # share of noise at the end


def degree(rng: np.random.Generator) -> str:
    """Return one of the severities."""
    return str(rng.choice(SEVERITIES))


def grown(since: float | np.ndarray, over: float) -> np.ndarray:
    """Return how far a change is, 0 to 1, that takes `over` frames and began `since` frames ago."""
    return np.clip((np.asarray(since) + 1) / (over + 1), 0, 1)
