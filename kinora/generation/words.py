"""Words that no training caption held: they are named, and never quietly left out of what is made."""

from collections.abc import Collection
from difflib import get_close_matches

from kinora.captioning.expand import expand
from kinora.errors import UsageError
from kinora.models.text_encoder import SPECIAL, split_words

MOST_NAMED = 5


def unknown_words(prompt: str, vocabulary: Collection[str], *, expanded: bool = True) -> list[str]:
    """Return the words of a prompt that a model cannot know, each once, in their order.

    A word outside the vocabulary counts as known where expanding the prompt says it in words that are inside ("ball" as
    "circle"), unless it is not `expanded`. A vocabulary of nothing but `SPECIAL` is that of a model which no caption
    taught a word: all are unknown. Where there is no vocabulary, nothing is known of what is unknown.
    """
    if not vocabulary:
        return []
    known = set(vocabulary).difference(SPECIAL)
    own = [word for word in dict.fromkeys(split_words(prompt)) if word not in known]
    if not known or not own or not expanded:
        return own
    missing = set(split_words(expand(prompt))) - known
    return [word for word in own if word in missing] or (own if missing else [])


def refuse_unknown(prompt: str, vocabulary: Collection[str], *, expanded: bool = True) -> None:
    """Refuse a prompt with `unknown_words`.

    Raises:
        UsageError: if it has any: names them, each with the nearest known word where one is near.
    """
    unknown = unknown_words(prompt, vocabulary, expanded=expanded)
    if not unknown:
        return
    named = [_with_nearest(word, vocabulary) for word in unknown[:MOST_NAMED]]
    if len(unknown) > MOST_NAMED:
        named.append(f"{len(unknown) - MOST_NAMED:,} more")
    listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
    knows_any = not set(SPECIAL).issuperset(vocabulary)
    remedy = "say it in words that it knows" if knows_any else "it learned no words at all: leave them out"
    raise UsageError(
        f"the model never saw {'the word' if len(unknown) == 1 else 'the words'} {listed}; "
        f"{remedy}, or allow unknown words."
    )


def _with_nearest(word: str, vocabulary: Collection[str]) -> str:
    word = word if len(word) <= 40 else f"{word[:39]}…"
    near = get_close_matches(word, set(vocabulary).difference(SPECIAL), n=1, cutoff=0.7)
    return f"'{word}' (did you mean '{near[0]}'?)" if near else f"'{word}'"
