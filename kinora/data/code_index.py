"""Pairs of like 64-bit codes among many, found by sorting instead of by comparing all."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.signedinteger[Any]]
NEIGHBOURS = 4  # after each, in sorted order, that it is compared with
PIECE = 2**18  # codes that are compared together


def signs(coefficients: np.ndarray) -> npt.NDArray[np.uint64]:
    """Return codes `uint64 [S]` of the signs of `[S, 64]`: neighbouring columns go to different bytes."""
    columns = np.arange(64).reshape(8, 8).T.ravel()
    return np.ascontiguousarray(np.packbits(coefficients[:, columns] > 0, axis=1)).view(np.uint64).ravel()


def like_pairs(codes: npt.NDArray[np.uint64], owners: Ints, most: int) -> Iterator[tuple[Ints, Ints]]:
    """Yield pairs of places in `codes` `uint64 [S]`, of different owners `[S]`, that differ in at most `most` bits.

    Codes are sorted eight times, each time by another byte first, and each is compared with its next neighbours: a pair
    is found if few codes lie between the two in one of the orders. A pair may come more than once.
    """
    for byte in range(8):
        turn = np.uint64(8 * byte)
        order = np.argsort(codes << turn | codes >> (np.uint64(64) - turn) if byte else codes, kind="stable")
        for low in range(0, len(order), PIECE):
            some = order[low : low + PIECE + NEIGHBOURS]
            for step in range(1, NEIGHBOURS + 1):
                b = some[step : step + PIECE]
                a = some[: len(b)]
                like = (owners[a] != owners[b]) & (np.bitwise_count(codes[a] ^ codes[b]) <= most)
                yield a[like], b[like]
