"""`kinora train`: one model at a time, outside the pipeline."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

import kinora.recipes

if TYPE_CHECKING:
    from kinora.training.config import TrainingResult


def train(argv: list[str]) -> int:
    """Parse the command line and train one model."""
    return tyro.extras.subcommand_cli_from_dict(
        {"captioner": captioner, "autoencoder": autoencoder, "transformer": transformer},
        prog="kinora train",
        description="Train a captioner, an autoencoder or a transformer, with the settings of a recipe.",
        args=argv,
    )


Checkpoints = Annotated[
    Path | None, tyro.conf.arg(help="where training keeps its state, to go on from; beside OUT if not given")
]


def captioner(
    dataset: tyro.conf.Positional[Path], out: Path, recipe: str = "tiny", checkpoints: Checkpoints = None
) -> int:
    """Train the captioner on a clip dataset."""
    from kinora.data.clips import ClipDataset
    from kinora.training.captioner import train_captioner

    chosen = kinora.recipes.get(recipe)
    return _report(
        train_captioner(
            ClipDataset.open(dataset),
            out,
            chosen.captioner,
            _beside(out, checkpoints),
            worlds=chosen.ingest.worlds,
        )
    )


def autoencoder(
    dataset: tyro.conf.Positional[Path], out: Path, recipe: str = "tiny", checkpoints: Checkpoints = None
) -> int:
    """Train the autoencoder on a clip dataset."""
    from kinora.data.clips import ClipDataset
    from kinora.training.autoencoder import train_autoencoder

    chosen = kinora.recipes.get(recipe)
    return _report(train_autoencoder(ClipDataset.open(dataset), out, chosen.autoencoder, _beside(out, checkpoints)))


def transformer(
    latents: tyro.conf.Positional[Path],
    out: Path,
    autoencoder: Annotated[
        Path | None, tyro.conf.arg(help="the one that made the latents, to show samples; none are made if not given")
    ] = None,
    recipe: str = "tiny",
    checkpoints: Checkpoints = None,
) -> int:
    """Train the transformer on encoded latents, in several processes."""
    from kinora.data.latents import LatentDataset
    from kinora.training.transformer import train_transformer

    chosen = kinora.recipes.get(recipe)
    return _report(
        train_transformer(
            LatentDataset.open(latents),
            out,
            chosen.transformer,
            _beside(out, checkpoints),
            autoencoder=autoencoder,
            sampling=chosen.sampling,
        )
    )


def _beside(out: Path, checkpoints: Path | None) -> Path:
    return checkpoints or out.with_name(f"{out.name}.checkpoints")


def _report(result: "TrainingResult") -> int:
    print(f"{result.path}: " + ", ".join(f"{name} {value:.3g}" for name, value in result.metrics.items()))
    if result.checkpoints:
        print(f"checkpoints: {', '.join(result.checkpoints)}")
    return 0
