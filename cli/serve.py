"""`kinora serve`."""

import signal
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Annotated

import tyro

from cli.options import ArtifactRoot, Work


def serve(argv: Sequence[str]) -> int:
    """Run `kinora serve` until told to stop."""

    def run(
        work: Work = Path("work"),
        artifact_root: ArtifactRoot = "",
        host: Annotated[str, tyro.conf.arg(metavar="ADDRESS")] = "127.0.0.1",
        port: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 8000,
    ) -> int:
        """Serve the deployed model: the API under /v1, the web page at /. A later promotion is followed.

        Args:
            host: Address to listen on; unless another is given, only this machine can connect.
            port: Port to listen on.
        """
        from kinora.files import friendly_os_errors
        from kinora.generation.registry import Registry
        from kinora.processes import end_with_parent
        from kinora.storage import artifact_root as artifact_root_of
        from serving.address import check_address
        from serving.local import running, watch

        check_address(host, port)
        root = artifact_root_of(artifact_root, work)
        version = Registry(root).deployed()
        # SIGINT too: what a script starts in the background ignores it, and would not end when asked in order.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupted)
        end_with_parent()
        name = f"[{host}]" if ":" in host else host
        try:
            with friendly_os_errors(work), running(work, root, host, port) as (gateway, worker):
                print(f"Model version {version} at http://{name}:{port}/ (Ctrl-C ends it)", flush=True)
                watch(gateway, worker)
        except KeyboardInterrupt:
            print("Stopped; nothing is left running.", flush=True)
        return 0

    return tyro.cli(run, prog="kinora serve", args=argv)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
