"""The video autoencoder: clips to a small latent volume and back, images and videos alike, causal in time.

Axes: B clips; T, H, W frames, rows and columns of pixels; t, h, w those of latents, or of the cells of a level; z
latent channels; D = 3 * temporal * spatial * spatial pixel values of one block; C the width of a level. Pixels are in
[-1, 1].
"""

from kinora.models.vae.config import BASE, HIGH_COMPRESSION, Level, VAEConfig
from kinora.models.vae.network import VAE
from kinora.models.vae.rearrange import to_blocks

__all__ = ["BASE", "HIGH_COMPRESSION", "VAE", "Level", "VAEConfig", "to_blocks"]
