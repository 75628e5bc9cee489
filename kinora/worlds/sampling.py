"""Which scenes are drawn, which combinations are kept unseen, and the prompts that checkpoints are judged by."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import combinations as subsets
from itertools import product
from typing import Any, NamedTuple, TypeVar

import numpy as np

from kinora.errors import KinoraError, UsageError
from kinora.worlds.language import CAMERAS, Attributes, attributes, describe
from kinora.worlds.ranged import check_ranges, ranged_scene
from kinora.worlds.registry import WORLDS, camera_of, render, simulate, world_of
from kinora.worlds.scene import BACKGROUNDS, LEFT_S, LOOKS, PALETTE, SHAPES, Brief, Scene

T = TypeVar("T")


@dataclass(frozen=True)
class WorldsConfig:
    """What simulated clips show, and at which sizes, lengths and rates.

    `motions` are those shown, () for all that the worlds have. `sizes` are (width, height) in pixels, `frames` the
    lengths of videos, at `fps` frames a second and also at the `rates` at which the world can be seen in that time;
    `objects` the numbers of things in worlds that leave it open. `look` is 'flat' or 'shaded'; `cameras` are 'still'
    and names in `kinora.worlds.language.CAMERAS`, of which only a shaded background shows any but the first.
    `fine_share` of the training clips are drawn at `fine_sizes`, where there are any: what larger pictures look like
    from near. `held_out` combinations of (colour, shape, background, motion) are kept out of the training split: they
    are the validation split and the evaluation prompts. `spin` is the highest turning rate, radians a second.
    `radii` and `speeds` are ranges (lowest, highest) that sizes, in world units, and speeds, in world units a second,
    are drawn from, () for what each world has; see `kinora.worlds.ranged`.
    """

    worlds: tuple[str, ...] = ("uniform", "ballistics")
    sizes: tuple[tuple[int, int], ...] = ((32, 32), (40, 24), (24, 40))
    fine_sizes: tuple[tuple[int, int], ...] = ()
    fine_share: float = 0.15
    frames: tuple[int, ...] = (9, 17)
    fps: float = 8.0
    colours: tuple[str, ...] = ("red", "green", "blue", "yellow", "purple", "white")
    shapes: tuple[str, ...] = SHAPES
    backgrounds: tuple[str, ...] = ("grey", "black", "brown")
    objects: tuple[int, ...] = (1,)
    held_out: int = 64
    spin: float = 0.0
    seed: int = 0
    motions: tuple[str, ...] = ()
    rates: tuple[float, ...] = ()
    look: str = "flat"
    cameras: tuple[str, ...] = ("still",)
    radii: tuple[tuple[float, float], ...] = ()
    speeds: tuple[tuple[float, float], ...] = ()


class Combination(NamedTuple):
    """What is held out together: the first object's colour and shape, the background and the motion."""

    colour: str
    shape: str
    background: str
    motion: str


@dataclass(frozen=True)
class Sample:
    """A simulated clip: its scene, states `[T, bodies, columns]`, frames `uint8 [T, H, W, 3]` and what it shows.

    `camera` is the camera's path `[T, columns]`, the columns those of the world.
    """

    scene: Scene
    states: np.ndarray
    frames: np.ndarray
    attributes: Attributes
    caption: str
    short_caption: str
    fps: float
    camera: np.ndarray


@dataclass(frozen=True)
class EvaluationPrompt:
    """A prompt of a held-out combination, what it asks for, and the size, length and seed to generate it with."""

    prompt: str
    attributes: Attributes
    width: int
    height: int
    frames: int
    fps: float
    seed: int


@lru_cache(maxsize=8)
def split_combinations(config: WorldsConfig) -> tuple[tuple[Combination, ...], tuple[Combination, ...]]:
    """Return the combinations to train on and those held out, the latter spread evenly over all pairs of values.

    Raises:
        UsageError: if the configuration asks for what no world can show.
    """
    check(config)
    motions = [motion for name in config.worlds for motion in shown(config, name)]
    others = {shape: None for name in config.worlds for shape in WORLDS[name].shapes or ()}
    shapes = (*config.shapes, *others)
    every = [Combination(*c) for c in product(config.colours, shapes, config.backgrounds, motions)]
    rest = [c for c in every if c.shape in (WORLDS[world_of(c.motion)].shapes or config.shapes)]
    if config.held_out >= len(rest):
        raise UsageError(f"held_out={config.held_out} leaves nothing to train on: there are {len(rest)} combinations.")
    order = np.random.default_rng(config.seed).permutation(len(rest))
    rest = [rest[index] for index in order]
    held: list[Combination] = []
    seen: Counter[Any] = Counter()
    for _ in range(config.held_out):
        chosen = min(rest, key=lambda combination: sum(seen[pair] for pair in subsets(enumerate(combination), 2)))
        seen.update(subsets(enumerate(chosen), 2))
        rest.remove(chosen)
        held.append(chosen)
    return tuple(rest), tuple(held)


def check(config: WorldsConfig) -> None:
    """Raise UsageError if a name is unknown or a world cannot show itself in clips of these lengths."""
    motions = [motion for name in config.worlds if name in WORLDS for motion in WORLDS[name].motions]
    for what, given, known in (
        ("world", config.worlds, WORLDS),
        ("colour", config.colours, PALETTE),
        ("shape", config.shapes, SHAPES),
        ("background", config.backgrounds, BACKGROUNDS),
        ("motion", config.motions or motions, motions),
        ("look", (config.look,), LOOKS),
        ("camera", config.cameras, ("still", *CAMERAS)),
    ):
        unknown = [name for name in given if name not in known]
        if unknown or not given:
            wrong = f"there is no {what} '{unknown[0]}'" if unknown else f"no {what} is given"
            raise UsageError(f"{wrong}; choose from {', '.join(known)}.")
    if not (config.sizes and config.frames and config.objects and min(config.fps, *config.rates, 1.0) > 0):
        raise UsageError("sizes, frames and objects must not be empty, and fps and rates must be positive.")
    if config.look == "flat" and set(config.cameras) != {"still"}:
        raise UsageError("a plain background does not show how the camera moves; set look to 'shaded' as well.")
    for name in config.worlds:
        if (max(config.frames) - 1) / config.fps < WORLDS[name].shortest_s:
            shortest = WORLDS[name].shortest_s
            raise UsageError(
                f"the world '{name}' needs clips of at least {shortest} s to be seen; give frames of "
                f"{int(np.ceil(shortest * config.fps)) + 1} or more at {config.fps:g} fps, or leave it out."
            )
    if config.radii or config.speeds:
        drawn = {motion for name in config.worlds for motion in shown(config, name)}
        check_ranges(config.radii, config.speeds, drawn, alone=config.objects == (1,) and not config.spin)
    most = max(max(config.objects), max(WORLDS[name].things or 0 for name in config.worlds))
    if most > len(config.colours):
        raise UsageError(f"{most} objects need as many colours; give more colours than {len(config.colours)}.")


def need_ranges(config: WorldsConfig) -> None:
    """Raise UsageError if sizes and speeds are not drawn from ranges."""
    if not config.radii:
        raise UsageError("these worlds have no ranges of radii and speeds to be inside of; take the recipe phyworld.")


def shown(config: WorldsConfig, world: str) -> tuple[str, ...]:
    """Return the motions of a world that are configured."""
    return tuple(motion for motion in WORLDS[world].motions if motion in config.motions or not config.motions)


def lengths(config: WorldsConfig, motion: str) -> list[tuple[int, float]]:
    """Return the lengths in frames and the frames a second, of those configured, in which a motion can be seen.

    What leaves the frame is not seen in long clips where there are shorter ones.
    """
    world = WORLDS[world_of(motion)]
    every = [(count, fps) for fps, count in product((config.fps, *config.rates), config.frames)]
    seen = [(count, fps) for count, fps in every if (count - 1) / fps >= world.shortest_s]
    staying = [(count, fps) for count, fps in seen if (count - 1) / fps <= LEFT_S or motion not in world.leaving]
    return staying or seen


def draw_sample(config: WorldsConfig, rng: np.random.Generator, *, held_out: bool, image: bool = False) -> Sample:
    """Draw one clip of the training combinations or of those held out; an `image` is one frame of such a clip."""
    combination = _choose(rng, _evenly(config, held_out))
    world = WORLDS[world_of(combination.motion)]
    fine = not held_out and config.fine_sizes and rng.random() < config.fine_share
    width, height = _choose(rng, config.fine_sizes if fine else config.sizes)
    count, fps = _choose(rng, lengths(config, combination.motion))
    brief = Brief(
        motion=combination.motion,
        speed=_choose(rng, world.speeds),
        things=_things(config, rng, combination),
        background=combination.background,
        width=width / min(width, height),
        height=height / min(width, height),
        seconds=(count - 1) / fps,
        spin=config.spin,
    )
    camera = _camera(config, rng, combination.motion)
    scene = _staged(_scene(config, rng, brief), rng, brief, config.look, camera)
    states = simulate(scene, count, fps)
    if image:
        # Before anything happens that an image could not be told from its caption.
        last = count if scene.event_s is None else max(1, int(scene.event_s * fps))
        moment = int(rng.integers(last))
        states = states[moment : moment + 1]
    return _sample(scene, states, width, height, fps, image=image)


@lru_cache(maxsize=8)
def _evenly(config: WorldsConfig, held_out: bool) -> tuple[Combination, ...]:
    """Return the combinations of a split, those of worlds with fewer shapes repeated: no motion is rarer for that."""
    combinations = split_combinations(config)[int(held_out)]
    own = {c: WORLDS[world_of(c.motion)].shapes for c in combinations}
    return tuple(c for c in combinations for _ in range(len(config.shapes) // len(own[c] or config.shapes) or 1))


def evaluation_prompts(
    config: WorldsConfig, count: int, seed: int, among: Sequence[Combination] | None = None
) -> list[EvaluationPrompt]:
    """Return `count` prompts of held-out combinations, all before any twice, evenly over sizes.

    Each is of the longest clip that shows it. `among` are some of the held-out combinations, None all of them.

    Raises:
        KinoraError: if the configuration holds nothing out.
    """
    held = split_combinations(config)[1] if among is None else among
    if not held:
        raise KinoraError("no combination is held out to evaluate on; set held_out of the worlds to 1 or more.")
    rng = np.random.default_rng(seed)
    order = np.concatenate([rng.permutation(len(held)) for _ in range(-(-count // len(held)))])[:count]
    prompts = []
    for index, choice in enumerate(order):
        combination = held[choice]
        world = WORLDS[world_of(combination.motion)]
        width, height = config.sizes[index % len(config.sizes)]
        frames, fps = max(lengths(replace(config, rates=()), combination.motion))
        brief = Brief(
            motion=combination.motion,
            speed=_choose(rng, world.speeds),
            things=_things(config, rng, combination),
            background=combination.background,
            width=width / min(width, height),
            height=height / min(width, height),
            seconds=(frames - 1) / fps,
        )
        camera = _camera(config, rng, combination.motion)
        scene = replace(_scene(config, rng, brief), camera=camera)
        prompts.append(
            EvaluationPrompt(describe(scene)[0], attributes(scene), width, height, frames, fps, seed + index)
        )
    return prompts


def simulate_prompt(prompt: EvaluationPrompt, config: WorldsConfig) -> np.ndarray:
    """Return the simulator's own clip of a prompt, `uint8 [T, H, W, 3]`."""
    said = prompt.attributes
    assert said.motion is not None, "evaluation prompts say everything"
    assert said.background is not None, "evaluation prompts say everything"
    brief = Brief(
        motion=said.motion,
        speed=said.speed,
        things=tuple((str(colour), str(shape)) for colour, shape in said.objects),
        background=said.background,
        width=prompt.width / min(prompt.width, prompt.height),
        height=prompt.height / min(prompt.width, prompt.height),
        seconds=(prompt.frames - 1) / prompt.fps,
        spin=config.spin,
    )
    rng = np.random.default_rng(prompt.seed)
    scene = _staged(_scene(config, rng, brief), rng, brief, config.look, said.camera or "still")
    return render(scene, simulate(scene, prompt.frames, prompt.fps), prompt.width, prompt.height)


def _scene(config: WorldsConfig, rng: np.random.Generator, brief: Brief) -> Scene:
    """Draw a scene of a brief: sizes and speeds as the world has them, or from the configured ranges."""
    if config.radii:
        return ranged_scene(rng, brief, config.radii, config.speeds)
    return WORLDS[world_of(brief.motion)].sample(rng, brief)


def _things(config: WorldsConfig, rng: np.random.Generator, combination: Combination) -> tuple[tuple[str, str], ...]:
    """Return the combination's object and, where there are several, others of other colours and configured shapes."""
    count = WORLDS[world_of(combination.motion)].things or _choose(rng, config.objects)
    others = [colour for colour in config.colours if colour != combination.colour]
    colours = [others[index] for index in rng.permutation(len(others))[: count - 1]]
    further = tuple((colour, _choose(rng, config.shapes)) for colour in colours)
    return ((combination.colour, combination.shape), *further)


def _camera(config: WorldsConfig, rng: np.random.Generator, motion: str) -> str:
    return "still" if motion in WORLDS[world_of(motion)].fixed else _choose(rng, config.cameras)


def _staged(scene: Scene, rng: np.random.Generator, brief: Brief, look: str, camera: str) -> Scene:
    """Return a scene with its look and camera; a flat one takes nothing from chance."""
    if look == "flat":
        return scene
    return replace(scene, look=look, texture=int(rng.integers(2**31)), camera=camera, seconds=brief.seconds)


def _sample(scene: Scene, states: np.ndarray, width: int, height: int, fps: float, *, image: bool) -> Sample:
    caption, short_caption = describe(scene, image=image)
    frames = render(scene, states, width, height)
    said = attributes(scene, image=image)
    return Sample(scene, states, frames, said, caption, short_caption, fps, camera_of(scene, states))


def _choose(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]
