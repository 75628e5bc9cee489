"""The captioner: a few frames of a clip in, a sentence out, word by word.

Axes: B clips, F frames encoded, N frames of all clips, H, W pixels, C channels of a feature map and P positions in it,
G visual tokens of a clip, A areas of all its frames, D width, N words, V words of the vocabulary.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

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

    `keypoints` channels of every frame are each reduced to where and how strong they are, and so are `changes` channels
    of every two frames in turn. The decoder attends to `visual_tokens` vectors of these, and to the features of
    `grid` x `grid` areas of every frame, for what has no one place. 0 changes or areas: none, as in captioners that
    were trained before there were any.
    `vocabulary` is filled from the captions when training starts: a word's place in it is the word's token id.
    """

    vocabulary: tuple[str, ...] = SPECIAL
    frames: int = 6
    side: int = 32
    channels: int = 24
    keypoints: int = 64
    changes: int = 0
    visual_tokens: int = 4
    grid: int = 0
    width: int = 128
    heads: int = 4
    depth: int = 2
    max_words: int = 32


@dataclass(frozen=True)
class Sentence:
    """A sentence, and how likely the decoder held each of its words to be, the end included: log-probabilities."""

    text: str
    log_probabilities: tuple[float, ...]


class Seen(NamedTuple):
    """What the decoder sees of clips: visual tokens `[B, G, D]`, and areas `[B, A, D]` where there are any."""

    tokens_BGD: Tensor
    areas_BAD: Tensor | None


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


def _first_sentences(words: list[str], most: int) -> list[str]:
    """Return as many whole sentences as have `most` words together, or so many words where the first is longer."""
    if len(words) <= most:
        return words
    ends = [count for count in range(1, most + 1) if words[count - 1] in ".!?"]
    return words[: ends[-1] if ends else most]


def join_words(words: Iterable[str]) -> str:
    """Return words and punctuation as a sentence with a capital letter."""
    text = re.sub(r" ([.,;:!?])", r"\1", " ".join(words))
    return text[:1].upper() + text[1:]


class Captioner(nn.Module):
    """A convolutional backbone over sampled frames, two ways of reading its maps, and a transformer decoder of words.

    Each channel of a frame's feature map is reduced to how strong it is at most and on average, and to where it is, its
    spatial softmax (1509.06113, section 5.1): such points are few, and carry shapes and motions over any size of frame.
    What is no point (a crowd, grass, a room) is read from the areas of a grid.
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
        if config.changes:
            self.change = nn.Conv2d(2 * 2 * c, config.changes, 3, padding=1)
        points = config.keypoints + config.changes
        self.softmax_scale = nn.Parameter(torch.ones(points))
        self.frame_projection = nn.Linear(4 * points, d)
        self.pool = nn.Sequential(
            nn.Linear(config.frames * d + d, 2 * d), nn.GELU(), nn.Linear(2 * d, config.visual_tokens * d)
        )
        if config.grid:
            k = config.keypoints
            self.details = nn.Sequential(
                nn.GELU(), nn.Conv2d(k, k, 3, stride=2, padding=1),
                nn.GELU(), nn.Conv2d(k, k, 3, padding=1), nn.GELU(),
            )  # fmt: skip
            self.area_projection = nn.Linear(k, d)
            self.area_embedding = nn.Parameter(torch.randn(config.frames, config.grid**2, d) * 0.02)
        self.word_embedding = nn.Embedding(len(config.vocabulary), d)
        self.position_embedding = nn.Parameter(torch.randn(config.max_words, d) * 0.02)
        self.decoder = nn.ModuleList(DecoderLayer(d, config.heads, areas=config.grid > 0) for _ in range(config.depth))
        self.norm = nn.LayerNorm(d)
        nn.init.normal_(self.word_embedding.weight, std=0.1)

    def encode(self, frames_BFHWC: Tensor, seconds_B: Tensor) -> Seen:
        """Return what the decoder sees of frames `uint8 [B, F, H, W, 3]` of clips that last so many seconds."""
        edges_NChw = self.backbone[:-1](self._pixels(frames_BFHWC))
        map_NChw = self.backbone[-1](edges_NChw)
        points_NChw = torch.cat([map_NChw, *self._changes(edges_NChw, len(frames_BFHWC))], dim=1)
        tokens_BGD = self._tokens(points_NChw, frames_BFHWC.shape, seconds_B)
        return Seen(tokens_BGD, self._areas(map_NChw, len(frames_BFHWC)) if self.config.grid else None)

    @torch.no_grad()
    def statistics(self, frames_BFHWC: Tensor) -> Tensor:
        """Return what frames `uint8 [B, F, H, W, 3]` look like to the image encoder, whatever they show `[B, S]`.

        The mean and the standard deviation of every channel over the positions of each stage's feature map, averaged
        over the frames: what tells pictures of one origin from those of another.
        """
        x, found = self._pixels(frames_BFHWC), []
        for layer in self.backbone:
            x = layer(x)
            if not isinstance(layer, nn.Conv2d) or layer is self.backbone[-1]:
                found += [x.float().mean((2, 3)), x.float().std((2, 3), correction=0)]
        return torch.cat(found, dim=1).view(*frames_BFHWC.shape[:2], -1).mean(1)

    def forward(self, frames_BFHWC: Tensor, seconds_B: Tensor, words_BN: Tensor) -> Tensor:
        """Return the logits `[B, N, V]` of each next word after `words_BN`, which begin with START."""
        return self._decode(self.encode(frames_BFHWC, seconds_B), words_BN)

    @torch.no_grad()
    def generate(self, frames_BFHWC: Tensor, seconds_B: Tensor) -> list[Sentence]:
        """Write one sentence a clip, the likeliest word at a time.

        A word's probability is that among all words, also those that cannot be said: where the decoder means a word
        that it never learned, the one that it says instead is unlikely.
        """
        seen, device = self.encode(frames_BFHWC, seconds_B), seconds_B.device
        words_BN = torch.full((len(frames_BFHWC), 1), START, device=device)
        likely_BN = torch.zeros(len(frames_BFHWC), 0, device=device)
        ended_B = torch.zeros(len(frames_BFHWC), dtype=torch.bool, device=device)
        while words_BN.shape[1] < self.config.max_words and not ended_B.all():
            log_BV = self._decode(seen, words_BN)[:, -1].log_softmax(-1)
            said_BV = log_BV.index_fill(1, torch.tensor([PAD, START, UNKNOWN], device=device), -torch.inf)
            following_B = torch.where(ended_B, PAD, said_BV.argmax(-1))
            likely_BN = torch.cat([likely_BN, log_BV.gather(1, following_B[:, None])], dim=1)
            words_BN = torch.cat([words_BN, following_B[:, None]], dim=1)
            ended_B = ended_B | (following_B == END)
        rows = zip(words_BN[:, 1:].tolist(), likely_BN.tolist(), strict=True)
        return [self._sentence(token_ids, likely) for token_ids, likely in rows]

    def tokenize(self, sentences: Sequence[str]) -> Tensor:
        """Return token ids `int64 [B, N]`: START, words, END, then PAD; at most `max_words`, cut after a sentence."""
        cut = [_first_sentences(split_sentence(sentence), self.config.max_words - 2) for sentence in sentences]
        rows = [[START, *(self.token_ids.get(word, UNKNOWN) for word in words), END] for words in cut]
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

    def _decode(self, seen: Seen, words_BN: Tensor) -> Tensor:
        x_BND = self.word_embedding(words_BN) + self.position_embedding[: words_BN.shape[1]]
        for layer in self.decoder:
            x_BND = layer(x_BND, seen)
        return F.linear(self.norm(x_BND), self.word_embedding.weight)

    def _pixels(self, frames_BFHWC: Tensor) -> Tensor:
        """Return all frames as pictures `[N, 3, H, W]` in [-1, 1]."""
        pixels = frames_BFHWC.flatten(0, 1).permute(0, 3, 1, 2).float() / 127.5 - 1
        return pixels.contiguous(memory_format=torch.channels_last)

    def _changes(self, edges_NChw: Tensor, b: int) -> list[Tensor]:
        """Return what changes from each frame of `b` clips to the next, `[N, C, h, w]`; to none from the last."""
        if not self.config.changes:
            return []
        edges_BFChw = edges_NChw.view(b, -1, *edges_NChw.shape[1:])
        next_BFChw = torch.cat([edges_BFChw[:, 1:], edges_BFChw[:, -1:]], dim=1)
        return [self.change(torch.cat([edges_BFChw, next_BFChw], dim=2).flatten(0, 1))]

    def _tokens(self, map_NChw: Tensor, shape: torch.Size, seconds_B: Tensor) -> Tensor:
        """Return visual tokens `[B, G, D]` of the points of clips of `shape` [B, F, H, W, 3]."""
        b, f, height, width, _ = shape
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

    def _areas(self, map_NChw: Tensor, b: int) -> Tensor:
        """Return the features `[B, A, D]` of the areas of all frames of `b` clips, each with its place and time."""
        area_NCgg = F.adaptive_avg_pool2d(self.details(map_NChw), self.config.grid)
        area_BFPD: Tensor = self.area_projection(area_NCgg.flatten(2).transpose(1, 2)).unflatten(0, (b, -1))
        return (area_BFPD + self.area_embedding[: area_BFPD.shape[1]]).flatten(1, 2)

    def _positions(self, height: int, width: int) -> Tensor:
        """Return the positions of a feature map `[P, 2]` as (x, y) from the middle in world units (shorter sides)."""
        unit = min(height, width) / STRIDE
        h, w = height // STRIDE, width // STRIDE
        y = (h / 2 - torch.arange(h, device=self.position_embedding.device) - 0.5) / unit
        x = (torch.arange(w, device=self.position_embedding.device) + 0.5 - w / 2) / unit
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        return torch.stack([grid_x, grid_y], dim=-1).flatten(0, 1)

    def _sentence(self, token_ids: list[int], log_probabilities: list[float]) -> Sentence:
        length = token_ids.index(END) + 1 if END in token_ids else len(token_ids)
        words = [self.config.vocabulary[token_id] for token_id in token_ids[:length] if token_id != END]
        return Sentence(join_words(words), tuple(log_probabilities[:length]))


class DecoderLayer(nn.Module):
    """Self-attention over the words so far, cross-attention to what is seen, then an MLP.

    Areas are attended to through a gate that is closed at first (Flamingo, 2204.14198, section 2.2): points are few and
    learned from in a few hundred steps, and among a hundred areas that mean nothing yet their part would be lost.
    """

    def __init__(self, width: int, heads: int, *, areas: bool):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(width), nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.q, self.kv, self.cross_out = nn.Linear(width, width), nn.Linear(width, 2 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)
        if areas:
            self.area_norm, self.area_q = nn.LayerNorm(width), nn.Linear(width, width)
            self.area_kv, self.area_out = nn.Linear(width, 2 * width), nn.Linear(width, width)
            self.gate = nn.Parameter(torch.zeros(width))

    def forward(self, x_BND: Tensor, seen: Seen) -> Tensor:
        """Return the words `[B, N, D]` after the layer."""
        q, k, v = self._split(self.qkv(self.norm1(x_BND)), 3)
        x_BND = x_BND + self.out(_merge(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
        (q,), (k, v) = self._split(self.q(self.norm2(x_BND)), 1), self._split(self.kv(seen.tokens_BGD), 2)
        x_BND = x_BND + self.cross_out(_merge(F.scaled_dot_product_attention(q, k, v)))
        if seen.areas_BAD is not None:
            (q,), (k, v) = (
                self._split(self.area_q(self.area_norm(x_BND)), 1),
                self._split(self.area_kv(seen.areas_BAD), 2),
            )
            areas_BND = self.area_out(_merge(F.scaled_dot_product_attention(q, k, v)))
            x_BND = x_BND + self.gate.tanh() * areas_BND
        return torch.add(x_BND, self.down(F.gelu(self.up(self.norm3(x_BND)))))

    def _split(self, x: Tensor, parts: int) -> Tensor:
        b, n, _ = x.shape
        return x.view(b, n, parts, self.heads, -1).permute(2, 0, 3, 1, 4)  # [parts, B, heads, N, D / heads]


def _merge(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(2)
