"""Which clips are held out for validation."""

import numpy as np


def held_out(group: np.ndarray, source: np.ndarray, video: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Choose clips to hold out, about a `share` of the videos and of the images, at least one where there are two.

    Whole groups, which share content, are held out, in random order, as long as they fit. Where none does, it is the
    end of the longest source.

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
            numbers, lengths = np.unique(source[kind], return_counts=True)
            longest = np.flatnonzero(kind & (source == numbers[lengths.argmax()]))
            held[longest[-wanted:]] = True
    return held
