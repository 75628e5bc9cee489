"""How right the detectors are, on clips whose truth is known.

    python -m benchmarks.detectors [--clips 192] [--autoencoder DIR] [--checkpoint DIR]

The folders, of a trained autoencoder and of a checkpoint of the transformer, add the same clips through the autoencoder
and the clips of a model, the untrained one for example.
"""

import time
from pathlib import Path

import tyro

from evaluation.benchmark import Benchmark, benchmark, model_clips, through_autoencoder
from evaluation.rates import METRICS


def measure(clips: int = 192, autoencoder: Path | None = None, checkpoint: Path | None = None) -> str:
    """Return the benchmark as a section of Markdown."""
    through, models = {}, {}
    if autoencoder is not None:
        through["through the autoencoder"] = through_autoencoder(autoencoder)
        if checkpoint is not None:
            models[f"the model {checkpoint.name}"] = model_clips(autoencoder, checkpoint, clips)
    began = time.process_time()
    result = benchmark(count=clips, through=through, models=models)
    return markdown(result, time.process_time() - began)


def markdown(result: Benchmark, seconds: float) -> str:
    """Return the figures of a benchmark as Markdown."""
    names = list(result.right)
    lines = [
        "## Detectors",
        "",
        f"{result.clips} simulated clips of the training combinations; {seconds:.0f} s of CPU for everything below.",
        "",
        "| | " + " | ".join(names) + " |",
        "|---|" + "---:|" * len(names),
    ]
    for metric in METRICS:
        cells = [f"{result.right[name]['rates'][metric]:.1%}" for name in names]
        lines.append(f"| {metric.replace('_', ' ')} | " + " | ".join(cells) + " |")
    ways = list(next(iter(result.corrupted.values())))
    lines += ["", "| failure put in | clips | " + " | ".join(f"{way}: found / located" for way in ways) + " |"]
    lines.append("|---|---:|" + "---:|" * len(ways))
    for name, row in result.corrupted.items():
        cells = [f"{row[way]['found']:.1%} / {row[way]['located']:.1%}" if row[way]["clips"] else "–" for way in ways]
        lines.append(f"| {name} | {row[ways[0]]['clips']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(tyro.cli(measure))
