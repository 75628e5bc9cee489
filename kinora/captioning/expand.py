"""Prompt expansion: a person's few words become a sentence like those that the model was trained on."""

from dataclasses import replace

from kinora.worlds import Attributes, parse, sentences, understood
from kinora.worlds.language import BETWEEN, BRUSH, PADDLE, WALL

BACKGROUND, SPEED, COLOUR, SHAPE = "grey", "slow", "red", "circle"  # what an unsaid one becomes
SECOND = {"collide": ("blue", "square"), "behind right": ("blue", WALL), "behind left": ("blue", WALL)}


def expand(prompt: str) -> str:
    """Rewrite a prompt as a descriptive caption; what it leaves unsaid but every caption says is filled in.

    A prompt with a word that the worlds do not know, or that names no object, passes unchanged.
    """
    said = parse(prompt) if understood(prompt) else None
    if said is None or not said.objects:
        return prompt
    return sentences(_complete(said))[0]


def _complete(said: Attributes) -> Attributes:
    paced = said.motion in ("right", "left", "up", "down", "around")
    return replace(
        said,
        objects=_objects(said),
        background=said.background or BACKGROUND,
        speed=(said.speed or SPEED) if paced else None,
    )


def _objects(said: Attributes) -> tuple[tuple[str, str], ...]:
    """Return the objects with colours and shapes, and those that a motion between two cannot do without."""
    shape = BRUSH if (said.motion or "").startswith("paint") else SHAPE
    objects = [(colour or COLOUR, own or shape) for colour, own in said.objects]
    if said.motion == "play":
        paddles = [thing for thing in said.objects if thing[1] == PADDLE]
        balls = [colour for colour, own in said.objects if own != PADDLE]
        return ((paddles[0][0] if paddles else None) or "white", PADDLE), ((balls or [None])[0] or COLOUR, SHAPE)
    if said.motion in BETWEEN and len(objects) == 1:
        objects.append(SECOND[said.motion])
    return tuple(objects)
