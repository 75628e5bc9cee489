"""PhyWorld (Kang et al., ICML 2025, arXiv:2411.02385): does a model that continues clips obey the law that made them?

Balls move evenly, are thrown level, or run head-on into each other. A model trained on some ranges of sizes and speeds
continues first frames within these ranges and outside them, and the velocity of its balls is held against the truth:

    e = mean over balls and steps of |v - v'|,  v from the centres of coloured pixels, v' from the simulator's

in units of a tenth of the frame a second, as published; frames in which part of a ball is out of view do not count, nor
does what comes before a collision. Different: pixels are weighed by how much of them a ball covers, for our frames have
a sixteenth of theirs; the world is as `kinora.worlds.ranged` says, with collisions that lose a tenth of the
speed; one model learns all three; its first 5 frames are given, not 3; and a ball that is lost counts as `LOST`, where
the published code puts it at the frame's edge.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import binary_dilation

from evaluation.generating import Continues, generated
from evaluation.intervals import Mean, averaged
from kinora.config import to_dict
from kinora.errors import KinoraError, UsageError
from kinora.recipes.recipe import Recipe
from kinora.worlds import BACKGROUNDS, PALETTE, Sample, Scene, WorldsConfig, draw_sample
from kinora.worlds.sampling import need_ranges
from kinora.worlds.scene import TIME, X, Y

SEED = 720_000  # of clips and continuations: training draws its clips otherwise
Ranges = tuple[tuple[float, float], ...]  # (lowest, highest), one or more
UNITS = 10.0  # of the published frame in ours
SCENARIOS = {"uniform": "uniform motion", "ballistics": "parabola", "collision": "collision"}
INSIDE, OUTSIDE = "in", "out"
# Published, in its units: radii below 0.6 were left out of its figures, and so they are here.
RADII_OUTSIDE = ((1.5, 2.0),)
SPEEDS_OUTSIDE = ((0.0, 0.8), (4.5, 6.0))
LEVELS = ("radius", "speed", "both")  # what is outside
LOST = 6.0  # the speed of the fastest ball: to lose it is never better than to hold it still
FEWEST_STEPS = 4  # that can be measured in a clip
COVERED = 0.5  # of a pixel: from there on it is the ball's, and the pixels beside it are as far as they are covered
LEAST = 0.25  # of a ball's area that must have its colour
TRIES = 200  # clips drawn for each that is asked for, at most
SHOWN = 2  # clips of each scenario and level: the first that were drawn, whatever became of them
MADE_BY = ("model", "simulator", "autoencoder", "held")


@dataclass(frozen=True, eq=False)
class Question:
    """A clip to be continued from its first `given` frames: of a scenario, with `level` outside the ranges or "in"."""

    number: int
    scenario: str
    level: str
    sample: Sample
    given: int

    @property
    def range(self) -> str:
        """Whether sizes and speeds are inside the ranges of training or outside."""
        return INSIDE if self.level == INSIDE else OUTSIDE

    @property
    def speed(self) -> float:
        """The mean speed of the balls at the start, in published units."""
        return float(np.mean([np.hypot(body.vx, body.vy) for body in self.sample.scene.bodies])) * UNITS

    @property
    def radius(self) -> float:
        """The mean radius, in published units."""
        return float(np.mean([body.size for body in self.sample.scene.bodies])) * UNITS


class Errors(NamedTuple):
    """Of a clip: the mean error of the velocity at each step, that of the mean velocity (which trembling leaves as it
    is, and by which the published code judges even motion), and the share of steps in which all balls are found."""

    error: float
    of_mean: float
    found: float


@dataclass(frozen=True, eq=False)
class Laws:
    """What was measured.

    rows: a row a clip and `MADE_BY`: scenario, range, level, clip, speed, radius, made_by, and the `Errors`.
    shown: questions with the model's continuation, `uint8 [T, H, W, 3]`, the first of each scenario and level.
    speeds, radii: the ranges of training, in world units.
    """

    name: str
    rows: pd.DataFrame
    shown: list[tuple[Question, np.ndarray]]
    speeds: Ranges
    radii: Ranges
    given: int
    frames: int


def measure_laws(generator: Continues, worlds: WorldsConfig, given: int, name: str, clips: int, seed: int) -> Laws:
    """Let a model continue `clips` clips of each scenario inside its ranges, and as many outside.

    Args:
        generator: the model.
        worlds: what it was trained on.
        given: first frames that are given.
        name: of the model.
        clips: of each scenario and range.
        seed: of the clips and the continuations.

    Raises:
        UsageError: if its worlds have no ranges.
        KinoraError: if no clip of these worlds can be measured.
    """
    from kinora.generation import GenerationRequest, Task

    questions = draw_questions(worlds, given, clips, seed)
    requests = []
    for question in questions:
        truth, fps = question.sample.frames, question.sample.fps
        frames, height, width = truth.shape[:3]
        asked = GenerationRequest(
            "", width, height, frames, fps, seed + question.number, expand=False, task=Task.EXTEND, video=truth[:given]
        )
        requests.append(asked)
    made = generated(generator, requests)
    rows, shown, seen = [], [], Counter[tuple[str, str]]()
    for question, own in zip(questions, made, strict=True):
        truth = question.sample.frames
        held = np.concatenate([truth[:given], np.repeat(truth[given - 1 : given], len(truth) - given, axis=0)])
        versions = (own, truth, through_autoencoder(generator, truth), held)
        for made_by, frames in zip(MADE_BY, versions, strict=True):
            what = {name: getattr(question, name) for name in ("scenario", "range", "level", "speed", "radius")}
            errors = velocity_error(frames, question)
            rows.append({"clip": question.number, **what, "made_by": made_by, **errors._asdict()})
        seen[question.scenario, question.level] += 1
        if seen[question.scenario, question.level] <= SHOWN:
            shown.append((question, own))
    return Laws(name, pd.DataFrame(rows), shown, worlds.speeds, worlds.radii, given, max(worlds.frames))


def measure_checkpoint(autoencoder: Path, transformer: Path, recipe: Recipe) -> Laws:
    """Measure a checkpoint of the transformer that a recipe trained, with as many clips as its study says.

    Raises:
        UsageError: if its worlds have no ranges.
        KinoraError: if a folder is not there.
    """
    from kinora.generation import VideoGenerator
    from kinora.generation.generator import usual_format

    generator = VideoGenerator.load(autoencoder, transformer, recipe.sampling, usual_format(to_dict(recipe)))
    given = recipe.grid.shortest_video  # two latents: the fewest in which a speed can be seen
    return measure_laws(generator, recipe.ingest.worlds, given, transformer.name, recipe.study.laws, SEED)


def draw_questions(worlds: WorldsConfig, given: int, clips: int, seed: int) -> list[Question]:
    """Draw `clips` clips of each scenario of the worlds inside their ranges, and as many outside, each level in turn.

    Colours and motions are those of training: what is new in a clip is its size, its speed and its start.

    Raises:
        UsageError: if the worlds have no ranges.
        KinoraError: if no clip of these worlds can be measured.
    """
    need_ranges(worlds)
    radii, speeds = outside(worlds.radii, RADII_OUTSIDE), outside(worlds.speeds, SPEEDS_OUTSIDE)
    configs = {
        INSIDE: worlds,
        "radius": replace(worlds, radii=radii),
        "speed": replace(worlds, speeds=speeds),
        "both": replace(worlds, radii=radii, speeds=speeds),
    }
    wanted = {INSIDE: clips} | {level: len(range(place, clips, len(LEVELS))) for place, level in enumerate(LEVELS)}
    found: list[Question] = []
    for place, (level, config) in enumerate(configs.items()):
        rng, drawn = np.random.default_rng([seed, place]), Counter[str]()
        for _ in range(TRIES * clips * len(worlds.worlds)):
            if all(drawn[SCENARIOS[world]] >= wanted[level] for world in worlds.worlds):
                break
            sample = draw_sample(config, rng, held_out=False)
            question = Question(len(found), SCENARIOS[sample.scene.world], level, sample, given)
            if drawn[question.scenario] < wanted[level] and measured_steps(question).sum() >= FEWEST_STEPS:
                drawn[question.scenario] += 1
                found.append(question)
        else:
            raise KinoraError("too few clips of these worlds can be measured; give longer clips or narrower ranges.")
    return found


def outside(ranges: Ranges, published: Ranges) -> Ranges:
    """Return, in world units, the holes between `ranges`; where there are none, what of the published ones (in their
    units) lies below and above.

    Raises:
        UsageError: if nothing is left.
    """
    ordered = sorted(ranges)
    lowest, highest = ordered[0][0], ordered[-1][1]
    holes = [(below, above) for (_, below), (above, _) in pairwise(ordered)]
    beyond = [(low / UNITS, high / UNITS) for low, high in published]
    beyond = [(low, min(high, lowest)) for low, high in beyond] + [(max(low, highest), high) for low, high in beyond]
    left = tuple((low, high) for low, high in holes or beyond if low < high)
    if not left:
        raise UsageError("the ranges of radii or speeds leave nothing outside that is asked for; make them narrower.")
    return left


def measured_steps(question: Question) -> np.ndarray:
    """Return between which frames `[T - 1]` velocities count: new ones, with all balls whole in view, and where two
    collide after they did."""
    sample, scene = question.sample, question.sample.scene
    radii = np.array([body.size for body in scene.bodies])[None, :, None]
    place, extent = sample.states[:, :, [X, Y]], np.array([scene.width, scene.height])
    whole = ((place >= radii) & (place <= extent - radii)).all(axis=(1, 2))
    after = sample.states[:, 0, TIME] >= (scene.event_s or 0.0)
    frames = whole & after & (np.arange(len(whole)) >= question.given)
    steps: np.ndarray = frames[1:] & frames[:-1]
    return steps


def velocity_error(frames: np.ndarray, question: Question) -> Errors:
    """Return the errors of the velocities in a clip `uint8 [T, H, W, 3]`.

    A ball that is lost in a step counts as `LOST` there, or as its speed where that is higher.
    """
    sample, steps = question.sample, measured_steps(question)
    true = np.diff(sample.states[:, :, [X, Y]], axis=0)[steps] * sample.fps * UNITS
    seen = np.diff(centres(frames, sample.scene), axis=0)[steps] * sample.fps * UNITS
    found = ~np.isnan(seen).any(axis=-1, keepdims=True)  # [steps, balls, 1]
    off = np.where(found, seen - true, 0.0)
    lost = np.where(found[..., 0], 0.0, np.maximum(LOST, np.linalg.norm(true, axis=-1)))
    of_mean = np.linalg.norm(off.mean(axis=0), axis=-1) + lost.mean(axis=0)
    return Errors(
        float((np.linalg.norm(off, axis=-1) + lost).mean()), float(of_mean.mean()), float(found.all(axis=1).mean())
    )


def centres(frames: np.ndarray, scene: Scene) -> np.ndarray:
    """Return the mean place `[T, bodies, 2]` of the pixels of each body's colour, in world units; nan where it is lost.

    A pixel is a mixture of the background and the bodies' colours; its shares are those that explain it best. They
    weigh it where it is mostly the body's or beside such a pixel: elsewhere they are noise.
    """
    background = np.array(BACKGROUNDS[scene.background], dtype=float)
    colours = np.stack([PALETTE[body.colour] for body in scene.bodies], axis=1) - background[:, None]  # [3, bodies]
    shares = (frames - background) @ np.linalg.pinv(colours).T  # [T, H, W, bodies]
    near = binary_dilation(shares > COVERED, np.ones((1, 3, 3, 1)))
    weights = np.where(near, np.clip(shares, 0, 1), 0)
    height, width = frames.shape[1:3]
    unit = min(height, width)  # pixels
    across = (np.arange(width) + 0.5) / unit
    up = scene.height - (np.arange(height) + 0.5) / unit
    total = weights.sum(axis=(1, 2))
    areas = np.pi * np.array([body.size for body in scene.bodies]) ** 2 * unit**2
    with np.errstate(invalid="ignore", divide="ignore"):
        places = np.einsum("thwb,w->tb", weights, across) / total, np.einsum("thwb,h->tb", weights, up) / total
    found: np.ndarray = np.where((total >= LEAST * areas)[..., None], np.stack(places, axis=-1), np.nan)
    return found


def through_autoencoder(generator: Continues, truth: np.ndarray) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` as the model's autoencoder gives them back."""
    from kinora.media.tensors import to_frames, to_tensor

    latent = generator.vae.latents_of(to_tensor(truth)[None])
    return to_frames(generator.vae.video_of(latent, truth.shape[:3])[0])


def means(laws: Laws, column: str = "error") -> dict[tuple[str, str, str], Mean]:
    """Return the mean of a column by (made by, scenario, range), with intervals of 95 % over clips; none is below 0."""
    groups = laws.rows.set_index(pd.Index(laws.rows["clip"], name="base")).groupby(["made_by", "scenario", "range"])
    found = {(str(who), str(what), str(where)): averaged(group[column]) for (who, what, where), group in groups}
    return {key: replace(mean, low=max(0.0, mean.low)) for key, mean in found.items()}


def scenarios(laws: Laws) -> Sequence[str]:
    """Return the scenarios that were measured, in the published order."""
    there = set(laws.rows["scenario"])
    return [name for name in SCENARIOS.values() if name in there]
