"""The weights of `marks.py`, fitted to 281 clips of paper and real footage (half `dev`).

Logistic regression with a ridge; of what fails, the surest candidate at its place and time is one that changed, and of
faultless clips none are. Weights are for the measures as they are, not scaled.
"""

BIAS = -3.216
WEIGHTS: dict[str, float] = {
    "clear": 0.3512,
    "whole": 0.4978,
    "usual": -0.7695,
    "size": 0.2072,
    "kick": -0.5445,
    "new spills": -1.2272,
    "new stays": 0.0453,
    "new": 0.3899,
    "old spills": 0.1611,
    "old stays": 0.3060,
    "clear and new": 0.2167,
}
