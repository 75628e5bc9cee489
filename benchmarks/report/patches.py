"""Turning visual data into patches: clips and an image of native sizes, their patches, and one packed sequence."""

import numpy as np
from PIL import Image, ImageDraw

from benchmarks.report.studio import INK, Section, Studio, Tile, said, table
from kinora.data.packing import patch_grid
from kinora.media import enlarge

SHARE = ((120, 170, 240), (240, 170, 90), (130, 200, 140))  # of the sequence, a colour a clip
FRAMES = (17, 9, 1)
ROW, CELL = 40, 6  # tokens of the drawn sequence in a row, pixels of one


def make(studio: Studio) -> Section:
    """Draw the patches of the first held-out prompts of three sizes over the simulator's clips of them."""
    generator = studio.subject.generator
    vae, patch = generator.vae.config, generator.model.dit.config.patch_size
    asked, tiles, rows, lengths = [], [], [], []
    for prompt in studio.prompts(64):
        if (prompt.width, prompt.height) not in [(p.width, p.height) for p in asked]:
            asked.append(prompt)
    for prompt, frames, colour in zip(asked, FRAMES, SHARE, strict=False):
        clip = studio.subject.simulated(prompt)[:frames]
        shape = (vae.latent_channels, *vae.latent_shape(len(clip), prompt.height, prompt.width))
        grid = patch_grid(shape, patch)
        lengths.append(int(np.prod(grid)))
        what = f"{prompt.width}×{prompt.height}, " + (f"{len(clip)} frames" if len(clip) > 1 else "an image")
        tiles.append(Tile(np.stack([_gridded(frame, grid[1:], colour) for frame in clip]), what))
        rows.append({"": what, "latent": "×".join(map(str, shape)), "patches": "×".join(map(str, grid)),
                     "tokens": str(lengths[-1])})  # fmt: skip
    told = f"Clips of native sizes with their patches; {'; '.join(map(said, asked[: len(tiles)]))}."
    shown = studio.show("patches", [tiles], asked[0].fps, told, tile=288)
    caption = "One packed sequence: a square is a token, a colour a clip. Attention stays within a colour."
    sequence = studio.show("sequence", [[Tile(_sequence(lengths)[None])]], 1.0, caption, tile=2 * ROW * CELL)
    rows.append({"": "the sequence", "latent": "", "patches": "", "tokens": str(sum(lengths))})
    return Section([shown, sequence], [table(rows)])


def _gridded(frame: np.ndarray, cells: tuple[int, int], colour: tuple[int, int, int]) -> np.ndarray:
    """Return a frame, three times as large, with the borders of its patches."""
    large = Image.fromarray(enlarge(frame[None], 3)[0])
    draw = ImageDraw.Draw(large)
    for index in range(1, cells[0]):
        draw.line([(0, index * large.height // cells[0]), (large.width, index * large.height // cells[0])], colour)
    for index in range(1, cells[1]):
        draw.line([(index * large.width // cells[1], 0), (index * large.width // cells[1], large.height)], colour)
    return np.asarray(large)


def _sequence(lengths: list[int]) -> np.ndarray:
    """Draw tokens as squares in rows, each clip's in its colour."""
    count = sum(lengths)
    picture = Image.new("RGB", (ROW * CELL * 2, -(-count // ROW) * CELL * 2), INK[:3])
    draw, token = ImageDraw.Draw(picture), 0
    for length, colour in zip(lengths, SHARE, strict=False):
        for _ in range(length):
            left, top = token % ROW * CELL * 2, token // ROW * CELL * 2
            draw.rectangle((left + 1, top + 1, left + 2 * CELL - 2, top + 2 * CELL - 2), colour)
            token += 1
    return np.asarray(picture)
