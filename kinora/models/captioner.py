"""The captioner: a few frames of a clip in, a sentence out, word by word.

Axes: B clips, F frames looked at, N frames of all clips, H, W pixels, C channels of a feature map and P places in it,
G vectors gathered from a clip, D width, N words, V words of the vocabulary.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.models.folder import load_model, save_model

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
STRIDE = 4  # pixels of a place in the feature map; clips are cut to multiples of it
WAVES = (1 / 16, 2.0)  # cycles a second of the slowest and the quickest wave that durations are told by


@dataclass(frozen=True)
class CaptionerConfig:
    """`frames` evenly spaced frames are looked at, the shorter side at most `side` pixels, each `looks` times.

    `vocabulary` is filled from the captions when training starts: place in it is the word's number.
    """

    vocabulary: tuple[str, ...] = SPECIAL
    frames: int = 6
    side: int = 32
    channels: int = 24
    points: int = 64
    gathered: int = 4
    width: int = 128
    heads: int = 4
    depth: int = 2
    max_words: int = 32


@dataclass(frozen=True)
class Look:
    """What the captioner sees of a clip: frames `uint8 [F, H, W, 3]` (F = 1: a still), seconds from first to last."""

    frames: np.ndarray
    seconds: float


def look_at(frames: np.ndarray, fps: float, config: CaptionerConfig) -> Look:
    """Choose and shrink frames of a clip `uint8 [T, H, W, 3]` of any size and length; `fps` of a still is ignored."""
    chosen = np.linspace(0, len(frames) - 1, config.frames).round().astype(int) if len(frames) > 1 else np.zeros(1, int)
    height, width = frames.shape[1:3]
    scale = min(1.0, config.side / min(height, width))
    small_h, small_w = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width))
    some = frames[chosen]
    if (small_h, small_w) != (height, width):
        some = np.stack([cv2.resize(frame, (small_w, small_h), interpolation=cv2.INTER_AREA) for frame in some])
    return Look(some, float(chosen[-1] / fps) if len(frames) > 1 else 0.0)


def split_sentence(sentence: str) -> list[str]:
    """Return the lower-case words and the punctuation of a sentence."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?|[.,;:!?]", sentence.lower())


def join_words(words: Iterable[str]) -> str:
    """Return words and punctuation as a sentence with a capital letter."""
    text = re.sub(r" ([.,;:!?])", r"\1", " ".join(words))
    return text[:1].upper() + text[1:]


def build_vocabulary(sentences: Iterable[str], size: int = 4096) -> tuple[str, ...]:
    """Return the special marks and the `size` most frequent words, most frequent first, ties in alphabetical order."""
    counts = Counter(word for sentence in sentences for word in split_sentence(sentence))
    return SPECIAL + tuple(sorted(counts, key=lambda word: (-counts[word], word))[:size])


def waves(seconds: Tensor, width: int) -> Tensor:
    """Return sines and cosines `[..., width]` of durations, of frequencies in geometric progression."""
    slowest, quickest = WAVES
    rates = slowest * (quickest / slowest) ** torch.linspace(0, 1, width // 2, device=seconds.device)
    angles = 2 * torch.pi * seconds[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Captioner(nn.Module):
    """Looks at frames by convolution, gathers what was where and when, and writes by a transformer decoder.

    Each channel of a frame's feature map is reduced to how strong it is at most and on average, and to where it is, its
    spatial softmax (1509.06113, section 5.1): such points are few, and carry shapes and motions over any size of frame.
    """

    def __init__(self, config: CaptionerConfig):
        super().__init__()
        self.config = config
        self.numbers = {word: number for number, word in enumerate(config.vocabulary)}
        c, d = config.channels, config.width
        self.eye = nn.Sequential(
            nn.Conv2d(3, c, 4, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(2 * c, config.points, 3, padding=1),
        )  # fmt: skip
        self.sharpness = nn.Parameter(torch.ones(config.points))
        self.frame = nn.Linear(4 * config.points, d)
        self.gather = nn.Sequential(
            nn.Linear(config.frames * d + d, 2 * d), nn.GELU(), nn.Linear(2 * d, config.gathered * d)
        )
        self.embed = nn.Embedding(len(config.vocabulary), d)
        self.place = nn.Parameter(torch.randn(config.max_words, d) * 0.02)
        self.decoder = nn.ModuleList(Layer(d, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(d)
        nn.init.normal_(self.embed.weight, std=0.1)

    def see(self, frames_BFHWC: Tensor, seconds_B: Tensor) -> Tensor:
        """Return what is seen, `[B, G, D]`, in frames `uint8 [B, F, H, W, 3]` of clips that last so many seconds."""
        b, f, height, width, _ = frames_BFHWC.shape
        pixels = frames_BFHWC.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        map_NChw = self.eye(pixels.contiguous(memory_format=torch.channels_last)).float()
        weight_NCP = (map_NChw.flatten(2) * self.sharpness[:, None]).softmax(dim=-1)
        centre_NC2 = weight_NCP @ self._places(height, width)
        strength_NC2 = torch.stack([map_NChw.amax((2, 3)), F.gelu(map_NChw).mean((2, 3))], dim=-1)
        points = torch.cat([strength_NC2, centre_NC2], dim=-1).flatten(1)  # [N, 4 C]
        seen_BFD = F.gelu(self.frame(points)).view(b, f, -1)
        # A still is the same frame as often as a clip has frames.
        seen_BFD = seen_BFD.expand(-1, self.config.frames, -1)
        gathered = torch.cat([seen_BFD.flatten(1), waves(seconds_B, self.config.width)], dim=1)
        return self.gather(gathered).view(b, self.config.gathered, -1)

    def forward(self, frames_BFHWC: Tensor, seconds_B: Tensor, words_BN: Tensor) -> Tensor:
        """Return the logits `[B, N, V]` of each next word after `words_BN`, which begin with START."""
        return self._write(self.see(frames_BFHWC, seconds_B), words_BN)

    @torch.no_grad()
    def write(self, frames_BFHWC: Tensor, seconds_B: Tensor) -> list[str]:
        """Write one sentence a clip, the likeliest word at a time."""
        seen = self.see(frames_BFHWC, seconds_B)
        words = torch.full((len(seen), 1), START, device=seen.device)
        ended = torch.zeros(len(seen), dtype=torch.bool, device=seen.device)
        while words.shape[1] < self.config.max_words and not ended.all():
            logits_BV = self._write(seen, words)[:, -1]
            logits_BV[:, [PAD, START, UNKNOWN]] = -torch.inf
            following = torch.where(ended, PAD, logits_BV.argmax(-1))
            words = torch.cat([words, following[:, None]], dim=1)
            ended = ended | (following == END)
        return [self._sentence(row) for row in words[:, 1:].tolist()]

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Return word numbers `int64 [B, N]`: START, words, END, then PAD; at most `max_words`."""
        rows = [[self.numbers.get(w, UNKNOWN) for w in split_sentence(s)] for s in sentences]
        rows = [[START, *row[: self.config.max_words - 2], END] for row in rows]
        longest = max(map(len, rows))
        return torch.tensor([row + [PAD] * (longest - len(row)) for row in rows])

    def save(self, folder: str | Path) -> None:
        """Write `model.safetensors` and `config.json` into `folder`."""
        save_model(folder, self, self.config)

    @classmethod
    def load(cls, folder: str | Path) -> "Captioner":
        """Read what `save` wrote, ready for use on the CPU.

        Raises:
            KinoraError: if the folder holds no captioner.
        """
        return load_model(folder, cls, CaptionerConfig, "captioner")

    def _write(self, seen: Tensor, words_BN: Tensor) -> Tensor:
        x_BND = self.embed(words_BN) + self.place[: words_BN.shape[1]]
        for layer in self.decoder:
            x_BND = layer(x_BND, seen)
        return F.linear(self.norm(x_BND), self.embed.weight)

    def _places(self, height: int, width: int) -> Tensor:
        """Return the places of a feature map `[P, 2]` as (x, y) from the middle in world units (shorter sides)."""
        unit = min(height, width) / STRIDE
        h, w = height // STRIDE, width // STRIDE
        y = (h / 2 - torch.arange(h, device=self.place.device) - 0.5) / unit
        x = (torch.arange(w, device=self.place.device) + 0.5 - w / 2) / unit
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([grid_x, grid_y], dim=-1).flatten(0, 1)

    def _sentence(self, numbers: list[int]) -> str:
        words = [self.config.vocabulary[n] for n in numbers if n not in (PAD, END)]
        return join_words(words)


class Layer(nn.Module):
    """Self-attention over the words so far, attention to what is seen, then a gated step for each word."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q, self.kv, self.look = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x_BND: Tensor, seen_BGD: Tensor) -> Tensor:
        """Return the words `[B, N, D]` after the layer."""
        q, k, v = self._split(self.qkv(self.norm1(x_BND)), 3)
        x_BND = x_BND + self.out(_merge(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        (q,), (k, v) = self._split(self.q(self.norm2(x_BND)), 1), self._split(self.kv(seen_BGD), 2)
        x_BND = x_BND + self.look(_merge(F.scaled_dot_product_attention(q, k, v)))
        return x_BND + self.down(F.gelu(self.up(self.norm3(x_BND))))

    def _split(self, x: Tensor, parts: int) -> Tensor:
        b, n, _ = x.shape
        return x.view(b, n, parts, self.heads, -1).permute(2, 0, 3, 1, 4)  # [parts, B, heads, N, D / heads]


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
