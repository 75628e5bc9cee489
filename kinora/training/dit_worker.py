"""One process of transformer training: DeepSpeed ZeRO over gloo on CPUs or NCCL on GPUs.

Started by `kinora.training.launcher` through torchrun; the first process writes the log and the checkpoints' EMA.
"""

import argparse
import json
import os
import shutil
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import nn

from kinora.config import from_dict, read_json
from kinora.data.latents import LatentDataset
from kinora.errors import KinoraError
from kinora.files import atomic_write
from kinora.models.precision import compute_dtype
from kinora.models.world_model import save_world_model
from kinora.processes import end_with_parent
from kinora.training.dit import Batch, Batches, DiTTraining, TrainingStep, checkpoint_name, token_clips
from kinora.training.ema import EMA

LOG_EVERY = 20  # steps
LAST = "last"  # names the newest whole checkpoint of the run


def main() -> int:
    """Train until the last step; print one sentence and return 1 when that cannot be done."""
    parser = argparse.ArgumentParser()
    parser.add_argument("latents", type=Path)
    parser.add_argument("run", type=Path)
    arguments = parser.parse_args()
    end_with_parent()
    try:
        Worker(arguments.latents, arguments.run).train()
    except (KinoraError, OSError) as error:
        print(f"kinora: {error}", file=sys.stderr, flush=True)
        return 1
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
    return 0


def deepspeed_config(config: DiTTraining) -> dict[str, Any]:
    """Return DeepSpeed's configuration: bfloat16 weights, float32 masters sharded over the processes."""
    return {
        "train_micro_batch_size_per_gpu": 1,  # one packed batch a process and step
        "bf16": {"enabled": compute_dtype() is torch.bfloat16},
        # DeepSpeed would clip Muon's updates, not the gradients; neither Muon nor Adam minds a gradient's scale.
        "gradient_clipping": 0.0,
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": config.zero_stage,
            "overlap_comm": False,
            "contiguous_gradients": True,
            "reduce_bucket_size": 50_000_000,  # all gradients of a small model in one message
            "allgather_bucket_size": 50_000_000,
        },
        "steps_per_print": 2**31,
    }


def initialise(model: nn.Module, config: DiTTraining) -> Any:
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
    optimizer = MuonWithAuxAdam(parameter_groups(model, config))
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=deepspeed_config(config))
    return engine


def parameter_groups(model: nn.Module, config: DiTTraining) -> list[dict[str, Any]]:
    """Split parameters: matrices that mix hidden values (Muon), other matrices, and vectors (Adam, without decay)."""
    named = list(model.named_parameters())
    for name, parameter in named:
        inside = ".blocks." in name or ".layers." in name
        parameter.use_muon = inside and parameter.ndim == 2 and "modulation" not in name  # type: ignore[attr-defined]
    muon = [p for _, p in named if p.use_muon]  # type: ignore[attr-defined]
    matrices = [p for _, p in named if p.ndim == 2 and not p.use_muon]  # type: ignore[attr-defined]
    vectors = [p for _, p in named if p.ndim != 2]
    adam = {"use_muon": False, "lr": config.lr, "betas": config.betas, "eps": 1e-10}
    return [
        {
            "params": muon, "use_muon": True, "lr": config.muon_lr, "momentum": 0.95,
            "weight_decay": config.weight_decay, "ns_method": "standard",
        },
        {"params": matrices, "weight_decay": config.weight_decay, **adam},
        {"params": vectors, "weight_decay": 0.0, **adam},
    ]  # fmt: skip


class Worker:
    """The training loop of one process."""

    def __init__(self, latents: Path, run: Path):
        self.run, self.config = run, from_dict(DiTTraining, read_json(run / "config.json"))
        torch.manual_seed(self.config.seed)
        model = TrainingStep(self.config.model, self.config.text)
        self.parameters = sum(p.numel() for p in model.parameters())
        self.ema = EMA(model, self.config.ema)  # before DeepSpeed rounds the weights to bfloat16
        self.engine = initialise(model, self.config)
        self.rank = dist.get_rank()
        clips = token_clips(LatentDataset.open(latents).of_split("train"), self.config.model.patch_size)
        self.batches = Batches(clips, self.config, self.rank)
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.log = run / "training.jsonl"

    def train(self) -> None:
        """Run the remaining steps, logging and saving on the way."""
        config = self.config
        if not self.restore():
            self.begin()
        started, seconds, sums = time.monotonic(), self.seconds, torch.zeros(3)
        while self.step < config.steps:
            sums += self.one_step()
            self.seconds = seconds + time.monotonic() - started
            if self.step % LOG_EVERY == 0 or self.step == config.steps:
                self.write_log(sums)
                sums.zero_()
            if self.step in config.milestones():
                self.export()
            if self.step % config.save_every == 0 and self.step < config.steps:
                self.save()

    def begin(self) -> None:
        """Keep the untrained model and start an empty log (first process)."""
        self.export()
        if self.rank == 0:
            self.log.write_text("")

    def one_step(self) -> torch.Tensor:
        """Take one optimizer step; return (loss, error, 1) for the means in the log."""
        share = self.config.rate(self.step)
        for group in self.engine.optimizer.param_groups:
            group["lr"] = share * (self.config.muon_lr if group["use_muon"] else self.config.lr)
        batch = to_device(self.batches.at(self.step), self.engine.device)
        loss, error = self.engine(batch)
        self.engine.backward(loss)
        self.engine.step()
        self.ema.update(self.engine.module)
        self.step += 1
        self.tokens += len(batch.clean) * dist.get_world_size()
        return torch.tensor([loss.item(), error.item(), 1.0])

    def write_log(self, sums: torch.Tensor) -> None:
        """Append the means since the last line to the log (first process)."""
        if self.rank == 0:
            loss, error, count = sums.tolist()
            row = {
                "step": self.step, "loss": loss / count, "error": error / count, "tokens": self.tokens,
                "tokens_per_s": round(self.tokens / self.seconds), "seconds": round(self.seconds, 2),
                "cpu_seconds": round(time.process_time(), 2), "parameters": self.parameters,
            }  # fmt: skip
            with open(self.log, "a") as file:
                file.write(json.dumps(row) + "\n")

    def export(self) -> None:
        """Write the EMA weights as a checkpoint for evaluation (first process)."""
        if self.rank == 0:
            folder = self.run / "exports" / checkpoint_name(self.step)
            save_world_model(folder, self.ema.weights, self.config.model, self.config.text)

    def save(self) -> None:
        """Save the state of training, whole or not at all; the one before is removed after.

        Batches are a function of the step, so the step is all of the sampler's state.
        """
        name = checkpoint_name(self.step)
        state = {
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "ema": self.ema.state_dict(),
            "log_bytes": self.log.stat().st_size,
        }
        self.engine.save_checkpoint(str(self.run / "state"), tag=name, client_state=state, save_latest=False)
        dist.barrier()
        if self.rank == 0:
            # Only a finished checkpoint is named as the last, so that one cut short is never read.
            with atomic_write(self.run / LAST) as temporary:
                temporary.write_text(name)
            for other in (self.run / "state").glob("step-*"):
                if other.name != name:
                    shutil.rmtree(other)
        dist.barrier()

    def restore(self) -> bool:
        """Go back to the last whole checkpoint; return False if there is none."""
        if not (self.run / LAST).exists():
            return False
        name = (self.run / LAST).read_text()
        path, state = self.engine.load_checkpoint(str(self.run / "state"), tag=name)
        if path is None:
            raise KinoraError(
                f"the checkpoint {name} in {self.run} cannot be read; remove that folder and train again."
            )
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.ema.load_state_dict(state["ema"])
        if self.rank == 0:
            os.truncate(self.log, state["log_bytes"])  # what was logged after the checkpoint happens again
        return True


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch to the accelerator, if there is one."""
    if device.type == "cpu":
        return batch
    tensors = {name: getattr(batch, name).to(device) for name in ("clean", "given", "times", "noise")}
    return replace(batch, layout=batch.layout.to(device), **tensors)


if __name__ == "__main__":
    sys.exit(main())
