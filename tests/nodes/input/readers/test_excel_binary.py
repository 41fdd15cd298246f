"""Workbooks in binary form show their values as the others do."""

from random import Random

import pytest
import python_calamine

from durable_rlm.nodes.input.draft import Unusable
from tests.nodes.input.corpus.excel import workbook
from tests.nodes.input.corpus.excel_binary import label, number, record, samples, text_box, xls, xlsb
from tests.nodes.input.corpus.parts import zipped
from tests.nodes.input.corpus.silent import lost
from tests.nodes.input.reading import drafts, only


@pytest.mark.parametrize("seed", range(4))
def test_no_sentence_in_any_part_is_lost_without_a_note(seed: int) -> None:
    assert [lost(one) for one in samples(Random(seed))] == [[], []]


@pytest.mark.parametrize(
    ("code", "value", "shown"),
    [("0.0%", 0.125, "12.5%"), ("yyyy-mm-dd", 46053, "2026-01-31"), ("00000", 123, "00123"), ("[h]:mm", 1.5, "36:00")],
)
def test_numbers_are_shown_by_their_formats(code: str, value: float, shown: str) -> None:
    draft = only("book.xls", xls(label(0, 0, "words") + number(2, 1, value, 1) + number(2, 2, 250), code=code))
    assert draft.text == f"## Data\nwords\n\t{shown}\t250\n"
    assert draft.places["rows"]["runs"] == [[8, 1, 1], [14, 3, 1]]


def test_hidden_sheets_and_rows_logical_values_and_errors_are_shown() -> None:
    boolean = record(0x205, b"\0\0\0\0\0\0\x01\x00")
    error = record(0x205, b"\0\0\x01\0\0\0\x2a\x01")
    row = record(0x208, b"\0\0\0\0\2\0\0\0\0\0\0\0\x20\0\0\0")
    draft = only("book.xls", xls(row + boolean + error, state=2, name="Quiet"))
    assert draft.text == "## Quiet (very hidden)\nTRUE\t#N/A\n[hidden rows: 1]\n"
    assert draft.meta["hidden_sheets"] == ["Quiet"]


def test_a_protected_workbook_is_said_to_be_one() -> None:
    data = xls(b"")
    protected = data[:20] + record(0x2F, bytes(6)) + data[20:]
    with pytest.raises(Unusable, match="password-protected"):
        only("book.xls", protected)


def test_other_files_that_are_called_xls_are_read_as_what_they_are() -> None:
    [newer] = drafts("book.xls", zipped(workbook("<row><c><v>5</v></c></row>")))
    assert (newer.text, newer.meta["kind"]) == ("## Data\n5\n", "XLSX")
    [table] = drafts("book.xls", b"Region\tAmount\nNorth\t5\n")
    assert table.text == "Region\tAmount\nNorth\t5\n"


def test_a_newer_workbook_in_binary_form_says_what_it_does_not_show() -> None:
    draft = only("book.xlsb", zipped(xlsb("words")))
    assert draft.text == "## Data\nwords\n"
    assert draft.all_losses() == ["comments, formulas, number formats and error values are not shown"]


def test_sheets_of_macros_and_of_charts_are_counted() -> None:
    others = record(0x85, b"\0\0\0\0\0\1\1\0M") + record(0x85, b"\0\0\0\0\0\2\1\0C")
    draft = only("book.xls", xls(label(0, 0, "a"), before=others))
    assert draft.all_losses() == ["1 sheet of macros not shown", "1 sheet of a chart not shown"]


class Panic(BaseException):
    """The kind of error that calamine's own language raises, which is no Exception."""


def test_a_panic_of_the_library_is_a_damaged_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def panic(file: object) -> None:
        raise Panic

    monkeypatch.setattr(python_calamine.CalamineWorkbook, "from_filelike", panic)
    with pytest.raises(Unusable, match="damaged XLSB"):
        only("book.xlsb", zipped(xlsb("words")))


def test_a_damaged_sheet_of_a_newer_workbook_costs_that_sheet() -> None:
    parts = xlsb("words")
    parts["xl/worksheets/sheet1.bin"] = b"\xff" * 9
    draft = only("book.xlsb", zipped(parts))
    assert draft.text == "## Data\n"
    assert any(loss.startswith("sheet Data cannot be read") for loss in draft.all_losses())


def test_a_file_that_neither_library_reads_is_damaged() -> None:
    with pytest.raises(Unusable, match="damaged XLS"):
        only("book.xls", xls(label(0, 0, "a"))[:40])


def test_a_comment_is_not_a_text_box_and_names_its_cell_and_author() -> None:
    note = record(0x1C, b"\2\0\1\0\0\0\1\0\3\0\0Ann\0")
    draft = only("book.xls", xls(label(0, 0, "a"), more=text_box("estimated", shape=25) + note))
    assert draft.text == "## Data\na\n[comment on B3 by Ann]: estimated\n"
