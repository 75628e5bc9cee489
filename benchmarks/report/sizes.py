"""Sampling flexibility: one prompt and one seed at many aspect ratios, and at full size."""

from benchmarks.report.studio import Section, Studio, Tile

PROMPT, SEED = "a red ball falls and bounces", 1
SHORT = 108  # pixels of the shorter side of the small ones: a tenth of the full sizes
RATIOS = ((16, 9), (4, 3), (1, 1), (3, 4), (9, 16))
FULL, FULL_FRAMES = ((1920, 1080), (1080, 1920)), 9


def make(studio: Studio) -> Section:
    """Make the clips."""
    small = []
    for across, down in RATIOS:
        size = (SHORT * across // min(across, down), SHORT * down // min(across, down))
        small.append(studio.clip(PROMPT, size=size, seed=SEED))
    full = [studio.clip(PROMPT, size=size, frames=FULL_FRAMES, seed=SEED) for size in FULL]
    rows = [[Tile(c.frames, f"{c.frames.shape[2]}×{c.frames.shape[1]}") for c in clips] for clips in (small, full)]
    told, fps = f"“{PROMPT}”, seed {SEED}", small[0].fps
    return Section(
        [
            studio.show("sizes", rows[:1], fps, f"{told}, {len(small[0].frames)} frames."),
            studio.show("full-size", rows[1:], fps, f"{told}, {FULL_FRAMES} frames, shown smaller.", tile=480),
        ]
    )
