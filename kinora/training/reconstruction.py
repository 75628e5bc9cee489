"""How well an autoencoder reconstructs clips, and the mean and deviation of its latents: a few clips at a time."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from kinora.models.autoencoder import Autoencoder
from kinora.training.video_batches import Excerpt, ExcerptReader, Shape

PIXELS_AT_ONCE = 2**20
LATENT_ERROR = 0.1  # error added to latents, in standard deviations, to see what the decoder makes of it
SSIM_SIGMA, SSIM_RADIUS = 1.5, 5  # pixels
SSIM_K1, SSIM_K2 = 0.01, 0.03


@torch.no_grad()
def measure(
    model: Autoencoder, reader: ExcerptReader, excerpts: Mapping[Shape, Sequence[Excerpt]], seed: int
) -> dict[str, float]:
    """Return means over clips: PSNR in decibels and SSIM.

    `psnr_video`, `psnr_image`, `ssim_video`, `ssim_image`, `psnr_video_disturbed` (decoded from latents with an error
    of `LATENT_ERROR` standard deviations), and `psnr_` and `ssim_` of every shape, as in `psnr_32x24x9`.
    """
    generator = torch.Generator().manual_seed(seed)
    sums: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])  # the sum over clips and their number

    def add(name: str, values: Tensor) -> None:
        sums[name][0] += float(values.sum())
        sums[name][1] += len(values)

    for (count, height, width), some in excerpts.items():
        kind = "video" if count > 1 else "image"
        for video in videos(reader, some, model):
            size = (count, height, width)
            latent = model.normalise(model.encode(video)[0])
            decoded = model.decode(model.denormalise(latent), size)
            for name, values in (("psnr", psnr(decoded, video)), ("ssim", ssim(decoded, video))):
                add(f"{name}_{kind}", values)
                add(f"{name}_{width}x{height}x{count}", values)
            if count > 1:
                error = LATENT_ERROR * torch.randn(latent.shape, generator=generator).to(latent.device)
                add("psnr_video_disturbed", psnr(model.decode(model.denormalise(latent + error), size), video))
    return {name: total / number for name, (total, number) in sorted(sums.items(), key=_kinds_first)}


@torch.no_grad()
def measure_latents(model: Autoencoder, reader: ExcerptReader, excerpts: Mapping[Shape, Sequence[Excerpt]]) -> None:
    """Set the model's mean and standard deviation of latents, a channel each, from clips of the training split."""
    number, total, squares = 0, torch.zeros(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    for some in excerpts.values():
        for video in videos(reader, some, model):
            latent = model.encode(video)[0].movedim(1, -1).flatten(0, 3).double().cpu()  # [N, z]
            number += len(latent)
            total, squares = total + latent.sum(0), squares + latent.square().sum(0)
    mean = total / number
    # Latents are of the order of 1, so that in double precision nothing is lost by subtracting squares.
    variance = (squares - number * mean.square()) / max(1, number - 1)
    model.latent_mean.copy_(mean)
    model.latent_std.copy_(variance.clamp_min(0).sqrt().clamp_min(1e-4))


def _kinds_first(item: tuple[str, list[float]]) -> tuple[bool, str]:
    name = item[0]
    return name.split("_")[1][0].isdigit(), name


def videos(reader: ExcerptReader, excerpts: Sequence[Excerpt], model: Autoencoder) -> Iterator[Tensor]:
    """Yield excerpts of one shape as video tensors on the model's device, a few at a time."""
    for frames in reader.portions(excerpts, PIXELS_AT_ONCE):
        yield to_video(frames, model.latent_mean.device)


def to_video(frames: Tensor, device: torch.device) -> Tensor:
    """Turn `uint8 [B, T, H, W, 3]` into a video tensor `[B, 3, T, H, W]` in [-1, 1] on `device`."""
    return frames.to(device, non_blocking=True).permute(0, 4, 1, 2, 3).float() / 127.5 - 1


def psnr(video: Tensor, reference: Tensor) -> Tensor:
    """Return the peak signal-to-noise ratio of each clip, decibels `[B]`: 10 log10(peak^2 / mean squared error).

    Both are `[B, 3, T, H, W]` in [-1, 1], so the peak-to-peak range is 2; values outside are clipped, as on writing.
    """
    error = (video.clamp(-1, 1) - reference).square().mean(dim=(1, 2, 3, 4))
    return 10 * torch.log10(4 / error.clamp_min(1e-10))


def ssim(video: Tensor, reference: Tensor) -> Tensor:
    """Return the structural similarity of each clip `[B]`, the mean over frames, channels and pixels; 1 is identity.

    Both are `[B, 3, T, H, W]` in [-1, 1]; values outside are clipped. The window is a Gaussian of 11 pixels and sigma
    1.5 ("Image quality assessment", Wang et al., IEEE TIP 13(4), 2004, eq. 13). Pixels whose window leaves the frame
    are left out; frames smaller than the window get a smaller one.
    """
    radius = min(SSIM_RADIUS, (min(video.shape[-2:]) - 1) // 2)
    positions = torch.arange(-radius, radius + 1, device=video.device)
    window = torch.softmax(-positions.square() / (2 * SSIM_SIGMA**2), dim=0)

    def local_mean(x: Tensor) -> Tensor:  # [N, 1, H, W] -> [N, 1, H - 2 radius, W - 2 radius]
        return F.conv2d(F.conv2d(x, window[None, None, :, None]), window[None, None, None, :])

    x, y = (v.clamp(-1, 1).transpose(1, 2).flatten(0, 2)[:, None] for v in (video, reference))  # [B*T*3, 1, H, W]
    mean_x, mean_y = local_mean(x), local_mean(y)
    variance_x = local_mean(x.square()) - mean_x.square()
    variance_y = local_mean(y.square()) - mean_y.square()
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (2 * SSIM_K1) ** 2, (2 * SSIM_K2) ** 2  # the range is 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x.square() + mean_y.square() + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).reshape(len(video), -1).mean(1)
