"""What is told of sampling while it goes on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """`done` of `steps` are done. `preview` makes the clip `uint8 [T, H, W, 3]` as it is estimated now, when called.

    Whoever is told may raise, which ends the sampling.
    """

    done: int
    steps: int
    preview: Callable[[], np.ndarray]


OnStep = Callable[[Step], None]
