"""Copies among images: 16x16 cells that are alike everywhere, mirrored or not."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from kinora.data.code_index import Ints, like_pairs, signs

CELLS = 16  # each way; a fingerprint has them by quarters
WAVES = 8  # of the lowest frequencies each way, without the mean: a code has their signs
NEAR = 10  # bits in which the codes of copies may differ
# Cells are compared in units of an image's standard deviation and FAINT levels of luminance: what encoding changes is
# part noise and part contrast. An image with less than SHOWN of these shows nothing to compare. By how much a copy's
# may differ, root mean square and any: frames of one video that are a second apart differ by more somewhere.
FAINT, SHOWN, REST, MOST = 20.0, 0.13, 0.06, 0.1
PIECE = 2**14  # pairs that are compared together


def image_copies(fingerprints: npt.NDArray[np.uint64], rows: Ints, sources: Ints) -> Iterator[tuple[int, int]]:
    """Yield (image, an image of an earlier source that it is a copy of), as places in `rows`.

    Args:
        fingerprints: of all clips, `uint64 [S, 8]`.
        rows: the first of each image's four, in order of source.
        sources: their numbers.
    """
    code, mirrored = _codes(fingerprints, rows)
    count = len(rows)
    for i, j in like_pairs(np.concatenate([code, mirrored]), np.concatenate([sources, sources]), NEAR):
        upright = (i < count) | (j < count)
        i, j = i[upright], j[upright]
        turned = (i >= count) ^ (j >= count)
        a, b = np.minimum(i % count, j % count), np.maximum(i % count, j % count)
        for low in range(0, len(a), PIECE):
            part = slice(low, low + PIECE)
            same = _same(_cells(fingerprints, rows[a[part]]), _cells(fingerprints, rows[b[part]]), turned[part])
            yield from zip(b[part][same].tolist(), a[part][same].tolist(), strict=True)


def _cells(fingerprints: npt.NDArray[np.uint64], rows: Ints) -> npt.NDArray[np.float32]:
    """Return `float32 [n, 16, 16]`, without the mean, in units of the standard deviation and FAINT levels."""
    half = CELLS // 2
    words = np.ascontiguousarray(fingerprints[rows[:, None] + np.arange(4)])
    quarters = words.view(np.uint8).reshape(-1, 2, 2, half, half)
    cells = quarters.swapaxes(2, 3).reshape(-1, CELLS, CELLS).astype(np.float32)
    cells -= cells.mean(axis=(1, 2), keepdims=True)
    cells /= cells.std(axis=(1, 2), keepdims=True) + FAINT
    return cells


def _codes(fingerprints: npt.NDArray[np.uint64], rows: Ints) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return the codes of images and of their mirror images."""
    at = (np.arange(CELLS) + 0.5) * np.pi / CELLS
    waves = np.cos(np.arange(WAVES)[:, None] * at).astype(np.float32)  # [8, 16]
    turns = 1 - np.arange(WAVES, dtype=np.float32) % 2 * 2
    codes, mirrored = [], []
    for low in range(0, len(rows), PIECE):
        coefficients = waves @ _cells(fingerprints, rows[low : low + PIECE]) @ waves.T
        codes.append(signs(coefficients.reshape(-1, WAVES**2)))
        mirrored.append(signs((coefficients * turns).reshape(-1, WAVES**2)))
    return np.concatenate(codes), np.concatenate(mirrored)


def _same(
    a: npt.NDArray[np.float32], b: npt.NDArray[np.float32], turned: npt.NDArray[np.bool_]
) -> npt.NDArray[np.bool_]:
    """Say which of two images `[n, 16, 16]` each are copies, the second mirrored where it is `turned`."""
    rest = np.abs(a - np.where(turned[:, None, None], b[:, :, ::-1], b))
    shows = a.std(axis=(1, 2)) >= SHOWN
    return np.asarray(shows & (np.sqrt((rest**2).mean(axis=(1, 2))) <= REST) & (rest.max(axis=(1, 2)) <= MOST))
