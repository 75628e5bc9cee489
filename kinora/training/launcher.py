"""The launcher: one torchx application definition, run as local processes or rendered for a Kubernetes cluster."""

import os
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

import kinora
from kinora.errors import KinoraError, UsageError
from kinora.processes import lives, with_parent
from kinora.training.compute import Compute
from kinora.training.failures import Failure, Warnings, failure
from kinora.training.reporting import warn

if TYPE_CHECKING:
    from torchx.specs import AppDef

POLL_SECONDS = 0.25
PAUSES = (2.0, 10.0, 30.0, 120.0, 300.0)  # seconds before another try after a failure of the infrastructure
SECONDS_OF_A_FRESH_START = 3600.0  # after as much work, failures are counted anew
SECONDS_FOR_OTHER_NODES = 60.0  # to end by themselves when one node has
# Big temporary arrays would otherwise be mapped and unmapped at every use: a quarter of a training step on CPU.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**26)}


def application(
    module: str, args: list[str], compute: Compute, *, cores: int, gpus: bool = True, memory_mib: int = 4096,
    image: str = "", env: dict[str, str] | None = None, port: int = 29500,
) -> "AppDef":  # fmt: skip
    """Define `module` run by torchrun on the nodes of `compute`, in its processes, each with a GPU if `gpus`.

    `cores` and `memory_mib` are of a node. Matrices are computed in as many threads as there are cores for a process:
    more would wait for each other. Only several nodes use `port`, of the first of them, to find each other.
    """
    from torchx.components.dist import torchrun

    threads = str(max(1, cores // compute.processes))
    return torchrun(
        *args, m=module, name=f"/{module.rsplit('.', 1)[-1].replace('_', '-')}",
        j=f"{compute.nodes}x{compute.processes}", image=image, cpu=cores, gpu=compute.processes if gpus else 0,
        memMB=memory_mib, env={"OMP_NUM_THREADS": threads, **MALLOC, **(env or {})}, rdzv_port=port,
    )  # fmt: skip


def launch(
    module: str,
    args: list[str],
    compute: Compute,
    on_poll: Callable[[], None] | None = None,
    pauses: Sequence[float] = PAUSES,
) -> None:
    """Run `module` in the processes of `compute` on this machine until all are done.

    `args` hold no options, which torchrun would take for its own. `on_poll` is called a few times a second. Warnings of
    the processes are shown as they come. After a failure of the infrastructure all processes are started again, after
    longer and longer `pauses`, as often as there are any. Whatever ends this call (an error, Ctrl-C, SIGTERM) ends the
    processes too, and so does the end of this process, even by SIGKILL, where they call `end_with_parent`. Several
    nodes are as many agents of torchrun on this machine. Call it from the main thread.

    Raises:
        KinoraError: if a process failed, with the sentence of the one that failed first.
    """
    failures = 0
    with _own_signal_handlers():
        while True:
            started = time.monotonic()
            ended = _attempt(module, args, compute, on_poll)
            if ended is None:
                return
            if time.monotonic() - started > SECONDS_OF_A_FRESH_START:
                failures = 0
            if not ended.infrastructure or failures == len(pauses):
                often = f" after {failures + 1} tries" if failures else ""
                raise KinoraError(f"training stopped{often}: {ended.sentence}")
            pause = pauses[failures]
            failures += 1
            warn(f"{ended.sentence.rstrip('.')}; going on in {pause:g} s (try {failures} of {len(pauses)}).")
            time.sleep(pause)


def on_this_machine(compute: Compute) -> Compute:
    """Return `compute` with no more processes than this machine has GPUs, if it has any, and say so where that is less.

    What is learned does not depend on it.

    Raises:
        UsageError: if those that share a pack do not fit on the machine.
    """
    import torch

    fitting = compute.on_gpus(torch.cuda.device_count()) if torch.cuda.is_available() else compute
    if fitting != compute:
        warn(f"compute asks for {compute.world_size} GPUs and this machine has fewer: training on {fitting.processes}.")
    return fitting


def one_node(compute: Compute) -> Compute:
    """Return `compute` if one machine is enough for it.

    Raises:
        UsageError: if it is not. Starting a job on several nodes needs a scheduler of the cluster.
    """
    if compute.nodes > 1:
        raise UsageError(
            f"compute.nodes is {compute.nodes}, and a step of a pipeline runs on one machine; set compute.nodes=1, "
            "with as many compute.processes as the machine has GPUs."
        )
    return compute


def _attempt(module: str, args: list[str], compute: Compute, on_poll: Callable[[], None] | None) -> Failure | None:
    """Run the processes once; return why they failed, if they did."""
    import torch
    from torchx.runner import get_runner
    from torchx.specs import AppState

    gpus = torch.cuda.is_available()
    with (
        tempfile.TemporaryDirectory(prefix="kinora-launch-") as logs,
        get_runner() as runner,  # leaving it ends whatever still runs
    ):
        before = set(psutil.Process().children())
        cores = max(1, _cores() // compute.nodes)
        app = application(module, args, compute, cores=cores, gpus=gpus, env=_local_environment(), port=_free_port())
        devices = gpus and compute.nodes > 1  # the agents share this machine's
        handle = runner.run(app, scheduler="local_cwd", cfg={"log_dir": logs, "auto_set_cuda_visible_devices": devices})
        # torchx's local scheduler brings handlers that raise errors of its own; ours end the program as usual.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminated)
        agents = [child for child in psutil.Process().children() if child not in before]
        warnings = Warnings(Path(logs))
        incomplete: float | None = None  # since when
        while not (status := _status(runner, handle)).is_terminal():
            time.sleep(POLL_SECONDS)
            for sentence in warnings.new():
                warn(sentence)
            if on_poll is not None:
                on_poll()
            if not all(map(lives, agents)):
                incomplete = incomplete or time.monotonic()
                if time.monotonic() - incomplete > SECONDS_FOR_OTHER_NODES:
                    runner.cancel(handle)
        for sentence in warnings.new():
            warn(sentence)
        return None if status.state is AppState.SUCCEEDED else failure(Path(logs))


@contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Put back the present handlers of SIGINT and SIGTERM at the end."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def kubernetes_manifest(app: "AppDef", namespace: str, queue: str) -> dict[str, Any]:
    """Return what torchx would submit to a cluster for `app`: a Volcano Job."""
    from torchx.runner import get_runner

    with get_runner() as runner:
        info = runner.dryrun(
            app, scheduler="kubernetes", cfg={"namespace": namespace, "queue": queue, "validate_spec": False}
        )
    manifest: dict[str, Any] = info.request.resource
    return manifest


def _status(runner: Any, handle: str) -> Any:
    status = runner.status(handle)
    assert status is not None, "a local application is known until its runner is closed"
    return status


def _terminated(number: int, frame: object) -> None:
    sys.exit(128 + number)


def _cores() -> int:
    """Return the cores that this program may use: those that OMP_NUM_THREADS says, or all of the machine's."""
    said = os.environ.get("OMP_NUM_THREADS", "")
    return int(said) if said.isdigit() else len(os.sched_getaffinity(0))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _local_environment() -> dict[str, str]:
    import torch

    package = str(Path(kinora.__file__).parents[1])
    environment = {
        "PATH": str(Path(sys.executable).parent),  # torchrun of this very environment
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        **with_parent(),
    }
    if not torch.cuda.is_available():
        environment["DS_ACCELERATOR"] = "cpu"
    return environment
