"""Starting a pipeline on a cluster, through the Kubeflow Pipelines server's own client."""

import os
import tempfile
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.runtime.code_digest import code_digest
from kinora import __version__, recipes
from kinora.data.ingest.config import WORLDS
from kinora.errors import KinoraError, UsageError
from kinora.storage import ARTIFACT_ROOT
from kinora.training.launcher import one_node
from pipelines.compile import compile_all, compiled_text
from pipelines.run import fingerprint
from pipelines.workflows import check_recipe, workflow


@dataclass(frozen=True)
class Submission:
    """What is started where; see `kinora pipeline submit --help`."""

    pipeline: str
    host: str
    source: str
    recipe: str
    settings: str
    artifact_root: str
    namespace: str
    experiment: str


def submit_pipeline(submission: Submission) -> str:
    """Upload the compiled pipeline as a new version, start a run of it and return the run's address.

    Raises:
        UsageError: for an unknown pipeline, recipe or setting, a source that a cluster cannot see, or no artifact root.
        KinoraError: if the compiled pipeline is out of date, or the server refuses or does not answer.
    """
    workflow(submission.pipeline)
    recipe, settings = recipes.portable(submission.recipe, submission.settings)
    submission = replace(submission, recipe=recipe, settings=settings)
    submission = replace(submission, artifact_root=submission.artifact_root or os.environ.get(ARTIFACT_ROOT, ""))
    if not submission.artifact_root:
        raise UsageError(
            "no artifact root is given, so everything that the run makes would be lost with its pods; "
            "give --artifact-root s3://BUCKET/PREFIX."
        )
    for name, place in (("source", submission.source), ("artifact root", submission.artifact_root)):
        if place != WORLDS and not place.startswith("s3://"):
            raise UsageError(f"the cluster cannot see the {name} {place}; put it on S3 and give its s3:// address.")
    found = recipes.get(recipe, settings)
    check_recipe(submission.pipeline, found)
    gpus = one_node(found.compute).processes
    compile_all(check=True)
    try:
        # Ask first, because the client itself would try five times, five seconds apart, and log every traceback.
        urllib.request.urlopen(f"{submission.host.rstrip('/')}/apis/v2beta1/healthz", timeout=60).close()
        return _upload_and_start(submission, gpus)
    except Exception as error:  # the client raises errors of urllib3, of its own API and of the standard library
        reason = getattr(error, "reason", None) or type(error).__name__
        if status := getattr(error, "status", None):
            reason = f"{status} {reason}"
        raise KinoraError(
            f"the Kubeflow Pipelines server at {submission.host} did not start the run ({reason}); "
            "check --host, your access to it and --namespace."
        ) from error


def _upload_and_start(submission: Submission, gpus: int) -> str:
    import kfp

    with tempfile.TemporaryDirectory() as folder:
        package = Path(folder) / f"{submission.pipeline}.yaml"
        package.write_text(compiled_text(submission.pipeline, gpus))
        return _start(kfp.Client(host=submission.host), submission, str(package))


def _start(client: Any, submission: Submission, package: str) -> str:
    namespace, chosen = submission.namespace or None, workflow(submission.pipeline)
    version = f"{__version__}-{code_digest()[:8]}-{time.strftime('%Y%m%d-%H%M%S')}"
    pipeline = client.get_pipeline_id(chosen.kubeflow_name)
    if pipeline is None:
        pipeline = client.upload_pipeline(package, chosen.kubeflow_name, chosen.description, namespace).pipeline_id
    uploaded = client.upload_pipeline_version(package, version, pipeline_id=pipeline)
    run = client.run_pipeline(
        experiment_id=client.create_experiment(submission.experiment, namespace=namespace).experiment_id,
        job_name=f"{chosen.kubeflow_name} {submission.recipe} {version}",
        params={
            "source": submission.source,
            "recipe": submission.recipe,
            "settings": submission.settings,
            "artifact_root": submission.artifact_root,
            "fingerprint": fingerprint(submission.source),
        },
        pipeline_id=pipeline,
        version_id=uploaded.pipeline_version_id,
    )
    return f"{submission.host.rstrip('/')}/#/runs/details/{run.run_id}"
