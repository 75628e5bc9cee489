"""The model card of a version: what it was trained on, by which recipe, what it scores, where it fails, how to make it
again (Mitchell et al., "Model Cards for Model Reporting", 2019).

It is made from the version's own parts and records alone, so that the same version has the same card everywhere; it is
the README.md of the version's folder, and its report shows the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from safetensors import safe_open

from kinora.config import read_json
from kinora.models.text_encoder import SPECIAL
from kinora.numbers import count, share

PARTS = {
    "vae": "the autoencoder: videos and images to latents and back",
    "dit": "the text encoder and the diffusion transformer (averaged weights)",
    "captioner": "the captioner: describes clips",
}
MOST_WORDS = 200  # of a vocabulary that a card names
Rows = tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class Section:
    """A heading and what stands below it: paragraphs, a table (one mapping a row), a command."""

    title: str
    text: tuple[str, ...] = ()
    table: Rows = ()
    command: str = ""


def model_card(
    folder: Path, recipe: Mapping[str, Any], evaluation: Mapping[str, Any], lineage: Mapping[str, Any]
) -> list[Section]:
    """Return the card of the models in `folder`; what the records do not say is left out.

    Args:
        folder: a version's folder, with its parts.
        recipe: the resolved recipe.
        evaluation: the `evaluation.json` of the checkpoint.
        lineage: see `write_version`.
    """
    sections = [_parts(folder), _data(lineage), _recipe(recipe, lineage), _scores(evaluation, lineage)]
    sections += [_worlds(evaluation)] if len(evaluation.get("by_world") or {}) > 1 else []
    return [*sections, _failures(evaluation), _limits(folder, recipe, evaluation), _again(lineage)]


def card_markdown(sections: Sequence[Section]) -> str:
    """Return the card as Markdown."""
    blocks = [
        "# Model card",
        "A video world simulator made by Kinora: it makes a video of a prompt, and maybe an image or a video. The "
        "folder's name is the beginning of the digest of all that is in it, this card too.",
    ]
    for section in sections:
        blocks += [f"## {section.title}", *section.text]
        if section.table:
            columns = list(section.table[0])
            lines = [columns, ["---"] * len(columns), *([row[c] for c in columns] for row in section.table)]
            blocks.append("\n".join(f"| {' | '.join(cell.replace('|', '/') for cell in line)} |" for line in lines))
        if section.command:
            blocks.append(f"```\n{section.command}\n```")
    return "\n\n".join(blocks) + "\n"


def _parts(folder: Path) -> Section:
    rows = [
        {"part": part, "what it is": what, "parameters": f"{_parameters(folder / part):,}"}
        for part, what in PARTS.items()
    ]
    return Section("What it holds", table=tuple(rows))


def _parameters(folder: Path) -> int:
    total = 0
    for path in sorted(folder.glob("*.safetensors")):
        with safe_open(path, framework="numpy") as tensors:
            total += sum(prod(tensors.get_slice(name).get_shape()) for name in tensors.keys())  # noqa: SIM118
    return total


def _data(lineage: Mapping[str, Any]) -> Section:
    data, text = lineage.get("data", {}), []
    if data:
        text.append(
            f"{count(data['videos'], 'video')} ({data['seconds']:,.0f} s in all) and {count(data['images'], 'image')}; "
            f"{count(data['train'], 'clip')} to learn from, {count(data['validation'], 'clip')} held out."
        )
        writers = {
            "simulator": "the simulator that drew them",
            "human": "people",
            "captioner": "the captioner, so they repeat its mistakes",
            "hf": "a vision-language model, so they repeat its mistakes",
            "openai": "a vision-language model behind an endpoint, so they repeat its mistakes",
            "": "none, of clips that it learned without words",
        }
        named = [
            f"{number:,} {'' if name == '' else 'by '}{writers[name]}"
            for name, number in data["captions"].items()
            if name in writers
        ]
        text += [f"Captions: {'; '.join(named)}."] if named else []
    if lineage.get("dataset"):
        text.append(f"The dataset's digest is `{lineage['dataset']}`.")
    return Section("What it was trained on", tuple(text))


def _recipe(recipe: Mapping[str, Any], lineage: Mapping[str, Any]) -> Section:
    sampling, transformer = recipe.get("sampling", {}), recipe.get("transformer", {})
    text = [f"The recipe `{recipe.get('name', 'unnamed')}`, every value of which is in `recipe.json`."]
    if "steps" in transformer and lineage.get("checkpoint"):
        text.append(f"Of {count(transformer['steps'], 'training step')}, the checkpoint `{lineage['checkpoint']}`.")
    if "steps" in sampling and "guidance" in sampling:
        text.append(f"A clip takes {count(sampling['steps'], 'sampling step')} with guidance {sampling['guidance']:g}.")
    if lineage.get("parent"):
        text.append(f"Training began from the weights with the digest `{lineage['parent']}`, not from nothing.")
    if lineage.get("code"):
        text.append(f"The digest of the code is `{lineage['code']}`.")
    return Section("By which recipe", (*text, *lineage.get("notes", ())))


def _scores(evaluation: Mapping[str, Any], lineage: Mapping[str, Any]) -> Section:
    rates, columns = evaluation.get("rates") or {}, _compared_with(evaluation)
    rows = [
        {"rate": name.replace("_", " "), "this model": f"{value:.1%}"}
        | {column: f"{best[name]:.1%}" if name in best else "–" for column, best in columns.items()}
        for name, value in sorted(rates.items(), key=lambda rate: (rate[0] != "overall", rate[0]))
    ]
    text = [_judged_by(evaluation)] if rows else []
    if lineage.get("rounded"):
        text.append(
            f"The weights were rounded to {lineage['rounded']['to']} afterwards: these are the scores of version "
            f"`{lineage['rounded']['from']}`, whose weights they were before."
        )
    if lineage.get("evaluator"):
        text.append(f"Only scores of the same evaluator compare: its digest is `{lineage['evaluator']}`.")
    return Section("What it scores", tuple(text), tuple(rows))


def _compared_with(evaluation: Mapping[str, Any]) -> dict[str, Mapping[str, float]]:
    """Return the rates of what a model is compared with, by name."""
    simulator = (evaluation.get("reference") or {}).get("rates") or {}
    baselines = evaluation.get("baselines") or {}
    named = {"held": "the last given frame, held still", "autoencoder": "the truth, through the autoencoder"}
    known = {column: baselines[name] for name, column in named.items() if name in baselines}
    return ({"the simulator itself": simulator} if simulator else {}) | known


def _judged_by(evaluation: Mapping[str, Any]) -> str:
    """Say on what the model was judged, and how."""
    clips = evaluation.get("clips", ())
    if not continued(evaluation):
        return f"On {count(len(clips), 'prompt')} that it was not trained on, one clip each; the best is 100%."
    counts = evaluation["compared"]
    words = {
        0: "",  # the sentence says it
        counts["clips"]: "Each was asked for with the caption that a person had written for it. ",
    }.get(counts["with_words"], f"For {counts['with_words']} of them a person had written a caption. ")
    return (
        f"{evaluation['sentence']} These are clips of {count(counts['sources'], 'file')} of the same footage that it "
        f"was not trained on, continued {counts['continuations']} times in all, each time with another seed. {words}"
        "Where, when and how much things move, and the pixels (appearance), are compared with what the clip shows, as "
        "Physics-IQ does (arXiv:2501.09038); the best is 100%."
    )


def continued(evaluation: Mapping[str, Any]) -> bool:
    """Say whether a model was judged by continuations of a person's own footage."""
    return evaluation.get("kind") == "continuation"


def _worlds(evaluation: Mapping[str, Any]) -> Section:
    """Return the rates of each world, and how well clips show what they are to show."""
    names = ("overall", "colour_right", "shape_right", "motion_right", "exactly_prompted")
    rows = []
    for world, row in evaluation["by_world"].items():
        values = {name: row["rates"].get(name) for name in names}
        shown = {n.replace("_", " "): "–" if value is None else f"{value:.0%}" for n, value in values.items()}
        rows.append({"world": world, "prompts": str(row["clips"])} | shown)
    abilities = [
        f"{name} {row['score']:.0%} ({count(row['measured'], 'clip')})"
        for name, row in (evaluation.get("abilities") or {}).items()
        if row["score"] is not None
    ]
    text = (f"Abilities, where 100% is as the simulator: {', '.join(abilities)}.",) if abilities else ()
    return Section("World by world", text, tuple(rows))


def _failures(evaluation: Mapping[str, Any]) -> Section:
    if continued(evaluation):
        text = (
            "Unknown: in footage no failures of physics or consistency were looked for, only agreement with the truth."
        )
        return Section("Where it fails", (text,))
    return _found_failures(evaluation)


def _found_failures(evaluation: Mapping[str, Any]) -> Section:
    types = (evaluation.get("summary") or {}).get("types") or {}
    found = sorted(types.items(), key=lambda item: (-item[1]["failed"], item[0]))
    rows = [
        {
            "failure": kind.replace("_", " "),
            "clips that fail": share(row["failed"], row["clips"]),
            "clips in which it could be measured": share(row["measurable"], row["clips"]),
        }
        for kind, row in found
        if row["measurable"] or row["failed"]
    ]
    text = ["A clip that shows nothing to measure, where there should be something, fails."] if rows else []
    unmeasured = [kind for kind, row in found if not row["measurable"] and not row["failed"]]
    unmeasured += (evaluation.get("evaluator") or {}).get("not_detected", [])
    if unmeasured:
        names = ", ".join(kind.replace("_", " ") for kind in unmeasured)
        text.append(f"Nothing is known about these, which could be measured in no clip: {names}.")
    return Section("Where it fails", tuple(text), tuple(rows))


def _limits(folder: Path, recipe: Mapping[str, Any], evaluation: Mapping[str, Any]) -> Section:
    ingest, text = recipe.get("ingest", {}), []
    sizes = ingest.get("worlds", {}).get("sizes")
    if continued(evaluation):
        side, rate = ingest.get("max_side"), ingest.get("fps")
        text.append(
            f"It learned clips of the footage at up to {side} pixels a side, {rate:g} frames a second and "
            f"{ingest.get('max_frames')} frames; at others it may do worse."
        )
    elif sizes:
        named = ", ".join(f"{width}x{height}" for width, height in sizes)
        most = ingest.get("max_frames")
        text.append(f"It learned clips of {named} pixels and at most {most} frames; at others it may do worse.")
    words = _vocabulary(folder)
    if words:
        named = ", ".join(words) if len(words) <= MOST_WORDS else "they are in `dit/config.json`"
        text.append(f"It knows {count(len(words), 'word')}: {named}. Any other word of a prompt means nothing to it.")
    elif continued(evaluation):
        text.append("It knows no words: no clip that it learned had a caption. Let it continue an image or a video.")
    text.append(
        "It makes what it was trained on. Asked for something else, it answers with something that it knows, and does "
        "not say so."
    )
    return Section("What to expect of it", tuple(text))


def _vocabulary(folder: Path) -> list[str]:
    path = folder / "dit" / "config.json"
    text = read_json(path).get("text", {}) if path.is_file() else {}
    return sorted(set(text.get("vocabulary", ())) - set(SPECIAL))


def _again(lineage: Mapping[str, Any]) -> Section:
    captions = lineage.get("data", {}).get("captions", {"simulator": 0})
    source = "worlds" if "simulator" in captions else "FOLDER"
    text = ["In this folder, with the code of that digest installed"]
    text[0] += ":" if source == "worlds" else ", and the same files in FOLDER:"
    command = f'kinora pipeline run --recipe custom --set "$(cat recipe.json)" --source {source}'
    return Section("How to make it again", tuple(text), command=command)
