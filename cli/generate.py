"""`kinora generate`: make a video from a prompt, an image or a video."""

import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from cli.options import ArtifactRoot
from kinora.errors import UsageError

LATER = ("loop", "edit", "connect", "fill")
OptionalFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint="(optional)")]


def generate(argv: Sequence[str]) -> int:
    """Run `kinora generate`."""
    later = next((name for name in LATER if f"--{name}" in argv), None)
    if later is not None:
        raise UsageError(f"--{later} comes in a later version; this one has --image and --extend.")

    def run(
        prompt: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="PROMPT")],
        out: Annotated[Path, tyro.conf.arg(metavar="FILE")] = Path("out.mp4"),
        size: Annotated[
            str,
            tyro.conf.arg(
                metavar="WxH", help_behavior_hint="(default: that of --image or --extend, else of the training clips)"
            ),
        ] = "",
        frames: Annotated[
            int | None,
            tyro.conf.arg(metavar="NUMBER", help_behavior_hint="(default: that of the longest training clips)"),
        ] = None,
        fps: Annotated[
            float | None,
            tyro.conf.arg(
                metavar="NUMBER", help_behavior_hint="(default: that of --extend, else of the training clips)"
            ),
        ] = None,
        seed: Annotated[int, tyro.conf.arg(metavar="NUMBER")] = 0,
        image: OptionalFile = None,
        extend: OptionalFile = None,
        direction: Annotated[Literal["forward", "backward"], tyro.conf.arg(metavar="forward|backward")] = "forward",
        guidance: Annotated[
            float | None, tyro.conf.arg(metavar="NUMBER", help_behavior_hint="(default: that of the model's recipe)")
        ] = None,
        model: Annotated[
            str, tyro.conf.arg(metavar="VERSION", help_behavior_hint="(default: the one that is deployed)")
        ] = "",
        artifact_root: ArtifactRoot = "",
    ) -> int:
        """Make a video from a prompt, an image or a video.

        Args:
            prompt: What the video shows.
            out: File to write, in the format of its suffix: .mp4, .webm, .gif, .webp, or .png for an image.
            size: Width and height in pixels, such as 40x24, from 16 to 2048 each.
            frames: Number of frames of the finished video: 1 makes an image.
            fps: Frames a second.
            seed: Another seed makes another video.
            image: Image to animate: it becomes the first frame.
            extend: Video to extend.
            direction: Where to extend the video: after its end, or before its beginning.
            guidance: How closely to follow the prompt, from 1 to about 6.
            model: Model version: its folder, its s3:// address, or its name in the registry.
        """
        from kinora.generation import GeneratedClip, VideoGenerator, request_for
        from kinora.media import check_clip_path
        from kinora.progress import Progress

        asked = parse_size(size) if size else None
        if not prompt.strip():
            raise UsageError("the prompt is empty; say what the video should show.")
        generator = VideoGenerator.from_version(model, artifact_root)
        generator.check_prompt(prompt)
        if guidance is not None:
            generator.sampling = replace(generator.sampling, guidance=guidance)
        request = request_for(
            prompt,
            generator.grid,
            generator.usual,
            {
                "size": asked,
                "frames": frames,
                "fps": fps,
                "seed": seed,
                "image": image,
                "video": extend,
                "direction": direction,
            },
        )
        check_clip_path(out, request.frames, request.fps)  # now, not after sampling
        unknown = generator.unknown_words(prompt)
        if unknown:
            print(
                f"kinora generate: the model never saw: {', '.join(unknown)}. It goes by the other words.",
                file=sys.stderr,
            )
        with Progress("generate", 100, "%") as progress:
            made = generator.generate([request], lambda step: progress.update(100 * step.done // step.steps))[0]
        GeneratedClip(made, request.fps, prompt).save(out)
        print(f"{out}: {len(made)} frames of {request.width}x{request.height} at {request.fps:g} frames a second")
        for note in request.notes:
            print(note)
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
