"""The words for scenes, and the way back from words to what they ask for.

    A red circle moves slowly to the right on a grey background, while the camera pans right.
    A red circle moves slowly right, while the camera pans right.

`describe` writes these sentences; `parse` reads them and looser ones in their style ('red ball falling on grey'), and
nothing of a sentence that says anything else ('a ball of yarn rolls down a track').
"""

import re
from dataclasses import dataclass

from kinora.worlds.scene import BACKGROUNDS, PALETTE, SHAPES, Scene

WALL, BRUSH, PADDLE = "wall", "brush", "paddle"  # what things pass behind, paint with and play with
# motion: (long form, short form) of the verb phrase for one thing; {slowly} stands for the adverb of the speed.
PHRASES: dict[str, tuple[str, str]] = {
    "right": ("moves {slowly} to the right", "moves {slowly} right"),
    "left": ("moves {slowly} to the left", "moves {slowly} left"),
    "up": ("moves {slowly} upward", "moves {slowly} up"),
    "down": ("moves {slowly} downward", "moves {slowly} down"),
    "fall": ("falls", "falls"),
    "thrown right": ("is thrown to the right", "is thrown right"),
    "thrown left": ("is thrown to the left", "is thrown left"),
    "thrown up": ("is thrown straight up", "is thrown up"),
    "bounce": ("falls and bounces", "falls and bounces"),
    "around": ("bounces {slowly} around", "bounces {slowly} around"),
    "collide": ("collides with", "collides with"),
    "behind right": ("passes to the right behind", "passes right behind"),
    "behind left": ("passes to the left behind", "passes left behind"),
    "shatter": ("shatters into pieces", "shatters"),
    "paint right": ("paints a line to the right", "paints a line right"),
    "paint left": ("paints a line to the left", "paints a line left"),
    "paint up": ("paints a line upward", "paints a line up"),
    "paint down": ("paints a line downward", "paints a line down"),
    "orbit right": ("the camera circles to the right around", "the camera circles right around"),
    "orbit left": ("the camera circles to the left around", "the camera circles left around"),
    "play": ("plays with", "plays with"),
}
BETWEEN = ("collide", "behind right", "behind left", "play")  # verbs that stand between a thing and another
BEFORE = ("orbit right", "orbit left")  # what stands before the thing
CAMERAS = ("pans right", "pans left", "zooms in")  # what the camera may do, as captions say it
SOLIDS = {"circle": "ball", "square": "cube", "triangle": "pyramid"}  # the names of shapes in three dimensions
BALLS = {"circle": "ball"}  # ... and in a game
ADVERBS = {"slow": "slowly", "fast": "quickly"}
PLURAL = {"moves": "move", "falls": "fall", "is": "are", "shatters": "shatter", "bounces": "bounce", "paints": "paint"}

DIRECTIONS = ("right", "left", "up", "down")
SYNONYMS: dict[str, tuple[str, ...]] = {
    "grey": ("gray",),
    "purple": ("violet",),
    "circle": ("ball", "disc", "disk", "dot", "sphere"),
    "square": ("box", "block", "cube"),
    "triangle": ("pyramid", "cone"),
    "slow": ("slowly", "gently"),
    "fast": ("quickly", "quick", "rapidly", "swiftly"),
    "right": ("rightward", "rightwards"),
    "left": ("leftward", "leftwards"),
    "up": ("upward", "upwards"),
    "down": ("downward", "downwards"),
    "move": (
        *("moves", "moving", "go", "goes", "going", "fly", "flies", "flying", "slide", "slides", "sliding", "drift"),
        *("drifts", "drifting", "travel", "travels", "traveling", "pass", "passes", "passing"),
    ),
    "rise": ("rises", "rising", "ascends", "ascending"),
    "sink": ("sinks", "sinking", "descends", "descending"),
    "fall": ("falls", "falling", "drop", "drops", "dropping"),
    "throw": ("thrown", "throws", "throwing", "tossed", "tosses", "toss", "flung", "hurled"),
    "collide": ("collides", "colliding", "crash", "crashes", "bump", "bumps", "hits"),
    "shatter": ("shatters", "shattering", "shattered", "breaks", "bursts"),
    "bounce": ("bounces", "bouncing", "bounced"),
    "paint": ("paints", "painting", "painted", "draws", "drawing", "draw"),
    "play": ("plays", "playing"),
    "orbit": ("orbits", "orbiting"),
    "pan": ("pans", "panning"),
    "zoom": ("zooms", "zooming"),
    "still": ("motionless", "stationary", "unmoving"),
    "rest": ("rests", "resting"),
    "two": ("2",),
    "three": ("3",),
    "background": ("backdrop",),
}
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3}
CANONICAL = {word: name for name, words in SYNONYMS.items() for word in (name, *words)}
NOUNS = (*SHAPES, WALL, BRUSH, PADDLE)
SIZES = ("large", "big", "small", "little", "tiny")  # that a thing may be said to have; no world tells them apart


def _any(*words: str) -> str:
    return f"(?:{'|'.join(words)})"


def _grammar() -> re.Pattern[str]:
    """Return what sentences of the worlds' language look like, in canonical words and commas, one space after each."""
    speed, be = "(?:(?:slow|fast) )?", "(?:(?:is|are|being) )?"
    kind = _any(*NOUNS, "shape", "something")
    coloured = f"(?:{_any(*PALETTE)} )?{kind} |{kind} (?:(?:that|which) is )?{_any(*PALETTE)} "
    thing = f"(?:{_any('the', *NUMBERS)} )?(?:{_any(*SIZES)} )?{speed}(?:{coloured})"
    things = f"{thing}(?:(?:, |, and |and ){thing})*"
    way = f"(?:straight )?(?:(?:to|towards?) the )?{_any(*DIRECTIONS)} "
    ways = f"{speed}{way}(?:(?:and )?{way})?{speed}"
    paced = f"{be}{speed}"
    said = (
        f"{paced}move (?:{ways}|{speed})",
        f"{paced}(?:rise|sink) {speed}(?:{way})?",
        f"{paced}fall {speed}(?:down )?(?:(?:and|then|and then) (?:bounce |shatter (?:into pieces )?))?",
        f"{paced}bounce (?:{speed}around {speed})?",
        f"{be}throw (?:{ways})?",
        f"{be}collide (?:(?:with|into|against) )?(?:{thing})?",
        f"{be}move (?:{ways})?behind {thing}",
        f"{be}shatter (?:into pieces )?",
        f"{be}paint (?:a line )?(?:{ways})?",
        f"{be}play with {thing}",
        f"{be}rest ",
        "(?:is|are) still ",
    )
    place = f"(?:(?:on|against|in front of|with|over) (?:(?:the|an?) )?{_any(*BACKGROUNDS)} (?:background )?)"
    camera = "(?:the )?camera (?:is )?(?:pan (?:to the )?(?:left|right) |zoom in )"
    orbit = f"(?:the )?(?:camera )?(?:is )?orbit (?:(?:to the )?(?:left|right) )?(?:around )?{thing}"
    asked = "(?:please (?:, )?)?(?:(?:show|make) (?:me )?)?(?:(?:(?:an?|the) )?(?:video|clip|image|picture) of )?"
    return re.compile(
        f"{asked}(?:{place}(?:, )?)?(?:{camera}(?:, |and )(?:while )?)?"
        f"(?:{orbit}|{things}(?:{'|'.join(said)})?)"
        f"(?:(?:, )?{place})?(?:(?:, )?(?:while|and) {camera})?(?:(?:, )?please )?"
    )


_GRAMMAR = _grammar()


@dataclass(frozen=True)
class Attributes:
    """What a sentence says.

    `objects` are (colour, shape), in the order of the sentence, either None where only the other is said;
    `background` is a name in `BACKGROUNDS`, `motion` a name in `PHRASES` or 'still', `speed` is 'slow' or 'fast',
    `camera` a name in `CAMERAS`; each None where nothing is said.
    """

    objects: tuple[tuple[str | None, str | None], ...]
    background: str | None = None
    motion: str | None = None
    speed: str | None = None
    camera: str | None = None


def attributes(scene: Scene, *, image: bool = False) -> Attributes:
    """Return what a scene shows; of an `image`, what one frame of it shows."""
    things = tuple((body.colour, body.shape) for body in scene.bodies if body.named)
    if image:
        return Attributes(things, scene.background)
    camera = scene.camera if scene.camera != "still" else None
    return Attributes(things, scene.background, scene.motion, scene.speed, camera)


def describe(scene: Scene, *, image: bool = False) -> tuple[str, str]:
    """Return the descriptive and the short caption of a scene; of an `image`, without what only motion shows."""
    return sentences(attributes(scene, image=image))


def sentences(said: Attributes) -> tuple[str, str]:
    """Write what is said as a descriptive and a short sentence; what is not said is left out."""
    place = f" on a {said.background} background" if said.background else ""
    nouns = SOLIDS if said.motion in BEFORE else BALLS if said.motion == "play" else {}
    things = [
        article(" ".join(word for word in (colour, nouns.get(str(shape), shape) or "shape") if word))
        for colour, shape in said.objects
    ]
    long, short = (_clause(things, said, form) for form in (0, 1))
    camera = f", while the camera {said.camera}" if said.camera else ""
    return _sentence(long + place + camera), _sentence(short + camera)


def article(noun: str) -> str:
    """Put the right indefinite article before a noun phrase."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"


def parse(caption: str) -> Attributes | None:
    """Return what a caption or a person's prompt says, None if it is not wholly of the worlds' language.

    It is where the worlds write such a sentence, or one like it in words that they know: 'red ball falling on grey'.
    A motion that needs a direction and is given none goes to the right.
    """
    words = _tokens(caption)
    if not _GRAMMAR.fullmatch("".join(f"{word} " for word in words)):
        return None
    words, camera = _without_camera(words)
    return Attributes(
        objects=_objects(words),
        background=next((word for word in words if word in BACKGROUNDS), None),
        motion=_motion(words),
        speed=next((word for word in words if word in ADVERBS), None),
        camera=camera,
    )


def understood(prompt: str) -> bool:
    """Say whether `parse` reads a prompt and loses nothing of it, such as how large a thing is."""
    return parse(prompt) is not None and not set(SIZES).intersection(_tokens(prompt))


def _tokens(caption: str) -> list[str]:
    """Return the words and commas of a caption, each word by its canonical name; any other mark is a word of its own.

    What ends a sentence is left out at the end, where it says nothing.
    """
    text = re.sub(r"\bcamera (?:circles|orbits|revolves)\b", "camera orbit", caption.lower()).strip()
    return [singular(CANONICAL.get(word, word)) for word in re.findall(r"\w+|[^\w\s]", text.rstrip(" .!"))]


def _without_camera(words: list[str]) -> tuple[list[str], str | None]:
    """Return the words without what is said of a camera that pans or zooms, and that."""
    for index, word in enumerate(words):
        if word in ("pan", "zoom"):
            for name in CAMERAS:
                verb, where = name.split()
                for end in range(index + 1, min(index + 4, len(words))):
                    if verb == f"{word}s" and words[end] == where:
                        return words[:index] + words[end + 1 :], name
    return words, None


def singular(word: str) -> str:
    """Return the canonical singular of a plural noun of ours, anything else as it is."""
    stem = word.removesuffix("es") if word == "boxes" else word.removesuffix("s")
    stem = CANONICAL.get(stem, stem)
    return stem if stem in NOUNS else word


def _clause(things: list[str], said: Attributes, form: int) -> str:
    if said.motion in BEFORE and len(things) == 1:
        return f"{PHRASES[said.motion][form]} {things[0]}"
    if said.motion in BETWEEN and len(things) == 2:
        return f"{things[0]} {PHRASES[said.motion][form]} {things[1]}"
    subject = " and ".join(things) if len(things) < 3 else ", ".join(things[:-1]) + f" and {things[-1]}"
    if said.motion not in PHRASES:
        return f"{subject} rests" if said.motion == "still" else subject
    phrase = PHRASES[said.motion][form].format(slowly=ADVERBS.get(said.speed or "", ""))
    return " ".join([subject, *(PLURAL.get(word, word) if len(things) > 1 else word for word in phrase.split())])


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "." if text else ""


def _objects(words: list[str]) -> tuple[tuple[str | None, str | None], ...]:
    """Read (colour, shape) pairs: a colour belongs to the noun after it, or to the one before if none follows."""
    found: list[tuple[str | None, str | None]] = []
    colour, count = None, 1
    for word in words:
        if word in NUMBERS:
            count = NUMBERS[word]
        elif word in PALETTE:
            if colour is not None:  # a second colour before any noun: the first stood alone
                found.append((colour, None))
            colour = word
        elif word in NOUNS:
            found += [(colour, word)] * count
            colour, count = None, 1
    if colour is not None:
        if found and found[-1][0] is None:  # 'a circle that is red'
            found[-1] = (colour, found[-1][1])
        else:
            found.append((colour, None))
    return tuple(found)


def _motion(words: list[str]) -> str | None:
    """Read the motion; one that needs a direction and is given none goes to the right."""
    direction = next((word for word in words if word in DIRECTIONS), None)
    sideways = next((word for word in words if word in ("left", "right")), None)
    if "throw" in words:
        # 'thrown up to the right' is a throw to the right: what is said of the sides decides.
        return f"thrown {sideways or ('up' if direction == 'up' else 'right')}"
    if "behind" in words:
        return f"behind {sideways or 'right'}"
    if "orbit" in words:
        return f"orbit {sideways or 'right'}"
    if "paint" in words:
        return f"paint {direction or 'right'}"
    single = [motion for motion in PHRASES if motion in words and motion not in DIRECTIONS]
    if single:
        return single[-1]  # 'falls and shatters': what happens last is what is rare
    if "move" in words:
        return direction or "right"
    if "rise" in words or "sink" in words:
        return "up" if "rise" in words else "down"
    return "still" if "still" in words or "rest" in words else None
