"""How quickly a clip is made beside diffusers' Wan pipeline with a transformer and an autoencoder of equal sizes.

    python -m benchmarks.sampling_against_diffusers

From noise and a prompt of equal length to frames in memory: the same latents, steps and guidance, the same number of
weights, the same device, type and threads. The transformers are those of `benchmarks.against_diffusers`; the
autoencoders are our base one and Wan's, as wide as it takes for as many weights. The two take turns.
"""

import statistics
from typing import Any

import torch
import tyro

from benchmarks.against_diffusers import TEXT_WIDTH, WORDS, now, parameters, transformers
from kinora.diffusion.sampler import Sampling
from kinora.generation import GenerationRequest, VideoGenerator
from kinora.models.autoencoder import Autoencoder
from kinora.models.precision import compute_dtype, device
from kinora.models.text_encoder import SPECIAL, TextEncoderConfig
from kinora.models.vae import VAE
from kinora.models.vae.config import BASE
from kinora.models.world_model import WorldModel

FRAMES, HEIGHT, WIDTH, GUIDANCE = 17, 128, 128, 3.0
WAN_WIDTH = 56  # of Wan's autoencoder, whose weights are then as many as those of BASE within 3 %
PROMPT = " ".join(["word"] * WORDS)


def our_generator(width: int, depth: int, steps: int) -> VideoGenerator:
    """Return ours with random weights."""
    dit, _ = transformers(width, depth)
    text = TextEncoderConfig((*SPECIAL, "word"), width=TEXT_WIDTH, heads=8, max_words=WORDS)
    model = WorldModel(dit.config, text)
    return VideoGenerator(VAE(BASE), model, Sampling(steps=steps, guidance=GUIDANCE))


def wan_pipeline(width: int, depth: int) -> Any:
    """Return diffusers' pipeline with random weights; its text encoder is left out, and the prompt given encoded."""
    from diffusers import AutoencoderKLWan, FlowMatchEulerDiscreteScheduler, WanPipeline

    _, transformer = transformers(width, depth)
    vae = AutoencoderKLWan(base_dim=WAN_WIDTH).to(device(), compute_dtype())
    pipeline: Any = WanPipeline(None, None, vae.eval(), FlowMatchEulerDiscreteScheduler(shift=2.0), transformer.eval())
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def wan_clip(pipeline: Any, steps: int) -> Any:
    """Return frames that the pipeline makes from noise."""
    words = {name: torch.randn(1, WORDS, TEXT_WIDTH) for name in ("prompt_embeds", "negative_prompt_embeds")}
    return pipeline(
        height=HEIGHT, width=WIDTH, num_frames=FRAMES, num_inference_steps=steps, guidance_scale=GUIDANCE, **words
    ).frames


@torch.inference_mode()
def decoding(ours: Autoencoder, wan: Any) -> tuple[float, float]:
    """Return the seconds that either autoencoder takes to decode a clip's latents."""
    latent = torch.randn(1, ours.config.latent_channels, *ours.config.latent_shape(FRAMES, HEIGHT, WIDTH))
    latent, began = latent.to(device()), now()
    ours.video_of(latent)
    between = now()
    wan.decode(latent.to(compute_dtype()))
    return between - began, now() - between


def measure(width: int = 384, depth: int = 4, steps: int = 20, rounds: int = 3) -> str:
    """Return the benchmark as a section of Markdown."""
    from diffusers.utils import logging

    logging.set_verbosity_error()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    ours, theirs = our_generator(width, depth, steps), wan_pipeline(width, depth)
    request = GenerationRequest(PROMPT, WIDTH, HEIGHT, FRAMES, 8.0, 0)
    seconds = []
    for _ in range(rounds):
        began = now()
        ours.generate([request])
        between = now()
        wan_clip(theirs, steps)
        whole, decoded = (between - began, now() - between), decoding(ours.vae, theirs.vae)
        seconds.append((*whole, *decoded, whole[0] - decoded[0], whole[1] - decoded[1]))
    medians = [statistics.median(column) for column in zip(*seconds, strict=True)]
    ratios = [statistics.median(row[i + 1] / row[i] for row in seconds) for i in (0, 2, 4)]
    lines = [
        f"| {name} | {medians[2 * i]:.2f} | {medians[2 * i + 1]:.2f} | {ratios[i]:.2f} |"
        for i, name in ((2, "denoising"), (1, "decoding"), (0, "the whole clip"))
    ]
    sizes = [f"{parameters(model) / 1e6:.1f}" for model in (ours.model.dit, theirs.transformer, ours.vae, theirs.vae)]
    kind = str(compute_dtype()).removeprefix("torch.")
    return "\n".join(
        [
            "## Sampling beside diffusers' Wan pipeline",
            "",
            f"{FRAMES} frames of {WIDTH}x{HEIGHT} pixels, {steps} steps, guidance {GUIDANCE:g}, {WORDS} words; "
            f"transformers of {sizes[0]} and {sizes[1]}, autoencoders of {sizes[2]} and {sizes[3]} million parameters; "
            f"{kind}, {device().type}, one thread. Medians of {rounds} clips each, made in turn.",
            "",
            "| Seconds for | Ours | Wan | Ratio |",
            "| --- | ---: | ---: | ---: |",
            *lines,
            "",
        ]
    )


if __name__ == "__main__":
    print(tyro.cli(measure))
