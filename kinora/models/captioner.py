"""The captioner: a few frames of a clip in, a sentence out, word by word.

Axes: B clips, F frames looked at, H, W pixels, P places in a frame's feature map, K looks at a frame, D width, N words,
V words of the vocabulary.
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
from safetensors.torch import load_file, save
from torch import Tensor, nn

from kinora.config import from_dict, read_json, write_json
from kinora.errors import KinoraError

PAD, START, END, UNKNOWN = range(4)
SPECIAL = ("<pad>", "<start>", "<end>", "<unknown>")
STRIDE = 4  # pixels of a place in the feature map; clips are cut to multiples of it
HIGHEST_WAVE = 8.0  # cycles in a world unit, or in a second, of the quickest position wave


@dataclass(frozen=True)
class CaptionerConfig:
    """`frames` evenly spaced frames are looked at, the shorter side at most `side` pixels, each `looks` times.

    `vocabulary` is filled from the captions when training starts: place in it is the word's number.
    """

    vocabulary: tuple[str, ...] = SPECIAL
    frames: int = 6
    side: int = 32
    channels: int = 32
    looks: int = 4
    width: int = 128
    heads: int = 4
    encoder_depth: int = 1
    decoder_depth: int = 2
    max_words: int = 32


@dataclass(frozen=True)
class Look:
    """What the captioner sees of a clip: frames `uint8 [F, H, W, 3]` and their times in seconds `float32 [F]`."""

    frames: np.ndarray
    times: np.ndarray


def look_at(frames: np.ndarray, fps: float, config: CaptionerConfig) -> Look:
    """Choose and shrink frames of a clip `uint8 [T, H, W, 3]` of any size and length; `fps` of a still is ignored."""
    chosen = np.linspace(0, len(frames) - 1, config.frames).round().astype(int) if len(frames) > 1 else np.zeros(1, int)
    height, width = frames.shape[1:3]
    scale = min(1.0, config.side / min(height, width))
    small_h, small_w = (max(STRIDE, round(side * scale / STRIDE) * STRIDE) for side in (height, width))
    some = frames[chosen]
    if (small_h, small_w) != (height, width):
        some = np.stack([cv2.resize(frame, (small_w, small_h), interpolation=cv2.INTER_AREA) for frame in some])
    times = chosen / fps if len(frames) > 1 else np.zeros(1)
    return Look(some, times.astype(np.float32))


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


def waves(position: Tensor, width: int) -> Tensor:
    """Return sines and cosines `[..., width]` of a position, of wavelengths in geometric progression."""
    rates = 2 * torch.pi * HIGHEST_WAVE ** torch.linspace(-1, 1, width // 2, device=position.device)
    angles = position[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class Captioner(nn.Module):
    """Looks at frames by convolution, pools each by attention, and writes by a transformer decoder."""

    def __init__(self, config: CaptionerConfig):
        super().__init__()
        self.config = config
        self.numbers = {word: number for number, word in enumerate(config.vocabulary)}
        c, d = config.channels, config.width
        self.eye = nn.Sequential(
            nn.Conv2d(3, c, 4, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(c, 2 * c, 3, stride=2, padding=1), nn.GELU(),
            nn.Conv2d(2 * c, d, 3, padding=1), nn.GELU(),
            nn.Conv2d(d, d, 1),
        )  # fmt: skip
        self.where = nn.Linear(d, d)
        self.norm = nn.LayerNorm(d)
        self.score = nn.Linear(d, config.looks)
        self.value = nn.Linear(d, d)
        self.look = nn.Parameter(torch.randn(config.looks, d) * 0.02)
        self.encoder = nn.ModuleList(Layer(d, config.heads) for _ in range(config.encoder_depth))
        self.embed = nn.Embedding(len(config.vocabulary), d)
        self.place = nn.Parameter(torch.randn(config.max_words, d) * 0.02)
        self.decoder = nn.ModuleList(Layer(d, config.heads, crossing=True) for _ in range(config.decoder_depth))
        self.out_norm = nn.LayerNorm(d)
        nn.init.normal_(self.embed.weight, std=0.1)

    def see(self, frames_BFHWC: Tensor, times_BF: Tensor) -> Tensor:
        """Return what is seen, `[B, F * K, D]`, in frames `uint8 [B, F, H, W, 3]` at times in seconds."""
        b, f, height, width, _ = frames_BFHWC.shape
        pixels = frames_BFHWC.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        map_NDhw = self.eye(pixels.contiguous(memory_format=torch.channels_last))
        x_NPD = map_NDhw.flatten(2).transpose(1, 2)
        x_NPD = self.norm(x_NPD + self.where(self._places(height, width)))
        attention_NKP = self.score(x_NPD).transpose(1, 2).float().softmax(dim=-1)
        seen_NKD = attention_NKP.to(x_NPD.dtype) @ self.value(x_NPD)
        seen = seen_NKD.view(b, f, -1, self.config.width) + self.look
        seen = seen + waves(times_BF, self.config.width)[:, :, None]
        seen = seen.flatten(1, 2)
        for layer in self.encoder:
            seen = layer(seen)
        return seen

    def forward(self, frames_BFHWC: Tensor, times_BF: Tensor, words_BN: Tensor) -> Tensor:
        """Return the logits `[B, N, V]` of each next word after `words_BN`, which begin with START."""
        return self._write(self.see(frames_BFHWC, times_BF), words_BN)

    @torch.no_grad()
    def write(self, frames_BFHWC: Tensor, times_BF: Tensor) -> list[str]:
        """Write one sentence a clip, the likeliest word at a time."""
        seen = self.see(frames_BFHWC, times_BF)
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
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in self.state_dict().items()}
        (folder / "model.safetensors").write_bytes(save(tensors))
        write_json(folder / "config.json", self.config)

    @classmethod
    def load(cls, folder: str | Path) -> "Captioner":
        """Read what `save` wrote, ready for use on the CPU.

        Raises:
            KinoraError: if the folder holds no captioner.
        """
        folder = Path(folder)
        if not (folder / "model.safetensors").is_file() or not (folder / "config.json").is_file():
            raise KinoraError(f"{folder} holds no captioner; train one with 'kinora train captioner'.")
        model = cls(from_dict(CaptionerConfig, read_json(folder / "config.json")))
        model.load_state_dict(load_file(folder / "model.safetensors"))
        return model.eval()

    def _write(self, seen: Tensor, words_BN: Tensor) -> Tensor:
        x_BND = self.embed(words_BN) + self.place[: words_BN.shape[1]]
        for layer in self.decoder:
            x_BND = layer(x_BND, seen)
        return F.linear(self.out_norm(x_BND), self.embed.weight)

    def _places(self, height: int, width: int) -> Tensor:
        """Return the position waves `[P, D]` of a feature map, in world units (shorter sides) from the lower left."""
        unit = min(height, width)
        device = self.place.device
        y = (height - (torch.arange(height // STRIDE, device=device) + 0.5) * STRIDE) / unit
        x = (torch.arange(width // STRIDE, device=device) + 0.5) * STRIDE / unit
        half = self.config.width // 2
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return torch.cat([waves(grid_y, half), waves(grid_x, half)], dim=-1).flatten(0, 1)

    def _sentence(self, numbers: list[int]) -> str:
        words = [self.config.vocabulary[n] for n in numbers if n not in (PAD, END)]
        return join_words(words)


class Layer(nn.Module):
    """Self-attention (causal where the layer also looks `crossing` to the clip), then a gated step for each place."""

    def __init__(self, width: int, heads: int, crossing: bool = False):
        super().__init__()
        self.heads, self.crossing = heads, crossing
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 3 * width), nn.Linear(3 * width, width)
        if crossing:
            self.norm3 = nn.LayerNorm(width)
            self.q, self.kv, self.out2 = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)

    def forward(self, x: Tensor, seen: Tensor | None = None) -> Tensor:
        """Return `x [B, N, D]` after the layer; `seen [B, M, D]` is what a crossing layer looks at."""
        q, k, v = self._split(self.qkv(self.norm1(x)), 3)
        x = x + self.out(_merge(F.scaled_dot_product_attention(q, k, v, is_causal=self.crossing)))
        if self.crossing:
            assert seen is not None
            (q,), (k, v) = self._split(self.q(self.norm3(x)), 1), self._split(self.kv(seen), 2)
            x = x + self.out2(_merge(F.scaled_dot_product_attention(q, k, v)))
        return x + self.down(F.gelu(self.up(self.norm2(x))))

    def _split(self, x: Tensor, parts: int) -> Tensor:
        b, n, _ = x.shape
        return x.view(b, n, parts, self.heads, -1).permute(2, 0, 3, 1, 4)  # [parts, B, heads, N, D / heads]


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
