"""How quickly the three shapes of the autoencoder encode and decode, at once and as a stream, and in how much memory.

    python -m benchmarks.autoencoder_speed [--frames 17] [--height 256] [--width 256]

Weights and clips are random: speed does not depend on what they show. Each figure is taken in a process of its own,
whose greatest memory (of the GPU, where there is one) is counted from when the model is loaded. Floating-point
operations a pixel are counted on the meta device, beside those of others' networks of the same latent shapes, as
diffusers has them: they do not depend on the machine.
"""

import multiprocessing
import resource
import time
from collections.abc import Iterator

import torch
import tyro
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from kinora.models.autoencoder import Autoencoder
from kinora.models.hf_autoencoder import CLASSES, HFAutoencoder, HFAutoencoderConfig
from kinora.models.precision import compute_dtype, device
from kinora.models.vae import BASE, HIGH_COMPRESSION, VAE, VAEConfig

SHAPES = {"demo": VAEConfig(), "base": BASE, "high compression": HIGH_COMPRESSION}
REPEATS = 3
PEERS = {
    "Wan 2.1": ("AutoencoderKLWan", {}),
    "CogVideoX": (
        "AutoencoderKLCogVideoX",
        {
            "down_block_types": ["CogVideoXDownBlock3D"] * 4,
            "up_block_types": ["CogVideoXUpBlock3D"] * 4,
            "block_out_channels": [128, 256, 256, 512],
            "latent_channels": 16,
            "layers_per_block": 3,
        },
    ),
    "LTX-Video": ("AutoencoderKLLTXVideo", {}),
}
LONG = 8  # times as many frames, to see whether a stream takes more memory for them


def run(config: VAEConfig, decodes: bool, streams: bool, size: tuple[int, int, int]) -> tuple[float, float]:
    """Return pixels a second (median) and the greatest memory in bytes of encoding or decoding a clip of `size`."""
    torch.manual_seed(0)
    model = VAE(config).for_inference()
    frames, height, width = size
    unit = config.temporal if not decodes else 1
    pixels_at_once = config.temporal * height * width if streams else frames * height * width + 1
    shape = (config.latent_channels, *config.latent_shape(*size)) if decodes else (3, *size)

    def once(count: int) -> None:
        chunks = _chunks((1, shape[0], count, *shape[2:]), unit if streams else count)
        work = model.decode_stream if decodes else model.encode_stream
        for _ in work(chunks, pixels_at_once=pixels_at_once):
            pass
        if torch.cuda.is_available():
            torch.cuda.synchronize()

    before = _memory()
    times = []
    once(1)
    for _ in range(REPEATS):
        began = time.perf_counter()
        once(shape[1])
        times.append(time.perf_counter() - began)
    if streams:
        once(LONG * shape[1])
    return frames * height * width / sorted(times)[REPEATS // 2], _memory() - before


def operations(model: Autoencoder, size: tuple[int, int, int]) -> tuple[float, float]:
    """Return the floating-point operations a pixel of encoding and of decoding a clip of `size`, of a model on meta."""
    clip, pixels, counts = torch.empty(1, 3, *size, device="meta"), size[0] * size[1] * size[2], []
    latent = torch.empty(1, model.config.latent_channels, *model.config.latent_shape(*size), device="meta")
    for work, given in ((model.encode, clip), (model.decode, latent)):
        with torch.no_grad(), FlopCounterMode(display=False) as counter:
            work(given)
        counts.append(counter.get_total_flops() / pixels)
    return counts[0], counts[1]


def peer(name: str, network: dict[str, object]) -> Autoencoder:
    """Return an autoencoder of diffusers on the meta device."""
    import diffusers

    with torch.device("meta"):
        shape = CLASSES[name](getattr(diffusers, name)(**network))
        return HFAutoencoder(HFAutoencoderConfig(network_class=name, network=network, **shape))


def count_operations(size: tuple[int, int, int] = (17, 256, 256)) -> list[str]:
    """Return the table of operations as lines of Markdown."""
    with torch.device("meta"):
        models: dict[str, Autoencoder] = {name: VAE(config) for name, config in SHAPES.items()}
    models |= {f"{name} (diffusers)": peer(*of) for name, of in PEERS.items()}
    lines = [
        "Thousand floating-point operations a pixel, counted:",
        "",
        "| network | compression | parameters, millions | encode | decode |",
        "|---|---|---|---|---|",
    ]
    for name, model in models.items():
        c, count = model.config, sum(parameter.numel() for parameter in model.parameters())
        encode, decode = operations(model, size)
        lines.append(
            f"| {name} | {c.spatial}x{c.spatial}x{c.temporal}, {c.latent_channels} channels | {count / 1e6:.1f} "
            f"| {encode / 1e3:,.0f} | {decode / 1e3:,.0f} |"
        )
    return lines


def measure(frames: int = 17, height: int = 256, width: int = 256) -> str:
    """Return the benchmark as a section of Markdown."""
    size = (frames, height, width)
    lines = [
        "## Autoencoder, speed and memory",
        "",
        f"One clip of {frames} frames of {width}x{height}, {str(compute_dtype()).removeprefix('torch.')}, "
        f"{torch.get_num_threads()} threads, {device().type}. Million pixels a second, median of {REPEATS}, and MiB "
        f"beyond the weights. Streams go one latent frame at a time, and their memory is that of {LONG} times as many "
        "frames.",
        "",
        "| shape | parameters, millions | encode: at once | as a stream | decode: at once | as a stream |",
        "|---|---|---|---|---|---|",
    ]
    for name, config in SHAPES.items():
        with torch.device("meta"):
            count = sum(parameter.numel() for parameter in VAE(config).parameters())
        cells = []
        for decodes in (False, True):
            for streams in (False, True):
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    speed, memory = pool.apply(run, (config, decodes, streams, size))
                cells.append(f"{speed / 1e6:.2f} ({memory / 2**20:.0f} MiB)")
        compression = f"{config.spatial}x{config.spatial}x{config.temporal}, {config.latent_channels} channels"
        lines.append(f"| {name}: {compression} | {count / 1e6:.1f} | " + " | ".join(cells) + " |")
    return "\n".join([*lines, "", *count_operations()]) + "\n"


def _chunks(shape: tuple[int, ...], count: int) -> Iterator[Tensor]:
    """Yield random values `[B, C, n, H, W]` of up to `count` frames at a time, made only when asked for."""
    for first in range(0, shape[2], count):
        yield torch.rand(*shape[:2], min(count, shape[2] - first), *shape[3:]) * 2 - 1


def _memory() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


if __name__ == "__main__":
    print(tyro.cli(measure))
