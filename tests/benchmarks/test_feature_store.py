"""While Redis is away a person is told so in a sentence, and is answered again when it is back."""

import re
import shutil
from contextlib import contextmanager

import pytest

from benchmarks import feature_store
from benchmarks.feature_store import NO_REDIS, Asked, main, measure, table
from kinora.data.features.definitions import ONLINE, REGISTRY


@contextmanager
def sqlite(folder):
    """A registry in a file."""
    yield f"sqlite:///{folder}.sql"


def test_a_redis_that_is_killed_is_asked_again_when_it_is_back(tmp_path, monkeypatch):
    pytest.importorskip("redis", reason="needs feast[redis]")
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server")
    # Between its tries the client waits for up to 14 s in all.
    monkeypatch.setattr("redis.backoff.ExponentialWithJitterBackoff.compute", lambda self, failures: 0.0)
    monkeypatch.setattr(feature_store, "registry", sqlite)  # PostgreSQL, as another user, may not enter tmp_path
    for name in (REGISTRY, ONLINE):
        monkeypatch.setenv(name, "")  # put back afterwards
    said = "\n".join(measure(300, 5.0, 1.0, tmp_path))
    assert said.startswith("300 clips published in ")
    rows = {cells[1]: cells[2:] for line in said.splitlines() if (cells := [c.strip() for c in line.split("|")])[1:]}
    assert int(rows["before"][0]) > 0 < int(rows["back"][0])
    assert rows["before"][4] == "0"
    assert int(rows["Redis away"][4]) > 0
    told = re.findall(r"^- (.*)", said, re.MULTILINE)
    assert told
    assert all("the Redis of KINORA_FEATURES_ONLINE fails" in sentence for sentence in told)


def test_waits_and_errors_are_counted_where_they_were_met():
    asked = Asked([0.1, 1.3, 2.7, 4.2], [0.1, 0.3, 0.7, 0.2], ["", "", "It is away.", ""])
    lines = list(table(asked, 0.0, 2.0, 3.0, 5.0))
    assert lines[2] == "| before | 1 | 200.0 ms | 290.0 ms | 0.30 s | 0 |"
    assert lines[3] == "| Redis away | 0 |  |  | 0.70 s | 1 |"
    assert lines[6].startswith("\nThe first answer came 1.2 s after")
    assert lines[7] == "- It is away. (1 times)"


def test_without_redis_there_is_a_sentence(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit, match="no redis-server here") as end:
        main()
    assert str(end.value) == NO_REDIS
