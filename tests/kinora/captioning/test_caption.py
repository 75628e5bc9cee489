"""A dataset is captioned by whoever the recipe chooses, in pieces, and nothing that was written is lost."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cli.main import main
from kinora.captioning import caption as module
from kinora.captioning.caption import caption_dataset, shorten
from kinora.captioning.writers import CaptionConfig, CaptionMix, Written, open_writer, some_frames, written
from kinora.data.clips import ClipDataset, table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.ingest.config import IngestConfig, SimulatedClips
from kinora.data.ingest.dataset import ingest
from kinora.data.stored_clip import store_clip
from kinora.errors import UsageError
from kinora.recipes import get
from kinora.worlds import WorldsConfig

PERSON = {"caption": "A person said this. And more.", "short_caption": "A person said this.", "caption_source": "human"}


class Painter:
    """Says how light a clip is, or nothing of one that is nearly black; fails when it is told to."""

    source, prompt = "hf", "How light is it?"

    def __init__(self, model: str = "painter", fails_after: int = 10**9):
        self.model, self.fails_after, self.asked = model, fails_after, 0

    def write(self, clips, fps):
        assert len(clips) == len(fps)
        self.asked += len(clips)
        if self.asked > self.fails_after:
            raise KeyboardInterrupt
        means = [float(clip.mean()) for clip in clips]
        return [
            Written(f"It is {mean:.0f} light. So {self.model} says.", mean / 255) if mean > 40 else Written("", 0.0)
            for mean in means
        ]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> ClipDataset:
    """Twelve clips of growing lightness, the first of them nearly black; every third has a caption by a person."""
    folder = tmp_path_factory.mktemp("made") / "clips"
    rows = []
    for number in range(12):
        frames = np.full((5 if number % 2 else 1, 24, 32, 3), 20 * number, np.uint8)
        person = PERSON if number % 3 == 0 else {}
        row = store_clip(folder / "media", frames, 8.0, source=f"{number}.mp4", split="train")
        rows.append({**row, **person, "caption_confidence": float(bool(person))})
    return ClipDataset.write(folder, table(rows, CLIP_COLUMNS), table([], QUARANTINE_COLUMNS), {})


def test_captions_are_written_where_nobody_said_anything_and_say_who_wrote_them(dataset, tmp_path):
    captioned, page, figures = caption_dataset(dataset, Painter(), tmp_path / "captioned")
    clips, person = captioned.clips, dataset.clips["caption_source"] == "human"
    same = ["caption", "short_caption", "caption_source", "caption_confidence"]
    pd.testing.assert_frame_equal(clips.loc[person, same], dataset.clips.loc[person, same])
    assert (clips.loc[person, "written_caption"] == "").all()
    dark = clips["source"].isin(["1.mp4", "2.mp4"])
    assert (clips.loc[dark, ["caption", "short_caption", "written_caption", "caption_source"]] == "").all(None)
    assert (clips.loc[dark, "caption_confidence"] == 0).all()
    rest = clips[~person & ~dark]
    assert len(rest) == 6
    row = rest.iloc[0]
    assert row["caption"] == row["written_caption"] == "It is 80 light. So painter says."
    assert row["short_caption"] == row["written_short_caption"] == "It is 80 light."
    assert list(row[["caption_source", "caption_model", "caption_prompt"]]) == ["hf", "painter", "How light is it?"]
    assert row["caption_confidence"] == pytest.approx(80 / 255, abs=0.01)
    assert figures == {"captioned": 6, "abstained": 2, "kept": 4} | {k: v for k, v in figures.items() if "_" in k}
    assert np.array_equal(captioned.frames(row["clip_id"]), dataset.frames(row["clip_id"]))
    html = page.write(tmp_path / "page.html").read_text()
    assert "2 <small>(25%)</small>" in html
    assert "Left without a caption" in html
    assert "could not be measured" in html
    versions = captioned.captions
    assert len(versions) == 4 + 8
    assert list(versions["caption_source"]) == ["human"] * 4 + ["hf"] * 8
    assert (versions["caption"] == "").sum() == 2
    assert not list(tmp_path.glob(".*"))


def test_another_writer_s_captions_are_a_new_version_and_the_same_writer_s_are_not_asked_for_again(dataset, tmp_path):
    first, _, _ = caption_dataset(dataset, Painter(), tmp_path / "first")
    again = Painter()
    second, _, figures = caption_dataset(first, again, tmp_path / "second")
    assert again.asked == figures["captioned"] == 0
    assert figures["kept"] == 12
    pd.testing.assert_frame_equal(second.captions, first.captions)
    other, _, figures = caption_dataset(second, Painter("sculptor"), tmp_path / "other")
    assert figures["captioned"] == 6
    assert set(other.clips["caption_model"]) == {"", "sculptor"}
    pd.testing.assert_frame_equal(other.captions.iloc[: len(first.captions)], first.captions)
    assert len(other.captions) == len(first.captions) + 8
    back = Painter()
    caption_dataset(other, back, tmp_path / "back")
    assert back.asked == 8


def test_what_is_written_beside_a_person_s_caption_takes_no_place_of_it(dataset, tmp_path):
    config = CaptionConfig(rewrite=True, confidence=0.5)
    captioned, _, figures = caption_dataset(dataset, Painter(), tmp_path / "captioned", config)
    clips = captioned.clips.set_index("source")
    assert clips.loc["9.mp4", "caption"] == PERSON["caption"]
    assert clips.loc["9.mp4", "caption_source"] == "human"
    assert clips.loc["9.mp4", "written_caption"] == "It is 180 light. So painter says."
    assert clips.loc["4.mp4", "caption"] == ""  # 80 / 255 is less than one half
    assert figures["captioned"] == 5
    assert figures["abstained"] == 7


@pytest.mark.parametrize("beside", [True, False])
def test_interrupted_captioning_goes_on_behind_what_it_wrote(dataset, tmp_path, monkeypatch, beside):
    monkeypatch.setattr(module, "CLIPS_AT_ONCE", 3)
    state = None if beside else tmp_path / "state"
    whole, _, figures = caption_dataset(dataset, Painter(), tmp_path / "whole", state=state)
    with pytest.raises(KeyboardInterrupt):
        caption_dataset(dataset, Painter(fails_after=5), tmp_path / "captioned", state=state)
    assert not (tmp_path / "captioned").exists()
    rest = Painter()
    captioned, _, same = caption_dataset(dataset, rest, tmp_path / "captioned", state=state)
    assert rest.asked == 8 - 3
    assert same == figures
    pd.testing.assert_frame_equal(captioned.clips, whole.clips)
    columns = [name for name in whole.captions if name != "written_at"]
    pd.testing.assert_frame_equal(captioned.captions[columns], whole.captions[columns])
    other = Painter("sculptor")  # another writer does not go on from it
    caption_dataset(dataset, other, tmp_path / "other", state=state)
    assert other.asked == 8
    assert not list(tmp_path.glob(".*"))
    assert beside or not list((tmp_path / "state").iterdir())


def test_frames_in_memory_are_bounded(monkeypatch):
    rows = [{"width": 10, "height": 10, "frames": frames} for frames in (1, 2, 3, 50, 1, 1)]
    monkeypatch.setattr(module, "BYTES_AT_ONCE", 300 * 4)
    groups = [[row["frames"] for row in group] for group in module._together(rows)]
    assert groups == [[1, 2], [3], [50], [1, 1]]


def test_captions_are_measured_by_the_simulator_s_record(tmp_path):
    worlds = WorldsConfig(worlds=("uniform",), sizes=((32, 32),), frames=(9,), held_out=32)
    config = IngestConfig(worlds, SimulatedClips(videos=6, images=2, captioned=0.5))
    dataset = ingest("worlds", tmp_path / "worlds", config)

    class Liar(Painter):
        def write(self, clips, fps):
            return [Written("A red circle on a grey background.", 0.9)] * len(clips)

    _, page, figures = caption_dataset(dataset, Liar(), tmp_path / "captioned")
    assert figures["captioned"] == figures["measured_colour"] > 0
    assert figures["accuracy_count"] == 1
    assert figures["accuracy_colour"] < 1
    assert "Wrong: " in page.write(tmp_path / "page.html").read_text()


def test_the_command_captions_with_the_recipe_s_writer(dataset, tmp_path, chat, capsys):
    settings = [f"captions.address={chat.address}", "captions.writer=openai:seer", "captions.requests_a_minute=60000"]
    arguments = ["caption", str(dataset.path), "--out", str(tmp_path / "captioned"), "--recipe", "smoke"]
    assert main([*arguments, *(part for setting in settings for part in ("--set", setting))]) == 0
    assert "8 captions written, 0 not sure of, 4 kept" in capsys.readouterr().out
    assert set(ClipDataset.open(tmp_path / "captioned").clips["caption_model"]) == {"", "seer"}
    assert main(arguments) != 0
    assert "give the folder of one" in capsys.readouterr().err


def test_the_recipe_s_captions_are_settings_like_all_others():
    recipe = get("tiny", 'captions.writer=hf:org/name captions.frames=3 captions.prompt="Say it."')
    assert recipe.captions == CaptionConfig(writer="hf:org/name", frames=3, prompt="Say it.")
    assert get("tiny").captions == CaptionConfig()
    for setting, sentence in (
        ("captions.writer=nobody", "captions.writer is 'nobody'; give trained"),
        ("captions.writer=hf:", "captions.writer is 'hf:'"),
        ("captions.expander=trained", "captions.expander is 'trained'"),
        ("captions.confidence=2", "captions.confidence is 2"),
        ("captions.frames=0", "captions.frames is 0"),
    ):
        with pytest.raises(UsageError, match=sentence):
            get("tiny", setting)
    with pytest.raises(UsageError, match="the trained captioner; give the folder of one"):
        open_writer(CaptionConfig())


def test_short_captions():
    assert shorten("A red circle moves slowly to the right on a grey background.") == "A red circle moves slowly right."
    assert shorten("A man walks. He is tall.") == "A man walks."
    assert shorten("A man walks") == "A man walks."
    assert shorten("") == ""


def test_an_answer_becomes_one_line_or_nothing():
    assert written(" A\n\ncat \t sits. ", 1.2) == Written("A cat sits.", 1.0)
    for answer in ("", " \n", "UNSURE", "unsure.", '"Unsure"', "**UNSURE**"):
        assert written(answer, 0.9) == Written("", 0.0)


def test_frames_are_spread_evenly_and_shrunk():
    clip = np.arange(10, dtype=np.uint8)[:, None, None, None] * np.ones((1, 40, 80, 3), np.uint8)
    assert [int(frame[0, 0, 0]) for frame in some_frames(clip, 4, 100)] == [0, 3, 6, 9]
    assert [int(frame[0, 0, 0]) for frame in some_frames(clip, 1, 100)] == [4]
    assert [int(frame[0, 0, 0]) for frame in some_frames(clip[:2], 4, 100)] == [0, 1]
    assert some_frames(clip, 2, 40)[0].shape == (20, 40, 3)


ALL = {"caption": "o", "short_caption": "os", "written_caption": "w", "written_short_caption": "ws"}


@pytest.mark.parametrize(
    ("texts", "chances", "chosen"),
    [
        (ALL, (0.94, 0.3), "written_caption"),
        (ALL, (0.94, 0.2), "written_short_caption"),
        (ALL, (0.96, 0.3), "caption"),
        (ALL, (0.96, 0.2), "short_caption"),
        (ALL | {"written_caption": "", "written_short_caption": ""}, (0.0, 0.3), "caption"),
        (ALL | {"caption": "w", "short_caption": "ws"}, (0.99, 0.3), "written_caption"),
        (ALL | {"written_short_caption": ""}, (0.0, 0.0), "written_caption"),
        (dict.fromkeys(ALL, ""), (0.0, 0.0), "caption"),
    ],
)
def test_a_text_is_chosen_among_what_there_is(texts, chances, chosen):
    assert CaptionMix(written=0.95, short=0.25).choose(texts, chances) == chosen


def test_short_texts_are_not_drawn_unless_they_are_asked_for():
    assert CaptionMix().drawn == ("caption", "written_caption")
    assert set(CaptionMix(short=0.1).drawn) == set(ALL)


def test_shares_are_shares():
    with pytest.raises(UsageError, match=r"share of short captions is 1\.5"):
        replace(CaptionMix(), short=1.5)
