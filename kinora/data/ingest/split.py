"""Which clips are held out for validation."""

import numpy as np


def held_out(group: np.ndarray, source: np.ndarray, video: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose clips to hold out, about a `share` of the videos and of the images, at least one where there are two.

    Whole groups, which share content, are held out, in random order, as long as they fit. Where none does, it is the
    end of the longest source that shares nothing with others, and where all do, the smallest group. Only where all that
    there is shares content, both sides have some of it.

    Args:
        group: `int [N]`, of each clip; sources that share content are in one group.
        source: `int [N]`, of each clip; those of one source are in order.
        video: `bool [N]`, false for an image.

    Returns:
        `bool [N]`, which clips are held out.
    """
    held = np.zeros(len(group), bool)
    mixed = set(group[video]) & set(group[~video])
    for kind in (video, ~video):
        wanted = max(1, round(share * kind.sum())) if kind.sum() > 1 else 0
        names, sizes = np.unique(group[kind], return_counts=True)
        size_of = dict(zip(names.tolist(), sizes.tolist(), strict=True))
        taken = int((held & kind).sum())
        for name in np.random.default_rng(seed).permutation(names):
            # A group with clips of both kinds was decided with its videos.
            if taken + size_of[name] <= wanted and (name not in mixed or kind is video):
                held |= group == name
                taken += size_of[name]
        if wanted and not taken:
            held |= _some_of(kind & (video | ~np.isin(group, list(mixed))), group, source, wanted)
    return held


def _some_of(which: np.ndarray, group: np.ndarray, source: np.ndarray, wanted: int) -> np.ndarray:
    """Return `bool [N]`: `wanted` of some clips, or a few more, where no group is as small."""
    held = np.zeros(len(group), bool)
    if not which.any():
        return held
    names, sizes = np.unique(group[which], return_counts=True)
    alone = [name for name in names if len(np.unique(source[group == name])) == 1]
    if not alone and len(names) > 1:
        return np.asarray(group == names[sizes.argmin()])
    among = np.flatnonzero(which & np.isin(group, alone or names))
    numbers, lengths = np.unique(source[among], return_counts=True)
    held[among[source[among] == numbers[lengths.argmax()]][-wanted:]] = True
    return held
