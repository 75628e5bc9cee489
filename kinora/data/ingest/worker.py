"""Processes that read inputs, each one after the other, with limits of memory; a hostile file takes down only its own.

Run as `python -m kinora.data.ingest.worker CONTROL SETTINGS`: a socket's file descriptor, and the configuration as
JSON. It starts reading processes by forking, because importing what they need takes longer than reading a small file.
Sent two file descriptors, it starts a process and answers with its number; sent the number of one that ends, with its
exit code. A reading process gets inputs from the first of the two descriptors, a line of JSON each, and writes one line
for each into the other.
"""

import base64
import gc
import json
import os
import resource
import socket
import sys
import traceback
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from kinora.config import from_dict
from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.reading import Reading, read_input
from kinora.processes import end_with_parent

MEBI = 2**20


def answer(job: dict[str, Any], config: IngestConfig, grid: Grid) -> Reading:
    """Read a file, or make a simulated clip where the job names none."""
    media = Path(job["media"])
    if job["path"]:
        return read_input(Path(job["path"]), job["name"], job["caption"], media, config, grid)
    from kinora.data.simulated import simulated_clip

    return Reading(rows=[simulated_clip(media, job["name"], config)])


def to_line(reading: Reading) -> str:
    """Return a reading as a line of JSON, without instants."""
    rows = [{name: value for name, value in row.items() if name != "observed_at"} for row in reading.rows]
    prints = [base64.b64encode(np.ascontiguousarray(one).tobytes()).decode() for one in reading.fingerprints]
    result = {"rows": rows, "fingerprints": prints, "rejected": reading.rejected, "digest": reading.digest}
    return json.dumps(result, default=lambda number: number.item())  # NumPy's numbers


def limit_memory(mebibytes: int) -> None:
    """Let this process take so much more memory than it has now; what goes beyond is refused."""
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[0])
    most = pages * os.sysconf("SC_PAGE_SIZE") + mebibytes * MEBI
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def serve(requests: int, answers: int, config: IngestConfig, grid: Grid) -> None:
    """Answer requests from one file descriptor into another, until there are no more."""
    end_with_parent(at_once=True)
    if sys.platform == "linux":
        limit_memory(config.limits.memory_mb)
    with open(requests) as lines, open(answers, "w") as out:
        for line in lines:
            try:
                text = to_line(answer(json.loads(line), config, grid))
            except MemoryError:
                text = json.dumps({"exhausted": True})
            except Exception as error:  # a fault of ours: it is told of this input, and ends nothing but it
                traceback.print_exc()
                text = json.dumps({"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"})
            print(text, file=out, flush=True)


def main(argv: list[str]) -> int:
    """Start reading processes until the socket is closed; those that run then end with this one."""
    settings = json.loads(argv[1])
    config, grid = from_dict(IngestConfig, settings["config"]), from_dict(Grid, settings["grid"])
    cv2.setNumThreads(1)  # several processes work beside each other
    gc.freeze()  # what is imported stays
    with socket.socket(fileno=int(argv[0])) as control:
        while True:
            message, descriptors, _, _ = socket.recv_fds(control, 64, 2)
            if not message:
                return 0
            if descriptors:
                number = os.fork()
                if not number:
                    control.close()
                    requests, answers = descriptors
                    serve(requests, answers, config, grid)
                    os._exit(0)  # taking Python apart takes as long as reading a clip
                for descriptor in descriptors:
                    os.close(descriptor)
            else:
                number = os.waitstatus_to_exitcode(os.waitpid(int(message), 0)[1])
            control.sendall(str(number).encode())


if __name__ == "__main__":
    os._exit(main(sys.argv[1:]))
