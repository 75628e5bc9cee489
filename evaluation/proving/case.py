"""A clip whose truth is known: what fails in it, in which frames and where, or that nothing does."""

from dataclasses import dataclass

from evaluation.findings import Box, ClipInput

SEVERITIES = ("subtle", "plain", "gross")


@dataclass(frozen=True)
class Known:
    """A failure that was put into a clip: its frames, both inclusive, and its place over them in the clip's pixels."""

    type: str
    start_frame: int
    end_frame: int
    box: Box | None  # None: the whole frame
    severity: str  # one of SEVERITIES


@dataclass(frozen=True, eq=False)
class Case:
    """One clip of the benchmark.

    Attributes:
        clip: what the detectors get.
        family: where its looks come from: paper, studio, real, generated, ...
        base: the clip it was made from. Clips of one base are one cluster.
        way: how it was made, in words: "object removed".
        failure: what fails, None where nothing does.
        due: the types that an eye can judge in this clip: there, a detector that cannot measure has missed.
        twin: the name of the clip without the failure that is the same otherwise; empty where there is none.
    """

    clip: ClipInput
    family: str
    base: str
    way: str
    failure: Known | None
    due: frozenset[str]
    twin: str = ""
