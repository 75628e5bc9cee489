"""Simulated worlds: scenes with known state at every frame, drawn at any size, with captions that say what is seen."""

from kinora.data.worlds.language import Attributes, attributes, describe, parse, sentences
from kinora.data.worlds.registry import WORLDS, render, simulate
from kinora.data.worlds.sampling import (
    EvaluationPrompt,
    Sample,
    WorldsConfig,
    draw_sample,
    evaluation_prompts,
    simulate_prompt,
)
from kinora.data.worlds.scene import BACKGROUNDS, GRAVITY, PALETTE, SHAPES, STATE_COLUMNS, Body, Brief, Scene, World
from kinora.data.worlds.writing import write_worlds

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
    "describe",
    "draw_sample",
    "evaluation_prompts",
    "parse",
    "render",
    "sentences",
    "simulate",
    "simulate_prompt",
    "write_worlds",
]
