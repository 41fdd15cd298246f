"""Books are read chapter by chapter, in their order, and nothing of them is passed over."""

from random import Random

import pytest

from durable_rlm.nodes.input.draft import Draft, Skipped, Unusable
from tests.nodes.input.corpus.epub import book, chapter, samples
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.reading import only, read

_ENCRYPTED = (
    '<encryption xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><enc:EncryptedData>'
    '<enc:EncryptionMethod Algorithm="{}"/><enc:CipherData><enc:CipherReference URI="{}"/></enc:CipherData>'
    "</enc:EncryptedData></encryption>"
)


@pytest.mark.parametrize("seed", range(5))
def test_no_part_of_a_book_is_lost_silently(seed: int) -> None:
    for one in samples(Random(seed)):
        assert silently_lost(one, read(one.name, one.data)) == []


@pytest.mark.parametrize("old", [False, True])
def test_chapters_follow_the_spine_and_have_the_titles_of_the_table_of_contents(old: bool) -> None:
    chapters = {"b.xhtml": chapter("<p>last</p>"), "a.xhtml": chapter("<h1>Start</h1><h2>Deeper</h2><p>first</p>")}
    spine = '<itemref idref="a.xhtml"/><itemref idref="b.xhtml"/>'
    draft = only("x.epub", book(chapters, spine=spine, contents={"a.xhtml": "Start", "b.xhtml": "The End"}, old=old))
    assert draft.text == "Book\n\n\n# Start\n\n## Deeper\n\nfirst\n\nThe End\n\nlast"
    sections = draft.places["sections"]
    assert sections["label"] == ["Start", "Start", "Deeper", "The End"]
    assert sections["level"] == [1, 2, 3, 1]
    assert [draft.text[at : at + 4] for at in sections["at"]] == ["# St", "# St", "## D", "The "]


def test_metadata_is_kept() -> None:
    facts = "<dc:title>A &amp; B</dc:title><dc:creator>C. D.</dc:creator><dc:language>fr</dc:language>"
    draft = only("x.epub", book({"a.xhtml": chapter("<p>x</p>")}, facts=facts))
    assert (draft.meta["title"], draft.meta["author"], draft.meta["language"]) == ("A & B", "C. D.", "fr")
    assert draft.text.startswith("A & B\nby C. D.\n")


def test_chapters_outside_of_the_reading_order_are_marked() -> None:
    chapters = {name: chapter(f"<p>{name} words</p>") for name in ("a.xhtml", "note.xhtml", "extra.xhtml")}
    spine = '<itemref idref="a.xhtml"/><itemref idref="note.xhtml" linear="no"/>'
    draft = only("x.epub", book(chapters, spine=spine))
    assert "[outside of the reading order]\nnote.xhtml words" in draft.text
    assert "[in no reading order]\nextra.xhtml words" in draft.text


def test_a_chapter_that_is_missing_costs_only_itself() -> None:
    draft = only(
        "x.epub", book({"a.xhtml": chapter("<p>x</p>")}, spine='<itemref idref="b"/><itemref idref="a.xhtml"/>')
    )
    assert draft.losses == ["b is missing in the file"]


def test_scrambled_fonts_are_no_protection_and_protected_chapters_are_named() -> None:
    chapters = {"a.xhtml": chapter("<p>open</p>"), "b.xhtml": chapter("<p>closed</p>")}
    font = _ENCRYPTED.format("http://www.idpf.org/2008/embedding", "OEBPS/font.otf").encode()
    assert only("x.epub", book(chapters, more={"META-INF/encryption.xml": font})).losses == []
    one = _ENCRYPTED.format("http://www.w3.org/2001/04/xmlenc#aes128-cbc", "OEBPS/b.xhtml").encode()
    draft = only("x.epub", book(chapters, more={"META-INF/encryption.xml": one}))
    assert draft.losses == ["b.xhtml cannot be read (protected by DRM)"]
    assert "closed" not in draft.text
    with pytest.raises(Unusable, match="protected by DRM"):
        only("x.epub", book({"b.xhtml": chapter("x")}, more={"META-INF/encryption.xml": one}))


def test_a_damaged_book_is_read_file_by_file() -> None:
    data = book({"a.xhtml": chapter("<p>some words</p>"), "b.xhtml": chapter("<p>more words</p>")})
    found = read("x.epub", data[:-40])
    texts = {one.name: one.text for one in found if isinstance(one, Draft)}
    assert texts["OEBPS/a.xhtml"] == "some words\n"
    assert isinstance(found[-1], Skipped)
    assert "damaged" in found[-1].reason


def test_entities_of_a_book_are_not_expanded() -> None:
    hostile = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><html><body><p>one &b; two</p></body></html>'
    assert "one &b; two" in only("x.epub", book({"a.xhtml": hostile})).text


def test_a_book_is_found_in_a_zip_with_another_name() -> None:
    assert only("x.zip", book({"a.xhtml": chapter("<p>x</p>")})).meta["kind"] == "EPUB"
