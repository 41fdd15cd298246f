"""Rows and records of documents in the REPL: no cell and no record is lost, none is read before it is asked for."""

import csv
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.kernel.inside.context import Document
from durable_rlm.kernel.inside.context_text import TextDocument
from durable_rlm.nodes.input.draft import Draft
from tests.kernel.documents import document, draft_of, text_document

Make = Callable[[Path, Draft], Document | TextDocument]


@pytest.fixture(params=[document, text_document], ids=["document", "text"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


# --- rows


cells = st.text('ab,;"\n\r\té日𝄞 ', max_size=6)


@given(st.lists(st.lists(cells, min_size=1, max_size=4), max_size=6), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_rows_are_those_of_the_csv_module(table: list[list[str]], end: str, quote_all: bool) -> None:
    file = io.StringIO()
    csv.writer(file, lineterminator=end, quoting=csv.QUOTE_ALL if quote_all else csv.QUOTE_MINIMAL).writerows(table)
    text = file.getvalue()
    with tempfile.TemporaryDirectory() as folder:
        doc = document(Path(folder), draft_of(text, "CSV", "t.csv", delimiter=","))
        rows = list(doc.rows())
        assert rows == list(csv.reader(io.StringIO(text, newline="")))
        assert [row.number for row in rows] == list(range(1, len(rows) + 1))
        assert [next(csv.reader(io.StringIO(text[row.start : row.end], newline="")), []) for row in rows] == rows
        for row in rows:
            assert row.lines == (doc.line_of(row.start), doc.line_of(max(row.start, row.end - 1)))


def test_rows_know_their_lines_and_addresses(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, draft_of('name,note\nAda,"two\nlines, größer"\n\nBob,"x"\n', "CSV", "t.csv"))
    header, ada, empty, bob = doc.rows()
    assert (header, header.number, header.lines) == (["name", "note"], 1, (1, 1))
    assert (ada, ada.number, ada.lines, ada.addresses) == (["Ada", "two\nlines, größer"], 2, (2, 3), ["A2", "B2"])
    assert (empty, empty.number, bob.number, bob.lines) == ([], 3, 4, (5, 5))
    assert doc[bob.start : bob.end] == 'Bob,"x"'
    assert doc.cell("B4") == "x" and doc.cell("$A$2") == "Ada" and doc.cell("C9") == ""
    with pytest.raises(LookupError, match="no address of a cell"):
        doc.cell("seven")


@pytest.mark.parametrize(
    ("name", "text", "row"),
    [
        ("a.csv", "a;b\n1,5;2\n", ["1,5", "2"]),
        ("a.csv", 'a,b\n"1;2;3",2\n', ["1;2;3", "2"]),
        ("a.tsv", "a\tb\n1,2,3\t4\n", ["1,2,3", "4"]),
        ("a.csv", "a|b\n1|2\n", ["1", "2"]),
        ("a.csv", "only\none\n", ["one"]),
        ("a.csv", '"a\n;b;","c"\n1,2\n', ["1", "2"]),
        ("a.csv", "", None),
        ("a.csv", "a,b\r1,2\r", ["1", "2"]),
    ],
)
def test_the_delimiter_is_found(make: Make, tmp_path: Path, name: str, text: str, row: list[str] | None) -> None:
    assert [*make(tmp_path, draft_of(text, "CSV", name)).rows(), None][1 if row else 0] == row


def test_a_quotation_mark_that_is_never_closed_does_not_take_in_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = csv.field_size_limit(100)
    monkeypatch.setattr("durable_rlm.kernel.inside.records._LONGEST_CELL", 1_000)
    try:
        doc = document(tmp_path, draft_of('a,b\n1,"2\n' + "3,4\n" * 1_000, "CSV", "t.csv"))
        with pytest.raises(ValueError, match=r"line 2 of 't.csv' begins a row that is no CSV"):
            list(doc.rows())
    finally:
        csv.field_size_limit(before)


def workbook() -> Draft:
    draft = Draft("XLSX", "prices.xlsx")
    draft.mark("sheets", "Prices")
    draft.write("Prices\n")
    for number, cells_, columns in [(1, "item\tprice", None), (2, "tea\t3,50 €", None), (7, "sum\t9", [1, 28])]:
        draft.mark_row(number, columns)
        draft.write(cells_ + "\n")
    draft.mark("sheets", "Old one")
    draft.write("Old one\n")
    draft.mark_row(1)
    draft.write("日本\n")
    return draft


def test_rows_of_sheets_have_their_sheet_number_and_addresses(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, workbook())
    assert doc.sheets == ["Prices", "Old one"]
    assert [(row.sheet, row.number, row.lines, list(row)) for row in doc.rows()] == [
        ("Prices", 1, (2, 2), ["item", "price"]),
        ("Prices", 2, (3, 3), ["tea", "3,50 €"]),
        ("Prices", 7, (4, 4), ["sum", "9"]),
        ("Old one", 1, (6, 6), ["日本"]),
    ]
    [*_, last] = doc.rows("Prices")
    assert (last.addresses, last.address(-1)) == (["A7", "AB7"], "AB7")
    assert all(doc[row.start : row.end] == "\t".join(row) for row in doc.rows())
    assert [doc.cell(one) for one in ("Prices!B2", "b2", "Prices!AB7", "Prices!B7", "'Old one'!A1")] == [
        *("3,50 €", "3,50 €", "9", "", "日本"),
    ]
    with pytest.raises(LookupError, match=r"no sheet 'Neu' in 'prices.xlsx', but 'Prices', 'Old one'"):
        doc.rows("Neu")
    assert [doc.place_of(doc.text.index(one)) for one in ("Prices", "tea", "sum", "日本")] == [
        *("Prices", "Prices row 2", "Prices row 7", "Old one row 1"),
    ]
    assert doc.places == {
        "sheets": [("Prices", 0, 35), ("Old one", 35, 46)],
        "rows": [("rows 1 to 2", 7, 29), ("rows 7 to 7", 29, 35), ("rows 1 to 1", 43, 46)],
    }


def test_a_document_without_a_table_has_no_rows(make: Make, tmp_path: Path) -> None:
    with pytest.raises(LookupError, match=r"'doc.txt' \(text\) has no rows"):
        make(tmp_path, draft_of("text")).rows()


def test_rows_are_read_as_they_are_asked_for(tmp_path: Path) -> None:
    doc = document(tmp_path, draft_of("a,b\n" * 1_000_000, "CSV", "t.csv"))
    rows = doc.rows()
    assert (next(rows).number, next(rows).number, iter(rows) is rows) == (1, 2, True)


# --- records


def test_json_lines_are_plain_values(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, draft_of('{"a": "größer"}\n\n[1]\r\n"x\u2028y"\n', "JSON Lines", "r.jsonl"))
    assert list(doc.records()) == [{"a": "größer"}, [1], "x\u2028y"]
    assert list(doc.records(numbered=True)) == [(1, {"a": "größer"}), (3, [1]), (4, "x\u2028y")]


def test_a_broken_record_is_never_lost_silently(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, draft_of('{"a": 1}\n{"a": \n{"a": 3}\n', "JSON Lines", "r.jsonl"))
    records = doc.records()
    assert next(records) == {"a": 1}
    with pytest.raises(ValueError, match=r"line 2 of 'r.jsonl' is no JSON"):
        next(records)
    with pytest.warns(UserWarning, match=r"1 lines of r.jsonl are no JSON and were left out: 2"):
        assert list(doc.records(errors="skip")) == [{"a": 1}, {"a": 3}]


def test_records_of_a_table_are_dicts_that_lose_no_cell(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, draft_of("name,,name\nAda,1,x\nBob\nEve,2,y,more\n\n", "CSV", "t.csv"))
    assert list(doc.records(numbered=True)) == [
        (2, {"name": "Ada", "column 2": "1", "name (2)": "x"}),
        (3, {"name": "Bob", "column 2": "", "name (2)": ""}),
        (4, {"name": "Eve", "column 2": "2", "name (2)": "y", "column 4": "more"}),
    ]


def test_records_of_a_history_are_messages(make: Make, tmp_path: Path) -> None:
    draft = Draft("agent history", "h.jsonl")
    for role, text in (("user", "Frage?\n"), ("assistant", "größer\n")):
        draft.mark("messages", role=role)
        draft.write(text)
    doc = make(tmp_path, draft)
    assert list(doc.records()) == [
        {"number": 1, "role": "user", "text": "Frage?\n", "start": 0, "end": 7},
        {"number": 2, "role": "assistant", "text": "größer\n", "start": 7, "end": 14},
    ]
    assert doc.place_of(8) == "message 2"
