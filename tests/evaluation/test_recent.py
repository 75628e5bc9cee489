"""The deployed model is judged on what was asked for lately, by text, each prompt once."""

import pandas as pd
import pytest

from evaluation import recent
from evaluation.recent import judge_recent, recent_prompts
from kinora.data.drift import DriftConfig
from kinora.errors import KinoraError
from kinora.generation import Registry, write_version
from kinora.generation.request import ClipFormat


def requests(*prompts: str, kind: str = "video", task: str = "text") -> pd.DataFrame:
    return pd.DataFrame({"kind": kind, "task": task, "prompt": prompts})


def test_the_newest_prompts_of_text_are_asked_once_each_in_the_usual_format():
    asked = pd.concat(
        [
            requests("a red circle", "a cat jumps", "a red circle", "a blue square falls"),
            requests("an image", kind="image"),
            requests("an extension", task="extend"),
        ]
    )
    prompts = recent_prompts(asked, 2, ClipFormat(48, 32, 9, 4.0))
    assert [prompt.prompt for prompt in prompts] == ["a blue square falls", "a red circle"]
    assert (prompts[0].width, prompts[0].height, prompts[0].frames, prompts[0].fps) == (48, 32, 9, 4.0)
    assert prompts[0].attributes.motion == "fall"
    assert recent_prompts(asked, 9, ClipFormat())[2].attributes.motion is None  # nothing of it can be checked


def test_the_deployed_model_makes_them_and_is_judged(model_folders, tmp_path):
    config, root = DriftConfig(fewest_requests=10, judged=3), str(tmp_path / "artifacts")
    many = requests(*[f"a red circle {'moves ' * number}" for number in range(12)])
    assert judge_recent(many.head(9), config, root)[1] == {"judged": 0}
    with pytest.raises(KinoraError, match="no model version is deployed"):
        judge_recent(many, config, root)
    deploy(model_folders, tmp_path, root)
    page, figures = judge_recent(many, config, root)
    assert figures == {"judged": 3, "answered": 0}  # random weights make noise
    text = page.write(tmp_path / "recent.html").read_text()
    assert text.count("<video") == 3
    assert judge_recent(many.assign(task="edit"), config, root)[1] == {"judged": 0}


def test_a_prompt_with_words_that_the_model_never_saw_is_not_answered(model_folders, tmp_path, monkeypatch):
    """Physics and consistency find nothing wrong with a clip that shows none of what was asked for."""
    monkeypatch.setattr(recent, "failed_types", lambda record: ())
    config, root = DriftConfig(fewest_requests=10, judged=4), str(tmp_path / "artifacts")
    deploy(model_folders, tmp_path, root)
    asked = requests(*["a dragon"] * 8, "a red circle", "a red dragon moves", "a blue square")
    page, figures = judge_recent(asked, config, root)
    assert figures == {"judged": 4, "answered": 0.5}
    assert "dragon" in page.write(tmp_path / "recent.html").read_text()


def deploy(model_folders, tmp_path, root):
    """Promote a version with random weights."""
    recipe = {"name": "r", "sampling": {"steps": 2, "guidance": 1.0, "shift": 1.0}}
    parts = (model_folders / part for part in ("vae", "dit", "captioner"))
    version = write_version(tmp_path / "versions", *parts, recipe, {"clips": [], "rates": {"overall": 0.0}}, {})
    Registry(root).promote(version.path, verdict="by hand")
