"""Prompt or media in, video out."""

from kinora.generation.generator import VideoGenerator
from kinora.generation.model_version import ModelVersion, read_version, write_version
from kinora.generation.registry import Registry
from kinora.generation.request import GenerationRequest

__all__ = ["GenerationRequest", "ModelVersion", "Registry", "VideoGenerator", "read_version", "write_version"]
