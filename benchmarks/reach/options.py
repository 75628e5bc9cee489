"""What every script takes, and the model and the prompts that it measures with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from benchmarks.reach.figures import Figure, markdown, write
from evaluation.checkpoint import request
from kinora.config import from_dict, to_dict
from kinora.generation import GenerationRequest, ModelVersion, Registry, VideoGenerator, read_version
from kinora.generation.step import OnStep, Step
from kinora.progress import Progress
from kinora.storage import artifact_root
from kinora.worlds import WORLDS, EvaluationPrompt, WorldsConfig, evaluation_prompts, simulate_prompt

LASTING = ("around", "orbit right", "orbit left", "play")  # motions that go on for ever: what bounces comes to rest


@dataclass(frozen=True)
class Options:
    """How to measure.

    Attributes:
        model: folder, address or name of a model version; the deployed one, or the one that comes with the package,
            if empty.
        count: number of clips; the script's own if 0.
        seed: of the prompts, the scenes and the noise.
        out: folder for the figures as JSON.
    """

    model: str = ""
    count: int = 0
    seed: int = 0
    out: Path = Path("work/reach")


class Subject:
    """The model that is measured, and the worlds that it was trained on."""

    def __init__(self, options: Options):
        """Load the model version that the options name.

        Raises:
            KinoraError: if there is none.
        """
        self.options = options
        self.version = find_version(options.model)
        self.recipe = self.version.record("recipe")
        self.worlds = from_dict(WorldsConfig, self.recipe["ingest"]["worlds"])
        self.generator = VideoGenerator.from_version(self.version.path)

    def prompts(self, count: int, motions: Sequence[str] = (), **changes: Any) -> list[EvaluationPrompt]:
        """Return held-out prompts, only of some motions where any of those is held out; `changes` are of the worlds."""
        worlds = replace(self.worlds, **changes)
        some = [p for p in evaluation_prompts(worlds, 64 * count, self.options.seed) if p.attributes.motion in motions]
        return some[:count] if some else evaluation_prompts(worlds, count, self.options.seed)

    def simulated(self, prompt: EvaluationPrompt) -> np.ndarray:
        """Return the simulator's own clip of a prompt."""
        return simulate_prompt(prompt, self.worlds)

    def generate(self, prompts: Sequence[EvaluationPrompt], **changes: Any) -> list[np.ndarray]:
        """Return one clip a prompt, one at a time, and show how far they are; `changes` are of every request."""
        with Progress("generate", len(prompts), "clips") as progress:
            return [
                self.make(replace(request(prompt), **changes), on_step=partial(tell, progress, done))
                for done, prompt in enumerate(prompts)
            ]

    def make(self, wanted: GenerationRequest, on_step: OnStep | None = None) -> np.ndarray:
        """Return the clip of one request."""
        return self.generator.generate([wanted], on_step)[0]

    def reconstructed(self, frames: np.ndarray) -> np.ndarray:
        """Return frames through the autoencoder alone, repeated at the end up to a length that it takes, then cut."""
        from kinora.media.tensors import to_frames, to_tensor

        vae, missing = self.generator.vae, -(len(frames) - 1) % self.generator.grid.frames
        padded = np.concatenate([frames, np.repeat(frames[-1:], missing, axis=0)])
        video = to_tensor(padded)[None].to(self.generator.device)
        return to_frames(vae.video_of(vae.latents_of(video), padded.shape[:3])[0])[: len(frames)]


def tell(progress: Progress, done: int, step: Step) -> None:
    """Show a step of the clip after the `done` ones."""
    progress.update(done + step.done // step.steps, step=step.done, of=step.steps)


def find_version(name: str) -> ModelVersion:
    """Return the model version of a folder, an address or a name."""
    return read_version(name) if name and Path(name).is_dir() else Registry(artifact_root()).find(name)


def three_objects(worlds: WorldsConfig) -> dict[str, Any]:
    """Return the changes to `worlds` that make every prompt one of three objects."""
    return {"objects": (3,), "worlds": tuple(name for name in worlds.worlds if WORLDS[name].things is None)}


Measure = Callable[[Subject], list[Figure]]


def report(name: str, title: str, measure: Measure, options: Options, subject: Subject | None = None) -> str:
    """Measure one row, write its JSON and return it as Markdown."""
    subject = subject or Subject(options)
    figures = measure(subject)
    settings = to_dict(replace(options, model=subject.version.name, out=Path()))
    write(options.out / f"{name}.json", name, figures, settings)
    return markdown(title, figures)


def run(name: str, title: str, measure: Measure) -> None:
    """Be the command line of one script."""
    print(report(name, title, measure, tyro.cli(Options)))
