"""Places of documents in the REPL: pages, slides, sections and cells, damaged ones, and what was not read."""

import json
import pickle  # noqa: TID251 - a kernel may unpickle its own variables
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.kernel.inside.context import Document, Documents
from durable_rlm.kernel.inside.context_text import TextDocument
from durable_rlm.nodes.input.draft import Draft
from durable_rlm.state.input.index import FileReport
from tests.kernel.documents import document, draft_of, packed, text_document

Make = Callable[[Path, Draft], Document | TextDocument]


@pytest.fixture(params=[document, text_document], ids=["document", "text"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def report(path: str, losses: tuple[str, ...] = (), skipped: str | None = None) -> FileReport:
    return FileReport(
        path=path,
        kind="",
        bytes=0,
        encoding="",
        documents=0,
        pages=0,
        chars=0,
        tokens=0,
        losses=list(losses),
        skipped=skipped,
    )


# --- pages


def paged(texts: list[str], kind: Any = "pages", labels: list[str] | None = None) -> Draft:
    draft = Draft("PDF", "report.pdf")
    for at, text in enumerate(texts):
        draft.mark(kind, labels[at] if labels else "")
        draft.write(text)
    return draft


def test_pages_count_from_one_and_have_numbers_and_labels(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, paged(["erste\n", "zweite größer\n", "dritte 日本"], labels=["i", "ii", "1"]))
    assert doc.page(1) == doc.pages[0] == "erste\n"
    assert [(page.number, page.label, str(page)) for page in doc.pages] == [
        (1, "i", "erste\n"),
        (2, "ii", "zweite größer\n"),
        (3, "1", "dritte 日本"),
    ]
    assert (len(doc.pages), doc.pages[-1].number, doc.pages[1:], repr(doc.pages)) == (
        3,
        3,
        [doc.page(2), doc.page(3)],
        "<3 pages of 'report.pdf'>",
    )
    assert [doc.page_of(offset) for offset in (0, 5, 6, len(doc))] == [1, 1, 2, 3]
    assert doc.place_of(6) == "page 2"


@pytest.mark.parametrize("number", [0, -1, 3])
def test_a_page_out_of_range_names_the_last_one(make: Make, tmp_path: Path, number: int) -> None:
    doc = make(tmp_path, paged(["one", "two"]))
    with pytest.raises(IndexError, match="the document has 2 pages"):
        doc.page(number)


def test_slides_are_pages(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, paged(["one", "two"], "slides"))
    assert (doc.page(2), doc.page(2).label, doc.place_of(3)) == ("two", "2", "slide 2")


def test_a_format_without_pages_says_so(make: Make, tmp_path: Path) -> None:
    doc = make(tmp_path, draft_of("a\nb\n", "DOCX", "letter.docx"))
    assert list(doc.pages) == [] and not doc.pages
    with pytest.raises(IndexError, match=r"'letter.docx' \(DOCX\) has no pages.*lines\(a, b\)"):
        doc.page(1)
    with pytest.raises(LookupError, match=r"has no pages.*line_of\(offset\)"):
        doc.page_of(1)
    assert doc.place_of(2) == "line 2"


def test_text_before_the_first_page_is_on_no_page(make: Make, tmp_path: Path) -> None:
    draft = draft_of("cover", "PDF")
    draft.mark("pages")
    draft.write("one")
    doc = make(tmp_path, draft)
    assert (doc.page(1), doc.page_of(5), doc.place_of(0)) == ("one", 1, "line 1")
    with pytest.raises(LookupError, match="before the first page"):
        doc.page_of(4)


@given(st.lists(st.text("aé日𝄞\n\f", max_size=8), min_size=1, max_size=8), st.booleans())
def test_pages_and_page_of_are_inverse(texts: list[str], single: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        doc: Document | TextDocument = (text_document if single else document)(Path(folder), paged(texts))
        assert list(doc.pages) == texts
        owner = [number for number, text in enumerate(texts, 1) for _ in text]
        assert [doc.page_of(offset) for offset in range(len(owner))] == owner
        assert "".join(doc.pages) == doc.text


# --- sections and cells


def test_sections_have_their_subsections_in_their_text(make: Make, tmp_path: Path) -> None:
    draft = Draft("DOCX", "contract.docx")
    for title, level in (("1 Scope", 1), ("1.1 Größe", 2), ("1.2 Place", 2), ("2 Fees", 1)):
        draft.mark("sections", title, level=level)
        draft.write(f"{title}\ntext\n")
    doc = make(tmp_path, draft)
    scope, size, place, fees = doc.sections()
    assert (scope.title, scope.level, scope.number, scope.line) == ("1 Scope", 1, 1, 1)
    assert scope.text == doc.text[: fees.start] and size.text == str(size) == "1.1 Größe\ntext\n"
    assert (place.end, fees.end, place.line) == (fees.start, len(doc), 5)
    assert repr(size) == "<Section 2, level 2: '1.1 Größe', 15 chars>"
    assert doc.place_of(size.start + 2) == "§ 1.1 Größe"
    assert pickle.loads(pickle.dumps(size)).text == size.text  # noqa: S301


def test_markdown_has_the_sections_of_its_headings(make: Make, tmp_path: Path) -> None:
    text = (
        "intro\n# One #\n```sh\n# no heading\n```\n## Two\r\ntext\n#hash\n####### seven\n    # code\n# C#\n~~~\n# no\n"
    )
    sections = make(tmp_path, draft_of(text, name="README.md")).sections()
    assert [(one.title, one.level, one.line) for one in sections] == [("One", 1, 2), ("Two", 2, 6), ("C#", 1, 11)]
    assert sections[0].text == text[text.index("# One") : text.index("# C#")]
    assert make(tmp_path / "text", draft_of(text, name="README.txt")).sections() == []


def test_cells_have_their_facts(make: Make, tmp_path: Path) -> None:
    draft = Draft("notebook", "n.ipynb")
    for label, kind in (("In [1]", "code"), ("", "markdown")):
        draft.mark("cells", label, type=kind)
        draft.write("größer\n")
    first, second = make(tmp_path, draft).cells
    assert (first.title, first.facts, first.text) == ("In [1]", {"type": "code"}, "größer\n")
    assert (second.number, second.facts["type"], second.line) == (2, "markdown", 2)
    assert make(tmp_path / "other", draft_of("text")).cells == []


# --- damaged places, and references to them


@pytest.mark.parametrize(
    "places",
    [
        {"pages": 5},
        {"pages": {"label": ["a"]}},
        {"pages": {"at": [0, 99]}},
        {"pages": {"at": [2, 1]}},
        {"pages": {"at": [-1]}},
        {"pages": {"at": ["0"]}},
        {"pages": {"at": [0], "label": ["a", "b"]}},
        {"pages": {"at": [0], "label": 5}},
    ],
)
def test_damaged_pages_are_said_to_be_damaged(make: Make, tmp_path: Path, places: dict[str, Any]) -> None:
    draft = draft_of("some text", "PDF")
    draft.places = places
    doc = make(tmp_path, draft)
    for ask in (lambda: doc.pages, lambda: doc.page(1), lambda: doc.page_of(0), lambda: doc.places):
        with pytest.raises(LookupError, match="the stored pages are damaged: the index has none"):
            ask()
    assert doc.text == "some text" and doc.lines(1, 1) == "some text"


@pytest.mark.parametrize(
    "rows", [[], {"runs": [[0, 1]]}, {"runs": [[0, 1, -1]]}, {"runs": [[0, 1, 1]], "columns": {"1:1": ["x"]}}]
)
def test_damaged_rows_are_said_to_be_damaged(make: Make, tmp_path: Path, rows: Any) -> None:
    draft = draft_of("some text", "XLSX")
    draft.places = {"rows": rows}
    with pytest.raises(LookupError, match="the stored rows are damaged"):
        make(tmp_path, draft).rows()


def test_rows_that_count_more_lines_than_there_are_end_with_the_text(make: Make, tmp_path: Path) -> None:
    draft = draft_of("a\tb\nc", "XLSX")
    draft.places = {"rows": {"runs": [[0, 1, 10**12]]}}
    assert list(make(tmp_path, draft).rows()) == [["a", "b"], ["c"]]


def test_places_that_are_no_json_do_not_exist(tmp_path: Path) -> None:
    pack, index = packed(tmp_path, [paged(["one", "two"])])
    Path(index).write_bytes(Path(index).read_bytes().replace(b'{"pages"', b'{"pages'))
    assert len(Documents(pack, index)[0].pages) == 0


def test_a_pickled_document_finds_its_places_again(tmp_path: Path) -> None:
    docs = Documents(*packed(tmp_path, [draft_of("first"), paged(["one", "zwei größer"])]))
    docs[1].meta["mine"] = 1
    one = docs[1]
    one.meta["mine"] = 1
    again = pickle.loads(pickle.dumps(one))  # noqa: S301
    assert (again.page(2), again.meta["mine"], again == one) == ("zwei größer", 1, True)
    assert again.line_of(0) == 1
    assert len(pickle.dumps(one)) < len(pickle.dumps(docs[0])) + 60, "places are not pickled"
    assert list(pickle.loads(pickle.dumps(docs[0])).pages) == []  # noqa: S301


def test_a_document_saved_by_an_older_version_has_its_places(tmp_path: Path) -> None:
    docs = Documents(*packed(tmp_path, [paged(["one", "two"])]))
    make, facts = docs[0].__reduce__()
    assert len(facts) == 6, "as saved runs have it"
    assert make(*facts).page(2) == "two"


def test_an_index_of_an_older_version_has_no_places(tmp_path: Path) -> None:
    pack, index = packed(tmp_path, [draft_of("a\nb\n", "PDF")])
    Path(index).write_bytes(Path(index).read_bytes().replace(b"\t{}", b"").removesuffix(b"\n"))
    docs = Documents(pack, index)
    assert (docs[0].lines(2, 2), list(docs[0].pages), docs.skipped, docs.notes) == ("b\n", [], [], [])


# --- what was not read


def test_skipped_files_and_losses_are_listed(tmp_path: Path) -> None:
    reports = [report("a.png", skipped="an image"), report("b.docx", ("3 charts not shown",)), report("c.txt")]
    reports += [report(f"{number}.bin", skipped="a binary file") for number in range(7)]
    docs = Documents(*packed(tmp_path / "many", [draft_of("text")], reports))
    single = text_document(tmp_path / "one", draft_of("text"), reports)
    for context in (docs, docs[:0], single):
        assert context.skipped[:2] == [
            {"path": "a.png", "reason": "an image"},
            {"path": "0.bin", "reason": "a binary file"},
        ]
        assert context.notes == [
            "skipped (an image): a.png",
            "3 charts not shown: b.docx",
            "skipped (a binary file): 0.bin, 1.bin, 2.bin, 3.bin, 4.bin and 2 more",
        ]


def test_notes_are_at_most_twenty(tmp_path: Path) -> None:
    reports = [report("a", tuple(f"loss {number}" for number in range(1_000)))]
    notes = text_document(tmp_path, draft_of("text"), reports).notes
    assert (len(notes), notes[-1]) == (20, "and 981 more notes")


def test_json_of_places_is_what_the_index_has(make: Make, tmp_path: Path) -> None:
    draft = paged(["one", "two"])
    assert make(tmp_path, draft).places == {"pages": [("", 0, 3), ("", 3, 6)]}
    assert json.dumps(draft.places) == '{"pages": {"at": [0, 3]}}'
