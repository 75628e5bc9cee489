"""The weights of `turning_measures.py`, fitted to 316 clips of paper, clay and real footage (half `dev`).

Logistic regression with a ridge; of what fails, the surest candidate at its place and time is one that turned, and of
faultless clips none are. Weights are for the measures as they are, not scaled.
"""

BIAS = -6.672
WEIGHTS: dict[str, float] = {
    "looks new": 0.8314,
    "source": 0.3710,
    "around": -1.2041,
    "texture": -0.6494,
    "border": 0.2213,
    "turns": -0.9878,
    "leap": -0.4343,
    "unexplained": 0.3318,
    "before": -1.4071,
    "after": -1.5219,
    "depth": 0.6341,
    "solid": 2.4391,
    "deep": 2.7670,
    "quality": 2.0737,
    "of it": 2.1681,
}
