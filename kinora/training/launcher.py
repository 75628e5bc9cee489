"""The launcher: one torchx application definition, run as local processes or rendered for a Kubernetes cluster."""

import os
import re
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import kinora
from kinora.errors import KinoraError
from kinora.processes import with_parent

if TYPE_CHECKING:
    from torchx.specs import AppDef

POLL_SECONDS = 0.25
# Big temporary arrays would otherwise be mapped and unmapped at every use: a quarter of a training step on CPU.
MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(2**30), "MALLOC_TRIM_THRESHOLD_": str(2**34), "MALLOC_TOP_PAD_": str(2**26)}


def application(
    module: str, args: list[str], processes: int, *, nodes: int = 1, gpus: int = 0, memory_mib: int = 4096,
    image: str = "", env: dict[str, str] | None = None,
) -> "AppDef":  # fmt: skip
    """Define `module` run by torchrun on `nodes` machines of `processes` processes each.

    `gpus`, `memory_mib` and `image` are a machine's needs on a cluster; local processes ignore them.
    """
    from torchx.components.dist import torchrun

    return torchrun(
        *args, m=module, name=f"/{module.rsplit('.', 1)[-1].replace('_', '-')}", j=f"{nodes}x{processes}",
        image=image, cpu=processes, gpu=gpus, memMB=memory_mib, env=dict(env or {}),
    )  # fmt: skip


def launch(module: str, args: list[str], processes: int, on_poll: Callable[[], None] | None = None) -> None:
    """Run `module` in `processes` local processes until all are done; `on_poll` is called a few times a second.

    `args` hold no options, which torchrun would take for its own. Whatever ends this call (an error, Ctrl-C, SIGTERM)
    ends the processes too. Call it from the main thread.

    Raises:
        KinoraError: if a process failed; the message ends with the last line that the processes wrote.
    """
    from torchx.runner import get_runner
    from torchx.specs import AppState

    with (
        tempfile.TemporaryDirectory(prefix="kinora-launch-") as logs,
        _own_signal_handlers(),
        get_runner() as runner,  # leaving it ends whatever still runs
    ):
        app = application(module, args, processes, env=_local_environment())
        handle = runner.run(app, scheduler="local_cwd", cfg={"log_dir": logs})
        # torchx's local scheduler brings handlers that raise errors of its own; ours end the program as usual.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, _terminated)
        while not (status := _status(runner, handle)).is_terminal():
            time.sleep(POLL_SECONDS)
            if on_poll is not None:
                on_poll()
        if status.state is not AppState.SUCCEEDED:
            raise KinoraError(f"training stopped: {_last_words(Path(logs))}")


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


def _local_environment() -> dict[str, str]:
    import torch

    package = str(Path(kinora.__file__).parents[1])
    environment = {
        "PATH": str(Path(sys.executable).parent),  # torchrun of this very environment
        "PYTHONPATH": os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")])),
        # More cores are for more processes: in matrices this small, threads mostly wait for each other.
        "OMP_NUM_THREADS": "1",
        "TORCHDYNAMO_DISABLE": "1",  # DeepSpeed compiles Muon, which needs a C++ compiler and half a minute
        **with_parent(),
        **MALLOC,
    }
    if not torch.cuda.is_available():
        environment["DS_ACCELERATOR"] = "cpu"
    return environment


def _last_words(logs: Path) -> str:
    """Return the last line of an error in the processes' logs, a process's own rather than that its peer is gone."""
    lines = [line for file in sorted(logs.rglob("std*.log")) for line in file.read_text(errors="replace").splitlines()]
    words = [line.split("]:", 1)[-1].strip() for line in lines]
    sentences = [line.removeprefix("kinora: ") for line in words if line.startswith("kinora: ")]
    errors = [line for line in words if re.match(r"[\w.]*(Error|Exception)\b.*: ", line)]
    errors.sort(key=lambda line: "closed by peer" not in line)
    silent = f"a process failed ({words[-1] if words else 'without a word'})."
    return (sentences[-1:] or errors[-1:] or [silent])[0]
