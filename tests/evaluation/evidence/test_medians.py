"""Medians are those that NumPy gives, of few and of many, whatever their type."""

import numpy as np
import pytest

from evaluation.evidence.background import masked_median
from evaluation.evidence.medians import SHORT, median, median_level


@pytest.mark.parametrize("count", [1, 2, 3, SHORT, SHORT + 1, SHORT + 2, 5000])
@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, np.float64])
def test_median_is_numpys(count: int, kind: type) -> None:
    values = np.random.default_rng(count).integers(0, 200, (count, 3, 2)).astype(kind)
    values[: count // 3] = 7  # many equal ones
    found = median(values)
    assert np.array_equal(found, np.median(values, axis=0))
    assert found.dtype == (np.float32 if kind in (np.uint8, np.float32) else np.float64)


def test_masked_median_leaves_out_what_is_not_inside() -> None:
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (7, 4, 5, 3), dtype=np.uint8)
    inside = rng.random((7, 4, 5)) < 0.7
    inside[:, 0, 0] = False
    found = masked_median(pictures, inside)
    assert not found[0, 0].any()
    for y, x in zip(*np.nonzero(inside.any(axis=0)), strict=True):
        assert np.array_equal(found[y, x], np.median(pictures[inside[:, y, x], y, x], axis=0))


def test_median_level_is_numpys() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (8, 9), dtype=np.uint8)
    assert median_level(picture) == np.median(picture)
