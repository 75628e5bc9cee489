"""A judge behind an endpoint that speaks as OpenAI's does; it is asked as caption writers are, several at once."""

from collections.abc import Sequence

import numpy as np

from evaluation.judges.judge import ASKING, WORDS, chance_of_yes, judge_name
from kinora.captioning.endpoint import Endpoint
from kinora.captioning.openai import jpeg
from kinora.parallel import ordered_map
from kinora.recipes.backends import JUDGE

REQUESTS_A_MINUTE, AT_ONCE = 120.0, 4
WORD_TOKENS, MOST_TOKENS = 16, 512  # of an answer of one word, of any other


class OpenAIJudge:
    """Asks a model, `openai:MODEL` or `openai:MODEL@ADDRESS`; see `Judge`."""

    def __init__(self, source: str):
        """Prepare to ask.

        Raises:
            KinoraError: if the endpoint is OpenAI's own and there is no key.
        """
        self.name = judge_name(source)
        found = JUDGE.fullmatch(self.name)
        assert found is not None
        self._endpoint = Endpoint(found["model"], found["address"], REQUESTS_A_MINUTE)

    def say(self, instruction: str) -> str:
        """Return what it answers to an instruction; see `Judge`."""
        return self._endpoint.ask(instruction, (), MOST_TOKENS)[0]

    def yes(self, questions: Sequence[str], frames: Sequence[np.ndarray]) -> list[float | None]:
        """Return the probability of "yes" to each question; see `Judge`."""
        pictures = [jpeg(frame) for frame in frames]

        def one(question: str) -> float | None:
            asked = ASKING.format(question=question)
            return chance_of_yes(*self._endpoint.chances(asked, pictures, WORDS, WORD_TOKENS))

        return list(ordered_map(one, questions, AT_ONCE))
