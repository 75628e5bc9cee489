"""What a checkpoint is asked for of a person's own footage: to continue held-out clips from their first frames."""

import zlib
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation.generating import Continues, generated
from kinora.data.clips import ClipDataset
from kinora.data.grid import Grid
from kinora.errors import KinoraError

if TYPE_CHECKING:
    from kinora.generation import GenerationRequest


@dataclass(frozen=True)
class ContinuationTask:
    """A held-out clip that a model is to continue, its first `given` frames being given.

    clip: its id. source: the file it was cut from. prompt: the caption that a person wrote, "" where nobody did.
    """

    clip: str
    source: str
    prompt: str
    width: int
    height: int
    frames: int
    fps: float
    given: int
    seed: int


@dataclass(frozen=True, eq=False)
class Continued:
    """A continuation and the truth, `uint8 [T, H, W, 3]`, with the given frames."""

    task: ContinuationTask
    made: np.ndarray
    truth: np.ndarray


def given_frames(frames: int, grid: Grid) -> int:
    """Return how many first frames of a clip are given: about a third of its latent frames, and at least the first."""
    latents = 1 + (frames - 1) // grid.frames
    return 1 + (max(1, round(latents / 3)) - 1) * grid.frames


def held_out_videos(dataset: ClipDataset) -> list[dict[str, Any]]:
    """Return the rows of the videos of a person's own files that are held out."""
    rows: list[dict[str, Any]] = []
    columns = ["clip_id", "kind", "split", "source", "caption", "caption_source", "width", "height", "frames", "fps"]
    for piece in dataset.pieces(columns):
        chosen = piece[(piece["split"] == "validation") & (piece["kind"] == "video")]
        rows += [{str(name): value for name, value in row.items()} for row in chosen.to_dict("records")]
    return rows


def tasks_of(
    videos: Sequence[dict[str, Any]], grid: Grid, fps: float, number: int, seed: int
) -> list[ContinuationTask]:
    """Return `number` tasks from held-out videos; none if there is no video.

    Every file has its turn before any has a second one, first with another clip, then with a seed again.

    Args:
        videos: some of the rows of `held_out_videos`.
        grid: of the model that is judged.
        fps: of clips whose rate is unknown.
        number: of tasks.
        seed: of the first task; each has one of its own.
    """
    # The longest first, of which most is asked; else in an order that has nothing to do with names, so that a part of
    # many is no choice.
    rows = sorted(videos, key=lambda row: (-row["frames"], zlib.crc32(row["clip_id"].encode())))
    turns: Counter[str] = Counter()
    ranked = []
    for place, row in enumerate(rows):
        ranked.append((turns[row["source"]], place, row))
        turns[row["source"]] += 1
    ordered = [row for _, _, row in sorted(ranked, key=lambda item: item[:2])]
    return [
        ContinuationTask(
            clip=row["clip_id"],
            source=row["source"],
            prompt=row["caption"] if row["caption_source"] == "human" else "",
            width=row["width"],
            height=row["height"],
            frames=row["frames"],
            fps=row["fps"] or fps,
            given=given_frames(row["frames"], grid),
            seed=seed + place,
        )
        for place in range(number if ordered else 0)
        for row in [ordered[place % len(ordered)]]
    ]


def request_of(task: ContinuationTask, truth: np.ndarray) -> "GenerationRequest":
    """Return what a model is asked for: `truth`, `uint8 [T, H, W, 3]`, gives it the first frames."""
    from kinora.generation import GenerationRequest, Task  # brings in torch, which judging clips does not need

    given = truth[: task.given]
    return GenerationRequest(
        task.prompt,
        task.width,
        task.height,
        task.frames,
        task.fps,
        task.seed,
        expand=False,  # a person's caption is asked for as it was written, which is how it was learned
        task=Task.IMAGE if task.given == 1 else Task.EXTEND,
        image=given[0] if task.given == 1 else None,
        video=given if task.given > 1 else None,
    )


def continue_clips(
    generator: Continues, tasks: Sequence[ContinuationTask], dataset: ClipDataset
) -> Iterator[Continued]:
    """Yield what a model makes of every task, in their order.

    Raises:
        KinoraError: if a clip cannot be read, or is not as the task says.
    """
    waiting: deque[np.ndarray] = deque()

    def requests() -> Iterator["GenerationRequest"]:
        for task, truth in zip(tasks, dataset.read(task.clip for task in tasks), strict=True):
            shape = truth.shape[:3]
            if shape != (task.frames, task.height, task.width):
                raise KinoraError(
                    f"the clip {task.clip} is to have {task.frames} frames of {task.width}x{task.height}, and has "
                    f"{shape[0]} of {shape[2]}x{shape[1]}; make the dataset again."
                )
            waiting.append(truth)
            yield request_of(task, truth)

    for task, made in zip(tasks, generated(generator, requests(), len(tasks)), strict=True):
        yield Continued(task, made, waiting.popleft())


def reconstructed(generator: Continues, truth: np.ndarray, given: int) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` through the autoencoder, made to meet the given ones as a continuation is.

    That is what a model would make whose latents are right.
    """
    from kinora.generation.canvas import joined
    from kinora.media.tensors import to_frames, to_tensor

    latent = generator.vae.latents_of(to_tensor(truth)[None])
    frames = to_frames(generator.vae.video_of(latent, truth.shape[:3])[0])
    known = np.arange(len(truth)) < given
    return np.where(known[:, None, None, None], truth, joined(frames, truth, known))
