"""What the ranks of test_sharding.py run: a few steps under each of several `Compute`s, with the curves as JSON."""

import json
import sys
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from kinora.config import from_dict
from kinora.diffusion.sampler import Sampling
from kinora.training import muon, sharded_optimizer, sharding
from kinora.training.compute import Compute
from kinora.training.fragments import gather
from kinora.training.ranks import Ranks
from kinora.training.sharding import start_processes
from kinora.training.transformer import TransformerTraining, WorkerArguments
from kinora.training.transformer_trainer import TransformerTrainer


def run(case: dict[str, Any], config: TransformerTraining, latents: str, folder: Path) -> dict[str, Any]:
    """Train from step `first` to `last`, from the state `load`, and save as `save`; with `spoil` skip a step between.

    Return the losses and gradient norms over all ranks, the held-out loss, and sums of squares of the weights.
    """
    for module in (muon, sharded_optimizer, sharding):  # as on a GPU, whatever this processor multiplies
        module.compute_dtype = lambda: torch.bfloat16 if case.get("bfloat16") else torch.float32
    compute = Compute(processes=dist.get_world_size(), **case["compute"])
    trainer = TransformerTrainer(WorkerArguments(config, compute, latents, "", Sampling()), folder / "exports")
    if "load" in case:
        state = folder / case["load"]
        trainer.load(state, json.loads((state / "values.json").read_text()))
    curve = []
    for step in range(case["first"], case["last"] + 1):
        scalars = trainer.step(step, trainer.batch(step), config.rate(step))
        means = Ranks().mean({name: scalars[name] for name in ("loss", "gradient_norm", "skipped")})
        curve.append([means["loss"], means["gradient_norm"], means["skipped"]])
    found: dict[str, Any] = {"curve": curve, **trainer.validate(), "weights": squares(trainer)}
    if "spoil" in case:
        found["spoiled"] = spoiled(trainer, case["last"] + 1)
    if "save" in case:
        state = folder / case["save"]
        state.mkdir(exist_ok=True)
        (state / f"values-{dist.get_rank()}.json").write_text(json.dumps(trainer.save(state)))
        dist.barrier()
        if dist.get_rank() == 0:
            (state / "values-0.json").rename(state / "values.json")
    trainer.close()
    return found


def squares(trainer: TransformerTrainer) -> list[float]:
    """Return the sum of squares of every parameter and of its average."""
    sharded = trainer.sharded
    found = []
    for name, shape in sharded.shapes.items():
        for partition in (sharded.master, sharded.average):
            whole = gather(name, shape, sharded.optimizer.fragments, partition)
            found.append(float(whole.square().sum()) if whole is not None else 0.0)
    return found


def spoiled(trainer: TransformerTrainer, step: int) -> bool:
    """Take a step in which one rank's gradient is not a number; say whether it changed anything on this rank."""
    sharded = trainer.sharded
    states = [state for kind in sharded.optimizer.states.values() for state in kind]
    before = [tensor.clone() for tensor in (sharded.master, sharded.average, *states)]
    batch = trainer.batch(step)
    if dist.get_rank() == dist.get_world_size() - 1:
        batch[0].clean[:, 0] = torch.nan
    scalars = trainer.step(step, batch, 1.0)
    after = (sharded.master, sharded.average, *states)
    own = [torch.equal(a, b) for a, b in zip(before, after, strict=True)]
    alike = Ranks().mean({"same": float(all(own)), "skipped": scalars["skipped"]})
    return alike != {"same": 1.0, "skipped": 1.0}


def main() -> None:
    latents, folder, config, cases = sys.argv[1:]
    start_processes()
    results = {
        name: run(case, from_dict(TransformerTraining, json.loads(config)), latents, Path(folder))
        for name, case in json.loads(cases).items()
    }
    if dist.get_rank() == 0:
        (Path(folder) / f"results-{dist.get_world_size()}.json").write_text(json.dumps(results))
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
