"""`kinora pipeline run|compile|submit`."""

from pathlib import Path

import tyro


def pipeline(argv: list[str]) -> int | None:
    """Run one of the subcommands."""
    return tyro.extras.subcommand_cli_from_dict(
        {"run": run, "compile": compile_, "submit": submit},
        prog="kinora pipeline",
        description="Run, compile or submit the whole workflow, from raw clips to a promoted model.",
        args=argv,
    )


def run(
    source: str = "worlds",
    recipe: str = "tiny",
    work: Path = Path("work"),
    artifact_root: str = "",
) -> int:
    """Run the whole workflow here, with a live view; run again, it goes on from where it was or from its cache.

    Args:
        source: "worlds" for the simulated worlds, or a folder or s3:// address of videos and images.
        recipe: the complete configuration.
        work: the folder that everything is kept in.
        artifact_root: for training state and model versions, a folder, or s3://bucket/prefix, which gets every finished
            artifact too; else KINORA_ARTIFACT_ROOT, else artifacts in the work folder.
    """
    from cli.extras import ALL, require

    require(ALL)  # now, not when the last step lacks it
    from pipelines.run import RunOptions, run_world_simulator

    result = run_world_simulator(RunOptions(source, recipe, work, artifact_root))
    print(result.reason)
    print(f"The run page is {result.run.page}")
    return 0


def compile_(check: bool = False) -> int:
    """Write the pipelines' YAML to pipelines/compiled/, for the Kubeflow Pipelines page or for submit.

    Args:
        check: write nothing, and fail if what is there is not what the definitions compile to.
    """
    from pipelines.compile import main

    return main(["--check"] if check else [])


def submit(
    host: str,
    source: str = "worlds",
    recipe: str = "tiny",
    artifact_root: str = "",
    namespace: str = "",
    experiment: str = "kinora",
) -> int:
    """Upload the compiled workflow to a Kubeflow Pipelines server and start a run.

    Args:
        host: address of the server, such as http://localhost:8080.
        source: "worlds" for the simulated worlds, or an s3:// address of videos and images.
        recipe: the complete configuration.
        artifact_root: s3://bucket/prefix for training state, finished artifacts and model versions; else the
            environment's KINORA_ARTIFACT_ROOT.
        namespace: the profile's namespace that the run belongs to, on a server with several users.
        experiment: the experiment that the run is listed under.
    """
    from pipelines.submit import Submission, submit_world_simulator

    address = submit_world_simulator(Submission(host, source, recipe, artifact_root, namespace, experiment))
    print(f"Started. Watch it at {address}")
    return 0
