"""Simulated worlds as a clip dataset, with the simulator's record beside every clip."""

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kinora.config import to_dict
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.grid import DEFAULT_GRID, Grid
from kinora.data.stored_clip import store_clip
from kinora.errors import UsageError
from kinora.files import atomic_folder
from kinora.progress import Progress
from kinora.worlds.registry import WORLDS
from kinora.worlds.sampling import Sample, WorldsConfig, draw_sample, split_combinations
from kinora.worlds.scene import STATE_COLUMNS

WRITERS = 2


@dataclass(frozen=True)
class SimulatedClips:
    """How many clips of the simulated worlds make a dataset.

    `captioned` is the share of the training clips that keep the simulator's caption; the others arrive without one.
    """

    videos: int = 2000
    images: int = 600
    captioned: float = 0.5


def write_worlds(
    config: WorldsConfig, clips: SimulatedClips, out: str | Path, grid: Grid = DEFAULT_GRID
) -> ClipDataset:
    """Simulate clips and write them as a dataset; the same configuration gives the same bytes.

    The share of validation clips is that of the held-out combinations. Validation clips keep the simulator's caption.

    Raises:
        UsageError: if the configuration asks for what no world can show, or for no clip.
    """
    if clips.videos + clips.images < 1:
        raise UsageError("the simulated worlds are asked for no videos and no images; ask for at least one.")
    train, held = split_combinations(config)
    share = len(held) / (len(train) + len(held))
    counts = (("video", clips.videos), ("image", clips.images))
    plans = [(config, kind, index, share, clips.captioned) for kind, count in counts for index in range(count)]
    rows = []
    with atomic_folder(out) as folder, Progress("simulate worlds", len(plans), "clips") as progress:
        with ThreadPoolExecutor(WRITERS) as writers:
            for row in writers.map(lambda plan: _write_clip(folder / "media", *plan), plans):
                rows.append(row)
                progress.update(len(rows))
        settings = {"worlds": to_dict(config), "simulated": to_dict(clips), "grid": to_dict(grid)}
        ClipDataset.write(folder, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), settings)
    return ClipDataset.open(out)


def _write_clip(
    media: Path, config: WorldsConfig, kind: str, index: int, share: float, captioned_share: float
) -> dict[str, Any]:
    # Every clip has a random state of its own, so that it does not depend on the order of writing.
    rng = np.random.default_rng([config.seed, kind == "image", index])
    held_out = reached(index, share)
    sample = draw_sample(config, rng, held_out=held_out, image=kind == "image")
    captioned = held_out or rng.random() < captioned_share
    row = store_clip(
        media,
        sample.frames,
        sample.fps,
        source=f"worlds/{sample.scene.world}/{kind}-{index:06d}",
        split="validation" if held_out else "train",
        caption=sample.caption if captioned else "",
        short_caption=sample.short_caption if captioned else "",
        caption_source="simulator" if captioned else "",
    )
    record = json.dumps(state_record(sample), separators=(",", ":"))
    (media / f"{row['clip_id']}.json").write_text(record + "\n")
    return row


def reached(index: int, share: float) -> bool:
    """Say whether an even spread of `share` over 0, 1, 2, ... falls on `index`; any share falls on the first."""
    return bool(np.ceil((index + 1) * share) > np.ceil(index * share))


def state_record(sample: Sample) -> dict[str, Any]:
    """Return what the simulator knows of a clip: the scene, the camera and every body in every frame, captions."""
    return {
        "world": sample.scene.world,
        "gravity": sample.scene.gravity,  # downward, world units a second squared
        "fps": sample.fps,
        "scene": to_dict(sample.scene),
        "state_columns": list(STATE_COLUMNS),
        "states": sample.states.round(5).tolist(),
        "camera_columns": list(WORLDS[sample.scene.world].camera_columns),
        "camera": sample.camera.round(5).tolist(),
        "caption": sample.caption,
        "short_caption": sample.short_caption,
        "attributes": to_dict(sample.attributes),
    }
