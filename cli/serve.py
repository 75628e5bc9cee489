"""`kinora serve` and `kinora promote`."""

import signal
from pathlib import Path
from types import FrameType
from typing import Annotated

import tyro

from kinora.errors import UsageError

WORK = Path("work")


ARTIFACT_ROOT_HELP = "a folder or s3://BUCKET/PREFIX; else KINORA_ARTIFACT_ROOT, else artifacts in the work folder"


def serve(argv: list[str]) -> int:
    """Parse the command line and serve until told to stop."""

    def run(
        work: Annotated[Path, tyro.conf.arg(help="holds the queue, the clips and the logs")] = WORK,
        artifact_root: Annotated[str, tyro.conf.arg(help=ARTIFACT_ROOT_HELP)] = "",
        host: Annotated[str, tyro.conf.arg(help="this machine only, unless another address is given")] = "127.0.0.1",
        port: Annotated[int, tyro.conf.arg(help="where to listen")] = 8000,
    ) -> int:
        """Serve the deployed model: the API under /v1, the web page at /. A later promotion is followed."""
        from kinora.files import friendly_os_errors
        from kinora.generation.registry import Registry
        from kinora.storage import artifact_root as artifact_root_of
        from serving.address import check_address
        from serving.local import running, watch

        check_address(host, port)
        root = artifact_root_of(artifact_root, work)
        version = Registry(root).deployed()
        # SIGINT too: what a script starts in the background ignores it, and would not end when asked in order.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupted)
        name = f"[{host}]" if ":" in host else host
        try:
            with friendly_os_errors(work), running(work, root, host, port) as (gateway, worker):
                print(f"Model version {version} at http://{name}:{port}/ (Ctrl-C ends it)", flush=True)
                watch(gateway, worker)
        except KeyboardInterrupt:
            print("Stopped; nothing is left running.", flush=True)
        return 0

    return tyro.cli(run, prog="kinora serve", args=argv)


def promote(argv: list[str]) -> int:
    """Parse the command line; deploy one version, or list what was promoted."""

    def run(
        version: Annotated[
            str, tyro.conf.Positional, tyro.conf.arg(help="its folder, its s3:// URI, or its name in the registry")
        ] = "",
        history: Annotated[bool, tyro.conf.arg(help="list all promotions instead")] = False,
        verdict: Annotated[str, tyro.conf.arg(help="why, for the history")] = "Promoted by hand.",
        artifact_root: Annotated[str, tyro.conf.arg(help=ARTIFACT_ROOT_HELP)] = "",
        work: Annotated[Path, tyro.conf.arg(help="the work folder")] = WORK,
    ) -> int:
        """Deploy a model version, its digest verified; promoting an earlier one again goes back to it."""
        from kinora.generation.registry import Registry
        from kinora.storage import artifact_root as artifact_root_of

        if bool(version) == history:
            raise UsageError("name one model version, or give --history.")
        registry = Registry(artifact_root_of(artifact_root, work))
        if history:
            for line in registry.history():
                run_name = f" (run {line.run})" if line.run else ""
                print(f"{line.when}  {line.kind:<9}  {line.version}  {line.verdict}{run_name}")
            return 0
        name = registry.promote(registry.find(version).path, verdict=verdict).version
        print(f"Model version {name} is deployed in {registry.artifact_root}.")
        return 0

    return tyro.cli(run, prog="kinora promote", args=argv)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
