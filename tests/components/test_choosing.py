"""What checkpoints are asked for, which becomes a version, and what it is held against."""

from pathlib import Path

import pandas as pd
import pytest

from components.choosing import CURRENT, prompts_for, ranked, version_in_service
from kinora import recipes
from kinora.config import write_json
from kinora.data.clips import CLIP_COLUMNS, QUARANTINE_COLUMNS, ClipDataset, table
from kinora.storage import open_store
from kinora.worlds import evaluation_prompts

SENTENCE = "A large red circle moves slowly to the right on a grey background."
VIDEO = {"kind": "video", "width": 40, "height": 24, "frames": 9, "fps": 8.0, "split": "validation"}


def dataset(*rows: dict) -> ClipDataset:
    return ClipDataset(
        Path(), table(rows, dict.fromkeys(CLIP_COLUMNS, "object")), pd.DataFrame(QUARANTINE_COLUMNS, [0]), {}
    )


def test_simulated_clips_are_judged_on_the_held_out_combinations():
    recipe = recipes.get("smoke")
    simulated = dataset(VIDEO | {"caption": SENTENCE, "caption_source": "simulator"})
    plan = recipe.evaluation
    assert prompts_for(simulated, recipe) == evaluation_prompts(recipe.ingest.worlds, plan.prompts, plan.seed)


def test_own_files_are_judged_on_their_unseen_captions():
    recipe = recipes.get("smoke")
    own = dataset(
        VIDEO | {"caption": SENTENCE, "caption_source": "captioner"},
        VIDEO | {"caption": "Qwerty.", "caption_source": "human"},  # names nothing that can be checked
        VIDEO | {"caption": SENTENCE.replace("red", "blue"), "caption_source": "captioner", "split": "train"},
    )
    prompts = prompts_for(own, recipe)
    assert {prompt.prompt for prompt in prompts} == {SENTENCE}
    assert {(prompt.width, prompt.height, prompt.frames, prompt.fps) for prompt in prompts} == {(40, 24, 9, 8.0)}
    assert len({prompt.seed for prompt in prompts}) == len(prompts) == recipe.evaluation.prompts


def test_the_best_trained_checkpoint_is_the_candidate():
    scores = {"step-000000": 0.9, "step-000100": 0.5, "step-000200": 0.4}
    candidate, untrained = ranked([{"name": name, "rates": {"overall": score}} for name, score in scores.items()])
    assert (candidate["name"], untrained["name"]) == ("step-000100", "step-000000")


@pytest.mark.parametrize("promoted", [False, True])
def test_the_version_in_service_is_the_one_named_on_s3(s3_root, tmp_path, promoted):
    store = open_store(s3_root)
    if promoted:
        (tmp_path / "version").mkdir()
        (tmp_path / "version" / "recipe.json").write_text("{}")
        store.put_folder(tmp_path / "version", "models/abc")
        write_json(tmp_path / "current.json", {"version": "abc", "uri": store.uri("models/abc")})
        store.put_file(tmp_path / "current.json", CURRENT)
    found = version_in_service(s3_root, tmp_path / "cache")
    assert found == (tmp_path / "cache" / "abc" if promoted else None)
    assert not promoted or (found / "recipe.json").is_file()
