"""A model that continues a person's clips as they went on comes out above those that do not."""

import json
import re
from dataclasses import replace

import cv2
import numpy as np
import pytest

from evaluation.checkpoint import evaluate_checkpoint
from evaluation.continuation import agreement
from evaluation.evaluator import DETECTORS
from evaluation.footage import continue_clips, held_out_videos, request_of, tasks_of
from evaluation.footage_evaluation import blurred
from evaluation.footage_report import side_by_side
from evaluation.gate import measures
from evaluation.gate.decision import decide
from evaluation.gate.page import decision_page
from kinora.config import to_dict
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.grid import Grid
from kinora.data.stored_clip import store_clip
from kinora.errors import KinoraError
from kinora.generation.model_card import card_markdown, model_card
from kinora.models.autoencoder import load_autoencoder
from kinora.recipes.recipe import GatePlan

SIZE, FRAMES, FPS = (40, 24), 17, 8.0


@pytest.fixture(scope="module")
def clips(real_images):
    """Ten clips: a camera that moves over a photograph, each in its own way, one of which stands still."""
    rng = np.random.default_rng(0)
    photograph = cv2.resize(cv2.cvtColor(cv2.imread(str(real_images[0])), cv2.COLOR_BGR2RGB), (180, 120))
    found = []
    for number in range(10):
        x, y = rng.integers(40, 100), rng.integers(34, 60)
        step = (0, 0) if number == 9 else rng.choice([-1, 1], 2)
        places = [(x + step[0] * t, y + step[1] * t) for t in range(FRAMES)]
        found.append(np.stack([photograph[b : b + SIZE[1], a : a + SIZE[0]] for a, b in places]))
    return found


@pytest.fixture(scope="module")
def dataset(clips, tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    rows = [
        store_clip(
            folder / "media", frames, FPS, source=f"{n}.mp4", split="validation",
            caption="A photograph." if n < 3 else "A red circle.", caption_source="human" if n < 3 else "captioner",
        )
        for n, frames in enumerate(clips)
    ]  # fmt: skip
    return ClipDataset.write(folder, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


@pytest.fixture(scope="module")
def tasks(dataset):
    return tasks_of(held_out_videos(dataset), Grid(8, 4), FPS, 20, seed=7)


class Continuing:
    """Continues clips by knowing them: `how` makes of the truth and the given frames what it answers with."""

    def __init__(self, vae, tasks, dataset, how):
        self.vae, self.how = load_autoencoder(vae), how
        self.truths = {task.seed: dataset.frames(task.clip) for task in tasks}
        self.requests = []

    def generate(self, requests):
        self.requests += requests
        made = []
        for request in requests:
            truth, given = self.truths[request.seed], 1 if request.video is None else len(request.video)
            made.append(np.concatenate([truth[:given], self.how(truth[given:], truth[given - 1])]))
        return made


def right(truth, last):
    return np.clip(truth + np.random.default_rng(0).normal(0, 4, truth.shape), 0, 255).astype(np.uint8)


def held(truth, last):
    return np.repeat(last[None], len(truth), axis=0)


def ignorant(truth, last):
    noise = np.random.default_rng(1).integers(0, 256, (*truth.shape[:3], 1)).astype(np.uint8)
    return np.broadcast_to(noise, truth.shape)


@pytest.fixture(scope="module")
def evaluated(model_folders, tasks, dataset, tmp_path_factory):
    found = {}
    for how in (right, held, ignorant):
        model = Continuing(model_folders / "vae", tasks, dataset, how)
        out = tmp_path_factory.mktemp(how.__name__)
        found[how.__name__] = (evaluate_checkpoint(model, tasks, out, name=how.__name__, dataset=dataset), out, model)
    return found


def test_a_model_is_asked_to_go_on_from_the_first_frames_in_a_persons_words_or_none(evaluated, tasks, dataset):
    _, _, model = evaluated["right"]
    assert {request.prompt for request in model.requests} == {"A photograph.", ""}
    for request, task in zip(model.requests, tasks, strict=True):
        assert (request.width, request.height, request.frames, request.fps) == (*SIZE, FRAMES, FPS)
        assert np.array_equal(request.video, dataset.frames(task.clip)[:5])
        assert not request.expand


def test_models_are_ordered_by_how_near_the_truth_they_are(evaluated):
    scores = {name: evaluation["rates"]["overall"] for name, (evaluation, *_) in evaluated.items()}
    assert scores["right"] > 0.8 > 0.5 > scores["held"] > scores["ignorant"]
    for name, (evaluation, *_) in evaluated.items():
        assert evaluation["baselines"]["held"]["overall"] == pytest.approx(scores["held"]), name
        assert 0 < evaluation["baselines"]["autoencoder"]["overall"] < 1


def test_the_evaluation_says_what_the_model_can_and_what_could_not_be_measured(evaluated):
    evaluation, out, _ = evaluated["right"]
    assert json.loads((out / "evaluation.json").read_text()) == json.loads(json.dumps(evaluation))
    assert evaluation["compared"] == {
        "clips": 10, "sources": 10, "continuations": 20, "nearer": 9, "moving": 9, "with_words": 3,
    }  # fmt: skip
    assert "nearer to the truth than the last given frame held still in 9 of 10" in evaluation["sentence"]
    assert "In 1 of them nothing moves" in evaluation["sentence"]
    unmeasured = [record for record in evaluation["clips"] if "motion" in record["not_measurable"]]
    assert len(unmeasured) == 2
    assert all(record["rates"]["motion"] is None for record in unmeasured)
    page = (out / "report.html").read_text()
    assert page.count("<video") == 10
    assert "A photograph." in page
    assert "A red circle." not in page  # which no person wrote
    assert len(list((out / "clips").glob("*.mp4"))) == 20
    assert evaluated["held"][0]["compared"]["nearer"] == evaluated["ignorant"][0]["compared"]["nearer"] == 0


def test_failures_count_where_the_truth_has_none_and_clips_are_compared_as_a_whole(evaluated):
    best, still, worst = (evaluated[name][0] for name in ("right", "held", "ignorant"))
    assert worst["detectors"]["more"]["share"] > 0.9 > 0.1 > best["detectors"]["more"]["share"]
    assert worst["detectors"]["types"]["incoherence"]["more"] > 15
    for evaluation in (best, still, worst):
        more = evaluation["detectors"]["more"]
        assert 0 <= more["low"] <= more["share"] <= more["high"] <= 1
        for record in evaluation["clips"]:
            seen = record["detectors"]
            assert {failure["type"] for failure in seen["made"]["failures"]} <= set(seen["made"]["failed"])
            assert all(f["start_frame"] <= f["end_frame"] < FRAMES for f in seen["made"]["failures"])
    near, held, far = (e["distances"]["kernel"]["made"] for e in (best, still, worst))
    assert near["value"] < held["value"] < far["value"]
    assert near["high"] < far["low"]
    assert held == pytest.approx(best["distances"]["kernel"]["held"])
    assert best["distances"]["kernel"]["blurred"]["value"] > near["value"]
    assert best["distances"]["features"] == "latents of the model's own autoencoder"
    page = (evaluated["ignorant"][1] / "report.html").read_text()
    assert "a failure of a type that they do not find in the truth" in page
    assert "two random halves of the truth" in page
    assert "any failure (10)" in page
    tiles = {
        name: re.sub("</?small>", "", value)
        for value, name in re.findall(r"<div><b>(.*?)</b><span>(.*?)</span></div>", page)
    }
    assert tiles["continuations without a failure that the truth has not"] == "0.0% (0.0–28)"  # Wilson's of 10 files
    assert tiles["clips nearer to the truth than a frame held still: 0 of 10"] == "0.0% (0.0–28)"


def test_the_gate_ranks_the_truth_above_every_wrong_copy_of_every_file(tasks, dataset):
    """By the measure that decides of footage, with one value a file."""
    clips = {task.clip: dataset.frames(task.clip) for task in tasks[:10]}
    others = dict(zip(clips, [*list(clips.values())[1:], next(iter(clips.values()))], strict=True))

    def ways(task):
        truth, last = clips[task.clip][task.given :], clips[task.clip][task.given - 1]
        return {
            "truth": right(truth, last),
            "reversed": truth[::-1],
            "inverted": 255 - truth,
            "blurred": blurred(truth),
            "frozen": held(truth, last),
            "foreign": others[task.clip][task.given :],
            "ignorant": ignorant(truth, last),
        }

    made = [(task, ways(task), clips[task.clip][task.given :], clips[task.clip][task.given - 1]) for task in tasks[:10]]
    found = {}
    for way in made[0][1]:
        records = [
            {"asked": to_dict(task), "rates": agreement(copies[way], truth, last)} for task, copies, truth, last in made
        ]
        found[way] = measures.values({"clips": records}, measures.OVERALL)
        assert measures.footage({"clips": records})
    moving = ~np.isnan(measures.values({"clips": records}, "motion"))
    assert moving.sum() == 9
    for way in set(found) - {"truth"}:
        assert (found["truth"] > found[way])[moving].all(), way
    for way in set(found) - {"truth", "reversed", "frozen"}:  # of what stands still these two are no wrong copies
        assert (found["truth"] > found[way]).all(), way


def test_the_gate_compares_continuations_and_counts_a_file_once(evaluated):
    best, still, worst = (evaluated[name][0] for name in ("right", "held", "ignorant"))
    plan = GatePlan(margin=0.4)  # ten files prove no smaller one
    decision = decide(best, still, plan)
    assert decision.promote, decision.reason
    assert decision.clusters == 10
    assert decision.compared == "10 held-out clips of 10 files, continued 20 times in all"
    assert "its overall score is 98%, that of the deployed model 33%" in decision.reason
    names = [row.measure for row in decision.guards]
    assert names[-2:] == ["appearance", "motion"]
    assert names[:-2] == [f"no {kind}" for kind in DETECTORS if kind != "prompt_mismatch"]
    assert not decide(still, best, plan).promote
    assert not decide(best, best, plan).promote
    assert not decide(worst, still, plan).promote
    assert decision.compared in str(decision_page(decision).blocks)


def test_what_is_no_better_than_a_frame_held_still_is_never_called_good(evaluated):
    best, still, worst = (evaluated[name][0] for name in ("right", "held", "ignorant"))
    plan = GatePlan(margin=0.4, error=0.2)
    good = decide(best, worst, plan, role="untrained")
    assert good.outcome == "better"
    assert "held still" not in good.reason
    for candidate, rival, how in ((still, worst, "not shown to be nearer to"), (worst, worst, "farther from")):
        first = decide(candidate, rival, plan, role="untrained")
        assert (first.outcome, first.promote) == ("trial", True)
        assert first.reason.startswith("On trial")
        assert f"It is {how} the truth than the last given frame held still" in first.reason
    # Better than what is deployed, not good; and where what it freezes is seen, not even that.
    seen = decide(still, worst, plan)
    assert seen.outcome == "kept"
    assert "Better than the deployed model as a whole, but worse in this: freeze" in seen.reason
    replaced = decide(unseen(still), worst, GatePlan(margin=0.9, error=0.2))
    assert replaced.outcome == "better", replaced.reason
    assert "not shown to be nearer to the truth than the last given frame held still" in replaced.reason


def unseen(evaluation):
    """Return an evaluation in whose continuations the detectors find nothing."""
    found = {"failed": [], "failures": []}
    clips = [clip | {"detectors": clip["detectors"] | {"made": found}} for clip in evaluation["clips"]]
    return evaluation | {"clips": clips}


def test_too_few_files_decide_nothing_and_it_says_how_many_it_takes(evaluated):
    def few(evaluation, files=5):
        chosen = sorted({record["asked"]["source"] for record in evaluation["clips"]})[:files]
        return evaluation | {"clips": [clip for clip in evaluation["clips"] if clip["asked"]["source"] in chosen]}

    best, worst = (few(evaluated[name][0]) for name in ("right", "ignorant"))
    kept = decide(best, worst, GatePlan())
    assert not kept.promote
    assert "5 files to decide by prove nothing" in kept.reason
    assert f"It takes about {kept.needed} files" in kept.reason
    assert decide(best, worst, GatePlan(), role="untrained").outcome == "trial"


def test_the_model_card_says_what_footage_was_judged_and_how(evaluated, tmp_path):
    data = {"videos": 20, "images": 0, "seconds": 40, "train": 10, "validation": 10, "captions": {"human": 3, "": 17}}
    recipe = {"ingest": {"max_side": 40, "fps": 8.0, "max_frames": 17, "worlds": {"sizes": [[32, 32]]}}}
    card = card_markdown(model_card(tmp_path, recipe, evaluated["right"][0], {"data": data}))
    assert evaluated["right"][0]["sentence"] in card
    assert "continued 20 times in all" in card
    assert "For 3 of them a person had written a caption." in card
    assert "the last given frame, held still" in card
    assert "up to 40 pixels a side" in card
    assert "32x32" not in card
    assert "It knows no words" in card
    assert "17 none, of clips that it learned without words" in card


def test_clips_are_shown_side_by_side_with_the_given_frames_marked(evaluated, tasks, dataset):
    (clip,) = continue_clips(evaluated["held"][2], tasks[:1], dataset)
    shown = side_by_side(clip, clip.truth)
    assert shown.shape == (FRAMES, 96 + 8, 3 * 160 + 2 * 6, 3)
    blue = (shown[-1, -1] == (47, 95, 208)).all(axis=-1)
    assert blue.mean() == pytest.approx(5 / 17, abs=0.02)
    assert np.flatnonzero(blue).max() < 5 / 17 * shown.shape[2] + 1


def test_where_a_continuation_fails_is_marked_in_time_and_outlined_in_it_alone(evaluated, tasks, dataset):
    (clip,) = continue_clips(evaluated["held"][2], tasks[:1], dataset)
    failure = {"start_frame": 9, "end_frame": 12, "box": [10, 6, 20, 12]}
    shown = side_by_side(clip, clip.truth, [failure])
    red = (shown == (214, 60, 48)).all(axis=-1)
    marked = np.flatnonzero(red[0, -1])
    assert marked.min() >= 9 / 17 * shown.shape[2] - 1
    assert marked.max() <= 13 / 17 * shown.shape[2] + 1
    assert len(marked) == pytest.approx(4 / 17 * shown.shape[2], abs=6)
    inside = red[:, :96]
    assert [t for t in range(FRAMES) if inside[t].any()] == [9, 10, 11, 12]
    rows, columns = np.nonzero(inside[9])
    assert (columns.min(), columns.max()) == (160 + 6 + 40, 160 + 6 + 79)  # the middle clip, four times as large
    assert (rows.min(), rows.max()) == (24, 47)
    assert (inside[:, :, :160] | inside[:, :, -160:]).sum() == 0


def test_a_clip_that_begins_with_one_given_frame_is_an_image_to_go_on_from(dataset, tasks):
    truth = dataset.frames(tasks[0].clip)
    request = request_of(replace(tasks[0], given=1), truth)
    assert request.video is None
    assert np.array_equal(request.image, truth[0])


def test_a_dataset_that_changed_is_refused(dataset, tasks, model_folders, tmp_path):
    other = [replace(tasks[0], frames=13)]
    model = Continuing(model_folders / "vae", other, dataset, right)
    with pytest.raises(KinoraError, match="is to have 13 frames"):
        evaluate_checkpoint(model, other, tmp_path, dataset=dataset)
