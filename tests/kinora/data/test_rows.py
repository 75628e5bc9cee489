"""Rows of a table are found by place and by clip_id as the whole table has them."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kinora.data.rows import Rows
from kinora.errors import KinoraError


@pytest.fixture
def whole(tmp_path):
    """A table in groups of 7 rows, of which one clip_id comes twice, and its path."""
    ids = [f"{number:064x}" for number in np.random.default_rng(0).permutation(50)]
    table = pd.DataFrame({"clip_id": [*ids, ids[3]], "caption": [f"caption {i}" for i in range(51)], "fps": 8.0})
    pq.write_table(pa.Table.from_pandas(table), tmp_path / "clips.parquet", row_group_size=7)
    return table, tmp_path / "clips.parquet"


def test_rows_are_read_in_the_order_asked_for(whole):
    table, path = whole
    places = [49, 3, 3, 20, 0]
    read = Rows(path).read(places, ["caption"])
    assert read["caption"].tolist() == table["caption"].iloc[places].tolist()
    assert list(read) == ["caption"]


def test_a_clip_is_found_by_its_id_at_its_first_place(whole):
    table, path = whole
    rows = Rows(path)
    assert rows.places(table["clip_id"]).tolist() == [*range(50), 3]
    assert rows.place("f" * 64) is None
    assert np.flatnonzero(rows.repeats()).tolist() == [50]


def test_no_rows_are_none_whether_the_table_has_any_or_not(whole, tmp_path):
    table, path = whole
    assert list(Rows(path).read([])) == list(table)
    with pq.ParquetWriter(tmp_path / "none.parquet", pq.read_schema(path)):
        pass
    none = Rows(tmp_path / "none.parquet")
    assert len(none.read([])) == len(none) == 0
    assert none.places(table["clip_id"]).tolist() == [-1] * 51


def test_a_damaged_table_is_named(whole):
    _, path = whole
    rows = Rows(path)
    data = bytearray(path.read_bytes())
    data[4:900] = bytes(896)
    path.write_bytes(data)
    with pytest.raises(KinoraError, match=r"clips.parquet is damaged"):
        rows.read([0])
