"""Connecting videos: two clips of different subjects and scenes, and a gradual way from one to the other."""

from dataclasses import replace

from benchmarks.reach.measures import steps
from benchmarks.report.studio import Section, Studio, Tile, said
from kinora.generation.request import Task

PAIRS = 2


def make(studio: Studio) -> Section:
    """Connect simulated clips of held-out prompts, two and two."""
    rows, told, ratios = [], [], []
    asked = studio.prompts(2 * PAIRS)
    for one, other in zip(asked[::2], asked[1::2], strict=True):
        first = studio.subject.simulated(one)
        second = studio.subject.simulated(replace(other, width=one.width, height=one.height))
        frames = 2 * len(first) + len(second)
        made = studio.of(one, task=Task.CONNECT, video=first, to_video=second, frames=frames).frames
        between = steps(made[len(first) - 1 : len(made) - len(second) + 1]).max()
        ratios.append(between / max(steps(first).max(), steps(second).max(), 1e-6))
        rows.append([Tile(first, "the first"), Tile(made, "connected"), Tile(second, "the second")])
        told.append(f"{said(one)} to “{other.prompt}”, {frames} frames")
    found = ", ".join(f"{ratio:.2f}" for ratio in ratios)
    note = f"The largest step between, against the largest inside the two: {found} times."
    return Section([studio.show("connection", rows, asked[0].fps, f"{'; '.join(told)}.")], [note])
