"""With its strength, an edit moves away from its input and towards its prompt.

python -m benchmarks.reach.edit
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from benchmarks.reach.figures import Figure, mean, single
from benchmarks.reach.measures import step_between
from benchmarks.reach.options import Subject, run
from evaluation.checkpoint import request
from evaluation.evaluator import judge
from evaluation.findings import ClipInput
from kinora.generation.request import Task
from kinora.worlds import EvaluationPrompt, sentences

TITLE = "Edit"
COUNT = 8
STRENGTHS = (0.2, 0.4, 0.6, 0.8, 1.0)


def measure(subject: Subject) -> list[Figure]:
    """Return distance from the input and agreement with the prompt at each strength, and whether both rise."""
    distances, agreements = [], []
    for prompt in subject.prompts(subject.options.count or COUNT):
        source = subject.simulated(prompt)
        asked = another_colour(prompt, subject.worlds.colours)
        wanted = replace(request(asked), task=Task.EDIT, video=source)
        clips = [subject.make(replace(wanted, strength=strength)) for strength in STRENGTHS]
        distances.append([step_between(clip, source) for clip in clips])
        agreements.append([agreement(clip, asked) for clip in clips])
    figures = []
    for name, values, unit in (
        ("distance from the input", np.array(distances), "levels"),
        ("agreement with the prompt", np.array(agreements), "%"),
    ):
        means = values.mean(axis=0)
        figures += [mean(f"{name}, strength {s}", v, unit) for s, v in zip(STRENGTHS, values.T, strict=True)]
        rank = np.corrcoef(np.arange(len(means)), means.argsort().argsort())[0, 1]
        rises = bool((np.diff(means) >= 0).all() and means[-1] > means[0])
        figures.append(single(f"{name}: rank correlation with strength", rank, "", "1, never falling", rises))
    return figures


def another_colour(prompt: EvaluationPrompt, colours: Sequence[str]) -> EvaluationPrompt:
    """Return a prompt for the same scene with every object in the next colour."""
    objects = tuple(
        (colours[(colours.index(colour) + 1) % len(colours)] if colour else None, shape)
        for colour, shape in prompt.attributes.objects
    )
    said = replace(prompt.attributes, objects=objects)
    return replace(prompt, attributes=said, prompt=sentences(said)[0])


def agreement(clip: np.ndarray, asked: EvaluationPrompt) -> float:
    """Return how well a clip shows the prompt's objects in their colours: 1 - the score of `prompt_mismatch`."""
    score = judge(ClipInput("edit", clip, asked.fps, asked.prompt))["prompt_mismatch"].score
    return 0.0 if score is None else 1.0 - score


if __name__ == "__main__":
    run("edit", TITLE, measure)
