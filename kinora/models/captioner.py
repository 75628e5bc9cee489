"""The captioner: a few frames of a clip in, a sentence out, word by word.

Axes: B clips, F frames encoded, N frames of all clips, H, W pixels, C channels of a feature map and P positions in it,
G visual tokens of a clip, D width, N words, V words of the vocabulary.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.models.embeddings import geometric_frequencies, sinusoidal_embedding
from kinora.models.folder import load_model, save_model

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
STRIDE = 4  # pixels a position of the feature map; clips are cut to multiples of it
FASTEST_CYCLE_S, SLOWEST_CYCLE_S = 0.5, 16.0  # of the embedding of durations


@dataclass(frozen=True)
class CaptionerConfig:
    """`frames` evenly spaced frames of a clip are encoded, the shorter side at most `side` pixels.

    `keypoints` channels are each reduced to where and how strong they are. The decoder attends to
    `visual_tokens` vectors.
    `vocabulary` is filled from the captions when training starts: a word's place in it is the word's token id.
    """

    vocabulary: tuple[str, ...] = SPECIAL
    frames: int = 6
    side: int = 32
    channels: int = 24
    keypoints: int = 64
    visual_tokens: int = 4
    width: int = 128
    heads: int = 4
    depth: int = 2
    max_words: int = 32


@dataclass(frozen=True)
class FrameSample:
    """A sample of a clip's frames, `uint8 [F, H, W, 3]` (F = 1: an image), and the seconds from first to last."""

    frames: np.ndarray
    seconds: float


def sample_frames(frames: np.ndarray, fps: float, config: CaptionerConfig) -> FrameSample:
    """Choose and shrink frames of a clip `uint8 [T, H, W, 3]` of any size and length; `fps` of an image is ignored."""
    chosen = np.linspace(0, len(frames) - 1, config.frames).round().astype(int) if len(frames) > 1 else np.zeros(1, int)
    height, width = frames.shape[1:3]
    scale = min(1.0, config.side / min(height, width))
    small_h, small_w = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width))
    some = frames[chosen]
    if (small_h, small_w) != (height, width):
        some = np.stack([cv2.resize(frame, (small_w, small_h), interpolation=cv2.INTER_AREA) for frame in some])
    return FrameSample(some, float(chosen[-1] / fps) if len(frames) > 1 else 0.0)


def split_sentence(sentence: str) -> list[str]:
    """Return the lower-case words and the punctuation of a sentence."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?|[.,;:!?]", sentence.lower())


def join_words(words: Iterable[str]) -> str:
    """Return words and punctuation as a sentence with a capital letter."""
    text = re.sub(r" ([.,;:!?])", r"\1", " ".join(words))
    return text[:1].upper() + text[1:]


class Captioner(nn.Module):
    """A convolutional backbone over sampled frames, pooled into visual tokens, and a transformer decoder of words.

    Each channel of a frame's feature map is reduced to how strong it is at most and on average, and to where it is, its
    spatial softmax (1509.06113, section 5.1): such points are few, and carry shapes and motions over any size of frame.
    """

    def __init__(self, config: CaptionerConfig):
        super().__init__()
        self.config = config
        self.token_ids = {word: token_id for token_id, word in enumerate(config.vocabulary)}
        c, d = config.channels, config.width
        self.backbone = nn.Sequential(
            nn.Conv2d(3, c, 4, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(2 * c, config.keypoints, 3, padding=1),
        )  # fmt: skip
        self.softmax_scale = nn.Parameter(torch.ones(config.keypoints))
        self.frame_projection = nn.Linear(4 * config.keypoints, d)
        self.pool = nn.Sequential(
            nn.Linear(config.frames * d + d, 2 * d), nn.GELU(), nn.Linear(2 * d, config.visual_tokens * d)
        )
        self.word_embedding = nn.Embedding(len(config.vocabulary), d)
        self.position_embedding = nn.Parameter(torch.randn(config.max_words, d) * 0.02)
        self.decoder = nn.ModuleList(DecoderLayer(d, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(d)
        nn.init.normal_(self.word_embedding.weight, std=0.1)

    def encode(self, frames_BFHWC: Tensor, seconds_B: Tensor) -> Tensor:
        """Return visual tokens `[B, G, D]` of frames `uint8 [B, F, H, W, 3]` of clips that last so many seconds."""
        b, f, height, width, _ = frames_BFHWC.shape
        pixels = frames_BFHWC.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        map_NChw = self.backbone(pixels.contiguous(memory_format=torch.channels_last)).float()
        weight_NCP = (map_NChw.flatten(2) * self.softmax_scale[:, None]).softmax(dim=-1)
        centre_NC2 = weight_NCP @ self._positions(height, width)
        strength_NC2 = torch.stack([map_NChw.amax((2, 3)), F.gelu(map_NChw).mean((2, 3))], dim=-1)
        points = torch.cat([strength_NC2, centre_NC2], dim=-1).flatten(1)  # [N, 4 C]
        frames_BFD = F.gelu(self.frame_projection(points)).view(b, f, -1)
        # An image is the same frame as often as a clip has frames.
        frames_BFD = frames_BFD.expand(-1, self.config.frames, -1)
        cycles = geometric_frequencies(self.config.width // 2, SLOWEST_CYCLE_S / FASTEST_CYCLE_S, seconds_B.device)
        duration_BD = sinusoidal_embedding(seconds_B / FASTEST_CYCLE_S, 2 * torch.pi * cycles)
        visual: Tensor = self.pool(torch.cat([frames_BFD.flatten(1), duration_BD], dim=1))
        return visual.view(b, self.config.visual_tokens, -1)

    def forward(self, frames_BFHWC: Tensor, seconds_B: Tensor, words_BN: Tensor) -> Tensor:
        """Return the logits `[B, N, V]` of each next word after `words_BN`, which begin with START."""
        return self._decode(self.encode(frames_BFHWC, seconds_B), words_BN)

    @torch.no_grad()
    def generate(self, frames_BFHWC: Tensor, seconds_B: Tensor) -> list[str]:
        """Write one sentence a clip, the likeliest word at a time."""
        visual = self.encode(frames_BFHWC, seconds_B)
        words = torch.full((len(visual), 1), START, device=visual.device)
        ended = torch.zeros(len(visual), dtype=torch.bool, device=visual.device)
        while words.shape[1] < self.config.max_words and not ended.all():
            logits_BV = self._decode(visual, words)[:, -1]
            logits_BV[:, [PAD, START, UNKNOWN]] = -torch.inf
            following = torch.where(ended, PAD, logits_BV.argmax(-1))
            words = torch.cat([words, following[:, None]], dim=1)
            ended = ended | (following == END)
        return [self._sentence(row) for row in words[:, 1:].tolist()]

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Return token ids `int64 [B, N]`: START, words, END, then PAD; at most `max_words`."""
        rows = [[self.token_ids.get(w, UNKNOWN) for w in split_sentence(s)] for s in sentences]
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

    def _decode(self, visual: Tensor, words_BN: Tensor) -> Tensor:
        x_BND = self.word_embedding(words_BN) + self.position_embedding[: words_BN.shape[1]]
        for layer in self.decoder:
            x_BND = layer(x_BND, visual)
        return F.linear(self.norm(x_BND), self.word_embedding.weight)

    def _positions(self, height: int, width: int) -> Tensor:
        """Return the positions of a feature map `[P, 2]` as (x, y) from the middle in world units (shorter sides)."""
        unit = min(height, width) / STRIDE
        h, w = height // STRIDE, width // STRIDE
        y = (h / 2 - torch.arange(h, device=self.position_embedding.device) - 0.5) / unit
        x = (torch.arange(w, device=self.position_embedding.device) + 0.5 - w / 2) / unit
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([grid_x, grid_y], dim=-1).flatten(0, 1)

    def _sentence(self, token_ids: list[int]) -> str:
        words = [self.config.vocabulary[n] for n in token_ids if n not in (PAD, END)]
        return join_words(words)


class DecoderLayer(nn.Module):
    """Self-attention over the words so far, cross-attention to the visual tokens, then an MLP."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q, self.kv, self.cross_out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x_BND: Tensor, visual_BGD: Tensor) -> Tensor:
        """Return the words `[B, N, D]` after the layer."""
        q, k, v = self._split(self.qkv(self.norm1(x_BND)), 3)
        x_BND = x_BND + self.out(_merge(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        (q,), (k, v) = self._split(self.q(self.norm2(x_BND)), 1), self._split(self.kv(visual_BGD), 2)
        x_BND = x_BND + self.cross_out(_merge(F.scaled_dot_product_attention(q, k, v)))
        return torch.add(x_BND, self.down(F.gelu(self.up(self.norm3(x_BND)))))

    def _split(self, x: Tensor, parts: int) -> Tensor:
        b, n, _ = x.shape
        return x.view(b, n, parts, self.heads, -1).permute(2, 0, 3, 1, 4)  # [parts, B, heads, N, D / heads]


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
