"""Infinite loops: the last frame leads into the first, by construction."""

from benchmarks.reach.measures import step_between, steps
from benchmarks.reach.options import LASTING
from benchmarks.report.studio import Section, Studio, Tile, said

COUNT, SEED = 3, 1


def make(studio: Studio) -> Section:
    """Make loops of held-out prompts whose motion can go on for ever, where the model knows such."""
    tiles, told, asked = [], [], studio.prompts(COUNT, *LASTING)
    grid = studio.subject.generator.grid
    for prompt in asked:
        frames = max(2 * grid.frames, prompt.frames - prompt.frames % grid.frames)
        made = studio.of(prompt, frames=frames, loop=True).frames
        seam = step_between(made[-1], made[0]) / max(steps(made).max(), 1e-6)
        tiles.append(Tile(made, f"seam {seam:.2f}"))
        told.append(f"{said(prompt)}, {frames} frames")
    note = "The seam is the step from the last frame to the first, against the largest step inside the loop."
    return Section([studio.show("loop", [tiles], asked[0].fps, f"{'; '.join(told)}.")], [note])
