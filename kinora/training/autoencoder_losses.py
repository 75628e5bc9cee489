"""What an autoencoder is judged by: its pixels, perceptual features of them, a discriminator, and its latents."""

from pathlib import Path
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kinora.errors import UsageError
from kinora.models.discriminator import Discriminator
from kinora.models.perceptual import load_perceptual_features
from kinora.models.precision import autocast
from kinora.models.vae import VAE
from kinora.training.ranks import Ranks

if TYPE_CHECKING:
    from kinora.training.autoencoder_trainer import AutoencoderTraining

EPSILON, LARGEST_BALANCE = 1e-4, 1e4
DISCRIMINATOR_BETAS = (0.5, 0.9)


class ReconstructionLoss(nn.Module):
    """The terms that have a weight, by name; all but the discriminator's judgement.

    `features` is what `load_perceptual_features` reads.

    Raises:
        KinoraError: if the perceptual term has a weight and there are no features.
    """

    def __init__(self, config: "AutoencoderTraining", features: str | Path | None = None):
        super().__init__()
        weights = {
            "squared": config.squared_weight,
            "absolute": config.absolute_weight,
            "kl": config.kl_weight,
            "perceptual": config.perceptual_weight,
        }
        self.weights = {name: weight for name, weight in weights.items() if weight}
        if config.perceptual_weight and features is None:
            raise UsageError(
                "perceptual_weight is not 0, but no perceptual features are given; name a captioner's folder."
            )
        self.features = load_perceptual_features(features) if features and config.perceptual_weight else None

    def forward(
        self, decoded: Tensor, video: Tensor, mean: Tensor, log_variance: Tensor, compared: Tensor
    ) -> dict[str, Tensor]:
        """Return the terms, each a mean over clips, without their weights.

        Args:
            decoded, video: `[B, 3, T, H, W]` in [-1, 1].
            mean, log_variance: of the latents' posterior `[B, z, t, h, w]`.
            compared: the frames `[F]` that the perceptual term looks at.
        """
        terms: dict[str, Tensor] = {}
        if "squared" in self.weights:
            terms["squared"] = F.mse_loss(decoded, video)
        if "absolute" in self.weights:
            terms["absolute"] = F.l1_loss(decoded, video)
        if "kl" in self.weights:
            terms["kl"] = kl_divergence(mean, log_variance)
        if self.features is not None:
            pictures, reference = (v[:, :, compared].transpose(1, 2).flatten(0, 1) for v in (decoded, video))
            terms["perceptual"] = self.features(pictures, reference).mean()
        return terms

    def weighted(self, terms: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of the terms."""
        return torch.stack([weight * terms[name] for name, weight in self.weights.items()]).sum()


class Adversary(nn.Module):
    """A discriminator that learns to tell clips from their reconstructions, and says how well it cannot.

    Hinge losses as in "Geometric GAN" (https://arxiv.org/abs/1705.02894).
    """

    def __init__(self, config: "AutoencoderTraining"):
        super().__init__()
        self.discriminator = Discriminator(config.discriminator_width)
        self.optimizer = torch.optim.AdamW(
            self.discriminator.parameters(),
            config.discriminator_learning_rate,
            betas=DISCRIMINATOR_BETAS,
            weight_decay=0.0,
        )

    def judge(self, decoded: Tensor) -> Tensor:
        """Return the autoencoder's adversarial loss; its gradient does not reach the discriminator's weights."""
        self.discriminator.requires_grad_(False)
        with autocast(decoded.device):
            logits = self.discriminator(decoded)
        self.discriminator.requires_grad_(True)
        return adversarial_loss(logits.float())

    def balance(self, reconstruction: Tensor, adversarial: Tensor, model: VAE, ranks: Ranks) -> Tensor:
        """Return what makes both losses pull alike at the decoder's last layer; each rank gives its part of both."""
        last = model.decoder.head.weight
        gradients = [
            torch.autograd.grad(loss, last, retain_graph=True)[0].float() for loss in (reconstruction, adversarial)
        ]
        ranks.add_up(gradients)
        return adversarial_balance(*gradients)

    def step(self, video: Tensor, decoded: Tensor, share: float, ranks: Ranks) -> Tensor:
        """Take one step of the discriminator; return its loss. `share` is this rank's of all clips."""
        with autocast(video.device):
            real, made = self.discriminator(video), self.discriminator(decoded)
        loss = discriminator_loss(real.float(), made.float())
        torch.autograd.backward(share * loss)
        ranks.add_up([weight.grad for weight in self.discriminator.parameters() if weight.grad is not None])
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return loss


def kl_divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Return the Kullback-Leibler divergence from the standard normal distribution, a mean over latent values.

    https://arxiv.org/abs/1312.6114, appendix B.
    """
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()


def discriminator_loss(real: Tensor, made: Tensor) -> Tensor:
    """Return the hinge loss of a discriminator's logits of real and of made clips."""
    return F.relu(1 - real).mean() + F.relu(1 + made).mean()


def adversarial_loss(made: Tensor) -> Tensor:
    """Return the hinge loss of whoever made the clips that got these logits."""
    return -made.mean()


def adversarial_balance(reconstruction: Tensor, adversarial: Tensor) -> Tensor:
    """Return the ratio of two losses' gradients at the last layer (https://arxiv.org/abs/2012.09841, eq. 7)."""
    ratio: Tensor = torch.linalg.vector_norm(reconstruction) / (torch.linalg.vector_norm(adversarial) + EPSILON)
    return ratio.clamp(max=LARGEST_BALANCE)
