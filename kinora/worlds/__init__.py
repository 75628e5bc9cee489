"""Simulated worlds: scenes with known state at every frame, drawn at any size, and described in words."""

from kinora.worlds.language import Attributes, attributes, describe, parse, sentences, understood
from kinora.worlds.registry import WORLDS, camera_of, render, simulate
from kinora.worlds.sampling import (
    EvaluationPrompt,
    Sample,
    WorldsConfig,
    draw_sample,
    evaluation_prompts,
    simulate_prompt,
)
from kinora.worlds.scene import BACKGROUNDS, GRAVITY, PALETTE, SHAPES, STATE_COLUMNS, Body, Brief, Scene, World

__all__ = [
    "BACKGROUNDS",
    "GRAVITY",
    "PALETTE",
    "SHAPES",
    "STATE_COLUMNS",
    "WORLDS",
    "Attributes",
    "Body",
    "Brief",
    "EvaluationPrompt",
    "Sample",
    "Scene",
    "World",
    "WorldsConfig",
    "attributes",
    "camera_of",
    "describe",
    "draw_sample",
    "evaluation_prompts",
    "parse",
    "render",
    "sentences",
    "simulate",
    "simulate_prompt",
    "understood",
]
