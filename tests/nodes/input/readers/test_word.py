"""Word documents: everything in them is in the text, or a loss says that it is not."""

import io
from random import Random
from zipfile import ZipFile

import pytest

from durable_rlm.nodes.input.draft import Draft, Unusable
from tests.nodes.input.corpus import word as corpus
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.readers.compound import compound
from tests.nodes.input.readers.word_files import docx, p
from tests.nodes.input.reading import cpu_seconds, drafts, only, read


def text(body: str, **parts: object) -> str:
    """Return the text of a document with this body."""
    return only("a.docx", docx(body, **parts)).text  # pyright: ignore[reportArgumentType]


HEADINGS = (
    '<w:style w:type="paragraph" w:styleId="Top"><w:name w:val="heading 1"/></w:style>'
    '<w:style w:type="paragraph" w:styleId="Sub"><w:basedOn w:val="Top"/>'
    '<w:pPr><w:outlineLvl w:val="1"/></w:pPr></w:style>'
)


def test_headings_are_marked_in_the_text_and_in_the_places() -> None:
    body = p("Rent", style="Top") + p("Words.") + p("Costs", style="Sub") + p("Other", style="Other")
    draft = only("a.docx", docx(body, parts={"styles.xml": ("styles", HEADINGS)}))
    assert draft.text == "# Rent\nWords.\n## Costs\nOther\n"
    assert draft.places["sections"] == {"at": [0, 14], "label": ["Rent", "Costs"], "level": [1, 2]}


def test_headings_are_known_without_a_styles_part() -> None:
    assert text(p("Rent", style="Heading2")) == "## Rent\n"


def test_the_main_part_may_have_any_name_and_the_strict_namespace() -> None:
    assert text(p("Words."), strict=True, main="word/document2.xml") == "Words.\n"


def test_tracked_changes_show_what_was_inserted_and_struck_and_by_whom() -> None:
    def change(name: str, words: str, tag: str = "t") -> str:
        return (
            f'<w:{name} w:author="Ann" w:date="2026-01-02T10:00:00Z"><w:r><w:{tag}>{words}</w:{tag}></w:r></w:{name}>'
        )

    body = p("Pay ", change("ins", "900"), change("del", "500", "delText"), " EUR.")
    body += p(change("ins", "one "), change("ins", "two"))
    body += p(change("moveFrom", "old"), change("moveTo", "new"))
    assert text(body) == (
        "Pay [+900+ by Ann, 2026-01-02][-500- by Ann, 2026-01-02] EUR.\n"
        "[+one two+ by Ann, 2026-01-02]\n"
        "[-old- moved away by Ann, 2026-01-02][+new+ moved here by Ann, 2026-01-02]\n"
    )


def test_a_struck_end_of_a_paragraph_and_a_struck_row_are_marked() -> None:
    struck = '<w:del w:author="Ann"/>'
    body = p("Stays.", properties=f"<w:rPr>{struck}</w:rPr>")
    cell = f"<w:tc>{p('a')}</w:tc><w:tc>{p('b')}</w:tc>"
    body += f"<w:tbl><w:tr><w:trPr>{struck}</w:trPr>{cell}</w:tr></w:tbl>"
    assert text(body) == "Stays.[-¶- by Ann]\n[-a\tb- by Ann]\n"


def test_notes_follow_the_paragraph_that_refers_to_them() -> None:
    notes = f'<w:footnote w:id="7">{p("Except fraud.")}</w:footnote><w:footnote w:id="8">{p("Lost.")}</w:footnote>'
    ends = f'<w:endnote w:id="7">{p("See the annex.")}</w:endnote>'
    body = p("Capped.", '<w:r><w:footnoteReference w:id="7"/></w:r>', '<w:r><w:endnoteReference w:id="7"/></w:r>')
    assert text(body + p("Next."), parts={"f.xml": ("footnotes", notes), "e.xml": ("endnotes", ends)}) == (
        "Capped.[^1][^e1]\n[^1]: Except fraud.\n[^e1]: See the annex.\nNext.\n[footnote without a mark]: Lost.\n"
    )


COMMENTS = (
    f'<w:comment w:id="0" w:author="Ann" w:date="2026-01-02T10:00:00Z">'
    f'<w:p w14:paraId="A1"><w:r><w:t>Void?</w:t></w:r></w:p></w:comment>'
    f'<w:comment w:id="1" w:author="Bo"><w:p w14:paraId="A2"><w:r><w:t>No.</w:t></w:r></w:p></w:comment>'
    f'<w:comment w:id="2" w:author="Cy">{p("Nowhere.")}</w:comment>'
)
EXTENDED = '<w15:commentEx w15:paraId="A1" w15:done="1"/><w15:commentEx w15:paraId="A2" w15:paraIdParent="A1"/>'


def test_comments_say_who_when_and_where_and_are_followed_by_their_replies() -> None:
    body = p(
        "Before ",
        '<w:commentRangeStart w:id="0"/>',
        '<w:commentRangeStart w:id="1"/>',
        "the cap",
        '<w:commentRangeEnd w:id="0"/>',
        '<w:commentRangeEnd w:id="1"/>',
        '<w:r><w:commentReference w:id="0"/></w:r>',
        '<w:r><w:commentReference w:id="1"/></w:r>',
        " after",
    )
    parts = {"comments.xml": ("comments", COMMENTS), "x.xml": ("commentsExtended", EXTENDED)}
    assert text(body, parts=parts) == (
        "Before the cap[comment 1] after\n"
        '[comment 1 by Ann, 2026-01-02T10:00:00Z, on "the cap", resolved]: Void?\n'
        "[reply to comment 1 by Bo]: No.\n"
        "[comment 2 without a place by Cy]: Nowhere.\n"
    )


def test_a_comment_on_several_paragraphs_follows_the_last_of_them() -> None:
    body = p('<w:commentRangeStart w:id="2"/>', "First.")
    body += p("Second.", '<w:commentRangeEnd w:id="2"/>', '<w:r><w:commentReference w:id="2"/></w:r>')
    shown = text(body, parts={"comments.xml": ("comments", COMMENTS)})
    assert '[comment 1 by Cy, on "First. Second."]: Nowhere.' in shown.splitlines()[2]


def test_a_comment_whose_place_never_ends_comes_last_and_a_long_place_is_cut() -> None:
    body = p('<w:commentRangeStart w:id="2"/>', "long " * 50, '<w:r><w:commentReference w:id="2"/></w:r>') + p("Next.")
    last = text(body, parts={"comments.xml": ("comments", COMMENTS)}).partition("Next.\n")[2]
    assert last.startswith('[comment 1 by Cy, on "long long ')
    assert last.splitlines()[0].endswith('…"]: Nowhere.')
    assert last.count("long") == 40


def test_headers_come_first_and_footers_last_and_each_once() -> None:
    header, footer = ("header", p("DRAFT")), ("footer", p("Page 1"))
    body = p("Words.") + '<w:sectPr><w:headerReference w:type="first" r:id="h2.xml"/></w:sectPr>'
    parts = {"h1.xml": header, "h3.xml": header, "h2.xml": ("header", p("COVER")), "f1.xml": footer, "f2.xml": footer}
    assert text(body, parts=parts) == ("[header: DRAFT]\n[header of the first page: COVER]\nWords.\n[footer: Page 1]\n")


def test_a_table_is_a_line_for_each_row_and_nested_ones_stay_in_their_cell() -> None:
    def row(*cells: str) -> str:
        return f"<w:tr>{''.join(f'<w:tc>{one}</w:tc>' for one in cells)}</w:tr>"

    inner = f"<w:tbl>{row(p('x'), p('y'))}{row(p('z'), p(''))}</w:tbl>"
    wide = f'<w:tcPr><w:gridSpan w:val="2"/></w:tcPr>{p("wide")}'
    body = f"<w:tbl>{row(p('a'), p('b') + p('c'), p('d'))}{row(wide, p('e'))}{row(inner, p('f'))}</w:tbl>"
    assert text(body) == "a\tb c\td\nwide\t\te\n[table: x | y; z]\tf\n"


def test_a_frame_of_one_cell_keeps_its_paragraphs_and_headings() -> None:
    body = f"<w:tbl><w:tr><w:tc>{p('Rent', style='Heading1')}{p('Words.')}</w:tc></w:tr></w:tbl>"
    draft = only("a.docx", docx(body))
    assert draft.text == "# Rent\nWords.\n"
    assert draft.places["sections"]["label"] == ["Rent"]


def test_cells_and_rows_in_content_controls_are_shown() -> None:
    cell = f"<w:tc>{p('a')}</w:tc>"
    controlled = f"<w:sdt><w:sdtContent>{cell}{cell}</w:sdtContent></w:sdt>"
    body = f"<w:tbl><w:sdt><w:sdtContent><w:tr>{controlled}</w:tr></w:sdtContent></w:sdt></w:tbl>"
    assert text(body + f"<w:sdt><w:sdtContent>{p('block')}</w:sdtContent></w:sdt>") == "a\ta\nblock\n"


def box(words: str) -> str:
    """Return a text box with a fallback that repeats it."""
    inside = f"<w:txbxContent>{p(words)}</w:txbxContent>"
    return (
        f'<w:r><mc:AlternateContent><mc:Choice Requires="wps"><w:drawing><wps:txbx>{inside}</wps:txbx></w:drawing>'
        f"</mc:Choice><mc:Fallback><w:pict><v:textbox>{inside}</v:textbox></w:pict></mc:Fallback>"
        "</mc:AlternateContent></w:r>"
    )


def test_a_text_box_is_shown_once_after_its_paragraph() -> None:
    draft = only("a.docx", docx(p("Before", box("boxed"), " after")))
    assert (draft.text, draft.all_losses()) == ("Before after\n[text box: boxed]\n", [])


def test_an_alternative_that_says_something_else_is_a_loss() -> None:
    other = box("boxed").replace("<mc:Fallback>", f"<mc:Fallback>{p('else')}")
    draft = only("a.docx", docx(p(other)))
    assert draft.all_losses() == ["1 differing alternative of a drawing not shown"]


def test_vml_text_boxes_without_alternatives_are_shown() -> None:
    inside = f"<w:txbxContent>{p('old')}</w:txbxContent>"
    assert (
        text(p(f"<w:r><w:pict><v:shape><v:textbox>{inside}</v:textbox></v:shape></w:pict></w:r>"))
        == "\n[text box: old]\n"
    )


def field(instruction: str, result: str, data: str = "") -> str:
    """Return a field."""
    middle = f'<w:r><w:fldChar w:fldCharType="separate"/></w:r><w:r><w:t>{result}</w:t></w:r>' if result else ""
    return (
        f'<w:r><w:fldChar w:fldCharType="begin">{data}</w:fldChar></w:r>'
        f"<w:r><w:instrText>{instruction}</w:instrText></w:r>"
        f'{middle}<w:r><w:fldChar w:fldCharType="end"/></w:r>'
    )


def test_fields_show_their_results_and_the_addresses_of_links_once() -> None:
    link = field(' HYPERLINK "https://a.example/x" ', "terms")
    body = p(
        link, ", ", link, ", ", '<w:hyperlink r:id="l1"><w:r><w:t>law</w:t></w:r></w:hyperlink>', field("PAGE", "7")
    )
    assert text(body, links={"l1": ("hyperlink", "https://b.example/")}) == (
        "terms <https://a.example/x>, terms, law <https://b.example/>7\n"
    )


def test_form_fields_show_their_values() -> None:
    ticked = "<w:ffData><w:checkBox><w:checked/></w:checkBox></w:ffData>"
    entries = '<w:listEntry w:val="a"/><w:listEntry w:val="b"/>'
    chosen = f'<w:ffData><w:ddList><w:result w:val="1"/>{entries}</w:ddList></w:ffData>'
    body = p(field("FORMCHECKBOX", "", ticked), " ", field("FORMDROPDOWN", "", chosen), " ", field("FORMTEXT", "typed"))
    assert text(body) == "[x] b typed\n"


def test_a_number_that_word_counts_in_a_field_is_a_loss() -> None:
    draft = only("a.docx", docx(p("See ", field("LISTNUM x", ""))))
    assert draft.all_losses() == ["1 number of a field not shown"]


def test_a_field_without_an_end_hides_nothing_silently() -> None:
    open_field = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
    draft = only("a.docx", docx(p("before ", open_field, "inside")))
    assert draft.text == "before \n"
    assert draft.all_losses() == ["1 piece of text in a field not shown"]


def test_hidden_words_are_shown_and_marked() -> None:
    hidden = "<w:r><w:rPr><w:vanish/></w:rPr><w:t>{}</w:t></w:r>"
    styles = '<w:style w:type="character" w:styleId="Secret"><w:rPr><w:vanish/></w:rPr></w:style>'
    by_style = '<w:r><w:rPr><w:rStyle w:val="Secret"/></w:rPr><w:t>styled</w:t></w:r>'
    shown = '<w:r><w:rPr><w:rStyle w:val="Secret"/><w:vanish w:val="0"/></w:rPr><w:t>seen</w:t></w:r>'
    body = p("a ", hidden.format("one "), hidden.format("two"), " b ", by_style, shown)
    assert text(body, parts={"styles.xml": ("styles", styles)}) == "a [hidden: one two] b [hidden: styled]seen\n"


def test_symbols_ruby_and_formulas_are_text() -> None:
    signs = '<w:r><w:sym w:font="Wingdings" w:char="F0FE"/><w:sym w:font="Symbol" w:char="F061"/></w:r>'
    unknown = '<w:r><w:sym w:font="Webdings" w:char="F041"/></w:r>'
    base = "<w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase>"
    ruby = f"<w:r><w:ruby><w:rt><w:r><w:t>kan</w:t></w:r></w:rt>{base}</w:ruby></w:r>"
    run = "<m:r><m:t>{}</m:t></m:r>"
    formula = f"<m:oMath><m:f><m:num>{run.format('a')}</m:num><m:den>{run.format('b')}</m:den></m:f></m:oMath>"
    body = p(signs, unknown, " ", ruby, " ", formula)
    assert text(body) == "☑α[symbol F041 of Webdings] 漢(kan) (a)/(b)\n"


def drawing(inside: str, properties: str = "") -> str:
    """Return a drawing."""
    return f'<w:r><w:drawing><wp:inline><wp:docPr id="1" name="x" {properties}/>{inside}</wp:inline></w:drawing></w:r>'


def test_pictures_show_their_descriptions_and_are_counted() -> None:
    picture = '<a:graphic><a:graphicData uri="x/picture"><pic:pic/></a:graphicData></a:graphic>'
    draft = only("a.docx", docx(p("See ", drawing(picture, 'descr="a map"'), drawing(picture))))
    assert (draft.text, draft.all_losses()) == ("See [image: a map]\n", ["2 images not shown"])


CHART = (
    "<c:title><c:tx><c:rich><a:p><a:r><a:t>Sales</a:t></a:r></a:p></c:rich></c:tx></c:title>"
    "<c:ser><c:tx><c:strRef><c:strCache><c:pt><c:v>North</c:v></c:pt></c:strCache></c:strRef></c:tx>"
    "<c:cat><c:pt><c:v>Q1</c:v></c:pt><c:pt><c:v>Q2</c:v></c:pt></c:cat>"
    "<c:val><c:pt><c:v>4</c:v></c:pt><c:pt><c:v>5</c:v></c:pt></c:val></c:ser>"
)
DIAGRAM = "".join(
    f"<dgm:pt><dgm:t><a:p><a:r><a:t>{words}</a:t></a:r></a:p></dgm:t></dgm:pt>" for words in ("Plan", "Do")
)


def test_charts_and_diagrams_show_their_words() -> None:
    chart = drawing(
        '<a:graphic><a:graphicData uri="x/chart"><c:chart r:id="charts/c.xml"/></a:graphicData></a:graphic>'
    )
    diagram = drawing('<a:graphic><a:graphicData uri="x"><dgm:relIds r:dm="d.xml"/></a:graphicData></a:graphic>')
    parts = {"charts/c.xml": ("chart", CHART), "d.xml": ("diagramData", DIAGRAM)}
    draft = only("a.docx", docx(p("See ", chart) + p(diagram), parts=parts))
    assert draft.text == "See \n[chart: Sales\nNorth: Q1 4; Q2 5]\n\n[diagram: Plan; Do]\n"
    assert draft.all_losses() == []


def test_an_embedded_file_is_a_document_of_its_own() -> None:
    inner = docx(p("Inside."))
    body = p("See ", '<w:r><w:object><o:OLEObject ProgID="Word" r:id="e1"/></w:object></w:r>')
    made = docx(body, files={"word/embeddings/a.docx": inner}, links={"e1": ("package", "embeddings/a.docx")})
    outer, embedded = drafts("a.docx", made)
    assert outer.text == "See [embedded file: a.docx]\n"
    assert (embedded.name, embedded.text) == ("embeddings/a.docx", "Inside.\n")


def test_a_file_in_an_old_container_is_taken_out_of_it() -> None:
    inner = docx(p("Inside."))
    names = b"\x02\0lease.docx\0C:\\x\\lease.docx\0\0\0\x03\0" + (5).to_bytes(4, "little") + b"path\0"
    packed = compound("\x01Ole10Native", bytes(4) + names + len(inner).to_bytes(4, "little") + inner)
    cut = compound("\x01Ole10Native", bytes(4) + names + (9_999).to_bytes(4, "little") + inner)
    other = compound("Equation Native", b"x")
    files = {f"word/embeddings/o{index}.bin": data for index, data in enumerate((packed, cut, other))}
    outer, embedded = drafts("a.docx", docx(p("See."), files=files))
    assert outer.all_losses() == ["2 embedded objects not shown"]
    assert (embedded.name, embedded.text) == ("embeddings/lease.docx", "Inside.\n")


def test_an_inserted_document_is_text_where_it_stands_with_its_sections() -> None:
    chunk = docx(p("Annex", style="Heading1") + p("Words."))
    body = p("Body", style="Heading1") + '<w:altChunk r:id="c1"/>' + p("End.")
    made = docx(body, files={"word/chunk.docx": chunk}, links={"c1": ("aFChunk", "chunk.docx")})
    draft = only("a.docx", made)
    assert draft.text == "# Body\n# Annex\nWords.\nEnd.\n"
    assert draft.places["sections"] == {"at": [0, 7], "label": ["Body", "Annex"], "level": [1, 1]}


def test_properties_are_metadata() -> None:
    made = docx(p("Words."), properties={"title": "Lease", "creator": "Ann", "created": "2026-01-02T10:00:00Z"})
    meta = only("a.docx", made).meta
    assert (meta["title"], meta["author"], meta["created"]) == ("Lease", "Ann", "2026-01-02T10:00:00Z")


def test_a_damaged_part_costs_that_part() -> None:
    made = docx(p("Words."), parts={"footnotes.xml": ("footnotes", "<w:broken>")})
    draft = only("a.docx", made)
    assert draft.text == "Words.\n"
    assert draft.losses[0].startswith("word/footnotes.xml cannot be read")


def test_words_in_a_part_that_nothing_names_are_a_loss() -> None:
    made = docx(p("Words."), parts={"orphan.xml": ("", p("Forgotten"))})
    assert only("a.docx", made).losses == ["1 piece of text in word/orphan.xml not shown"]


def test_words_in_an_unknown_element_are_a_loss() -> None:
    made = docx(p("Words.") + "<w:unknown>Strange</w:unknown>")
    assert only("a.docx", made).losses == ["1 piece of text in word/document.xml not shown"]


def test_a_doctype_is_refused() -> None:
    broken = _with_document(b'<!DOCTYPE a [<!ENTITY e "x">]><a>&e;</a>')
    with pytest.raises(Unusable, match="damaged DOCX"):
        read("a.docx", broken)


def _with_document(data: bytes) -> bytes:
    made = io.BytesIO()
    with ZipFile(io.BytesIO(docx(""))) as old, ZipFile(made, "w") as new:
        for name in old.namelist():
            new.writestr(name, data if name == "word/document.xml" else old.read(name))
    return made.getvalue()


def test_nesting_as_deep_as_the_parser_allows_is_read() -> None:
    deep = 80
    cells = "<w:tbl><w:tr><w:tc>" * deep + p("deep") + "</w:tc><w:tc><w:p/></w:tc></w:tr></w:tbl>" * deep
    assert "deep" in text(cells)


def test_deeper_nesting_is_refused_with_a_sentence() -> None:
    cells = "<w:tbl><w:tr><w:tc>" * 1_000 + p("deep") + "</w:tc></w:tr></w:tbl>" * 1_000
    with pytest.raises(Unusable, match="256 levels deep"):
        read("a.docx", docx(cells))


@pytest.mark.parametrize(
    "piece",
    [
        p("x", style="Heading1"),
        '<w:p><w:ins w:author="A"><w:r><w:t>x</w:t></w:r></w:ins></w:p>',
        '<w:p><w:commentRangeStart w:id="{0}"/><w:r><w:t>x</w:t><w:commentReference w:id="{0}"/></w:r></w:p>',
        '<w:p><w:r><w:fldChar w:fldCharType="begin"/></w:r></w:p>',
    ],
    ids=["headings", "changes", "ranges", "fields"],
)
def test_time_grows_with_the_size_only(piece: str) -> None:
    def seconds(number: int) -> float:
        comments = "".join(f'<w:comment w:id="{index}"/>' for index in range(number))
        body = "".join(piece.replace("{0}", str(index)) for index in range(number))
        made = docx(body, parts={"comments.xml": ("comments", comments)})
        return cpu_seconds(lambda: read("a.docx", made))

    seconds(100)
    assert seconds(4_000) < 24 * max(seconds(500), 0.01)


@pytest.mark.parametrize("seed", range(6))
def test_no_planted_sentence_is_lost_silently(seed: int) -> None:
    for sample in corpus.samples(Random(seed)):
        assert silently_lost(sample, read(sample.name, sample.data)) == []


def test_the_kind_of_a_document_is_docx() -> None:
    [draft] = [one for one in read("a.docm", docx(p("Words."))) if isinstance(one, Draft)]
    assert draft.meta["kind"] == "DOCX"
