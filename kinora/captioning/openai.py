"""Captions by a model behind an endpoint that speaks as OpenAI's does, and prompts put into their style by one.

Frames go as JPEG pictures.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from kinora.captioning.endpoint import Endpoint
from kinora.captioning.expand import INSTRUCTION
from kinora.captioning.writers import OPENAI, PROMPT, CaptionConfig, Written, some_frames, written
from kinora.parallel import ordered_map

QUALITY = 90  # of the JPEG pictures


class OpenAIWriter:
    """Writes captions with the model that a configuration names, several requests at once."""

    source = "openai"

    def __init__(self, config: CaptionConfig):
        """Prepare to ask.

        Raises:
            KinoraError: if the endpoint is OpenAI's own and there is no key.
        """
        self.config, self.model, self.prompt = config, config.writer.removeprefix(OPENAI), config.prompt or PROMPT
        self._endpoint = Endpoint(self.model, config.address, config.requests_a_minute)

    def write(self, clips: Sequence[np.ndarray], fps: Sequence[float]) -> list[Written]:
        """Write a caption for each clip; see `CaptionWriter`. How fast its frames follow, the model is not told."""
        return list(ordered_map(self._written, clips, self.config.requests_at_once))

    def _written(self, clip: np.ndarray) -> Written:
        pictures = [jpeg(frame) for frame in some_frames(clip, self.config.frames, self.config.side)]
        return written(*self._endpoint.ask(self.prompt, pictures, self.config.most_tokens))


class OpenAIRewriter:
    """Puts prompts into the style of captions with the model that a configuration names."""

    def __init__(self, config: CaptionConfig):
        """Prepare to ask.

        Raises:
            KinoraError: if the endpoint is OpenAI's own and there is no key.
        """
        self._endpoint = Endpoint(config.expander.removeprefix(OPENAI), config.address, config.requests_a_minute)
        self._most_tokens = config.most_tokens

    def __call__(self, prompt: str) -> str:
        """Return a prompt as the model puts it."""
        return self._endpoint.ask(INSTRUCTION + prompt, (), self._most_tokens)[0]


def jpeg(frame: np.ndarray) -> bytes:
    """Return a picture `uint8 [H, W, 3]` as a JPEG file."""
    _, data = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    return data.tobytes()
