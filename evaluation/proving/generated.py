"""Clips that a model makes, with failures edited in, and the clips of the same model before any training.

Nobody knows which of a model's clips are faultless. Each is therefore judged beside itself: with the failure, and
without. Judged with their prompts, as a model's clips are.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from evaluation.checkpoint import generate_clips, request
from evaluation.findings import ClipInput
from evaluation.proving.case import Case
from evaluation.proving.edits.making import UNTOUCHED, Making
from evaluation.proving.edits.sprites import sprites_of
from evaluation.proving.edits.workbench import Bench, Sprite
from evaluation.proving.real import Piece
from kinora.config import from_dict
from kinora.generation import VideoGenerator, read_version
from kinora.worlds import EvaluationPrompt, WorldsConfig, evaluation_prompts
from kinora.worlds.registry import world_of

UNTRAINED = "of the model before it was trained"
CRF = 18  # little is lost to the codec of what is small already
PHYSICS = {"ballistics": "falls", "collision": "collides", "orbit": "camera_pan"}  # of the worlds; in others it "rolls"


def prompts_of(version: Path, count: int, seed: int) -> list[EvaluationPrompt]:
    """Return held-out prompts of the worlds that a model version was trained on.

    Raises:
        KinoraError: the folder holds no whole version.
    """
    worlds = read_version(version).record("recipe")["ingest"]["worlds"]
    return evaluation_prompts(from_dict(WorldsConfig, worlds), count, seed)


def cases(version: Path, prompts: Sequence[EvaluationPrompt], failures: int, seed: int) -> Iterator[Case]:
    """Yield each clip that a model makes, with failures edited in, and what it made instead before it was trained.

    Raises:
        UsageError: the model never saw some words of the prompts.
    """
    model = generator(version)
    for prompt in prompts:
        model.check_prompts(request(prompt))
    clips = generate_clips(model, prompts)
    before = generate_clips(generator(version, trained=False), prompts)
    pieces = [_piece(prompt, clip) for prompt, clip in zip(prompts, clips, strict=True)]
    sprites = [_sprites(piece) for piece in pieces]
    for number, (prompt, piece) in enumerate(zip(prompts, pieces, strict=True)):
        rng = np.random.default_rng([seed, zlib.crc32(piece.name.encode())])
        others = [k for k in range(len(pieces)) if k != number]
        foreign = lambda rng, others=others: pieces[rng.choice(others)] if others else None  # noqa: E731
        bench = Bench(piece, [sprite for k in others for sprite in sprites[k]], foreign)
        for case in Making(bench, rng, failures).cases():
            clip = replace(case.clip, prompt=prompt.prompt)
            yield replace(case, clip=clip)
            if case.way == UNTOUCHED:
                yield replace(case, way=UNTRAINED, clip=replace(clip, frames=before[number].frames))


@cache
def generator(version: Path, *, trained: bool = True) -> VideoGenerator:
    """Return the generator of a model version; not `trained`: with the weights of its transformer as training starts.

    The autoencoder is the trained one.
    """
    from torch.random import fork_rng, manual_seed

    model = VideoGenerator.from_version(version)
    if trained:
        return model
    with fork_rng(devices=[]):
        manual_seed(0)
        fresh = type(model.model)(model.model.dit.config, model.model.text_encoder.config)
    return VideoGenerator(model.vae, fresh, model.sampling, model.usual)


def _piece(prompt: EvaluationPrompt, clip: ClipInput) -> Piece:
    motion = prompt.attributes.motion
    assert motion is not None, "evaluation prompts say everything"
    happens = PHYSICS.get(world_of(motion), "rolls")
    moves = happens == "camera_pan" or prompt.attributes.camera is not None
    physics = {happens, "camera_pan" if moves else "static_camera"}
    name = f"{prompt.prompt.rstrip('.')}, seed {prompt.seed}"
    return Piece(name, name, clip.frames, clip.fps, frozenset(physics), CRF, "generated")


def _sprites(piece: Piece) -> list[Sprite]:
    bench = Bench(piece, [], lambda rng: None)
    return sprites_of(bench, np.random.default_rng(zlib.crc32(piece.name.encode())))
