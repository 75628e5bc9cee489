"""The velocity error of a model of the recipe `phyworld`, inside and outside the sizes and speeds that it saw.

python -m benchmarks.laws [--work work/laws] [--settings "transformer.steps=1800"]

It runs the pipeline `law_study`: most of an hour on two cores.
"""

from pathlib import Path

import tyro

from evaluation.yardsticks.page import laws_markdown
from evaluation.yardsticks.phyworld import measure_checkpoint
from kinora import recipes
from pipelines.run import RunOptions, run_pipeline


def measure(work: Path = Path("work/laws"), settings: str = "") -> str:
    """Train and measure in the folder `work`, and return the section as Markdown."""
    result = run_pipeline(RunOptions(recipe="phyworld", settings=settings, work=work, pipeline="law_study"))
    checkpoint = max(result.artifact("pretrain", "transformer").glob("step-*"))
    return section(result.artifact("train-autoencoder", "autoencoder"), checkpoint, settings)


def section(autoencoder: Path, checkpoint: Path, settings: str = "") -> str:
    """Return the section of a model as Markdown."""
    laws = measure_checkpoint(autoencoder, checkpoint, recipes.get("phyworld", settings))
    return f"## The law outside what was seen\n\n{laws_markdown(laws)}\n"


if __name__ == "__main__":
    print(tyro.cli(measure))
