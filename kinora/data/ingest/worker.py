"""A process that reads inputs, one after the other, with limits of memory; a hostile file takes down no more than it.

Run as `python -m kinora.data.ingest.worker REQUESTS ANSWERS`, which are file descriptors: a line of JSON each way. The
first request is the configuration; every further one is an input (`JobDict`), and gets one answer (`AnswerDict`).
"""

import base64
import json
import os
import resource
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


def main(argv: list[str]) -> int:
    """Answer requests until there are no more."""
    end_with_parent(at_once=True)
    cv2.setNumThreads(1)  # several processes work beside each other
    with open(int(argv[0])) as requests, open(int(argv[1]), "w") as answers:
        settings = json.loads(requests.readline())
        config, grid = from_dict(IngestConfig, settings["config"]), from_dict(Grid, settings["grid"])
        if sys.platform == "linux":
            limit_memory(config.limits.memory_mb)
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in requests:
            try:
                text = to_line(answer(json.loads(line), config, grid))
            except MemoryError:
                text = json.dumps({"exhausted": True})
            except Exception as error:  # a fault of ours: it is told of this input, and ends nothing but it
                traceback.print_exc()
                text = json.dumps({"failed": f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"})
            print(text, file=answers, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
