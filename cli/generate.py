"""`kinora generate`: make a video from a prompt, an image or a video."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_write
from kinora.media import read_image, read_video, write_image, write_video
from kinora.progress import Progress

LATER = ("loop", "edit", "connect", "fill")


def generate(argv: list[str]) -> int:
    """Parse the command line and make one clip."""
    later = next((name for name in LATER if f"--{name}" in argv), None)
    if later is not None:
        raise UsageError(f"--{later} comes in a later version; this one has --image and --extend.")

    def run(
        prompt: tyro.conf.Positional[str],
        model: Annotated[
            str, tyro.conf.arg(help="a model version's folder, s3:// URI or name; else the one that is deployed")
        ] = "",
        out: Path = Path("out.mp4"),
        size: Annotated[str, tyro.conf.arg(metavar="WxH", help="pixels, multiples of 8")] = "32x32",
        frames: Annotated[int, tyro.conf.arg(help="1 (a still, .png) or 1 + a multiple of 4")] = 17,
        fps: float = 8.0,
        seed: int = 0,
        image: Annotated[Path | None, tyro.conf.arg(help="animate this image")] = None,
        extend: Annotated[Path | None, tyro.conf.arg(help="extend this video")] = None,
        direction: Literal["forward", "backward"] = "forward",
        artifact_root: Annotated[
            str, tyro.conf.arg(help="where model versions are; else KINORA_ARTIFACT_ROOT, else work/artifacts")
        ] = "",
        guidance: Annotated[float | None, tyro.conf.arg(help="how closely to follow the prompt; 1 to 6")] = None,
    ) -> int:
        """Make a video from a prompt, an image or a video."""
        from kinora.generation import GenerationRequest, Registry, VideoGenerator
        from kinora.storage import artifact_root as artifact_root_of

        width, height = parse_size(size)
        picture = read_image(image)[0] if image is not None else None
        clip, rate = read_video(extend) if extend is not None else (None, fps)
        request = GenerationRequest(prompt, width, height, frames, rate, seed, picture, clip, direction)
        generator = VideoGenerator.from_version(Registry(artifact_root_of(artifact_root)).find(model).path)
        if guidance is not None:
            generator.sampling = replace(generator.sampling, guidance=guidance)
        with Progress("generate", generator.sampling.steps) as progress:
            made = generator.generate([request], lambda done, _: progress.update(done))[0]
        save(out, made, rate)
        print(f"{out}: {len(made)} frames of {width}x{height} at {rate:g} frames a second")
        return 0

    return tyro.cli(run, prog="kinora generate", args=argv)


def parse_size(text: str) -> tuple[int, int]:
    """Return (width, height) of a text such as "40x24".

    Raises:
        UsageError: if it is no size.
    """
    match = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if not match:
        raise UsageError(f"'{text}' is no size; give width and height in pixels, such as 40x24.")
    return int(match[1]), int(match[2])


def save(out: Path, frames: np.ndarray, fps: float) -> None:
    """Write a clip as MP4, or a still as PNG, by the suffix of `out`.

    Raises:
        UsageError: if the suffix does not fit the clip.
        KinoraError: if the file cannot be written.
    """
    wanted = ".png" if len(frames) == 1 else ".mp4"
    if out.suffix.lower() != wanted:
        raise UsageError(f"{out} cannot hold {len(frames)} frames; name it *{wanted}.")
    try:
        with atomic_write(out) as temporary:
            if len(frames) == 1:
                write_image(temporary, frames[0])
            else:
                write_video(temporary, frames, fps)
    except OSError as error:
        raise KinoraError(f"{out} cannot be written ({error.strerror}); choose another place with --out.") from error
