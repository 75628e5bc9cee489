"""A server that speaks as OpenAI's does, and language models of transformers that a test trains and saves."""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

Plan = Callable[[dict[str, Any]], tuple[int, dict[str, str], bytes] | None]


class ChatServer(ThreadingHTTPServer):
    """Answers chat completions with the colour of the first picture, or what `plan` says instead; keeps the requests.

    at_once: the most requests that it worked on at the same time.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.address = f"http://127.0.0.1:{self.server_address[1]}/v1"
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.plan: Plan = lambda body: None
        self.lock = threading.Lock()
        self.working = self.at_once = 0


class _Handler(BaseHTTPRequestHandler):
    server: ChatServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        server = self.server
        with server.lock:
            server.requests.append(body)
            server.keys.append(self.headers.get("Authorization"))
            server.working += 1
            server.at_once = max(server.at_once, server.working)
            planned = server.plan(body)
        time.sleep(0.02)  # so that requests meet
        status, headers, data = planned or (200, {}, completion(colour_of(body), [-0.1, -0.3]))
        with server.lock:
            server.working -= 1
        self.send_response(status if self.path == "/v1/chat/completions" else 404)
        for name, value in {"Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def completion(text: str, logs: list[float] | None = None) -> bytes:
    """Return a chat completion with one choice."""
    choice: dict[str, Any] = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    if logs is not None:
        choice["logprobs"] = {"content": [{"token": "x", "logprob": log} for log in logs]}
    return json.dumps({"object": "chat.completion", "choices": [choice]}).encode()


def colour_of(body: dict[str, Any]) -> str:
    """Return the caption of a request's first picture, by its colour; of one without pictures, its last line."""
    content = body["messages"][0]["content"]
    if isinstance(content, str):
        return content.splitlines()[-1]
    assert content[-1]["type"] == "text"
    picture = content[0]["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
    frame = cv2.imdecode(np.frombuffer(base64.b64decode(picture), np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
    return f"A {('red', 'green', 'blue')[int(frame.mean((0, 1)).argmax())]} clip of {len(content) - 1} pictures."


@pytest.fixture(scope="session", name="completion")
def completion_of() -> Callable[..., bytes]:
    """Return `completion`."""
    return completion


@pytest.fixture(scope="session", name="picture")
def picture_of() -> Callable[..., np.ndarray]:
    """Return `picture`."""
    return picture


@pytest.fixture
def chat(tmp_path, monkeypatch) -> Iterator[ChatServer]:
    """A server, and a machine that has no answers yet and does not wait long."""
    from kinora.captioning import endpoint

    monkeypatch.setattr(endpoint, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(endpoint, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("OPENAI_API_KEY", "a key")
    server = ChatServer()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


TEMPLATE = (
    "{% for message in messages %}user : {% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}"
    "{% endfor %}{% endif %} {% endfor %}{% if add_generation_prompt %}assistant :{% endif %}"
)
SIDE, PATCH = 32, 16
VISION = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
VISION |= {"image_size": SIDE, "patch_size": PATCH}
TEXT = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
ENDS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}


def _tokenizer() -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = [
        "<pad>",
        "<s>",
        "</s>",
        "<unk>",
        "<image>",
        *["a", "red", "blue", "green", "picture", "user", "assistant", ":", "look"],
    ]
    tokenizer = Tokenizer(models.WordLevel({word: place for place, word in enumerate(words)}, "<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    found = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", bos_token="<s>", eos_token="</s>", unk_token="<unk>"
    )
    found.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return found


def _llava() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer()
    config = t.LlavaConfig(
        vision_config=t.CLIPVisionConfig(**VISION),
        text_config=t.LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=512, **TEXT, **ENDS),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        image_seq_length=(SIDE // PATCH) ** 2,
    )
    images = t.CLIPImageProcessorPil(size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE})
    processor = t.LlavaProcessor(
        images, tokenizer, PATCH, "default", chat_template=TEMPLATE, num_additional_image_tokens=1
    )
    return t.LlavaForConditionalGeneration(config), [processor]


def _blip() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer()
    text = {"vocab_size": len(tokenizer), "encoder_hidden_size": 32, "sep_token_id": 2, **TEXT, **ENDS}
    model = t.BlipForConditionalGeneration(t.BlipConfig(text_config=text, vision_config=VISION))
    return model, [t.BlipProcessor(t.BlipImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer)]


def _vision_encoder_decoder() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer()
    decoder = t.GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=1, n_head=2, n_positions=64, add_cross_attention=True,
        is_decoder=True, **ENDS,
    )  # fmt: skip
    config = t.VisionEncoderDecoderConfig.from_encoder_decoder_configs(t.ViTConfig(**VISION), decoder)
    config.decoder_start_token_id, config.pad_token_id = 1, 0
    model = t.VisionEncoderDecoderModel(config)
    for name, value in {**ENDS, "decoder_start_token_id": 1}.items():
        setattr(model.generation_config, name, value)
    return model, [t.ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}), tokenizer]


def _llama() -> tuple[Any, Any]:
    import transformers as t

    tokenizer = _tokenizer()
    tokenizer.chat_template = TEMPLATE
    return t.LlamaForCausalLM(t.LlamaConfig(vocab_size=len(tokenizer), **TEXT, **ENDS)), [tokenizer]


MODELS = {"llava": _llava, "blip": _blip, "vision-encoder-decoder": _vision_encoder_decoder, "llama": _llama}
COLOURS = {"red": (220, 30, 30), "blue": (30, 30, 220), "green": (30, 200, 30)}


def picture(colour: str, chance: np.random.Generator, side: int = SIDE) -> np.ndarray:
    """Return a noisy picture `uint8 [H, W, 3]` of a colour."""
    noise = chance.normal(0, 20, (side, side, 3))
    return np.clip(np.array(COLOURS[colour]) + noise, 0, 255).astype(np.uint8)


def _learn(kind: str, model: Any, parts: list[Any]) -> None:
    """Teach a model to name the colour of the last picture that it sees."""
    chance, tokenizer = np.random.default_rng(0), getattr(parts[0], "tokenizer", parts[-1])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(120):
        colours = [str(colour) for colour in chance.choice(list(COLOURS), 12)]
        said = [f"a {colour} picture</s>" for colour in colours]
        pictures = [picture(colour, chance) for colour in colours]
        if kind == "llava":
            count = int(chance.integers(1, 4))
            others = [[picture(str(c), chance) for c in chance.choice(list(COLOURS), count - 1)] for _ in colours]
            asked = [f"user : {'<image>' * count}look assistant :" for _ in colours]
            shown = [[*before, last] for before, last in zip(others, pictures, strict=True)]
            texts = [f"{question} {answer}" for question, answer in zip(asked, said, strict=True)]
            inputs = dict(parts[0](images=shown, text=texts, return_tensors="pt", padding=True))
            labels = inputs["input_ids"].clone()
            labels[:, :-4] = -100
        else:
            inputs = {"pixel_values": parts[0](images=pictures, return_tensors="pt")["pixel_values"]}
            start = "<s> " if kind == "blip" else ""
            labels = tokenizer([start + text for text in said], return_tensors="pt")["input_ids"]
            inputs |= {"input_ids": labels} if kind == "blip" else {}
        loss = model(**inputs, labels=labels).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.3


@pytest.fixture(scope="session")
def hf_language(tmp_path_factory) -> Callable[[str], Path]:
    """Return the folder of a tiny language model by its name in `MODELS`; one that sees was taught to name colours."""
    root = tmp_path_factory.mktemp("hf-language")

    def saved(kind: str) -> Path:
        if not (root / kind).exists():
            torch.manual_seed(0)
            model, parts = MODELS[kind]()
            if kind != "llama":
                _learn(kind, model, parts)
            for part in (model, *parts):
                part.save_pretrained(root / kind)
        return root / kind

    return saved
