"""Prompting with images: the first frame, the last frame, or both, from the simulator's clips of held-out prompts."""

from benchmarks.report.studio import Section, Studio, Tile, said
from kinora.generation.request import Task

COUNT = 2


def make(studio: Studio) -> Section:
    """Animate the same images in three ways, beside the simulator's own clip."""
    rows, asked = [], studio.prompts(COUNT)
    for prompt in asked:
        truth = studio.subject.simulated(prompt)
        given = {
            "first frame given": {"image": truth[0]},
            "last frame given": {"last_image": truth[-1]},
            "both given": {"image": truth[0], "last_image": truth[-1]},
        }
        made = [Tile(studio.of(prompt, task=Task.IMAGE, **images).frames, name) for name, images in given.items()]
        rows.append([Tile(truth[:1], "the first frame"), *made, Tile(truth[-1:], "the last frame")])
    told = "; ".join(map(said, asked))
    return Section([studio.show("image-prompts", rows, asked[0].fps, f"{told}.", tile=144)])
