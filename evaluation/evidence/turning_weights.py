"""The weights of `turning_measures.py`, fitted to 440 clips of paper, clay and real footage (half `dev`).

Logistic regression with a ridge; of what fails, the surest candidate at its place and time is one that turned, and of
faultless clips none are. Weights are for the measures as they are, not scaled.
"""

BIAS = -6.236
WEIGHTS: dict[str, float] = {
    "looks new": 1.0743,
    "source": 0.8017,
    "around": -1.5451,
    "texture": -0.1573,
    "border": 0.1883,
    "turns": -1.0869,
    "leap": -0.1307,
    "unexplained": 0.2762,
    "before": -0.8568,
    "after": -0.6839,
    "depth": 0.9671,
    "solid": -0.2984,
    "deep": 2.0311,
    "quality": 1.9285,
    "of it": 1.3509,
}
