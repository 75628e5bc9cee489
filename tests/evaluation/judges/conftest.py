"""A server that speaks as OpenAI's does and looks at what it is shown, and a tiny vision-language model that does."""

import base64
import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from evaluation.judges.judge import ASKING
from tests.kinora.captioning.conftest import chat, hf_language, picture  # noqa: F401

NAMED = re.compile("red|blue|green")


def answer(text: str, alternatives: dict[str, float] | None = None) -> bytes:
    """Return a chat completion with a text, and how likely its first token and others are, where that is told."""
    choice: dict[str, Any] = {"message": {"role": "assistant", "content": text}}
    if alternatives is not None:
        among = [{"token": token, "logprob": math.log(chance)} for token, chance in alternatives.items()]
        choice["logprobs"] = {"content": [{**among[0], "top_logprobs": among}]}
    return json.dumps({"choices": [choice]}).encode()


def question(body: dict[str, Any]) -> str:
    """Return what a request asks."""
    content = body["messages"][0]["content"]
    return content if isinstance(content, str) else content[-1]["text"]


def colours(body: dict[str, Any]) -> list[str]:
    """Return the colour of each picture of a request."""
    content = body["messages"][0]["content"]
    shown = [part["image_url"]["url"].partition(",")[2] for part in content[:-1]] if isinstance(content, list) else []
    frames = [cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR) for data in shown]
    return [("blue", "green", "red")[int(frame.mean((0, 1)).argmax())] for frame in frames]


@pytest.fixture
def seer(chat):  # noqa: F811
    """The server, which splits no prompt and is sure by 90 % of what it sees."""

    def look(body: dict[str, Any]) -> tuple[int, dict[str, str], bytes]:
        if not colours(body):
            return 200, {}, answer("I would rather not.")
        yes = NAMED.search(question(body))[0] in colours(body)
        said, other = ("Yes", "No") if yes else ("No", "Yes")
        return 200, {}, answer(said, {said: 0.9, other: 0.06, "Maybe": 0.04})

    chat.plan = look
    return chat


@pytest.fixture
def film() -> Callable[..., np.ndarray]:
    """Return clips of noisy colours, one after another."""

    def made(*names: str, each: int = 6) -> np.ndarray:
        chance = np.random.default_rng(3)
        return np.stack([picture(name, chance) for name in names for _ in range(each)])

    return made


@pytest.fixture(scope="session")
def tiny_judge(tmp_path_factory) -> Path:
    """The folder of a tiny LLaVA that was taught to say "yes" of red pictures and "no" of blue ones."""
    import transformers as t
    from tokenizers import Tokenizer, models, pre_tokenizers

    from tests.kinora.captioning.conftest import ENDS, PATCH, SIDE, TEMPLATE, TEXT, VISION

    folder = tmp_path_factory.mktemp("judge")
    words = ["<pad>", "<s>", "</s>", "<unk>", "<image>", "red", "blue", "yes", "no", "assistant", ":"]
    inner = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, "<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer = t.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    torch.manual_seed(0)
    model = t.LlavaForConditionalGeneration(
        t.LlavaConfig(
            vision_config=t.CLIPVisionConfig(**VISION),
            text_config=t.LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **TEXT, **ENDS),
            image_token_index=4,
            image_seq_length=(SIDE // PATCH) ** 2,
        )
    )
    images = t.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = t.LlavaProcessor(
        images, tokenizer, PATCH, "default", chat_template=TEMPLATE, num_additional_image_tokens=1
    )
    chance, optimizer = np.random.default_rng(0), torch.optim.Adam(model.parameters(), lr=5e-3)
    for _ in range(60):
        shown, count = chance.choice(["red", "blue"], 8), int(chance.integers(1, 4))
        asked = f"user : {'<image>' * count}{ASKING.format(question='red?')} assistant :"
        texts = [f"{asked} {'yes' if seen == 'red' else 'no'}</s>" for seen in shown]
        pictures = [[picture(str(seen), chance) for _ in range(count)] for seen in shown]
        inputs = dict(processor(images=pictures, text=texts, return_tensors="pt", padding=True))
        labels = inputs["input_ids"].clone()
        labels[:, :-2] = -100
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.2, loss.item()
    for part in (model, processor):
        part.save_pretrained(folder)
    return folder
