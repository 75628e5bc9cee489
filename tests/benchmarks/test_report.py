"""The page of the report: its places, its pictures, and its quickest sections made with random weights."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from benchmarks.report.__main__ import OF_STUDIES, SECTIONS, make
from benchmarks.report.page import fill, places
from benchmarks.report.studio import DOCS, Options, Studio, Tile
from kinora.errors import UsageError
from kinora.generation import write_version
from kinora.models.captioner import Captioner, CaptionerConfig

PAGE = DOCS / "report.md"


@pytest.fixture(scope="module")
def version(model_folders, tmp_path_factory):
    root = tmp_path_factory.mktemp("version")
    Captioner(CaptionerConfig(vocabulary=("<pad>", "<unknown>", "a"))).save(root / "captioner")
    recipe = {
        "name": "random",
        "sampling": {"steps": 2, "guidance": 1.0},
        "ingest": {"worlds": {"sizes": [[32, 32], [40, 24]], "frames": [17]}, "max_frames": 17, "fps": 8.0},
    }
    evaluation = {"clips": [], "rates": {"overall": 0.0}}
    folders = model_folders / "vae", model_folders / "dit", root / "captioner"
    return write_version(root, *folders, recipe, evaluation, {"code": "x"})


@pytest.fixture
def options(tmp_path, version):
    page = tmp_path / "docs" / "report.md"
    page.parent.mkdir()
    shutil.copy(PAGE, page)
    return Options(model=str(version.path), out=page.parent / "media", page=page, side=40, work=tmp_path)


def test_the_page_has_a_place_for_every_section_once():
    assert sorted(places(PAGE.read_text())) == sorted(SECTIONS)


def test_the_page_says_what_the_records_say(tmp_path):
    page = tmp_path / "report.md"
    shutil.copytree(DOCS / "media", tmp_path / "media")
    page.write_text(PAGE.read_text())
    fill(page, tmp_path / "media" / "report")
    assert page.read_text() == PAGE.read_text(), "run python -m benchmarks.report for the sections that changed"
    for address in re.findall(r"!\[[^]]*\]\(([^)]*)\)", page.read_text()):
        assert (DOCS / address).is_file()


def test_what_is_published_is_small():
    folder = DOCS / "media" / "report"
    assert sum(file.stat().st_size for file in folder.glob("*")) < 12 * 2**20


def test_sections_are_made_and_fill_their_places(options):
    assert make(replace(options, sections=("patches", "images"))) == 0
    text = options.page.read_text()
    for name, files in {"patches": ("patches", "sequence"), "images": ("images", "large-image")}.items():
        record = json.loads((options.out / f"{name}.json").read_text())
        assert [shown["file"] for shown in record["shown"]] == [f"{file}.webp" for file in files]
        for shown in record["shown"]:
            assert f"](media/{shown['file']})" in text
            assert shown["caption"] in text
    assert "| the sequence |" in text
    assert "`python -m benchmarks.report minute` makes it" in text
    fill(options.page, options.out)
    assert options.page.read_text() == text


def test_a_section_without_its_study_says_what_to_run_and_leaves_the_page(options, capsys):
    before = options.page.read_text()
    assert make(replace(options, sections=OF_STUDIES)) == 1
    assert "run 'kinora pipeline run --pipeline scaling_study" in capsys.readouterr().err
    assert options.page.read_text() == before
    with pytest.raises(UsageError, match="there is no section 'size'; the sections are patches"):
        make(replace(options, sections=("size",)))


def test_tiles_play_in_step(tmp_path):
    studio = Studio(Options(out=tmp_path))
    ramp = np.arange(0, 250, 50, dtype=np.uint8)
    long = np.broadcast_to(ramp[:, None, None, None], (5, 20, 30, 3)).copy()
    studio.show("both", [[Tile(long[:2], "two"), Tile(long, "five")]], 8.0, "Two.", tile=60)
    with Image.open(tmp_path / "both.webp") as picture:
        assert (picture.n_frames, picture.size[0]) == (5, 2 * 60 + 12)
        picture.seek(4)
        last = np.asarray(picture.convert("RGB")).astype(int)
    assert abs(last[20, 30] - 50).max() < 5  # the shorter one rests
    assert abs(last[20, 102] - 200).max() < 5
