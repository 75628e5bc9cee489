"""Configurations survive JSON, and their digest sees every field."""

from dataclasses import dataclass, replace

import pytest

from kinora.config import digest, from_dict, read_json, to_dict, write_json


@dataclass(frozen=True)
class Inner:
    sizes: tuple[tuple[int, int], ...] = ((32, 32), (40, 24))
    name: str | None = None


@dataclass(frozen=True)
class Outer:
    rate: float = 1e-3
    inner: Inner = Inner()


def test_a_configuration_survives_json(tmp_path):
    config = Outer(rate=0.1, inner=Inner(((8, 16),), "x"))
    write_json(tmp_path / "config.json", config)
    assert from_dict(Outer, read_json(tmp_path / "config.json")) == config


def test_an_unknown_key_is_refused():
    with pytest.raises(Exception, match="rte"):
        from_dict(Outer, {"rte": 1})


def test_the_digest_sees_every_field_and_no_key_order():
    assert digest({"a": 1, "b": 2}) == digest({"b": 2, "a": 1})
    assert digest(Outer()) == digest(to_dict(Outer()))
    assert digest(Outer()) != digest(replace(Outer(), inner=Inner(name="x")))


@pytest.mark.parametrize(
    "wrong", [{"rate": "fast"}, {"rate": True}, {"inner": {"name": 5}}, {"inner": {"sizes": [[8.5, 16]]}}, {"inner": 3}]
)
def test_a_value_of_another_type_is_refused_and_not_converted(wrong):
    with pytest.raises(ValueError, match=r"."):
        from_dict(Outer, wrong)
    assert from_dict(Outer, {"rate": 1}).rate == 1.0
