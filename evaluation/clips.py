"""Judge clips of any origin: video files, folders of them, and clip datasets."""

from pathlib import Path
from typing import Any

from evaluation.evaluator import clip_record, evaluator, judge, summary
from evaluation.findings import ClipInput
from evaluation.loading import clip_files, read_clips
from evaluation.report import clips_page
from kinora.config import write_json
from kinora.errors import KinoraError
from kinora.progress import Progress
from kinora.recipes.backends import NONE, Backends


def evaluate_path(path: Path, out: Path, backends: Backends = NONE) -> dict[str, Any]:
    """Judge every clip at `path`; write `out/report.html` and `out/report.json`, and return the latter's content.

    Its `clips` are one record a clip, `unreadable` one row a file that cannot be read, with the reason.

    Raises:
        KinoraError: if there is no clip there that can be read, or a network of the backends cannot be had.
    """
    clips: list[ClipInput] = []
    records, unreadable = [], []
    with Progress("evaluate clips", len(clip_files(path)), "clips") as progress:
        for clip in read_clips(path):
            if isinstance(clip, ClipInput):
                records.append(clip_record(clip, judge(clip, backends=backends)))
                clips.append(clip)
            else:
                unreadable.append({"clip": clip[0], "reason": clip[1]})
            progress.update(len(clips) + len(unreadable))
    if not clips:
        raise KinoraError(f"no clip at {path} can be read; the first: {unreadable[0]['reason']}")
    report = {"evaluator": evaluator(backends), "clips": records, "unreadable": unreadable, "summary": summary(records)}
    page = clips_page(report, clips)
    if unreadable:
        page.heading("Not readable").table(unreadable)
    write_json(out / "report.json", report)
    page.write(out / "report.html")
    return report
