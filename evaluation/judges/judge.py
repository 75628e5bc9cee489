"""Who is asked whether a clip shows something: one interface, and the judge that a name chooses.

The probability of "yes" to "does this show ...?" is how well the two agree (Lin et al., "Evaluating text-to-visual
generation with image-to-text generation", 2024: VQAScore).
"""

from collections.abc import Hashable, Sequence
from functools import lru_cache
from importlib import import_module
from typing import Protocol

import numpy as np

from kinora.captioning.endpoint import address_of
from kinora.recipes.backends import JUDGE

WORDS = ("yes", "no")
HEARD = 0.25  # probability of one of the two words, from which an answer is one
SIDE = 512  # pixels of the longer side of a frame, at most
ASKING = 'These pictures are frames of one video, in order. {question} Answer with one word, "yes" or "no".'
JUDGES = {"hf": ("evaluation.judges.hf", "HFJudge"), "openai": ("evaluation.judges.openai", "OpenAIJudge")}


class Judge(Hashable, Protocol):
    """A model that is asked about pictures, and answers in words.

    name: its source and model, as reports say it.
    """

    name: str

    def say(self, instruction: str) -> str:
        """Return what it answers to an instruction without pictures.

        Raises:
            KinoraError: if it cannot be asked.
        """

    def yes(self, questions: Sequence[str], frames: Sequence[np.ndarray]) -> list[float | None]:
        """Return the probability of "yes" to each question about frames `uint8 [H, W, 3]`; None if it says neither.

        It is 1 or 0 where the model does not tell how likely its answer is.

        Raises:
            KinoraError: if it cannot be asked.
        """


@lru_cache
def open_judge(source: str) -> Judge:
    """Return the judge that `Backends.judge` names.

    Raises:
        KinoraError: if it cannot be loaded or asked.
    """
    module, name = JUDGES[source.partition(":")[0]]
    judge: Judge = getattr(import_module(module), name)(source)
    return judge


def judge_name(source: str) -> str:
    """Return a judge's name in full, by which evaluations are told apart: with the address that it is asked at."""
    found = JUDGE.fullmatch(source)
    assert found is not None
    return f"openai:{found['model']}@{address_of(found['address'] or '')}" if found["model"] else source


def chance_of_yes(yes: float, no: float) -> float | None:
    """Return the probability of "yes" among the two, None where neither is likely enough to be an answer."""
    return yes / (yes + no) if yes + no >= HEARD else None
