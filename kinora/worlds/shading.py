"""The shaded look: things lit from the upper left, with textures and soft shadows, before a lit background.

Every tone is the thing's own colour made lighter or darker, so that the colour keeps its name. Positions in pixels are
x to the right and y downward, those in the world y upward.
"""

import math

import numpy as np

from kinora.worlds.figures import handle_distance, outline, sides, signed_distance
from kinora.worlds.scene import ANGLE, BACKGROUNDS, PALETTE, Body, Scene, X, Y

LIGHT = (-0.481, 0.551, 0.682)  # the direction of the light, of length 1: left, up, to the eye
HALFWAY = (-0.262, 0.3, 0.917)  # between it and the eye: where a ball shines
GLOSS, SHININESS = 0.75, 26.0
DARKER = 0.22  # by how much a texture's dark parts are darker
TEXTURES = ("plain", "stripes", "dots", "checker")
BEVEL = 0.2  # width of a figure's rim, in radii
SHADOW, SHADOW_SHIFT, SHADOW_BLUR = 0.38, (0.16, -0.2), 0.3  # how dark; in radii
WAVES = 14  # that make a background's texture
WAVELENGTH = (0.3, 1.0)  # world units
CONTRAST = 0.12  # of that texture


def backdrop(scene: Scene, path: np.ndarray, width: int, height: int) -> np.ndarray:
    """Return the background `float32 [T, height, width, 3]` seen along the camera's `path [T, 3]`.

    It is lighter at the upper left and has a texture of waves; each, sin(ax + by + c), is a sum of two products of a
    function of x and a function of y, so that a picture is one product of matrices.
    """
    rng = np.random.default_rng(scene.texture)
    turn, phase = rng.uniform(0, 2 * np.pi, size=(2, WAVES))
    length = np.exp(rng.uniform(math.log(WAVELENGTH[0]), math.log(WAVELENGTH[1]), WAVES))
    strength = rng.uniform(0.4, 1, WAVES) * (length / WAVELENGTH[1]) ** 0.35
    strength *= CONTRAST / np.linalg.norm(strength)
    still = bool((path == path[0]).all())
    x, y = world_of_pixels(scene, path[:1] if still else path, width, height)  # [T, W], [T, H]
    a = (2 * np.pi / length * np.cos(turn))[:, None]
    b = (2 * np.pi / length * np.sin(turn))[:, None]
    c = phase[:, None]
    one_x, one_y = np.ones_like(x)[:, None], np.ones_like(y)[:, None]
    lit_x, lit_y = -0.3 * (x / scene.width - 0.5)[:, None], 0.34 * (y / scene.height - 0.5)[:, None]
    of_x = np.concatenate([np.sin(a * x[:, None] + c), np.cos(a * x[:, None] + c), lit_x, one_x], axis=1)  # [T, K, W]
    of_y = np.concatenate([strength[:, None] * np.cos(b * y[:, None]), strength[:, None] * np.sin(b * y[:, None]),
                           one_y, lit_y], axis=1)  # [T, K, H]  # fmt: skip
    tone = (of_y.transpose(0, 2, 1) @ of_x).astype(np.float32)[..., None]
    colour = np.array(BACKGROUNDS[scene.background], dtype=np.float32)
    drawn = colour + tone * (0.5 * colour + 30)
    canvas = np.empty((len(path), height, width, 3), dtype=np.float32)
    canvas[:] = drawn
    return canvas


def world_of_pixels(scene: Scene, path: np.ndarray, width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the world's x of every column `[T, width]` and y of every row `[T, height]` of pixels."""
    unit = min(width, height) * path[:, 2:]  # pixels in a world unit, [T, 1]
    x = path[:, :1] + (np.arange(width) + 0.5 - width / 2) / unit
    y = path[:, 1:2] - (np.arange(height) + 0.5 - height / 2) / unit
    return x, y


def paint(
    canvas: np.ndarray, scene: Scene, body: Body, index: int, states: np.ndarray, shown: np.ndarray, path: np.ndarray
) -> None:
    """Draw one body with its shadow into the frames `shown [t]` of a canvas, in boxes around it."""
    height, width = canvas.shape[1:3]
    state = states[shown, index].astype(np.float32)
    view = path[shown].astype(np.float32)
    unit = min(width, height) * view[:, 2]  # [t] pixels in a world unit
    across = (state[:, X] - view[:, 0]) * unit + width / 2
    down = height / 2 - (state[:, Y] - view[:, 1]) * unit
    extent = float(np.linalg.norm(outline(body), axis=1).max()) * (3.5 if body.shape == "brush" else 1)
    half = int(np.ceil((extent + 0.4 * body.size) * unit.max())) + 1
    box_w, box_h = min(2 * half, width), min(2 * half, height)
    left = (np.floor(across).astype(int) - half) if box_w < width else np.zeros(len(shown), dtype=int)
    top = (np.floor(down).astype(int) - half) if box_h < height else np.zeros(len(shown), dtype=int)
    pixel = 1 / unit[:, None]
    dx = ((left[:, None] + np.arange(box_w) + 0.5 - across[:, None]) * pixel).astype(np.float32)[:, None, :]
    dy = -((top[:, None] + np.arange(box_h) + 0.5 - down[:, None]) * pixel).astype(np.float32)[:, :, None]
    angle = state[:, ANGLE, None, None]
    scale = unit[:, None, None]
    r = body.size
    shade = signed_distance(body, dx - SHADOW_SHIFT[0] * r, dy - SHADOW_SHIFT[1] * r, angle)
    shade = SHADOW * np.clip(0.5 - shade / (SHADOW_BLUR * r), 0, 1)
    tone, gloss, distance = _light(scene, body, index, dx, dy, angle)
    alpha = np.clip(0.5 - distance * scale, 0, 1)
    colour = np.array(PALETTE[body.colour], dtype=np.float32)
    drawn = np.minimum(tone[..., None] * colour, 250)
    drawn += gloss[..., None] * (255 - drawn)
    kept = ((1 - shade) * (1 - alpha))[..., None]
    drawn *= alpha[..., None]
    for number, frame in enumerate(shown):
        x0, y0 = left[number], top[number]
        columns = slice(max(0, -x0), min(box_w, width - x0))
        rows = slice(max(0, -y0), min(box_h, height - y0))
        if columns.start >= columns.stop or rows.start >= rows.stop:
            continue
        part = canvas[frame, y0 + rows.start : y0 + rows.stop, x0 + columns.start : x0 + columns.stop]
        part *= kept[number, rows, columns]
        part += drawn[number, rows, columns]


def _light(
    scene: Scene, body: Body, index: int, dx: np.ndarray, dy: np.ndarray, angle: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return how light a body is at points about its centre (1: its own colour), how white, and their distances."""
    r = body.size
    cosine, sine = np.cos(angle), np.sin(angle)
    u, v = (cosine * dx + sine * dy) / r, (cosine * dy - sine * dx) / r  # turned with the body
    if body.shape == "piece":  # as on the whole that it comes from
        whole = scene.bodies[0]
        u, v = (u * r + body.x - whole.x) / whole.size, (v * r + body.y - whole.y) / whole.size
        index = 0
    tone = texture(scene.texture, index, u, v)
    if body.shape in ("circle", "brush") and not body.points:
        px, py = dx / r, dy / r
        pz = np.sqrt(np.maximum(1 - px**2 - py**2, 0))
        diffuse = np.maximum(LIGHT[0] * px + LIGHT[1] * py + LIGHT[2] * pz, 0)
        gloss = GLOSS * np.maximum(HALFWAY[0] * px + HALFWAY[1] * py + HALFWAY[2] * pz, 0) ** SHININESS
        tone = tone * (0.62 + 0.52 * diffuse)
        distance = signed_distance(body, dx, dy, angle)
        if body.shape == "brush":
            held = handle_distance(body, dx, dy) < np.sqrt(dx**2 + dy**2) - r
            tone, gloss = np.where(held, 0.72, tone), np.where(held, 0.0, gloss)
        return tone.astype(np.float32), gloss.astype(np.float32), distance
    # A plate with a bevelled rim: each side of it faces the light or turns from it.
    edge: np.ndarray | None = None
    facing = np.zeros(1, dtype=np.float32)
    for (nx, ny), offset in zip(*sides(body), strict=True):
        wx, wy = nx * cosine - ny * sine, nx * sine + ny * cosine
        side = wx * dx + (wy * dy - offset)
        lit = (LIGHT[0] * wx + LIGHT[1] * wy).astype(np.float32)
        if edge is None:
            edge, facing = side, np.broadcast_to(lit, side.shape)
        else:
            facing = np.where(side > edge, lit, facing)
            edge = np.maximum(edge, side)
    assert edge is not None
    slope = np.clip((LIGHT[0] * dx + LIGHT[1] * dy) / (1.6 * r), -1, 1)
    rim = np.clip((edge + BEVEL * r) / (0.06 * r), 0, 1)
    tone = tone * (0.97 + 0.16 * slope) * (1 - rim) + rim * (0.84 + 0.42 * facing)
    return tone.astype(np.float32), np.float32(0.1) * rim * np.maximum(facing, 0), edge


def texture(seed: int, index: int, u: np.ndarray, v: np.ndarray, kind: str | None = None) -> np.ndarray:
    """Return the tone of a thing's texture at points (u, v) in its radii: 1, and `1 - DARKER` in its dark parts."""
    rng = np.random.default_rng([seed, index])
    kind = kind or TEXTURES[int(rng.integers(len(TEXTURES)))]
    turn, shift, shift_2 = rng.uniform(0, np.pi), *rng.uniform(0, 2 * np.pi, size=2)
    if kind == "plain":
        return np.ones(np.broadcast_shapes(u.shape, v.shape), dtype=np.float32)
    across = 5.4 * (np.cos(turn) * u + np.sin(turn) * v) + shift
    along = 5.4 * (np.cos(turn) * v - np.sin(turn) * u) + shift_2
    if kind == "stripes":
        pattern = np.tanh(2.5 * np.sin(across))
    elif kind == "dots":
        pattern = np.tanh(3.0 * (np.sin(1.2 * across) * np.sin(1.2 * along) - 0.3) * 2)
    else:
        pattern = np.tanh(2.5 * np.sin(0.8 * across)) * np.tanh(2.5 * np.sin(0.8 * along))
    return np.asarray(1.05 - DARKER * (0.5 + 0.5 * pattern), dtype=np.float32)
