"""Workbooks and presentations of OpenDocument read like those of Office."""

from random import Random

import pytest

from durable_rlm.nodes.input.draft import Draft, Unusable
from tests.nodes.input.corpus.open_document_sheets import SPACES, cell, content, samples, spreadsheet
from tests.nodes.input.corpus.parts import zipped
from tests.nodes.input.corpus.silent import lost
from tests.nodes.input.reading import only


def read(rows: str) -> Draft:
    return only("book.ods", zipped(spreadsheet(f"<table:table table:name='Data'>{rows}</table:table>")))


def lines(draft: Draft) -> list[str]:
    return draft.text.split("\n")[1:-1]


@pytest.mark.parametrize("seed", range(6))
def test_no_sentence_in_any_part_is_lost_without_a_note(seed: int) -> None:
    assert [lost(one) for one in samples(Random(seed))] == [[], []]


def test_values_are_shown_as_the_file_shows_them() -> None:
    shown = cell("31.01.2026", facts='office:date-value="2026-01-31"')
    unshown = '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>'
    draft = read(f"<table:table-row/><table:table-row>{shown}{unshown}{cell('12.5%')}</table:table-row>")
    assert lines(draft) == ["31.01.2026\tTRUE\t12.5%"]
    assert draft.places["rows"]["runs"] == [[8, 2, 1]]


def test_repeated_rows_and_cells_are_written_out_and_beyond_a_limit_said() -> None:
    rows = (
        "<table:table-row table:number-rows-repeated='3'>"
        + cell("a", facts='table:number-columns-repeated="2"')
        + "</table:table-row><table:table-row table:number-rows-repeated='100000'>"
        + cell("b")
        + "</table:table-row>"
        "<table:table-row>" + cell("c", facts='table:number-columns-repeated="999999999"') + "</table:table-row>"
    )
    draft = read(rows)
    assert lines(draft) == ["a\ta", "a\ta", "a\ta", "b", "c"]
    assert draft.places["rows"]["runs"] == [[8, 1, 4], [22, 100004, 1]]
    assert draft.all_losses() == [
        "row 4 of sheet Data is repeated 100,000 times and shown once",
        "cell A100004 of sheet Data is repeated 999,999,999 times and shown once",
    ]


def test_merged_cells_and_hidden_rows_are_named() -> None:
    spanned = cell("a", facts="table:number-columns-spanned='2' table:number-rows-spanned='3'")
    draft = read(f"<table:table-row table:visibility='filter'>{spanned}</table:table-row>")
    assert lines(draft) == ["a", "[hidden rows: 1]", "[merged cells: A1:B3]"]


def test_old_files_with_a_document_type_are_read_and_entities_are_refused() -> None:
    body = "<office:spreadsheet><table:table table:name='D'/></office:spreadsheet>"
    plain = '<!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD 1.0//EN" "office.dtd">' + content(body)
    assert only("a.ods", zipped({"content.xml": plain})).text == "## D\n"
    with pytest.raises(Unusable, match="damaged"):
        only("a.ods", zipped({"content.xml": '<!DOCTYPE a [<!ENTITY e "x">]>' + content(body)}))


def test_a_flat_file_is_read_like_a_zip() -> None:
    body = (
        f"<office:spreadsheet><table:table table:name='D'><table:table-row>{cell('a')}</table:table-row></table:table>"
    )
    flat = f'<?xml version="1.0"?><office:document {SPACES}><office:body>{body}</office:spreadsheet>'
    flat += "</office:body></office:document>"
    assert only("a.fods", flat.encode()).text == "## D\na\n"


def test_a_protected_file_is_said_to_be_one() -> None:
    manifest = "<manifest><file-entry><encryption-data/></file-entry></manifest>"
    with pytest.raises(Unusable, match="password-protected"):
        only("a.ods", zipped({"content.xml": b"\x00\x01", "META-INF/manifest.xml": manifest}))


def test_a_damaged_sheet_keeps_its_rows() -> None:
    data = content(f"<office:spreadsheet><table:table table:name='D'><table:table-row>{cell('a')}</table:table-row>")
    draft = only("a.ods", zipped({"content.xml": data}))
    assert draft.text == "## D\na\n"
    assert draft.all_losses() == ["sheet D cannot be read to its end (damaged: XMLSyntaxError)"]


def test_a_presentation_reads_like_its_slides() -> None:
    [_, sample] = samples(Random(1))
    draft = only(sample.name, sample.data)
    assert draft.meta["slides"] == 2
    assert draft.meta["hidden_slides"] == [2]
    assert draft.places["slides"]["label"][1] == ""
    assert draft.text.split("\n")[0] == f"## Slide 1: {draft.places['slides']['label'][0]}"
