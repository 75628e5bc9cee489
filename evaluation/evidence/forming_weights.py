"""The weights of `forming.py`, fitted to 320 clips of paper, clay and real footage (half `dev`).

Logistic regression with a ridge; of what fails, the surest candidate at its place and time is one that changed, and of
faultless clips none are. Weights are for the measures as they are, not scaled.
"""

BIAS = -3.883
WEIGHTS: dict[str, float] = {
    "size": 0.1637,
    "clear size": 0.7389,
    "trend": -1.2742,
    "before": 0.2882,
    "leap": -0.2100,
    "core stays": -0.8946,
    "scene change": 1.7428,
    "flow grown": 4.3565,
    "unexplained": 0.6223,
    "overlaps": -0.0832,
    "others end": -0.7294,
    "comes": -1.7474,
    "goes": -1.2387,
}
