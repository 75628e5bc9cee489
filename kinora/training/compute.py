"""Where and how a training is computed: nodes, GPUs, sharding. Nothing of it changes what is learned."""

from dataclasses import dataclass, replace

from kinora.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Compute:
    """The machines of a training and how they share its work.

    It is no part of what a run is: a run that was stopped goes on under another `Compute` with the same curve.

    nodes: machines.
    processes: of each node, one a GPU (or one a core or two, where there is none).
    zero_stage: what ZeRO (arXiv:1910.02054) shards over all processes: 1 optimizer state, 2 gradients as well,
        3 weights as well.
    sequence_parallel: neighbouring processes that share the tokens of one pack (Ulysses, arXiv:2309.14509).
    activation_checkpointing: compute the activations of a block again in the backward pass instead of keeping them:
        a third more arithmetic, a fraction of the memory.
    compile: compile the blocks with `torch.compile`, which takes minutes at the start; not under ZeRO 3.
    kept_states: how many states of the training are kept to go on from, the newest ones.

    Raises:
        UsageError: if a value is impossible.
    """

    nodes: int = 1
    processes: int = 1
    zero_stage: int = 1
    sequence_parallel: int = 1
    activation_checkpointing: bool = False
    compile: bool = False
    kept_states: int = 2

    def __post_init__(self) -> None:
        for name in ("nodes", "processes", "sequence_parallel", "kept_states"):
            if getattr(self, name) < 1:
                raise UsageError(f"compute.{name} is {getattr(self, name)}; give 1 or more.")
        if self.zero_stage not in (1, 2, 3):
            raise UsageError(f"compute.zero_stage is {self.zero_stage}; give 1, 2 or 3: what ZeRO shards.")
        if self.compile and self.zero_stage == 3:
            raise UsageError("ZeRO 3 leaves no whole weights for compute.compile; give zero_stage 1 or 2.")
        if self.world_size % self.sequence_parallel:
            raise UsageError(
                f"compute.sequence_parallel is {self.sequence_parallel}, which does not divide the {self.world_size} "
                "processes; give a divisor of nodes times processes."
            )

    @property
    def world_size(self) -> int:
        """Processes of all nodes together."""
        return self.nodes * self.processes

    def on_gpus(self, gpus: int) -> "Compute":
        """Return what one machine with so many GPUs computes it with: a process a GPU at most.

        Raises:
            UsageError: if those that share a pack do not fit on it.
        """
        if gpus >= self.world_size:
            return self
        shared = gpus // self.sequence_parallel * self.sequence_parallel
        if not shared:
            raise UsageError(
                f"compute.sequence_parallel is {self.sequence_parallel}, and this machine has {gpus} GPUs; give as "
                "many at most."
            )
        return replace(self, nodes=1, processes=shared)

    @property
    def receivers(self) -> int:
        """Groups of processes that each take whole packs."""
        return self.world_size // self.sequence_parallel
