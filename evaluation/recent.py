"""How well the deployed model answers what it is asked for lately."""

import pandas as pd

from evaluation.checkpoint import generate_clips, judge_prompts
from evaluation.gate.measures import failed_types
from evaluation.intervals import wilson
from evaluation.report import worst_clips
from kinora.data.drift import DriftConfig
from kinora.generation import VideoGenerator
from kinora.generation.request import ClipFormat, Task
from kinora.recipes.backends import NONE, Backends
from kinora.report import Page
from kinora.worlds import Attributes, EvaluationPrompt, parse

SHOWN = 12  # of the clips with a failure, the worst first


def recent_prompts(requests: pd.DataFrame, judged: int, usual: ClipFormat) -> list[EvaluationPrompt]:
    """Return the last `judged` different prompts of videos that were asked for by text alone, the newest first.

    They are asked for in the model's usual format: what fails in that fails in a larger one, and takes less time.

    Args:
        requests: `kind, task, prompt`, oldest first.
        judged: how many prompts at most.
        usual: what the model's training clips are like.
    """
    texts = requests[(requests["kind"] == "video") & (requests["task"] == Task.TEXT)]["prompt"]
    newest = list(dict.fromkeys(reversed(texts.tolist())))[:judged]
    return [
        EvaluationPrompt(
            prompt=prompt,
            attributes=parse(prompt) or Attributes(()),
            width=usual.width,
            height=usual.height,
            frames=usual.frames,
            fps=usual.fps,
            seed=number,
        )
        for number, prompt in enumerate(newest)
    ]


def judge_recent(
    requests: pd.DataFrame, config: DriftConfig, artifact_root: str, backends: Backends = NONE
) -> tuple[Page, dict[str, float]]:
    """Let the deployed model make a clip of each of the recent prompts, and judge them.

    Returns:
        A report, and the figures `judged`, how many, and where there are any, `answered`, the share of prompts all of
        whose words the model knows, and of whose clip no failure is found. Where there are fewer requests than decide
        anything, nothing is judged.

    Raises:
        KinoraError: if no model version is deployed, or a network of the backends cannot be had.
    """
    if len(requests) < config.fewest_requests:
        sentence = f"{len(requests)} requests say nothing; {config.fewest_requests} are needed."
        return Page("Recent prompts", sentence), {"judged": 0.0}
    generator = VideoGenerator.from_version(artifact_root=artifact_root)
    prompts = recent_prompts(requests, config.judged, generator.usual)
    if not prompts:
        return Page("Recent prompts", "No video was asked for by text alone: nothing can be judged."), {"judged": 0.0}
    clips = generate_clips(generator, prompts)
    evaluation = judge_prompts(clips, prompts, "the deployed model", backends)
    rows = [
        {
            "prompt": record["asked"]["prompt"],
            "failures": ", ".join(failed_types(record)) or "none",
            "words it never saw": ", ".join(generator.unknown_words(record["asked"]["prompt"])) or "none",
        }
        for record in evaluation["clips"]
    ]
    answered = sum(row["failures"] == row["words it never saw"] == "none" for row in rows)
    page = Page("Recent prompts", f"The deployed model was asked again for {len(clips)} recent prompts, a clip each.")
    page.figures({"prompts": f"{len(clips)}", "answered": f"{wilson(answered, len(clips))}"})
    if evaluation["clips_with_failure"]:
        page.heading("Failures").clips(worst_clips(evaluation, clips, SHOWN))
    page.heading("Every prompt").table(
        rows,
        caption="Where a prompt names nothing that can be checked, only physics and consistency are judged. What a "
        "word that the model never saw asks for, it cannot show.",
    )
    return page, {"judged": float(len(clips)), "answered": answered / len(clips)}
