"""Text encoders: sentences in, one vector a word and one a sentence out.

`WordEncoder` is small and trained together with the transformer; `kinora.models.hf_text_encoder` has frozen ones.

Axes: S sentences, M words of the longest (shorter ones are padded, and the padding is masked), W width, H heads.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.errors import UsageError

PAD, UNKNOWN = 0, 1
SPECIAL = ("<pad>", "<unknown>")


@dataclass(frozen=True)
class TextEncoderConfig:
    """The shape of a text encoder of a `kind` in `TEXT_ENCODERS`.

    `vocabulary` is filled from the captions when training starts: for `words`, a word's place in it is its token id.
    `max_words` is the longest prompt: in words or, for `hf`, in tokens of its tokenizer. `pretrained` names the encoder
    of kind `hf` (`kinora.models.hf`); its `digest` and its `width` come from the latents that hold its embeddings.
    """

    vocabulary: tuple[str, ...] = SPECIAL
    width: int = 64
    depth: int = 1
    heads: int = 2
    max_words: int = 24
    kind: str = "words"
    pretrained: str = ""
    digest: str = ""

    def __post_init__(self) -> None:
        if self.kind not in TEXT_ENCODERS:
            raise UsageError(f"there is no text encoder '{self.kind}'; choose from {', '.join(TEXT_ENCODERS)}.")
        if (self.kind == "hf") != bool(self.pretrained):
            raise UsageError(
                f"text.kind is '{self.kind}' and text.pretrained '{self.pretrained}'; give both kind 'hf' and the name "
                "of an encoder, or neither."
            )

    def token_ids(self) -> dict[str, int]:
        """Return the token id of every word of the vocabulary."""
        return {word: token_id for token_id, word in enumerate(self.vocabulary)}


@dataclass(frozen=True)
class Text:
    """Encoded sentences: words `[S, M, W]`, which of them are words `[S, M]`, and whole sentences `[S, W]`."""

    words: Tensor
    mask: Tensor
    pooled: Tensor


def word_ids(sentence: str, token_ids: Mapping[str, int], most: int) -> list[int]:
    """Return the token ids of at most `most` words of a sentence; a word that has none is the unknown token.

    Where the vocabulary has no words, no caption had any and the unknown token is untrained: every sentence is empty.
    """
    if len(token_ids) <= len(SPECIAL):
        return []
    return [token_ids.get(word, UNKNOWN) for word in split_words(sentence)[:most]]


def split_words(sentence: str) -> list[str]:
    """Return the lower-case words and numbers of a sentence, without punctuation."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)?", sentence.lower())


def attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None = None) -> Tensor:
    """Scaled dot-product attention `[S, H, L, K]`, returned in the type of `v`."""
    dtype = v.dtype
    if q.device.type == "cpu":  # PyTorch's bfloat16 backward on CPU takes four times as long as float32
        q, k, v = q.float(), k.float(), v.float()
    return F.scaled_dot_product_attention(q.to(v.dtype), k.to(v.dtype), v, attn_mask=mask).to(dtype)


class TextEncoder(nn.Module):
    """Sentences in, vectors out, in two steps: what does not change while training (`prepare`), which can be kept with
    the latents, and what is trained (`forward`). Adding one is writing both and naming it in `TEXT_ENCODERS`.

    The empty sentence means "no condition": prepared it is zero, and it has one learned vector. A sentence's vectors do
    not depend on the sentences beside it.
    """

    unit = "words"  # what `length` counts

    def __init__(self, config: TextEncoderConfig):
        super().__init__()
        self.config = config

    def load_pretrained(self) -> None:
        """Load what `prepare` needs besides the trained weights, where there is any."""

    def prepare(self, sentences: Iterable[str]) -> Tensor:
        """Return what `forward` takes, `[S, M, ...]`, zero after a sentence's end; what is over the limit is cut."""
        raise NotImplementedError

    def length(self, sentence: str) -> int:
        """Return how many of `config.max_words` a sentence takes."""
        raise NotImplementedError

    def forward(self, prepared: Tensor) -> Text:
        """Encode prepared sentences; vectors are `config.width` wide."""
        raise NotImplementedError

    def check_length(self, sentence: str) -> None:
        """Refuse a prompt that would be cut.

        Raises:
            UsageError: if the sentence is longer than the model reads.
        """
        length, most = self.length(sentence), self.config.max_words
        if length > most:
            raise UsageError(f"the prompt has {length} {self.unit}, and this model reads {most}; say it in fewer.")

    def unknown_words(self, sentence: str) -> list[str]:
        """Return the words of a sentence that training never met."""
        return [word for word in split_words(sentence) if word not in self.token_ids]

    @cached_property
    def token_ids(self) -> dict[str, int]:
        """The token id of every word of the vocabulary."""
        return self.config.token_ids()


class WordEncoder(TextEncoder):
    """Word embeddings, a shallow transformer, and a pooled sentence."""

    def __init__(self, config: TextEncoderConfig):
        super().__init__(config)
        self.word_embedding = nn.Embedding(len(config.vocabulary), config.width)
        self.position_embedding = nn.Parameter(torch.zeros(config.max_words, config.width))
        self.layers = nn.ModuleList(EncoderLayer(config.width, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width)
        self.empty = nn.Parameter(torch.zeros(config.width))
        nn.init.normal_(self.word_embedding.weight, std=1.0)
        nn.init.normal_(self.position_embedding, std=0.3)
        nn.init.normal_(self.empty, std=1.0)

    def prepare(self, sentences: Iterable[str]) -> Tensor:
        """Return token ids `int64 [S, M]`, M being the words of the longest sentence.

        Words beyond `max_words` are dropped; an unknown word becomes the unknown token, which is trained on words that
        were made unknown (`kinora.training.batches`). Without words in its vocabulary every sentence is empty.
        """
        rows = [word_ids(sentence, self.token_ids, self.config.max_words) for sentence in sentences]
        longest = max([1, *map(len, rows)])
        padded = [row + [PAD] * (longest - len(row)) for row in rows]
        return torch.tensor(padded, dtype=torch.int64, device=self.position_embedding.device)

    def length(self, sentence: str) -> int:
        """Return how many words a sentence has."""
        return len(split_words(sentence))

    def forward(self, prepared: Tensor) -> Text:
        """Encode token ids `[S, M]`."""
        token_ids_SM = prepared
        mask_SM = token_ids_SM != PAD
        is_empty_S1 = ~mask_SM.any(dim=1, keepdim=True)
        first = torch.arange(token_ids_SM.shape[1], device=mask_SM.device) == 0
        mask_SM = mask_SM | (is_empty_S1 & first)  # an empty sentence attends to its one empty place
        x_SMW = self.word_embedding(token_ids_SM) + self.position_embedding[: token_ids_SM.shape[1]]
        x_SMW = torch.where(is_empty_S1[:, :, None], self.empty, x_SMW)
        for layer in self.layers:
            x_SMW = layer(x_SMW, mask_SM)
        x_SMW = self.norm(x_SMW)
        weight_SM1 = mask_SM[:, :, None].to(x_SMW.dtype)
        pooled_SW = (x_SMW * weight_SM1).sum(1) / weight_SM1.sum(1)
        return Text(x_SMW, mask_SM, pooled_SW)


class EncoderLayer(nn.Module):
    """Self-attention over the words of each sentence, then an MLP."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 2 * width), nn.Linear(2 * width, width)

    def forward(self, x_SMW: Tensor, mask_SM: Tensor) -> Tensor:
        """Return the words after the layer, `[S, M, W]`."""
        s, m, w = x_SMW.shape
        q, k, v = self.qkv(self.norm1(x_SMW)).view(s, m, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = attention(q, k, v, mask_SM[:, None, None, :])
        x_SMW = x_SMW + self.out(mixed.transpose(1, 2).reshape(s, m, w))
        return torch.add(x_SMW, self.down(F.gelu(self.up(self.norm2(x_SMW)))))


# The module and the class of every kind; imported when it is asked for.
TEXT_ENCODERS: dict[str, tuple[str, str]] = {
    "words": ("kinora.models.text_encoder", "WordEncoder"),
    "hf": ("kinora.models.hf_text_encoder", "HFTextEncoder"),
}


def build_text_encoder(config: TextEncoderConfig) -> TextEncoder:
    """Return a text encoder of `config.kind` with its first weights."""
    module, name = TEXT_ENCODERS[config.kind]
    kind: type[TextEncoder] = getattr(import_module(module), name)
    return kind(config)
