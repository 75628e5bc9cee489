"""The terms of the autoencoder's loss are the formulas of their papers."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from skimage.metrics import structural_similarity
from torch.distributions import Normal, kl_divergence

from kinora.errors import KinoraError, UsageError
from kinora.models.captioner import Captioner, CaptionerConfig
from kinora.models.discriminator import Discriminator
from kinora.models.perceptual import load_perceptual_features
from kinora.models.vae import VAE, Level, VAEConfig
from kinora.training import autoencoder_losses as losses
from kinora.training.autoencoder_losses import Adversary, ReconstructionLoss
from kinora.training.autoencoder_trainer import AutoencoderTraining
from kinora.training.ranks import Ranks
from kinora.training.reconstruction import psnr, ssim

CONFIG = AutoencoderTraining(model=VAEConfig(latent_channels=4, width=8, encoder_blocks=1, decoder_blocks=1))
EVERY_FRAME = torch.arange(5)


def videos(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    video = torch.rand(2, 3, 5, 24, 20, generator=generator) * 2 - 1
    return video, (video + 0.3 * torch.randn(video.shape, generator=generator)).clamp(-1, 1)


@pytest.fixture(scope="module")
def captioner(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("captioner")
    Captioner(CaptionerConfig(channels=4, keypoints=8, width=16, depth=1)).save(folder)
    return folder


def test_psnr_is_the_textbook_formula():
    reference = torch.zeros(2, 3, 1, 4, 4)
    video = reference + torch.tensor([0.2, 0.02])[:, None, None, None, None]
    expected = [20 * math.log10(2 / 0.2), 20 * math.log10(2 / 0.02)]
    torch.testing.assert_close(psnr(video, reference), torch.tensor(expected))


def test_ssim_is_scikit_images():
    video, other = videos()
    assert torch.equal(ssim(video, video), torch.ones(2))
    for clip, changed, found in zip(video.numpy(), other.numpy(), ssim(other, video), strict=True):
        maps = [
            structural_similarity(
                clip[c, t], changed[c, t], data_range=2, gaussian_weights=True, use_sample_covariance=False, full=True
            )[1][5:-5, 5:-5]
            for c in range(3)
            for t in range(5)
        ]
        assert float(found) == pytest.approx(np.mean(maps), abs=1e-5)


def test_terms_of_weight_zero_are_not_computed_and_the_sum_is_weighted(captioner):
    video, decoded = videos()
    mean, log_variance = torch.randn(2, 4, 2, 6, 5), torch.randn(2, 4, 2, 6, 5)
    config = replace(CONFIG, squared_weight=0.0, absolute_weight=2.0, kl_weight=0.25)
    terms = ReconstructionLoss(config)(decoded, video, mean, log_variance, EVERY_FRAME)
    assert set(terms) == {"absolute", "kl"}
    divergence = kl_divergence(Normal(mean, (0.5 * log_variance).exp()), Normal(0.0, 1.0)).mean()
    torch.testing.assert_close(terms["kl"], divergence)
    torch.testing.assert_close(
        ReconstructionLoss(config).weighted(terms), 2 * (decoded - video).abs().mean() + 0.25 * divergence
    )
    everything = replace(config, squared_weight=1.0, perceptual_weight=0.5)
    terms = ReconstructionLoss(everything, captioner)(decoded, video, mean, log_variance, EVERY_FRAME)
    assert set(terms) == {"squared", "absolute", "kl", "perceptual"}
    assert float(terms["perceptual"]) > 0


def unit(features: torch.Tensor) -> torch.Tensor:
    return features / features.norm(dim=1, keepdim=True)


def test_the_captioners_features_are_compared_at_unit_length_and_two_scales(captioner):
    features = load_perceptual_features(captioner)
    picture, reference = (video[:, :, 0] for video in videos())
    layers, expected = features.backbone, torch.zeros(2)
    for scale in (1, 2):
        x, y = F.avg_pool2d(picture, scale), F.avg_pool2d(reference, scale)
        for taken in (2, 4, 5):  # after each activation, and the last convolution
            difference = unit(layers[:taken](x)) - unit(layers[:taken](y))
            expected += difference.square().sum(1).mean((1, 2))
    torch.testing.assert_close(features(picture, reference), expected)
    assert features(picture, picture).tolist() == [0.0, 0.0]
    assert not any(weight.requires_grad for weight in features.parameters())


def test_lpips_weights_are_read_from_a_file_and_used_as_in_its_paper(tmp_path):
    generator = torch.Generator().manual_seed(0)
    widths = [3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512]
    places = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]  # of torchvision's VGG16
    tensors = {}
    for place, inputs, outputs in zip(places, widths, widths[1:], strict=False):
        scale = math.sqrt(2 / (9 * inputs))
        tensors[f"features.{place}.weight"] = torch.randn(outputs, inputs, 3, 3, generator=generator) * scale
        tensors[f"features.{place}.bias"] = torch.zeros(outputs)
    stages = [[0, 2], [5, 7], [10, 12, 14], [17, 19, 21], [24, 26, 28]]
    for number, width in enumerate((64, 128, 256, 512, 512)):
        tensors[f"lin{number}.model.1.weight"] = torch.rand(1, width, 1, 1, generator=generator)
    save_file(tensors, tmp_path / "lpips.safetensors")
    picture, reference = (video[:, :, 0] for video in videos())

    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])
    x, y = ((z - shift[:, None, None]) / scale[:, None, None] for z in (picture, reference))
    expected = torch.zeros(2)
    for number, convolutions in enumerate(stages):
        if number:
            x, y = F.max_pool2d(x, 2), F.max_pool2d(y, 2)
        for place in convolutions:
            weight, bias = tensors[f"features.{place}.weight"], tensors[f"features.{place}.bias"]
            x, y = (F.conv2d(z, weight, bias, padding=1).relu() for z in (x, y))
        weighted = (unit(x) - unit(y)).square() * tensors[f"lin{number}.model.1.weight"]
        expected += weighted.sum(1).mean((1, 2))
    found = load_perceptual_features(tmp_path / "lpips.safetensors")(picture, reference)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    (tmp_path / "other.safetensors").write_bytes(b"no tensors")
    with pytest.raises(KinoraError, match="holds no perceptual features"):
        load_perceptual_features(tmp_path / "other.safetensors")


def test_perceptual_features_are_asked_for_where_they_have_a_weight():
    with pytest.raises(UsageError, match="no perceptual features are given"):
        ReconstructionLoss(replace(CONFIG, perceptual_weight=0.1))


def test_weights_that_cannot_be_are_refused():
    with pytest.raises(UsageError, match="kl_weight is -1"):
        replace(CONFIG, kl_weight=-1.0)
    with pytest.raises(UsageError, match="squared_weight and absolute_weight are both 0"):
        replace(CONFIG, squared_weight=0.0)
    with pytest.raises(UsageError, match=r"ema_decay is 1\.0"):
        replace(CONFIG, ema_decay=1.0)


def test_the_discriminators_losses_are_hinges():
    real, made = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    expected = (0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3
    assert float(losses.discriminator_loss(real, made)) == pytest.approx(expected)
    assert float(losses.adversarial_loss(made)) == pytest.approx(2 / 3)


def test_the_discriminator_learns_to_tell_and_is_no_steeper_than_its_bound():
    torch.manual_seed(0)
    adversary = Adversary(replace(CONFIG, discriminator_width=8, discriminator_learning_rate=2e-3))
    smooth = torch.linspace(-1, 1, 24)[None, None, None, :, None].expand(2, 3, 5, 24, 20)
    first = [float(adversary.step(*pair, 1.0, Ranks()).detach()) for pair in [(smooth, videos()[0])] * 60]
    assert first[-1] < 0.5 * first[0]
    logits = adversary.discriminator(smooth)
    assert logits.shape == (2, 1, 3, 6, 5)
    assert Discriminator(8)(torch.zeros(1, 3, 1, 16, 16)).shape == (1, 1, 1, 4, 4)  # an image
    for layer in adversary.discriminator.layers:
        if isinstance(layer, torch.nn.Conv3d):
            largest = torch.linalg.matrix_norm(layer.weight.flatten(1).detach(), 2)
            assert float(largest) == pytest.approx(1, abs=0.1)


def test_the_adversarial_term_pulls_as_much_as_it_should_at_the_last_layer():
    """VQGAN, eq. 7: the ratio of the two gradients' norms there."""
    torch.manual_seed(0)
    model = VAE(replace(CONFIG.model, finer=(Level(2, 2, 4, 1, 1),)))
    adversary, video = Adversary(replace(CONFIG, discriminator_width=8)), videos()[0]
    torch.nn.init.normal_(model.decoder.head.weight, std=0.1)
    decoded = model.decode(model.encode(video)[0])
    reconstruction, adversarial = F.mse_loss(decoded, video), adversary.judge(decoded)
    balance = adversary.balance(reconstruction, adversarial, model, Ranks())
    norms = []
    for loss in (reconstruction, adversarial):
        model.zero_grad()
        loss.backward(retain_graph=True)
        norms.append(model.decoder.head.weight.grad.norm())
    torch.testing.assert_close(balance, norms[0] / (norms[1] + 1e-4))
    assert all(weight.grad is None for weight in adversary.parameters())  # it judges, and does not learn from it
