"""CSV and TSV: read back by a reader of their own, and nothing in them that a spreadsheet computes."""

import csv
from pathlib import Path

import pytest

from durable_rlm.state.answer_tables import Column
from durable_rlm.studio.answer_files.delimited import write_csv, write_tsv
from durable_rlm.studio.answer_files.tables import RowsTable, table_of
from tests.studio.answer_files.odd_tables import COLUMNS, FORMULAS, ODD, TEXTS, of_texts


def read(path: Path, delimiter: str = ",") -> list[list[str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file, delimiter=delimiter, strict=True))


@pytest.mark.parametrize(("write", "delimiter"), [(write_csv, ","), (write_tsv, "\t")])
def test_texts_are_read_back_unchanged(tmp_path: Path, write: object, delimiter: str) -> None:
    path = tmp_path / "a"
    (write_csv if write is write_csv else write_tsv)(path, of_texts(TEXTS))
    assert read(path, delimiter) == [["text"], *([text] for text in TEXTS)]


def test_values_are_written_as_json_has_them_and_missing_ones_are_empty(tmp_path: Path) -> None:
    write_csv(path := tmp_path / "a", ODD)
    names, first, second, third = read(path)
    assert names[:-1] == [column.name for column in COLUMNS][:-1]
    assert first[1:10] == [
        "-5", "-2.5", "true", "2024-02-29", "2024-02-29T13:30:00", "2024-07-01T12:00:00+02:00", "13:30:15",
        "P1DT2H0.5S", "-1234.50",
    ]  # fmt: skip
    assert first[10] == '{"a": [1, null, "ü"]}' and second[1] == "9007199254740993"
    assert third == [""] * len(COLUMNS)


def test_a_text_that_a_spreadsheet_would_compute_is_marked_as_text(tmp_path: Path) -> None:
    write_csv(path := tmp_path / "a", of_texts(FORMULAS))
    assert read(path)[1:] == [[f"'{text}"] for text in FORMULAS]
    write_csv(path, ODD)
    names, _, second, _ = read(path)
    assert names[-1] == f"'{COLUMNS[-1].name}" and second[8] == "'-PT1H" and second[10] == "'=a"


def test_a_number_is_never_marked(tmp_path: Path) -> None:
    columns = [Column("n", "number"), Column("d", "decimal"), Column("i", "integer")]
    write_csv(path := tmp_path / "a", RowsTable(columns, [[-1.5, "-2.50", -3], [float("-inf"), "-2+3", None]]))
    assert read(path)[1:] == [["-1.5", "-2.50", "-3"], ["-inf", "'-2+3", ""]]


def test_csv_is_as_rfc_4180_says(tmp_path: Path) -> None:
    write_csv(path := tmp_path / "a", of_texts(["a", "b\nc", None, ""]))
    assert path.read_bytes() == b'text\r\na\r\n"b\nc"\r\n""\r\n""\r\n'
    two = RowsTable([Column("a", "text"), Column("b", "text")], [[None, ""]])
    write_csv(path, two)
    assert path.read_bytes() == b'a,b\r\n,""\r\n'


def test_names_that_are_not_distinct_and_tables_without_rows_or_columns(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_csv(path, RowsTable([Column("a", "text"), Column("a", "integer")], []))
    assert path.read_text() == "a,a\n"
    empty = table_of([])
    assert empty is not None
    write_csv(path, empty)
    assert path.read_bytes() == b""


def test_records_with_differing_keys_are_one_table(tmp_path: Path) -> None:
    table = table_of([{"b": 1, "a": "x"}, {"c": [1, {"d": None}], "a": None}, {}])
    assert table is not None and [tuple(column) for column in table.columns] == [
        ("b", "integer"),
        ("a", "text"),
        ("c", "json"),
    ]
    write_csv(path := tmp_path / "a", table)
    assert read(path) == [["b", "a", "c"], ["1", "x", ""], ["", "", '[1, {"d": null}]'], ["", "", ""]]


def test_a_list_with_anything_else_is_no_table() -> None:
    assert all(table_of(value) is None for value in ([1], [{}, 1], {"a": 1}, "a", None, [[1]]))
