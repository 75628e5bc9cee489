"""A model, its optimizer and its moving average, sharded over all processes by DeepSpeed ZeRO."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from kinora.models.precision import compute_dtype
from kinora.training.compute import Compute
from kinora.training.config import TrainingConfig
from kinora.training.fragments import gather, partition_of, publish
from kinora.training.sharded_optimizer import Kinds, ShardedOptimizer
from kinora.training.sharded_state import load_fragments, save_fragments


def start_processes() -> torch.device:
    """Join the other processes of the training that torchrun has started, and return this one's device."""
    import deepspeed
    from deepspeed.utils import logger

    logger.setLevel("WARNING")
    # On a CPU, DeepSpeed would compile a shared-memory collective at first use, for a minute and a half.
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
    if not torch.cuda.is_available():
        deepspeed.init_distributed("gloo", verbose=False)
        return torch.device("cpu")
    device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))  # a rank counts over all nodes
    torch.cuda.set_device(device)
    deepspeed.init_distributed("nccl", verbose=False)
    return device


def deepspeed_config(compute: Compute) -> dict[str, Any]:
    """Return DeepSpeed's configuration: weights in `compute_dtype()`; masters, sums and gradients in float32."""
    bfloat16, stage = compute_dtype() is torch.bfloat16, compute.zero_stage
    return {
        "train_micro_batch_size_per_gpu": 1,  # one pack at a time
        "bf16": {"enabled": bfloat16, "check_grad_overflow": False},
        "data_types": {"grad_accum_dtype": "fp32"},
        "communication_data_type": "fp32",
        "gradient_clipping": 0.0,  # the optimizer clips
        "zero_allow_untested_optimizer": True,
        "zero_optimization": {
            "stage": stage,
            "overlap_comm": False,
            "contiguous_gradients": True,
            "reduce_scatter": torch.cuda.is_available(),  # gloo has none
            "reduce_bucket_size": 50_000_000,  # all gradients of a small model in one message
            "allgather_bucket_size": 50_000_000,
            "sub_group_size": 2**62,  # one partition, one step of the optimizer
            # The optimizer measures the gradient; of these two, DeepSpeed cannot be kept from it.
            "compute_grad_norm": stage == 3 or (stage == 1 and bfloat16),
        },
        "steps_per_print": 2**31,
    }


class Sharded:
    """A model in DeepSpeed's engine; every process keeps its share of masters, optimizer states and average.

    engine: DeepSpeed's, to be called with batches.
    optimizer: Muon and AdamW over the fragments of this process.
    average: the exponential moving average of the masters, flat like them.
    """

    def __init__(
        self, build: Callable[[], nn.Module], hidden: str, config: TrainingConfig, compute: Compute, ema_decay: float
    ):
        import deepspeed

        self.device, self.ema_decay = start_processes(), ema_decay
        model = _build(build, compute.zero_stage, config.seed)
        kinds = Kinds.of(model, hidden)
        self.shapes = kinds.shapes
        settings = deepspeed_config(compute)
        if compute.zero_stage == 3:
            _partition(model, self.device, settings)
        self.optimizer = ShardedOptimizer(model, kinds, compute.zero_stage, config, self.device)
        self.engine, *_ = deepspeed.initialize(model=model, optimizer=self.optimizer, config=settings)
        self.master = partition_of(self.engine)
        self.average = self.master.clone()

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return sum(torch.Size(shape).numel() for shape in self.shapes.values())

    def step(self, rate: float) -> None:
        """Take a step at `rate` of the learning rates down the gradients of the last backward passes."""
        self.optimizer.rate = rate
        self.engine.step()
        if self.engine.optimizer.overflow:
            self.optimizer.skip()
        # Early on the average follows the weights closely; a step that was skipped does not count.
        updates = self.optimizer.updates
        decay = ((1 + updates) / (10 + updates)).clamp(max=self.ema_decay)
        self.average.lerp_(self.master, (1 - decay) * self.optimizer.kept)

    @contextmanager
    def averaged(self) -> Iterator[nn.Module]:
        """Yield the module with the averaged weights; its own come back bit by bit. All processes call this."""
        self._swap()
        try:
            yield self.engine.module
        finally:
            self._swap()

    @torch.no_grad()
    def _swap(self) -> None:
        own = self.master.clone()
        self.master.copy_(self.average)
        self.average.copy_(own)
        publish(self.engine)

    def averaged_weights(self) -> dict[str, Tensor]:
        """Return the averaged weights on the CPU of the first process, nothing elsewhere. All processes call this."""
        gathered = {n: gather(n, shape, self.optimizer.fragments, self.average) for n, shape in self.shapes.items()}
        return {name: weight for name, weight in gathered.items() if weight is not None}

    def save(self, folder: Path) -> dict[str, Any]:
        """Write this process's share of the state; return the rest of it as plain JSON."""
        save_fragments(folder, dist.get_rank(), self._pieces())
        return {"updates": int(self.optimizer.updates), "guard": self.optimizer.guard.state()}

    def load(self, folder: Path, values: dict[str, Any]) -> None:
        """Take up a state that any number of processes wrote, under any ZeRO stage.

        Raises:
            KinoraError: if a part of it is missing.
        """
        load_fragments(folder, self._pieces())
        self.optimizer.updates.fill_(values["updates"])
        self.optimizer.guard.restore(values["guard"])
        publish(self.engine)

    def _pieces(self) -> dict[str, Any]:
        whole = {"master": self.master, "average": self.average}
        own = {kind: [(part, part.of(flat)) for part in self.optimizer.fragments] for kind, flat in whole.items()}
        return {**own, **self.optimizer.pieces()}


def _build(build: Callable[[], nn.Module], zero_stage: int, seed: int) -> nn.Module:
    """Return the model: whole in the memory of the host, under ZeRO 3 of the first process alone.

    Its weights come from the seed and the first process, so that they are the same for any number of processes.
    """
    with torch.device("cpu" if zero_stage < 3 or dist.get_rank() == 0 else "meta"):
        torch.manual_seed(seed)
        return build()


def _partition(model: nn.Module, device: torch.device, settings: dict[str, Any]) -> None:
    """Share the weights of the first process's model, one after another: no other process ever holds all of them."""
    import deepspeed

    def materialised() -> Iterator[nn.Parameter]:
        for module in model.modules():
            for name, parameter in list(module.named_parameters(recurse=False)):
                if parameter.is_meta:
                    parameter = nn.Parameter(torch.empty_like(parameter, device=device, dtype=compute_dtype()))
                    setattr(module, name, parameter)
                else:
                    parameter.data = parameter.data.to(device, compute_dtype())
                yield parameter
            for name, buffer in list(module.named_buffers(recurse=False)):
                own = torch.empty_like(buffer, device=device) if buffer.is_meta else buffer.to(device)
                dist.broadcast(own, 0)
                setattr(module, name, own)

    deepspeed.zero.Init(config_dict_or_path=settings)._convert_to_zero_parameters(materialised())
    for module in model.modules():
        if module is not model and next(module.children(), None) is not None:
            # What a module with parts of its own uses directly is gathered for backward only where its output is a
            # tensor or a tuple of them; the whole model's is.
            for parameter in module.parameters(recurse=False):
                deepspeed.zero.register_external_parameter(model, parameter)
