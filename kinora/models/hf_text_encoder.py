"""Text encoders of transformers (T5, UMT5, CLIP), frozen, behind our interface.

A prepared sentence is `[1 + M, W]`: the whole sentence, then its tokens, as the frozen network makes them. Latents keep
it beside each clip, so that training never loads the network; generation loads it by its name, and refuses another
than the one that the model was trained with. What is trained: a normalisation, and the vector of the empty sentence.

Axes: S sentences, M tokens of the longest, W width of the frozen network.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from kinora.config import digest
from kinora.errors import KinoraError, UsageError
from kinora.files import file_digest
from kinora.models.hf import FILES, PIPELINE, hf_extra, pretrained_folder, readable
from kinora.models.precision import compute_dtype, device
from kinora.models.text_encoder import Text, TextEncoder, TextEncoderConfig

NETWORK, TOKENIZER = "text_encoder", "tokenizer"  # their folders within a pipeline of diffusers
# By the `model_type` of their config.json; of CLIP, either the text part or the whole.
CLASSES = {
    "t5": "T5EncoderModel",
    "umt5": "UMT5EncoderModel",
    "clip_text_model": "CLIPTextModel",
    "clip": "CLIPTextModel",
}


class FrozenTextEncoder:
    """A tokenizer and a network of transformers, on `device()`, in `compute_dtype()`."""

    def __init__(self, source: str, max_tokens: int):
        """Load them.

        Raises:
            KinoraError: if they are not there, of another kind, or their weights are not safetensors.
            UsageError: if it cannot read `max_tokens` at once.
        """
        root = pretrained_folder(source, NETWORK, TOKENIZER)
        parts = (root / NETWORK, root / TOKENIZER) if (root / PIPELINE).is_file() else (root, root)
        with hf_extra():
            import transformers
        with readable(f"the text encoder {source}"):
            kind = transformers.AutoConfig.from_pretrained(parts[0], local_files_only=True).model_type
            if kind not in CLASSES:
                raise KinoraError(f"{source} is a '{kind}', which is no text encoder; there are {', '.join(CLASSES)}.")
            self.tokenizer: Any = transformers.AutoTokenizer.from_pretrained(parts[1], local_files_only=True)
            self.network: Any = getattr(transformers, CLASSES[kind]).from_pretrained(
                parts[0], local_files_only=True, use_safetensors=True, dtype=compute_dtype()
            )
        self.network.to(device()).eval().requires_grad_(False)
        config = getattr(self.network.config, "text_config", self.network.config)
        self.pools_last = "clip" in kind  # the last token of CLIP stands for the sentence (arXiv:2103.00020, 2.4)
        self.width: int = config.hidden_size
        most = getattr(config, "max_position_embeddings", max_tokens)
        if max_tokens > most:
            raise UsageError(
                f"text.max_words is {max_tokens}, and {source} reads {most} tokens; set text.max_words={most}."
            )
        self.source, self.max_tokens = source, max_tokens
        self.digest = content_digest(*parts)

    def description(self) -> dict[str, Any]:
        """Return what tells prepared sentences from those of another encoder, for those who keep them."""
        names = {"pretrained": self.source, "max_words": self.max_tokens}
        return {**names, "width": self.width, "digest": self.digest}

    def tokens(self, sentence: str) -> list[int]:
        """Return the token ids of a sentence, all of them."""
        ids: list[int] = self.tokenizer(sentence, truncation=False, verbose=False)["input_ids"]
        return ids

    @torch.no_grad()
    def encode(self, sentences: Sequence[str]) -> list[Tensor]:
        """Return a prepared sentence `[1 + M, W]` for each; M is 0 for one that is empty. What is too long is cut."""
        rows = [torch.empty(0, self.width)] * len(sentences)
        full = [place for place, sentence in enumerate(sentences) if sentence.strip()]
        if not full:
            return rows
        ids = self.tokenizer(
            [sentences[place] for place in full],
            truncation=True,
            max_length=self.max_tokens,
            padding=True,
            return_tensors="pt",
        ).to(self.network.device)
        states = self.network(ids["input_ids"], attention_mask=ids["attention_mask"]).last_hidden_state.float()
        for place, state, mask in zip(full, states, ids["attention_mask"].bool(), strict=True):
            words = state[mask]
            pooled = words[-1] if self.pools_last else words.mean(0)
            rows[place] = torch.cat([pooled[None], words]).cpu()
        return rows


class HFTextEncoder(TextEncoder):
    """The trained part; the frozen one is loaded when a sentence is first prepared."""

    unit = "tokens"

    def __init__(self, config: TextEncoderConfig):
        super().__init__(config)
        self.norm = nn.LayerNorm(config.width)  # frozen networks differ much in the size of their values
        self.empty = nn.Parameter(torch.zeros(config.width))
        nn.init.normal_(self.empty, std=1.0)
        self._frozen: FrozenTextEncoder | None = None  # no module: it is neither trained nor saved nor moved

    @property
    def frozen(self) -> FrozenTextEncoder:
        """The frozen network.

        Raises:
            KinoraError: if it cannot be read, or is not the one that the model was trained with.
        """
        if self._frozen is None:
            found = FrozenTextEncoder(self.config.pretrained, self.config.max_words)
            if found.digest != self.config.digest:
                raise KinoraError(
                    f"the text encoder {self.config.pretrained} is not the one that this model was trained with "
                    f"({found.digest[:12]}, not {self.config.digest[:12]}); put that one in its place."
                )
            self._frozen = found
        return self._frozen

    def load_pretrained(self) -> None:
        """Load the frozen network now, not with the first sentence."""
        assert self.frozen

    def prepare(self, sentences: Iterable[str]) -> Tensor:
        """Return prepared sentences `[S, 1 + M, W]`."""
        return pad_prepared(self.frozen.encode(list(sentences))).to(self.empty.device)

    def length(self, sentence: str) -> int:
        """Return how many tokens a sentence has."""
        return len(self.frozen.tokens(sentence))

    def forward(self, prepared: Tensor) -> Text:
        """Encode prepared sentences `[S, 1 + M, W]`."""
        mask = (prepared != 0).any(dim=-1)
        is_empty_S1 = ~mask[:, :1]
        first = torch.arange(prepared.shape[1], device=mask.device) <= 1
        mask = mask | (is_empty_S1 & first)  # an empty sentence attends to its one empty place
        x_SMW = self.norm(prepared.to(self.empty.dtype))
        x_SMW = torch.where(is_empty_S1[:, :, None], self.empty, x_SMW)
        return Text(x_SMW[:, 1:], mask[:, 1:], x_SMW[:, 0])


def pad_prepared(sentences: Sequence[Tensor]) -> Tensor:
    """Put prepared sentences `[1 + M, W]`, `[0, W]` where empty, together as `[S, 1 + M, W]`, zero after their ends."""
    padded = pad_sequence([*sentences, sentences[0].new_zeros(2, sentences[0].shape[1])], batch_first=True)
    return padded[:-1]  # the last made sure of one place for words


def content_digest(network: Path, tokenizer: Path) -> str:
    """Name the content of an encoder: its configuration, weights and tokenizer, wherever they lie."""
    files = {
        f"{part}/{path.name}": path
        for part, folder in enumerate((network, tokenizer))
        for pattern in FILES
        for path in folder.glob(pattern)
    }
    return digest({name: file_digest(path) for name, path in files.items()})
