"""Image generation: a video of one frame, small and at 2048x2048."""

from benchmarks.report.studio import Section, Studio, Tile, named

PROMPTS = ("a red ball", "a blue cube on a black background", "a green triangle", "a yellow circle and a purple square")
SEED, LARGE = 1, (2048, 2048)


def make(studio: Studio) -> Section:
    """Make an image of every prompt, and the first of them as large as it may be."""
    small = [studio.clip(prompt, frames=1, seed=SEED) for prompt in PROMPTS]
    large = studio.clip(PROMPTS[0], frames=1, seed=SEED, size=LARGE)
    return Section(
        [
            studio.show("images", [[Tile(image.frames) for image in small]], 1.0, "; ".join(map(named, small)) + "."),
            studio.show("large-image", [[Tile(large.frames)]], 1.0, f"{named(large)}, shown smaller.", tile=512),
        ]
    )
