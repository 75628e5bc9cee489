"""Which networks help to judge clips: what a recipe, or an option of the command line, says of them."""

import re
from dataclasses import dataclass

from kinora.errors import UsageError

HF = re.compile(r"hf:.+")
JUDGE = re.compile(r"hf:.+|openai:(?P<model>.+?)(?:@(?P<address>https?://.+))?")


@dataclass(frozen=True)
class Backends:
    """Networks that help to judge clips, beside the evaluator's own code; "" is none.

    Attributes:
        judge: Who says whether a clip shows its prompt, where that is not wholly in the worlds' language: hf:FOLDER or
            hf:ORGANISATION/NAME of a vision-language model, openai:MODEL or openai:MODEL@http://HOST:PORT/v1.
        judge_frames: Frames of a clip that the judge sees, evenly spaced.

    Raises:
        UsageError: if a value is none that can be.
    """

    judge: str = ""
    judge_frames: int = 8

    def __post_init__(self) -> None:
        if self.judge and not JUDGE.fullmatch(self.judge):
            raise UsageError(
                f"the judge is '{self.judge}'; give hf:FOLDER, hf:ORGANISATION/NAME, openai:MODEL or "
                "openai:MODEL@http://HOST:PORT/v1."
            )
        if self.judge_frames < 1:
            raise UsageError(f"the judge is to see {self.judge_frames} frames; give 1 or more.")


NONE = Backends()
