"""The parts of a PDF beside the text of its pages are in the text, or documents of their own, or losses."""

from durable_rlm.nodes.input.draft import Draft
from tests.nodes.input.pdf_files import Pdf, text
from tests.nodes.input.reading import drafts, only, read

WIDGET = "<</Type/Annot/Subtype/Widget/Rect[50 50 200 70]"
MARK = "/Rect[50 745 300 760]/QuadPoints[50 760 300 760 50 745 300 745]"


def annotated(*bodies: str, lines: tuple[str, ...] = ("Hello words",), form: bool = False, more: str = "") -> Pdf:
    """Return a file of one page with annotations, which are also the fields of its form if `form`."""
    pdf = Pdf()
    listed = " ".join(f"{pdf.add(body)} 0 R" for body in bodies)
    if form:
        pdf.catalog = f"/AcroForm<</Fields[{listed}]{more}>>"
    pdf.text_page(lines, f"/Annots[{listed}]")
    return pdf


def test_form_fields_stand_behind_their_page_with_names_and_values() -> None:
    appearance = "/AP<</N<</Yes 1 0 R/Off 1 0 R>>>>"
    pdf = annotated(
        f"{WIDGET}/FT/Tx/T(Name)/TU(Your name)/V(Anna Muster)>>",
        f"{WIDGET}/FT/Tx/T(Empty)>>",
        f"{WIDGET}/FT/Btn/T(Agree)/V/Yes/AS/Yes{appearance}>>",
        f"{WIDGET}/FT/Btn/T(Refuse)/AS/Off{appearance}>>",
        f"{WIDGET}/FT/Ch/Ff 131072/T(Country)/V(Austria)/Opt[(Germany)(Austria)]>>",
        f"{WIDGET}/FT/Btn/Ff 65536/T(Send)/MK<</CA(Send it)>>>>",
        form=True,
    )
    assert only("a.pdf", pdf.bytes()).text.splitlines() == [
        "Hello words",
        "[form] Name (Your name): Anna Muster",
        "[form] Empty:",
        "[form] Agree: checked",
        "[form] Refuse: not checked",
        "[form] Country: Austria (not chosen: Germany)",
        "[form] Send: button",
        "[form] Send (button): Send it",
    ]


def test_fields_on_no_page_are_given_and_a_loop_among_them_ends() -> None:
    pdf = Pdf()
    parent = len(pdf.objects) + 1
    pdf.add(f"<</T(parent)/Kids[{parent + 1} 0 R {parent} 0 R]>>")
    pdf.add(f"<</FT/Tx/T(child)/Parent {parent} 0 R/V(secret words)>>")
    pdf.catalog = f"/AcroForm<</Fields[{parent} 0 R]>>"
    pdf.text_page(["Hello"])
    assert only("a.pdf", pdf.bytes()).text == "Hello\n[form] parent.child (on no page): secret words\n"


def test_an_xfa_form_is_a_loss() -> None:
    pdf = annotated(f"{WIDGET}/FT/Tx/T(Name)/V(Anna)>>", form=True, more="/XFA(xdp)")
    pdf.catalog = pdf.catalog.replace("(xdp)", f" {pdf.stream(b'<xdp/>')} 0 R")
    draft = only("a.pdf", pdf.bytes())
    assert "Anna" in draft.text
    assert draft.all_losses() == ["1 XFA form not shown"]


def test_comments_have_their_kind_author_date_and_the_words_they_are_about() -> None:
    pdf = annotated(
        "<</Type/Annot/Subtype/Text/T(Bob)/M(D:20240103120000Z)/Contents(Please check)/Rect[10 10 20 20]>>",
        f"<</Type/Annot/Subtype/Highlight/T(Bob)/Contents(why?){MARK}>>",
        f"<</Type/Annot/Subtype/Highlight{MARK}>>",
        f"<</Type/Annot/Subtype/StrikeOut/T(Eve){MARK}>>",
        "<</Type/Annot/Subtype/FreeText/RC(<body><p>rich</p></body>)/Rect[0 0 9 9]>>",
        "<</Type/Annot/Subtype/Popup/Contents(Please check)/Rect[0 0 9 9]>>",
        "<</Type/Annot/Subtype/Stamp/Rect[0 0 9 9]>>",
        "<</Type/Annot/Subtype/Sound/Rect[0 0 9 9]>>",
    )
    draft = only("a.pdf", pdf.bytes())
    assert draft.text.splitlines() == [
        "Hello words",
        "[note by Bob, 2024-01-03T12:00:00+00:00] Please check",
        "[highlight by Bob] “Hello words” why?",
        "[struck by Eve] “Hello words”",
        "[text box] rich",
    ]
    assert draft.all_losses() == ["1 stamp not shown", "1 sound not shown"]


def test_links_are_given_once_if_the_text_does_not_have_them() -> None:
    def link(target: str) -> str:
        return f"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI({target})>>>>"

    pdf = annotated(
        link("https://example.org/a"), link("https://example.org/b"), link("https://example.org/b"),
        "<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/Launch/F(other.pdf)>>>>",
        lines=("See https://exam", "ple.org/a"),
    )  # fmt: skip
    assert only("a.pdf", pdf.bytes()).text.splitlines()[2:] == ["[link] https://example.org/b", "[link] other.pdf"]


def test_attachments_are_documents_under_names_that_lead_nowhere_else() -> None:
    pdf = Pdf()
    stream = pdf.stream(b"pinned words", "/Type/EmbeddedFile")
    pin = pdf.add(
        "<</Type/Annot/Subtype/FileAttachment/Rect[0 0 9 9]/FS<</Type/Filespec/F(data.csv)/UF(data.csv)"
        f"/EF<</F {stream} 0 R>>>>>>"
    )
    pdf.text_page(["Hello"], f"/Annots[{pin} 0 R]")
    pdf.catalog = "/Collection<<>>"
    inner = Pdf()
    inner.text_page(["inner words"])
    pdf.attach({"data.csv": b"x,y\n3,4\n", "../../etc/passwd": b"root words", "a.pdf": inner.bytes()})
    found = {draft.name: draft.text for draft in drafts("a.pdf", pdf.bytes())}
    assert found == {
        "": "Hello\n",
        "data.csv": "x,y\n3,4\n",
        "2-data.csv": "pinned words",
        "etc/passwd": "root words",
        "a.pdf": "inner words\n",
    }
    outer = read("a.pdf", pdf.bytes())[0]
    assert isinstance(outer, Draft)
    assert outer.meta["portfolio"] is True


def outlined(entries: str, count: int) -> Draft:
    """Return the draft of two pages with an outline; in it `{n}` is its n-th object, `{page}` the second page."""
    pdf = Pdf()
    pdf.text_page(["Contents", "Chapter one"])
    pdf.text_page(["before", "Chapter one", "after", "Section"])
    first = len(pdf.objects) + 1
    names = {f"o{number}": f"{first + number} 0 R" for number in range(count)}
    for entry in entries.splitlines():
        pdf.add(entry.strip().format(page=f"{pdf.pages[1]} 0 R", **names))
    pdf.catalog = f"/Outlines {first} 0 R"
    return only("a.pdf", pdf.bytes())


def test_the_outline_is_sections_where_their_titles_stand() -> None:
    draft = outlined(
        """<</First {o1}/Last {o4}>>
        <</Title(Chapter one)/Dest[{page}/Fit]/Next {o4}/First {o2}>>
        <</Title(Section)/Dest[{page}/Fit]/Next {o3}>>
        <</Title(Not in the text)/Dest[{page}/Fit]>>
        <</Title(Nowhere)>>""",
        5,
    )
    second = draft.text.index("before")
    assert draft.places["sections"] == {
        "at": [second + 7, second + 25, second + 25],
        "label": ["Chapter one", "Section", "Not in the text"],
        "level": [1, 2, 2],
    }
    assert draft.text.endswith("Section\n[outline] Not in the text\n[outline] Nowhere\n")


def test_an_outline_that_contains_itself_ends() -> None:
    draft = outlined("<</First {o1}>>\n<</Title(Chapter one)/Dest[{page}/Fit]/Next {o1}/First {o1}>>", 2)
    assert draft.places["sections"]["label"] == ["Chapter one"]


def test_author_title_and_dates_are_in_its_meta() -> None:
    pdf = Pdf(info={"Title": "A title", "Author": "Anna", "CreationDate": "D:20240102030405+01'00'", "Keywords": ""})
    pdf.text_page(["Hello"])
    meta = only("a.pdf", pdf.bytes()).meta
    assert meta == {
        "kind": "PDF", "pages": 1, "title": "A title", "author": "Anna", "created": "2024-01-02T03:04:05+01:00",
    }  # fmt: skip


def test_hidden_layers_are_read_and_named() -> None:
    pdf = Pdf()
    layer = pdf.add("<</Type/OCG/Name(Secret layer)>>")
    pdf.catalog = f"/OCProperties<</OCGs[{layer} 0 R]/D<</OFF[{layer} 0 R]>>>>"
    pdf.page(f"/OC /L BDC {text(['layer words'])} EMC", resources=f"/Properties<</L {layer} 0 R>>")
    draft = only("a.pdf", pdf.bytes())
    assert draft.text == "layer words\n"
    assert draft.meta["hidden_layers"] == ["Secret layer"]
