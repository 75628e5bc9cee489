"""What a training of the transformer will take, before anything starts: parameters, memory, time and money.

Time follows from the operations of a step and the share of the hardware's peak that is reached: the model FLOPs
utilisation (MFU, PaLM, arXiv:2204.02311, appendix B), which is assumed. Backward takes twice the operations of forward;
activation checkpointing computes forward once more, which MFU does not count as useful.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice

import torch

from kinora.data.grid import Grid
from kinora.data.ingest.config import IngestConfig
from kinora.errors import KinoraError, UsageError
from kinora.models.world_model import WorldModel
from kinora.training.compute import Compute
from kinora.training.footprint import Footprint, footprint
from kinora.training.hardware import GPUS_OF_A_NODE, Hardware
from kinora.training.optimizers import split_parameters
from kinora.training.transformer import TransformerTraining
from kinora.training.transformer_trainer import HIDDEN

MFU = 0.4  # assumed: large transformers are trained at 0.35 to 0.55
RESERVED = 2e9  # bytes of a GPU that are no tensor of ours: its context, kernels, libraries
FRAGMENTATION = 0.05  # share of the memory that is lost between tensors
BUCKET = 50_000_000  # values that DeepSpeed reduces or gathers at once
LIVE = 1_000_000_000  # weights that ZeRO 3 keeps gathered between forward and backward, at most
MOST_GPUS = 4096  # that are tried when asking how many would do


@dataclass(frozen=True)
class Counts:
    """Weights of the model, by part and by what trains them."""

    parts: dict[str, int]
    muon: int
    adam: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.muon + self.adam


@dataclass(frozen=True)
class Plan:
    """One training on certain hardware. All sizes in bytes, of one GPU."""

    recipe: str
    config: TransformerTraining
    compute: Compute
    hardware: Hardware
    counts: Counts
    clip: tuple[int, int, int]  # patches of the longest clip: latent frames, rows, columns
    traced: Footprint  # of one pack, or of the share of it that a rank computes
    mfu: float
    hourly_price: float | None

    @property
    def gpus(self) -> int:
        """All of them."""
        return self.compute.world_size

    @cached_property
    def memory(self) -> dict[str, float]:
        """The memory of a GPU at its fullest, at the beginning of the backward pass, by part."""
        compute, total, size = self.compute, self.counts.total, self.hardware.value_bytes
        share = total / self.gpus
        whole_weights, whole_gradients = compute.zero_stage < 3, compute.zero_stage < 2
        # ZeRO 1 in bfloat16 keeps the gradients of the last backward pass beside their float32 sums.
        gradient = 4 + (size if whole_gradients and size == 2 else 0)
        scale = self.config.tokens_per_pack / compute.sequence_parallel / self.traced.tokens
        tokens = scale * self.traced.tokens
        activations = self.traced.activations(self.config.model, size, compute.activation_checkpointing)
        return {
            "weights": size * (total if whole_weights else share),
            "gradients": gradient * (total if whole_gradients else share),
            "float32 masters": 4 * share,
            "optimizer states": (4 * self.counts.muon + 8 * self.counts.adam) / self.gpus,
            "moving average (EMA)": 4 * share,
            "gathered weights": 0 if whole_weights else size * min(total, LIVE),
            "communication buffers": (4 + size) * (min(total, BUCKET) if whole_weights else BUCKET),
            "activations": scale * activations,
            # Gradients of the widest layer, before and after its nonlinearity.
            "backward's own": 2 * tokens * self.config.model.mlp_ratio * self.config.model.width * size,
        }

    @property
    def room(self) -> float:
        """Bytes of a GPU that tensors may fill."""
        return (1 - FRAGMENTATION) * self.hardware.memory - (RESERVED if self.hardware.value_bytes == 2 else 0)

    @property
    def fits(self) -> bool:
        """Whether there is room for it."""
        return sum(self.memory.values()) <= self.room

    @property
    def flops_per_token(self) -> float:
        """Operations of a token's training that count as useful: forward, and twice as much backward."""
        return 3 * self.traced.flops / self.traced.tokens

    @property
    def busy(self) -> float:
        """Share of the GPUs that has a pack to compute, where a step has no whole number of packs for each."""
        rounds = math.ceil(self.config.packs / self.compute.receivers)
        return self.config.packs / (rounds * self.compute.receivers)

    @property
    def reached(self) -> float:
        """The model FLOPs utilisation that comes of it: less where forward is computed twice, or GPUs are idle."""
        return self.mfu * self.busy * (0.75 if self.compute.activation_checkpointing else 1)

    @property
    def tokens_per_s(self) -> float:
        """Of all GPUs together."""
        return self.gpus * self.hardware.peak * self.reached / self.flops_per_token

    @property
    def tokens(self) -> int:
        """Latent tokens of the whole training."""
        return self.config.steps * self.config.tokens_per_step

    @property
    def hours(self) -> float:
        """Of the whole training."""
        return self.tokens / self.tokens_per_s / 3600

    @property
    def cost(self) -> float | None:
        """Of the whole training, in the currency of the price; None without one."""
        return None if self.hourly_price is None else self.hours * self.gpus * self.hourly_price

    def check(self) -> None:
        """Refuse what will not fit.

        Raises:
            KinoraError: if it does not; the sentence says what would.
        """
        if not self.fits:
            remedies = list(self.remedies())
            advice = f"it would with {' or '.join(remedies)}" if remedies else "take a larger GPU or a smaller model"
            raise KinoraError(
                f"{self.recipe} needs {sum(self.memory.values()) / 1e9:.1f} GB of each {self.hardware.name}, which has "
                f"{self.room / 1e9:.1f} GB for it; {advice}."
            )

    def remedies(self) -> Iterator[str]:
        """Yield the single changes, by their numbers, with which it would fit."""
        compute = self.compute
        if not compute.activation_checkpointing and self._fits_with(activation_checkpointing=True):
            yield "compute.activation_checkpointing=true"
        stages = range(compute.zero_stage + 1, 4)
        yield from self._first("compute.zero_stage", (s for s in stages if self._fits_with(zero_stage=s)))
        sharing = range(compute.sequence_parallel + 1, GPUS_OF_A_NODE + 1)
        sharing_heads = (n for n in sharing if self.config.model.heads % n == 0)
        yield from self._first(
            "compute.sequence_parallel", (n for n in sharing_heads if self._fits_with(sequence_parallel=n))
        )
        step, longest = self.config.tokens_per_step, math.prod(self.clip)
        smaller = (step // n for n in range(self.config.packs + 1, step // longest + 1) if step % n == 0)
        packs = (n for n in smaller if replace(self, config=replace(self.config, tokens_per_pack=n)).fits)
        yield from self._first("transformer.tokens_per_pack", packs)
        more = (self.gpus * 2**n for n in range(1, MOST_GPUS.bit_length()))
        whole = (n for n in more if n <= MOST_GPUS and (n <= GPUS_OF_A_NODE or n % GPUS_OF_A_NODE == 0))
        yield from self._first("--gpus", (n for n in whole if replace(self, compute=on(compute, n)).fits))

    def _fits_with(self, **changes: int | bool) -> bool:
        try:
            return replace(self, compute=replace(self.compute, **changes)).fits  # type: ignore[arg-type]
        except UsageError:  # they do not go together
            return False

    @staticmethod
    def _first(name: str, fitting: Iterator[int]) -> Iterator[str]:
        yield from (f"{name}={value}" for value in islice(fitting, 1))


def plan(
    name: str,
    config: TransformerTraining,
    compute: Compute,
    clip: tuple[int, int, int],
    hardware: Hardware,
    mfu: float = MFU,
    hourly_price: float | None = None,
) -> Plan:
    """Plan the training of a recipe's transformer; attention is as if all clips were as long as the longest, `clip`.

    Args:
        name: the recipe's.
        clip: patches of the longest clip (latent frames, rows, columns); see `longest_clip`.
        mfu: the share of the hardware's peak that is reached.
        hourly_price: of one GPU.

    Raises:
        UsageError: if the numbers cannot be, or the longest clip does not fit into a pack.
    """
    if not 0 < mfu <= 1:
        raise UsageError(f"--mfu is {mfu}; give the share of the GPU's peak that is reached, such as {MFU}.")
    length = math.prod(clip)
    if length > config.tokens_per_pack:
        raise UsageError(
            f"the longest clip of {name} has {length:,} tokens and a pack {config.tokens_per_pack:,}; raise "
            "transformer.tokens_per_pack, or lower ingest.max_side or ingest.max_frames."
        )
    dtype = torch.bfloat16 if hardware.value_bytes == 2 else torch.float32
    model = replace(config.model, text_width=config.text.width)
    traced = footprint(model, config.text, (clip,) * (config.tokens_per_pack // length), dtype)
    return Plan(name, config, compute, hardware, count(config), clip, traced, mfu, hourly_price)


def on(compute: Compute, gpus: int) -> Compute:
    """Return `compute` on so many GPUs, in whole nodes.

    Raises:
        UsageError: if they make no whole nodes.
    """
    if gpus < 1 or (gpus > GPUS_OF_A_NODE and gpus % GPUS_OF_A_NODE):
        raise UsageError(f"{gpus} GPUs make no whole nodes; give 1 to {GPUS_OF_A_NODE}, or a multiple of that.")
    processes = min(gpus, GPUS_OF_A_NODE)
    return replace(compute, nodes=gpus // processes, processes=processes)


def count(config: TransformerTraining) -> Counts:
    """Count the weights of the model that a configuration trains, without making them."""
    with torch.device("meta"):
        model = WorldModel(config.model, config.text)
    split = split_parameters(model, HIDDEN)
    muon = sum(parameter.numel() for parameter in split.hidden)
    adam = sum(parameter.numel() for parameter in (*split.matrices, *split.vectors))
    parts: dict[str, int] = {}
    for name, parameter in model.named_parameters():
        part = _part(name)
        parts[part] = parts.get(part, 0) + parameter.numel()
    return Counts(parts, muon, adam)


def longest_clip(ingest: IngestConfig, grid: Grid) -> tuple[int, int, int]:
    """Return the patches (latent frames, rows, columns) of the largest and longest clip that is let in."""
    side = ingest.max_side // grid.side
    return 1 + (ingest.max_frames - 1) // grid.frames, side, side


def _part(name: str) -> str:
    if name.startswith("text_encoder."):
        return "text encoder"
    if ".cross_attention." in name:
        return "cross-attention"
    if ".blocks." in name:
        return "MLPs" if any(layer in name for layer in (".up.", ".down.")) else "self-attention"
    return "modulation" if ".modulation." in name else "embeddings and head"
