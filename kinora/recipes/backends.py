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
        segments: Who tells things from the scene: hf:FOLDER or hf:ORGANISATION/NAME of a SAM 2.
        looks: Who says, beside colour and texture, how things look: hf: of a DINOv2, or another vision transformer.
        depth: Who says how near everything is: hf: of a Depth-Anything.
        calibration: File of scores for these segments, looks and depth, which `kinora evaluate benchmark --fit FILE`
            writes; "none" for scores that are not calibrated.

    Raises:
        UsageError: if a value is none that can be.
    """

    judge: str = ""
    judge_frames: int = 8
    segments: str = ""
    looks: str = ""
    depth: str = ""
    calibration: str = ""

    def __post_init__(self) -> None:
        if self.judge and not JUDGE.fullmatch(self.judge):
            raise UsageError(
                f"the judge is '{self.judge}'; give hf:FOLDER, hf:ORGANISATION/NAME, openai:MODEL or "
                "openai:MODEL@http://HOST:PORT/v1."
            )
        if self.judge_frames < 1:
            raise UsageError(f"the judge is to see {self.judge_frames} frames; give 1 or more.")
        for name, value in self.evidence.items():
            if not HF.fullmatch(value):
                raise UsageError(f"the network of {name} is '{value}'; give hf:FOLDER or hf:ORGANISATION/NAME.")
        if self.evidence and not self.calibration:
            options = " ".join(f"--{name} {value}" for name, value in self.evidence.items())
            raise UsageError(
                f"scores with {' and '.join(self.evidence)} of another network have no calibration yet; fit one with "
                f"kinora evaluate benchmark --families paper clay real --half dev {options} --calibration none "
                "--fit FILE --out FOLDER, and name it as calibration; or name none, and scores are not calibrated."
            )
        if self.calibration and not self.evidence:
            raise UsageError("a calibration is for segments, looks or depth of another network; name one of these too.")

    @property
    def evidence(self) -> dict[str, str]:
        """The networks that measure, whose scores need a calibration of their own."""
        return {name: value for name in ("segments", "looks", "depth") if (value := getattr(self, name))}


NONE, UNCALIBRATED = Backends(), "none"
