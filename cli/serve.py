"""`kinora serve` and `kinora promote`."""

import signal
import tempfile
from pathlib import Path
from types import FrameType
from typing import Annotated

import tyro

from kinora.errors import KinoraError


def serve(argv: list[str]) -> int:
    """Parse the command line and serve until told to stop."""

    def run(
        work: Annotated[Path, tyro.conf.arg(help="holds the model store, the queue and the clips")] = Path("work"),
        host: Annotated[str, tyro.conf.arg(help="this machine only, unless another address is given")] = "127.0.0.1",
        port: Annotated[int, tyro.conf.arg(help="where to listen")] = 8000,
    ) -> int:
        """Serve the promoted model: the API under /v1, the web page at /."""
        from kinora.files import friendly_os_errors
        from serving.address import check_address
        from serving.local import running, watch
        from serving.model_store import in_service, store_home

        check_address(host, port)
        home = store_home(work)
        version = in_service(home)
        # SIGINT too: what a script starts in the background ignores it, and would not end when asked in order.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _interrupted)
        name = f"[{host}]" if ":" in host else host
        try:
            with friendly_os_errors(work), running(work, home, host, port) as (gateway, worker):
                print(f"Model version {version.name} at http://{name}:{port}/ (Ctrl-C ends it)", flush=True)
                watch(gateway, worker)
        except KeyboardInterrupt:
            print("Stopped; nothing is left running.", flush=True)
        return 0

    return tyro.cli(run, prog="kinora serve", args=argv)


def promote(argv: list[str]) -> int:
    """Parse the command line and put one version into service."""

    def run(
        version: Annotated[
            str, tyro.conf.Positional, tyro.conf.arg(help="its folder, or s3://BUCKET/PREFIX/models/NAME")
        ],
        work: Annotated[
            Path | None,
            tyro.conf.arg(help="use the model store in this folder; else BENTOML_HOME, else the one in ./work"),
        ] = None,
    ) -> int:
        """Put a model version into the model store and into service, its digest verified."""
        from serving import model_store

        home = model_store.store_home(work)
        with tempfile.TemporaryDirectory(prefix="kinora-promote-") as temporary:
            place = model_store.promote(_fetched(version, Path(temporary)), home)
        print(f"Model version {place.name} is in service in {home}.")
        return 0

    return tyro.cli(run, prog="kinora promote", args=argv)


def _fetched(version: str, temporary: Path) -> Path:
    """Return a local folder with a version; what is elsewhere is fetched and verified by the store."""
    from kinora.storage import open_store, split_uri

    uri = version.rstrip("/")
    scheme, _, path = split_uri(uri)
    if scheme == "file":
        return Path(path)
    root, _, name = uri.rpartition("/")
    if root.endswith("/") or not name:
        raise KinoraError(f"{version} names no model version; give s3://BUCKET/PREFIX/models/NAME.")
    return open_store(root).get_folder(name, temporary / name)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt
