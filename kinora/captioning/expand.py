"""Prompt expansion: a person's few words become a sentence like those that the model was trained on.

In the worlds' language that is done by rules. Any other prompt stays as it is, or goes through a language model that
the recipe names, whose answer is taken only if it keeps every word that says something.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from importlib import import_module

from kinora.captioning.accuracy import content_words
from kinora.captioning.writers import HF, OPENAI, CaptionConfig, plain
from kinora.data.columns import LONGEST_CAPTION
from kinora.worlds import Attributes, parse, sentences, understood
from kinora.worlds.language import BETWEEN, BRUSH, PADDLE, WALL

BACKGROUND, SPEED, SHAPE = "grey", "slow", "circle"  # what an unsaid one becomes
COLOURS = ("red", "blue", "green", "yellow", "purple", "white")  # the first that no other thing has
PROMPTS_KEPT = 1024
INSTRUCTION = (
    "Rewrite this prompt for a video model as one or two plain sentences that describe the video: what is seen, what "
    "it looks like, where it is and how it moves. Keep every thing, colour, number and action of the prompt in its own "
    "words, and add nothing that contradicts it. Answer with the description only.\n\nPrompt: "
)
Rewriter = Callable[[str], str]
# The module and the class of every kind; imported when it is asked for.
REWRITERS: dict[str, tuple[str, str]] = {
    HF: ("kinora.captioning.hf", "HFRewriter"),
    OPENAI: ("kinora.captioning.openai", "OpenAIRewriter"),
}


def expand(prompt: str, rewrite: Rewriter | None = None) -> str:
    """Rewrite a prompt as a descriptive caption; what it leaves unsaid but every caption says is filled in.

    A prompt that is not wholly of the worlds' language passes unchanged, or as `rewrite` puts it where that loses
    nothing.

    Raises:
        KinoraError: if the language model does not answer.
    """
    if not understood(prompt):
        return _rewritten(prompt, rewrite) if rewrite is not None and prompt.strip() else prompt
    said = parse(prompt)
    assert said is not None
    return sentences(_complete(said))[0]


def open_rewriter(config: CaptionConfig) -> Rewriter | None:
    """Return what puts prompts into the style of captions by the language model that a recipe names, None without one.

    It keeps what it made of the last prompts.

    Raises:
        KinoraError: if the model cannot be loaded.
    """
    if not config.expander:
        return None
    module, name = REWRITERS[OPENAI if config.expander.startswith(OPENAI) else HF]
    return lru_cache(PROMPTS_KEPT)(getattr(import_module(module), name)(config))


def _rewritten(prompt: str, rewrite: Rewriter) -> str:
    sentence = plain(rewrite(prompt))
    keeps_all = content_words(prompt) <= content_words(sentence)
    return sentence if sentence and len(sentence) <= LONGEST_CAPTION and keeps_all else prompt


def _complete(said: Attributes) -> Attributes:
    paced = said.motion in ("right", "left", "up", "down", "around")
    return replace(
        said,
        objects=_objects(said),
        background=said.background or BACKGROUND,
        speed=(said.speed or SPEED) if paced else None,
    )


def _objects(said: Attributes) -> tuple[tuple[str, str], ...]:
    """Return the objects, each with a colour and a shape, and those that a motion between two cannot do without."""
    objects = list(said.objects)
    if said.motion == "play":
        paddles = [thing for thing in objects if thing[1] == PADDLE] or [(None, PADDLE)]
        balls = [thing for thing in objects if thing[1] != PADDLE] or [(None, SHAPE)]
        objects = [(paddles[0][0] or "white", PADDLE), (balls[0][0], SHAPE)]
    elif said.motion in BETWEEN and len(objects) == 1:
        objects.append((None, WALL if said.motion.startswith("behind") else "square"))
    shape = BRUSH if (said.motion or "").startswith("paint") else SHAPE
    taken = [colour for colour, _ in objects]
    others = [colour for colour in COLOURS if colour not in taken]
    return tuple((colour or (others.pop(0) if others else COLOURS[0]), own or shape) for colour, own in objects)
