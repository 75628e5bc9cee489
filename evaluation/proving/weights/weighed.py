"""What the weighing detectors measure of each candidate in a clip whose truth is known, and which candidates are true.

A candidate is true where it changes at the time and the place of a failure that its model is for. Of a failing clip,
whatever else is found says nothing: it may come of the failure as well.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from evaluation.consistency import bending, view_inconsistency
from evaluation.evidence import forming, marks, turning_measures, weighing
from evaluation.evidence.changes import find_changes
from evaluation.evidence.clip import Evidence
from evaluation.evidence.turning_measures import find_turned
from evaluation.physics import momentum
from evaluation.proving.case import Case, Known

TRUE, FALSE, UNKNOWN = 1, 0, -1
COLLISIONS = ("both stop dead", "the struck one is shot off", "the striker goes on as if nothing were")
NEAR_FRAMES, NEAR_PIXELS = 2, 3.0  # by which a candidate may be off; pixels are of the size of measuring


@dataclass(frozen=True)
class Moment:
    """The frames, both inclusive, in which something changes; whether it vanishes, None where that is not asked."""

    first: int
    last: int
    vanishes: bool | None = None


@dataclass(frozen=True)
class Spot:
    """When a candidate changes, and the middles (x, y) of where it is seen; none: everywhere."""

    moment: Moment
    middles: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Model:
    """One logistic model of the detectors, and how it is fitted.

    Attributes:
        file: where its weights are, in `evaluation`.
        module: what measures and weighs; it has the present `BIAS` and `WEIGHTS`.
        measures: the function of the module that returns the measures of a candidate, by name.
        weigh: lets the detector weigh all candidates in a clip.
        spot: tells of a candidate by the arguments of `measures` when and where it is.
        moments: of a failing clip, what the model should find; nothing where it is for other failures.
        said: what a true candidate did.
        types: of the failures that it is for.
        ridge: of the fit, for measures of deviation 1.
        true_share: how much true candidates weigh together, for a weight of 1 of the false.
        left_out: measures without a weight, as they told nothing.
    """

    file: str
    module: ModuleType
    measures: str
    weigh: Callable[[Evidence], object]
    spot: Callable[[Evidence, tuple[Any, ...]], Spot]
    moments: Callable[[Case, Known], list[Moment]]
    said: str
    types: frozenset[str]
    ridge: float
    true_share: float
    left_out: frozenset[str] = frozenset()

    @property
    def present(self) -> tuple[float, Mapping[str, float]]:
        """Return the bias and the weights that the detectors have now."""
        return self.module.BIAS, self.module.WEIGHTS


@dataclass(frozen=True, eq=False)
class Sample:
    """The candidates in one clip: what is measured of each by name, and TRUE, FALSE or UNKNOWN, `int [n]`."""

    family: str
    base: str
    failing: bool
    measured: tuple[dict[str, float], ...]
    truth: np.ndarray


def sample(model: Model, case: Case, evidence: Evidence) -> Sample | None:
    """Return the candidates of a model in a case.

    None if it is not one to fit the model to: it fails in other ways, or is faultless and nothing in it was weighed.
    """
    moments = model.moments(case, case.failure) if case.failure else []
    if case.failure and not moments:
        return None
    with _heard(model.module, model.measures) as calls:
        model.weigh(evidence)
    if not calls and case.failure is None:
        return None
    truth = [_truth(case, evidence, moments, model.spot(evidence, arguments)) for arguments, _ in calls]
    measured = tuple({name: value for name, value in found.items() if name not in model.left_out} for _, found in calls)
    return Sample(case.family, case.base, case.failure is not None, measured, np.array(truth, int))


@contextmanager
def _heard(module: ModuleType, name: str) -> Iterator[list[tuple[tuple[Any, ...], dict[str, float]]]]:
    """Let a function of a module tell of its calls meanwhile, so that what is fitted is what the detectors weigh."""
    function, calls = getattr(module, name), []

    def heard(*arguments: Any) -> dict[str, float]:
        found: dict[str, float] = function(*arguments)
        calls.append((arguments, found))
        return found

    setattr(module, name, heard)
    try:
        yield calls
    finally:
        setattr(module, name, function)


def _truth(case: Case, evidence: Evidence, moments: list[Moment], spot: Spot) -> int:
    if case.failure is None:
        return FALSE
    if case.failure.box is not None and spot.middles:
        x0, y0, x1, y1 = np.array(case.failure.box) * evidence.scale + NEAR_PIXELS * np.array([-1, -1, 1, 1])
        if not any(x0 <= x <= x1 and y0 <= y <= y1 for x, y in spot.middles):
            return UNKNOWN
    at = spot.moment
    near = [m for m in moments if at.first <= m.last + NEAR_FRAMES and at.last >= m.first - NEAR_FRAMES]
    if any(m.vanishes == at.vanishes for m in near):
        return TRUE
    return FALSE if near else UNKNOWN  # what comes into being there does not vanish


def _vanishing_spot(evidence: Evidence, arguments: tuple[Any, ...]) -> Spot:
    view, c, _ = arguments
    x0, y0, x1, y1 = c.box
    last = len(evidence.rgb) - 1
    forwards = view.rgb is evidence.rgb
    moment = Moment(c.a, c.b, True) if forwards else Moment(last - c.b, last - c.a, False)
    return Spot(moment, (((x0 + x1) / 2, (y0 + y1) / 2),))


def _turning_spot(evidence: Evidence, arguments: tuple[Any, ...]) -> Spot:
    turn = arguments[1]
    return Spot(Moment(turn.a, turn.b), tuple((float(x), float(y)) for x, y in (turn.from_, turn.at)))


def _forming_spot(evidence: Evidence, arguments: tuple[Any, ...]) -> Spot:
    reform = arguments[1]
    series = reform.series
    boxes = [series.tracks[series.owner[k]].boxes[series.index[k]] for k in (reform.i, reform.j)]
    return Spot(Moment(*reform.frames), tuple((float(x0 + x1) / 2, float(y0 + y1) / 2) for x0, y0, x1, y1 in boxes))


def _marks_spot(evidence: Evidence, arguments: tuple[Any, ...]) -> Spot:
    mark = arguments[1]
    return Spot(Moment(mark.a, mark.b), tuple((float(x), float(y)) for x, y in (mark.before[0], mark.after[0])))


def _push_spot(evidence: Evidence, arguments: tuple[Any, ...]) -> Spot:
    turn = arguments[1]
    track = turn.path.track
    x, y = track.centres[min(max(turn.frame - track.start, 0), len(track.centres) - 1)]
    return Spot(Moment(turn.frame, turn.frame), ((float(x), float(y)),))


def _view_spot(evidence: Evidence, arguments: tuple[Any, ...]) -> Spot:
    return Spot(Moment(0, len(evidence.rgb) - 1))


def _vanishings(case: Case, known: Known) -> list[Moment]:
    start, end = known.start_frame, known.end_frame
    if known.type in ("disappearance", "appearance"):
        return [Moment(start, end, known.type == "disappearance")]
    if known.type == "permanence" and "hidden" not in case.way:
        return [Moment(start, start, True), Moment(end + 1, end + 1, False)]
    return []


def _turnings(case: Case, known: Known) -> list[Moment]:
    if known.type == "state_change":
        turns = "without" not in case.way  # there, nothing changes that should
    else:
        turns = known.type == "identity_drift" and not _other_form(case)
    return [_lasting(known)] if turns else []


def _formings(case: Case, known: Known) -> list[Moment]:
    return [_lasting(known)] if known.type == "identity_drift" and _other_form(case) else []


def _marks(case: Case, known: Known) -> list[Moment]:
    return _turnings(case, known) if known.type == "state_change" else []


def _pushes(case: Case, known: Known) -> list[Moment]:
    collides = any(way in case.way for way in COLLISIONS)  # which are judged by both things together
    return [_lasting(known)] if known.type == "momentum" and not collides else []


def _views(case: Case, known: Known) -> list[Moment]:
    return [_lasting(known)] if known.type == "view_inconsistency" else []


def _lasting(known: Known) -> Moment:
    return Moment(known.start_frame, known.end_frame)


def _other_form(case: Case) -> bool:
    return "size" in case.way or "shape" in case.way


MODELS = {
    "vanishing": Model(
        "evidence/weights.py", weighing, "measure", find_changes, _vanishing_spot, _vanishings, "vanished",
        frozenset({"disappearance", "appearance", "permanence"}),
        ridge=40.0, true_share=1.0, left_out=frozenset({"around", "off scene"}),
    ),
    "turning": Model(
        "evidence/turning_weights.py", turning_measures, "measure", find_turned, _turning_spot, _turnings, "turned",
        frozenset({"identity_drift", "state_change"}), ridge=30.0, true_share=0.15,
    ),
    "marks": Model(
        "evidence/marks_weights.py", marks, "measure",
        lambda evidence: [marks.measure(evidence, mark) for mark in marks.find_marks(evidence)],
        _marks_spot, _marks, "changed", frozenset({"state_change"}), ridge=30.0, true_share=0.15,
    ),
    "forming": Model(
        "evidence/forming_weights.py", forming, "measure_reform",
        lambda evidence: [forming.reform_odds(evidence, reform) for reform in forming.find_reforms(evidence)],
        _forming_spot, _formings, "changed", frozenset({"identity_drift"}), ridge=30.0, true_share=0.15,
    ),
    "views": Model(
        "consistency/view_inconsistency.py", view_inconsistency, "measure", view_inconsistency.view_inconsistency,
        _view_spot, _views, "swerved", frozenset({"view_inconsistency"}), ridge=3.0, true_share=1.0,
    ),
    "bends": Model(
        "consistency/bending.py", bending, "measure", view_inconsistency.view_inconsistency,
        _view_spot, _views, "bends", frozenset({"view_inconsistency"}), ridge=3.0, true_share=1.0,
    ),
    "pushes": Model(
        "physics/momentum.py", momentum, "measure", momentum.momentum, _push_spot, _pushes, "was pushed by nothing",
        frozenset({"momentum"}), ridge=20.0, true_share=0.5,
    ),
}  # fmt: skip
