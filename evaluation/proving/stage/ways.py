"""All the ways to fail, by type."""

from collections.abc import Iterator

import numpy as np

from evaluation.proving.stage import motion_ways, sight_ways
from evaluation.proving.stage.failures import Fault, Shot
from evaluation.proving.stage.scene import Scene, Take

TRIES = 9  # at a failure of every type in a scene
FEW = 3


def faults(scene: Scene, take: Take, seen: np.ndarray, inside: np.ndarray, rng: np.random.Generator) -> Iterator[Fault]:
    """A few failures of every type the scene allows, type after type, in ways and at severities drawn at random.

    The types' order is drawn too: whoever takes only the first few cases takes as many of each type. A cause without
    its mark, which few scenes allow, is the first failure of its type where it can be told; its draws are its own.
    """
    every = sight_ways.WAYS | motion_ways.WAYS
    for kind in rng.permutation(list(every)):
        ways, found = every[kind], 0
        if kind == "state_change":
            own = np.random.default_rng([scene.look, scene.frames])
            if (fault := sight_ways.leaves_no_mark(Shot(scene, take, seen, inside, own))) is not None:
                yield fault
        for way in rng.permutation(TRIES):
            fault = ways[way % len(ways)](Shot(scene, take, seen, inside, rng)) if found < FEW else None
            if fault is not None:
                found += 1
                yield fault
