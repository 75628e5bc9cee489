"""`kinora generate`: make a video or an image from a prompt, from images, or from videos."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import tyro

from cli.options import ArtifactRoot
from cli.preview import Preview

if TYPE_CHECKING:
    from kinora.diffusion.sampler import Sampling
    from kinora.generation import GenerationRequest, RequestOptions, Step, VideoGenerator

arg = tyro.conf.arg
Flag = Annotated[bool, tyro.conf.FlagCreatePairsOff, arg(help_behavior_hint="")]
Input = Annotated[Path | None, arg(metavar="FILE", help_behavior_hint="(optional)")]
Text = Annotated[str, arg(metavar="TEXT", help_behavior_hint="(optional)")]


def number(default: str, metavar: str = "NUMBER") -> Any:
    """Return how an option that may be left out, with this default, is shown in the help."""
    return arg(metavar=metavar, help_behavior_hint=f"(default: {default})")


@dataclass(frozen=True)
class Options:
    """Make a video or an image from a prompt, from images, or from videos.

    Args:
        prompt: What the video shows; "" to leave that to the image or the video that it is made from.
        out: File to write, in the format of its suffix: .mp4, .webm, .gif, .webp, or .png for an image. A name without
            a suffix is a folder of PNG frames. How the clip was made is kept inside.
        image: Image that becomes the first frame.
        last_image: Image that becomes the last frame.
        loop: Let the last frame lead into the first, so that the clip plays for ever without a seam.
        extend: Video to go on with.
        direction: Where to extend it: after its end, or before its beginning.
        edit: Video to change into what the prompt says.
        strength: How much of it to change: just above 0 nothing, 1 everything.
        connect: Two videos: the clip begins as the first and gradually becomes the second.
        fill: Video of which something is missing.
        frames_missing: Frames to fill, first and last, counted from 0: 5:12 are eight frames, 5:12,20 one more.
        region: Rectangle to fill in every frame: left and top edge, width and height, in pixels of the video.
        interpolate: Video to make frames for, between those it has.
        factor: How many times the frame rate of the video the clip has.
        size: Width and height in pixels, such as 40x24.
        frames: Number of frames of the finished clip, whatever the task: 1 makes an image.
        seconds: Length of the finished clip, instead of its frames.
        fps: Frames a second.
        seed: Another seed makes another clip.
        negative_prompt: What the clip should not show.
        no_expand: Sample the prompt as it is, and not the descriptive caption that it stands for.
        allow_unknown_words: Go by the other words where the model never saw some of the prompt's.
        steps: Steps of sampling; more take longer.
        guidance: How closely to follow the prompt, from 1 to about 6.
        solver: Method of sampling: adams, dpm or euler.
        preview: PNG file to rewrite, while the clip is made, with a small picture of what it looks like so far.
        model: Model version: its folder, its s3:// address, or its name in the registry.
    """

    prompt: Annotated[str, tyro.conf.Positional, arg(metavar="PROMPT")]
    out: Annotated[Path, arg(metavar="FILE")] = Path("out.mp4")
    image: Input = None
    last_image: Input = None
    loop: Flag = False
    extend: Input = None
    direction: Annotated[Literal["forward", "backward"] | None, number("forward", "forward|backward")] = None
    edit: Input = None
    strength: Annotated[float | None, number("0.6")] = None
    connect: Annotated[tuple[Path, Path] | None, arg(metavar="FILE FILE", help_behavior_hint="(optional)")] = None
    fill: Input = None
    frames_missing: Annotated[str, arg(metavar="FIRST:LAST", help_behavior_hint="(optional)")] = ""
    region: Annotated[str, arg(metavar="LEFT,TOP,WxH", help_behavior_hint="(optional)")] = ""
    interpolate: Input = None
    factor: Annotated[int | None, number("2")] = None
    size: Annotated[str, number("that of the image or video, else of the training clips", "WxH")] = ""
    frames: Annotated[int | None, number("as many as the longest training clips have, beside what is given")] = None
    seconds: Annotated[float | None, number("as --frames")] = None
    fps: Annotated[float | None, number("that of the video, else of the training clips")] = None
    seed: Annotated[int, arg(metavar="NUMBER")] = 0
    negative_prompt: Text = ""
    no_expand: Flag = False
    allow_unknown_words: Flag = False
    steps: Annotated[int | None, number("that of the model's recipe")] = None
    guidance: Annotated[float | None, number("that of the model's recipe")] = None
    solver: Annotated[str | None, number("that of the model's recipe", "NAME")] = None
    preview: Input = None
    model: Annotated[str, arg(metavar="VERSION", help_behavior_hint="(default: the one that is deployed)")] = ""
    artifact_root: ArtifactRoot = ""


def generate(argv: Sequence[str]) -> int:
    """Run `kinora generate`."""
    options = tyro.cli(Options, prog="kinora generate", args=argv)
    wishes = wishes_of(options)
    preview = Preview(options.preview)

    from cli.tasks import bad_media_is_bad_usage
    from kinora.generation import VideoGenerator, request_for
    from kinora.media import check_clip_path, clip_writer
    from kinora.progress import Progress

    generator = VideoGenerator.from_version(options.model, options.artifact_root)
    generator.sampling = sampling_of(options, generator.sampling)
    with bad_media_is_bad_usage():
        request = request_for(options.prompt, generator.grid, generator.usual, wishes)
    generator.check_prompts(request, options.allow_unknown_words)
    generator.check(request)
    check_clip_path(options.out, request.frames, request.fps)
    metadata = generator.metadata(request)
    if metadata["sampled"] != request.prompt:
        print(f"The prompt is sampled as: {metadata['sampled']}", flush=True)
    for note in notes(generator, request, options.out):
        print(note, flush=True)

    def on_step(step: "Step") -> None:
        progress.update(100 * step.done // step.steps)
        preview.show(step)

    frames = 0
    with (
        Progress("generate", 100, "%") as progress,
        preview,
        clip_writer(options.out, request.fps, metadata) as write,
    ):
        for chunk in generator.stream(request, on_step):
            write(chunk)
            frames += len(chunk)
    size = f"{request.width}x{request.height}"
    made = f"{frames} frames of {size} at {request.fps:g} frames a second" if frames > 1 else f"an image of {size}"
    print(f"{options.out}: {made}")
    return 0


def wishes_of(options: Options) -> "RequestOptions":
    """Return what is asked of a request, checked as far as can be before a model is loaded.

    Raises:
        UsageError: if no model can make it, or a file is not what it should be.
    """
    from cli.tasks import check_media, parse_ranges, parse_region, parse_size, task_of
    from kinora.diffusion.sampler import Sampling
    from kinora.generation import GenerationRequest, Task
    from kinora.media import check_clip_path

    given = {name: value for name, value in vars(options).items() if value not in (None, "") and value is not False}
    task = task_of(given)
    size = parse_size(options.size) if options.size else None
    names = ("frames", "fps", "seed", "negative_prompt", "direction", "strength", "factor")
    plain: dict[str, Any] = {name: given[name] for name in names if name in given}
    sides: dict[str, Any] = {"width": size[0], "height": size[1]} if size else {}
    prompt = options.prompt if task is Task.TEXT or options.prompt.strip() else "a"  # with media it may be empty
    GenerationRequest(prompt, **plain, **sides)  # which checks all that it can say without media
    sampling_of(options, Sampling())
    check_clip_path(options.out, options.frames or 0, options.fps)
    first, second = options.connect or (None, None)
    images = {"image": options.image, "last_image": options.last_image}
    videos = {"video": options.extend or options.edit or options.fill or options.interpolate or first}
    videos["to_video"] = second
    check_media(images.values(), videos.values())
    wishes: dict[str, Any] = {
        **plain,
        **images,
        **videos,
        "task": task,
        "size": size,
        "seconds": options.seconds,
        "loop": options.loop,
        "expand": not options.no_expand,
        "missing": parse_ranges(options.frames_missing) if options.frames_missing else (),
        "region": parse_region(options.region) if options.region else None,
    }
    return cast("RequestOptions", wishes)


def sampling_of(options: Options, usual: "Sampling") -> "Sampling":
    """Return the usual sampling with what a person asked for.

    Raises:
        UsageError: if that cannot be.
    """
    asked: dict[str, Any] = {"steps": options.steps, "guidance": options.guidance, "solver": options.solver}
    return replace(usual, **{name: value for name, value in asked.items() if value is not None})


def notes(generator: "VideoGenerator", request: "GenerationRequest", out: Path) -> list[str]:
    """Return what was chosen where the request or the format leaves no other choice, a sentence each."""
    side, found = generator.grid.side, list(request.notes)
    made = [-(-length // side) * side for length in (request.width, request.height)]
    if made != [request.width, request.height]:
        found.append(
            f"{request.width}x{request.height} is made as {made[0]}x{made[1]}, multiples of {side} pixels, and cut."
        )
    if out.suffix.lower() in (".mp4", ".webm") and (request.width % 2 or request.height % 2):
        found.append(f"{out.suffix} holds even sides only: the last row or column is repeated where a side is odd.")
    return found
