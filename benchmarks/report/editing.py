"""Video-to-video editing: one clip, another prompt, and the strength from little to all (SDEdit)."""

from dataclasses import replace

from benchmarks.reach.measures import psnr
from benchmarks.report.studio import Section, Studio, Tile, table
from evaluation.evaluator import judge
from evaluation.findings import ClipInput
from kinora.generation.request import Task
from kinora.worlds.language import sentences

STRENGTHS = (0.1, 0.3, 0.5, 0.7, 0.9)


def make(studio: Studio) -> Section:
    """Edit the colour and the background of a simulated clip."""
    (prompt,) = studio.prompts(1)
    worlds, said = studio.subject.worlds, prompt.attributes
    (_, shape), *others = said.objects
    colour = _next(worlds.colours, said.objects[0][0])
    changed = replace(said, objects=((colour, shape), *others), background=_next(worlds.backgrounds, said.background))
    wanted, given = sentences(changed)[0], studio.subject.simulated(prompt)
    tiles, rows = [Tile(given, "the input")], []
    for strength in STRENGTHS:
        size = (prompt.width, prompt.height)
        clip = studio.clip(wanted, task=Task.EDIT, video=given, size=size, frames=len(given), strength=strength,
                           fps=prompt.fps, seed=prompt.seed)  # fmt: skip
        parts = judge(ClipInput("edit", clip.frames, clip.fps, wanted))["prompt_mismatch"].parts
        right = {name: f"{parts.get(name, 0.0):.0%}" for name in ("colour", "background", "shape")}
        same = given if given.shape == clip.frames.shape else clip.frames
        rows.append({"strength": f"{strength}", "like the input, dB": f"{psnr(clip.frames, same):.1f}", **right})
        tiles.append(Tile(clip.frames, f"strength {strength}"))
    caption = f"“{prompt.prompt}” edited by “{wanted}”, seed {prompt.seed}, {prompt.width}×{prompt.height}."
    note = "How like the input each is, and how far it shows what the new prompt says:"
    return Section([studio.show("editing", [tiles], prompt.fps, caption, tile=144)], [note, table(rows)])


def _next(values, one):
    return values[(values.index(one) + 1) % len(values)] if one in values else values[0]
