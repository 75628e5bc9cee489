"""The pipeline's own captioner: how right it is, of how much it speaks, and what it says of clips that it never saw.

python -m benchmarks.captioner --footage FOLDER

On the simulated worlds of recipes, held-out combinations by attribute, and how many of the captions that it says are
wrong. With a folder of real clips: what the captioners of these worlds say of them, and one that learned from their own
captions of those that were kept from it.
"""

import argparse
import resource
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from kinora import recipes
from kinora.captioning.accuracy import ATTRIBUTES, content_words, unfounded_words
from kinora.captioning.trained import Draft, TrainedWriter, draft, strangeness
from kinora.data.clips import ClipDataset
from kinora.data.ingest.config import SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.models.captioner import sample_frames
from kinora.training.captioner import train_captioner
from kinora.worlds.language import BRUSH, PADDLE, SOLIDS, WALL
from kinora.worlds.scene import SHAPES

# Clips enough for the attributes of the worlds, whose recipe need not caption at all.
CLIPS = {"tiny": SimulatedClips(2400, 900), "reference": SimulatedClips(4500, 900, 1.0)}
THINGS = (*SHAPES, *SOLIDS.values(), WALL, BRUSH, PADDLE)  # that the worlds are made of
SHOWN = 80  # characters of a caption in a table


def main() -> None:
    """Measure, and print the section of docs/benchmarks.md."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--recipes", nargs="*", default=["tiny", "reference"], choices=list(CLIPS))
    options.add_argument("--footage", type=Path, help="a folder of real clips, with captions by people")
    options.add_argument("--keep", type=Path, help="where the datasets and captioners stay, to look at")
    chosen = options.parse_args()
    print(measure(chosen.recipes, chosen.footage, chosen.keep))


def measure(names: Sequence[str] = ("tiny", "reference"), footage: Path | None = None, keep: Path | None = None) -> str:
    """Return the benchmark as a section of Markdown; `keep` is a folder that everything stays in."""
    with tempfile.TemporaryDirectory() as temporary:
        work = keep or Path(temporary)
        figures = {name: worlds(name, work) for name in names}
        lines = ["## The captioner", "", *(table(_rows(figures)) if figures else [])]
        if footage is not None:
            lines += ["", *real_clips(names, footage, work)]
    return "\n".join(lines) + "\n"


def worlds(name: str, work: Path) -> dict[str, float]:
    """Train on the worlds of a recipe; return the metrics, and the seconds of processor time that it took."""
    recipe = recipes.get(name)
    dataset = ingest("worlds", work / f"{name}-clips", replace(recipe.ingest, simulated=CLIPS[name]))
    began = _processor_seconds()
    captioner = work / f"{name}-captioner"
    metrics = train_captioner(dataset, captioner, recipe.captioner, worlds=recipe.ingest.worlds).metrics
    return metrics | {"processor": _processor_seconds() - began}


def real_clips(names: Sequence[str], footage: Path, work: Path) -> list[str]:
    """Return what captioners say of real clips: those that know worlds, and one that learned from other clips."""
    recipe = recipes.get("tiny")
    dataset = ingest(str(footage), work / "footage", recipe.ingest)
    lines = [f"### Real clips: {len(dataset.clips)} of {dataset.clips['source'].nunique()} files", ""]
    for name in names:
        seen = ingest(str(footage), work / f"footage-{name}", recipes.get(name).ingest)
        foreign = TrainedWriter(work / f"{name}-captioner")
        lines += [f"Trained on the worlds of `{name}`:", "", *_what_it_says(foreign, seen, "all clips"), ""]
    own = train_captioner(dataset, work / "own-captioner", recipe.captioner, worlds=recipe.ingest.worlds)
    held = dataset.derive(
        work / "held-out", dataset.clips[dataset.clips["split"] == "validation"], dataset.quarantine, {}
    )
    return [
        *lines,
        "Trained on the captions of these clips:",
        "",
        *_what_it_says(TrainedWriter(own.path), held, "held out"),
    ]


def _what_it_says(writer: TrainedWriter, dataset: ClipDataset, which: str) -> list[str]:
    """Return tables of what it says of the clips of a dataset, and of what its network would."""
    records = dataset.clips.to_dict("records")
    clips = list(dataset.read_rows(records))
    written = writer.write(clips, [row["fps"] for row in records])
    config = writer.captioner.config
    drafts = draft(
        writer.captioner, [sample_frames(c, row["fps"], config) for c, row in zip(clips, records, strict=True)]
    )
    truths = [row["caption"] for row in records]
    said = [one.caption for one in written]
    rows = [
        _counted("the network, sure or not", [one.caption for one in drafts], truths, which),
        _counted("what it says", said, truths, which),
    ]
    first = {row["source"]: place for place, row in reversed(list(enumerate(records)))}
    every = [
        {
            "file": Path(source).name,
            "says": _cut(said[place]) or "nothing",
            "network": _cut(drafts[place].caption),
            "sure": f"{drafts[place].confidence:.0%}",
            **_strangeness(writer, drafts[place]),
            "by a person": _cut(truths[place]),
        }
        for source, place in sorted(first.items())
    ]
    reason = f"It never speaks: {writer.silence}." if writer.silence else "The first clip of every file:"
    return [*table(rows), "", reason, "", *table(every)]


def _counted(who: str, captions: Sequence[str], truths: Sequence[str], which: str) -> dict[str, str]:
    pairs = [(caption, truth) for caption, truth in zip(captions, truths, strict=True) if caption]
    shapes, things = (set().union(*map(content_words, names)) for names in (SHAPES, THINGS))
    unfounded = [set(unfounded_words(*pair)) for pair in pairs]
    return {
        "": who,
        "clips": f"{len(captions)}, {which}",
        "captions": str(len(pairs)),
        "with a shape that nobody saw": str(sum(bool(shapes & words) for words in unfounded)),
        "with a thing of the worlds that nobody saw": str(sum(bool(things & words) for words in unfounded)),
        "content words that the person's has": _share(
            [word in content_words(truth) for caption, truth in pairs for word in content_words(caption)]
        ),
    }


def _rows(figures: dict[str, dict[str, float]]) -> list[dict[str, str]]:
    """Return the figures of the worlds, a column for each recipe."""
    rows = [{"attribute right, on held-out combinations": name} for name in ATTRIBUTES]
    rows += [
        {"attribute right, on held-out combinations": name} for name in ("captions said", "of those wrong", "time")
    ]
    for recipe, metrics in figures.items():
        for row in rows[: len(ATTRIBUTES)]:
            name = row["attribute right, on held-out combinations"]
            row[recipe] = f"{metrics[f'accuracy_{name}']:.1%}" if f"accuracy_{name}" in metrics else "not shown"
        rows[-3][recipe] = f"{metrics['coverage']:.1%}"
        rows[-2][recipe] = f"{metrics['spoken_wrong']:.1%}" if "spoken_wrong" in metrics else "none said"
        rows[-1][recipe] = f"{metrics['processor']:.0f} s"
    return rows


def table(rows: Sequence[dict[str, str]]) -> list[str]:
    """Return rows as a table of Markdown."""
    columns = list(rows[0])
    cells = [[row[name].replace("|", "\\|") for name in columns] for row in rows]
    return [f"| {' | '.join(line)} |" for line in (columns, ["---"] * len(columns), *cells)]


def _strangeness(writer: TrainedWriter, one: Draft) -> dict[str, str]:
    """Return its distance in limits, and by how much it looks more foreign than its limit, in nats."""
    if writer.silence:
        return {"distance": "", "foreign": ""}
    (far, foreign), (farthest, most) = strangeness(writer.familiar, [one])[0], writer.calibration.limits
    return {"distance": f"{far / farthest:.1f} x", "foreign": f"{foreign - most:+.1f}"}


def _cut(caption: str) -> str:
    return caption if len(caption) <= SHOWN else f"{caption[:SHOWN].rpartition(' ')[0]} ..."


def _share(values: Sequence[bool]) -> str:
    return f"{np.mean(values):.0%}" if values else ""


def _processor_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
