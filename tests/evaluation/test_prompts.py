"""The prompts that the checkpoints of a run are evaluated on."""

import tempfile
from pathlib import Path

from evaluation.prompts import prompts_for
from kinora import recipes
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.worlds import evaluation_prompts

SENTENCE = "A large red circle moves slowly to the right on a grey background."
VIDEO = {"kind": "video", "width": 40, "height": 24, "frames": 9, "fps": 8.0, "split": "validation"}


def dataset(*rows: dict) -> ClipDataset:
    folder = Path(tempfile.mkdtemp())
    return ClipDataset.write(folder, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


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
