"""What the checkpoints of a run are asked for."""

import json

import pytest

from evaluation.footage import ContinuationTask, given_frames
from evaluation.prompts import asked_again, prompts_for
from kinora import recipes
from kinora.config import to_dict
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS, defaults
from kinora.data.grid import Grid
from kinora.errors import KinoraError
from kinora.worlds import Attributes, evaluation_prompts

SENTENCE = "A large red circle moves slowly to the right on a grey background."
CIRCLE = "A red circle moves slowly to the right on a grey background."
VIDEO = {"kind": "video", "width": 40, "height": 24, "frames": 17, "fps": 8.0, "split": "validation"}
IMAGE = {"kind": "image", "width": 40, "height": 24, "frames": 1, "split": "validation"}


@pytest.fixture
def dataset(tmp_path):
    def make(*rows):
        full = [defaults(CLIP_COLUMNS) | {"clip_id": f"clip-{n}", "source": f"{n}.mp4"} | r for n, r in enumerate(rows)]
        return ClipDataset.write(tmp_path, table(full, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})

    return make


@pytest.fixture(scope="module")
def recipe():
    return recipes.get("smoke")


def test_simulated_clips_are_judged_on_the_held_out_combinations(dataset, recipe):
    simulated = dataset(VIDEO | {"caption": SENTENCE, "caption_source": "simulator"})
    plan = recipe.evaluation
    assert prompts_for(simulated, recipe) == evaluation_prompts(recipe.ingest.worlds, plan.prompts, plan.seed)


def test_own_videos_are_continued_with_a_persons_words_or_none(dataset, recipe):
    own = dataset(
        VIDEO | {"caption": SENTENCE, "caption_source": "captioner"},
        VIDEO | {"caption": "A dog jumps.", "caption_source": "human"},
        VIDEO | {"caption": "A cat sleeps.", "caption_source": "human", "split": "train"},
        IMAGE | {"caption": "A house.", "caption_source": "human"},
        VIDEO | {"frames": 9},
    )
    tasks = prompts_for(own, recipe)
    assert {(task.clip, task.prompt) for task in tasks} == {("clip-0", ""), ("clip-1", "A dog jumps."), ("clip-4", "")}
    assert {(task.frames, task.given) for task in tasks} == {(17, 5), (9, 1)}
    assert len({task.seed for task in tasks}) == len(tasks) == recipe.evaluation.prompts
    assert prompts_for(own, recipe) == tasks


def test_every_file_has_its_turn_before_any_has_a_second(dataset, recipe):
    """Windows of one file are alike, so that many of one say less than one of many."""
    long = [VIDEO | {"source": "long.mp4"}] * 20
    tasks = prompts_for(dataset(*long, VIDEO | {"source": "a.mp4"}, VIDEO | {"source": "b.mp4"}), recipe)
    assert {task.source for task in tasks[:3]} == {"long.mp4", "a.mp4", "b.mp4"}
    assert len({task.clip for task in tasks}) == len(tasks) == recipe.evaluation.prompts


def test_where_only_images_are_held_out_people_captions_are_asked_for(dataset, recipe):
    own = dataset(
        IMAGE | {"caption": "A house by the sea.", "caption_source": "human"},
        IMAGE | {"caption": SENTENCE, "caption_source": "captioner"},
        IMAGE | {"caption": CIRCLE, "caption_source": "human"},
        VIDEO | {"split": "train"},
    )
    prompts = prompts_for(own, recipe)
    assert {prompt.prompt for prompt in prompts} == {"A house by the sea.", CIRCLE}
    said = {prompt.prompt: prompt.attributes for prompt in prompts}
    assert said["A house by the sea."] == Attributes(())
    assert said[CIRCLE].motion == "right"


def test_where_nothing_can_be_judged_it_is_said(dataset, recipe):
    own = dataset(IMAGE | {"caption": SENTENCE, "caption_source": "captioner"}, VIDEO | {"split": "train"})
    with pytest.raises(KinoraError, match="nothing to judge a model by"):
        prompts_for(own, recipe)


def test_what_was_asked_can_be_asked_again(dataset, recipe):
    asked = [
        *prompts_for(dataset(VIDEO), recipe),
        *evaluation_prompts(recipe.ingest.worlds, 2, seed=0),
    ]
    assert [asked_again(json.loads(json.dumps(to_dict(one)))) for one in asked] == asked
    assert isinstance(asked[0], ContinuationTask)


@pytest.mark.parametrize(("frames", "given"), [(5, 1), (9, 1), (13, 1), (17, 5), (33, 9), (65, 21)])
def test_about_the_first_third_is_given_in_whole_latents(frames, given):
    grid = Grid(8, 4)
    assert given_frames(frames, grid) == given
    assert grid.has_length(given)
