"""A published set comes back exactly, whatever is published after it; the online store says what is known now."""

import shutil
import socket
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from kinora.data.clips import ClipDataset
from kinora.data.clips import table as clip_table
from kinora.data.columns import CLIP_COLUMNS, QUARANTINE_COLUMNS
from kinora.data.features import FEATURES, Features, feature_report, publish_features, read_features
from kinora.data.features import store as feature_store
from kinora.data.features.definitions import ONLINE, REGISTRY
from kinora.errors import KinoraError, UsageError

OBSERVED = pd.Timestamp("2026-11-01T00:00Z")
COMPARED = ["clip_id", *FEATURES]


def dataset(folder: Path, clips: int = 600, seed: int = 1, **columns) -> ClipDataset:
    """A dataset of clips without media, every feature drawn from one distribution for both splits."""
    rng = np.random.default_rng(seed)
    table = clip_table(({"clip_id": f"{seed:08x}{number:056x}"} for number in range(clips)), CLIP_COLUMNS)
    for name, kind in CLIP_COLUMNS.items():
        if kind == "float64":
            table[name] = rng.random(clips)
        elif kind == "int64":
            table[name] = rng.choice([24, 32, 40], clips)
    usual = {"kind": "video", "fps": 8.0, "caption": "A red circle moves.", "caption_source": "simulator"}
    table = table.assign(split=rng.choice(["train", "validation"], clips), observed_at=OBSERVED)
    table = table.assign(**usual | columns)
    return ClipDataset.write(folder, table, clip_table([], QUARANTINE_COLUMNS), {})


def same(found: pd.DataFrame, clips: ClipDataset) -> bool:
    """Say whether features are those of a dataset's clips, in any order."""
    by_clip = [table.sort_values("clip_id", ignore_index=True)[COMPARED] for table in (found, clips.clips)]
    pd.testing.assert_frame_equal(*by_clip)
    return True


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A dataset and the moved folder of its features."""
    folder = tmp_path_factory.mktemp("features")
    clips = dataset(folder / "clips")
    publish_features(clips, folder / "first")
    shutil.move(folder / "first", folder / "moved")
    return clips, folder / "moved"


@pytest.fixture(params=["file", "s3"])
def artifact_root(request, tmp_path, monkeypatch) -> str:
    """An artifact root of the test's own, and a cache of its own."""
    monkeypatch.setattr(feature_store, "cache_folder", lambda: tmp_path / "cache")
    return str(tmp_path / "root") if request.param == "file" else request.getfixturevalue("s3_root")


def test_features_of_a_dataset_s_clips_come_back_without_those_of_others(published, tmp_path):
    clips, folder = published
    assert same(pd.concat(read_features(folder, clips)), clips)
    fewer = ClipDataset.write(tmp_path / "fewer", clips.clips[100:150], clips.quarantine, {})
    assert same(pd.concat(read_features(folder, fewer)), fewer)


def test_yesterdays_set_is_rebuilt_exactly_after_captions_were_rewritten(artifact_root, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_store, "JOINED", 50)  # in several pieces
    yesterday = dataset(tmp_path / "yesterday", 120)
    captions = ["A man skis down a slope."] * 40 + [""] * 40 + yesterday.clips["caption"].tolist()[80:]
    today = dataset(tmp_path / "today", 120, caption=captions)
    store = Features.open(artifact_root)
    first, second = store.publish(yesterday), store.publish(today)
    assert same(store.training_set(first), yesterday)
    assert same(store.training_set(second), today)
    # Another machine, which has nothing yet, sees the same.
    monkeypatch.setattr(feature_store, "cache_folder", lambda: tmp_path / "elsewhere")
    other = Features.open(artifact_root)
    assert same(other.training_set(first), yesterday)
    assert other.refresh()
    ids = yesterday.clips["clip_id"]
    found = other.online([ids[0], ids[40], ids[119], "unknown"])
    assert [row and row["caption"] for row in found] == [captions[0], "", captions[119], None]
    assert found[0]["observed_at"] == OBSERVED


def test_what_has_not_changed_is_not_appended(artifact_root, tmp_path):
    store, clips = Features.open(artifact_root), dataset(tmp_path / "clips", 100)
    assert store.publish(clips) == store.publish(clips)
    fewer = ClipDataset.write(
        tmp_path / "fewer", clips.clips[:60].assign(observed_at=pd.Timestamp.now("UTC")), clips.quarantine, {}
    )
    again = store.publish(fewer)
    assert len(list((store.folder / "clips").iterdir())) == 1
    # When a clip was first seen stays what it was.
    assert same(store.training_set(again), ClipDataset.write(tmp_path / "same", clips.clips[:60], clips.quarantine, {}))
    one = clips.clips["clip_id"][70]
    changed = clips.clips.assign(split=clips.clips["split"].mask(clips.clips["clip_id"] == one, "test"))
    store.publish(ClipDataset.write(tmp_path / "changed", changed, clips.quarantine, {}))
    assert pd.read_parquet(max((store.folder / "clips").iterdir()))["clip_id"].tolist() == [one]


def test_publications_at_the_same_time_lose_nothing(s3_root, tmp_path, monkeypatch):
    """Of two machines one does not see what the other publishes, and its clock is behind."""
    clips = [dataset(tmp_path / str(number), 30, caption=f"Caption {number}.") for number in range(3)]
    stores = []
    for number in range(3):
        monkeypatch.setattr(feature_store, "cache_folder", lambda number=number: tmp_path / f"cache-{number}")
        stores.append(Features.open(s3_root))
    sets = [stores[0].publish(clips[0])]
    assert stores[1].refresh()
    sets.append(stores[0].publish(clips[1]))
    monkeypatch.setattr(stores[1], "_fetch", lambda: None)
    monkeypatch.setattr(feature_store, "datetime", Behind)
    sets.append(stores[1].publish(clips[2]))
    assert all(same(stores[2].training_set(name), asked) for name, asked in zip(sets, clips, strict=True))


class Behind(datetime):
    """A clock that stands at the beginning of 2026."""

    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 1, tzinfo=tz)


def test_states_of_an_older_version_lack_what_it_did_not_know(tmp_path):
    store, clips = Features.open(str(tmp_path)), dataset(tmp_path / "clips", 20)
    name = store.publish(clips)
    part = next((store.folder / "clips").iterdir())
    pd.read_parquet(part).drop(columns=["text", "written_caption"]).assign(gone=1).to_parquet(part)
    older = clips.clips.assign(text=0.0, written_caption="")
    assert same(store.training_set(name), ClipDataset.write(tmp_path / "older", older, clips.quarantine, {}))


def test_a_set_whose_states_are_lost_is_no_training_set(tmp_path):
    store = Features.open(str(tmp_path))
    name = store.publish(dataset(tmp_path / "clips", 20))
    store.publish(dataset(tmp_path / "others", 20, seed=2))
    min((store.folder / "clips").iterdir()).unlink()
    with pytest.raises(KinoraError, match=f"lacks the states of 20 clips of the set {name}"):
        store.training_set(name)


def test_an_empty_dataset_is_an_empty_set(tmp_path):
    store = Features.open(str(tmp_path))
    assert not store.refresh()
    assert store.training_set(store.publish(dataset(tmp_path / "clips", 0))).empty
    assert not store.refresh()


def test_nearest_prompts_are_training_captions_that_share_the_rarest_words(tmp_path):
    captions = ["A man skis down a slope."] * 3 + ["A dog runs on a beach.", "A dog skis.", "", "Ein Bär läuft."]
    splits = ["train"] * 4 + ["validation"] + ["train"] * 2
    store = Features.open(str(tmp_path / "root"))
    assert store.nearest_prompts("a man") == []
    store.publish(dataset(tmp_path / "clips", 7, caption=captions, split=splits, caption_source="human"))
    (near,) = store.nearest_prompts("Dogs are running; a crimson dragon?", 1)
    assert (near.prompt, near.source, near.clips) == ("A dog runs on a beach.", "human", 1)
    assert [near.clips for near in store.nearest_prompts("a skiing man")] == [3, 1]
    assert [near.prompt for near in store.nearest_prompts("bar")] == ["Ein Bär läuft."]
    assert store.nearest_prompts('dragons" OR prompt:"a') == store.nearest_prompts("a")
    assert store.nearest_prompts("?!") == store.nearest_prompts("dragon") == []
    store.publish(dataset(tmp_path / "today", 7, caption="A cat sleeps.", split="train"))
    assert [(near.prompt, near.clips) for near in store.nearest_prompts("a")] == [("A cat sleeps.", 7)]


def test_registry_and_online_store_may_be_servers(tmp_path, monkeypatch, free_port, wait_until):
    pytest.importorskip("redis", reason="needs feast[redis]")
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server")
    port = free_port()
    monkeypatch.setenv(REGISTRY, f"sqlite:///{tmp_path / 'registry.sql'}")
    monkeypatch.setenv(ONLINE, f"redis://:a%20secret@127.0.0.1:{port}/3")
    store, clips = Features.open(str(tmp_path / "root")), dataset(tmp_path / "clips", 20)
    with pytest.raises(KinoraError, match="the Redis of KINORA_FEATURES_ONLINE fails"):
        store.publish(clips)
    options = ["--port", str(port), "--requirepass", "a secret", "--save", "", "--bind", "127.0.0.1"]
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL, cwd=tmp_path)
    try:
        wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", port)) == 0)
        name = store.publish(clips)  # what the first try left is finished
        assert same(store.training_set(name), clips)
        asked, endpoint = [clips.clips["clip_id"][0], "unknown"], Features.open(str(tmp_path / "root"))
        assert [row and row["caption"] for row in endpoint.online(asked)] == ["A red circle moves.", None]
        server.terminate()
        server.wait()
        monkeypatch.setattr(feature_store, "SECONDS_BETWEEN_TRIES", 1e6)
        with pytest.raises(KinoraError, match="the Redis of KINORA_FEATURES_ONLINE fails"):
            endpoint.online(asked)
        with monkeypatch.context() as waiting:  # nobody else waits for what has just failed
            waiting.setattr(endpoint, "_looked_up", None)
            with pytest.raises(KinoraError, match="the Redis of KINORA_FEATURES_ONLINE fails"):
                endpoint.online(asked)
    finally:
        server.terminate()
        server.wait()
    assert not list(store.folder.glob("*online*"))
    assert not list(store.folder.glob("registry*"))


def test_servers_that_cannot_be_used_are_one_sentence(tmp_path, monkeypatch):
    clips = dataset(tmp_path / "clips", 5)
    monkeypatch.setenv(ONLINE, "memcached://host")
    with pytest.raises(UsageError, match="is no Redis; give redis://"):
        Features.open(str(tmp_path)).publish(clips)
    monkeypatch.setenv(ONLINE, "redis://host")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "redis", None)
        without.delitem(sys.modules, "feast.infra.online_stores.redis", raising=False)
        with pytest.raises(UsageError, match=r"needs a package that is not here .* install feast\[redis,postgres\]"):
            Features.open(str(tmp_path)).publish(clips)
    monkeypatch.delenv(ONLINE)
    monkeypatch.setenv(REGISTRY, f"sqlite:///{tmp_path}/nowhere/registry.sql")
    with pytest.raises(KinoraError, match="database fails"):
        Features.open(str(tmp_path)).publish(clips)
    monkeypatch.setenv(REGISTRY, "nonsense://host")
    with pytest.raises(KinoraError):
        Features.open(str(tmp_path)).publish(clips)


def test_what_is_not_there_is_one_sentence(published, tmp_path):
    with pytest.raises(KinoraError, match="no features of 1 clips, the first 00000002"):
        list(read_features(published[1], dataset(tmp_path / "others", 1, seed=2)))
    with pytest.raises(KinoraError, match="holds no published features"):
        list(read_features(tmp_path, published[0]))
    with pytest.raises(KinoraError, match="cannot be used"):
        publish_features(published[0], "/dev/null/features")
    with pytest.raises(KinoraError, match="no published set 0123"):
        Features.open(str(tmp_path)).training_set("0123")


def test_drift_is_found_where_it_is(published):
    clips, folder = published
    path, figures = feature_report(clips, folder)
    assert figures["drifted_share"] == 0
    assert "<html" in path.read_text()[:2000].lower()
    training = clips.clips[["clip_id", *FEATURES]]
    _, figures = feature_report(clips, folder, [training.assign(motion=training["motion"] ** 4)])
    assert figures["psi_motion"] > 0.2 > figures["psi_brightness"]


def test_a_handful_of_clips_is_summarised_without_a_verdict(tmp_path):
    clips = dataset(tmp_path / "clips", 12)
    path, figures = feature_report(clips, publish_features(clips, tmp_path / "features"))
    assert path.is_file()
    assert "drifted_share" not in figures
