"""The benchmark of the detectors themselves, on clips whose failures are known.

Right clips must pass: the simulator's own, the same blurred, the same through the autoencoder. Noise must lose. Clips
with one failure put in must be found failing in that type, at those frames.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from evaluation.checkpoint import generate_clips
from evaluation.corruptions import CORRUPTIONS, CorruptedClip
from evaluation.evaluator import DETECTORS, clip_record, evaluate_clips, evaluator, failing, judge
from evaluation.findings import ClipInput
from evaluation.overlay import annotated, failing_frames
from evaluation.rates import METRICS
from evaluation.report import METRIC_LABELS
from kinora.report import Clip, Page
from kinora.worlds import WorldsConfig, draw_sample, evaluation_prompts

BLUR, GRAIN = 0.9, 3.0  # pixels and levels: about what an autoencoder of 28 to 30 dB does to these clips
LOCATED = 0.5  # overlap (intersection over union of frames) from which a failure counts as located

Through = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Benchmark:
    """What the detectors make of clips whose truth is known.

    `right` gives for every kind of clips that should pass, and for noise and models: the mean rates, and of every type
    the share of clips failing. `corrupted` gives one row a way of breaking a clip: how often it was found and located.
    """

    evaluator: dict[str, Any]
    clips: int
    right: dict[str, dict[str, Any]]
    corrupted: dict[str, dict[str, Any]]
    examples: list[Clip] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the figures as plain values for JSON."""
        return asdict(replace(self, examples=[]))


def benchmark(
    worlds: WorldsConfig | None = None,
    *,
    count: int = 64,
    seed: int = 7,
    through: dict[str, Through] | None = None,
    models: Mapping[str, Sequence[ClipInput]] | None = None,
) -> Benchmark:
    """Judge right, corrupted and meaningless clips.

    Args:
        worlds: what the clips show; the default configuration if None.
        count: number of simulated clips.
        seed: of the clips.
        through: name to a function of frames `uint8 [T, H, W, 3]`, an autoencoder for example.
        models: name to clips of a model, judged as they are, an untrained one for example.
    """
    config = worlds or WorldsConfig()
    rng = np.random.default_rng(seed)
    samples = [draw_sample(config, rng, held_out=False) for _ in range(count)]
    clips = [ClipInput(f"{i:03d}", s.frames, s.fps, s.caption) for i, s in enumerate(samples)]
    ways: dict[str, Through] = {"slightly blurred and grainy": blurred, **(through or {})}
    right = {"the simulator's clips": _rates(clips)}
    for name, way in ways.items():
        right[f"the same, {name}"] = _rates([replace(c, frames=way(c.frames)) for c in clips])
    for name, generated in (models or {}).items():
        right[name] = _rates(generated)
    noise = [replace(c, frames=rng.integers(0, 256, c.frames.shape).astype(np.uint8)) for c in clips]
    right["noise"] = _rates(noise)
    corrupted: dict[str, dict[str, Any]] = {}
    examples: list[Clip] = []
    for name, corruption in CORRUPTIONS.items():
        made = [b for sample, clip in zip(samples, clips, strict=True) if (b := corruption(sample, clip)) is not None]
        corrupted[name] = {"as drawn": _found(made)}
        for way_name, way in ways.items():
            corrupted[name][way_name] = _found(
                [replace(b, clip=replace(b.clip, frames=way(b.clip.frames))) for b in made]
            )
        if made:
            examples.append(_example(name, made[len(examples) % len(made)]))
    return Benchmark(evaluator(), count, right, corrupted, examples)


def benchmark_page(result: Benchmark) -> Page:
    """Return the page of a benchmark."""
    own = result.right["the simulator's clips"]
    found = [row["as drawn"] for row in result.corrupted.values() if row["as drawn"]["clips"]]
    page = Page(
        "Are the detectors right?",
        "The detectors are judged before any model is: on clips that are right, on noise, and on clips with one known "
        "failure put in.",
    )
    page.figures(
        {
            "overall score of right clips": f"{own['rates']['overall']:.1%}",
            "overall score of noise": f"{result.right['noise']['rates']['overall']:.1%}",
            "of known failures found": f"{np.average([r['found'] for r in found], weights=_sizes(found)):.1%}",
            "of known failures located": f"{np.average([r['located'] for r in found], weights=_sizes(found)):.1%}",
        }
    )
    page.heading("Clips that are right, and noise")
    page.table([{"": METRIC_LABELS[m]} | {n: f"{r['rates'][m]:.1%}" for n, r in result.right.items()} for m in METRICS])
    page.heading("Clips failing, by type")
    page.table(
        [{"type": kind} | {n: f"{r['failing'][kind]:.1%}" for n, r in result.right.items()} for kind in DETECTORS],
        "On right clips every failure is a false alarm. What was due and not measurable counts as failing.",
    )
    page.heading("Clips with one known failure")
    rows = []
    for name, ways in result.corrupted.items():
        row: dict[str, Any] = {
            "failure put in": name,
            "type": ways["as drawn"]["type"],
            "clips": ways["as drawn"]["clips"],
        }
        for way, figures in ways.items():
            row[f"found, {way}"] = _percent(figures["found"])
            row[f"located, {way}"] = _percent(figures["located"])
        rows.append(row)
    page.table(
        rows, f"Located: found, and at least {LOCATED:.0%} of the frames named and of the frames failing are shared."
    )
    page.heading("One of each")
    page.text("The strip below a clip is its time, red where the detectors find the failure.")
    page.clips(result.examples)
    return page.text(f"Evaluator version {result.evaluator['version']}, digest {result.evaluator['digest'][:16]}.")


def blurred(frames: np.ndarray) -> np.ndarray:
    """Return frames with a blur and grain like an autoencoder's."""
    rng = np.random.default_rng(0)
    soft = np.stack([cv2.GaussianBlur(frame, (0, 0), BLUR) for frame in frames]).astype(float)
    return np.clip(soft + rng.normal(0, GRAIN, soft.shape), 0, 255).round().astype(np.uint8)


def through_autoencoder(folder: Path) -> Through:
    """Return the function that encodes frames with the autoencoder in `folder` and decodes them again."""

    from kinora.media.tensors import to_frames, to_tensor
    from kinora.models.autoencoder import load_autoencoder

    model = load_autoencoder(folder).for_inference()

    def through(frames: np.ndarray) -> np.ndarray:
        return to_frames(model.video_of(model.latents_of(to_tensor(frames)[None]), frames.shape[:3])[0])

    return through


def model_clips(autoencoder: Path, checkpoint: Path, count: int, worlds: WorldsConfig | None = None) -> list[ClipInput]:
    """Return clips that a checkpoint of the transformer makes of `count` held-out prompts."""
    from kinora.diffusion.sampler import Sampling
    from kinora.generation import ClipFormat, VideoGenerator

    worlds = worlds or WorldsConfig()
    usual = ClipFormat(*worlds.sizes[0], max(worlds.frames), worlds.fps)
    generator = VideoGenerator.load(autoencoder, checkpoint, Sampling(), usual)
    return generate_clips(generator, evaluation_prompts(worlds, count, seed=0))


def overlap(corrupted: CorruptedClip) -> float:
    """Return the intersection over union of the failing frames and those found in the right type, 0 if none is."""
    findings = judge(corrupted.clip)[corrupted.type]
    truth = np.zeros(len(corrupted.clip.frames), dtype=bool)
    truth[corrupted.start_frame : corrupted.end_frame + 1] = True
    named = np.zeros_like(truth)
    for failure in findings.failures:
        named[failure.start_frame : failure.end_frame + 1] = True
    return float((truth & named).sum() / max(1, (truth | named).sum()))


def _found(corrupted: Sequence[CorruptedClip]) -> dict[str, Any]:
    overlaps = np.array([overlap(b) for b in corrupted])
    return {
        "type": corrupted[0].type if corrupted else "",
        "clips": len(corrupted),
        "found": float((overlaps > 0).mean()) if corrupted else None,
        "located": float((overlaps >= LOCATED).mean()) if corrupted else None,
    }


def _rates(clips: Sequence[ClipInput]) -> dict[str, Any]:
    report = evaluate_clips(clips)
    shares = {kind: float(np.mean([failing(r, kind) for r in report["clips"]])) for kind in DETECTORS}
    measurable = {kind: float(np.mean([r["measurable"][kind] for r in report["clips"]])) for kind in DETECTORS}
    return {"rates": report["summary"]["rates"], "failing": shares, "measurable": measurable}


def _example(name: str, corrupted: CorruptedClip) -> Clip:
    record = clip_record(corrupted.clip, judge(corrupted.clip))
    mine = [f for f in record["failures"] if f["type"] == corrupted.type]
    shown = annotated(corrupted.clip.frames, failing_frames({"failures": mine}, len(corrupted.clip.frames)))
    text = f"True: {corrupted.type}, frames {corrupted.start_frame}–{corrupted.end_frame}. "
    text += " ".join(f"Found: frames {f['start_frame']}–{f['end_frame']}. {f['explanation']}" for f in mine[:1])
    return Clip(shown, corrupted.clip.fps, f"{name.capitalize()}: {corrupted.clip.prompt}", text)


def _sizes(rows: Sequence[dict[str, Any]]) -> list[int]:
    return [row["clips"] for row in rows]


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
