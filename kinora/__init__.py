"""The library: what a world simulator is. It knows nothing of Kubeflow, Kubernetes or BentoML."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kinora.generation import GeneratedClip as GeneratedClip
    from kinora.generation import VideoGenerator as VideoGenerator

__version__ = "0.1.0"
__all__ = ["GeneratedClip", "VideoGenerator"]


def __getattr__(name: str) -> Any:
    """Import what `from kinora import VideoGenerator` needs when it is asked for: torch takes a second."""
    if name not in __all__:
        raise AttributeError(f"module 'kinora' has no attribute '{name}'")
    from kinora import generation

    return getattr(generation, name)
