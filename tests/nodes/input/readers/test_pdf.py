"""PDF pages have their numbers, and each page that cannot be read is one page and one phrase."""

import io
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Skipped, Unusable
from durable_rlm.nodes.input.readers.pdf.columns import Box, by_column
from durable_rlm.nodes.input.readers.pdf.text import iso_date, pages_in_words
from tests.nodes.input.corpus.pdf import samples
from tests.nodes.input.pdf_files import Pdf, text
from tests.nodes.input.reading import drafts, only, read

BAD_OPERATORS = "BT /F 12 Tf (ok) Tj F..bad 1324.1-4 ] Tm ET"
"""The content of a page that pdfium reads without an error."""


def three(middle: str | bytes) -> Pdf:
    """Return a file of three pages; the one in the middle has this content."""
    pdf = Pdf()
    pdf.text_page(["Clause 1."])
    pdf.page(middle)
    pdf.text_page(["Clause 3."])
    return pdf


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


def test_columns_are_not_separated_where_that_would_cost_a_letter() -> None:
    boxes = [Box(left, 700 - 12 * row, left + 220, 710 - 12 * row) for row in range(12) for left in (50, 320)]
    halves = iter(["left", "right"])
    assert by_column(boxes, "left right", lambda left, bottom, right, top: next(halves)) == "left\nright"
    assert by_column(boxes, "left right", lambda left, bottom, right, top: "left") == ""


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
