"""The family `studio`: rays meet solids where geometry says, and nothing of its looks is the other family's."""

import ast
from pathlib import Path

import numpy as np
import pytest

from evaluation.proving import filming, paper, solids, studio
from evaluation.proving.stage.dynamics import simulate


def rays(count: int = 4000) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    towards = rng.uniform(-1.2, 1.2, (count, 3)) - [0.3, 0.4, 3.0]
    return np.array([0.3, 0.4, 3.0], np.float32), (towards / np.linalg.norm(towards, axis=1, keepdims=True)).astype(
        np.float32
    )


SQUARE = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]]) * 0.6
SOLIDS = {
    "sphere": (lambda o, r: solids.sphere(o, r, 0.8), lambda p: np.linalg.norm(p, axis=-1) < 0.8),
    "prism": (lambda o, r: solids.prism(o, r, SQUARE, 0.4), lambda p: (np.abs(p) < [0.6, 0.6, 0.4]).all(-1)),
    "cylinder": (
        lambda o, r: solids.cylinder(o, r, 0.7, 0.5),
        lambda p: (np.hypot(p[..., 0], p[..., 1]) < 0.7) & (np.abs(p[..., 2]) < 0.5),
    ),
}


@pytest.mark.parametrize("name", SOLIDS)
def test_rays_meet_a_solid_where_marching_along_them_does(name):
    cast, inside = SOLIDS[name]
    origin, directions = rays()
    distance, normal = cast(origin, directions)
    steps = np.arange(1.0, 5.0, 0.01)
    marched = inside(origin + steps[:, None, None] * directions)
    hits = marched.any(0)
    first = steps[marched.argmax(0)]
    assert (hits != np.isfinite(distance)).mean() < 0.02  # rays that graze
    both = hits & np.isfinite(distance)
    assert both.sum() > 300
    assert np.abs(first - distance)[both].max() < 0.03
    np.testing.assert_allclose(np.linalg.norm(normal[both], axis=1), 1, atol=1e-3)
    assert ((normal * directions).sum(1)[both] < 1e-3).all()  # seen from outside


def test_things_are_drawn_where_the_camera_sees_them():
    met = 0
    for seed in range(5):
        scene, painter = studio.stage(np.random.default_rng(seed), None, (96, 96))
        take = simulate(scene)
        take = take.at(np.arange(0, scene.frames, 8))
        picture = painter.paint(take)
        assert np.isfinite(picture.frames).all()
        places = painter.whereabouts(take)
        seen = filming.visibility(scene, painter, take, picture)
        for frame, index in np.argwhere(seen > 0.97):
            if scene.things[index].round:
                rows, columns = np.nonzero(picture.owner[frame] == index)
                assert np.hypot(columns.mean() - places[frame, index, 0], rows.mean() - places[frame, index, 1]) < 3.0
                met += 1
    assert met > 10


def test_the_same_seed_gives_the_same_clips():
    one, other = (list(studio.cases(1, seed=3)) for _ in range(2))
    for first, second in zip(one, other, strict=True):
        np.testing.assert_array_equal(first.clip.frames, second.clip.frames)
        assert first.failure == second.failure


def test_the_families_share_no_looks():
    """Neither imports what draws the other, nor the simulated worlds."""
    folder = Path(studio.__file__).parent
    looks = {"studio": {"studio", "solids", "materials", "viewpoint"}, "paper": {"paper", "prints"}}
    assert paper.__name__.endswith("paper")
    for family, modules in looks.items():
        foreign = {f"evaluation.proving.{name}" for name in looks["paper" if family == "studio" else "studio"]}
        for module in modules:
            imported = set()
            for node in ast.walk(ast.parse((folder / f"{module}.py").read_text())):
                if isinstance(node, ast.ImportFrom):
                    imported |= {str(node.module)} | {f"{node.module}.{name.name}" for name in node.names}
                elif isinstance(node, ast.Import):
                    imported |= {name.name for name in node.names}
            assert not imported & foreign
            assert not any(name.startswith("kinora.worlds") for name in imported)
