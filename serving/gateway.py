"""The gateway: BentoML's service with the API, the workers' routes and the web page; it owns the queue.

Run as `python -m serving.gateway --work FOLDER [--host ADDRESS] [--port N] [--artifact-root PLACE]`, with
KINORA_WORKER_TOKEN set.
"""

import fcntl
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tyro
from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, generate_latest

from kinora.errors import KinoraError
from kinora.files import friendly_os_errors
from kinora.processes import end_with_parent
from kinora.storage import artifact_root as artifact_root_of
from serving.address import LOOPBACK, TOKEN, check_address
from serving.api import Endpoint, public_routes
from serving.errors import ApiError, handle_errors
from serving.jobs import COMPLETED, FAILED, IN_PROGRESS, QUEUED, JobStore
from serving.known import KnownClips
from serving.media_store import MediaStore
from serving.request_log import RequestLog
from serving.requests import Limits
from serving.worker_api import worker_routes

PAGE = Path(__file__).parent / "page.html"
# The page needs nothing from elsewhere, and nothing else may run in it.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
SECONDS_TO_END = 1


def build_app(endpoint: Endpoint, token: str, local: bool) -> FastAPI:
    """Return all our routes; `local` refuses requests that a foreign page makes a browser send to this machine."""
    app = FastAPI(title="Kinora", openapi_url=None, docs_url=None, redoc_url=None)
    handle_errors(app)
    requests = RequestCounter()
    app.include_router(public_routes(endpoint))
    app.include_router(worker_routes(endpoint, token))

    @app.get("/")
    def page() -> HTMLResponse:
        return HTMLResponse(PAGE.read_text(), headers={"Content-Security-Policy": POLICY})

    @app.get("/metrics")
    def metrics() -> Response:
        return Response(metrics_text(endpoint.jobs) + requests.text(), media_type=CONTENT_TYPE_LATEST)

    @app.middleware("http")
    async def guard(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            _refuse_foreign(request, local)
            response = await go_on(request)
        except ApiError as error:
            response = error.response()
        requests.count(request, response.status_code)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return app


class RequestCounter:
    """Counts requests by method, route and status; a route is its pattern, so that a video's id makes no new series."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._counter = Counter(
            "kinora_http_requests", "HTTP requests answered.", ["method", "route", "status"], registry=self._registry
        )

    def count(self, request: Request, status: int) -> None:
        """Count one answer."""
        method = request.method if request.method in METHODS else "other"
        self._counter.labels(method, getattr(request.scope.get("route"), "path", "none"), status).inc()

    def text(self) -> bytes:
        """Return the counts as Prometheus reads them."""
        return generate_latest(self._registry)


def metrics_text(jobs: JobStore) -> bytes:
    """Return the gauges that the autoscaler and people watch, read from the queue; each is there at 0 too.

    BentoML's own are off: they label the raw path, and so make a new series for every video.
    """
    registry, counts = CollectorRegistry(), jobs.counts()
    alive, _ = jobs.workers()
    for name, text, value in (
        ("kinora_jobs_queued", "Jobs that wait for a worker.", counts[QUEUED]),
        ("kinora_jobs_in_progress", "Jobs that a worker has claimed.", counts[IN_PROGRESS]),
        ("kinora_jobs_completed", "Completed jobs that are kept.", counts[COMPLETED]),
        ("kinora_jobs_failed", "Failed jobs that are kept.", counts[FAILED]),
        ("kinora_workers", "Workers that asked for work lately.", alive),
    ):
        Gauge(name, text, registry=registry).set(value)
    return generate_latest(registry)


def build_service(app: FastAPI) -> Any:
    """Return BentoML's service around our routes, as an ASGI application with its health routes."""
    os.environ.setdefault("BENTOML_DO_NOT_TRACK", "True")
    import bentoml

    class Kinora:
        """Makes videos."""

    configured = bentoml.service(
        name="kinora",
        traffic={"timeout": 600},
        metrics={"enabled": False},
        logging={"access": {"enabled": False}},
    )
    return configured(bentoml.asgi_app(app, path="/")(Kinora)).to_asgi()


@contextmanager
def owned(folder: Path) -> Iterator[None]:
    """Keep the folder of the queue for this process while the caller is inside.

    Raises:
        KinoraError: if another gateway has it, or it cannot be written.
    """
    with friendly_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise KinoraError(f"another gateway serves {folder}; stop it, or choose another --work.") from error
    finally:
        os.close(lock)


def run(
    work: Path = Path("work"),
    host: str = "127.0.0.1",
    port: int = 3000,
    queue: int = Limits.queued,
    pixels: int = Limits.pixels,
    artifact_root: str = "",
) -> int:
    """Serve the API, the web page and the workers' routes; KINORA_WORKER_TOKEN must be set.

    Args:
        work: the queue and the clips are kept in its `serving`.
        host: the address to listen at; this machine only, unless another is given.
        port: where to listen.
        queue: jobs that may wait; more are refused.
        pixels: of one clip (width times height times frames) at most.
        artifact_root: holds the feature store, which knows the training clips, and is given what is asked for; as the
            workers' option of that name.
    """
    import uvicorn

    token = os.environ.get(TOKEN, "")
    if not token:
        raise KinoraError(f"{TOKEN} is not set; give the gateway and its workers the same secret.")
    check_address(host, port)
    folder = work / "serving"
    with owned(folder):
        root = artifact_root_of(artifact_root, work)
        known, log = KnownClips(root), RequestLog(root)
        jobs, media = JobStore(folder / "jobs.sqlite"), MediaStore(folder / "media")
        endpoint = Endpoint(jobs, media, Limits(queue, pixels), known, log)
        app = build_service(build_app(endpoint, token, local=host in LOOPBACK))
        end_with_parent()
        config = uvicorn.Config(
            app,
            host=host,
            port=port,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=SECONDS_TO_END,
            server_header=False,
        )
        # When it has ended its work uvicorn raises the signal again that told it to end: what follows must run too.
        signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
        known.start()
        log.start()
        try:
            uvicorn.Server(config).run()
        finally:
            known.stop()
            log.stop()
            endpoint.jobs.close()
    return 0


def _refuse_foreign(request: Request, local: bool) -> None:
    """Refuse what another site's page sends: by its Origin, and, on this machine only, by a name that is not ours."""
    host = request.headers.get("host", "")
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != host:
        raise ApiError(403, "pages of other sites may not use this endpoint.", "foreign_origin")
    if local and host.rpartition(":")[0].strip("[]") not in LOOPBACK and host.strip("[]") not in LOOPBACK:
        raise ApiError(403, f"this endpoint is not '{host[:80]}'; use 127.0.0.1.", "foreign_host")


def main(argv: list[str]) -> int:
    """Run the gateway; return its exit code."""
    try:
        return tyro.cli(run, prog="python -m serving.gateway", args=argv)
    except KinoraError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
