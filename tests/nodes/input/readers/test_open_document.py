"""OpenDocument texts: everything in them is in the text, or a loss says that it is not."""

from random import Random

import pytest

from durable_rlm.nodes.input.draft import Unusable
from tests.nodes.input.corpus import open_document as corpus
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.readers.odf_files import changed, comment, flat, note, odt, part
from tests.nodes.input.readers.word_files import docx
from tests.nodes.input.readers.word_files import p as word_paragraph
from tests.nodes.input.reading import cpu_seconds, drafts, only, read


def p(inside: str, style: str = "") -> str:
    """Return a paragraph."""
    return f'<text:p text:style-name="{style}">{inside}</text:p>'


def text(body: str, **more: str) -> str:
    """Return the text of a document with this body."""
    return only("a.odt", odt(body, **more)).text  # pyright: ignore[reportArgumentType]


def test_blanks_tabs_and_line_breaks_are_as_shown() -> None:
    assert text(p('  a\n  b<text:s text:c="3"/>c<text:tab/>d<text:line-break/>e')) == "a b   c\td\ne\n"


def test_repeated_blanks_are_capped_and_said() -> None:
    draft = only("a.odt", odt(p('a<text:s text:c="999999999"/>b')))
    assert len(draft.text) == 1_003
    assert draft.losses == ["a blank that is repeated 999,999,999 times shown 1,000 times"]


def test_headings_are_marked_in_the_text_and_in_the_places() -> None:
    body = '<text:h text:outline-level="1">Rent</text:h>' + p("x") + '<text:h text:outline-level="2">Costs</text:h>'
    draft = only("a.odt", odt(body))
    assert draft.text == "# Rent\nx\n## Costs\n"
    assert draft.places["sections"] == {"at": [0, 9], "label": ["Rent", "Costs"], "level": [1, 2]}


OUTLINE = (
    '<text:outline-style><text:outline-level-style text:level="1" style:num-format="1" style:num-suffix="."/>'
    '<text:outline-level-style text:level="2" style:num-format="a" text:display-levels="2"/></text:outline-style>'
)


def test_headings_have_the_numbers_of_the_outline() -> None:
    body = "".join(f'<text:h text:outline-level="{level}">x</text:h>' for level in (1, 2, 2, 1, 2))
    assert text(body, styles=OUTLINE) == "# 1. x\n## 1.a x\n## 1.b x\n# 2. x\n## 2.a x\n"


NUMBERED = (
    '<text:list-style style:name="L"><text:list-level-style-number text:level="1" style:num-format="1"'
    ' style:num-suffix="."/><text:list-level-style-number text:level="2" style:num-format="i" style:num-prefix="("'
    ' style:num-suffix=")" text:start-value="4"/><text:list-level-style-bullet text:level="3"/></text:list-style>'
)


def items(*inside: str, more: str = "") -> str:
    """Return a list."""
    each = "".join(f"<text:list-item>{one}</text:list-item>" for one in inside)
    return f'<text:list text:style-name="L" {more}>{each}</text:list>'


def test_lists_show_their_numbers() -> None:
    inner = f"<text:list><text:list-item>{p('c')}</text:list-item><text:list-item>{p('d')}</text:list-item></text:list>"
    assert text(items(p("a"), p("b") + inner, p("e")), styles=NUMBERED) == "1. a\n2. b\n(iv) c\n(v) d\n3. e\n"


def test_lists_continue_where_they_say_so() -> None:
    body = items(p("a")) + items(p("b")) + items(p("c"), more='text:continue-numbering="true"')
    assert text(body, styles=NUMBERED) == "1. a\n1. b\n2. c\n"


def test_numbers_that_are_saved_are_used() -> None:
    assert text(items("<text:number>7)</text:number>" + p("a")), styles=NUMBERED) == "7) a\n"


def test_notes_and_comments_follow_their_paragraph() -> None:
    body = p(f"a{note('footnote', 'foot')}{note('endnote', 'end')} {comment('why?', 'n')}the cap"
             '<office:annotation-end office:name="n"/> b')  # fmt: skip
    assert text(body + p("next")) == (
        "a[^1][^e1] [comment 1]the cap b\n[^1]: foot\n[^e1]: end\n"
        '[comment 1 by Ann, 2026-01-02T10:00:00, on "the cap"]: why?\nnext\n'
    )


END = '<office:annotation-end office:name="n"/>'


def test_words_of_a_note_are_not_words_of_a_commented_place() -> None:
    body = p(f"{comment('why?', 'n')}the {note('footnote', 'foot')}cap{END}")
    assert 'on "the cap"]: why?' in text(body)


def test_tracked_changes_show_what_was_inserted_and_struck_and_by_whom() -> None:
    regions = changed("insertion", "i") + changed("deletion", "d", "500") + changed("deletion", "f")
    body = (
        f"<text:tracked-changes>{regions}</text:tracked-changes>"
        + p('Pay <text:change-start text:change-id="i"/>900<text:change-end text:change-id="i"/>'
            '<text:change text:change-id="d"/> EUR.')
        + p('<text:change-start text:change-id="f"/>here<text:change-end text:change-id="f"/>')
    )  # fmt: skip
    assert text(body) == (
        "Pay [+900+ by Ann, 2026-01-02][-500- by Ann, 2026-01-02] EUR.\n[-here- by Ann, 2026-01-02]\n"
    )


def test_tables_are_a_line_for_each_row_and_repeats_are_capped() -> None:
    cell = "<table:table-cell {}>{}</table:table-cell>"
    row = cell.format('table:number-columns-repeated="2"', p("a")) + cell.format("", p("b") + p("c"))
    last = cell.format("", p("x")) + cell.format("", "")
    many = f'<table:table-row table:number-rows-repeated="99999999">{last}</table:table-row>'
    draft = only("a.odt", odt(f"<table:table><table:table-row>{row}</table:table-row>{many}</table:table>"))
    assert draft.text == "a\ta\tb c\n" + "x\n" * 1_000
    assert draft.losses == ["a row that is repeated 99,999,999 times shown 1,000 times"]


def test_headers_come_first_and_footers_last_and_each_once() -> None:
    page = "<style:master-page><style:header>{}</style:header><style:footer>{}</style:footer></style:master-page>"
    masters = page.format(p("DRAFT"), p("end")) + page.format(p("DRAFT"), p("end"))
    assert text(p("x"), masters=masters) == "[header: DRAFT]\nx\n[footer: end]\n"


def test_pictures_are_described_and_counted() -> None:
    frame = "<draw:frame><draw:image/><draw:image/><svg:desc>a map</svg:desc></draw:frame>"
    draft = only("a.odt", odt(p(f"See {frame}")))
    assert (draft.text, draft.all_losses()) == ("See [image: a map]\n", ["1 image not shown"])


def test_embedded_documents_are_read() -> None:
    inner = docx(word_paragraph("Inside."))
    body = p('<draw:frame><draw:object-ole xlink:href="./Object 1.docx"/></draw:frame>')
    outer, embedded = drafts("a.odt", odt(body, files={"Object 1.docx": inner}))
    assert outer.text == "\n[embedded file: Object 1.docx]\n"
    assert (embedded.name, embedded.text) == ("Object 1.docx", "Inside.\n")


def test_flat_documents_are_read() -> None:
    draft = only("a.fodt", flat(p("x"), meta="<dc:title>T</dc:title>"))
    assert (draft.text, draft.meta["title"]) == ("x\n", "T")


def test_properties_are_metadata() -> None:
    meta = (
        "<meta:initial-creator>Ann</meta:initial-creator><meta:creation-date>2026-01-02T10:00:00</meta:creation-date>"
    )
    meta += '<meta:user-defined meta:name="Client">Bo</meta:user-defined>'
    found = only("a.odt", odt(p("x"), meta=meta)).meta
    assert (found["author"], found["created"], found["properties"]) == ("Ann", "2026-01-02T10:00:00", {"Client": "Bo"})


def test_an_encrypted_document_says_so() -> None:
    manifest = part("manifest:manifest", "<manifest:file-entry><manifest:encryption-data/></manifest:file-entry>")
    with pytest.raises(Unusable, match="password-protected"):
        read("a.odt", odt(p("x"), files={"META-INF/manifest.xml": manifest}))


def test_an_old_doctype_is_passed_over_and_one_with_entities_refused() -> None:
    plain = '<!DOCTYPE office:document-content PUBLIC "-//OpenOffice.org//DTD OfficeDocument 1.0//EN" "office.dtd">'
    assert text(p("x"), doctype=plain) == "x\n"
    manifest = b'<!DOCTYPE manifest:manifest PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "Manifest.dtd">'
    manifest += b"<manifest:manifest/>"
    assert only("a.odt", odt(p("x"), files={"META-INF/manifest.xml": manifest})).text == "x\n"
    with pytest.raises(Unusable, match="damaged ODT"):
        text(p("&e;"), doctype='<!DOCTYPE a [<!ENTITY e "x">]>')


def test_a_damaged_part_costs_that_part() -> None:
    draft = only("a.odt", odt(p('x<draw:object xlink:href="Object 1"/>'), files={"Object 1/content.xml": b"<a"}))
    assert draft.text == "x\n"
    assert draft.losses[0].startswith("Object 1 cannot be read")


@pytest.mark.parametrize(
    "piece",
    [p("x"), '<text:p><text:change-start text:change-id="{}"/>x</text:p>', p(comment("why", "{}")), items(p("x"))],
    ids=["paragraphs", "changes", "comments", "lists"],
)
def test_time_grows_with_the_size_only(piece: str) -> None:
    def seconds(number: int) -> float:
        made = odt("".join(piece.replace("{}", str(index)) for index in range(number)))
        return cpu_seconds(lambda: read("a.odt", made))

    seconds(100)
    assert seconds(4_000) < 24 * max(seconds(500), 0.01)


@pytest.mark.parametrize("seed", range(6))
def test_no_planted_sentence_is_lost_silently(seed: int) -> None:
    for sample in corpus.samples(Random(seed)):
        assert silently_lost(sample, read(sample.name, sample.data)) == []
