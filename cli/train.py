"""`kinora train`: one model at a time, outside the pipeline."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from cli.options import Dataset, Out, RecipeName, Settings, chosen

if TYPE_CHECKING:
    from kinora.training.config import TrainingResult

Checkpoints = Annotated[
    Path | None,
    tyro.conf.arg(
        metavar="FOLDER",
        help="Folder that training keeps its state in, and goes on from when it is run again.",
        help_behavior_hint="(default: beside the result)",
    ),
]


def train(argv: Sequence[str]) -> int:
    """Run `kinora train captioner`, `autoencoder` or `transformer`."""
    code: int = tyro.extras.subcommand_cli_from_dict(
        {"captioner": captioner, "autoencoder": autoencoder, "transformer": transformer},
        prog="kinora train",
        description="Train a captioner, an autoencoder or a transformer, with the settings of a recipe.",
        args=argv,
    )
    return code


def captioner(
    dataset: Dataset, out: Out, recipe: RecipeName = "tiny", settings: Settings = (), checkpoints: Checkpoints = None
) -> int:
    """Train the captioner on the clips that have a caption."""
    from kinora.data.clips import ClipDataset
    from kinora.training.captioner import train_captioner

    found, clips = chosen(recipe, settings), ClipDataset.open(dataset)
    state = _beside(out, checkpoints)
    return _report(train_captioner(clips, out, found.captioner, state, worlds=found.ingest.worlds))


def autoencoder(
    dataset: Dataset,
    out: Out,
    features: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None,
    recipe: RecipeName = "tiny",
    settings: Settings = (),
    checkpoints: Checkpoints = None,
) -> int:
    """Train the autoencoder on a clip dataset, in several processes.

    Args:
        features: Folder of a captioner, whose image encoder the perceptual loss compares clips by; or a safetensors
            file with the weights of VGG16 and LPIPS. Needed where the recipe gives that loss a weight.
    """
    from kinora.data.clips import ClipDataset
    from kinora.training.autoencoder import train_autoencoder

    found, clips, state = chosen(recipe, settings), ClipDataset.open(dataset), _beside(out, checkpoints)
    return _report(train_autoencoder(clips, out, found.autoencoder, state, compute=found.compute, features=features))


def transformer(
    latents: Annotated[
        str,
        tyro.conf.Positional,
        tyro.conf.arg(metavar="LATENTS", help="Folder that `kinora encode` wrote, or the s3:// address of its copy."),
    ],
    out: Out,
    autoencoder: Annotated[Path | None, tyro.conf.arg(metavar="FOLDER", help_behavior_hint="(optional)")] = None,
    recipe: RecipeName = "tiny",
    settings: Settings = (),
    checkpoints: Checkpoints = None,
) -> int:
    """Train the transformer on encoded latents, in several processes.

    Args:
        autoencoder: Folder of the autoencoder that made the latents: with it the page shows samples along the way.
    """
    from kinora.data.latents import LatentDataset
    from kinora.training.transformer import train_transformer

    found, encoded, state = chosen(recipe, settings), LatentDataset.open(latents), _beside(out, checkpoints)
    return _report(
        train_transformer(
            encoded,
            out,
            found.transformer,
            state,
            compute=found.compute,
            autoencoder=autoencoder,
            sampling=found.sampling,
        )
    )


def _beside(out: Path, checkpoints: Path | None) -> Path:
    return checkpoints or out.with_name(f"{out.name}.checkpoints")


def _report(result: "TrainingResult") -> int:
    print(", ".join(f"{name} {value:.3g}" for name, value in result.metrics.items()))
    print(result.path / "report.html")
    return 0
