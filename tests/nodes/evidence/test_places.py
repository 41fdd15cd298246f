"""Citations of a final value: checked off the event loop, with their places in words."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.results import PostedCitation
from durable_rlm.nodes.evidence.citations import checked
from durable_rlm.nodes.input.draft import Draft
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import StoredDataDamaged
from durable_rlm.state.input.context import ContextRef
from tests.cited_input import cited, stored
from tests.kernel.test_rows import workbook


def paged() -> Draft:
    draft = Draft("PDF", "report.pdf")
    draft.write("cover\n")
    for number in ("i", "ii"):
        draft.mark("pages", number)
        draft.write(f"größe of page {number}\n")
    return draft


def marked(kind: Any, name: str, *labels: str) -> Draft:
    draft = Draft("any", name)
    for label in labels:
        draft.mark(kind, label)
        draft.write(f"words of {label}\n")
    return draft


@pytest.fixture
def documents(tmp_path: Path) -> tuple[ContextRef, Blobs, dict[str, str]]:
    drafts = [
        workbook(),
        paged(),
        marked("sections", "contract.docx", "1 Parties", "4.2 Term"),
        marked("messages", "chat.json", "user", "assistant"),
    ]
    texts = {draft.name: draft for draft in drafts} | {"a.py": "import os\n\nprint('größer', os)\n"}
    reference, blobs = stored(tmp_path, texts)
    return reference, blobs, {name: text if isinstance(text, str) else text.text for name, text in texts.items()}


@pytest.mark.parametrize(
    ("document", "quote", "line", "column", "page", "place"),
    [
        ("prices.xlsx", "3,50", 3, 5, None, "prices.xlsx Prices!B2"),
        ("prices.xlsx", "9", 4, 5, None, "prices.xlsx Prices!AB7"),
        ("prices.xlsx", "Old one", 5, 1, None, "prices.xlsx Old one"),
        ("prices.xlsx", "日本", 6, 1, None, "prices.xlsx Old one!A1"),
        ("report.pdf", "cover", 1, 1, None, "report.pdf line 1"),
        ("report.pdf", "of page ii", 3, 7, 2, "report.pdf page 2"),
        ("contract.docx", "of 4.2", 2, 7, None, "contract.docx § 4.2 Term"),
        ("chat.json", "assistant", 2, 10, None, "chat.json message 2"),
        ("a.py", "os)", 3, 17, None, "a.py line 3"),
    ],
)
async def test_a_citation_has_its_place_in_words(
    documents: tuple[ContextRef, Blobs, dict[str, str]],
    document: str,
    quote: str,
    line: int,
    column: int,
    page: int | None,
    place: str,
) -> None:
    reference, blobs, texts = documents
    [(found, fault)] = await checked([cited(document, texts[document], quote)], reference, blobs)
    assert (fault, found["verified"], found["quote"]) == ("", True, quote)
    assert (found["line"], found["column"], found["page"], found["place"]) == (line, column, page, place)


async def test_a_text_without_a_name_has_lines_for_places(tmp_path: Path) -> None:
    text = "é one\ntwo\n"
    reference, blobs = stored(tmp_path, {"": text})
    [(found, _)] = await checked([cited("", text, "wo")], reference, blobs)
    assert (found["verified"], found["line"], found["column"], found["place"]) == (True, 2, 2, "line 2")


async def test_a_citation_that_lies_has_no_place(documents: tuple[ContextRef, Blobs, dict[str, str]]) -> None:
    reference, blobs, texts = documents
    true = cited("a.py", texts["a.py"], "import")
    lies = [replace(true, id=3, quote="IMPORT", how="x" * 99), replace(true, id=2, document="b.py")]
    [one, two, three] = [one for one, _ in await checked([*lies, true], reference, blobs)]
    assert (one["id"], one["verified"], two["id"], two["verified"], three["id"]) == (1, True, 2, False, 3)
    assert (three["line"], three["column"], three["place"], len(three["how"])) == (None, None, "", 40)


async def test_a_flood_of_citations_is_cut_and_equal_ones_are_one(
    documents: tuple[ContextRef, Blobs, dict[str, str]],
) -> None:
    reference, blobs, texts = documents
    true = cited("a.py", texts["a.py"], "import")
    assert len(await checked([true] * 5, reference, blobs)) == 1
    many = [PostedCitation(number, "a.py", 0, 6, "import", "exact") for number in range(10_005)]
    found = await checked(many, reference, blobs)
    assert len(found) == 10_000 and not any(fault for _, fault in found)
    huge = [replace(true, id=number, quote="x" * 100_000) for number in range(500)]
    assert len(await checked(huge, reference, blobs)) < 170


async def test_a_damaged_store_is_reported_and_not_taken_for_a_lie(
    documents: tuple[ContextRef, Blobs, dict[str, str]],
) -> None:
    reference, blobs, texts = documents
    blobs.path(reference["pack"]).unlink()
    with pytest.raises(StoredDataDamaged):
        await checked([cited("a.py", texts["a.py"], "import")], reference, blobs)
