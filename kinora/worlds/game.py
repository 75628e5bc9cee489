"""A game for one: a paddle that follows a ball and returns it, in a frame with walls. It goes on for ever."""

import numpy as np

from kinora.worlds.bouncing import reflect
from kinora.worlds.drawing import Planar
from kinora.worlds.language import PADDLE
from kinora.worlds.scene import BACKGROUNDS, VX, VY, Body, Brief, Scene, X, Y, blank_states

WALL_WIDTH = 0.06  # at the left, the right and above; below there is none
SIZE = 0.085  # radius of the ball
PADDLE_HALF = (0.2, 0.05)  # half its width and height
PADDLE_Y = 0.1  # its middle above the lower edge
SPEED = (0.62, 0.74)  # of the ball, world units per second
STEEP = (0.9, 1.15)  # radians from the horizontal
RETURN = (0.35, 0.65)  # when the ball is first returned, as a share of the clip


class Game(Planar):
    """The ball keeps its speed: walls and paddle reflect it. The paddle is as near below it as the walls allow."""

    motions: tuple[str, ...] = ("play",)
    speeds: tuple[str | None, ...] = (None,)
    things: int | None = 2
    shapes: tuple[str, ...] | None = (PADDLE,)
    shortest_s = 1.5
    fixed: tuple[str, ...] = ("play",)

    def sample(self, rng: np.random.Generator, brief: Brief) -> Scene:
        """Draw a game in which the ball is returned near the middle of the clip; `event_s` is when."""
        (paddle_colour, _), (ball_colour, _) = brief.things
        speed, steep = rng.uniform(*SPEED), rng.uniform(*STEEP)
        vx, vy = speed * np.cos(steep) * rng.choice((-1, 1)), speed * np.sin(steep)
        (left, right), (low, high) = court(brief.width, brief.height)
        when = rng.uniform(*RETURN) * min(brief.seconds, 2.0)
        place = rng.uniform(left, right)
        # Backward from the return, at which the ball is at `place` and `low` and about to rise.
        x, turned_x = reflect(np.array(place - vx * when), left, right)
        y, turned_y = reflect(np.array(low - vy * when), low, high)
        ball = Body(ball_colour, "circle", SIZE, float(x), float(y), float(vx * turned_x), float(vy * turned_y))
        w, h = PADDLE_HALF
        corners = ((-w, -h), (w, -h), (w, h), (-w, h))
        x_paddle = float(follow(x, brief.width))
        paddle = Body(paddle_colour, PADDLE, SIZE, x_paddle, PADDLE_Y, points=corners)
        size = brief.width, brief.height
        return Scene("game", brief.motion, None, brief.background, *size, (paddle, ball), event_s=float(when))

    def simulate(self, scene: Scene, frames: int, fps: float) -> np.ndarray:
        """Return the states of the paddle and the ball."""
        paddle, ball = scene.bodies
        states = blank_states(frames, 2, fps)
        t = np.arange(frames) / fps
        across, up = court(scene.width, scene.height)
        x, turned_x = reflect(ball.x + ball.vx * t, *across)
        y, turned_y = reflect(ball.y + ball.vy * t, *up)
        states[:, 1, X], states[:, 1, VX] = x, ball.vx * turned_x
        states[:, 1, Y], states[:, 1, VY] = y, ball.vy * turned_y
        states[:, 0, X], states[:, 0, Y] = follow(x, scene.width), paddle.y
        states[:, 0, VX] = np.where(states[:, 0, X] == x, states[:, 1, VX], 0.0)
        return states

    def furnish(self, scene: Scene, states: np.ndarray, canvas: np.ndarray) -> None:
        """Draw the walls in a lighter tone of the background."""
        height, width = canvas.shape[1:3]
        unit = min(width, height)
        x = (np.arange(width, dtype=np.float32) + 0.5)[None, :]
        y = (np.arange(height, dtype=np.float32) + 0.5)[:, None]
        inside = np.minimum(np.minimum(x, width - x), y) - WALL_WIDTH * unit  # pixels from the walls
        alpha = np.clip(0.5 - inside, 0, 1)[..., None]
        wall = wall_colour(scene.background)
        if scene.look == "shaded":  # lit at the upper left, with its shadow in the court
            lit = np.where(np.minimum(x, y + 0 * x) < WALL_WIDTH * unit, 1.06, 0.9)
            wall = wall * lit[..., None]
            near = np.minimum(x, y) / unit - WALL_WIDTH
            canvas *= 1 - 0.3 * np.clip(1 - near / 0.07, 0, 1)[..., None]
        canvas += alpha * (wall.astype(np.float32) - canvas)


def court(width: float, height: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return between which x and between which y the middle of the ball moves: it turns at these, and only there."""
    floor = PADDLE_Y + PADDLE_HALF[1] + SIZE
    return (WALL_WIDTH + SIZE, width - WALL_WIDTH - SIZE), (floor, height - WALL_WIDTH - SIZE)


def follow(x: np.ndarray, width: float) -> np.ndarray:
    """Return where the paddle is when the ball is at `x`: the rule that it plays by."""
    reach = WALL_WIDTH + PADDLE_HALF[0]
    return np.asarray(np.clip(x, reach, width - reach))


def wall_colour(background: str) -> np.ndarray:
    """Return the colour `[3]` of the walls: the background's, lighter."""
    return np.asarray(np.array(BACKGROUNDS[background], dtype=np.float32) * 1.25 + 22)
