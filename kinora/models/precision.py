"""The number type in which large models compute on this machine."""

import torch


def device() -> torch.device:
    """Return the accelerator, or the CPU where there is none."""
    return torch.device("cuda") if torch.cuda.is_available() else torch.device("cpu")


def autocast(device: torch.device) -> torch.autocast:
    """Return a context in which matrix products are computed in bfloat16, where that is `compute_dtype()`."""
    return torch.autocast(device.type, torch.bfloat16, enabled=compute_dtype() is torch.bfloat16)


def compute_dtype() -> torch.dtype:
    """Return bfloat16 where the hardware multiplies it, float32 elsewhere (emulated, it is slower than float32)."""
    quick = torch.cuda.is_available() or torch.cpu._is_avx512_bf16_supported()
    return torch.bfloat16 if quick else torch.float32
