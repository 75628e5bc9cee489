"""A worker: claims jobs from the gateway over HTTP, makes the clips with the deployed model, and uploads them.

Run as `python -m serving.worker --gateway URL`, with KINORA_WORKER_TOKEN set. The model is the version that is deployed
in the registry, imported into BentoML's store; when another one is promoted, the worker changes to it between two jobs.
SIGTERM: claim nothing more and finish the job; SIGINT, or a second SIGTERM: release the job.
"""

import os
import secrets
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import httpx
import tyro

from kinora.config import read_json, to_dict
from kinora.errors import KinoraError
from kinora.files import atomic_write
from kinora.generation.registry import Registry
from kinora.processes import end_with_parent
from kinora.storage import artifact_root as artifact_root_of
from serving.address import TOKEN
from serving.model_store import import_version, store_home

if TYPE_CHECKING:
    from kinora.generation import Step

SECONDS_BETWEEN_RENEWALS = 0.5
SECONDS_TO_ANSWER = 15.0
SECONDS_UNTIL_ABANDONED = 60.0  # a step that is not over this long after the lease was lost never will be
SECONDS_BETWEEN_REGISTRY_CHECKS = 5.0
EXAMPLES = 6


class Abandoned(Exception):
    """Work on the job ends: it is no longer ours, or we were told to stop."""


class Stop:
    """What signals have asked for."""

    def __init__(self) -> None:
        self.soon = threading.Event()  # claim nothing more
        self.now = threading.Event()  # release the job

    def listen(self) -> None:
        """Take SIGTERM and SIGINT."""
        signal.signal(signal.SIGTERM, self._receive)
        signal.signal(signal.SIGINT, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT or self.soon.is_set():
            self.now.set()
        self.soon.set()


class Gateway:
    """The gateway's routes for workers."""

    def __init__(self, address: str, token: str, worker: str):
        self.worker = worker
        headers = {"Authorization": f"Bearer {token}"}
        self._http = httpx.Client(
            base_url=f"{address.rstrip('/')}/internal", headers=headers, timeout=SECONDS_TO_ANSWER, trust_env=False
        )

    def claim(self, version: str, facts: dict[str, Any]) -> dict[str, Any] | None:
        """Return a job, or None after a while without one."""
        body = {"worker": self.worker, "version": version, "facts": facts}
        answer = self._checked(self._http.post("/claim", json=body))
        return answer.json() if answer.status_code == 200 else None

    def send(self, job: dict[str, Any], method: str, what: str, **content: Any) -> httpx.Response:
        """Send something about a job that we hold.

        Raises:
            Abandoned: if we do not hold it any more.
            httpx.HTTPError: if the gateway does not answer.
        """
        headers = {"X-Kinora-Lease": job["lease"]}
        answer = self._http.request(method, f"/jobs/{job['id']}/{what}", headers=headers, **content)
        if answer.status_code == 409:
            raise Abandoned
        return self._checked(answer)

    def _checked(self, answer: httpx.Response) -> httpx.Response:
        if answer.status_code == 401:
            raise KinoraError("the gateway does not know this worker's token; give both the same KINORA_WORKER_TOKEN.")
        return answer.raise_for_status()


class LeaseRenewal:
    """Renews a job's lease in the background and carries its progress and previews; knows when it is no longer ours.

    `sampled` is what the prompt is sampled as, once that is known; `preview` the next picture to be shown.
    """

    def __init__(self, gateway: Gateway, job: dict[str, Any], stop: Stop, heartbeat: "Heartbeat"):
        self._gateway, self._job, self._stop, self._heartbeat = gateway, job, stop, heartbeat
        self.sampled, self.preview = "", b""
        self._progress, self._over, self._lost = 0, threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._renew, name="renewal", daemon=True)

    def __enter__(self) -> "LeaseRenewal":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def step(self, step: "Step") -> None:
        """Note the progress; called after every sampling step.

        Raises:
            Abandoned: if the work must end.
        """
        self._progress = min(99, 100 * step.done // step.steps)
        if self._lost.is_set() or self._stop.now.is_set():
            raise Abandoned

    def renew(self) -> None:
        """Renew the lease now, so that the gateway knows what we do.

        Raises:
            Abandoned: if the job is no longer ours.
            httpx.HTTPError: if the gateway does not answer.
        """
        body = {"progress": self._progress, "worker": self._gateway.worker, "sampled": self.sampled}
        self._gateway.send(self._job, "POST", "renew", json=body)

    def _renew(self) -> None:
        lost_since = None
        while not self._over.wait(SECONDS_BETWEEN_RENEWALS):
            if lost_since is not None:
                if time.monotonic() - lost_since > SECONDS_UNTIL_ABANDONED:
                    os._exit(1)  # only a new process gets out of a step that hangs
                continue
            try:
                self._heartbeat.beat()
                self.renew()
                picture, self.preview = self.preview, b""
                if picture:
                    self._gateway.send(self._job, "PUT", "preview", content=picture)
            except Abandoned:
                self._lost.set()
                lost_since = time.monotonic()
            except (httpx.HTTPError, KinoraError) as error:
                log(f"the gateway does not answer ({type(error).__name__}); trying on")


class Heartbeat:
    """A file whose age says whether the worker lives."""

    def __init__(self, path: Path | None):
        self.path = path

    def beat(self) -> None:
        """Make the file new, where one is wanted."""
        if self.path is None:
            return
        with atomic_write(self.path) as temporary:
            temporary.write_text(f"{time.time():.0f}\n")

    @contextmanager
    def beating(self) -> Iterator[None]:
        """Keep the file new while the caller does something long."""
        over = threading.Event()

        def beat() -> None:
            while not over.wait(SECONDS_BETWEEN_RENEWALS):
                self.beat()

        thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


class ServedModel:
    """The model version that this worker has loaded: a requested one, or the one that is deployed."""

    def __init__(self, registry: Registry, requested_version: str, store: Path):
        """Load it.

        Raises:
            KinoraError: if nothing is deployed, or the version cannot be fetched.
        """
        self._registry, self._store, self._follows = registry, store, not requested_version
        self._checked = time.monotonic()
        self._load(import_version(registry, requested_version or registry.deployed(), store))

    def _load(self, path: Path) -> None:
        from kinora.generation import VideoGenerator
        from kinora.generation.memory import pixels_that_fit

        self.path, self.generator = path, VideoGenerator.from_version(path)
        pixels = pixels_that_fit(self.generator.vae.config, self.generator.device)
        self.facts = facts_of(path) | {"grid": to_dict(self.generator.grid), "pixels": pixels}
        log(f"model version {path.name} is loaded")

    @property
    def name(self) -> str:
        """The name of the version."""
        return self.path.name

    def follow_promotion(self, heartbeat: Heartbeat) -> None:
        """Change to the version that is deployed now, if it is another one; what cannot be fetched is left."""
        now = time.monotonic()
        if not self._follows or now - self._checked < SECONDS_BETWEEN_REGISTRY_CHECKS:
            return
        self._checked = now
        try:
            name = self._registry.deployed()
            if name == self.name:
                return
            with heartbeat.beating():
                path, previous = import_version(self._registry, name, self._store), self.path
                del self.generator  # before the next one is loaded: a GPU may not hold both
                self._load(path)
                shutil.rmtree(previous, ignore_errors=True)  # the registry keeps it
        except KinoraError as error:
            log(f"the deployed version is not served, {self.name} is: {error}")


def facts_of(version: Path) -> dict[str, Any]:
    """Return what a model version says of itself: what it was trained on, and prompts that it was judged by."""
    recipe, evaluation = read_json(version / "recipe.json"), read_json(version / "evaluation.json")
    text = read_json(version / "dit" / "config.json")["text"]
    ingest = recipe.get("ingest", {})
    worlds = ingest.get("worlds", {})
    prompts = dict.fromkeys(clip["asked"]["prompt"] for clip in evaluation.get("clips", ()) if "asked" in clip)
    prompts.pop("", None)  # of a clip that nobody wrote a caption for
    return {
        "version": version.name,
        "recipe": recipe.get("name"),
        "sizes": worlds.get("sizes"),
        "frames": ingest.get("max_frames"),
        "fps": ingest.get("fps"),
        "steps": recipe["sampling"].get("steps"),
        "examples": list(prompts)[:EXAMPLES],
        "vocabulary": text["vocabulary"],
        "max_words": text["max_words"],
    }


def work_on(model: ServedModel, job: dict[str, Any], gateway: Gateway, stop: Stop, heartbeat: Heartbeat) -> None:
    """Make one clip and upload it; a failure is reported, and whatever else happens is left to the lease."""
    started = time.monotonic()
    with LeaseRenewal(gateway, job, stop, heartbeat) as renewal:
        try:
            make_clip(model, job, gateway, renewal)
            log(f"{job['id']} made in {time.monotonic() - started:.1f} s")
        except Abandoned:
            if stop.now.is_set():
                release(gateway, job)
            log(f"{job['id']} abandoned")
        except KinoraError as error:
            report_failure(gateway, job, "cannot_be_made", str(error))
        except httpx.HTTPStatusError as error:
            status = error.response.status_code
            report_failure(
                gateway, job, "not_exchanged", f"The gateway answered its worker with {status}; its log says why."
            )
        except httpx.HTTPError as error:
            log(f"{job['id']}: the gateway does not answer ({type(error).__name__}); its lease will run out")
        except Exception as error:
            import traceback

            traceback.print_exc()
            report_failure(
                gateway,
                job,
                "generation_failed",
                f"Generation failed ({type(error).__name__}); the worker's log says why.",
            )


def make_clip(model: ServedModel, job: dict[str, Any], gateway: Gateway, renewal: LeaseRenewal) -> None:
    """Make one clip and upload it."""
    from serving.making import Previews, make, request_of

    given = {name: gateway.send(job, "GET", f"given/{name}").content for name in job["media"]}
    request, generator, previews = request_of(job, given), model.generator, Previews(job["fps"])
    generator.check_prompts(request, allow_unknown_words=True)  # the gateway has refused what was not allowed
    metadata = generator.metadata(request)
    renewal.sampled = metadata["sampled"]
    renewal.renew()

    def on_step(step: "Step") -> None:
        renewal.step(step)
        renewal.preview = previews.picture(step) or renewal.preview

    def upload(what: str, file: Path) -> None:
        gateway.send(job, "PUT", what, content=file.read_bytes())

    make(generator, job, request, metadata, on_step, upload)


def report_failure(gateway: Gateway, job: dict[str, Any], code: str, message: str) -> None:
    """Report that the job failed; if the gateway does not hear it, the lease runs out."""
    try:
        gateway.send(job, "POST", "fail", json={"code": code, "message": message})
    except (Abandoned, httpx.HTTPError):
        log(f"{job['id']} failed, and the gateway does not know: {message}")


def release(gateway: Gateway, job: dict[str, Any]) -> None:
    """Let the job be queued again; if the gateway does not hear it, the lease runs out."""
    try:
        gateway.send(job, "POST", "release")
    except (Abandoned, httpx.HTTPError):
        log(f"{job['id']} could not be released; its lease will run out")


def serve_jobs(model: ServedModel, gateway: Gateway, stop: Stop, heartbeat: Heartbeat) -> None:
    """Claim and make one job after the other until told to stop."""
    answered = True
    while not stop.soon.is_set():
        model.follow_promotion(heartbeat)
        try:
            job = gateway.claim(model.name, model.facts)
            answered = True
        except httpx.HTTPError as error:
            if answered:
                log(f"the gateway does not answer ({type(error).__name__}); trying on")
            answered, job = False, None
            stop.soon.wait(1.0)
        heartbeat.beat()
        if job is not None and stop.now.is_set():
            release(gateway, job)
        elif job is not None:
            work_on(model, job, gateway, stop, heartbeat)


def log(text: str) -> None:
    """Write one line to the log."""
    print(f"worker: {text}", file=sys.stderr, flush=True)


def run(
    gateway: str,
    artifact_root: str = "",
    model_version: str = "",
    heartbeat: Path | None = None,
) -> int:
    """Make the clips that the gateway's clients ask for; KINORA_WORKER_TOKEN must be set.

    Args:
        gateway: its address, such as http://127.0.0.1:3000.
        artifact_root: holds the registry of model versions; else KINORA_ARTIFACT_ROOT, else work/artifacts.
        model_version: the version to serve; else the one that is deployed, and later whichever is promoted.
        heartbeat: a file to make new every few seconds, for probes.
    """
    token = os.environ.get(TOKEN, "")
    if not token:
        raise KinoraError(f"{TOKEN} is not set; give the gateway and its workers the same secret.")
    stop = Stop()
    stop.listen()
    end_with_parent()
    if heartbeat is not None:
        heartbeat.unlink(missing_ok=True)  # of a worker before this one: it would pass for ours while the model loads
    model = ServedModel(Registry(artifact_root_of(artifact_root)), model_version, store_home())
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    serve_jobs(model, Gateway(gateway, token, name), stop, Heartbeat(heartbeat))
    return 0


def main(argv: list[str]) -> int:
    """Run the worker; return its exit code."""
    try:
        return tyro.cli(run, prog="python -m serving.worker", args=argv)
    except KinoraError as error:
        print(f"worker: {error}", file=sys.stderr)
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
