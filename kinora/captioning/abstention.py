"""When a captioner stays silent: where it is not sure, and where it has seen nothing like the clip.

A threshold on its confidence is calibrated on captions that it did not learn from, so that with a stated certainty at
most a stated share of what it says is wrong: selective classification with guaranteed risk (Geifman and El-Yaniv,
https://arxiv.org/abs/1705.08500), with the thresholds tested together as in "Learn then test"
(https://arxiv.org/abs/2110.01052, section 2.3). Such a guarantee holds for clips like those that it was calibrated on,
and a network is as sure of pictures of another origin. So these are told apart before, in two ways: by the distance to
the nearest of the clips that it learned from (https://arxiv.org/abs/2204.06507, section 3), in what its image encoder
makes of them; and by a network that learned from clips of foreign origin (https://arxiv.org/abs/1812.04606), because
what an encoder was never shown may look to it like what it knows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from kinora.config import from_dict, read_json, write_json
from kinora.errors import KinoraError, UsageError
from kinora.files import atomic_write
from kinora.models.origin import Origin

CALIBRATION, FAMILIAR = "calibration.json", "familiar.safetensors"
SMALLEST_SPREAD = 1e-3  # of a feature, beside that of all: one that never changed is not infinitely telling
MOST_KNOWN = 1000  # clips whose features are kept; more of them tell no better
SHARES = tuple(tenth / 10 for tenth in range(10, 0, -1))  # of held-out captions, the surest, that are tried
KNOWN_SHARE = 0.99  # of held-out clips, those no stranger than a limit
NEVER_CALIBRATED = "it was saved without a calibration, so nothing says when it can be trusted"
ORIGIN = "origin."  # the prefix of the weights of the network that tells what is foreign


@dataclass(frozen=True)
class AbstentionConfig:
    """When a captioner may speak.

    risk: the share of its captions that may be wrong, above 0 and below 1.
    certainty: with which the share is no larger, for clips like those of the dataset; above 0 and below 1.
    least_captions: captions to learn from, one an input (clips of one video have the same), below which it never
        speaks.

    Raises:
        UsageError: if a value is impossible.
    """

    risk: float = 0.1
    certainty: float = 0.95
    least_captions: int = 200

    def __post_init__(self) -> None:
        for name in ("risk", "certainty"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"abstention.{name} is {getattr(self, name):g}; give a number between 0 and 1.")


@dataclass(frozen=True)
class Calibration:
    """When a captioner speaks, and on what this was found: the content of `calibration.json`.

    least_confidence: of a caption that is said, 0..1; null: none is, ever.
    limits: of the two kinds of strangeness (`Familiar.strangeness`) of a clip that is spoken of.
    risk, certainty: as they were asked for.
    clips: held-out captions that it was calibrated on, one of each source.
    coverage: the share of these clips that it speaks of, 0..1.
    wrong: the share of those captions that are wrong, 0..1.
    bound: what that share is below for all clips like these, with the certainty asked for.
    silence: why it never speaks, as the end of a sentence, "" if it does.
    """

    least_confidence: float | None
    limits: tuple[float, ...]
    risk: float
    certainty: float
    clips: int
    coverage: float = 0.0
    wrong: float = 0.0
    bound: float = 1.0
    silence: str = ""

    def knows(self, strangeness: np.ndarray) -> bool:
        """Say whether a clip of this strangeness `[2]` is like those that it knows."""
        return bool((strangeness <= self.limits).all())

    def speaks(self, confidence: float, strangeness: np.ndarray) -> bool:
        """Say whether a caption of this confidence, of a clip of this strangeness `[2]`, is said."""
        sure = self.least_confidence is not None and confidence >= self.least_confidence
        return sure and self.knows(strangeness)


def silent(reason: str, config: AbstentionConfig, clips: int = 0) -> Calibration:
    """Return the calibration of a captioner that never speaks, because of a reason."""
    return Calibration(None, (0.0, 0.0), config.risk, config.certainty, clips, silence=reason)


def calibrate(
    confidences: Sequence[float], wrong: Sequence[bool], strangeness: np.ndarray, config: AbstentionConfig
) -> Calibration:
    """Find the least confidence at which no more captions are wrong than may be.

    Args:
        confidences: of captions that the captioner wrote for clips that it did not learn from, 0..1.
        wrong: whether each of them is.
        strangeness: of their clips `[M, 2]`.
        config: the share that may be wrong, and how certain this is to be.
    """
    if not len(confidences):
        return silent("the dataset has no held-out caption to calibrate it on", config)
    limits = np.quantile(strangeness, KNOWN_SHARE, axis=0)  # looks at no caption, so it takes no part in the bound
    near = (strangeness <= limits).all(axis=1)
    order = np.argsort(-np.asarray(confidences)[near], kind="stable")
    sure, failed = np.asarray(confidences)[near][order], np.asarray(wrong)[near][order]
    for share in SHARES:
        said = int(np.searchsorted(-sure, -sure[math.ceil(share * len(sure)) - 1], side="right"))  # and all as sure
        # Any of the tests may fail by chance: together they share what may be uncertain (Bonferroni).
        bound = error_bound(int(failed[:said].sum()), said, (1 - config.certainty) / len(SHARES))
        if bound <= config.risk:
            break
    else:
        return silent(
            f"on {len(sure)} held-out captions none of its confidences leaves {config.risk:.0%} or fewer wrong with "
            f"{config.certainty:.0%} certainty",
            config,
            len(confidences),
        )
    return Calibration(
        float(sure[said - 1]), tuple(limits.tolist()), config.risk, config.certainty, len(confidences),
        said / len(confidences), float(failed[:said].mean()), bound,
    )  # fmt: skip


def error_bound(wrong: int, count: int, uncertainty: float) -> float:
    """Return what a share is below, but for `uncertainty`, of which `wrong` of `count` were drawn.

    Clopper and Pearson (1934), one-sided: the share at which so few, or fewer, are this unlikely.
    """
    from scipy.stats import beta

    return 1.0 if wrong >= count else float(beta.ppf(1 - uncertainty, wrong + 1, count - wrong))


class Familiar:
    """The clips that a captioner learned from, as its image encoder sees them, and what is foreign to them.

    mean, spread: of each feature over these clips `float32 [S]`.
    known: their features from the mean, in spreads `float32 [N, S]`.
    origin: a network that tells these clips from foreign ones.
    """

    def __init__(self, mean: np.ndarray, spread: np.ndarray, known: np.ndarray, origin: Origin):
        self.mean, self.spread, self.known, self.origin = mean, spread, known, origin

    @classmethod
    def of(cls, features: np.ndarray, origin: Origin) -> "Familiar":
        """Keep the features `[N, S]` of clips, rounded as they are saved, so that saving changes no distance."""
        if not len(features):
            return cls(np.zeros(1, np.float32), np.zeros(1, np.float32), np.zeros((0, 1), np.float32), origin)
        mean, spread = features.mean(0), features.std(0) + SMALLEST_SPREAD * features.std() + 1e-9
        known = ((features - mean) / spread).astype(np.float16)
        return cls(mean.astype(np.float32), spread.astype(np.float32), known.astype(np.float32), origin)

    def strangeness(self, features: np.ndarray, frames: Sequence[np.ndarray]) -> np.ndarray:
        """Return how strange clips are `[M, 2]`: their distance from the known, and how foreign they look, a logit.

        Args:
            features: of the clips `[M, S]`.
            frames: the sampled frames of each, `uint8 [F, H, W, 3]`.
        """
        return np.stack([self.distances(features), [self.origin.foreignness(clip) for clip in frames]], axis=1)

    def distances(self, features: np.ndarray) -> np.ndarray:
        """Return how far clips with features `[M, S]` are from the nearest of the known `[M]`, in spreads a feature."""
        if not len(self.known) or not len(features):
            return np.full(len(features), np.inf)
        own = (np.asarray(features, np.float64) - self.mean) / self.spread
        squared = (own**2).sum(1)[:, None] + (self.known**2).sum(1) - 2 * own @ self.known.T
        return np.asarray(np.sqrt(np.maximum(0.0, squared.min(1)) / own.shape[1]))


def save_abstention(folder: str | Path, calibration: Calibration, familiar: Familiar) -> None:
    """Write `familiar.safetensors` and `calibration.json` into a captioner's folder, the latter last."""
    with atomic_write(Path(folder) / FAMILIAR) as temporary:
        parts = {"mean": familiar.mean, "spread": familiar.spread, "known": familiar.known.astype(np.float16)}
        network = {ORIGIN + name: weight.cpu().numpy() for name, weight in familiar.origin.state_dict().items()}
        temporary.write_bytes(save(parts | network))
    write_json(Path(folder) / CALIBRATION, calibration)


def load_abstention(folder: str | Path) -> tuple[Calibration, Familiar]:
    """Read what `save_abstention` wrote; of a captioner without a calibration, one by which it never speaks.

    Raises:
        KinoraError: if the files are damaged.
    """
    folder = Path(folder)
    if not (folder / CALIBRATION).is_file():
        return silent(NEVER_CALIBRATED, AbstentionConfig()), Familiar.of(np.zeros((0, 1)), Origin().eval())
    try:
        calibration = from_dict(Calibration, read_json(folder / CALIBRATION))
        parts = load_file(folder / FAMILIAR)
        origin = Origin()
        weights = {name: torch.from_numpy(parts[ORIGIN + name]) for name in origin.state_dict()}
        origin.load_state_dict(weights)
        known = parts["known"].astype(np.float32)
        return calibration, Familiar(parts["mean"], parts["spread"], known, origin.eval())
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise KinoraError(
            f"the calibration in {folder} is damaged or of an earlier version ({error}); train the captioner again."
        ) from error
