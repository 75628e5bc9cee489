"""Captions for clips that nobody described: a whole dataset, by the writer that a recipe chooses."""

import shutil
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from kinora.captioning.captions_page import Outcome, captions_page
from kinora.captioning.writers import CaptionConfig, CaptionWriter, Written
from kinora.config import digest, from_dict, to_dict
from kinora.data.clips import ClipDataset, read_pieces, table, write_table
from kinora.data.columns import CAPTION_COLUMNS
from kinora.data.simulated import PREFIX
from kinora.progress import Progress
from kinora.report import Page
from kinora.worlds import Attributes, parse, sentences

CLIPS_AT_ONCE, BYTES_AT_ONCE = 64, 2**28  # whichever is fewer, and at least one clip: written, and kept, together
OTHERS = ("human", "simulator")  # sources of captions that nothing written takes the place of
ROW = ["clip_id", "uri", "kind", "width", "height", "frames", "fps", "source", "caption", "caption_source"]


def shorten(caption: str) -> str:
    """Return the short form of a caption in the worlds' language, and the first sentence of any other."""
    said = parse(caption)
    return sentences(said)[1] if said is not None else caption.split(". ")[0].rstrip(".") + "." if caption else ""


def caption_dataset(
    dataset: ClipDataset,
    writer: CaptionWriter,
    out: str | Path,
    config: CaptionConfig | None = None,
    *,
    base_uri: str | None = None,
    state: str | Path | None = None,
) -> tuple[ClipDataset, Page, dict[str, float]]:
    """Write a dataset with the same clips, and captions for those that no person and no simulator described.

    Every caption is also a new row of `captions.parquet`, an abstention too; those that were there stay. A clip that
    the same writer was last asked about is not asked for again. What is written is kept in pieces while this goes on,
    so that interrupted work, called again with the same arguments, goes on behind the last of them.

    Args:
        dataset: the clips.
        writer: who writes; see `open_writer`.
        out: the folder of the new dataset: tables only.
        config: as the recipe says; its defaults where it is left out.
        base_uri: where the dataset's media can be found later, if not at its path.
        state: a folder for what is written so far; beside `out` where none is given. It is removed at the end.

    Returns:
        the dataset, a report, and metrics: `captioned`, `abstained`, `kept`, and of those that have a simulator's
        record `accuracy_*` and `measured_*`.

    Raises:
        KinoraError: if the writer cannot work, or a clip cannot be read.
    """
    config, out = config or CaptionConfig(), Path(out)
    who = {"source": writer.source, "model": writer.model, "prompt": writer.prompt}
    identity = {"dataset": dataset.digest, "writer": who, "captions": to_dict(config)}
    folder = Path(state) if state is not None else out.with_name(f".{out.name}.captions")
    task = _Task(dataset, writer, config, folder / digest(identity)[:20])
    task.write()
    captioned = dataset.derive(
        out,
        task.clips(),
        read_pieces(dataset.path / "quarantine.parquet"),
        identity,
        base_uri,
        chain(read_pieces(dataset.path / "captions.parquet"), task.versions()),
    )
    outcome = task.outcome()
    page = captions_page(dataset, outcome)
    shutil.rmtree(folder if state is None else task.folder, ignore_errors=True)
    return captioned, page, outcome.metrics()


@dataclass
class _Task:
    """A dataset, who captions it, and the folder of what is written so far: versions, in the order of the clips."""

    dataset: ClipDataset
    writer: CaptionWriter
    config: CaptionConfig
    folder: Path
    asked: npt.NDArray[np.bool_] = field(init=False)  # of each row, whether this writer was the last asked about it

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.asked = np.zeros(len(self.dataset), bool)
        who = ["caption_source", "caption_model", "caption_prompt"]
        mine = (self.writer.source, self.writer.model, self.writer.prompt)
        for piece in read_pieces(self.dataset.path / "captions.parquet", ["clip_id", *who]):
            by_me = (piece[who] == mine).all(axis=1)
            places = self.dataset.rows.places(piece["clip_id"])
            counted = (by_me | ~piece["caption_source"].isin(OTHERS)) & (places >= 0)
            self.asked[places[counted]] = by_me[counted]  # of a clip that is named twice, the last version counts

    def due(self) -> Iterator[dict[str, Any]]:
        """Yield the rows of the clips to be captioned, in their order."""
        for piece in self.dataset.pieces(ROW):
            for row in piece[self._is_due(piece)].to_dict("records"):
                yield {str(name): value for name, value in row.items()}

    def write(self) -> None:
        """Write the captions that are not yet there."""
        parts = self._parts()
        done = sum(len(part) for part in map(pd.read_parquet, parts))
        total = sum(1 for _ in self.due())
        with Progress("caption", total, "clips") as progress:
            progress.update(done)
            for number, rows in enumerate(_together(islice(self.due(), done, None)), start=len(parts)):
                found = self.writer.write(list(self.dataset.read_rows(rows)), [row["fps"] for row in rows])
                pairs = zip(rows, found, strict=True)
                versions = table((self._version(row, one) for row, one in pairs), CAPTION_COLUMNS)
                write_table(self.folder / f"{number:06d}.parquet", versions, CAPTION_COLUMNS)
                done += len(rows)
                progress.update(done)

    def versions(self) -> Iterator[pd.DataFrame]:
        """Yield what was written, in the order of the clips."""
        return map(pd.read_parquet, self._parts())

    def clips(self) -> Iterator[pd.DataFrame]:
        """Yield the table of clips with what was written."""
        written = chain.from_iterable(part.to_dict("records") for part in self.versions())
        for piece in self.dataset.pieces():
            rows: list[dict[str, Any]] = piece.to_dict("records")  # type: ignore[assignment]
            for row, due in zip(rows, self._is_due(piece), strict=True):
                if due:
                    row.update(_changed(row, next(written)))
            yield pd.DataFrame(rows, columns=piece.columns)

    def outcome(self) -> Outcome:
        """Return what came of it, with examples to show and how right they are."""
        total = Counter(bool(caption) for part in self.versions() for caption in part["caption"])
        found = Outcome(self.writer, total[True], total[False], len(self.dataset) - total.total())
        rows = chain.from_iterable(part.to_dict("records") for part in self.versions())
        found.judge((row, version, self._truth(row, version)) for row, version in zip(self.due(), rows, strict=True))
        return found

    def _is_due(self, piece: pd.DataFrame) -> pd.Series:
        own = piece["caption_source"].isin(OTHERS)
        asked = self.asked[self.dataset.rows.places(piece["clip_id"])]
        return (True if self.config.rewrite else ~own) & pd.Series(~asked, piece.index)

    def _version(self, row: Mapping[str, Any], found: Written) -> dict[str, Any]:
        sure = bool(found.caption) and found.confidence >= self.config.confidence
        return {
            "clip_id": row["clip_id"],
            "caption": found.caption if sure else "",
            "short_caption": shorten(found.caption) if sure else "",
            "caption_source": self.writer.source,
            "caption_model": self.writer.model,
            "caption_prompt": self.writer.prompt,
            "caption_confidence": found.confidence if sure else 0.0,
            "written_at": datetime.now(UTC),
        }

    def _truth(self, row: Mapping[str, Any], version: Mapping[Any, Any]) -> Attributes | None:
        """Return what the simulator's record of a clip says, where something was written that can be measured by it."""
        simulated = version["caption"] and row["source"].startswith(f"{PREFIX}/")
        record = self.dataset.row_state(row) if simulated else None
        return from_dict(Attributes, record["attributes"]) if record else None

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("[0-9]*.parquet"))


def _changed(row: Mapping[str, Any], version: Mapping[Any, Any]) -> dict[str, Any]:
    """Return the columns of a clip's row that what was written for it changes."""
    texts = {"written_caption": version["caption"], "written_short_caption": version["short_caption"]}
    if row["caption_source"] in OTHERS:
        return texts
    who = {name: version[name] if version["caption"] else "" for name in CAPTION_COLUMNS if name.startswith("caption_")}
    return {
        **texts, **who, "caption": version["caption"], "short_caption": version["short_caption"],
        "caption_confidence": version["caption_confidence"],
    }  # fmt: skip


def _together(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """Yield rows in groups whose frames may be in memory at once."""
    some: list[dict[str, Any]] = []
    held = 0
    for row in rows:
        size = 3 * row["width"] * row["height"] * row["frames"]
        if some and (len(some) == CLIPS_AT_ONCE or held + size > BYTES_AT_ONCE):
            yield some
            some, held = [], 0
        some.append(row)
        held += size
    if some:
        yield some
