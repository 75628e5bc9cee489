"""Samples along the way: what a model made of the same clips at several steps of its training."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save

from kinora.files import atomic_write
from kinora.report import Clip


def write_samples(run: Path, step: int, clips: Sequence[Clip]) -> None:
    """Keep the clips that were made after `step` steps, if any, below the folder of a run."""
    if not clips:
        return
    notes = [{"fps": c.fps, "label": c.label, "note": c.note, "failed": c.failed} for c in clips]
    frames = {f"{number:03d}": np.ascontiguousarray(clip.frames) for number, clip in enumerate(clips)}
    with atomic_write(run / "samples" / f"step-{step:06d}.safetensors") as temporary:
        temporary.write_bytes(save(frames, metadata={"clips": json.dumps(notes)}))


def read_samples(run: Path) -> dict[int, list[Clip]]:
    """Return all clips that were kept, by step in ascending order."""
    samples = {}
    for path in sorted((run / "samples").glob("step-*.safetensors")):
        with safe_open(path, framework="np") as file:
            notes = json.loads(file.metadata()["clips"])
            clips = [Clip(file.get_tensor(f"{number:03d}"), **note) for number, note in enumerate(notes)]
        samples[int(path.stem.removeprefix("step-"))] = clips
    return samples
