"""Captions by a vision-language model of transformers, and prompts put into their style by a language model."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from kinora.captioning.expand import INSTRUCTION
from kinora.captioning.writers import PROMPT, CaptionConfig, Written, some_frames, written
from kinora.errors import KinoraError
from kinora.models.hf_language import HFLanguageModel

PICTURES_AT_ONCE = 64  # and at least one clip


class HFWriter:
    """Writes captions with the model that a configuration names; clips with equally many frames go together."""

    source = "hf"

    def __init__(self, config: CaptionConfig):
        """Load the model.

        Raises:
            KinoraError: if it cannot be read, or sees no pictures.
        """
        self.config, self.model = config, config.writer
        self._language = HFLanguageModel(config.writer)
        if not self._language.sees:
            raise KinoraError(
                f"{config.writer} is a model of text alone; name one that also sees, such as hf:ORGANISATION/NAME of a "
                "vision-language model."
            )
        self.prompt = config.prompt or (PROMPT if self._language.follows else "")

    def write(self, clips: Sequence[np.ndarray], fps: Sequence[float]) -> list[Written]:
        """Write a caption for each clip; see `CaptionWriter`. How fast its frames follow, the model is not told."""
        pictures = [some_frames(clip, self.config.frames, self.config.side) for clip in clips]
        alike: dict[int, list[int]] = defaultdict(list)
        for place, some in enumerate(pictures):
            alike[len(some)].append(place)
        found = [Written("", 0.0)] * len(clips)
        for count, places in alike.items():
            step = max(1, PICTURES_AT_ONCE // count)
            for first in range(0, len(places), step):
                together = places[first : first + step]
                shown = [pictures[place] for place in together]
                answers = self._language.answer([self.prompt] * len(together), shown, self.config.most_tokens)
                for place, answer in zip(together, answers, strict=True):
                    found[place] = written(*answer)
        return found


class HFRewriter:
    """Puts prompts into the style of captions with the model that a configuration names."""

    def __init__(self, config: CaptionConfig):
        """Load the model.

        Raises:
            KinoraError: if it cannot be read.
        """
        self._language, self._most_tokens = HFLanguageModel(config.expander), config.most_tokens

    def __call__(self, prompt: str) -> str:
        """Return a prompt as the model puts it."""
        ((sentence, _),) = self._language.answer([INSTRUCTION + prompt], [[]], self._most_tokens)
        return sentence
