"""Curation: scores of what makes a clip unfit for training, and the rules that drop a clip by them.

Frames are `uint8 [T, H, W, 3]` RGB; pictures are `uint8 [H, W, 3]`, or grey `[H, W]`, of the same clip before it was
made small, at most `PICTURE_SIDE` pixels long, in which overlaid text and letterbox can still be seen.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from kinora.data.overlays import PICTURE_SIDE as PICTURE_SIDE
from kinora.data.overlays import Box as Box
from kinora.data.overlays import bar_share, text_share
from kinora.data.overlays import picture_box as picture_box
from kinora.data.overlays import picture_size as picture_size
from kinora.errors import UsageError

if TYPE_CHECKING:
    import pandas as pd

# Luminance weights of ITU-R BT.601, for gamma-coded RGB.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)
FLOW_SIDE, SMALLEST_FLOW_SIDE = 64, 16  # pixels of the longer side at which motion is looked for
FLOW_PAIRS = 4  # pairs of frames of a clip whose optical flow is computed
FLOW_STEP_S = 1 / 12  # between the two frames of a pair, or one frame
# A change is one of 3x3 pixels' mean, at FLOW_SIDE, by more levels (of 255) than encoding leaves there.
CHANGE = 4.0
BLACK, WHITE = 4, 251  # levels of luminance, limits included


def curation_scores(frames: np.ndarray, fps: float, pictures: Sequence[np.ndarray] | None = None) -> dict[str, float]:
    """Measure a clip's frames `uint8 [T, H, W, 3]`; without unit, in 0..1, and on luminance unless said otherwise.

    brightness: the mean. contrast: the standard deviation. motion: the mean absolute change from frame to frame.
    sharpness: the mean absolute difference of neighbouring pixels. clipped: the share of black and of white pixels.
    flow: the mean speed of optical flow, in frame diagonals per second. still_share: the share of steps from frame to
    frame in which nothing changes, noise of the encoding aside. bars: the share of the picture that is letterbox.
    text: the share of the picture under overlaid text.

    `pictures` are a few of this clip's frames, as large as `picture_size` says, for bars and text; without them these
    two are measured on the frames. An image (T = 1) has motion, flow and still_share 0.
    """
    luma = np.stack([cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames])
    flat = luma.reshape(-1, luma.shape[2])  # as one tall picture, which OpenCV takes at once
    levels = cv2.calcHist([flat], [0], None, [256], [0, 256]).ravel() / luma.size
    mean, deviation = cv2.meanStdDev(flat)
    if pictures is None:
        pictures = [frames[i] for i in sorted({0, len(frames) // 2, len(frames) - 1})]
    return {
        "brightness": float(mean[0, 0]) / 255,
        "contrast": float(deviation[0, 0]) / 255,
        "motion": _difference(luma[1:], luma[:-1]),
        "sharpness": (_difference(luma[:, 1:], luma[:, :-1]) + _difference(luma[:, :, 1:], luma[:, :, :-1])) / 2,
        "clipped": float(levels[: BLACK + 1].sum() + levels[WHITE:].sum()),
        **_movement(luma, fps),
        "bars": bar_share(pictures),
        "text": text_share(pictures),
    }


def _difference(a: np.ndarray, b: np.ndarray) -> float:
    """Return the mean absolute difference of `uint8 [T, H, W]`, 0..1; 0 where there is nothing to compare."""
    return sum(cv2.norm(x, y, cv2.NORM_L1) for x, y in zip(a, b, strict=True)) / 255 / max(1, a.size)


def _movement(luma: np.ndarray, fps: float) -> dict[str, float]:
    """Return the scores of movement of luminance `uint8 [T, H, W]`."""
    if len(luma) < 2:
        return {"flow": 0.0, "still_share": 0.0}
    height, width = luma.shape[1:]
    factor = min(max(1.0, SMALLEST_FLOW_SIDE / max(height, width)), FLOW_SIDE / max(height, width))
    size = (max(8, round(width * factor)), max(8, round(height * factor)))  # the search takes no less
    small = np.stack([cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in luma])
    return {"flow": _flow(small, fps), "still_share": _still_share(small)}


def _flow(luma: np.ndarray, fps: float) -> float:
    """Return the mean speed of `uint8 [T, h, w]` in diagonals a second, by dense inverse search.

    Kroeger et al., Fast Optical Flow using Dense Inverse Search, arXiv:1603.03590.
    """
    search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)
    search.setFinestScale(0 if max(luma.shape[1:]) < FLOW_SIDE else 1)
    step = min(max(1, round(fps * FLOW_STEP_S)), len(luma) - 1)
    starts = np.unique(np.linspace(0, len(luma) - 1 - step, FLOW_PAIRS).round().astype(int))
    unmoved = np.zeros((*luma.shape[1:], 2), np.float32)
    flows = np.stack([search.calc(luma[i], luma[i + step], unmoved.copy()) for i in starts])
    speed = float(np.hypot(flows[..., 0], flows[..., 1]).mean())
    return speed / float(np.hypot(*luma.shape[1:])) * fps / step


def _still_share(luma: np.ndarray) -> float:
    """Return the share of steps of `uint8 [T, h, w]` in which nothing changes.

    Frames are compared with the last that was different, so that slow change is change.
    """
    smooth = [cv2.boxFilter(frame, cv2.CV_32F, (3, 3)) for frame in luma]
    reference, still = smooth[0], 0
    for frame in smooth[1:]:
        if cv2.norm(frame, reference, cv2.NORM_INF) < CHANGE:
            still += 1
        else:
            reference = frame
    return still / (len(smooth) - 1)


@dataclass(frozen=True)
class CurationConfig:
    """Limits of curation; a clip beyond any of them is dropped. A `max_` of 1 (or inf) and a `min_` of 0 drop nothing.

    Scores are those of `curation_scores`, and no rule about movement is for images. The defaults drop only what nobody
    would train on: frozen pictures and slideshows, black, blank and overexposed ones, letterbox that was not cut off,
    pages of text.
    """

    max_still_share: float = 0.9
    min_flow: float = 0.0
    max_flow: float = 4.0
    max_bars: float = 0.15
    max_text: float = 0.15
    min_sharpness: float = 0.0002
    min_contrast: float = 0.003
    min_brightness: float = 0.02
    max_brightness: float = 0.98
    max_clipped: float = 0.98

    def __post_init__(self) -> None:
        for name, limit in vars(self).items():
            if not limit >= 0:
                raise UsageError(f"curation.{name} is {limit:g}; give 0 or more.")


class Rule(NamedTuple):
    """One rule: a limit's name, the reason code of what it drops, what is wrong with it, and how its score is said."""

    limit: str
    reason: str
    sentence: str  # of {value} and {limit}
    form: str = ".0%"
    moving: bool = False  # whether the rule is for videos only

    @property
    def score(self) -> str:
        """The name of the score that is limited."""
        return self.limit.partition("_")[2]

    def broken(self, values: np.ndarray, limit: float) -> np.ndarray:
        """Say which scores are beyond the limit."""
        return values > limit if self.limit.startswith("max_") else values < limit

    def explain(self, value: float, limit: float) -> str:
        """Return the sentence for a score."""
        return self.sentence.format(value=format(value, self.form), limit=format(limit, self.form))


RULES = (
    Rule("min_brightness", "too_dark", "The picture is dark: {value} of full brightness, at least {limit} is kept."),
    Rule("max_brightness", "too_bright", "The picture is white: {value} of full brightness, at most {limit} is kept."),
    Rule("min_contrast", "blank", "The picture is blank: a contrast of {value}, at least {limit} is kept.", ".3f"),
    Rule("max_clipped", "clipped", "{value} of the pixels are black or white; at most {limit} is kept."),
    Rule("min_sharpness", "blurred", "The picture is blurred: sharpness {value}, at least {limit} is kept.", ".4f"),
    Rule("max_bars", "letterbox", "Bars cover {value} of the picture; at most {limit} is kept."),
    Rule("max_text", "text", "Overlaid text covers {value} of the picture; at most {limit} is kept."),
    Rule("max_still_share", "still", "Nothing changes in {value} of the steps; at most {limit} is kept.", moving=True),
    Rule("min_flow", "no_motion", "It moves {value} diagonals a second; {limit} or more is kept.", ".4f", True),
    Rule("max_flow", "too_fast", "It moves {value} diagonals a second; at most {limit} is kept.", ".2f", True),
)


def curation_faults(clips: "pd.DataFrame", config: CurationConfig) -> "pd.DataFrame":
    """Return the clips that a rule drops: the index of `clips`, with `reason` and `explanation` of the first it breaks.

    Args:
        clips: a table with `kind` and the scores.
        config: the limits.
    """
    import pandas as pd

    moving = (clips["kind"] == "video").to_numpy()
    first = np.full(len(clips), len(RULES))
    for number, rule in reversed(list(enumerate(RULES))):
        broken = rule.broken(clips[rule.score].to_numpy(np.float64), getattr(config, rule.limit))
        first[broken & moving if rule.moving else broken] = number
    dropped = np.flatnonzero(first < len(RULES))
    said = [_fault(RULES[first[i]], clips, int(i), config) for i in dropped]
    return pd.DataFrame(said, index=clips.index[dropped], columns=["reason", "explanation"])


def _fault(rule: Rule, clips: "pd.DataFrame", row: int, config: CurationConfig) -> tuple[str, str]:
    return rule.reason, rule.explain(float(clips[rule.score].iloc[row]), getattr(config, rule.limit))
