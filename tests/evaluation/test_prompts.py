"""What the checkpoints of a run are asked for, to choose by and to decide by."""

import pytest

from evaluation.footage import given_frames
from evaluation.gate.measures import cluster
from evaluation.prompts import decision_questions, selection_questions
from kinora import recipes
from kinora.config import to_dict
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS, defaults
from kinora.data.grid import Grid
from kinora.errors import KinoraError
from kinora.recipes import get
from kinora.worlds import Attributes

FIRST, SECOND = "ab" * 32, "cd" * 32  # digests of candidates
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


def clusters(asked):
    return {cluster(to_dict(one)) for one in asked}


def seeds(asked):
    return [one.seed for one in asked]


def test_simulated_clips_are_judged_on_held_out_combinations_some_to_choose_and_others_to_decide(dataset, recipe):
    simulated, plan = dataset(VIDEO | {"caption": SENTENCE, "caption_source": "simulator"}), recipe.evaluation
    choosing, deciding = selection_questions(simulated, recipe), decision_questions(simulated, recipe, FIRST)
    assert len(choosing) == len(clusters(choosing)) == plan.prompts
    assert len(deciding) == plan.decision_prompts * plan.seeds
    assert len(clusters(deciding)) == plan.decision_prompts
    assert not clusters(choosing) & clusters(deciding)
    assert not set(seeds(choosing)) & set(seeds(deciding))
    assert len(set(seeds(deciding))) == len(deciding)
    assert selection_questions(simulated, recipe) == choosing


def test_each_candidate_is_decided_about_on_seeds_of_its_own_and_always_the_same(dataset, recipe):
    simulated = dataset(VIDEO | {"caption": SENTENCE, "caption_source": "simulator"})
    first = decision_questions(simulated, recipe, FIRST)
    assert decision_questions(simulated, recipe, FIRST) == first
    other = decision_questions(simulated, recipe, SECOND)
    assert not set(seeds(other)) & set(seeds(first))
    assert [one.prompt for one in other] != [one.prompt for one in first]


def test_where_all_combinations_are_used_to_choose_none_is_left_and_it_is_said(dataset):
    greedy = get("smoke", "evaluation.prompts=32")
    simulated = dataset(VIDEO | {"caption": SENTENCE, "caption_source": "simulator"})
    with pytest.raises(KinoraError, match=r"all 32 held-out combinations .* evaluation\.prompts lower"):
        decision_questions(simulated, greedy, FIRST)
    some = decision_questions(simulated, get("smoke", "evaluation.prompts=30"), FIRST)
    assert len(clusters(some)) == 2


def test_of_own_files_some_are_to_choose_by_and_the_others_to_decide(dataset, recipe):
    own = dataset(*[VIDEO | {"source": f"{n % 8}.mp4"} for n in range(24)])
    choosing, deciding = selection_questions(own, recipe), decision_questions(own, recipe, FIRST)
    assert len(clusters(choosing)) == 2
    assert len(clusters(deciding)) == 6
    assert not clusters(choosing) & clusters(deciding)
    assert not set(seeds(choosing)) & set(seeds(deciding))


def test_a_single_file_serves_both_for_there_is_no_other(dataset, recipe):
    own = dataset(VIDEO, VIDEO | {"source": "0.mp4", "frames": 9})
    assert clusters(selection_questions(own, recipe)) == clusters(decision_questions(own, recipe, FIRST)) == {"0.mp4"}


def test_own_videos_are_continued_with_a_persons_words_or_none(dataset, recipe):
    own = dataset(
        VIDEO | {"caption": SENTENCE, "caption_source": "captioner"},
        VIDEO | {"caption": "A dog jumps.", "caption_source": "human"},
        VIDEO | {"caption": "A cat sleeps.", "caption_source": "human", "split": "train"},
        IMAGE | {"caption": "A house.", "caption_source": "human"},
        VIDEO | {"frames": 9},
    )
    tasks = [*selection_questions(own, recipe), *decision_questions(own, recipe, FIRST)]
    assert {(task.clip, task.prompt) for task in tasks} == {("clip-0", ""), ("clip-1", "A dog jumps."), ("clip-4", "")}
    assert {(task.frames, task.given) for task in tasks} == {(17, 5), (9, 1)}
    plan = recipe.evaluation
    assert len({task.seed for task in tasks}) == len(tasks) == plan.prompts + plan.decision_prompts * plan.seeds


def test_every_file_has_its_turn_before_any_has_a_second(dataset, recipe):
    """Windows of one file are alike, so that many of one say less than one of many."""
    long = [VIDEO | {"source": "long.mp4"}] * 20
    own = dataset(*long, VIDEO | {"source": "a.mp4"}, VIDEO | {"source": "b.mp4"}, VIDEO | {"source": "c.mp4"})
    tasks = decision_questions(own, recipe, FIRST)
    assert len({task.source for task in tasks[:3]}) == 3
    assert len({task.seed for task in tasks}) == len(tasks)


def test_where_only_images_are_held_out_people_captions_are_asked_for(dataset, recipe):
    own = dataset(
        IMAGE | {"caption": "A house by the sea.", "caption_source": "human"},
        IMAGE | {"caption": SENTENCE, "caption_source": "captioner"},
        IMAGE | {"caption": CIRCLE, "caption_source": "human"},
        VIDEO | {"split": "train"},
    )
    prompts = [*selection_questions(own, recipe), *decision_questions(own, recipe, FIRST)]
    assert {prompt.prompt for prompt in prompts} == {"A house by the sea.", CIRCLE}
    said = {prompt.prompt: prompt.attributes for prompt in prompts}
    assert said["A house by the sea."] == Attributes(())
    assert said[CIRCLE].motion == "right"


def test_where_nothing_can_be_judged_it_is_said(dataset, recipe):
    own = dataset(IMAGE | {"caption": SENTENCE, "caption_source": "captioner"}, VIDEO | {"split": "train"})
    with pytest.raises(KinoraError, match="nothing to judge a model by"):
        selection_questions(own, recipe)


@pytest.mark.parametrize(("frames", "given"), [(5, 1), (9, 1), (13, 1), (17, 5), (33, 9), (65, 21)])
def test_about_the_first_third_is_given_in_whole_latents(frames, given):
    grid = Grid(8, 4)
    assert given_frames(frames, grid) == given
    assert grid.has_length(given)
