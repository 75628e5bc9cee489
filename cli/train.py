"""`kinora train`: one model at a time, outside the pipeline."""

from pathlib import Path
from typing import Annotated

import tyro

import kinora.recipes


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
    figures = train_captioner(
        ClipDataset.open(dataset), out, chosen.captioner, chosen.ingest.worlds, _beside(out, checkpoints)
    )
    return _report(out, figures)


def autoencoder(
    dataset: tyro.conf.Positional[Path], out: Path, recipe: str = "tiny", checkpoints: Checkpoints = None
) -> int:
    """Train the autoencoder on a clip dataset."""
    from kinora.data.clips import ClipDataset
    from kinora.training.vae import train_vae

    chosen = kinora.recipes.get(recipe)
    figures, page = train_vae(ClipDataset.open(dataset), out, chosen.autoencoder, _beside(out, checkpoints))
    page.write(out / "report.html")
    return _report(out, figures)


def transformer(
    latents: tyro.conf.Positional[Path], out: Path, recipe: str = "tiny", checkpoints: Checkpoints = None
) -> int:
    """Train the transformer on encoded latents, in several processes."""
    from kinora.training.dit import train_dit, training_page

    chosen = kinora.recipes.get(recipe)
    names = train_dit(latents, out, chosen.transformer, _beside(out, checkpoints))
    training_page(out).write(out / "report.html")
    print(f"{out}: {', '.join(names)}")
    return 0


def _beside(out: Path, checkpoints: Path | None) -> Path:
    return checkpoints or out.with_name(f"{out.name}.checkpoints")


def _report(out: Path, figures: dict[str, float]) -> int:
    print(f"{out}: " + ", ".join(f"{name} {value:.3g}" for name, value in figures.items()))
    return 0
