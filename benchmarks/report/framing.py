"""Improved framing and composition: native aspect ratios against square crops, from the last framing study."""

from benchmarks.report.studio import Section, Studio, Tile, study, table
from evaluation.rates import METRICS
from evaluation.report_tables import METRIC_LABELS
from evaluation.study import by_setting
from kinora.config import read_json
from kinora.media import read_video
from kinora.recipes.studies import NATIVE, SQUARE

LABELS = {SQUARE: "trained on square crops", NATIVE: "trained on native sizes"}


def make(studio: Studio) -> Section:
    """Show the kept prompts of sizes that a square crop cuts, and the share of the frames with the subject in view."""
    folder = study(studio.options.work, "compare-framing")
    found = read_json(folder / "comparison.json")
    cut = [number for number, prompt in enumerate(found["asked"]) if prompt["width"] != prompt["height"]]
    tiles, said = [], []
    for number in cut or range(len(found["asked"])):
        prompt = found["asked"][number]
        clips = {g: read_video(folder / "clips" / f"{number:03d}-{g}-seed-0.mp4")[0] for g in LABELS}
        tiles.append([Tile(frames, LABELS[group]) for group, frames in clips.items()])
        said.append(f"“{prompt['prompt']}”, seed {prompt['seed']}, {prompt['width']}×{prompt['height']}")
    rows = [[tile for pair in tiles[at : at + 2] for tile in pair] for at in range(0, len(tiles), 2)]
    shown = studio.show("framing", rows, found["asked"][0]["fps"], f"{'; '.join(said)}.", tile=160)
    trained, simulator = found["trainings"], found["simulator"]
    view = by_setting({name: one["in_view"] for name, one in trained.items()})
    lines = [{"": "subject whole and in view", **{LABELS[g]: view[g].text(".0%") for g in LABELS}}]
    for metric in METRICS:
        spread = by_setting({name: one["rates"][metric] for name, one in trained.items()})
        lines.append({"": METRIC_LABELS.get(metric, metric), **{LABELS[g]: spread[g].text(".0%") for g in LABELS}})
    note = (
        "Means over the seeds of training; in brackets the lowest and the highest. In the simulator's own clips of "
        f"these prompts the subject is whole and in view in {simulator['whole']:.0%} of the frames, in their middle "
        f"squares in {simulator['square']:.0%}."
    )
    return Section([shown], [found["sentence"], table(lines), note])
