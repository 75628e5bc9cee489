"""`kinora evaluate`: find failures of physics and consistency in clips."""

import sys
from pathlib import Path
from typing import Annotated, Any

import tyro

from kinora.config import write_json
from kinora.errors import KinoraError, UsageError
from kinora.progress import Progress


def evaluate(argv: list[str]) -> int:
    """Run `kinora evaluate clips` or `kinora evaluate detectors`."""

    def clips(path: Annotated[Path, tyro.conf.Positional], out: Path) -> int:
        """Judge videos; write report.html and report.json.

        Args:
            path: A video, a folder of videos, or a clip dataset. The prompt of name.mp4 is read from name.txt.
            out: Folder for the reports.
        """
        return evaluate_path(path, out)

    def detectors(out: Path, clips: int = 64, autoencoder: Path | None = None, checkpoint: Path | None = None) -> int:
        """Test the detectors themselves on clips whose failures are known; write detectors.html and detectors.json.

        Args:
            out: Folder for the reports.
            clips: Number of simulated clips.
            autoencoder: A trained autoencoder, to judge the same clips through it.
            checkpoint: A checkpoint of the transformer, the untrained one for example, to judge clips of its own.
        """
        return evaluate_detectors(out, clips, autoencoder, checkpoint)

    commands: dict[str, Any] = {"clips": clips, "detectors": detectors}
    return tyro.extras.subcommand_cli_from_dict(
        commands, prog="kinora evaluate", description="Find failures of physics and consistency in clips.", args=argv
    )


def evaluate_path(path: Path, out: Path) -> int:
    """Judge every clip at `path`; write `out/report.html` and `out/report.json`, and say what was found.

    Raises:
        KinoraError: if there is no clip there that can be read.
    """
    from evaluation.evaluator import clip_record, evaluator, judge, summary
    from evaluation.findings import ClipInput
    from evaluation.loading import clip_files, read_clips
    from evaluation.report import clips_page, failed_types

    clips: list[ClipInput] = []
    records, unreadable = [], []
    with Progress("evaluate clips", len(clip_files(path)), "clips") as progress:
        for clip in read_clips(path):
            if isinstance(clip, ClipInput):
                records.append(clip_record(clip, judge(clip)))
                clips.append(clip)
            else:
                unreadable.append({"clip": clip[0], "reason": clip[1]})
                print(f"skipped {clip[1]}", file=sys.stderr)
            progress.update(len(clips) + len(unreadable))
    if not clips:
        raise KinoraError(f"no clip at {path} can be read; the first: {unreadable[0]['reason']}")
    report = {"evaluator": evaluator(), "clips": records, "unreadable": unreadable, "summary": summary(records)}
    page = clips_page(report, clips)
    if unreadable:
        page.heading("Not readable").table(unreadable)
    write_json(out / "report.json", report)
    page.write(out / "report.html")
    failed = sum(bool(failed_types(record)) for record in records)
    print(f"{len(records)} clips judged: {failed} have a failure. {len(unreadable)} could not be read.")
    print(out / "report.html")
    return 0


def evaluate_detectors(out: Path, count: int, autoencoder: Path | None, checkpoint: Path | None) -> int:
    """Benchmark the detectors; write `out/detectors.html` and `out/detectors.json`.

    Raises:
        UsageError: if a checkpoint is given without the autoencoder that decodes its latents.
    """
    from evaluation.benchmark import benchmark, benchmark_page, model_clips, through_autoencoder

    if count < 1:
        raise UsageError(f"{count} clips cannot be judged; give 1 or more.")
    if checkpoint is not None and autoencoder is None:
        raise UsageError("a checkpoint makes latents that its autoencoder decodes; give --autoencoder too.")
    through, models = {}, {}
    if autoencoder is not None:
        through["through the autoencoder"] = through_autoencoder(autoencoder)
        if checkpoint is not None:
            models[f"the model {checkpoint.name}"] = model_clips(autoencoder, checkpoint, count)
    result = benchmark(count=count, through=through, models=models)
    write_json(out / "detectors.json", result.as_dict())
    print(benchmark_page(result).write(out / "detectors.html"))
    return 0
