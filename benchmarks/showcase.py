"""The moving picture at the top of the README: a demo's own clips of its first held-out prompts, chosen by order alone.

python -m benchmarks.showcase WORK_FOLDER
"""

import json
import textwrap
from pathlib import Path

import numpy as np
import tyro
from PIL import Image, ImageDraw, ImageFont

from benchmarks.demo import artifacts
from kinora.files import atomic_write
from kinora.media import enlarge, read_video

PICTURE = Path(__file__).parents[1] / "docs" / "media" / "generated.webp"
COLUMNS, ROWS, TILE, TEXT = 3, 2, 240, 44  # pixels
PAPER, INK = (255, 255, 255), (60, 66, 74)


def write_showcase(work: tyro.conf.Positional[Path], out: Path = PICTURE) -> None:
    """Write the clips of the last checkpoint that the run in `work` judged, as an animated WebP."""
    folder = max(artifacts(work, "evaluate", "evaluation"), key=lambda path: evaluation(path)["name"])
    shown = evaluation(folder)["clips"][: COLUMNS * ROWS]
    videos = [read_video(folder / "clips" / f"{number:03d}.mp4") for number in range(len(shown))]
    length = min(len(frames) for frames, _ in videos)
    prompts = [clip["asked"]["prompt"] for clip in shown]
    pictures = [picture([frames[moment] for frames, _ in videos], prompts) for moment in range(length)]
    with atomic_write(out) as temporary:
        pictures[0].save(
            temporary,
            save_all=True,
            append_images=pictures[1:],
            duration=round(1000 / videos[0][1]),
            loop=0,
            quality=85,
        )


def evaluation(folder: Path) -> dict:
    """Return what was measured of a checkpoint."""
    return json.loads((folder / "evaluation.json").read_text())


def picture(frames: list[np.ndarray], prompts: list[str]) -> Image.Image:
    """Lay out one moment of every clip, with its prompt below."""
    sheet = Image.new("RGB", (COLUMNS * TILE, ROWS * (TILE + TEXT)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(size=14)
    for place, (frame, prompt) in enumerate(zip(frames, prompts, strict=True)):
        left, top = place % COLUMNS * TILE, place // COLUMNS * (TILE + TEXT)
        tile = Image.fromarray(enlarge(frame[None], (TILE - 10) // max(frame.shape[:2]))[0])
        sheet.paste(tile, (left + (TILE - tile.width) // 2, top + (TILE - tile.height) // 2))
        draw.multiline_text((left + 10, top + TILE), textwrap.fill(prompt, 32), INK, font)
    return sheet


if __name__ == "__main__":
    tyro.cli(write_showcase)
