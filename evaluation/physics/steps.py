"""Steps in a series that what comes before and after does not share: of a place, of a look, of a size.

Between two samples a series may turn (a collision, a bounce): it then goes on with the pace before for a part of the
time, and with the pace after for the rest. What is left of the step beside the nearest such course is its excess.
"""

import numpy as np


def pace_before(values: np.ndarray, i: int, most: int) -> np.ndarray:
    """Return paces per sample, `[k, D]`, by which samples up to i may go on: a step, lines, a parabola."""
    return _paces(values[max(0, i - most + 1) : i + 1])


def pace_after(values: np.ndarray, i: int, most: int) -> np.ndarray:
    """Return paces per sample, `[k, D]`, by which samples from i on may have come."""
    return -_paces(values[i : i + most][::-1])


def _paces(values: np.ndarray) -> np.ndarray:
    """Return the paces at the last of some samples."""
    n = len(values)
    if n < 2:
        return np.zeros((1, values.shape[1]))
    paces = [values[-1] - values[-2]]
    if n >= 3:
        paces.append((values[-1] - values[-3]) / 2)
        paces.append(
            1.5 * values[-1] - 2 * values[-2] + 0.5 * values[-3] + (values[-1] - 2 * values[-2] + values[-3]) / 2
        )
    if n >= 4:
        paces.append((values[-1] - values[0]) / (n - 1))
    return np.array(paces)


def excess(step: np.ndarray, before: np.ndarray, after: np.ndarray) -> float:
    """Return how far a step `[D]` is from any mixture of a pace before and one after, `[k, D]` each, of its length."""
    along = after[None] - before[:, None]
    left = (step - before)[:, None]
    share = np.clip((left * along).sum(axis=-1) / np.maximum((along**2).sum(axis=-1), 1e-12), 0, 1)
    return float(np.linalg.norm(left - share[..., None] * along, axis=-1).min())
