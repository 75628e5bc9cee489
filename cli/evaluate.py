"""`kinora evaluate`: find failures of physics and consistency in clips."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from cli.options import Folder, Out, RecipeName, Settings, chosen
from kinora.config import write_json
from kinora.errors import UsageError
from kinora.recipes.backends import NONE, Backends

Optional = Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(optional)")]

Workers = Annotated[int | None, tyro.conf.arg(metavar="NUMBER", help_behavior_hint="(default: one a core)")]
MOST_WORKERS = 16

Model = Annotated[str, tyro.conf.arg(metavar="hf:MODEL")]
Network = Annotated[str, tyro.conf.arg(metavar="MODEL")]


def _backends(
    judge: Network = NONE.judge,
    judge_frames: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = NONE.judge_frames,
    segments: Network = NONE.segments,
    looks: Network = NONE.looks,
    depth: Network = NONE.depth,
    calibration: Annotated[str, tyro.conf.arg(metavar="FILE")] = NONE.calibration,
) -> Backends:
    """Return the networks that help to judge clips.

    Args:
        judge: Who says whether a clip shows its prompt, where that is not wholly in the worlds' language: hf:FOLDER or
            hf:ORGANISATION/NAME of a vision-language model, openai:MODEL or openai:MODEL@http://HOST:PORT/v1.
        judge_frames: Frames of a clip that the judge sees, evenly spaced.
        segments: Who tells things from the scene: hf:FOLDER or hf:ORGANISATION/NAME of a SAM 2.
        looks: Who says, beside colour and texture, how things look: hf: of a DINOv2, or another vision transformer.
        depth: Who says how near everything is: hf: of a Depth-Anything.
        calibration: File of scores for these segments, looks and depth, which `kinora evaluate benchmark --fit FILE`
            writes; "none" for scores that are not calibrated.
    """
    return Backends(judge, judge_frames, segments, looks, depth, calibration)


Helping = Annotated[Backends, tyro.conf.arg(prefix_name=False, name="", constructor=_backends)]


def evaluate(argv: Sequence[str]) -> int:
    """Run `kinora evaluate clips`, `checkpoint`, `benchmark` or `yardsticks`."""
    code: int = tyro.extras.subcommand_cli_from_dict(
        {"clips": clips, "checkpoint": checkpoint, "benchmark": benchmark, "yardsticks": yardsticks},
        prog="kinora evaluate",
        description="Find failures of physics and consistency in clips, or in what a checkpoint makes.",
        args=argv,
    )
    return code


def clips(
    path: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="PATH")],
    out: Out,
    backends: Helping = NONE,
    workers: Workers = None,
) -> int:
    """Find failures in videos and images of any origin; write report.html and report.json.

    What has been judged is kept in the output folder until all is: a run that was interrupted goes on.

    Args:
        path: A video, a folder of videos, or a clip dataset. The prompt of name.mp4 is read from name.txt.
        backends: Networks that help.
        workers: Processes, of about 0.3 GB each; 1 where networks help, and 16 at most, if not given.
    """
    from evaluation.clips import evaluate_path
    from evaluation.report import clips_verdict

    if workers is None:
        workers = 1 if backends.judge or backends.evidence else min(os.cpu_count() or 1, MOST_WORKERS)
    report = evaluate_path(path, out, backends, workers)
    for row in report["unreadable"]:
        print(f"skipped {row['reason']}", file=sys.stderr)
    if report["passed_over"]:
        print(report["passed_over"], file=sys.stderr)
    print(clips_verdict(report))
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
    from evaluation.report import checkpoint_verdict
    from kinora.config import to_dict
    from kinora.data.clips import ClipDataset
    from kinora.generation import VideoGenerator
    from kinora.generation.generator import usual_format

    found, clips = chosen(recipe, settings), ClipDataset.open(dataset)
    asked, worlds = selection_questions(clips, found), found.ingest.worlds if simulated(clips) else None
    generator = VideoGenerator.load(autoencoder, checkpoint, found.sampling, usual_format(to_dict(found)))
    name = checkpoint.resolve().name
    plan = found.evaluation
    result = evaluate_checkpoint(
        generator,
        asked,
        out,
        name=name,
        worlds=worlds,
        dataset=clips,
        backends=plan.backends,
        features=plan.features,
    )
    print(f"{result.get('sentence') or checkpoint_verdict(result)}\n{out / 'report.html'}")
    return 0


def benchmark(
    out: Out,
    families: tuple[Literal["paper", "clay", "studio", "real", "generated"], ...] = ("studio", "real", "generated"),
    half: Literal["dev", "report"] = "report",
    cases: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 240,
    clips: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 100,
    pieces: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 2,
    generated: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 48,
    failures: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 4,
    seed: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 900,
    workers: Workers = None,
    model: Optional = None,
    again: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    fit: Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(optional)")] = None,
    segments: Model = "",
    looks: Model = "",
    depth: Model = "",
    calibration: Annotated[str, tyro.conf.arg(metavar="FILE|none")] = "",
) -> int:
    """Test the detectors themselves on clips whose failures are known; write benchmark.html and benchmark.json.

    Real clips are those of the folder natural/ in the folder that KINORA_TEST_MEDIA names. What has been judged is kept
    in the output folder: a run that was interrupted goes on.

    Args:
        families: Whose clips: of three renderers, real footage, and a model's.
        half: Half of the real clips: dev to build and fit on, report for figures to report.
        cases: Number of clips of each renderer.
        clips: Most real clips.
        pieces: Most pieces of each real clip.
        generated: Number of the model's clips.
        failures: Failures edited into each piece and each of the model's clips; 0 for faultless clips alone, which is
            all that fitting needs.
        seed: Of the renderers and the edits. Fit and report on different ones.
        workers: Processes.
        model: Folder of the model version whose clips are judged, beside those of the same model untrained, and whose
            autoencoder makes copies; the package's if not given.
        again: Make the tables again from what is kept, without judging.
        fit: Write this calibration from the faultless clips: evaluation/calibration.json, or one for other networks.
            Only on paper, clay and the half dev.
        segments: Network that tells things from the scene: a SAM 2.
        looks: Network that says, beside colour and texture, how things look: a DINOv2, or another vision transformer.
        depth: Network that says how near everything is: a Depth-Anything.
        calibration: What --fit wrote for these networks; none for scores that are not calibrated.
    """
    from evaluation.calibration import calibrated_for
    from evaluation.proving.fitting import fit as fit_calibration
    from evaluation.proving.page import benchmark_page
    from evaluation.proving.run import Plan, kept, run
    from evaluation.proving.summary import as_json
    from kinora.generation.reference import reference_folder

    if min(cases, clips, pieces, generated) < 1 or failures < 0:
        raise UsageError("there is nothing to judge; give 1 or more of cases, clips, pieces and generated.")
    if fit is not None and ({"studio", "generated"} & {*families} or half == "report"):
        raise UsageError(
            "only faultless clips that nothing is reported on can be fitted on; "
            "give --families paper clay real --half dev."
        )
    backends = Backends(segments=segments, looks=looks, depth=depth, calibration=calibration)
    plan = Plan(
        families,
        half,
        cases,
        clips,
        pieces,
        generated,
        failures,
        seed,
        model=model or reference_folder(),
        backends=backends,
    )
    rows = kept(out, backends=backends) if again else run(plan, out, workers)
    if fit is not None:
        fit_calibration(rows.table, fit, backends)
    with calibrated_for(backends):
        write_json(out / "benchmark.json", as_json(rows))
        page = benchmark_page(rows)
    print(page.summary)
    print(page.write(out / "benchmark.html"))
    return 1 if rows.crashes else 0


def yardsticks(
    what: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL|PATH")],
    out: Out,
    pairs: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 40,
    clips: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 40,
    subject: Model = "",
    background: Model = "",
) -> int:
    """Measure by published yardsticks (LikePhys, VBench, PhyWorld); write yardsticks.html and yardsticks.json.

    LikePhys asks whether a model holds possible clips of the worlds for likelier than impossible ones. Of VBench there
    are the dimensions of a clip's course; figures of clips alone have no LikePhys. PhyWorld, of a model of the recipe
    phyworld, asks how far the velocities in clips that it continues are from the truth.

    Args:
        what: A model version (its folder, its name, or reference for the one of the package), or videos.
        pairs: Pairs of each kind of violation.
        clips: Clips that the model makes; of PhyWorld, of each scenario inside its ranges and outside.
        subject: Network that says whether the subject stays the same (VBench takes DINO). Not measured without.
        background: Network that says whether the background does (VBench takes CLIP). Not measured without.
    """
    from evaluation.yardsticks.page import sentence
    from evaluation.yardsticks.run import Eyes, Plan, measure, write

    if min(pairs, clips) < 1:
        raise UsageError("there is nothing to measure; give 1 or more of pairs and clips.")
    measured = measure(what, Plan(pairs, clips), Eyes(subject, background))
    for reason in measured.unreadable:
        print(f"skipped {reason}", file=sys.stderr)
    print(f"{sentence(measured)}\n{write(measured, out)}")
    return 0
