"""Emerging simulation capabilities, each on the world that shows it, beside the simulator's clip of the same prompt."""

from typing import Any

from benchmarks.report.studio import Section, Studio, Tile, inputs, said, table
from evaluation.checkpoint import judge_prompts
from kinora.generation import GeneratedClip
from kinora.worlds import WORLDS

ABILITIES = {
    "3-D consistency": "orbit",
    "permanence": "occlusion",
    "acting on the world": "painter",
    "digital worlds": "game",
}
COUNT = 8  # prompts of each world that are judged; the first is shown
RATES = ("exactly_prompted", "colour_right", "motion_right", "physics", "consistency")


def make(studio: Studio) -> Section:
    """Make and judge clips of the four worlds; a model that never saw one of them does not show it."""
    rows, told, figures, fps = [], [], [], 8.0
    for ability, world in ABILITIES.items():
        if world not in studio.subject.worlds.worlds:
            told.append(f"{ability}: this model was not trained on {world}")
            continue
        asked = studio.prompts(1 if studio.options.side else COUNT, *WORLDS[world].motions)
        clips = [studio.of(prompt) for prompt in asked]
        own = [GeneratedClip(studio.subject.simulated(p), p.fps, p.prompt) for p in asked]
        made, truth = (judge_prompts(inputs(some, asked), asked, world) for some in (clips, own))
        cells = {"the ability": f"{_shown(made)} ({_shown(truth)})"}
        for name in RATES:
            cells[name.replace("_", " ")] = f"{made['rates'][name]:.0%} ({truth['rates'][name]:.0%})"
        figures.append({"": f"{ability} ({world})", "clips": str(len(asked)), **cells})
        rows.append([Tile(clips[0].frames, ability), Tile(own[0].frames, "the simulator's")])
        told.append(f"{ability}: {said(asked[0])}")
        fps = asked[0].fps
    if not rows:
        return Section([], ["; ".join(told) + "."])
    halves = [rows[0] + rows[1], rows[2] + rows[3]] if len(rows) == len(ABILITIES) else rows
    shown = studio.show("abilities", halves, fps, "; ".join(told) + ".")
    note = "The model's rates, and in brackets those of the simulator's own clips:"
    return Section([shown], [note, table(figures)])


def _shown(judged: dict[str, Any]) -> str:
    """Return the score of the ability that the prompts call for."""
    scores = [f"{row['score']:.0%}" for row in judged["abilities"].values() if row["measured"]]
    return ", ".join(scores) or "not measured"
