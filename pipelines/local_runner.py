"""The process in which Kubeflow's local runner executes a pipeline, a subprocess a step.

Run as `python -m pipelines.local_runner REQUEST.json`. It prints Kubeflow's own log, writes events for the watcher,
caches finished steps, and when told to end (or when its parent dies) ends everything that it started.
"""

import importlib
import json
import logging
import os
import signal
import sys
import threading
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kinora.config import from_dict, read_json
from kinora.processes import adopt_orphans, end_descendants, end_with_parent
from kinora.progress import PROGRESS_DIR
from pipelines.events import Event, Kind
from pipelines.state import component_of


@dataclass(frozen=True)
class Request:
    """What to run (`module:function` of a pipeline, its arguments), under which name, and where.

    `run` is what Kubeflow calls the run: the folder of its outputs, and the `pipeline_job_name` that steps may ask for.
    """

    pipeline: str
    arguments: dict[str, Any]
    run: str
    outputs: str
    progress: str
    events: str
    threads: int

    def write(self, path: Path) -> None:
        """Write the request for the process to read."""
        path.write_text(json.dumps(asdict(self)))


class TaskRecorder:
    """Wraps the one function through which Kubeflow's local orchestrator runs a task, or finds it in its cache.

    `ending` is set before the processes of steps are ended: from then on no step begins, and none has succeeded.
    """

    def __init__(self, request: Request, ending: threading.Event):
        self.request, self.ending, self.failed = request, ending, False

    def install(self) -> None:
        """Kubeflow has no hook for this; a test holds the pinned version to what is assumed here."""
        from kfp.local import cache, executor_input_utils, status, subprocess_task_handler
        from kfp.local.orchestrator import task_executor

        executor_input_utils.get_local_pipeline_resource_name = lambda pipeline: self.request.run

        # Earlier versions left entries without outputs where a run was ended, and every step of ours has some.
        found = cache.LocalCache.get
        cache.LocalCache.get = lambda entries, key: found(entries, key) or None

        # As on a cluster, a component's second task, which Kubeflow calls NAME-2, finds what its first one made.
        key_of = cache.LocalCache.compute_key
        cache.LocalCache.compute_key = lambda entries, component_name, **call: key_of(
            entries, component_of(component_name), **call
        )

        exit_code = subprocess_task_handler.run_local_subprocess

        def honest_exit_code(**call: Any) -> int:
            # Who ends a step's process also collects its exit code, and for lack of it Popen says 0, which is success.
            code = exit_code(**call)
            return 1 if self.ending.is_set() else int(code)

        subprocess_task_handler.run_local_subprocess = honest_exit_code

        execute = task_executor.execute_single_task

        def observed(**call: Any) -> tuple[dict[str, Any], status.Status]:
            if self.failed or self.ending.is_set():  # what does not depend on the failed step would run on for minutes
                return {}, status.Status.FAILURE
            step, item = call["task_name"], _item(call)
            # Tasks of a loop run two at a time. Each gets its share of the cores, or they collapse each other's speed.
            os.environ["OMP_NUM_THREADS"] = str(max(1, self.request.threads // (2 if item else 1)))
            # Threads that spin long while they wait slow each other down many times when anything else wants the cores.
            os.environ.setdefault("GOMP_SPINCOUNT", "1000")
            self._record("started", step, item)
            outputs, result = execute(**call)
            if result != status.Status.SUCCESS:
                self.failed = True
                if not self.ending.is_set():
                    self._record("failed", step, item)
            else:
                self._record("finished" if _task_root(call).exists() else "cached", step, item, outputs)
            return outputs, result

        task_executor.execute_single_task = observed

    def _record(self, kind: Kind, step: str, item: str, outputs: dict[str, Any] | None = None) -> None:
        from kfp import dsl

        artifacts, values = {}, {}
        for name, value in (outputs or {}).items():
            if isinstance(value, dsl.Artifact):
                artifacts[name] = {"path": value.path, "type": value.schema_title, "metadata": value.metadata}
            else:
                values[name] = value
        Event(kind, step, item, artifacts=artifacts, values=values).append_to(Path(self.request.events))


def _item(call: dict[str, Any]) -> str:
    """Return what a task's loop iterates over, or "" outside a loop."""
    if "-iteration-" not in call["pipeline_resource_name"]:
        return ""
    from kfp.local.orchestrator.orchestrator_utils import OrchestratorUtils

    arguments = OrchestratorUtils.make_task_arguments(call["task_spec"].inputs, call["io_store"])
    for name, value in call["task_spec"].inputs.parameters.items():
        if "-loop-item" in value.component_input_parameter:
            return str(arguments[name])
    return str(call["pipeline_resource_name"].rsplit("-iteration-", 1)[1])


def _task_root(call: dict[str, Any]) -> Path:
    """Return the folder that a task's outputs go to when it is not found in the cache."""
    from kfp.local import executor_input_utils

    component = call["task_spec"].component_ref.name
    task = executor_input_utils.get_local_task_resource_name(component)
    root = executor_input_utils.construct_local_task_root(call["pipeline_root"], call["pipeline_resource_name"], task)
    return Path(root)


def run(request: Request, ending: threading.Event) -> bool:
    """Run the pipeline; return whether it succeeded. `ending` says that its steps are being ended."""
    from kfp import local

    module, name = request.pipeline.split(":")
    pipeline = getattr(importlib.import_module(module), name)
    os.environ[PROGRESS_DIR] = request.progress
    TaskRecorder(request, ending).install()
    local.init(
        local.SubprocessRunner(use_venv=False), pipeline_root=request.outputs, raise_on_error=True, enable_caching=True
    )
    try:
        pipeline(**request.arguments)
    except RuntimeError as error:
        print(error)
        return False
    return True


def main(argv: list[str]) -> int:
    """Run the request in the file that is named."""
    ending = threading.Event()

    def end(number: int, frame: object) -> None:
        ending.set()
        end_descendants(os.getpid())
        os._exit(128 + number)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    end_with_parent()
    adopt_orphans()
    logging.basicConfig(stream=sys.stdout, level=logging.INFO)
    request = from_dict(Request, read_json(argv[0]))
    succeeded = run(request, ending)
    end_descendants(os.getpid())  # a step that leaves a process behind does not make the run leave one
    Event("end", "").append_to(Path(request.events))
    return 0 if succeeded else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
