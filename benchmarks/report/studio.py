"""What every section is made with: the model, its clips, and pictures of several clips beside each other.

Prompts and seeds stand in the sections' scripts. They were written before any clip was seen and are not chosen among.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from benchmarks import reach
from benchmarks.reach.options import Subject, tell
from evaluation.checkpoint import request
from evaluation.findings import ClipInput
from kinora.errors import KinoraError
from kinora.files import atomic_write
from kinora.generation import GeneratedClip
from kinora.progress import Progress
from kinora.worlds import EvaluationPrompt

DOCS = Path(__file__).parents[2] / "docs"
INK = (128, 136, 146, 255)  # between the ink of a light page and of a dark one; the paper is transparent
TILE, GAP, TEXT = 192, 12, 22  # pixels
QUALITY = 80


@dataclass(frozen=True)
class Options:
    """What is made, with which model, and where it goes.

    Attributes:
        sections: which sections are made; all if none is named.
        model: folder, address or name of a model version; the deployed one, or the one that comes with the package,
            if empty.
        work: work folder in which the studies ran.
        out: folder for clips and figures.
        page: page whose places are filled.
        side: a longer side in pixels that nothing exceeds, to try a section out; 0 makes the sizes as written.
    """

    sections: tyro.conf.Positional[tuple[str, ...]] = ()
    model: str = ""
    work: Path = Path("work")
    out: Path = DOCS / "media" / "report"
    page: Path = DOCS / "report.md"
    side: int = 0


@dataclass(frozen=True)
class Tile:
    """Frames `uint8 [T, H, W, 3]` and the words below them; one frame is an image."""

    frames: np.ndarray
    label: str = ""


@dataclass(frozen=True)
class Shown:
    """A picture of the page: its file beside the others, what it shows, and how that was made."""

    file: str
    caption: str


@dataclass
class Section:
    """What a script made: pictures, and lines of Markdown (paragraphs and tables) below them."""

    shown: list[Shown] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)


class Studio:
    """The model and the folder that pictures are written to."""

    def __init__(self, options: Options):
        self.options = options
        options.out.mkdir(parents=True, exist_ok=True)

    @cached_property
    def subject(self) -> Subject:
        """The model, its worlds and its held-out prompts."""
        return Subject(reach.options.Options(model=self.options.model))

    def clip(self, prompt: str, **options: Any) -> GeneratedClip:
        """Make one clip and show how far it is; options are those of `VideoGenerator`."""
        if size := options.get("size"):
            options["size"] = self.limited(*size)
        # Tried out with a model of few words, a script still runs; what is published has no word that is not known.
        options = {"allow_unknown_words": bool(self.options.side), **options}
        with Progress("generate", 1, "clips") as progress:
            return self.subject.generator(prompt, on_step=partial(tell, progress, 0), **options)

    def limited(self, width: int, height: int) -> tuple[int, int]:
        """Return a size, made smaller where it is too large for a trial."""
        shrink = min(1.0, (self.options.side or max(width, height)) / max(width, height))
        return max(16, round(width * shrink)), max(16, round(height * shrink))

    def prompts(self, count: int, *motions: str) -> list[EvaluationPrompt]:
        """Return the first held-out prompts of some motions, or of any, in the order of evaluation."""
        return self.subject.prompts(count, motions)

    def of(self, prompt: EvaluationPrompt, **options: Any) -> GeneratedClip:
        """Make the clip of an evaluation's prompt."""
        asked = request(prompt)
        options = {"frames": asked.frames, "fps": asked.fps, "seed": asked.seed, **options}
        return self.clip(asked.prompt, size=(asked.width, asked.height), **options)

    def show(
        self, name: str, rows: Sequence[Sequence[Tile]], fps: float, caption: str, *, tile: int = TILE,
        quality: int = QUALITY,
    ) -> Shown:  # fmt: skip
        """Write tiles in rows as an animated WebP, all in step, shorter ones resting on their last frame."""
        length = max(len(tile_.frames) for row in rows for tile_ in row)
        pictures = [sheet(rows, moment, tile) for moment in range(length)]
        file = f"{name}.webp"
        with atomic_write(self.options.out / file) as temporary:
            pictures[0].save(
                temporary, format="webp", save_all=True, append_images=pictures[1:], duration=round(1000 / fps), loop=0,
                quality=quality, method=4,
            )  # fmt: skip
        return Shown(file, caption)


def sheet(rows: Sequence[Sequence[Tile]], moment: int, side: int) -> Image.Image:
    """Lay out one moment of tiles of at most `side` pixels, each with its words below."""
    font = ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", 12)
    drawn = [[(_enlarged(tile.frames[: moment + 1][-1], side), tile.label) for tile in row] for row in rows]
    wide = max(max(picture.width, round(font.getlength(label))) for row in drawn for picture, label in row)
    labelled = [TEXT if any(label for _, label in row) else 0 for row in drawn]
    heights = [max(p.height for p, _ in row) + text for row, text in zip(drawn, labelled, strict=True)]
    columns = max(map(len, drawn))
    paper = Image.new("RGBA", (columns * (wide + GAP) - GAP, sum(heights) + GAP * (len(drawn) - 1)), (0, 0, 0, 0))
    draw, top = ImageDraw.Draw(paper), 0
    for row, height in zip(drawn, heights, strict=True):
        for column, (picture, label) in enumerate(row):
            left = column * (wide + GAP)
            paper.paste(picture, (left + (wide - picture.width) // 2, top))
            draw.text((left + wide // 2, top + picture.height + 4), label, INK, font, anchor="ma")
        top += height + GAP
    return paper


def _enlarged(frame: np.ndarray, side: int) -> Image.Image:
    """Return a frame with a longer side of at most `side`: whole pixels enlarged, larger frames made smaller."""
    picture, longest = Image.fromarray(frame), max(frame.shape[:2])
    if longest > side:
        size = tuple(max(1, round(length * side / longest)) for length in picture.size)
        return picture.resize(size, Image.Resampling.LANCZOS)
    factor = side // longest
    return picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)


def said(prompt: EvaluationPrompt) -> str:
    """Return what was asked for, in a few words."""
    return f"“{prompt.prompt}”, seed {prompt.seed}, {prompt.width}×{prompt.height}"


def inputs(clips: Sequence[GeneratedClip], asked: Sequence[EvaluationPrompt]) -> list[ClipInput]:
    """Return clips as the detectors take them."""
    pairs = enumerate(zip(clips, asked, strict=True))
    return [ClipInput(f"{number:03d}", clip.frames, clip.fps, prompt.prompt) for number, (clip, prompt) in pairs]


def table(rows: Sequence[dict[str, str]]) -> str:
    """Return rows as a Markdown table; numbers stand to the right."""
    columns = list(rows[0])
    lines = ["| " + " | ".join(columns) + " |", "|---|" + "---:|" * (len(columns) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row[c] for c in columns) + " |" for row in rows)])


def named(clip: GeneratedClip) -> str:
    """Return how a clip was made, in a few words."""
    frames, height, width = clip.frames.shape[:3]
    length = f", {frames} frames at {clip.fps:g} a second" if frames > 1 else ""
    return f"“{clip.prompt}”, seed {clip.metadata['seed']}, {width}×{height}{length}"


def study(work: Path, step: str) -> Path:
    """Return the folder of the newest comparison that a study left in a work folder.

    Raises:
        KinoraError: if there is none.
    """
    found = sorted(work.glob(f"pipeline/*/{step}/comparison/comparison.json"), key=lambda path: path.stat().st_mtime)
    if not found:
        name = step.removeprefix("compare-")
        raise KinoraError(
            f"{work} holds no finished {name}_study; run 'kinora pipeline run --pipeline {name}_study --work {work}'."
        )
    return found[-1].parent
