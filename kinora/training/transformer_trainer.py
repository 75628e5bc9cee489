"""What one process does in a step of transformer training, and between steps: held-out loss, samples, state."""

from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kinora.data.latents import LatentDataset
from kinora.data.loader import Loader
from kinora.data.packing import Segment, layout_of, pack, patch_grid, unpack
from kinora.diffusion.sampler import sample_prompts
from kinora.media.tensors import to_frames
from kinora.models.autoencoder import load_autoencoder
from kinora.models.growth import grow, learn_words
from kinora.models.sequence_parallel import SequenceShard
from kinora.models.world_model import load_world_model, save_world_model
from kinora.report import Clip
from kinora.training.batches import Batch, Batches, HeldOut, prepared_caption
from kinora.training.checkpoints import checkpoint_name
from kinora.training.compute import Compute
from kinora.training.loop import Trainer
from kinora.training.sharding import Sharded
from kinora.training.transformer import TrainingStep, TransformerTraining, WorkerArguments

HIDDEN = r"\.(blocks|layers)\.(?!.*modulation)"  # names of the matrices between hidden layers
SAMPLES = 4  # clips that are made along the way


class TransformerTrainer(Trainer[list[Batch]]):
    """The sharded model, the packs that fall to this process, and the held-out clips."""

    def __init__(self, arguments: WorkerArguments, exports: Path):
        self.arguments, self.config, self.exports = arguments, arguments.config, exports
        config, compute = arguments.config, arguments.compute
        self.sharded = Sharded(partial(build, config, compute), HIDDEN, config, compute, config.ema_decay)
        self.engine, self.device = self.sharded.engine, self.sharded.device
        self.receivers, self.receiver = compute.receivers, dist.get_rank() // compute.sequence_parallel
        self.shard = shard_of(compute.sequence_parallel)
        self.counts = int(self.shard is None or self.shard.rank == 0)  # of those that share a pack, one counts it
        self.latents = LatentDataset.open(arguments.latents)
        self.batches = Batches(self.latents.of_split("train"), config, config.caption_mix)
        self.held_out = HeldOut(self.latents.of_split("validation"), config)
        self.loader: Loader[Batch] | None = None  # from the first step on: only then it is known which that is
        self.tokens = torch.zeros((), dtype=torch.int64, device=self.device)  # of all processes

    def batch(self, step: int) -> list[Batch]:
        """Return this process's packs of a step, on their way to its device."""
        if self.loader is None:
            self.loader = Loader(self.batches.of_receiver(step - 1, self.receiver, self.receivers))
        return [one.to(self.device) for one in next(self.loader)]

    def close(self) -> None:
        """End the threads that read ahead."""
        if self.loader is not None:
            self.loader.close()

    def step(self, step: int, batch: list[Batch], rate: float) -> dict[str, Tensor | float]:
        """Take one optimizer step and keep a model where one is due.

        The gradient is that of the loss over the free tokens of all packs, divided by their number on all processes,
        so that it does not depend on how many processes there are. Nothing here waits for the device.
        """
        if step == 1:
            self.export(0)
        totals = [sum(part.free for part in batch), sum(part.tokens for part in batch)]
        counts = (self.counts * torch.tensor(totals)).to(self.device, non_blocking=True)
        dist.all_reduce(counts)
        world = dist.get_world_size()
        sums = torch.zeros(2, device=self.device)
        for number, part in enumerate(batch):
            self.engine.set_gradient_accumulation_boundary(number == len(batch) - 1)
            sum_of = self.engine(part, self.shard)
            loss, error = ((part.tokens > 0) * world * value / counts[0] for value in sum_of)
            self.engine.backward(loss)  # DeepSpeed averages over the processes
            sums += torch.stack([loss.detach(), error])
        self.sharded.step(rate)
        self.tokens += counts[1]
        if step in self.config.checkpoint_steps():
            self.export(step)
        optimizer = self.sharded.optimizer
        return {
            "loss": sums[0], "error": sums[1], "tokens": counts[1],
            "gradient_norm": optimizer.norm, "skipped": 1 - optimizer.kept,
        }  # fmt: skip

    def row(self, means: dict[str, float], steps_per_s: float) -> dict[str, float]:
        """Return the means, and how many tokens all processes have trained on how quickly.

        Raises:
            KinoraError: if the training has diverged.
        """
        self.sharded.optimizer.guard.check()
        speed = round(means.pop("tokens") * steps_per_s)
        return {
            **means, "tokens": int(self.tokens), "tokens_per_s": speed, "parameters": self.sharded.parameters,
        }  # fmt: skip

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the velocity loss of the averaged weights on held-out clips, of all and of each size and length."""
        if not len(self.held_out):
            return {}
        shapes = self.held_out.shapes
        sums = torch.zeros(len(shapes), 2, dtype=torch.float64, device=self.device)  # loss of all tokens, their number
        with self.sharded.averaged() as module:
            for first in range(0, len(self.held_out), self.receivers):  # all compute in step
                number = first + self.receiver
                batch = self.held_out.read(number % len(self.held_out)).to(self.device)
                losses, tokens = module(batch, self.shard, shapes)
                if number < len(self.held_out):
                    sums += torch.stack([losses, tokens], dim=1)
        dist.all_reduce(sums)
        loss, count = sums.sum(0).tolist()
        parts = {f"held_out_loss_{self.size_of(g)}": s[0] / s[1] for g, s in zip(shapes, sums.tolist(), strict=True)}
        return {"held_out_loss": loss / count, **parts}

    def size_of(self, grid: tuple[int, int, int]) -> str:
        """Return width, height and frames of clips of a grid of patches, such as `32x32x9`."""
        (t, rows, columns), known = grid, self.latents.config
        side = self.config.model.patch_size * known["spatial"]
        return f"{columns * side}x{rows * side}x{1 + (t - 1) * known['temporal']}"

    @torch.no_grad()
    def sample(self) -> list[Clip]:
        """Make clips from a few held-out captions with the averaged weights; the noise is always the same.

        All processes compute, since under ZeRO 3 none of them has all weights.
        """
        if not self.arguments.autoencoder:
            return []
        vae = load_autoencoder(self.arguments.autoencoder).for_inference()
        split = self.latents.of_split("validation")
        split = split if len(split) else self.latents.of_split("train")
        clips = [split[number] for number in range(0, len(split), max(1, len(split) // SAMPLES))][:SAMPLES]
        patch, device = self.config.model.patch_size, self.device
        layout = layout_of([Segment(patch_grid(c.latent.shape, patch), c.fps / vae.config.temporal) for c in clips])
        generator = torch.Generator().manual_seed(self.config.seed)
        text, token_ids = self.config.text, self.config.text.token_ids()
        captions = pad_sequence([prepared_caption(clips[i], text, token_ids) for i in layout.order], batch_first=True)
        noise = pack([torch.randn(c.latent.shape, generator=generator) for c in clips], layout, patch).to(device)
        with self.sharded.averaged() as module:
            assert isinstance(module, TrainingStep)
            model = module.dit, module.text_encoder
            tokens = sample_prompts(*model, captions.to(device), layout.to(device), noise, self.arguments.sampling)
        frames = [to_frames(vae.video_of(z[None])[0]) for z in unpack(tokens, layout, patch)]
        return [Clip(made, clip.fps or 1.0, clip.caption) for made, clip in zip(frames, clips, strict=True)]

    def export(self, step: int) -> None:
        """Write the averaged weights as a model for evaluation (first process). All processes call this."""
        weights = self.sharded.averaged_weights()
        if dist.get_rank() == 0:
            save_world_model(self.exports / checkpoint_name(step), weights, self.config.model, self.config.text)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write this process's share of the state. Batches are a function of the step: they need no state."""
        return {"tokens": int(self.tokens), "sharded": self.sharded.save(folder)}

    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Put it back.

        Raises:
            KinoraError: if a part of it is missing.
        """
        self.sharded.load(folder, values["sharded"])
        self.tokens.fill_(values["tokens"])


def build(config: TransformerTraining, compute: Compute) -> TrainingStep:
    """Return the model that training begins with, ready to be computed as `compute` says."""
    model = TrainingStep(config.model, config.text)
    if config.initial:
        initial = load_world_model(config.initial)
        learn_words(initial.text_encoder.state_dict(), model.text_encoder)
        grow(initial.dit.state_dict(), model.dit, torch.Generator().manual_seed(config.seed))
    if compute.activation_checkpointing:
        model.dit.checkpoint_blocks()
    if compute.compile:
        model.dit.compile_blocks()
    return model


def shard_of(size: int) -> SequenceShard | None:
    """Return this process's place among the `size` neighbours that share packs, None where it shares none."""
    if size == 1:
        return None
    found = None
    for first in range(0, dist.get_world_size(), size):  # every process makes all groups
        group = dist.new_group(list(range(first, first + size)))
        if first <= dist.get_rank() < first + size:
            found = SequenceShard(group, dist.get_rank() - first, size)
    return found
