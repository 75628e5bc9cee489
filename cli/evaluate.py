"""`kinora evaluate`: find failures of physics and consistency in clips."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from cli.options import Folder, Out, RecipeName, Settings, chosen
from kinora.config import write_json
from kinora.errors import UsageError

Optional = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(optional)")]


def evaluate(argv: Sequence[str]) -> int:
    """Run `kinora evaluate clips`, `checkpoint` or `detectors`."""
    code: int = tyro.extras.subcommand_cli_from_dict(
        {"clips": clips, "checkpoint": checkpoint, "detectors": detectors},
        prog="kinora evaluate",
        description="Find failures of physics and consistency in clips, or in what a checkpoint makes.",
        args=argv,
    )
    return code


def clips(path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")], out: Out) -> int:
    """Find failures in videos and images of any origin; write report.html and report.json.

    Args:
        path: A video, a folder of videos, or a clip dataset. The prompt of name.mp4 is read from name.txt.
    """
    from evaluation.clips import evaluate_path
    from evaluation.report import failed_types

    report = evaluate_path(path, out)
    records, unreadable = report["clips"], report["unreadable"]
    for row in unreadable:
        print(f"skipped {row['reason']}", file=sys.stderr)
    failed = sum(bool(failed_types(record)) for record in records)
    print(f"{len(records)} clips judged: {failed} have a failure. {len(unreadable)} could not be read.")
    print(out / "report.html")
    return 0


def checkpoint(
    checkpoint: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="CHECKPOINT")],
    autoencoder: Folder,
    dataset: Folder,
    out: Out,
    recipe: RecipeName = "tiny",
    settings: Settings = (),
) -> int:
    """Generate a clip for each prompt that checkpoints are chosen by, with one of them, and find its failures.

    Of a person's own files, each held-out clip is continued from its first frames and compared with what it shows.

    Args:
        checkpoint: Folder of the checkpoint, in the folder that `kinora train transformer` wrote.
        autoencoder: Folder of the autoencoder that its latents are decoded by.
        dataset: Folder of the captioned clip dataset that it was trained on.
    """
    from evaluation.checkpoint import evaluate_checkpoint
    from evaluation.prompts import selection_questions, simulated
    from kinora.config import to_dict
    from kinora.data.clips import ClipDataset
    from kinora.generation import VideoGenerator
    from kinora.generation.generator import usual_format

    found, clips = chosen(recipe, settings), ClipDataset.open(dataset)
    asked, worlds = selection_questions(clips, found), found.ingest.worlds if simulated(clips) else None
    generator = VideoGenerator.load(autoencoder, checkpoint, found.sampling, usual_format(to_dict(found)))
    name = checkpoint.resolve().name
    result = evaluate_checkpoint(generator, asked, out, name=name, worlds=worlds, dataset=clips)
    said = result.get("sentence") or f"Overall score {result['rates']['overall']:.1%} on {len(asked)} prompts."
    print(f"{said}\n{out / 'report.html'}")
    return 0


def detectors(
    out: Out,
    count: Annotated[int, tyro.conf.arg(name="clips", metavar="NUMBER")] = 64,
    autoencoder: Optional = None,
    checkpoint: Optional = None,
) -> int:
    """Test the detectors themselves on clips whose failures are known; write detectors.html and detectors.json.

    Args:
        count: Number of simulated clips.
        autoencoder: Folder of a trained autoencoder, to judge the same clips through it too.
        checkpoint: Folder of a checkpoint of the transformer, the untrained one for example, to judge its clips too.
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
