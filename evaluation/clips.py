"""Judge clips of any origin: video files, folders of them, and clip datasets."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from evaluation.evaluator import clip_record, evaluator, judge, summary
from evaluation.findings import ClipInput
from evaluation.loading import ClipFile, clip_files, passed_over, read_clip
from evaluation.report import clips_page
from kinora.config import digest, write_json
from kinora.errors import KinoraError
from kinora.progress import Progress
from kinora.recipes.backends import NONE, Backends

KEPT = "judged.jsonl"


def evaluate_path(path: Path, out: Path, backends: Backends = NONE) -> dict[str, Any]:
    """Judge every clip at `path`; write `out/report.html` and `out/report.json`, and return the latter's content.

    Its `clips` are one record a clip, `unreadable` one row a file that cannot be judged, with the reason, `passed_over`
    what `evaluation.loading.passed_over` says. What has been judged is kept: a run that was interrupted goes on.

    Raises:
        KinoraError: if there is no clip there that can be read, or a network of the backends cannot be had.
    """
    files, others, judging = clip_files(path), passed_over(path), evaluator(backends)
    judged: list[ClipFile] = []
    records, unreadable = [], []
    kept = _Kept(out / KEPT, judging["digest"])
    with Progress("evaluate clips", len(files), "clips") as progress:
        for done, file in enumerate(files, start=1):
            row = _judged(file, kept, backends)
            if "reason" in row:
                unreadable.append(row)
            else:
                records.append(row)
                judged.append(file)
            progress.update(done)
    if not judged:
        raise KinoraError(f"no clip at {path} can be read; the first: {unreadable[0]['reason']}")
    report = {
        "evaluator": judging,
        "clips": records,
        "unreadable": unreadable,
        "passed_over": others,
        "summary": summary(records),
    }
    page = clips_page(report, lambda number: _read(judged[number]))  # again: all of them would not fit in memory
    if unreadable:
        page.heading("Not judged").table(unreadable)
    if others:
        page.text(others)
    write_json(out / "report.json", report)
    page.write(out / "report.html")
    kept.path.unlink()
    return report


class _Kept:
    """What has been judged by an evaluator, a line a clip in a file of the output folder, until all are judged."""

    def __init__(self, path: Path, evaluator: str):
        self.path, self.evaluator = path, evaluator
        self.records: dict[str, dict[str, Any]] = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            with suppress(ValueError):  # the last line may have been cut off
                self.records |= dict([json.loads(line)])

    def key(self, file: ClipFile) -> str:
        """Return what changes with a clip, the prompt beside it, and the evaluator."""
        path = file.locate()
        states = [own.stat() for own in (path, path.with_suffix(".txt")) if own.is_file()]
        return digest([self.evaluator, file.name, file.prompt, [(s.st_size, s.st_mtime_ns) for s in states]])

    def add(self, key: str, record: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a") as lines:
            lines.write(f"\n{json.dumps([key, record])}")


def _judged(file: ClipFile, kept: _Kept, backends: Backends) -> dict[str, Any]:
    """Return the record of a clip; for one that cannot be judged the `reason`."""
    try:
        key = kept.key(file)
        if key in kept.records:
            return kept.records[key]
        clip = _read(file)
    except KinoraError as error:
        return {"clip": file.name, "reason": str(error)}
    try:
        record = clip_record(clip, judge(clip, backends=backends))
    except KinoraError:
        raise  # of a network, which no clip is to blame for
    except Exception as error:  # a detector's fault costs one clip, not what all the others took
        return {"clip": file.name, "reason": f"{file.name}: a detector failed ({type(error).__name__}: {error})."}
    kept.add(key, record)
    return record


def _read(file: ClipFile) -> ClipInput:
    return read_clip(file.locate(), file.name, file.prompt)
