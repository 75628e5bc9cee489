"""Who writes captions: one interface, what a recipe says of it, and the writer that it chooses."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np

from kinora.data.columns import LONGEST_CAPTION
from kinora.errors import UsageError

TRAINED, HF, OPENAI = "trained", "hf:", "openai:"
UNSURE = "unsure"  # what a writer is asked to answer where it cannot tell
PROMPT = (
    "These pictures are frames of one clip, in order. Describe it in one or two plain sentences: what is seen, what it "
    "looks like, where it is and how it moves. Say only what is visible, and nothing of frames or pictures. If you "
    f"cannot tell what is seen, answer only: {UNSURE.upper()}"
)
_LABEL = re.compile(r"^(?:the )?(?:caption|description|prompt|answer) ?: ?", re.IGNORECASE)
_MARKS = re.compile(r"\*\*|`|[\0-\x08\x0e-\x1f\x7f-\x9f]")  # of Markdown, and what is no text
_SORRY = re.compile(  # as models begin that were made to be polite
    r"(?:sorry|unfortunately|as an ai|"
    r"i(?:['’]?m| am)? (?:sorry|afraid|unable|not able|cannot|can['’]?t|can not|don['’]?t|do not))\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Written:
    """What was written for a clip: a caption, "" where the writer abstained, and how sure it was, 0..1."""

    caption: str
    confidence: float


class CaptionWriter(Protocol):
    """Writes captions, and says who it is.

    source: `captioner`, `hf` or `openai`, as `caption_source` has it.
    model: the digest of a captioner, or a model's name.
    prompt: what the model is told to do, "" for nothing.
    """

    source: str
    model: str
    prompt: str

    def write(self, clips: Sequence[np.ndarray], fps: Sequence[float]) -> list[Written]:
        """Write one caption for each clip `uint8 [T, H, W, 3]` of any size and length, T = 1 for an image.

        Args:
            clips: the frames of each.
            fps: frames a second of each, 0 of an image.

        Raises:
            KinoraError: if the writer cannot work.
        """


@dataclass(frozen=True)
class CaptionConfig:
    """How captions are written, and how prompts are put into their style.

    writer: "trained" (the pipeline's own captioner), "hf:FOLDER" or "hf:ORGANISATION/NAME" (a vision-language model,
        see `kinora.models.hf`), or "openai:MODEL" (at an endpoint that speaks as OpenAI's does).
    prompt: what a writer other than the trained one is told to do; "" for `PROMPT`, or for nothing where a model of
        transformers takes no instructions.
    rewrite: whether captions are also written for clips that have one by a person or a simulator, and kept beside it.
    confidence: the least, 0..1, with which a caption is kept; below it the clip stays without.
    frames: frames of a clip that such a writer sees, evenly spaced.
    side: pixels of their longer side, at most.
    most_tokens: of an answer.
    address: of the endpoint; "" for the environment's OPENAI_BASE_URL, or OpenAI's own.
    requests_a_minute, requests_at_once: what the endpoint is asked, at most.
    expander: the language model, named as a writer is, that puts prompts into the style of captions where they are not
        in the worlds' language; "" leaves them as they are.

    Raises:
        UsageError: if a value is none that can be.
    """

    writer: str = TRAINED
    prompt: str = ""
    rewrite: bool = False
    confidence: float = 0.0
    frames: int = 8
    side: int = 512
    most_tokens: int = 128
    address: str = ""
    requests_a_minute: float = 120.0
    requests_at_once: int = 4
    expander: str = ""

    def __post_init__(self) -> None:
        if self.writer != TRAINED and not _names_model(self.writer):
            raise UsageError(
                f"captions.writer is '{self.writer}'; give trained, hf:FOLDER, hf:ORGANISATION/NAME or openai:MODEL."
            )
        if self.expander and not _names_model(self.expander):
            raise UsageError(
                f"captions.expander is '{self.expander}'; give hf:FOLDER, hf:ORGANISATION/NAME or openai:MODEL."
            )
        if not 0 <= self.confidence <= 1:
            raise UsageError(f"captions.confidence is {self.confidence:g}; give a number from 0 to 1.")
        for name in ("frames", "side", "most_tokens", "requests_a_minute", "requests_at_once"):
            if getattr(self, name) <= 0:
                raise UsageError(f"captions.{name} is {getattr(self, name):g}; give 1 or more.")


@dataclass(frozen=True)
class CaptionMix:
    """Which of a clip's texts it is trained with, each time it is drawn, by shares 0..1 of those draws.

    written: of clips that have both, the share with what a caption writer wrote, not what a person or a simulator did:
        95 % is best in Betker et al., "Improving image generation with better captions" (2023), section 2.3.
    short: the share with the short form.

    Raises:
        UsageError: if one is no share.
    """

    written: float = 0.95
    short: float = 0.0

    def __post_init__(self) -> None:
        for name in ("written", "short"):
            if not 0 <= getattr(self, name) <= 1:
                raise UsageError(f"the share of {name} captions is {getattr(self, name):g}; give a number from 0 to 1.")

    @property
    def drawn(self) -> tuple[str, ...]:
        """The names of the texts that a clip may be trained with."""
        return ("caption", "written_caption", *(("short_caption", "written_short_caption") if self.short else ()))

    def choose(self, texts: Mapping[str, str], chances: tuple[float, float]) -> str:
        """Return the name of one of a clip's texts: `caption`, or another by the column of the clip table.

        Args:
            texts: `caption`, `short_caption`, `written_caption` and `written_short_caption`, "" where there is none;
                the first is what was written where nobody else said anything.
            chances: two numbers drawn from [0, 1).
        """
        written = texts["written_caption"]
        original = texts["caption"] if texts["caption"] != written else ""
        kind = "written_" if written and (not original or chances[0] < self.written) else ""
        short = f"{kind}short_caption"
        return short if texts[short] and chances[1] < self.short else f"{kind}caption"


# The module and the class of every kind of writer; imported when it is asked for.
WRITERS: dict[str, tuple[str, str]] = {
    TRAINED: ("kinora.captioning.trained", "TrainedWriter"),
    HF: ("kinora.captioning.hf", "HFWriter"),
    OPENAI: ("kinora.captioning.openai", "OpenAIWriter"),
}


def open_writer(config: CaptionConfig, captioner: str | Path | None = None) -> CaptionWriter:
    """Return the writer that a configuration chooses; `captioner` is the folder of the pipeline's own.

    Raises:
        UsageError: if it is the trained one and there is no captioner.
        KinoraError: if it cannot be loaded.
    """
    kind = next(kind for kind in WRITERS if config.writer.startswith(kind))
    if kind == TRAINED and captioner is None:
        raise UsageError("captions.writer is the trained captioner; give the folder of one.")
    module, name = WRITERS[kind]
    writer: CaptionWriter = getattr(import_module(module), name)(captioner if kind == TRAINED else config)
    return writer


def plain(answer: str) -> str:
    """Return what a model's answer says, on one line: without what it thought before, a label, and marks around it."""
    said = answer.rpartition("</think>")[2].partition("<think>")[0]
    said = _LABEL.sub("", " ".join(_MARKS.sub("", said).split()).strip("#_* "), count=1)
    quoted = len(said) > 1 and said[0] in '"“' and said[-1] in '"”'
    return said[1:-1].strip() if quoted else said


def whole_sentences(answer: str) -> str:
    """Return the sentences that an answer which was cut off has to their end."""
    return answer[: max(answer.rfind(mark) for mark in ".!?") + 1]


def written(answer: str, confidence: float) -> Written:
    """Return a model's answer as a caption on one line; none where it is empty, or says that it cannot tell."""
    caption = plain(answer)
    unsure = caption.lower().startswith(UNSURE) or UNSURE.upper() in caption
    if not caption or unsure or _SORRY.match(caption):
        return Written("", 0.0)
    if len(caption) > LONGEST_CAPTION:
        caption = caption[:LONGEST_CAPTION].rpartition(" ")[0]
    return Written(caption, min(1.0, max(0.0, confidence)))


def some_frames(frames: np.ndarray, count: int, side: int) -> list[np.ndarray]:
    """Return at most `count` evenly spaced frames of `uint8 [T, H, W, 3]`, no longer than `side` pixels.

    A single one is from the middle.
    """
    last = len(frames) - 1
    places = np.linspace(0, last, min(count, len(frames))) if count > 1 else np.array([last / 2])
    scale = side / max(frames.shape[1:3])
    some = [frames[place] for place in places.round().astype(int)]
    if scale >= 1:
        return some
    height, width = (max(1, round(length * scale)) for length in frames.shape[1:3])
    return [cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA) for frame in some]


def _names_model(name: str) -> bool:
    return any(name.startswith(prefix) and len(name) > len(prefix) for prefix in (HF, OPENAI))
