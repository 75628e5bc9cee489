"""One process of transformer training: DeepSpeed ZeRO over gloo on CPUs or NCCL on GPUs.

Started by `kinora.training.launcher` through torchrun; the first process writes the log and the checkpoints' EMA.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from kinora.config import from_dict, read_json
from kinora.data.latents import LatentDataset
from kinora.data.loader import Loader
from kinora.data.packing import layout_of, pack, patch_grid, unpack
from kinora.diffusion.sampler import sample
from kinora.errors import KinoraError
from kinora.media import to_frames
from kinora.models.autoencoder import load_autoencoder
from kinora.models.precision import compute_dtype
from kinora.models.world_model import save_world_model
from kinora.processes import end_with_parent
from kinora.report import Clip
from kinora.training.batches import Batch, Batches, HeldOut
from kinora.training.checkpoints import Checkpoints, checkpoint_name
from kinora.training.compute import Compute
from kinora.training.ema import EMA
from kinora.training.loop import Trainer, fit
from kinora.training.optimizers import set_learning_rates, split_parameters
from kinora.training.transformer import (
    ARGUMENTS,
    EXPORTS,
    TrainingStep,
    TransformerTraining,
    WorkerArguments,
)

HIDDEN = r"\.(blocks|layers)\.(?!.*modulation)"  # names of the matrices between hidden layers
ZERO = "zero"  # DeepSpeed's folder within a checkpoint
SAMPLES = 4  # clips that are made along the way


def main() -> int:
    """Train until the last step; print one sentence and return 1 when that cannot be done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    end_with_parent(at_once=True)  # the last whole state is on disk
    try:
        train(arguments.run)
    except (KinoraError, OSError) as error:
        print(f"kinora: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


def train(run: Path) -> None:
    """Train in this process together with the others, in the folder of a run."""
    arguments = from_dict(WorkerArguments, read_json(run / ARGUMENTS))
    trainer = TransformerTrainer(arguments, run / EXPORTS)
    checkpoints = Checkpoints(run.parent, run.name)
    if checkpoints.last() is None:
        trainer.export(0)
    try:
        fit(trainer, arguments.config, checkpoints)
    finally:
        trainer.close()


def deepspeed_config(compute: Compute) -> dict[str, Any]:
    """Return DeepSpeed's configuration: bfloat16 weights, float32 masters sharded over the processes."""
    return {
        "train_micro_batch_size_per_gpu": 1,  # one pack at a time
        "bf16": {"enabled": compute_dtype() is torch.bfloat16},
        # DeepSpeed would clip Muon's updates, not the gradients; neither Muon nor Adam minds a gradient's scale.
        "gradient_clipping": 0.0,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": compute.zero_stage,
            "overlap_comm": False,
            "contiguous_gradients": True,
            "reduce_bucket_size": 50_000_000,  # all gradients of a small model in one message
            "allgather_bucket_size": 50_000_000,
        },
        "steps_per_print": 2**31,
    }


def initialise(model: nn.Module, config: TransformerTraining, compute: Compute) -> Any:
    """Return a DeepSpeed engine around the model, with Muon for the matrices inside the blocks and Adam for the rest.

    Muon: https://kellerjordan.github.io/posts/muon. Under ZeRO each process orthogonalises its own share.
    """
    import deepspeed
    from deepspeed.runtime.zero.muon.muon_optimizer import MuonWithAuxAdam
    from deepspeed.utils import logger

    logger.setLevel("WARNING")
    # On a CPU, DeepSpeed would compile a shared-memory collective at first use, for a minute and a half.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    deepspeed.init_distributed("nccl" if torch.cuda.is_available() else "gloo", verbose=False)
    optimizer = MuonWithAuxAdam(muon_groups(model, config))
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=deepspeed_config(compute))
    return engine


def muon_groups(model: nn.Module, config: TransformerTraining) -> list[dict[str, Any]]:
    """Return the parameter groups of DeepSpeed's Muon, which also wants every parameter marked."""
    split = split_parameters(model, HIDDEN)
    for parameter in model.parameters():
        parameter.use_muon = False  # type: ignore[attr-defined]
    for parameter in split.hidden:
        parameter.use_muon = True  # type: ignore[attr-defined]
    # DeepSpeed's standard iteration runs in bfloat16; the one over Gram matrices falls back to float32.
    method = "standard" if compute_dtype() is torch.bfloat16 else "gram"
    adam = {"use_muon": False, "lr": config.learning_rate, "betas": config.betas, "eps": 1e-10}
    return [
        {
            "params": split.hidden, "use_muon": True, "lr": config.muon_learning_rate, "momentum": 0.95,
            "weight_decay": config.weight_decay, "ns_method": method,
        },
        {"params": split.matrices, "weight_decay": config.weight_decay, **adam},
        {"params": split.vectors, "weight_decay": 0.0, **adam},
    ]  # fmt: skip


class TransformerTrainer(Trainer[list[Batch]]):
    """The model of one process within DeepSpeed's engine, its average, and the clips."""

    def __init__(self, arguments: WorkerArguments, exports: Path):
        self.arguments, self.config, self.exports = arguments, arguments.config, exports
        torch.manual_seed(self.config.seed)
        model = TrainingStep(self.config.model, self.config.text)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.ema = EMA(model, self.config.ema_decay)  # before DeepSpeed rounds the weights to bfloat16
        self.engine = initialise(model, self.config, arguments.compute)
        self.rank = dist.get_rank()
        self.latents = LatentDataset.open(arguments.latents)
        self.batches = Batches(self.latents.of_split("train"), self.config)
        self.held_out = HeldOut(self.latents.of_split("validation"), self.config)
        self.loader: Loader[Batch] | None = None  # from the first step on: only then it is known which that is
        self.tokens = torch.zeros((), dtype=torch.int64, device=self.engine.device)  # of all processes

    def batch(self, step: int) -> list[Batch]:
        """Return this process's packs of a step."""
        if self.loader is None:
            self.loader = Loader(self.batches.of_receiver(step - 1, self.rank, dist.get_world_size()))
        return [one.to(self.engine.device) for one in next(self.loader)]

    def close(self) -> None:
        """End the threads that read ahead."""
        if self.loader is not None:
            self.loader.close()

    def step(self, step: int, batch: list[Batch], rate: float) -> dict[str, Tensor | float]:
        """Take one optimizer step and keep a model where one is due."""
        set_learning_rates(self.engine.optimizer.param_groups, self.config, rate)
        counts = torch.tensor([[part.free, part.tokens] for part in batch]).to(self.engine.device)
        free, tokens = dist_sum(counts.sum(dim=0))
        sums = torch.zeros(2, device=self.engine.device)
        for number, part in enumerate(batch):
            loss, error = self.engine(part)
            share = counts[number, 0] / free
            self.engine.set_gradient_accumulation_boundary(number == len(batch) - 1)
            self.engine.backward(loss * share * dist.get_world_size())  # DeepSpeed averages over the processes
            sums += torch.stack([loss.detach(), error]) * share
        self.engine.step()
        self.ema.update(self.engine.module)
        self.tokens += tokens
        if step in self.config.checkpoint_steps():
            self.export(step)
        loss, error = dist_sum(sums)
        return {"loss": loss, "error": error, "tokens": tokens}

    def row(self, means: dict[str, float], steps_per_s: float) -> dict[str, float]:
        """Return the means, and how many tokens all processes have trained on how quickly."""
        speed = round(means.pop("tokens") * steps_per_s)
        return {**means, "tokens": int(self.tokens), "tokens_per_s": speed, "parameters": self.parameters}

    @torch.no_grad()
    def validate(self) -> dict[str, float]:
        """Return the velocity loss of the averaged weights on held-out clips, which the processes share."""
        if not len(self.held_out):
            return {}
        sums = torch.zeros(2, device=self.engine.device)  # loss of all tokens, tokens
        with self.ema.applied_to(self.engine.module):
            for number in range(self.rank, len(self.held_out), dist.get_world_size()):
                batch = self.held_out.read(number).to(self.engine.device)
                loss, _ = self.engine.module(batch)
                sums += torch.stack([loss, torch.ones_like(loss)]) * len(batch.clean)
        dist.all_reduce(sums)
        return {"held_out_loss": float(sums[0] / sums[1])}

    def sample(self) -> list[Clip]:
        """Make clips from a few held-out captions with the averaged weights; the noise is always the same."""
        if self.rank > 0 or not self.arguments.autoencoder:
            return []
        vae = load_autoencoder(self.arguments.autoencoder).for_inference()
        split = self.latents.of_split("validation")
        split = split if len(split) else self.latents.of_split("train")
        clips = [split[number] for number in range(0, len(split), max(1, len(split) // SAMPLES))][:SAMPLES]
        patch, device = self.config.model.patch_size, self.engine.device
        layout = layout_of(
            [patch_grid(c.latent.shape, patch) for c in clips], [c.fps / vae.config.temporal for c in clips]
        )
        generator = torch.Generator().manual_seed(self.config.seed)
        noise = pack([torch.randn(c.latent.shape, generator=generator) for c in clips], layout, patch).to(device)
        module = self.engine.module
        with self.ema.applied_to(module), torch.no_grad():
            tokens = sample(
                module.dit,
                module.text_encoder,
                module.text_encoder.prepare([clips[i].caption for i in layout.order]),
                layout.to(device),
                noise,
                torch.zeros_like(noise),
                torch.zeros(len(noise), dtype=torch.bool, device=device),
                self.arguments.sampling,
            )
            frames = [to_frames(vae.video_of(z[None])[0]) for z in unpack(tokens, layout, patch)]
        return [Clip(made, clip.fps or 1.0, clip.caption) for made, clip in zip(frames, clips, strict=True)]

    def export(self, step: int) -> None:
        """Write the averaged weights as a model for evaluation (first process)."""
        if self.rank == 0:
            folder = self.exports / checkpoint_name(step)
            save_world_model(folder, self.ema.weights, self.config.model, self.config.text)

    def save(self, folder: Path) -> dict[str, Any]:
        """Write this process's share of the state. Batches are a function of the step: they need no state."""
        self.engine.save_checkpoint(str(folder), tag=ZERO, save_latest=False)
        if self.rank == 0:
            save_file(self.ema.weights, folder / "ema.safetensors")
        return {"tokens": int(self.tokens), "ema_updates": self.ema.updates}

    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Put it back.

        Raises:
            KinoraError: if DeepSpeed cannot read its part.
        """
        path, _ = self.engine.load_checkpoint(str(folder), tag=ZERO)
        if path is None:
            raise KinoraError(f"the checkpoint {folder} cannot be read; remove that folder and train again.")
        self.ema.restore(values["ema_updates"], load_file(folder / "ema.safetensors"))
        self.tokens.fill_(values["tokens"])


def dist_sum(values: Tensor) -> Tensor:
    """Return the sum of `values` over all processes."""
    dist.all_reduce(values)
    return values


if __name__ == "__main__":
    sys.exit(main())
