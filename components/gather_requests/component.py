"""What the endpoint was asked for lately is set aside, so that the steps behind it look at the same requests."""

from kfp import dsl

from components.images import CPU_IMAGE


@dsl.component(base_image=CPU_IMAGE, install_kfp_package=False)
def gather_requests(
    recipe: str,
    settings: str,
    artifact_root: str,
    requests: dsl.Output[dsl.Dataset],
    metrics: dsl.Output[dsl.Metrics],
) -> None:
    """Read the requests of the recipe's last days from the log that the gateway keeps under the artifact root."""
    from components.runtime.step import running

    with running("gather-requests", artifact_root) as step:
        from kinora import recipes
        from serving.request_log import read_requests

        found = read_requests(artifact_root, recipes.get(recipe, settings).drift.days)
        found.to_parquet(requests.path, index=False)
        step.measured(metrics, {"requests": len(found), "different prompts": found["prompt"].nunique()})
        step.keep(requests)
