"""Tables of every library come out with every row and column, and with types."""

import datetime as dt
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from durable_rlm.kernel.inside import answer_batches
from durable_rlm.kernel.inside.answer_batches import Batches
from durable_rlm.kernel.inside.answer_tables import frame_of
from durable_rlm.kernel.inside.answer_value import AnswerTooLarge


def table(value: Any) -> tuple[list[tuple[str, str]], list[list[Any]], str]:
    """Return the columns, the rows and the problem of a table."""
    frame = frame_of(value)
    assert frame is not None
    batches = Batches(frame)
    rows = [row for batch in batches for row in json.loads(batch)]
    head = batches.head()
    assert head["rows"] == len(rows)
    return [(one["name"], one["type"]) for one in head["columns"]], rows, batches.problem()


def test_every_kind_of_column_of_pandas_keeps_its_values() -> None:
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "f": [0.5, np.nan],
            "s": ["x", None],
            "mixed": ["a", 1],
            "tz": pd.to_datetime(["2024-06-01", None]).tz_localize("Europe/Berlin"),
            "ns": pd.to_datetime(["2024-06-01T00:00:00.000000001", None]),
            "category": pd.Categorical(["a", None]),
            "period": pd.period_range("2024-01", periods=2, freq="M"),
            "interval": pd.interval_range(0, 2),
            "delta": pd.to_timedelta(["1D", None]),
            "nullable": pd.array([1, None], dtype="Int64"),
            "flag": pd.array([True, None], dtype="boolean"),
            "decimal": [Decimal("1.50"), None],
            "date": [dt.date(2024, 1, 1), None],
            "nested": [{"a": {1, 2}}, [1]],
        }
    )
    columns, rows, problem = table(frame)
    assert not problem
    assert dict(columns) == {
        **{"i": "integer", "f": "number", "s": "text", "mixed": "json", "tz": "datetime", "ns": "datetime"},
        **{"category": "text", "period": "text", "interval": "text", "delta": "duration", "nullable": "integer"},
        **{"flag": "boolean", "decimal": "decimal", "date": "date", "nested": "json"},
    }
    assert rows == [
        [
            *(1, 0.5, "x", "a", "2024-06-01T00:00:00+02:00", "2024-06-01T00:00:00.000000001", "a", "2024-01", "(0, 1]"),
            *("P1D", 1, True, "1.50", "2024-01-01", {"a": [1, 2]}),
        ],
        [2, None, None, 1, None, None, None, "2024-02", "(1, 2]", None, None, None, None, None, [1]],
    ]


def test_an_index_that_says_something_is_a_column_and_names_are_different_texts() -> None:
    odd = pd.DataFrame([[1, 2, 3]], columns=["a", "a", 5])
    assert [name for name, _ in table(odd)[0]] == ["a", "a (2)", "5"]
    both = pd.DataFrame(
        [[1, 2]],
        index=pd.MultiIndex.from_tuples([("x", 1)], names=["key", None]),
        columns=pd.MultiIndex.from_tuples([("v", "mean"), ("v", "max")]),
    )
    columns, rows, _ = table(both)
    assert [name for name, _ in columns] == ["key", "level_1", "v / mean", "v / max"] and rows == [["x", 1, 1, 2]]
    assert table(pd.Series(["a", "b", "a"], name="city").value_counts())[1] == [["a", 2], ["b", 1]]
    assert table(pd.Series([5, 6]))[1] == [[5], [6]]


def test_the_tables_of_polars_and_arrow_keep_their_values() -> None:
    moment = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
    frame = pl.DataFrame(
        {"a": [1, None], "t": [moment, None], "d": [dt.time(1, 2, 3, 4), None], "l": [[1], None], "n": [1.5, None]}
    ).with_columns((pl.col("t").dt.cast_time_unit("ns") + pl.duration(nanoseconds=7)).alias("ns"))
    wanted = [
        [1, "2024-01-01T00:00:00+00:00", "01:02:03.000004", [1], 1.5, "2024-01-01T00:00:00.000000007+00:00"],
        [None] * 6,
    ]
    types = ["integer", "datetime", "time", "json", "number", "datetime"]
    for one in (frame, frame.lazy(), frame.to_arrow(), *frame.to_arrow().to_batches()):
        columns, rows, problem = table(one)
        assert (rows, [kind for _, kind in columns], problem) == (wanted, types, "")
    assert table(pl.Series("x", [1, 2]))[1] == table(pa.chunked_array([[1], [2]]))[1] == [[1], [2]]


def test_a_value_without_a_form_is_named_with_its_column_and_row() -> None:
    _, rows, problem = table(pd.DataFrame({"blob": ["a", b"x"], "f": [np.inf, 1.0]}))
    assert rows == [["a", None], ["b'x'", 1.0]]
    assert "value.blob[1] is bytes" in problem and "value.f[0] is infinite" in problem


def test_rows_come_in_batches_and_no_table_is_too_long_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_batches, "_CELLS_AT_A_TIME", 100)
    monkeypatch.setattr(answer_batches, "_BATCH", 500)
    frame = frame_of(pd.DataFrame({"i": range(1000), "s": ["x" * (i % 300) for i in range(1000)]}))
    assert frame is not None
    batches = list(Batches(frame))
    assert len(batches) > 100 and max(map(len, batches)) < 600
    assert [row[0] for batch in batches for row in json.loads(batch)] == list(range(1000))


def test_a_table_that_is_too_large_is_an_error_before_all_of_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    frame = frame_of(pd.DataFrame({"s": ["x" * 1000] * 1000}))
    assert frame is not None
    monkeypatch.setattr(answer_batches, "_BATCH", 5_000)
    monkeypatch.setattr(answer_batches, "MOST_TABLE_BYTES", 50_000)
    made = 0
    with pytest.raises(AnswerTooLarge, match="answer_files"):
        for batch in Batches(frame):
            made += len(batch)
    assert 0 < made <= 50_000
    monkeypatch.setattr(answer_batches, "MOST_BATCH_BYTES", 900)
    with pytest.raises(AnswerTooLarge, match="a row has"):
        list(Batches(frame))
