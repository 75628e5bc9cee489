"""What falls short: the clips of held-out prompts that the detectors judge worst, with what they found and where."""

from benchmarks.report.studio import Section, Studio, Tile, inputs, said, table
from evaluation.checkpoint import judge_prompts
from evaluation.findings import TYPES
from evaluation.overlay import annotated, failing_frames

COUNT, SHOWN = 32, 6


def make(studio: Studio) -> Section:
    """Make clips of held-out prompts, and show those of the lowest overall score beside the simulator's."""
    asked = studio.prompts(4 if studio.options.side else COUNT)
    clips = [studio.of(prompt) for prompt in asked]
    judged = judge_prompts(inputs(clips, asked), asked, "the model")
    order = sorted(range(len(asked)), key=lambda number: judged["clips"][number]["rates"]["overall"])[:SHOWN]
    tiles, rows = [], []
    for place, number in enumerate(order, start=1):
        record, prompt, frames = judged["clips"][number], asked[number], clips[number].frames
        own = studio.subject.simulated(prompt)
        tiles.append(Tile(annotated(frames, failing_frames(record, len(frames)), own, side=120), f"{place}"))
        found = sorted(record["failures"], key=lambda failure: -failure["score"])[:2]
        rows.append(
            {
                "": f"{place}. {said(prompt)}",
                "overall": f"{record['rates']['overall']:.0%}",
                "found": "; ".join(failure["explanation"] for failure in found) or "nothing located",
            }
        )
    caption = "The model's clip, the simulator's, and below them time: red where a failure lies."
    half = -(-len(tiles) // 2)
    halves = [row for row in (tiles[:half], tiles[half:]) if row]
    shown = studio.show("failures", halves, asked[0].fps, caption, tile=252)
    counts = [
        {"failure": f"{kind.replace('_', ' ')}: {TYPES[kind].meaning}", "clips": f"{row['failed']} of {row['clips']}"}
        for kind, row in judged["summary"]["types"].items()
    ]
    return Section([shown], [table(rows), f"All {len(asked)} clips, by type of failure:", table(counts)])
