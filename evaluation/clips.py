"""Judge clips of any origin: video files, folders of them, and clip datasets."""

from pathlib import Path
from typing import Any

from evaluation.evaluator import clip_record, evaluator, judge, summary
from evaluation.findings import ClipInput
from evaluation.loading import ClipFile, clip_files, passed_over, read_clip
from evaluation.report import clips_page
from kinora.config import write_json
from kinora.errors import KinoraError
from kinora.progress import Progress
from kinora.recipes.backends import NONE, Backends


def evaluate_path(path: Path, out: Path, backends: Backends = NONE) -> dict[str, Any]:
    """Judge every clip at `path`; write `out/report.html` and `out/report.json`, and return the latter's content.

    Its `clips` are one record a clip, `unreadable` one row a file that cannot be read, with the reason, `passed_over`
    what `evaluation.loading.passed_over` says.

    Raises:
        KinoraError: if there is no clip there that can be read, or a network of the backends cannot be had.
    """
    files = clip_files(path)
    judged: list[ClipFile] = []
    records, unreadable = [], []
    with Progress("evaluate clips", len(files), "clips") as progress:
        for done, file in enumerate(files, start=1):
            try:
                clip = _read(file)
            except KinoraError as error:
                unreadable.append({"clip": file.name, "reason": str(error)})
            else:
                records.append(clip_record(clip, judge(clip, backends=backends)))
                judged.append(file)
            progress.update(done)
    if not judged:
        raise KinoraError(f"no clip at {path} can be read; the first: {unreadable[0]['reason']}")
    others = passed_over(path)
    report = {
        "evaluator": evaluator(backends),
        "clips": records,
        "unreadable": unreadable,
        "passed_over": others,
        "summary": summary(records),
    }
    page = clips_page(report, lambda number: _read(judged[number]))  # again: all of them would not fit in memory
    if unreadable:
        page.heading("Not readable").table(unreadable)
    if others:
        page.text(others)
    write_json(out / "report.json", report)
    page.write(out / "report.html")
    return report


def _read(file: ClipFile) -> ClipInput:
    return read_clip(file.locate(), file.name, file.prompt)
