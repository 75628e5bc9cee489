"""Prompt or media in, video out."""

from kinora.generation.model_version import ModelVersion, read_version, write_version
from kinora.generation.request import GenerationRequest
from kinora.generation.simulator import Simulator

__all__ = ["GenerationRequest", "ModelVersion", "Simulator", "read_version", "write_version"]
