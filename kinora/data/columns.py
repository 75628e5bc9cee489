"""The columns of a clip dataset's tables, by name, with the type that pandas knows them by."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

INSTANT = "datetime64[us, UTC]"
CLIP_COLUMNS: dict[str, str] = {
    "clip_id": "object",  # sha256 of the media file's bytes
    "uri": "object",  # relative to the dataset's folder, or absolute: file:// or s3://
    "kind": "object",  # video | image
    "width": "int64",  # pixels
    "height": "int64",
    "frames": "int64",  # an image has one
    "fps": "float64",  # 0 for an image
    "duration_s": "float64",
    "source": "object",  # the input it was made from
    "source_start_s": "float64",  # where in that input it starts
    "observed_at": INSTANT,  # when the input was first ingested
    "caption": "object",  # a person's or the simulator's; else the one that was written; "" where there is none
    "short_caption": "object",
    "caption_source": "object",  # human | simulator | captioner | hf | openai | "" where there is no caption
    "caption_model": "object",  # what wrote it: the digest of a captioner, or the name of a model
    "caption_prompt": "object",  # what that was told to do
    "caption_confidence": "float64",  # 0..1: 1 for people and simulators, 0 where there is no caption
    "written_caption": "object",  # what was written for the clip, also beside a person's caption
    "written_short_caption": "object",
    "brightness": "float64",  # curation scores: see `kinora.data.curation`
    "contrast": "float64",
    "motion": "float64",
    "sharpness": "float64",
    "flow": "float64",  # mean optical-flow speed, frame diagonals a second
    "still_share": "float64",  # of frame steps in which nothing changes
    "clipped": "float64",  # share of pixels black or white
    "bars": "float64",  # share of the picture that is letterbox
    "text": "float64",  # share of the picture under overlaid text
    "split": "object",  # train | validation
}
QUARANTINE_COLUMNS: dict[str, str] = {
    "source": "object",
    "source_start_s": "float64",
    "reason": "object",  # a code, such as undecodable or duplicate
    "explanation": "object",  # one sentence
    "uri": "object",  # the media of a clip that was made and then dropped, "" of others
}
CAPTION_COLUMNS: dict[str, str] = {
    "clip_id": "object",
    "caption": "object",  # "" where the writer abstained
    "short_caption": "object",
    "caption_source": "object",
    "caption_model": "object",
    "caption_prompt": "object",
    "caption_confidence": "float64",
    "written_at": INSTANT,
}
LONGEST_CAPTION = 2000  # characters


def defaults(columns: Mapping[str, str]) -> dict[str, Any]:
    """Return what is empty of each column: "", 0, or the beginning of 1970."""
    empty = {"object": "", "int64": 0, "float64": 0.0, INSTANT: datetime.fromtimestamp(0, UTC)}
    return {name: empty[kind] for name, kind in columns.items()}
