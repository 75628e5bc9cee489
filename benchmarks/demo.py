"""`make demo` as a new user meets it: a fresh clone, an empty folder, everything from nothing; then once more.

    python -m benchmarks.demo [--keep FOLDER]

Measures the time and the memory of all its processes together, and what came out: the captioner, the autoencoder, and
the model on its held-out prompts.
"""

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
import tyro

from evaluation.checkpoint import judge_prompts
from evaluation.findings import ClipInput
from evaluation.proving.reconstruction import through_autoencoder
from evaluation.rates import METRICS
from kinora import recipes
from kinora.config import from_dict
from kinora.worlds import EvaluationPrompt, simulate_prompt

ROOT = Path(__file__).parents[1]
GIB = 2**30
SECONDS_BETWEEN_LOOKS = 0.5


def measure(keep: Path | None = None) -> str:
    """Return the benchmark as a section of Markdown; `keep` is where the clone stays, to look at what it made."""
    with tempfile.TemporaryDirectory() as temporary:
        clone = keep or Path(temporary) / "kinora"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        first, memory = timed(["make", "demo"], clone)
        again, _ = timed(["make", "demo"], clone)
        return markdown(first, again, memory, clone / "work")


def timed(command: list[str], folder: Path) -> tuple[float, float]:
    """Run a command; return its wall seconds and the most memory that its processes held together, in bytes.

    Memory is proportional set size: what processes share is counted once.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    began, most = time.monotonic(), 0.0
    with open(folder / "output.txt", "w") as output:
        process = psutil.Popen(command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT)
        while process.poll() is None:
            most = max(most, sum(map(held, [process, *process.children(recursive=True)])))
            time.sleep(SECONDS_BETWEEN_LOOKS)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{(folder / 'output.txt').read_text()[-2000:]}")
    return time.monotonic() - began, most


def held(process: psutil.Process) -> float:
    """Return a process's proportional set size, 0 if it has just ended."""
    try:
        return process.memory_full_info().pss
    except psutil.Error:
        return 0.0


def markdown(first: float, again: float, memory: float, work: Path) -> str:
    """Return the figures of a finished demo."""
    lines = [
        "## The demo",
        "",
        f"From a fresh clone, installation included: **{first / 60:.1f} minutes**, at most {memory / GIB:.1f} GiB "
        f"of memory. Again with nothing changed: {again:.0f} s.",
        "",
        "| step | seconds |",
        "|---|---:|",
    ]
    lines += [f"| {step} | {seconds:.0f} |" for step, seconds in durations(work).items()]
    captioner, autoencoder = metrics(work, "train-captioner"), metrics(work, "train-autoencoder")
    right = {name.removeprefix("accuracy_"): value for name, value in captioner.items() if name.startswith("accuracy_")}
    lines += [
        "",
        "Captioner, attributes right on unseen clips: "
        + ", ".join(f"{name} {value:.1%}" for name, value in sorted(right.items()))
        + ".",
        "",
        f"Autoencoder, unseen clips: {autoencoder['psnr_video']:.1f} dB on video, "
        f"{autoencoder['psnr_image']:.1f} dB on images.",
        "",
        *scores(work),
    ]
    return "\n".join(lines) + "\n"


def scores(work: Path) -> list[str]:
    """Return the table of the held-out prompts: the simulator's clips, what ruins them, and every judged checkpoint."""
    evaluations = artifacts(work, "evaluate", "evaluation")
    results = [json.loads((path / "evaluation.json").read_text()) for path in evaluations]
    judged = {result["name"]: result["rates"] for result in results}
    worlds = recipes.get("tiny").ingest.worlds
    prompts = [from_dict(EvaluationPrompt, clip["asked"]) for clip in results[0]["clips"]]
    own = [simulate_prompt(prompt, worlds) for prompt in prompts]
    through = through_autoencoder(artifacts(work, "train-autoencoder", "autoencoder")[-1])
    generator = np.random.default_rng(0)
    ways = {
        "simulator": own,
        "through the autoencoder": [through(frames) for frames in own],
        "noise": [generator.integers(0, 256, frames.shape, dtype=np.uint8) for frames in own],
    }
    columns = {name: rates_of(clips, prompts) for name, clips in ways.items()} | dict(sorted(judged.items()))
    lines = [
        f"{len(prompts)} held-out prompts to choose by, one clip each; `step-000000` is the untrained model.",
        "",
        "| | " + " | ".join(columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    lines += [
        f"| {metric.replace('_', ' ')} | " + " | ".join(f"{rates[metric]:.1%}" for rates in columns.values()) + " |"
        for metric in METRICS
    ]
    return lines


def rates_of(clips: list[np.ndarray], prompts: list[EvaluationPrompt]) -> dict[str, float]:
    """Judge one clip a prompt."""
    inputs = [
        ClipInput(f"{number:03d}", frames, prompt.fps, prompt.prompt)
        for number, (frames, prompt) in enumerate(zip(clips, prompts, strict=True))
    ]
    return judge_prompts(inputs, prompts, "benchmark")["rates"]


def artifacts(work: Path, step: str, name: str) -> list[Path]:
    """Return where `step` left its artifact `name`, once for each of its tasks."""
    return [Path(event["artifacts"][name]["path"]) for event in events(work, step)]


def durations(work: Path) -> dict[str, float]:
    """Return the wall seconds of each step in its last real run."""
    return json.loads((work / "durations.json").read_text())["tiny"]


def metrics(work: Path, step: str) -> dict[str, float]:
    """Return the figures that a step recorded."""
    return events(work, step)[-1]["artifacts"]["metrics"]["metadata"]


def events(work: Path, step: str) -> list[dict]:
    """Return the events of the last run in which `step` had results."""
    lines = [json.loads(line) for line in (work / "runs" / "latest" / "events.jsonl").read_text().splitlines()]
    return [event for event in lines if event["step"] == step and event["artifacts"]]


if __name__ == "__main__":
    print(tyro.cli(measure))
