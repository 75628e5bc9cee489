"""What a training can be computed on: memory and speed of GPUs, from their makers' data sheets."""

from dataclasses import dataclass

from kinora.errors import UsageError

GPUS_OF_A_NODE = 8  # as in most machines that are sold and rented


@dataclass(frozen=True)
class Hardware:
    """One GPU, or one process on a CPU.

    memory: bytes.
    peak: bfloat16 operations a second on dense matrices (a multiplication and an addition are two); float32 of the CPU.
    bandwidth: bytes a second to and from its memory.
    value_bytes: of a weight or activation, in the type that it computes in.
    """

    name: str
    memory: float
    peak: float
    bandwidth: float
    value_bytes: int = 2


_GB, _T = 1e9, 1e12
HARDWARE = {
    "a100-40": Hardware("NVIDIA A100 40 GB", 40 * _GB, 312 * _T, 1555 * _GB),
    "a100-80": Hardware("NVIDIA A100 80 GB", 80 * _GB, 312 * _T, 2039 * _GB),
    "h100": Hardware("NVIDIA H100 SXM", 80 * _GB, 989 * _T, 3350 * _GB),
    "h200": Hardware("NVIDIA H200", 141 * _GB, 989 * _T, 4800 * _GB),
    "b200": Hardware("NVIDIA B200", 180 * _GB, 2250 * _T, 8000 * _GB),
    "l40s": Hardware("NVIDIA L40S", 48 * _GB, 362 * _T, 864 * _GB),
    "rtx4090": Hardware("NVIDIA RTX 4090", 24 * _GB, 165 * _T, 1008 * _GB),
    # A core with 256-bit vectors: two multiply-adds of 8 values a cycle at 3 GHz; 4 GB a process.
    "cpu": Hardware("a CPU core", 4 * _GB, 0.1 * _T, 10 * _GB, value_bytes=4),
}


def hardware(name: str) -> Hardware:
    """Return the hardware of a name in `HARDWARE`.

    Raises:
        UsageError: if there is none.
    """
    if name not in HARDWARE:
        raise UsageError(f"there are no figures for the GPU '{name}'; give one of {', '.join(HARDWARE)}.")
    return HARDWARE[name]
