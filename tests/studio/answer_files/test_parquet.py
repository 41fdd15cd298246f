"""Parquet: read back by pyarrow with the types of the table, whatever its cells hold."""

import importlib.util
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from durable_rlm.state.answer_tables import Column, ColumnType
from durable_rlm.state.errors import UsageError
from durable_rlm.studio.answer_files.parquet import write_parquet
from durable_rlm.studio.answer_files.tables import RowsTable
from durable_rlm.studio.cli.files import AnswerFile
from tests.studio.answer_files.odd_tables import COLUMNS, MOMENT, ODD, TEXTS, of_texts


def columns(path: Path) -> dict[str, tuple[str, list[Any]]]:
    read = parquet.read_table(path)
    return {field.name: (str(field.type), read[field.name].to_pylist()) for field in read.schema}


def test_every_type_is_its_arrow_type(tmp_path: Path) -> None:
    said = write_parquet(path := tmp_path / "a", ODD)
    assert not said
    found = columns(path)
    assert list(found) == [column.name for column in COLUMNS]
    assert found["text"] == ("string", [TEXTS[0], TEXTS[1], None])
    assert found["integer"] == ("int64", [-5, 9007199254740993, None])
    assert found["number"] == ("double", [-2.5, 1e-300, None])
    assert found["boolean"] == ("bool", [True, False, None])
    assert found["date"] == ("date32[day]", [date(2024, 2, 29), date(1850, 1, 1), None])
    assert found["datetime"][0] == "timestamp[us]"
    assert found["zoned"] == ("timestamp[us, tz=UTC]", [MOMENT, datetime(2024, 1, 1, 11, tzinfo=UTC), None])
    assert found["time"] == ("time64[us]", [time(13, 30, 15), time(0, 0, 0, 250_000), None])
    assert found["duration"] == ("duration[us]", [timedelta(1, 7200.5), timedelta(hours=-1), None])
    assert found["decimal"] == ("decimal128(6, 2)", [Decimal("-1234.50"), Decimal("0.10"), None])
    assert found["json"] == ("string", ['{"a": [1, null, "ü"]}', "=a", None])


@pytest.mark.parametrize(
    ("kind", "cells"),
    [
        ("integer", [1, 1 << 63]),
        ("date", ["2024-01-01", "2024-02-30"]),
        ("datetime", ["2024-01-01T00:00:00", "2024-01-01T00:00:00Z"]),
        ("datetime", ["2024-01-01T00:00:00.123456789"]),
        ("boolean", [True, "maybe"]),
        ("decimal", ["1e400", "0.1"]),
        ("duration", ["P", "PT1H"]),
        ("number", [1.5, {"a": 1}]),
    ],
)
def test_a_column_with_another_value_is_text_and_said(tmp_path: Path, kind: ColumnType, cells: list[Any]) -> None:
    said = write_parquet(path := tmp_path / "a", RowsTable([Column("c", kind)], [[cell] for cell in cells]))
    kept, values = columns(path)["c"]
    assert kept == "string" and values[0] in (cells[0], str(cells[0]), "true") and "c" in said


def test_large_decimals_odd_texts_and_missing_numbers(tmp_path: Path) -> None:
    big = "1" * 40 + ".5"
    table = RowsTable([Column("d", "decimal"), Column("n", "number")], [[big, float("nan")], ["-1", float("inf")]])
    write_parquet(path := tmp_path / "a", table)
    found = columns(path)
    assert found["d"] == ("decimal256(41, 1)", [Decimal(big), Decimal("-1.0")])
    assert found["n"] == ("double", [None, float("inf")])
    write_parquet(path, of_texts([*TEXTS, "\ud800"]))
    assert columns(path)["text"][1] == [*TEXTS, "?"]


def test_names_that_are_not_distinct_and_tables_without_rows_or_columns(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_parquet(path, RowsTable([Column("a", "text"), Column("a", "date"), Column("a_2", "text")], []))
    assert list(columns(path)) == ["a", "a_3", "a_2"]
    write_parquet(path, RowsTable([], []))
    assert columns(path) == {}


def test_without_pyarrow_it_is_refused_before_anything_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(name: str) -> None:
        del name

    monkeypatch.setattr(importlib.util, "find_spec", nothing)
    with pytest.raises(UsageError, match=r"durable-rlm\[tables\]"):
        AnswerFile(tmp_path / "a.parquet")
