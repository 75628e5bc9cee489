"""Prompts that training never saw, by attribute and by world, and prompts for three objects.

python -m benchmarks.reach.prompts
"""

from collections.abc import Sequence
from typing import Any

from benchmarks.reach.figures import Figure, share
from benchmarks.reach.options import Subject, run, three_objects
from evaluation.checkpoint import generate_clips, judge_prompts
from kinora.worlds import EvaluationPrompt

TITLE = "Prompts unseen"
COUNT = 128
THREE = 4  # one prompt for three objects to so many others
ATTRIBUTES = {"colour_right": 0.98, "exactly_prompted": 0.95, "shape_right": 0.95, "motion_right": 0.90}
THREE_RIGHT = 0.80


def measure(subject: Subject) -> list[Figure]:
    """Return the rates by attribute, over all worlds and in each, and those of three objects."""
    count = subject.options.count or COUNT
    records = judged(subject, subject.prompts(count))
    figures = rates("", records, ATTRIBUTES)
    for world in subject.worlds.worlds:
        mine = [record for record in records if record["world"] == world]
        if mine:
            figures += rates(f"{world}: ", mine, ATTRIBUTES)
    changes = three_objects(subject.worlds)
    if changes["worlds"]:
        three = judged(subject, subject.prompts(-(-count // THREE), **changes))
        figures += rates("three objects: ", three, dict.fromkeys(ATTRIBUTES, THREE_RIGHT))
    return figures


def judged(subject: Subject, prompts: Sequence[EvaluationPrompt]) -> list[dict[str, Any]]:
    """Return the judged records of one clip a prompt."""
    clips = generate_clips(subject.generator, prompts)
    return list(judge_prompts(clips, prompts, subject.version.name)["clips"])


def rates(of: str, records: Sequence[dict[str, Any]], targets: dict[str, float]) -> list[Figure]:
    """Return one share an attribute; a clip that does not ask for the attribute is not counted."""
    figures = []
    for metric, target in targets.items():
        right = [r["rates"][metric] == 1.0 for r in records if r["rates"][metric] is not None]
        if right:
            figures.append(share(f"{of}{metric.replace('_', ' ')}", right, target))
    return figures


if __name__ == "__main__":
    run("prompts", TITLE, measure)
