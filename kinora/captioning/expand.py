"""Prompt expansion: a person's few words become a sentence like those that the model was trained on."""

from dataclasses import replace

from kinora.worlds import Attributes, parse, sentences, understood
from kinora.worlds.language import BETWEEN, BRUSH, PADDLE, WALL

BACKGROUND, SPEED, SHAPE = "grey", "slow", "circle"  # what an unsaid one becomes
COLOURS = ("red", "blue", "green", "yellow", "purple", "white")  # the first that no other thing has


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
