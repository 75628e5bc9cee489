"""Whether a clip fits the memory of this machine, before it is begun."""

from contextlib import suppress
from pathlib import Path

import torch

from kinora.errors import UsageError
from kinora.generation.request import GenerationRequest, Task
from kinora.models.autoencoder import AutoencoderConfig

LATENT_COPIES = 16  # of the latent, float32: noise, what is given, the state, estimates, the step before
BYTES_A_PIXEL = 8  # three of the clip, three of a copy; where media are given, as much again
WINDOWS = 2**29  # what the windows that are sampled together and the parts that are decoded together take


def check_memory(request: GenerationRequest, config: AutoencoderConfig, device: torch.device) -> None:
    """Refuse a clip that does not fit; only `VideoGenerator.stream` makes clips that are longer than memory.

    Raises:
        UsageError: if it does not, with the number of frames or the size that does.
    """
    needed, there = bytes_needed(request, config), available(device)
    if needed <= there:
        return
    share = max(0.0, there - WINDOWS) / (needed - WINDOWS)
    if request.frames > 1 and int(request.frames * share) >= 1:
        remedy = f"ask for at most {int(request.frames * share):,} frames of this size"
    else:
        sides = (int(side * (share * request.frames) ** 0.5) // 16 * 16 for side in (request.width, request.height))
        remedy = "ask for at most {}x{} pixels".format(*(max(16, side) for side in sides))
    raise UsageError(
        f"{request.frames:,} frames of {request.width}x{request.height} take {needed / 2**30:,.1f} GiB of memory, and "
        f"{there / 2**30:,.1f} GiB are free; {remedy}."
    )


def bytes_needed(request: GenerationRequest, config: AutoencoderConfig) -> int:
    """Estimate the bytes that making a clip takes."""
    t, h, w = config.latent_shape(request.frames, request.height, request.width)
    pixels = request.frames * request.height * request.width
    held = BYTES_A_PIXEL * (1 if request.task is Task.TEXT else 2)
    return WINDOWS + 4 * LATENT_COPIES * config.latent_channels * t * h * w + held * pixels


def pixels_that_fit(config: AutoencoderConfig, device: torch.device) -> int:
    """Estimate how many pixels (width times height times frames) a clip that is made from media may have now."""
    frames, side = 65, 256
    t, h, w = config.latent_shape(frames, side, side)
    latent_bytes = 4 * LATENT_COPIES * config.latent_channels * t * h * w / (frames * side * side)
    return int(max(0, available(device) - WINDOWS) / (latent_bytes + 2 * BYTES_A_PIXEL))


def available(device: torch.device) -> int:
    """Return the bytes that are free: on the accelerator, or on this machine within the limits of its container."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []
    free = [int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")]
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):  # no such group, or one without a limit
        free.append(int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return min(free, default=2**62)
