"""The shapes of our autoencoders: the demo's (the default), the base one and a high-compression one."""

from dataclasses import dataclass
from itertools import pairwise

from kinora.errors import UsageError
from kinora.models.autoencoder import AutoencoderConfig


@dataclass(frozen=True)
class Level:
    """A resolution at which the network works: a cell is `spatial` pixels each way and `temporal` frames.

    `width` channels; `encoder_blocks` and `decoder_blocks` residual blocks.
    """

    spatial: int
    temporal: int
    width: int
    encoder_blocks: int
    decoder_blocks: int


@dataclass(frozen=True, kw_only=True)
class VAEConfig(AutoencoderConfig):
    """The shape of a `VAE`.

    `width`, `encoder_blocks` and `decoder_blocks` are of the level of the latents, whose cells are `spatial` and
    `temporal` large; `finer` are levels between pixels and that one, the finest first, each dividing the next.

    Raises:
        UsageError: if the levels do not fit each other.
    """

    kind: str = "vae"
    latent_channels: int = 8
    spatial: int = 4
    temporal: int = 4
    width: int = 96
    encoder_blocks: int = 2
    decoder_blocks: int = 4
    finer: tuple[Level, ...] = ()

    def __post_init__(self) -> None:
        for fine, coarse in pairwise(self.levels):
            if coarse.spatial % fine.spatial or coarse.temporal % fine.temporal:
                raise UsageError(
                    f"cells of {fine.temporal} frames x {fine.spatial} pixels do not fill one of {coarse.temporal} x "
                    f"{coarse.spatial}; each level of an autoencoder must divide the next."
                )
            if fine.width * cells(fine, coarse) % coarse.width:
                raise UsageError(
                    f"a width of {coarse.width} does not divide {cells(fine, coarse)} cells of width {fine.width}; "
                    "give the levels of an autoencoder widths that do."
                )

    @property
    def levels(self) -> tuple[Level, ...]:
        """All levels, the finest first; the last is that of the latents."""
        own = Level(
            spatial=self.spatial,
            temporal=self.temporal,
            width=self.width,
            encoder_blocks=self.encoder_blocks,
            decoder_blocks=self.decoder_blocks,
        )
        return (*self.finer, own)

    @property
    def block_values(self) -> int:
        """Pixel values of one block, which become one latent."""
        return block_values(self.temporal, self.spatial)


def cells(fine: Level, coarse: Level) -> int:
    """Return how many cells of one level make one of a coarser level."""
    return (coarse.spatial // fine.spatial) ** 2 * (coarse.temporal // fine.temporal)


def block_values(temporal: int, spatial: int) -> int:
    """Return the pixel values of `temporal` frames of `spatial` x `spatial` pixels."""
    return 3 * temporal * spatial**2


# 48 pixel values a latent value, as the autoencoders of Wan (arXiv:2503.20314) and CogVideoX (arXiv:2408.06072).
BASE = VAEConfig(
    latent_channels=16,
    spatial=8,
    temporal=4,
    width=512,
    encoder_blocks=4,
    decoder_blocks=8,
    finer=(Level(spatial=4, temporal=2, width=192, encoder_blocks=2, decoder_blocks=4),),
)

# 192 pixel values a latent value and 8192 pixels a token, as LTX-Video (arXiv:2501.00103); levels as in DC-AE
# (arXiv:2410.10733). A transformer needs no patches on top, and has a thirty-second of the base's latents to attend to.
HIGH_COMPRESSION = VAEConfig(
    latent_channels=128,
    spatial=32,
    temporal=8,
    width=1024,
    encoder_blocks=4,
    decoder_blocks=6,
    finer=(
        Level(spatial=4, temporal=2, width=128, encoder_blocks=2, decoder_blocks=3),
        Level(spatial=8, temporal=4, width=256, encoder_blocks=2, decoder_blocks=4),
        Level(spatial=16, temporal=8, width=512, encoder_blocks=2, decoder_blocks=4),
    ),
)
