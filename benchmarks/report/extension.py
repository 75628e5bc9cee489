"""Extending videos: three beginnings that lead to the same clip, and three ways in which it goes on."""

from benchmarks.reach.measures import step_between, steps
from benchmarks.report.studio import Section, Studio, Tile
from kinora.generation.request import Task

SEEDS = (1, 2, 3)


def make(studio: Studio) -> Section:
    """Extend one clip backward and forward with three seeds each."""
    (prompt,) = studio.prompts(1)
    given = studio.subject.simulated(prompt)
    shown, ratios = [], []
    for direction in ("backward", "forward"):
        tiles = []
        for seed in SEEDS:
            clip = studio.of(
                prompt, task=Task.EXTEND, video=given, frames=2 * len(given), seed=seed, direction=direction
            )
            join = len(given) if direction == "backward" else len(clip.frames) - len(given)
            ratios.append(step_between(clip.frames[join - 1], clip.frames[join]) / max(steps(given).max(), 1e-6))
            tiles.append(Tile(clip.frames, f"seed {seed}"))
        what = "its second half is given" if direction == "backward" else "its first half is given"
        caption = f"Extended {direction}: {what}. “{prompt.prompt}”, {prompt.width}×{prompt.height}."
        shown.append(studio.show(f"extension-{direction}", [tiles], prompt.fps, caption))
    found = f"{min(ratios):.2f} to {max(ratios):.2f}"
    note = f"The step at the join, against the largest inside the given clip: {found} times."
    return Section(shown, [note])
