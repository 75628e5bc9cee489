"""Prompts that training never saw, by attribute and by world, and prompts for three objects.

python -m benchmarks.reach.prompts
"""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.reach.figures import Figure, share
from benchmarks.reach.options import Subject, run, three_objects
from evaluation.checkpoint import generate_clips, judge_prompts
from evaluation.findings import ClipInput
from kinora.worlds import EvaluationPrompt

TITLE = "Prompts unseen"
COUNT = 128
THREE = 4  # one prompt for three objects to so many others
ATTRIBUTES = {"colour_right": 0.98, "exactly_prompted": 0.95, "shape_right": 0.95, "motion_right": 0.90}
THREE_RIGHT = 0.80


def measure(subject: Subject) -> list[Figure]:
    """Return the rates by attribute, over all worlds and in each, and those of three objects.

    Those of the simulator's own clips say what the judge lets pass of clips that are right.
    """
    prompts = subject.prompts(subject.options.count or COUNT)
    records = generated(subject, prompts)
    figures = rates("", records, ATTRIBUTES)
    figures += rates("the simulator's own clips: ", simulated(subject, prompts), dict.fromkeys(ATTRIBUTES))
    for world in subject.worlds.worlds:
        mine = [record for record in records if record["world"] == world]
        if mine:
            figures += rates(f"{world}: ", mine, ATTRIBUTES)
    changes = three_objects(subject.worlds)
    if changes["worlds"]:
        prompts = subject.prompts(-(-len(prompts) // THREE), **changes)
        own = simulated(subject, prompts)
        figures += rates("three objects: ", generated(subject, prompts), dict.fromkeys(ATTRIBUTES, THREE_RIGHT))
        figures += rates("three objects, the simulator's own clips: ", own, dict.fromkeys(ATTRIBUTES))
    return figures


def generated(subject: Subject, prompts: Sequence[EvaluationPrompt]) -> list[dict[str, Any]]:
    """Return the judged records of one clip of the model a prompt."""
    clips = generate_clips(subject.generator, prompts)
    return list(judge_prompts(clips, prompts, subject.version.name)["clips"])


def simulated(subject: Subject, prompts: Sequence[EvaluationPrompt]) -> list[dict[str, Any]]:
    """Return the judged records of the simulator's own clip of every prompt."""
    clips = (ClipInput(f"{n:03d}", subject.simulated(p), p.fps, p.prompt) for n, p in enumerate(prompts))
    return list(judge_prompts(clips, prompts, "simulator")["clips"])


def rates(of: str, records: Sequence[dict[str, Any]], targets: Mapping[str, float | None]) -> list[Figure]:
    """Return one share an attribute; a clip that does not ask for the attribute is not counted."""
    figures = []
    for metric, target in targets.items():
        right = [r["rates"][metric] == 1.0 for r in records if r["rates"][metric] is not None]
        if right:
            figures.append(share(f"{of}{metric.replace('_', ' ')}", right, target))
    return figures


if __name__ == "__main__":
    run("prompts", TITLE, measure)
