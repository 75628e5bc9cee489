"""Prompt expansion: a person's few words become a sentence like those that the model was trained on."""

import re
from dataclasses import replace

from kinora.worlds import Attributes, parse, sentences
from kinora.worlds.language import understands

BACKGROUND, SPEED, COLOUR, SHAPE = "grey", "slow", "red", "circle"  # what an unsaid one becomes
# Words that carry no meaning of their own in such a prompt.
FILLERS = frozenset(
    """a an the and is are it its that which of to in on at over against with into from by front background backdrop
    being please make me show video clip image picture move moves moving go goes going fly flies flying slide slides
    sliding drift drifts drifting travel travels traveling pass passes straight pieces then back again""".split()  # noqa: SIM905
)


def expand(prompt: str) -> str:
    """Rewrite a prompt as a descriptive caption; what it leaves unsaid but every caption says is filled in.

    A prompt that names no object passes unchanged. Words that the worlds do not know are kept, after the sentence.
    """
    said = parse(prompt)
    if said is None or not said.objects:
        return prompt
    sentence = sentences(_complete(said))[0]
    unknown = [w for w in re.findall(r"[^\s.,;:!?]+", prompt) if w.lower() not in FILLERS and not understands(w)]
    return " ".join([sentence, *unknown])


def _complete(said: Attributes) -> Attributes:
    paced = said.motion in ("right", "left", "up", "down")
    return replace(
        said,
        objects=tuple((colour or COLOUR, shape or SHAPE) for colour, shape in said.objects),
        background=said.background or BACKGROUND,
        speed=(said.speed or SPEED) if paced else None,
    )
