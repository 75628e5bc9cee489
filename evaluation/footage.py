"""Judge one checkpoint on a person's own footage: it continues held-out clips, and each is compared with the truth."""

import hashlib
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from evaluation import continuation
from evaluation.continuation import MEASURES, agreement, mean_agreement
from evaluation.generating import Continues, generated
from kinora.config import to_dict
from kinora.data.clips import ClipDataset
from kinora.data.grid import Grid
from kinora.errors import KinoraError

if TYPE_CHECKING:
    from kinora.generation import GenerationRequest

VERSION = "footage-1"
BASELINES = {
    "held": "the last given frame, held still",
    "autoencoder": "the truth, through the autoencoder",
}
NO_MOTION = "what the clip shows does not move, so that no motion can agree"


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
    """A continuation, the truth and its reconstruction by the autoencoder, `uint8 [T, H, W, 3]`, with the given frames.

    The reconstruction is what a model would make whose latents are right.
    """

    task: ContinuationTask
    made: np.ndarray
    truth: np.ndarray
    reconstruction: np.ndarray


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


def continue_clips(generator: Continues, tasks: Sequence[ContinuationTask], dataset: ClipDataset) -> list[Continued]:
    """Return what a model makes of every task, in their order.

    Raises:
        KinoraError: if a clip cannot be read, or is not as the task says.
    """
    clips = list(dict.fromkeys(task.clip for task in tasks))
    truths = dict(zip(clips, dataset.read(clips), strict=True))
    for task in tasks:
        shape = truths[task.clip].shape[:3]
        if shape != (task.frames, task.height, task.width):
            raise KinoraError(
                f"the clip {task.clip} is to have {task.frames} frames of {task.width}x{task.height}, and has "
                f"{shape[0]} of {shape[2]}x{shape[1]}; make the dataset again."
            )
    made = generated(generator, [request_of(task, truths[task.clip]) for task in tasks])
    given = {task.clip: task.given for task in tasks}
    best = {clip: _reconstructed(generator, truths[clip], given[clip]) for clip in clips}
    return [
        Continued(task, frames, truths[task.clip], best[task.clip]) for task, frames in zip(tasks, made, strict=True)
    ]


def judge_footage(clips: Sequence[Continued], name: str) -> dict[str, Any]:
    """Judge continuations and return the evaluation, the content of `evaluation.json`.

    Its `clips` are one record a continuation. `rates` are the means over the clips, each the mean over its seeds, of
    what was measured; `baselines` are the same of `BASELINES`, and `compared` are counts.
    """
    records = [_record(number, clip) for number, clip in enumerate(clips)]
    by_clip: dict[str, list[dict[str, Any]]] = {}
    for record in records:
        by_clip.setdefault(record["asked"]["clip"], []).append(record)
    own = {clip: mean_agreement([record["rates"] for record in some]) for clip, some in by_clip.items()}
    baselines = {base: mean_agreement([some[0]["baselines"][base] for some in by_clip.values()]) for base in BASELINES}
    nearer = [
        clip for clip, some in by_clip.items() if own[clip]["appearance"] > some[0]["baselines"]["held"]["appearance"]
    ]
    counts = {
        "clips": len(by_clip),
        "sources": len({some[0]["asked"]["source"] for some in by_clip.values()}),
        "continuations": len(records),
        "nearer": len(nearer),
        "moving": sum(rates["motion"] is not None for rates in own.values()),
        "with_words": sum(bool(some[0]["asked"]["prompt"]) for some in by_clip.values()),
    }
    return {
        "name": name,
        "kind": "continuation",
        "evaluator": evaluator(),
        "rates": _measured(mean_agreement(list(own.values()))),
        "baselines": {base: _measured(values) for base, values in baselines.items()},
        "by_clip": own,
        "compared": counts,
        "clips": records,
    }


@lru_cache
def evaluator() -> dict[str, Any]:
    """Return which evaluator this is: evaluations with different digests must not be compared."""
    files = (Path(continuation.__file__), Path(__file__))
    return {
        "version": VERSION,
        "digest": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
        "scale": "0 far from the truth, 1 the truth",
        "measures": list(MEASURES),
    }


def _record(number: int, clip: Continued) -> dict[str, Any]:
    """Return what `evaluation.json` holds of one continuation."""
    task, given = clip.task, clip.task.given
    truth, last = clip.truth[given:], clip.truth[given - 1]
    rates = agreement(clip.made[given:], truth, last)
    return {
        "clip": f"{number:03d}",
        "asked": to_dict(task),
        "prompt": task.prompt,
        "rates": rates,
        "baselines": {
            "held": agreement(np.broadcast_to(last, truth.shape), truth, last),
            "autoencoder": agreement(clip.reconstruction[given:], truth, last),
        },
        "not_measurable": {"motion": NO_MOTION} if rates["motion"] is None else {},
    }


def _reconstructed(generator: Continues, truth: np.ndarray, given: int) -> np.ndarray:
    """Return frames `uint8 [T, H, W, 3]` through the autoencoder, made to meet the given ones as a continuation is."""
    from kinora.generation.canvas import joined
    from kinora.media.tensors import to_frames, to_tensor

    latent = generator.vae.latents_of(to_tensor(truth)[None])
    frames = to_frames(generator.vae.video_of(latent, truth.shape[:3])[0])
    known = np.arange(len(truth)) < given
    return np.where(known[:, None, None, None], truth, joined(frames, truth, known))


def _measured(rates: dict[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in rates.items() if value is not None}
