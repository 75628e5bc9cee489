"""The pipeline's own captioner at work: what it would say of clips, and what of that it says."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from kinora.captioning.abstention import Familiar, load_abstention
from kinora.captioning.writers import Written
from kinora.files import folder_digest
from kinora.models.captioner import Captioner, FrameSample, Sentence, sample_frames

CLIPS_AT_ONCE = 64


@dataclass(frozen=True)
class Draft:
    """What a captioner would say of a clip, and how sure it is of it, 0..1.

    features: what the clip looks like to its image encoder `[S]`.
    frames: those that it saw of the clip, `uint8 [F, H, W, 3]`.
    """

    caption: str
    confidence: float
    features: np.ndarray
    frames: np.ndarray


class TrainedWriter:
    """Writes captions with a trained captioner, and abstains as its calibration says.

    silence: why it never says anything, as the end of a sentence ("it has too few captions ..."); "" if it does.
    """

    source, prompt = "captioner", ""

    def __init__(self, folder: str | Path):
        """Load the captioner in `folder`.

        Raises:
            KinoraError: if there is none, or its calibration is damaged.
        """
        self.captioner = Captioner.load(folder)
        self.calibration, self.familiar = load_abstention(folder)
        self.model, self.silence = folder_digest(folder), self.calibration.silence

    def write(self, clips: Sequence[np.ndarray], fps: Sequence[float]) -> list[Written]:
        """Write one caption for each clip `uint8 [T, H, W, 3]` of any size and length, T = 1 for an image.

        Where it abstains the caption is "", and its confidence what it would have been; 0 where the clip is like none
        that it knows, because of those its confidence says nothing.
        """
        if self.silence:
            return [Written("", 0.0)] * len(clips)
        config = self.captioner.config
        drafts = draft(
            self.captioner, [sample_frames(clip, rate, config) for clip, rate in zip(clips, fps, strict=True)]
        )
        return self.judge(drafts)

    def judge(self, drafts: Sequence[Draft]) -> list[Written]:
        """Keep of drafts what is sure enough."""
        written = []
        for one, strange in zip(drafts, strangeness(self.familiar, drafts), strict=True):
            said = one.caption if self.calibration.speaks(one.confidence, strange) else ""
            written.append(Written(said, one.confidence if self.calibration.knows(strange) else 0.0))
        return written


def draft(captioner: Captioner, samples: Sequence[FrameSample]) -> list[Draft]:
    """Write what a captioner would say of samples of clips' frames, sure or not."""
    drafts: dict[int, Draft] = {}
    for indices, frames, seconds in _batches(samples, captioner.position_embedding.device):
        sentences, features = captioner.generate(frames, seconds), captioner.statistics(frames).cpu().numpy()
        for index, sentence, seen in zip(indices, sentences, features, strict=True):
            drafts[index] = Draft(sentence.text, confidence(sentence), seen, samples[index].frames)
    return [drafts[index] for index in range(len(samples))]


def appearances(captioner: Captioner, samples: Sequence[FrameSample]) -> np.ndarray:
    """Return what samples of clips' frames look like to a captioner: features `[M, S]`, in any order."""
    batches = _batches(samples, captioner.position_embedding.device)
    found = [captioner.statistics(frames).cpu().numpy() for _, frames, _ in batches]
    return np.concatenate(found) if found else np.zeros((0, 1), np.float32)


def strangeness(familiar: Familiar, drafts: Sequence[Draft]) -> np.ndarray:
    """Return how strange the clips of drafts are to what a captioner knows `[M, 2]`, as `Familiar.strangeness`."""
    return familiar.strangeness(np.array([one.features for one in drafts]), [one.frames for one in drafts])


def confidence(sentence: Sentence) -> float:
    """Return how sure a captioner is of a sentence, 0..1: of its least likely word; 0 of one without any word."""
    if not sentence.text:
        return 0.0
    return float(np.exp(min(sentence.log_probabilities)))


def _batches(
    samples: Sequence[FrameSample], device: torch.device
) -> Iterator[tuple[list[int], torch.Tensor, torch.Tensor]]:
    """Yield samples of equal size together: their indices, frames `uint8 [B, F, H, W, 3]` and seconds `[B]`."""
    groups: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for index, sample in enumerate(samples):
        groups[sample.frames.shape].append(index)
    for members in groups.values():
        for start in range(0, len(members), CLIPS_AT_ONCE):
            some = members[start : start + CLIPS_AT_ONCE]
            frames = torch.from_numpy(np.stack([samples[index].frames for index in some])).to(device)
            yield some, frames, torch.tensor([samples[index].seconds for index in some], device=device)
