"""Excel: read back by another library; dates and numbers are such, and text is text."""

import tempfile
import zipfile
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest
from openpyxl.utils.escape import unescape

from durable_rlm.state.answer_tables import Column
from durable_rlm.state.errors import StoreError
from durable_rlm.studio.answer_files.excel import write_excel
from durable_rlm.studio.answer_files.tables import RowsTable
from tests.studio.answer_files.odd_tables import FORMULAS, ODD, ROWS, TEXTS, of_texts


def sheets(path: Path) -> list[list[list[Any]]]:
    book = openpyxl.load_workbook(path)
    return [[[cell.value for cell in row] for row in sheet.iter_rows()] for sheet in book.worksheets]


def texts_of(path: Path) -> list[Any]:
    return [row[0] for row in sheets(path)[0][1:]]


def unescaped(text: Any) -> Any:
    """Return a text as Excel shows it: openpyxl leaves its escapes of control characters."""
    return unescape(text) if isinstance(text, str) else text


def test_texts_are_read_back_unchanged(tmp_path: Path) -> None:
    write_excel(path := tmp_path / "a.xlsx", of_texts(TEXTS))
    # A parser of XML reads every line end as one character.
    expected = [text.replace("\r\n", "\n").replace("\r", "\n") for text in TEXTS]
    found = [
        text.replace("\r\n", "\n").replace("\r", "\n") if text else text for text in map(unescaped, texts_of(path))
    ]
    assert found == expected


def test_no_text_becomes_a_formula_or_a_link(tmp_path: Path) -> None:
    write_excel(path := tmp_path / "a.xlsx", of_texts([*FORMULAS, *TEXTS]))
    book = zipfile.ZipFile(path)
    sheet = book.read("xl/worksheets/sheet1.xml")
    assert b"<f>" not in sheet and b"hyperlink" not in sheet
    assert not [name for name in book.namelist() if "worksheets/_rels" in name]
    marked = openpyxl.load_workbook(path).worksheets[0]
    assert [cell.quotePrefix for (cell,) in marked.iter_rows(min_row=2)][: len(FORMULAS)] == [True] * len(FORMULAS)


def test_a_text_that_looks_like_the_librarys_markup_is_a_text(tmp_path: Path) -> None:
    hostile = '<r></t></is></c><c r="B2"><f>1+1</f></c></r>'
    write_excel(path := tmp_path / "a.xlsx", of_texts([hostile, "<r>&</r>"]))
    assert texts_of(path) == [hostile, "<r>&</r>"]


def test_dates_numbers_and_truth_are_such(tmp_path: Path) -> None:
    write_excel(path := tmp_path / "a.xlsx", ODD)
    ((names, first, second),) = sheets(path)
    assert names[:3] == ["text", "integer", "number"]
    assert first[1:8] == [
        -5, -2.5, True, datetime(2024, 2, 29), datetime(2024, 2, 29, 13, 30), ROWS[0][6], time(13, 30, 15)
    ]  # fmt: skip
    assert first[8] == timedelta(days=1, hours=2, seconds=0.5) and first[9] == -1234.5
    assert second[5] == datetime(2024, 1, 1, 0, 0, 0, 123000)


def test_a_value_that_excel_would_round_or_refuse_is_text(tmp_path: Path) -> None:
    write_excel(path := tmp_path / "a.xlsx", ODD)
    second = sheets(path)[0][2]
    assert (second[1], second[4], second[8]) == ("9007199254740993", "1850-01-01", "-PT1H")
    columns = [Column("n", "number"), Column("d", "decimal"), Column("day", "date")]
    rows = [[float("inf"), "0.12345678901234567", "soon"], [1e308, "1e400", "2024-02-30"]]
    write_excel(path, RowsTable(columns, rows))
    assert sheets(path)[0][1:] == [["inf", *rows[0][1:]], ["1e+308", *rows[1][1:]]]


def test_more_rows_than_a_sheet_holds_go_to_further_sheets(tmp_path: Path) -> None:
    said = write_excel(path := tmp_path / "a.xlsx", of_texts(list("abcde")), sheet_rows=3)
    assert sheets(path) == [[["text"], ["a"], ["b"]], [["text"], ["c"], ["d"]], [["text"], ["e"]]]
    assert "3 sheets" in said


@pytest.mark.parametrize("text", ["x" * 32_768, "🎉" * 16_384, f"<r>{'&' * 20_000}</r>"])
def test_a_text_longer_than_a_cell_is_an_error_and_not_cut(
    tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(StoreError, match="Row 2, column 'text'"):
        write_excel(tmp_path / "a.xlsx", of_texts(["a", text]))
    assert list(tmp_path.iterdir()) == []
    write_excel(path := tmp_path / "a.xlsx", of_texts(["x" * 32_767]))
    assert texts_of(path) == ["x" * 32_767]


def test_tables_without_rows_or_columns(tmp_path: Path) -> None:
    write_excel(path := tmp_path / "a.xlsx", RowsTable([Column("a", "text"), Column("a", "text")], []))
    assert sheets(path) == [[["a", "a"]]]
    write_excel(path, RowsTable([], []))
    assert len(sheets(path)) == 1
    with pytest.raises(StoreError, match="columns"):
        write_excel(path, RowsTable([Column(str(number), "text") for number in range(16_385)], []))
