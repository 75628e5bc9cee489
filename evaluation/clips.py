"""Judge clips of any origin: video files, folders of them, and clip datasets."""

import json
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from evaluation.evaluator import clip_record, evaluator, judge, summary
from evaluation.findings import ClipInput
from evaluation.loading import ClipFile, clip_files, passed_over, read_clip
from evaluation.report import clips_page
from kinora.config import digest, write_json
from kinora.errors import KinoraError
from kinora.parallel import ordered_map
from kinora.progress import Progress
from kinora.recipes.backends import NONE, Backends

KEPT = "judged.jsonl"


def evaluate_path(path: Path, out: Path, backends: Backends = NONE, workers: int = 1) -> dict[str, Any]:
    """Judge every clip at `path`; write `out/report.html` and `out/report.json`, and return the latter's content.

    Its `clips` are one record a clip, `unreadable` one row a file that cannot be judged, with the reason, `passed_over`
    what `evaluation.loading.passed_over` says. What has been judged is kept: a run that was interrupted goes on.

    Args:
        path: a file, a folder or a clip dataset.
        out: folder of the results.
        backends: networks that help.
        workers: processes that judge; with more than one, a script that calls this has to be importable (`if __name__
            == "__main__"`).

    Raises:
        KinoraError: if there is no clip there that can be read, or a network of the backends cannot be had.
    """
    files, others, judging = clip_files(path), passed_over(path), evaluator(backends)
    judged: list[ClipFile] = []
    records, unreadable = [], []
    kept = _Kept(out / KEPT, judging["digest"])
    judge_one, waiting = partial(_judged, backends=backends), (kept.task(file) for file in files)
    parallel = min(workers, len(files)) > 1
    rows = ordered_map(judge_one, waiting, workers, processes=True) if parallel else map(judge_one, waiting)
    with Progress("evaluate clips", len(files), "clips") as progress:
        for done, (file, row) in enumerate(zip(files, rows, strict=True), start=1):
            if "reason" in row:
                unreadable.append(row)
            else:
                records.append(row)
                judged.append(file)
                kept.keep(file, row)
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


@dataclass(frozen=True)
class _Task:
    """A clip to judge: where its file is and what its prompt is, or what is known of it already."""

    name: str
    file: Path | None = None
    prompt: str | None = None
    known: dict[str, Any] | None = None


class _Kept:
    """What has been judged by an evaluator, a line a clip in a file of the output folder, until all are judged."""

    def __init__(self, path: Path, evaluator: str):
        self.path, self.evaluator = path, evaluator
        self.keys: dict[str, str] = {}  # of clips that are not judged yet, by name
        self.records: dict[str, dict[str, Any]] = {}
        for line in path.read_text().splitlines() if path.is_file() else ():
            with suppress(ValueError):  # the last line may have been cut off
                self.records |= dict([json.loads(line)])

    def task(self, clip: ClipFile) -> _Task:
        """Return what is to be done about a clip."""
        try:
            file = clip.locate()
        except KinoraError as error:
            return _Task(clip.name, known={"clip": clip.name, "reason": str(error)})
        states = [own.stat() for own in (file, file.with_suffix(".txt")) if own.is_file()]
        # What changes with a clip, the prompt beside it, and the evaluator.
        key = digest([self.evaluator, clip.name, clip.prompt, [(s.st_size, s.st_mtime_ns) for s in states]])
        if key in self.records:
            return _Task(clip.name, known=self.records[key])
        self.keys[clip.name] = key
        return _Task(clip.name, file, clip.prompt)

    def keep(self, clip: ClipFile, record: dict[str, Any]) -> None:
        """Keep the record of a clip, if it is a new one."""
        if key := self.keys.pop(clip.name, ""):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a") as lines:
                lines.write(f"\n{json.dumps([key, record])}")


def _judged(task: _Task, backends: Backends) -> dict[str, Any]:
    """Return the record of a clip; for one that cannot be judged the `reason`."""
    if task.file is None:
        return task.known or {}
    try:
        clip = read_clip(task.file, task.name, task.prompt)
    except KinoraError as error:
        return {"clip": task.name, "reason": str(error)}
    try:
        return clip_record(clip, judge(clip, backends=backends))
    except KinoraError:
        raise  # of a network, which no clip is to blame for
    except Exception as error:  # a detector's fault costs one clip, not what all the others took
        return {"clip": task.name, "reason": f"{task.name}: a detector failed ({type(error).__name__}: {error})."}


def _read(file: ClipFile) -> ClipInput:
    return read_clip(file.locate(), file.name, file.prompt)
