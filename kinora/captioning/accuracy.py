"""How right captions are: by attribute where a simulator knows what is shown, by word where a person said it.

A caption by a person says what that person found worth saying. A word that is not in it may be true all the same: the
shares of words are lower limits, the same for every captioner.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from kinora.worlds import Attributes, parse, sentences

ATTRIBUTES = ("colour", "shape", "count", "background", "motion", "speed", "camera")
UNFOUNDED = 0.25  # more of a caption's content words than this are not in the person's: the caption is wrong
# English words that say nothing of what is seen. In other languages every word counts.
STOP_WORDS = frozenset(
    """a an the this that these those it its he she they them his her their him himself herself themselves itself i we
    you who whom whose which what there here where when while as is are was were be been being am has have had having do
    does did doing can could will would shall should may might must not no nor so too very and or but if then than of at
    by for with about against between into through during before after above below to from up down in out on off over
    under again further once all any both each few more most other others some such only own same just also s t one
    seen near""".split()  # noqa: SIM905
)
ENDINGS = ("ingly", "edly", "ing", "ies", "ied", "ed", "es", "ly", "s", "e")
SHORTEST_STEM = 3  # letters


@dataclass(frozen=True)
class Accuracy:
    """Counts by attribute: how many clips could be measured, and how many of those captions are right."""

    right: dict[str, int]
    measured: dict[str, int]

    def shares(self) -> dict[str, float]:
        """Return the share that is right of every attribute that could be measured, 0..1."""
        return {name: self.right[name] / count for name, count in self.measured.items() if count}

    def metrics(self) -> dict[str, float]:
        """Return `accuracy_<attribute>` and `measured_<attribute>`."""
        shares = {f"accuracy_{name}": share for name, share in self.shares().items()}
        return shares | {f"measured_{name}": float(count) for name, count in self.measured.items()}

    def rows(self) -> list[dict[str, str]]:
        """Return the rows of a table for people."""
        shares = self.shares()
        return [
            {
                "attribute": name,
                "right": f"{shares[name]:.1%}" if name in shares else "not measured",
                "measured on": f"{count} clips",
            }
            for name, count in self.measured.items()
        ]


@dataclass(frozen=True)
class WordAccuracy:
    """Of content words: how many the captions have, how many those of people, how many both, on so many clips."""

    written: int
    truth: int
    shared: int
    clips: int

    def metrics(self) -> dict[str, float]:
        """Return `word_precision` and `word_recall` (0..1, where there is a word to measure) and `measured_words`.

        Precision: of the words that were written, the share that the person's caption has. Recall: of the words of the
        person's caption, the share that was written.
        """
        shares = {"word_precision": (self.shared, self.written), "word_recall": (self.shared, self.truth)}
        found = {name: count / total for name, (count, total) in shares.items() if total}
        return found | {"measured_words": float(self.clips)}


def compare(written: str, truth: Attributes) -> dict[str, bool]:
    """Say for every attribute that the truth names whether the written caption says the same."""
    said = parse(written) or Attributes(())
    result = {}
    if truth.objects:
        for place, name in enumerate(("colour", "shape")):
            result[name] = Counter(o[place] for o in said.objects) == Counter(o[place] for o in truth.objects)
        result["count"] = len(said.objects) == len(truth.objects)
    for name in ("background", "motion", "speed", "camera"):
        if getattr(truth, name) is not None:
            result[name] = getattr(said, name) == getattr(truth, name)
    return result


def accuracy(pairs: Iterable[tuple[str, Attributes]]) -> Accuracy:
    """Measure captions, each with what its clip shows."""
    right, measured = dict.fromkeys(ATTRIBUTES, 0), dict.fromkeys(ATTRIBUTES, 0)
    for written, truth in pairs:
        for name, same in compare(written, truth).items():
            measured[name] += 1
            right[name] += same
    return Accuracy(right, measured)


def wrong_attributes(written: str, truth: Attributes) -> list[str]:
    """Return the attributes that a caption gets wrong."""
    return [name for name, same in compare(written, truth).items() if not same]


def accuracy_note(written: str, truth: Attributes) -> str:
    """Say in one line whether a caption is right, and what would be."""
    wrong = wrong_attributes(written, truth)
    return f"Wrong: {', '.join(wrong)}. Truth: {sentences(truth)[0]}" if wrong else "Every attribute is right."


def content_words(caption: str) -> set[str]:
    """Return the stems of the words of a caption that say what is seen: nouns, verbs, colours, numbers, ..."""
    words = re.findall(r"[^\W_]+", re.sub(r"'\w+", "", caption.lower()))
    return {_stem(word) for word in words if word not in STOP_WORDS}


def word_accuracy(pairs: Sequence[tuple[str, str]]) -> WordAccuracy:
    """Measure captions, each with that which a person wrote, by their content words."""
    words = [(content_words(written), content_words(truth)) for written, truth in pairs]
    return WordAccuracy(
        sum(len(written) for written, _ in words),
        sum(len(truth) for _, truth in words),
        sum(len(written & truth) for written, truth in words),
        len(words),
    )


def unfounded_words(written: str, truth: str) -> list[str]:
    """Return the stems of the content words of a caption that are not in the person's, in alphabetical order."""
    return sorted(content_words(written) - content_words(truth))


def is_unfounded(written: str, truth: str) -> bool:
    """Say whether more than `UNFOUNDED` of a caption's content words are not in the person's; one without any is."""
    said = content_words(written)
    return not said or len(unfounded_words(written, truth)) > UNFOUNDED * len(said)


def _stem(word: str) -> str:
    """Cut a word's endings, so that 'swims', 'swimming' and 'swim' are one; crude, and the same on both sides."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > SHORTEST_STEM and word[-1] == word[-2] else word
