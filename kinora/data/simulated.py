"""Simulated worlds as clips of a dataset, with the simulator's record beside every clip."""

import json
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from kinora.config import to_dict
from kinora.data.ingest.config import IngestConfig
from kinora.data.ingest.sources import Item
from kinora.data.stored_clip import store_clip
from kinora.errors import UsageError
from kinora.worlds.registry import WORLDS
from kinora.worlds.sampling import Sample, WorldsConfig, draw_sample, split_combinations
from kinora.worlds.scene import STATE_COLUMNS

PREFIX = "worlds"


class WorldsSource:
    """The simulated worlds, listed as a source is: each clip is an input, made from its name and configuration alone.

    Raises:
        UsageError: if the configuration asks for no clip.
    """

    def __init__(self, config: IngestConfig):
        self.clips = config.simulated
        if self.clips.videos + self.clips.images < 1:
            raise UsageError("the simulated worlds are asked for no videos and no images; ask for at least one.")
        split_combinations(config.worlds)  # refuses what no world can show, before any work

    def items(self) -> Iterator[Item]:
        """Yield every clip, by name."""
        for kind, count in (("image", self.clips.images), ("video", self.clips.videos)):
            yield from (Item(f"{PREFIX}/{kind}/{index:08d}") for index in range(count))


def simulated_clip(media: Path, name: str, config: IngestConfig) -> dict[str, Any]:
    """Simulate the clip of an item's name, write it and its record into the folder `media`, and return its row.

    The same name and configuration give the same bytes. The share of validation clips is that of the held-out
    combinations; they keep the simulator's caption.
    """
    _, kind, number = name.split("/")
    worlds, index = config.worlds, int(number)
    # Every clip has a random state of its own, so that it does not depend on the order of writing.
    rng = np.random.default_rng([worlds.seed, kind == "image", index])
    held_out = reached(index, _held_out_share(worlds))
    sample = draw_sample(worlds, rng, held_out=held_out, image=kind == "image")
    captioned = held_out or rng.random() < config.simulated.captioned
    row = store_clip(
        media,
        sample.frames,
        sample.fps,
        source=f"{PREFIX}/{sample.scene.world}/{kind}-{index:06d}",
        split="validation" if held_out else "train",
        caption=sample.caption if captioned else "",
        short_caption=sample.short_caption if captioned else "",
        caption_source="simulator" if captioned else "",
    )
    record = json.dumps(state_record(sample), separators=(",", ":"))
    (media / f"{row['clip_id']}.json").write_text(record + "\n")
    return row


@lru_cache(maxsize=1)
def _held_out_share(worlds: WorldsConfig) -> float:
    train, held = split_combinations(worlds)
    return len(held) / (len(train) + len(held))


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
