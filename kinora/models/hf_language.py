"""Language models of transformers, with or without eyes: pictures and an instruction in, a sentence out.

One that has a chat template is told what to do and sees all the pictures. One without, such as BLIP or GIT, describes a
single picture, of several the middle one.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor

from kinora.errors import KinoraError
from kinora.models.hf import hf_extra, pretrained_folder
from kinora.models.precision import compute_dtype, device


class HFLanguageModel:
    """A network of transformers that writes, and its processor, on `device()`, in `compute_dtype()`.

    sees: whether it takes pictures.
    follows: whether it takes instructions, that is, has a chat template.
    """

    def __init__(self, source: str):
        """Load them.

        Raises:
            KinoraError: if they are not there, the network does not write, or its weights are not safetensors.
        """
        folder = pretrained_folder(source)
        with hf_extra():
            import transformers
            from transformers.models.auto import modeling_auto as known
        self.source = source
        try:
            config = transformers.AutoConfig.from_pretrained(folder, local_files_only=True)
            self.sees = config.model_type in known.MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
            if self.sees:
                kind: Any = transformers.AutoModelForImageTextToText
            elif config.is_encoder_decoder:
                kind = transformers.AutoModelForSeq2SeqLM
            else:
                kind = transformers.AutoModelForCausalLM
            processor: Any = transformers.AutoProcessor.from_pretrained(folder, local_files_only=True)
            if self.sees and not hasattr(processor, "image_processor"):  # saved without one that joins both
                images: Any = transformers.AutoImageProcessor.from_pretrained(folder, local_files_only=True)
            else:
                images = processor
            self.network: Any = kind.from_pretrained(
                folder, local_files_only=True, use_safetensors=True, dtype=compute_dtype()
            )
        except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
            raise KinoraError(f"the language model {source} cannot be read: {_reason(error)}") from error
        self.network.to(device()).eval().requires_grad_(False)
        self.processor, self.images = processor, images
        self.tokenizer = getattr(processor, "tokenizer", processor)
        if self.tokenizer.pad_token_id is None:
            self.tokenizer.pad_token = self.tokenizer.eos_token
        generation = self.network.generation_config
        if generation.pad_token_id is None:
            generation.pad_token_id = self.tokenizer.pad_token_id
        last = generation.eos_token_id
        names = (self.tokenizer.eos_token_id, self.tokenizer.sep_token_id, self.tokenizer.pad_token_id)
        self.ends = {token for token in (*(last if isinstance(last, list) else [last]), *names) if token is not None}
        if not getattr(config, "is_encoder_decoder", False):
            self.tokenizer.padding_side = "left"  # what is written goes on from the end of each row
        self.follows = bool(getattr(processor, "chat_template", None) or getattr(self.tokenizer, "chat_template", None))

    @torch.no_grad()
    def answer(
        self, prompts: Sequence[str], pictures: Sequence[Sequence[np.ndarray]], most_tokens: int
    ) -> list[tuple[str, float]]:
        """Answer each prompt, together; the likeliest word at a time.

        Args:
            prompts: what to do, for each; "" for nothing, where the model takes no instructions.
            pictures: `uint8 [H, W, 3]`, as many for each prompt; none for a model that does not see.
            most_tokens: of an answer.

        Returns:
            The answers, and how sure each is, 0..1: the geometric mean of its tokens' probabilities.

        Raises:
            KinoraError: if the model cannot take these pictures or prompts.
        """
        made = self._made(prompts, pictures, most_tokens)
        tokens_BN = made.sequences[:, -len(made.logits) :]  # some give back what they were asked as well
        chances_BN = torch.stack(
            [logits.float().log_softmax(-1).gather(1, tokens_BN[:, [n]])[:, 0] for n, logits in enumerate(made.logits)],
            dim=1,
        )
        said_BN = self._said(tokens_BN)
        sure = ((chances_BN * said_BN).sum(1) / said_BN.sum(1).clamp_min(1)).exp().tolist()
        texts = [
            self.tokenizer.decode(row[said], skip_special_tokens=True)
            for row, said in zip(tokens_BN, said_BN, strict=True)
        ]
        return [(text.strip(), chance) for text, chance in zip(texts, sure, strict=True)]

    @torch.no_grad()
    def chances(
        self, prompts: Sequence[str], pictures: Sequence[Sequence[np.ndarray]], words: Sequence[str]
    ) -> list[list[float]]:
        """Return how likely each answer begins with each of some words in lower case; as `answer`.

        Raises:
            KinoraError: if the model cannot take these pictures or prompts, or its vocabulary lacks a word.
        """
        tokens = [self._tokens(word) for word in words]
        chances_BV = self._made(prompts, pictures, 1).logits[0].float().softmax(-1)
        return [[float(row[some].sum()) for some in tokens] for row in chances_BV]

    def _tokens(self, word: str) -> list[int]:
        """Return the tokens that are a word at the beginning of an answer."""
        forms = (before + form for before in ("", " ") for form in (word, word.capitalize(), word.upper()))
        coded = [self.tokenizer.encode(form, add_special_tokens=False) for form in forms]
        found = sorted({codes[0] for codes in coded if len(codes) == 1 and codes[0] != self.tokenizer.unk_token_id})
        if not found:
            raise KinoraError(f'the vocabulary of {self.source} has no word "{word}"; choose another model.')
        return found

    def _made(self, prompts: Sequence[str], pictures: Sequence[Sequence[np.ndarray]], most_tokens: int) -> Any:
        """Return what the network's `generate` makes, with the logits of each token."""
        try:
            inputs = self._chat(prompts, pictures) if self.follows else self._plain(prompts, pictures)
            return self.network.generate(
                **_in_type(inputs.to(self.network.device), self.network.dtype),
                max_new_tokens=most_tokens,
                do_sample=False,
                num_beams=1,
                return_dict_in_generate=True,
                output_logits=True,
            )
        except (ValueError, RuntimeError, IndexError, TypeError) as error:
            count = max(map(len, pictures), default=0)
            raise KinoraError(
                f"the language model {self.source} cannot answer with {count} pictures of a clip ({_reason(error)}); "
                "let it see fewer frames, or choose another."
            ) from error

    def _chat(self, prompts: Sequence[str], pictures: Sequence[Sequence[np.ndarray]]) -> Any:
        if self.sees:
            talks = [_turn(prompt, some) for prompt, some in zip(prompts, pictures, strict=True)]
        else:
            talks = [[{"role": "user", "content": prompt}] for prompt in prompts]
        options: dict[str, Any] = {"tokenize": True, "add_generation_prompt": True, "return_dict": True}
        if self.processor is self.tokenizer:
            return self.processor.apply_chat_template(talks, **options, padding=True, return_tensors="pt")
        return self.processor.apply_chat_template(
            talks, **options, processor_kwargs={"padding": True, "return_tensors": "pt"}
        )

    def _plain(self, prompts: Sequence[str], pictures: Sequence[Sequence[np.ndarray]]) -> Any:
        if not self.sees:
            return self.tokenizer(list(prompts), padding=True, return_tensors="pt")
        middle = [some[len(some) // 2] for some in pictures]
        if not any(prompts):
            return self.images(images=middle, return_tensors="pt")
        return self.processor(images=middle, text=list(prompts), padding=True, return_tensors="pt")

    def _said(self, tokens_BN: Tensor) -> Tensor:
        """Return which tokens `[B, N]` come before the end of their row."""
        ends = torch.tensor(sorted(self.ends), device=tokens_BN.device, dtype=tokens_BN.dtype)
        return torch.isin(tokens_BN, ends).cumsum(1) == 0


def _turn(prompt: str, pictures: Sequence[np.ndarray]) -> list[dict[str, Any]]:
    shown: list[dict[str, Any]] = [{"type": "image", "image": picture} for picture in pictures]
    return [{"role": "user", "content": [*shown, {"type": "text", "text": prompt}]}]


def _in_type(inputs: Any, dtype: torch.dtype) -> dict[str, Any]:
    """Return inputs whose real numbers are of the network's type."""
    return {
        name: value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value
        for name, value in inputs.items()
    }


def _reason(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
