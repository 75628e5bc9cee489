"""A run from clips to page, and what may be fitted on."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from evaluation.findings import Candidate, Finding
from evaluation.proving import shards
from evaluation.proving.fitting import fit
from evaluation.proving.nulls import NULLS, nulls_of
from evaluation.proving.page import benchmark_page
from evaluation.proving.real import clips_of, half_of, pieces
from evaluation.proving.run import Plan, kept, run
from evaluation.proving.shards import Drawn, Extras
from evaluation.proving.summary import as_json, as_markdown
from kinora.errors import UsageError
from kinora.media import write_video

from .conftest import FPS, footage


@pytest.fixture(scope="session")
def media(tmp_path_factory):
    """A folder of three real clips, two of them in the half dev, one of these with a cut."""
    folder = tmp_path_factory.mktemp("media") / "natural"
    folder.mkdir()
    names = [f"clip-{i}.mp4" for i in range(40)]
    dev = [name for name in names if half_of(name) == "dev"][:2]
    chosen = [*dev, next(name for name in names if half_of(name) == "report")]
    lines = []
    for index, name in enumerate(chosen):
        write_video(folder / name, footage(index), FPS)
        physics = ["rolls", "static_camera"]
        lines.append(json.dumps({"file": name, "caption": "", "physics": physics, "cuts": [20] if index == 1 else []}))
    (folder / "captions.jsonl").write_text("\n".join(lines))
    return folder


@pytest.fixture(scope="session")
def small(media, tmp_path_factory):
    """Rows of a small run, its plan and its folder."""
    patch = pytest.MonkeyPatch()
    patch.setenv("KINORA_TEST_MEDIA", str(media.parent))
    plan = Plan(("real", "paper"), "dev", cases=2, pieces=1, failures=2, seed=1, extras=Extras(nulls=1, again=0))
    folder = tmp_path_factory.mktemp("run")
    yield run(plan, folder, workers=1), plan, folder
    patch.undo()


def test_a_half_has_its_own_clips_and_a_piece_no_cut(media):
    dev, report = clips_of(media, "dev"), clips_of(media, "report")
    assert (len(dev), len(report)) == (2, 1)
    lengths = [[len(piece.frames) for piece in pieces(media, row)] for row in dev]
    assert lengths == [[40], [20, 20]]
    assert all(side % 2 == 0 for row in dev for piece in pieces(media, row) for side in piece.frames.shape[1:3])


def test_a_folder_without_captions_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("KINORA_TEST_MEDIA", str(tmp_path))
    with pytest.raises(UsageError, match="KINORA_TEST_MEDIA"):
        run(Plan(("real",)), tmp_path / "out")


def test_a_run_gives_a_row_a_case_and_type_and_is_not_made_twice(small):
    rows, plan, folder = small
    assert not rows.crashes
    table = rows.table
    assert {"faultless", "failing", "null"} <= set(table["group"])
    assert set(table["family"]) == {"real", "paper"}
    sizes = table.groupby(["case", "group", "way"]).size()
    assert (sizes == len(shards.KINDS)).all()
    before = {file: file.stat().st_mtime_ns for file in (folder / "parts").iterdir()}
    again = run(plan, folder, workers=1)
    assert {file: file.stat().st_mtime_ns for file in (folder / "parts").iterdir()} == before
    pd.testing.assert_frame_equal(again.table, table)


def test_the_page_and_the_figures_stand_alone(small, tmp_path):
    rows, _, folder = small
    text = benchmark_page(kept(folder)).write(tmp_path / "benchmark.html").read_text()
    assert "Due, but not measurable" in text
    assert not re.search(r"""(src|href)=["']?http""", text)
    assert json.loads(json.dumps(as_json(rows)))["crashes"] == []
    assert "### Faultless clips" in as_markdown(rows)


def test_a_fit_is_of_faultless_clips_that_were_measured(small, tmp_path, monkeypatch):
    rows = small[0].table
    monkeypatch.setattr("evaluation.proving.fitting.OF_OBJECTS", set())
    made = fit(rows, tmp_path / "calibration.json")
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert written["types"].keys() == made["types"].keys()
    freeze = rows[(rows["type"] == "freeze") & (rows["group"] == "faultless") & rows["measured"]]
    assert written["types"]["freeze"]["clips"] == len(freeze)
    assert "prompt_mismatch" not in written["types"]


def test_a_detector_that_crashes_is_named_and_the_rest_goes_on(monkeypatch):
    calls = []

    def judge(clip, kinds, backends):
        calls.append(clip.name)
        if len(calls) == 1:
            raise ZeroDivisionError("nothing moves")
        found = Candidate(3, 4, 2.0, "It blinks.", (1, 2, 9, 9))
        return {kind: Finding(kind, 0.7, strength=2.0, candidates=(found,)) for kind in kinds}

    monkeypatch.setattr(shards, "judge", judge)
    result = shards.judged(Drawn("paper", 3, 5, Extras(nulls=0, again=0)))
    assert len(calls) == 3
    assert len(result.crashes) == 1
    assert "ZeroDivisionError: nothing moves" in result.crashes[0]
    assert {row["case"] for row in result.rows} == set(calls[1:])
    assert all(
        (row["start"], row["end"], row["box"], row["strength"]) == (3, 4, [1, 2, 9, 9], 2.0) for row in result.rows
    )


def test_nulls_take_away_what_they_say():
    frames, rng = footage(), np.random.default_rng(0)
    assert (NULLS["frozen"](frames, rng) == frames[0]).all()
    assert sorted(f.tobytes() for f in NULLS["shuffled"](frames, rng)) == sorted(f.tobytes() for f in frames)
    assert (NULLS["reversed"](frames, rng)[0] == frames[-1]).all()
    assert NULLS["noise"](frames, rng).shape == frames.shape
    edges = [np.abs(np.diff(f.astype(int), axis=1)).mean() for f in (frames[0], NULLS["blurred"](frames, rng)[0])]
    assert edges[1] < 0.4 * edges[0]
    assert "reversed" in nulls_of(frozenset({"walks"}))
    assert "reversed" not in nulls_of(frozenset({"static_camera"}))
    assert "reversed" not in nulls_of(None)
