"""Language understanding: short prompts expanded to descriptive captions before sampling, and not."""

from dataclasses import replace

from benchmarks.report.studio import Section, Studio, Tile, inputs, table
from evaluation.checkpoint import judge_prompts
from evaluation.rates import METRICS
from evaluation.report_tables import METRIC_LABELS
from kinora.worlds.language import sentences

PROMPTS, SEED = ("red ball falls", "blue cube", "a green triangle"), 1
COUNT = 12  # held-out prompts in their short form, judged both ways


def make(studio: Studio) -> Section:
    """Make the clips, and judge the short forms of held-out prompts both ways."""
    ways, columns, told = {"as written": False, "expanded": True}, [], []
    for prompt in PROMPTS:
        made = {name: studio.clip(prompt, seed=SEED, expand=expand) for name, expand in ways.items()}
        columns.append([Tile(clip.frames, f"{name}: {prompt}") for name, clip in made.items()])
        told.append(f"“{prompt}” becomes “{made['expanded'].metadata['sampled']}”")
    rows = [list(row) for row in zip(*columns, strict=True)]
    shown = studio.show("captions", rows, studio.subject.generator.usual.fps, f"{'; '.join(told)}. Seed {SEED}.")
    asked, rates = studio.prompts(2 if studio.options.side else COUNT), {}
    for name, expand in ways.items():
        short = [replace(prompt, prompt=sentences(prompt.attributes)[1]) for prompt in asked]
        # Short forms have words ("down") that only their expansions say as the captions of training do.
        clips = [studio.of(prompt, expand=expand, allow_unknown_words=True) for prompt in short]
        rates[name] = judge_prompts(inputs(clips, asked), asked, name)["rates"]
    figures = [
        {"": METRIC_LABELS.get(metric, metric), **{name: f"{own[metric]:.0%}" for name, own in rates.items()}}
        for metric in METRICS[:6]
    ]
    note = f"{len(asked)} held-out prompts in their short form, one clip each, both ways with the same seeds:"
    return Section([shown], [note, table(figures)])
