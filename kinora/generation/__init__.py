"""Prompt or media in, video out."""

from kinora.generation.clip import GeneratedClip
from kinora.generation.generator import VideoGenerator
from kinora.generation.model_version import ModelVersion, read_version, write_version
from kinora.generation.options import RequestOptions, request_for
from kinora.generation.registry import Registry
from kinora.generation.request import ClipFormat, GenerationRequest, Task
from kinora.generation.step import Step

__all__ = [
    "ClipFormat",
    "GeneratedClip",
    "GenerationRequest",
    "ModelVersion",
    "Registry",
    "RequestOptions",
    "Step",
    "Task",
    "VideoGenerator",
    "read_version",
    "request_for",
    "write_version",
]
