"""A damaged or hostile PDF gives what can be read of it, in bounded time, and says what cannot."""

import time
import zlib

import pytest

from durable_rlm.nodes.input.draft import Skipped, Unusable
from durable_rlm.nodes.input.readers.pdf import document as reader
from durable_rlm.nodes.input.readers.pdf.streams import check
from tests.nodes.input.pdf_files import FONT, Pdf, text
from tests.nodes.input.reading import only, read

BAD_OPERATORS = "BT /F 12 Tf (ok) Tj F..bad 1324.1-4 ] Tm ET"
"""The content of a page that pdfium reads without an error."""
LINES = "BT /F 9 Tf 50 700 Td " + " ".join(f"(line {number} of many) Tj 0 -9 Td" for number in range(60)) + " ET"


def three(middle: str | bytes) -> Pdf:
    """Return a file of three pages; the one in the middle has this content."""
    pdf = Pdf()
    pdf.text_page(["Clause 1."])
    pdf.page(middle)
    pdf.text_page(["Clause 3."])
    return pdf


def with_stream(data: bytes, entries: str) -> bytes:
    """Return a file of three pages; the one in the middle has this stream as its content."""
    pdf = Pdf()
    pdf.text_page(["Clause 1."])
    pdf.raw_page(pdf.stream(data, entries))
    pdf.text_page(["Clause 3."])
    return pdf.bytes()


@pytest.mark.parametrize(
    ("operators", "given"),
    [
        (BAD_OPERATORS, "ok"),
        ("BT /F 9 Tf 50 500 Td (before) Tj 0 -20 Td [ (after) Tj ET", "before"),
        ("BT /F 9 Tf 50 500 Td (before) Tj 0 -20 Td (after Tj ET", "before"),
        ("BT /F 9 Tf 50 500 Td (before) Tj 0 -20 Td <41 (after) Tj ET", "before"),
        ("BT /F 9 Tf 50 500 Td (before) Tj BI /W 1 ID (after) Tj ET", "before"),
    ],
    ids=["bracket", "array", "string", "hexadecimal", "inline-image"],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_operators_that_pdfium_drops_without_a_word_are_a_loss(operators: str, given: str, compressed: bool) -> None:
    pdf = three(operators)
    if compressed:
        pdf.objects[pdf.pages[1] - 2] = (
            f"<</Filter/FlateDecode/Length {len(zlib.compress(operators.encode()))}>>stream\n".encode()
            + zlib.compress(operators.encode())
            + b"\nendstream"
        )
    draft = only("a.pdf", pdf.bytes())
    assert draft.text == f"Clause 1.\n{given}\nClause 3.\n"
    [loss] = draft.all_losses()
    assert loss.startswith("page 2 cannot be read to its end (")


def test_text_at_no_size_is_given_by_the_second_reader() -> None:
    draft = only("a.pdf", three("BT /F 9 Tf 50 500 Td (before) Tj Tm ( hidden words) Tj ET").bytes())
    assert "hidden words" in draft.text
    assert draft.all_losses() == ["page 2 is read differently by two programs (6 and 17 letters)"]


def test_damaged_operators_of_a_shared_drawing_are_a_loss() -> None:
    pdf = Pdf()
    entries = f"/Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</Font<</F {FONT}>>>>"
    form = pdf.stream(b"BT /F 9 Tf 50 500 Td (header) Tj [ (more) Tj ET", entries)
    pdf.page("/X Do " + text(["body"]), resources=f"/XObject<</X {form} 0 R>>")
    draft = only("a.pdf", pdf.bytes())
    assert "header" in draft.text
    assert [loss[:38] for loss in draft.all_losses()] == ["1 part of the file cannot be read (Inv"]


@pytest.mark.parametrize("kind", ["broken", "cut", "without-header"])
def test_a_damaged_stream_gives_what_comes_before_the_fault_and_a_loss(kind: str) -> None:
    whole = zlib.compress(LINES.encode())
    half = len(whole) // 2
    data = {
        "broken": whole[:half] + b"\xff\xff\xff" + whole[half + 3 :],
        "cut": whole[:half],
        "without-header": b"xx" + whole[2:],
    }[kind]
    draft = only("a.pdf", with_stream(data, "/Filter/FlateDecode"))
    assert "Clause 1.\nline 0 of many\n" in draft.text
    assert draft.text.endswith("\nClause 3.\n")
    assert draft.all_losses() == ["page 2 cannot be read to its end (damaged stream)"]


def test_a_stream_that_gives_nothing_is_a_damaged_page_and_not_a_blank_one() -> None:
    draft = only("a.pdf", with_stream(b"no Flate data at all", "/Filter/FlateDecode"))
    assert draft.text == "Clause 1.\nClause 3.\n"
    assert draft.all_losses() == ["page 2 cannot be read (damaged stream)"]
    assert "blank_pages" not in draft.meta


def test_words_that_were_changed_in_a_compressed_stream_are_noted_by_its_checksum() -> None:
    right, wrong = zlib.compress(text(["Pay 100 now"]).encode(), 0), text(["Pay 900 now"]).encode()
    data = zlib.compress(wrong, 0)[:-4] + right[-4:]
    draft = only("a.pdf", with_stream(data, "/Filter/FlateDecode"))
    assert "Pay 900 now" in draft.text
    assert draft.all_losses() == ["page 2 may have wrong words (damaged stream)"]


def test_a_checksum_that_is_missing_is_no_loss() -> None:
    draft = only("a.pdf", with_stream(zlib.compress(LINES.encode())[:-4], "/Filter/FlateDecode"))
    assert "line 59" in draft.text
    assert draft.all_losses() == []


def test_a_stream_that_ends_as_acrobats_do_is_no_loss() -> None:
    compressor = zlib.compressobj()
    data = compressor.compress(LINES.encode()) + compressor.flush(zlib.Z_SYNC_FLUSH)
    draft = only("a.pdf", with_stream(data, "/Filter/FlateDecode"))
    assert "line 59" in draft.text
    assert draft.all_losses() == []


def test_damage_that_a_later_version_of_the_file_mends_is_no_loss() -> None:
    pdf = Pdf()
    damaged = pdf.stream(b"no Flate data", "/Filter/FlateDecode")
    pdf.raw_page(damaged)
    whole = b"BT /F 9 Tf 50 500 Td (mended) Tj ET"
    data = pdf.bytes()
    added = b"%d 0 obj\n<</Length %d>>stream\n%s\nendstream\nendobj\n" % (damaged, len(whole), whole)
    table = b"xref\n%d 1\n%010d 00000 n \ntrailer\n<</Size 5/Root 1 0 R/Prev %d>>\nstartxref\n%d\n%%%%EOF\n"
    data += added + table % (damaged, len(data), data.index(b"xref\n"), len(data) + len(added))
    draft = only("a.pdf", data)
    assert draft.text == "mended\n"
    assert draft.all_losses() == []


def test_a_stream_without_a_known_filter_is_looked_at_by_the_second_reader() -> None:
    draft = only("a.pdf", with_stream(b"\x80\x0b\x60\x50\x22\x0c\x0c\x85\x01", "/Filter/LZWDecode"))
    assert draft.meta["blank_pages"] == [2]
    draft = only("a.pdf", with_stream(b"BT (words) Tj ET", "/Filter/NoSuchFilter"))
    assert draft.all_losses() == ["page 2 cannot be read (damaged stream)"]


def test_a_pdf_without_text_says_how_many_pages_it_has_and_what_helps() -> None:
    pdf = Pdf()
    for _ in range(2):
        pdf.image_page()
    with pytest.raises(Unusable) as error:
        read("a.pdf", pdf.bytes())
    assert error.value.reason == "a PDF without text"
    assert error.value.hint == (
        "It has 2 pages in 1.2 KB: pages 1–2 are images without text. Run a text recognition (OCR) over it first."
    )


@pytest.mark.parametrize("count", [1, 2, 0, -5])
def test_pages_beyond_a_forged_count_are_read(count: int) -> None:
    draft = only("a.pdf", three(text(["Clause 2."])).bytes(count=count))
    assert draft.text == "Clause 1.\nClause 2.\nClause 3.\n"
    assert draft.meta["pages"] == 3


@pytest.mark.parametrize("count", [7, 100_000])
def test_a_count_beyond_the_pages_is_noted(count: int) -> None:
    draft = only("a.pdf", three(text(["Clause 2."])).bytes(count=count))
    assert draft.meta["pages"] == 3
    assert draft.all_losses() == [f"the file counts {count:,} pages and has 3"]


def test_a_page_tree_that_contains_itself_ends() -> None:
    pdf = Pdf()
    pdf.text_page(["words"])
    pdf.pages.append(2)
    draft = only("a.pdf", pdf.bytes(count=5))
    assert draft.text == "words\n"
    assert draft.all_losses() == ["pages 2–5 cannot be read (Failed to load page)"]


def test_a_page_tree_too_deep_is_damage() -> None:
    pdf = Pdf()
    node = pdf.text_page(["deep"])
    for _ in range(3_000):
        node = pdf.add(f"<</Type/Pages/Count 1/Kids[{node} 0 R]>>")
    pdf.pages = [node]
    with pytest.raises(Unusable, match="a damaged PDF") as error:
        read("a.pdf", pdf.bytes())
    assert "page 1 cannot be read" in error.value.hint


def test_a_stream_that_unpacks_to_too_much_costs_its_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.nodes.input.readers.pdf.streams.LARGEST_STREAM", 1 << 20)
    bomb = zlib.compress(zlib.compress(b" " * (8 << 20), 9), 9)
    for entries in ("/Filter[/FlateDecode/FlateDecode]", "/Filter [ /Fl /Fl ]", "/Filter[/Fl#61teDecode/FlateDecode]"):
        data = with_stream(bomb, entries)
        assert entries.encode() in data
        # The engines do not get to unpack it.
        assert entries.encode() not in check(data).data
        assert len(check(data).data) == len(data)
        draft = only("a.pdf", data)
        assert draft.text == "Clause 1.\nClause 3.\n"
        assert draft.all_losses() == ["page 2 cannot be read (over 128 MiB when unpacked)"]


@pytest.mark.parametrize(
    "content",
    ["(" * 200_000, "[" * 200_000, "<4 " * 100_000, "BI " * 100_000, "BI ID " * 50_000, "q " * 200_000, "<<" * 100_000],
)
def test_hostile_operators_take_little_time(content: str) -> None:
    started = time.process_time()
    draft = only("a.pdf", three(content + "BT /F 9 Tf (deep) Tj ET").bytes())
    assert time.process_time() - started < 5
    assert "deep" in draft.text or draft.all_losses()


def test_many_operators_take_little_time() -> None:
    started = time.process_time()
    pdf = Pdf(compressed=True)
    pdf.page("BT /F 9 Tf " + "(abcdefgh) Tj 1 0 0 1 3 4 Tm " * 50_000 + "ET ]")
    draft = only("a.pdf", pdf.bytes())
    assert time.process_time() - started < 5
    assert draft.all_losses() == ["page 1 may be incomplete (its operators are damaged; too long)"]


def test_streams_without_ends_are_damage() -> None:
    with pytest.raises(Unusable, match="a damaged PDF"):
        read("a.pdf", b"%PDF-1.4\n" + b"1 0 obj<<>>stream\n" * 100_000)


def test_pages_for_which_there_is_no_time_are_a_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_SECONDS", 0.0)
    monkeypatch.setattr(reader.time, "process_time", iter(range(100)).__next__)
    pdf = three(text(["Clause 2."]))
    pdf.attach({"notes.txt": b"words"})
    skipped, attached = read("a.pdf", pdf.bytes())
    assert isinstance(skipped, Skipped)
    assert "pages 1–3 not read: they need over 0 s of CPU time" in skipped.hint
    assert not isinstance(attached, Skipped)


def test_the_pages_before_the_end_of_the_time_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_LARGEST_TEXT", 15)
    draft = only("a.pdf", three(text(["Clause 2."])).bytes())
    assert draft.text == "Clause 1.\nClause 2.\n"
    assert draft.all_losses() == ["page 3 not read: too much text"]


def test_a_file_of_many_pages_is_opened_anew_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_PAGES_IN_MEMORY", 2)
    pdf = Pdf()
    for number in range(5):
        pdf.text_page([f"page {number}"])
    assert only("a.pdf", pdf.bytes()).text == "".join(f"page {number}\n" for number in range(5))


@pytest.mark.parametrize("cut", ["without-table", "in-the-middle"])
def test_a_file_without_its_end_gives_the_pages_that_are_there(cut: str) -> None:
    pdf = Pdf()
    for number in range(5):
        pdf.text_page([f"page {number}"])
    data = pdf.bytes()
    end = data.index(b"xref\n") if cut == "without-table" else data.index(b"(page 3)")
    draft = only("a.pdf", data[:end])
    assert draft.text.startswith("page 0\npage 1\npage 2\n")
    assert draft.all_losses()[0] == "the end of the file is damaged: pages may be missing"


def test_a_file_without_its_catalog_gives_the_pages_that_are_there() -> None:
    pdf = Pdf()
    for number in range(5):
        pdf.text_page([f"page {number}"])
    # As most programs write it: pages first, the catalog last.
    data = pdf.bytes()
    data = b"%PDF-1.7\n" + data[data.index(b"3 0 obj") : data.index(b"(page 3)")]
    assert only("a.pdf", data).text.startswith("page 0\npage 1\npage 2\n")


@pytest.mark.parametrize("data", [b"%PDF-1.4 nonsense", b"", b"%PDF-1.4\n" + b"\0" * 1000])
def test_a_file_that_is_no_pdf_is_damaged(data: bytes) -> None:
    with pytest.raises(Unusable, match="a damaged PDF"):
        read("a.pdf", data)
