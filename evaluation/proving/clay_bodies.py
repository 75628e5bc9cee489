"""The bodies of the family `clay`: what is seen of a thing of some outline and skin, turned in space and lit."""

from functools import lru_cache

import cv2
import numpy as np

from evaluation.proving.clay_skins import TURNS, Lamps, folded, marked, radii, skin, turn_about
from evaluation.proving.paper import other_outline
from evaluation.proving.stage.scene import Scene, Take


class Body:
    """One thing of a scene: its skins, its relief, and how it turns in space."""

    def __init__(self, scene: Scene, index: int, lamps: Lamps, unlike: np.ndarray, ink: np.ndarray) -> None:
        self.thing, self.index, self.fps = scene.things[index], index, scene.fps
        self.lamps, self.unlike, self.ink = lamps, unlike, ink
        rng = np.random.default_rng([self.thing.look, 5])
        self.rolls = self.thing.round and scene.kind == "billiard"  # over a table, seen from above
        slant = rng.uniform(0, 1.2 if scene.kind == "drift" else 0.6) if self.thing.round else rng.uniform(0, 0.15)
        away = rng.uniform(0, 2 * np.pi)
        self.axis = np.array([np.sin(slant) * np.cos(away), np.sin(slant) * np.sin(away), np.cos(slant)])
        self.bevel = 1.0 if self.thing.round else float(rng.uniform(0.35, 1.0))  # share of the radius that is curved
        self.gloss, self.shine = float(rng.choice([8, 20, 60])), float(rng.choice([0, 0, 40, 110]))
        self.fuzz = float(rng.choice([0, 0, 0.25]))  # light in the hairs about its edge, as of felt
        changed = other_outline(self.thing.look, self.thing.outline)
        self.radii = radii(self.thing.outline, is_round=self.thing.round), radii(changed, is_round=False)
        self.skin = lru_cache(32)(self._skin)

    def _skin(self, turned: float, mark: float) -> np.ndarray:
        own = skin(self.thing.look, self.unlike)
        if turned:
            own = cv2.addWeighted(own, 1 - turned, skin(self.thing.look + 1, self.unlike), turned, 0)
        if mark:
            spoilt = marked(own, self.thing.look, fragile=self.thing.fragile, ink=self.ink)
            own = cv2.addWeighted(own, 1 - mark, spoilt, mark, 0)
        return own

    def turns(self, take: Take) -> list[np.ndarray]:
        """How it is turned in space in each frame, `[3, 3]`: the same wherever a take shows the same moment again."""
        if not self.rolls:
            return [turn_about(self.axis, angle) for angle in take.angle[:, self.index]]
        known: dict[bytes, np.ndarray] = {}
        turned, found = np.eye(3), []
        place, velocity = take.position[:, self.index], take.velocity[:, self.index]
        for frame, (here, speed) in enumerate(zip(place, velocity, strict=True)):
            step = here - place[frame - 1] if frame else np.zeros(2)
            if np.linalg.norm(step) > 2 * np.linalg.norm(speed) / self.fps + 0.01:  # it was put there
                step = speed / self.fps
            rolled = turn_about(np.array([-step[1], step[0], 0]), 1 / self.thing.radius) @ turned
            turned = known.setdefault(np.concatenate([here, speed]).tobytes(), rolled)
            found.append(turned)
        return found

    def seen(
        self, u: np.ndarray, v: np.ndarray, pixels: float, angle: float, turned: np.ndarray, change: tuple[float, ...]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Its colours float32 `[h, w, 3]` and how far it covers, `[h, w]`, at places in its radii from its middle.

        `change` is how far it has its second look, its second outline and its mark.
        """
        other, morphed, mark = change
        way = ((np.arctan2(v, u) - angle) * (TURNS / (2 * np.pi)) + TURNS / 2).astype(int) % TURNS
        limit = (self.radii[0] * (1 - morphed) + self.radii[1] * morphed).astype(np.float32)[way]
        out = np.maximum(np.hypot(u, v), 1e-4).astype(np.float32)
        cover = np.clip((limit - out) * np.float32(pixels) + 0.5, 0, 1)
        if mark and self.thing.fragile:  # a piece is gone
            gap = angle + self.thing.look % 6
            lost = 0.5 * mark - np.hypot(u - 0.95 * np.cos(gap), v - 0.95 * np.sin(gap))
            cover = np.minimum(cover, np.clip(0.5 - lost * pixels, 0, 1)).astype(np.float32)
        far = np.minimum(out / limit, 0.998)
        aside, up = u / out, v / out
        ball = np.dstack([aside * far, up * far, np.sqrt(1 - far**2)])
        seen = cv2.remap(self.skin(other, mark), *folded(ball @ turned.astype(np.float32)), cv2.INTER_LINEAR)
        steep = np.clip((far - 1 + self.bevel) / self.bevel, 0, 0.998)
        down, right = np.gradient(seen[:, :, 3]) if min(u.shape) > 1 else (0 * u, 0 * u)
        bump = np.float32(pixels)
        normal = np.dstack([aside * steep - right * bump, up * steep + down * bump, np.sqrt(1 - steep**2)])
        normal = (normal / np.linalg.norm(normal, axis=2, keepdims=True)).astype(np.float32)
        light = self.lamps.fall(normal) * (1 - 0.35 * steep**4)[:, :, None] + self.fuzz * (steep**3)[:, :, None]
        drawn = seen[:, :, :3] * light
        if self.shine:
            drawn = drawn + (self.shine * self.lamps.glint(normal, self.gloss))[:, :, None]
        return drawn.astype(np.float32), cover


def trailed(drawn: np.ndarray, cover: np.ndarray, trail: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Colours and cover blurred along a trail in pixels."""
    moved = np.dstack([drawn * cover[:, :, None], cover])
    total = np.zeros_like(moved)
    for back in (0.0, 0.25, 0.5, 0.75, 1.0):
        shift = np.array([[1, 0, -trail[0] * back], [0, 1, -trail[1] * back]])
        total += cv2.warpAffine(moved, shift, moved.shape[1::-1]) / 5
    return total[:, :, :3] / np.maximum(total[:, :, 3:], 1e-3), total[:, :, 3]
