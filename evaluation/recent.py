"""How well the deployed model answers what it is asked for lately."""

import pandas as pd

from evaluation.checkpoint import generate_clips, judge_prompts
from evaluation.report import failed_types, worst_clips
from kinora.data.drift import DriftConfig
from kinora.generation import VideoGenerator
from kinora.generation.request import ClipFormat, Task
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


def judge_recent(requests: pd.DataFrame, config: DriftConfig, artifact_root: str) -> tuple[Page, dict[str, float]]:
    """Let the deployed model make a clip of each of the recent prompts, and judge them.

    Returns:
        A report, and the figures `judged`, how many, and where there are any, `without_failure`, the share of the
        clips in which no failure was found. Where there are fewer requests than decide anything, nothing is judged.

    Raises:
        KinoraError: if no model version is deployed.
    """
    if len(requests) < config.fewest_requests:
        sentence = f"{len(requests)} requests say nothing; {config.fewest_requests} are needed."
        return Page("Recent prompts", sentence), {"judged": 0.0}
    generator = VideoGenerator.from_version(artifact_root=artifact_root)
    prompts = recent_prompts(requests, config.judged, generator.usual)
    if not prompts:
        return Page("Recent prompts", "No video was asked for by text alone: nothing can be judged."), {"judged": 0.0}
    clips = generate_clips(generator, prompts)
    evaluation = judge_prompts(clips, prompts, "the deployed model")
    failed = evaluation["clips_with_failure"]
    figures = {"judged": float(len(clips)), "without_failure": 1 - failed / len(clips)}
    page = Page("Recent prompts", f"The deployed model was asked again for {len(clips)} recent prompts, a clip each.")
    page.figures({"prompts": f"{len(clips)}", "clips without a failure": f"{figures['without_failure']:.0%}"})
    if failed:
        page.heading("Failures").clips(worst_clips(evaluation, clips, SHOWN))
    page.heading("Every prompt").table(
        [
            {"prompt": record["asked"]["prompt"], "failures": ", ".join(failed_types(record)) or "none"}
            for record in evaluation["clips"]
        ],
        caption="Where a prompt names nothing that can be checked, only physics and consistency are judged.",
    )
    return page, figures
