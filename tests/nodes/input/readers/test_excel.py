"""Workbooks are read cell by cell, as they are shown, with everything that belongs to their sheets."""

import io
from datetime import date, datetime
from random import Random

import pytest
from msoffcrypto.format.ooxml import OOXMLFile
from openpyxl import Workbook
from openpyxl.comments import Comment

from durable_rlm.nodes.input.draft import Draft, Unusable
from durable_rlm.nodes.input.readers.sheets import excel_cells, sheet_text
from tests.nodes.input.corpus.excel import formats, inline, samples, workbook
from tests.nodes.input.corpus.parts import relations, strict, unzipped, zipped
from tests.nodes.input.corpus.silent import lost
from tests.nodes.input.reading import drafts, only


def read(rows: str, **parts: str) -> Draft:
    return only("book.xlsx", zipped(workbook(rows, **parts)))


def lines(draft: Draft) -> list[str]:
    return draft.text.split("\n")[1:-1]


def saved(book: Workbook) -> Draft:
    file = io.BytesIO()
    book.save(file)
    return only("book.xlsx", file.getvalue())


def test_a_workbook_reads_like_its_sheets() -> None:
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Q1"
    sheet.append(["Region", "Date", "Amount"])
    sheet.append(["North", date(2026, 1, 31), 100])
    sheet["C2"].number_format = "0.0%"
    sheet.append([None, datetime(2026, 2, 28, 12, 30), 250])
    sheet.append(["Total", None, "=SUM(C2:C3)"])
    sheet.merge_cells("A2:A3")
    sheet["C3"].comment = Comment("Estimated, not audited", "Ann")
    other = book.create_sheet("Adjustments")
    other.append(["write-off", -90])
    other.sheet_state = "hidden"
    draft = saved(book)
    assert draft.text == (
        "## Q1\nRegion\tDate\tAmount\nNorth\t2026-01-31\t10000.0%\n\t2026-02-28 12:30:00\t250\nTotal\t\t=SUM(C2:C3)\n"
        "[merged cells: A2:A3]\n[comment on C3 by Ann]: Estimated, not audited\n\n"
        "## Adjustments (hidden)\nwrite-off\t-90\n"
    )
    assert draft.places["sheets"] == {
        "at": [0, 165],
        "label": ["Q1", "Adjustments"],
        "state": ["visible", "hidden"],
    }
    assert draft.places["rows"] == {"runs": [[6, 1, 4], [189, 1, 1]]}
    assert draft.all_losses() == ["1 formula has no stored value; the formula is shown"]
    assert draft.meta["sheets"] == ["Q1", "Adjustments"]
    assert draft.meta["hidden_sheets"] == ["Adjustments"]
    assert draft.meta["rows"] == [4, 1]
    assert draft.meta["author"] == "openpyxl"


@pytest.mark.parametrize("seed", range(6))
def test_no_sentence_in_any_part_is_lost_without_a_note(seed: int) -> None:
    assert [lost(one) for one in samples(Random(seed))] == [[], []]


def test_the_strict_form_reads_like_the_usual_one() -> None:
    parts = workbook(
        '<row r="1"><c r="A1" t="d"><v>2026-01-31T00:00:00</v></c></row>', book='<workbookPr date1904="1"/>'
    )
    assert only("a.xlsx", zipped(strict(parts))).text == "## Data\n2026-01-31\n"


def test_leading_zeros_dates_and_shares_are_shown_by_their_formats() -> None:
    styles = formats("00000", "yyyy-mm-dd", "0.0%")
    cells = '<c s="1"><v>123</v></c><c s="2"><v>46053</v></c><c s="3"><v>0.125</v></c><c s="99"><v>5</v></c>'
    assert lines(read(f"<row>{cells}</row>", styles=styles)) == ["00123\t2026-01-31\t12.5%\t5"]


def test_days_count_from_1904_where_the_workbook_says_so() -> None:
    draft = read(
        '<row><c s="1"><v>44591</v></c></row>', styles=formats("yyyy-mm-dd"), book='<workbookPr date1904="true"/>'
    )
    assert lines(draft) == ["2026-01-31"]


def test_the_formats_of_conditional_formatting_are_not_those_of_cells() -> None:
    more = '<dxfs><dxf><numFmt numFmtId="164" formatCode="yyyy"/></dxf></dxfs>'
    assert lines(read('<row><c s="1"><v>7</v></c></row>', styles=formats("00000") + more)) == ["00007"]


def test_logical_values_and_errors_are_shown_as_excel_writes_them() -> None:
    cells = '<c t="b"><v>1</v></c><c t="b"><v>0</v></c><c t="e"><v>#N/A</v></c><c t="str"><f>A1</f><v>words</v></c>'
    assert lines(read(f"<row>{cells}</row>")) == ["TRUE\tFALSE\t#N/A\twords"]


def test_readings_are_not_glued_to_the_words_they_explain() -> None:
    strings = '<si><r><t>東京</t></r><rPh sb="0" eb="2"><t>トウキョウ</t></rPh><phoneticPr fontId="1"/></si>'
    assert lines(read('<row><c t="s"><v>0</v></c></row>', strings=strings)) == ["東京"]


def test_a_cell_is_one_field_of_one_line() -> None:
    cell = f'<c t="inlineStr">{inline("one&#10;two&#9;three_x000D_four".replace("&", "&"))}</c>'.replace("&amp;", "&")
    assert lines(read(f"<row>{cell}<c><v>1</v></c></row>")) == ["one two three four\t1"]


def test_formulas_without_a_value_are_shown_and_said_also_those_that_share_one_text() -> None:
    rows = (
        '<row r="1"><c r="B1"><f t="shared" ref="B1:B3" si="0">A1*$A$1+SUM(C1:C$9)&amp;"A1"</f><v>3</v></c></row>'
        '<row r="2"><c r="B2"><f t="shared" si="0"/></c><c r="C2"><f>NOW()</f><v></v></c></row>'
        '<row r="3"><c r="D3"><f t="shared" si="0"/></c><c r="E3" t="str"><f>""</f><v></v></c></row>'
    )
    draft = read(rows)
    assert lines(draft) == ["\t3", '\t=A2*$A$1+SUM(C2:C$9)&"A1"\t=NOW()', '\t\t\t=C3*$A$1+SUM(E3:E$9)&"A1"']
    assert draft.all_losses() == ["3 formulas have no stored value; the formula is shown"]
    assert draft.meta["formulas"] == 5


def test_a_sheet_with_its_first_and_its_last_cell_costs_nothing() -> None:
    rows = (
        '<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576"><c r="B1048576"><v>2</v></c>'
        '<c r="XFD1048576"><v>3</v></c></row>'
    )
    draft = read(rows)
    assert draft.text == "## Data\n1\n2\t3\n"
    assert draft.places["rows"] == {"runs": [[8, 1, 1], [10, 1048576, 1]], "columns": {"1:1048576": [2, 16384]}}


def test_short_gaps_are_empty_cells_and_long_ones_are_left_out() -> None:
    short = read('<row r="1"><c r="A1"><v>1</v></c><c r="V1"><v>2</v></c></row>')
    assert lines(short) == ["1" + "\t" * 21 + "2"]
    assert "columns" not in short.places["rows"]
    assert lines(read('<row r="1"><c r="A1"><v>1</v></c><c r="W1"><v>2</v></c></row>')) == ["1\t2"]


def test_forged_numbers_of_rows_and_columns_are_counted_on_and_said() -> None:
    forged = "".join(f'<row r="{number}"><c r="!"><v>2</v></c></row>' for number in ("9" * 5_000, "1048577", "0", "x"))
    draft = read(f'<row r="5"><c r="ZZZZ5"><v>1</v></c></row>{forged}')
    assert lines(draft) == ["1", "2", "2", "2", "2"]
    assert draft.places["rows"] == {"runs": [[8, 5, 5]]}
    assert len(draft.all_losses()) == 2


def test_a_thread_of_comments_is_shown_without_the_form_for_older_programs() -> None:
    draft = drafts("full.xlsx", samples(Random(2))[0].data)[0]
    assert "[Threaded comment]" not in draft.text
    assert "[reply on C4 by " in draft.text
    assert not any("comments1" in loss for loss in draft.all_losses())


def test_hidden_rows_and_columns_are_shown_and_named() -> None:
    rows = (
        '<row r="1"><c><v>1</v></c></row><row r="2" hidden="1"><c><v>2</v></c></row>'
        '<row r="3" hidden="true"><c><v>3</v></c></row>'
    )
    more = '<cols><col min="2" max="4" hidden="1"/><col min="6" max="6" hidden="1"/></cols>'
    draft = read(rows, more=more)
    assert lines(draft) == ["1", "2", "3", "[hidden rows: 2-3]", "[hidden columns: B:D, F]"]
    assert (draft.meta["hidden_rows"], draft.meta["hidden_columns"]) == (2, 2)


def test_a_damaged_sheet_keeps_its_rows_and_the_other_sheets() -> None:
    parts = workbook('<row r="1"><c><v>1</v></c></row><row><c></row>')
    parts["xl/workbook.xml"] = str(parts["xl/workbook.xml"]).replace(
        "</sheets>", '<sheet name="B" r:id="r4"/></sheets>'
    )
    parts["xl/_rels/workbook.xml.rels"] = relations(
        ("worksheet", "worksheets/sheet1.xml"), ("a", "a"), ("b", "b"), ("worksheet", "worksheets/sheet2.xml")
    )
    parts["xl/worksheets/sheet2.xml"] = "<worksheet><sheetData><row><c><v>7</v></c></row></sheetData></worksheet>"
    draft = only("book.xlsx", zipped(parts))
    assert draft.text == "## Data\n1\n\n## B\n7\n"
    assert draft.all_losses()[0] == "sheet Data cannot be read to its end (damaged: XMLSyntaxError)"


def test_a_sheet_that_is_missing_is_said() -> None:
    parts = workbook("")
    del parts["xl/worksheets/sheet1.xml"]
    assert only("book.xlsx", zipped(parts)).all_losses() == ["sheet Data cannot be read (it is missing)"]


def test_a_text_that_many_cells_share_cannot_fill_the_memory() -> None:
    row = "<row>" + '<c t="s"><v>0</v></c>' * 700 + "</row>"
    draft = read(row, strings=f"<si><t>{'x' * 100_000}</t></si>")
    assert draft.chars < 1000
    assert draft.all_losses() == ["sheet Data is cut: too much in one row"]


def test_a_document_type_is_refused() -> None:
    parts = workbook("")
    parts["xl/worksheets/sheet1.xml"] = '<!DOCTYPE a [<!ENTITY e "x">]><worksheet><sheetData/></worksheet>'
    assert only("book.xlsx", zipped(parts)).all_losses()[0].startswith("sheet Data cannot be read")


def test_a_chart_that_shows_its_embedded_workbook_is_one_document() -> None:
    inner = zipped(workbook(f'<row><c t="inlineStr">{inline("North")}</c><c><v>4.3</v></c></row>'))
    rows = f'<row><c t="inlineStr">{inline("North")}</c><c><v>4.3</v></c></row>'
    assert only("a.xlsx", zipped({**workbook(rows), "xl/embeddings/a.xlsx": inner})).text == "## Data\nNorth\t4.3\n"


def test_a_protected_workbook_is_said_to_be_one() -> None:
    with pytest.raises(Unusable):
        only("book.xlsx", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))


def test_sheets_that_share_one_part_are_read_once() -> None:
    parts = workbook('<row r="1"><c><v>1</v></c></row>')
    parts["xl/workbook.xml"] = str(parts["xl/workbook.xml"]).replace(
        "</sheets>", '<sheet name="B" r:id="r1"/></sheets>'
    )
    draft = only("book.xlsx", zipped(parts))
    assert draft.text == "## Data\n1\n\n## B\n"
    assert draft.all_losses() == ["sheet B is another one's copy and not shown"]


def test_a_row_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(excel_cells, "_MOST_BETWEEN_ROWS", 100_000)
    draft = read('<row r="1"><c><v>1</v></c></row><row>' + "<c/>" * 100_000 + "</row>")
    assert draft.text == "## Data\n1\n"
    assert draft.all_losses() == ["sheet Data is cut: a row without an end"]


def test_a_workbook_gives_no_more_text_than_the_host_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet_text, "LARGEST_TEXT", 14)
    draft = read("<row><c><v>1</v></c></row><row><c><v>2222</v></c></row>")
    assert draft.text == "## Data\n1\n"
    assert draft.all_losses() == ["sheet Data is cut: too much text"]


def test_thousands_of_nested_groups_cost_only_what_stands_in_them() -> None:
    parts = unzipped(samples(Random(3))[0].data)
    drawing = parts["xl/drawings/drawing1.xml"].decode()
    begin = drawing.index("<", 5)
    deep = drawing[:begin] + "<xdr:grpSp>" * 5000 + "</xdr:grpSp>" * 5000 + drawing[begin:]
    draft = drafts("a.xlsx", zipped({**parts, "xl/drawings/drawing1.xml": deep}))[0]
    assert any(loss.startswith("xl/drawings/drawing1.xml cannot be read") for loss in draft.all_losses())
    assert "comment" in draft.text


def test_a_password_opens_a_protected_workbook_and_protection_against_changes_needs_none() -> None:
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>'
    # Shorter files are packed in another way, which the library that protects this one gets wrong.
    filler = {"xl/media/image1.png": Random(1).randbytes(9_000)}
    clear = zipped({"[Content_Types].xml": types, **workbook("<row><c><v>5</v></c></row>"), **filler})
    for secret, given in (("open sesame", ("wrong", "open sesame")), ("VelvetSweatshop", ())):
        protected = io.BytesIO()
        OOXMLFile(io.BytesIO(clear)).encrypt(secret, protected)
        assert only("book.xlsx", protected.getvalue(), passwords=given).text == "## Data\n5\n"
    with pytest.raises(Unusable, match="password-protected"):
        protected = io.BytesIO()
        OOXMLFile(io.BytesIO(clear)).encrypt("open sesame", protected)
        only("book.xlsx", protected.getvalue())


def test_choices_of_form_controls_and_targets_of_linked_pictures_are_counted() -> None:
    control = '<formControlPr><itemLst><item val="first choice"/></itemLst></formControlPr>'
    targets = relations(outside=(("image", "file:///secret/picture.png"),))
    parts = {"xl/ctrlProps/ctrlProp1.xml": control, "xl/drawings/_rels/drawing9.xml.rels": targets}
    draft = only("book.xlsx", zipped({**workbook(""), **parts}))
    assert draft.all_losses() == ["2 words of xl/ctrlProps/ctrlProp1.xml not shown", "1 target of a link not shown"]


def test_words_of_a_sheet_that_are_in_no_cell_and_unknown_are_counted() -> None:
    draft = read("", more="<novelty><t>two words</t></novelty>")
    assert draft.all_losses() == ["2 words of xl/worksheets/sheet1.xml not shown"]
