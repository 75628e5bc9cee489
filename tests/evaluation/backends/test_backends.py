"""Scores with other networks: calibrated by a file fitted with them, or said not to be."""

import json
from pathlib import Path

import pandas as pd
import pytest

from cli.main import main
from evaluation import calibration
from evaluation.calibration import calibrated_for
from evaluation.evaluator import evaluate_clips, evaluator
from evaluation.findings import ClipInput
from evaluation.proving.fitting import fit
from evaluation.proving.shards import FAULTLESS
from kinora.config import read_json, write_json
from kinora.errors import KinoraError, UsageError
from kinora.media import write_video
from kinora.recipes.backends import NONE, Backends


@pytest.fixture
def fitted(tmp_path, vision):
    """Backends with a calibration of flicker alone, fitted on strengths 0, 0.1, ... with them."""
    looks, file = f"hf:{vision('dinov2')}", tmp_path / "own.json"
    rows = pd.DataFrame(
        {"group": FAULTLESS, "measured": True, "type": "flicker", "strength": [n / 10 for n in range(100)]}
    ).assign(case=range(100), family="paper", way="")
    fit(rows, file, Backends(looks=looks, calibration="none"))
    return Backends(looks=looks, calibration=str(file))


def test_other_networks_need_a_calibration_of_their_own_and_are_told_how_to_get_one():
    with pytest.raises(UsageError, match=r"evaluate benchmark .*--looks hf:x --calibration none --fit FILE"):
        Backends(looks="hf:x")
    with pytest.raises(UsageError, match="network of segments is 'sam'; give hf:FOLDER"):
        Backends(segments="sam", calibration="none")
    with pytest.raises(UsageError, match="name one of these too"):
        Backends(calibration="x.json")


def test_scores_are_by_the_calibration_that_was_fitted_with_the_networks(fitted):
    before = calibration.score("flicker", 9.0)
    with calibrated_for(fitted):
        assert calibration.entries().keys() == {"flicker"}
        assert calibration.score("flicker", 8.0) == 0.0
        assert 0 < calibration.score("flicker", 12.0) < 1
        assert calibration.score("gravity", 1.0) == 0.5  # of no entry
    assert calibration.score("flicker", 9.0) == before
    with calibrated_for(Backends(looks="hf:x", calibration="none")):
        assert calibration.score("flicker", 3.0) == 0.75


def test_a_calibration_of_other_networks_is_refused(fitted, tmp_path):
    other = Backends(looks="hf:other", calibration=fitted.calibration)
    with pytest.raises(KinoraError, match="was fitted with"), calibrated_for(other):
        pass
    ours = Backends(looks="hf:other", calibration=str(calibration.FILE))
    with pytest.raises(KinoraError, match="was fitted with no networks"), calibrated_for(ours):
        pass
    (tmp_path / "bad.json").write_text("{")
    with (
        pytest.raises(KinoraError, match="is no calibration"),
        calibrated_for(Backends(looks="hf:a", calibration=str(tmp_path / "bad.json"))),
    ):
        pass


def test_clips_are_judged_with_them_and_the_evaluator_is_another(fitted, rolling):
    clip = ClipInput("clip", rolling, 8.0)
    uncalibrated = Backends(looks=fitted.looks, calibration="none")
    reports = [evaluate_clips([clip], backends=backends) for backends in (NONE, fitted, uncalibrated)]
    assert len({report["evaluator"]["digest"] for report in reports}) == 3
    assert reports[2]["evaluator"]["backends"] == {"looks": fitted.looks, "calibration": "none"}
    for record in reports[2]["clips"]:
        assert record["strengths"]
        for kind, strength in record["strengths"].items():
            assert record["scores"][kind] == pytest.approx(strength / (1 + strength), abs=1e-3)
    before = evaluator(fitted)["digest"]
    told = read_json(Path(fitted.calibration))
    told["types"]["flicker"]["scale"] *= 2
    write_json(Path(fitted.calibration), told)
    assert evaluator(fitted)["digest"] != before


def test_the_command_takes_them(sam, rolling, tmp_path):
    write_video(tmp_path / "a.mp4", rolling, 8.0)
    arguments = [
        "evaluate",
        "clips",
        str(tmp_path / "a.mp4"),
        "--out",
        str(tmp_path / "out"),
        "--segments",
        f"hf:{sam}",
    ]
    assert main(arguments) == 2
    assert main([*arguments, "--calibration", "none"]) == 0
    report = json.loads((tmp_path / "out" / "report.json").read_text())
    assert report["evaluator"]["backends"] == {"segments": f"hf:{sam}", "calibration": "none"}
