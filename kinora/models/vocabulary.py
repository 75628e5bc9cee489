"""The vocabulary that a text encoder and a captioner learn from captions: a word's place in it is its token id."""

from collections import Counter
from collections.abc import Iterable
from itertools import chain


def build_vocabulary(captions: Iterable[list[str]], special: tuple[str, ...], size: int = 4096) -> tuple[str, ...]:
    """Return the `special` tokens and the `size` most frequent words of captions, ties in alphabetical order."""
    counts = Counter(chain.from_iterable(captions))
    return special + tuple(sorted(counts, key=lambda word: (-counts[word], word))[:size])
