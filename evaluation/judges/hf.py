"""A judge that is a vision-language model of transformers, in this process."""

from collections.abc import Sequence

import numpy as np

from evaluation.judges.judge import ASKING, WORDS, chance_of_yes
from kinora.errors import KinoraError
from kinora.models.hf_language import HFLanguageModel

MOST_TOKENS = 256


class HFJudge:
    """Asks a model, `hf:FOLDER` or `hf:ORGANISATION/NAME`, that sees and takes instructions; see `Judge`."""

    def __init__(self, source: str):
        """Load the model.

        Raises:
            KinoraError: if it cannot be read, sees no pictures or takes no instructions.
        """
        self.name, self._language = source, HFLanguageModel(source)
        if not (self._language.sees and self._language.follows):
            raise KinoraError(
                f"{source} cannot judge: it takes no pictures, or no questions about them; name a vision-language "
                "model with a chat template."
            )

    def say(self, instruction: str) -> str:
        """Return what it answers to an instruction; see `Judge`."""
        return self._language.answer([instruction], [[]], MOST_TOKENS)[0][0]

    def yes(self, questions: Sequence[str], frames: Sequence[np.ndarray]) -> list[float | None]:
        """Return the probability of "yes" to each question; see `Judge`."""
        asked = [ASKING.format(question=question) for question in questions]
        return [chance_of_yes(*self._language.chances([one], [frames], WORDS)[0]) for one in asked]
