"""`kinora pipeline run|compile|submit`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import tyro

from cli.options import ArtifactRoot, RecipeName, Settings, Work, joined

Source = Annotated[
    str,
    tyro.conf.arg(
        metavar="SOURCE", help='Folder or s3:// address of videos and images, or "worlds" for simulated worlds.'
    ),
]

# As in pipelines/workflows.py, which the help is not to import.
PipelineName = Literal["world_simulator", "scaling_study", "framing_study", "law_study", "check_drift"]


def pipeline(argv: Sequence[str]) -> int:
    """Run `kinora pipeline run`, `compile` or `submit`."""
    code: int = tyro.extras.subcommand_cli_from_dict(
        {"run": run, "compile": compile_, "submit": submit},
        prog="kinora pipeline",
        description="Run, compile or submit a whole workflow: from raw clips to a promoted model, or a study.",
        args=argv,
    )
    return code


def run(
    source: Source = "worlds",
    recipe: RecipeName = "tiny",
    settings: Settings = (),
    work: Work = Path("work"),
    artifact_root: ArtifactRoot = "",
    pipeline: PipelineName = "world_simulator",
) -> int:
    """Run a whole workflow here, with a live view; run again, it goes on from where it was or from its cache.

    Args:
        pipeline: Which one: world_simulator makes a model and promotes it, the studies train several and compare them.
    """
    from cli.extras import ALL, require

    require(ALL)  # now, not when the last step lacks it
    from pipelines.run import RunOptions, run_pipeline

    result = run_pipeline(RunOptions(source, recipe, joined(settings), work, artifact_root, pipeline))
    print(result.reason)
    print(f"The run page is {result.run.page}")
    return 0


def compile_(check: bool = False) -> int:
    """Write the pipelines' YAML to pipelines/compiled/, for the Kubeflow Pipelines page or for submit.

    Args:
        check: Write nothing, and fail if what is there is not what the definitions compile to.
    """
    from pipelines.compile import main

    return main(["--check"] if check else [])


def submit(
    host: Annotated[str, tyro.conf.arg(metavar="URL")],
    source: Source = "worlds",
    recipe: RecipeName = "tiny",
    settings: Settings = (),
    artifact_root: Annotated[
        str,
        tyro.conf.arg(
            metavar="PLACE",
            help="Place s3://BUCKET/PREFIX for training state, finished artifacts and model versions.",
            help_behavior_hint="(default: KINORA_ARTIFACT_ROOT)",
        ),
    ] = "",
    namespace: Annotated[str, tyro.conf.arg(metavar="NAME")] = "",
    experiment: Annotated[str, tyro.conf.arg(metavar="NAME")] = "kinora",
    pipeline: PipelineName = "world_simulator",
) -> int:
    """Upload a compiled workflow to a Kubeflow Pipelines server and start a run.

    Args:
        host: Address of the server, such as http://localhost:8080.
        namespace: The profile's namespace that the run belongs to, on a server with several users.
        experiment: The experiment that the run is listed under.
        pipeline: Which one: world_simulator makes a model and promotes it, the studies train several and compare them.
    """
    from pipelines.submit import Submission, submit_pipeline

    asked = Submission(pipeline, host, source, recipe, joined(settings), artifact_root, namespace, experiment)
    print(f"Started. Watch it at {submit_pipeline(asked)}")
    return 0
