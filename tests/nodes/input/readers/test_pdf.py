"""PDF pages have their numbers, and each page that cannot be read is one page and one phrase."""

import io
import time
import zlib
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Skipped, Unusable
from durable_rlm.nodes.input.readers import pdf as reader
from durable_rlm.nodes.input.readers.pdf_text import iso_date, pages_in_words
from tests.nodes.input.corpus.pdf import samples
from tests.nodes.input.pdf_files import FONT, Pdf, text
from tests.nodes.input.reading import drafts, only, read

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


def test_pages_have_their_numbers_also_empty_ones() -> None:
    pdf = Pdf()
    pdf.text_page(["one", "more"])
    pdf.page(None)
    pdf.page("")
    pdf.text_page(["four"])
    draft = only("a.pdf", pdf.bytes())
    assert draft.text == "one\nmore\nfour\n"
    assert draft.places["pages"] == {"at": [0, 9, 9, 9]}
    assert draft.meta["pages"] == 4
    assert draft.meta["blank_pages"] == [2, 3]
    assert draft.all_losses() == []


def test_printed_labels_are_the_pages_labels_if_they_differ_from_the_numbers() -> None:
    pdf = Pdf(catalog="/PageLabels<</Nums[0<</S/r>>2<</S/D/P(A-)>>]>>")
    for number in range(3):
        pdf.text_page([f"page {number}"])
    draft = only("a.pdf", pdf.bytes())
    assert draft.meta["page_labels"] == ["i", "ii", "A-1"]
    assert draft.places["pages"]["label"] == ["i", "ii", "A-1"]
    pdf.catalog = "/PageLabels<</Nums[0<</S/D>>]>>"
    assert "page_labels" not in only("a.pdf", pdf.bytes()).meta


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


def test_pages_of_images_and_drawings_are_listed() -> None:
    pdf = Pdf()
    pdf.text_page(["words"])
    for _ in range(3):
        pdf.image_page()
    pdf.page("10 10 100 100 re f")
    pdf.text_page(["words"])
    pdf.image_page()
    draft = only("a.pdf", pdf.bytes())
    assert draft.all_losses() == ["pages 2–4 and 7 are images without text", "page 5 is a drawing without text"]


def test_an_image_with_a_number_printed_over_it_and_an_image_in_the_text_are_losses() -> None:
    pdf = Pdf()
    pdf.image_page()
    pdf.objects[pdf.pages[0] - 2] = (
        b"<</Length 66>>stream\nq 600 0 0 800 0 0 cm /I Do Q BT /F 9 Tf 50 20 Td (page 1) Tj ET    \nendstream"
    )
    assert only("a.pdf", pdf.bytes()).all_losses() == ["page 1 is an image with little text"]
    small = Pdf()
    small.image_page()
    content = b"q 60 0 0 80 0 0 cm /I Do Q BT /F 9 Tf 50 20 Td (page 1) Tj ET"
    small.objects[small.pages[0] - 2] = b"<</Length %d>>stream\n%s\nendstream" % (len(content), content)
    assert only("a.pdf", small.bytes()).all_losses() == ["1 image not shown"]


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


def test_the_attachments_of_a_pdf_without_text_are_read() -> None:
    pdf = Pdf()
    pdf.image_page()
    pdf.attach({"notes.txt": b"words"})
    skipped, draft = read("a.pdf", pdf.bytes())
    assert isinstance(skipped, Skipped)
    assert skipped.reason == "a PDF without text"
    assert not isinstance(draft, Skipped)
    assert (draft.name, draft.text) == ("notes.txt", "words")


def test_two_columns_written_row_by_row_are_read_column_by_column() -> None:
    rows = [
        f"1 0 0 1 50 {700 - 12 * row} Tm (left {row} has some words in prose, quite long) Tj "
        f"1 0 0 1 320 {700 - 12 * row} Tm (right {row} has other words in prose, long) Tj "
        for row in range(12)
    ]
    title = "1 0 0 1 50 740 Tm (A title that stands over both of the columns and is longer than either) Tj "
    pdf = Pdf()
    pdf.page(f"BT /F 9 Tf {title}{''.join(rows)}ET")
    lines = only("a.pdf", pdf.bytes()).text.splitlines()
    assert lines[0].startswith("A title")
    assert [line.split(" has")[0] for line in lines[1:]] == [
        f"{side} {row}" for side in ("left", "right") for row in range(12)
    ]


def test_two_columns_written_column_by_column_stay_in_their_order() -> None:
    pdf = Pdf()
    left, right = ([f"{side} {row} has some words in prose, quite long" for row in range(12)] for side in ("l", "r"))
    pdf.page(text(left, 50) + text(right, 320))
    assert only("a.pdf", pdf.bytes()).text.splitlines() == left + right


def test_the_rows_of_a_table_stay_together() -> None:
    pdf = Pdf()
    rows = "".join(
        f"1 0 0 1 50 {700 - 12 * row} Tm (Item {row}) Tj 1 0 0 1 320 {700 - 12 * row} Tm "
        f"({'a description that is rather long ' * (1 + row % 2)}{row}) Tj "
        for row in range(12)
    )
    pdf.page(f"BT /F 9 Tf {rows}ET")
    for row, line in enumerate(only("a.pdf", pdf.bytes()).text.splitlines()):
        assert line.startswith(f"Item {row}")
        assert line.endswith(str(row))


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
    monkeypatch.setattr("durable_rlm.nodes.input.readers.pdf_streams.LARGEST_STREAM", 1 << 20)
    bomb = zlib.compress(zlib.compress(b" " * (8 << 20), 9), 9)
    for entries in ("/Filter[/FlateDecode/FlateDecode]", "/Filter [ /Fl /Fl ]", "/Filter[/Fl#61teDecode/FlateDecode]"):
        draft = only("a.pdf", with_stream(bomb, entries))
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
def test_what_is_no_pdf_is_damaged(data: bytes) -> None:
    with pytest.raises(Unusable, match="a damaged PDF"):
        read("a.pdf", data)


def encrypted(user: str, algorithm: str) -> bytes:
    from pypdf import PdfWriter

    writer = PdfWriter()
    writer.append(io.BytesIO(three(BAD_OPERATORS).bytes()))
    writer.encrypt(user, "owner", algorithm=algorithm)
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


@pytest.mark.parametrize("algorithm", ["RC4-40", "RC4-128"])
@pytest.mark.parametrize("password", ["user", "owner"])
def test_a_protected_file_opens_with_either_password(algorithm: str, password: str) -> None:
    data = encrypted("user", algorithm)
    with pytest.raises(Unusable) as error:
        read("a.pdf", data)
    assert error.value.reason == "password-protected"
    assert error.value.hint == "Give its password by --password env:NAME or file:PATH."
    with pytest.raises(Unusable, match="password-protected") as error:
        read("a.pdf", data, passwords=("wrong", ""))
    assert error.value.hint.endswith("None of the given ones fits.")
    draft = only("a.pdf", data, passwords=("wrong", password))
    assert draft.text == "Clause 1.\nok\nClause 3.\n"
    # Damage in a protected file is found as in any other.
    assert draft.all_losses()[0].startswith("page 2 cannot be read to its end")


def test_a_file_that_only_its_owner_may_change_opens_without_a_password() -> None:
    assert only("a.pdf", encrypted("", "RC4-128")).text == "Clause 1.\nok\nClause 3.\n"


def test_text_outside_of_the_visible_part_is_a_loss_and_outside_of_the_paper_it_is_read() -> None:
    pdf = Pdf()
    pdf.page("BT /F 9 Tf 50 500 Td (in) Tj 400 0 Td (cropped) Tj ET", "/CropBox[0 0 300 800]")
    pdf.page("BT /F 9 Tf 50 500 Td (in) Tj 4000 0 Td (outside) Tj ET")
    draft = only("a.pdf", pdf.bytes())
    assert "cropped" not in draft.text
    assert "outside" in draft.text
    assert draft.all_losses() == ["page 1 has text outside of what is visible, not shown"]


@pytest.mark.parametrize("seed", range(4))
def test_nothing_that_is_planted_is_lost_without_a_note(seed: int) -> None:
    for sample in samples(Random(seed)):
        found = drafts(sample.name, sample.data)
        everything = "\n".join(" ".join(draft.text.split()) + f" {draft.meta}" for draft in found)
        losses = [loss for draft in found for loss in draft.all_losses()]
        for planted in sample.planted:
            if planted.loss:
                assert any(planted.loss in loss for loss in losses), (sample.name, planted)
            else:
                assert planted.sentence in everything, (sample.name, planted)


@pytest.mark.parametrize("seed", range(3))
def test_both_engines_find_the_same_words(seed: int) -> None:
    from pypdf import PdfReader

    random = Random(seed)
    pdf = Pdf(compressed=True)
    for _ in range(5):
        pdf.text_page(["".join(random.choices("abcdefgh iklmnop", k=60)).strip() or "x" for _ in range(40)])
    data = pdf.bytes()
    draft = only("a.pdf", data)
    expected = " ".join(page.extract_text() for page in PdfReader(io.BytesIO(data)).pages)
    assert draft.text.split() == expected.split()


def test_lists_of_pages_in_words() -> None:
    assert pages_in_words([7]) == "page 7"
    assert pages_in_words([3, 4, 5, 9]) == "pages 3–5 and 9"
    assert pages_in_words([1, 3, 812, 813]) == "pages 1, 3 and 812–813"
    assert pages_in_words(range(1, 200, 2)).endswith(" and 80 more")


def test_dates_are_iso() -> None:
    assert iso_date("D:20261129001315+05'30'") == "2026-11-29T00:13:15+05:30"
    assert iso_date("D:20261129001315Z00'00'") == "2026-11-29T00:13:15+00:00"
    assert iso_date("D:2026") == "2026-01-01T00:00:00"
    for wrong in ("", "yesterday", "D:20269929", "D:20260101+99'00'", "D:20260101000000+00'99'"):
        assert iso_date(wrong) in ("", "2026-01-01T00:00:00+01:39")
