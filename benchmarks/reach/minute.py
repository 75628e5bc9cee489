"""A minute of video: the objects are still there and still move at the end, in the memory of a short clip.

python -m benchmarks.reach.minute
"""

import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil

from benchmarks.demo import held
from benchmarks.reach.figures import Figure, mean, share, single
from benchmarks.reach.measures import steps
from benchmarks.reach.options import LASTING, Subject, run
from evaluation.checkpoint import request
from evaluation.evaluator import judge
from evaluation.findings import ClipInput
from kinora.errors import KinoraError
from kinora.worlds import EvaluationPrompt

TITLE = "A minute"
COUNT = 6
LONG, SHORT = 60, 5  # seconds
LAST = 10  # seconds at the end that are looked at
PRESENT = 0.80
MEMORY = 0.10  # more or less than the short clip's
LOOK = 0.05  # seconds between two looks at the memory
STREAM = """
import sys
from kinora.generation import VideoGenerator, GenerationRequest
model, prompt, width, height, frames, fps = sys.argv[1:]
wanted = GenerationRequest(prompt, int(width), int(height), int(frames), float(fps))
for part in VideoGenerator.from_version(model).stream(wanted):
    pass
"""


def measure(subject: Subject) -> list[Figure]:
    """Return the objects and the motion in the last seconds, and the memory of a minute against five seconds."""
    present, motion, simulated = [], [], []
    prompts = subject.prompts(subject.options.count or COUNT, LASTING)
    for prompt in prompts:
        frames = round(LONG * prompt.fps)
        clip = np.concatenate(list(subject.generator.stream(replace(request(prompt), frames=frames))))
        second = round(prompt.fps)
        for start in range(frames - LAST * second, frames, second):
            part = ClipInput("", clip[start : start + second], prompt.fps, prompt.prompt)
            parts = judge(part)["prompt_mismatch"].parts
            present.append(parts.get("objects") == 1.0 and parts.get("colour") == 1.0)
        motion.append(lasting(clip, SHORT * second))
        simulated.append(lasting(subject.simulated(replace(prompt, frames=frames)), SHORT * second))
    short, long = (peak(subject.version.path, prompts[0], s) for s in (SHORT, LONG))
    more = long / short - 1
    return [
        share(f"the last {LAST} seconds: exactly the prompted objects, in their colours", present, PRESENT),
        mean(f"motion in the last {SHORT} seconds, against the first", motion, "times", at_least=1.0),
        mean("the same, of the simulator's own minutes", simulated, "times"),
        single(f"peak memory, {SHORT} seconds", short / 2**20, "MiB"),
        single(f"peak memory, {LONG} seconds", long / 2**20, "MiB"),
        single("more memory for a minute", more, "%", f"within {MEMORY:.0%}", abs(more) <= MEMORY),
    ]


def lasting(clip: np.ndarray, frames: int) -> float:
    """Return the motion in the last frames of a clip against that in as many first ones."""
    return float(steps(clip[-frames:]).mean() / max(steps(clip[:frames]).mean(), 1e-6))


def peak(model: Path, prompt: EvaluationPrompt, seconds: int) -> float:
    """Return the most memory in bytes, as proportional set size, that a process of its own held to make a clip.

    Raises:
        KinoraError: if it failed.
    """
    size = (prompt.width, prompt.height, round(seconds * prompt.fps), prompt.fps)
    command = [sys.executable, "-c", STREAM, str(model), prompt.prompt, *map(str, size)]
    most = 0.0
    with tempfile.TemporaryFile("w+") as output:  # not a pipe, which would fill up and stop it
        process = psutil.Popen(command, stdout=output, stderr=output)
        while process.poll() is None:
            most = max(most, held(process))
            time.sleep(LOOK)
        if process.returncode:
            output.seek(0)
            raise KinoraError(f"making {seconds} seconds failed: {output.read()[-1000:]}")
    return most


if __name__ == "__main__":
    run("minute", TITLE, measure)
