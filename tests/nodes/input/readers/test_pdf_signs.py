"""Signs of fonts become the characters they stand for; those that no font names are counted."""

import io
from collections.abc import Mapping

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.pens.t2CharStringPen import T2CharStringPen

from tests.nodes.input.pdf_files import FONT, Pdf
from tests.nodes.input.reading import only


def mapped_font(pdf: Pdf, signs: Mapping[int, str]) -> str:
    """Return a font whose codes stand for the signs."""
    lines = "".join(
        f"<{code:04X}> <{sign.encode('utf-16-be', 'surrogatepass').hex()}>\n" for code, sign in signs.items()
    )
    table = pdf.stream(
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def "
        b"1 begincodespacerange <0000> <FFFF> endcodespacerange "
        + f"{len(signs)} beginbfchar\n{lines}endbfchar endcmap end end".encode()
    )
    described = "<</Type/FontDescriptor/FontName/Arial/Flags 4/FontBBox[0 0 500 500]/ItalicAngle 0/Ascent 500/Descent 0"
    return (
        "<</Type/Font/Subtype/Type0/BaseFont/Arial/Encoding/Identity-H/DescendantFonts[<</Type/Font"
        "/Subtype/CIDFontType2/BaseFont/Arial/CIDSystemInfo<</Registry(Adobe)/Ordering(Identity)/Supplement 0>>"
        f"/DW 500/FontDescriptor {described}/CapHeight 500/StemV 80>>>>]/ToUnicode {table} 0 R>>"
    )


def shown(text: str) -> bytes:
    """Return a file that shows the text, sign by sign from left to right."""
    pdf = Pdf()
    codes = {sign: code for code, sign in enumerate(dict.fromkeys(text), 1)}
    pdf.fonts = {"F": FONT, "U": mapped_font(pdf, {code: sign for sign, code in codes.items()})}
    digits = "".join(f"{codes[sign]:04X}" for sign in text)
    pdf.page(f"BT /U 12 Tf 50 700 Td <{digits}> Tj ET")
    return pdf.bytes()


def cff_font(pdf: Pdf, glyphs: Mapping[int, str]) -> str:
    """Return an embedded CFF font whose encoding names a glyph for each code, as TeX's symbol fonts do."""
    names = [".notdef", *glyphs.values()]
    pen = T2CharStringPen(500, None)
    pen.moveTo((0, 0))
    pen.lineTo((400, 0))
    pen.lineTo((400, 400))
    pen.closePath()
    outline = pen.getCharString()
    builder = FontBuilder(1000, isTTF=False)
    builder.setupGlyphOrder(names)
    builder.setupCharacterMap({})
    builder.setupCFF("CMSY10", {"FullName": "CMSY10"}, dict.fromkeys(names, outline), {})
    builder.setupHorizontalMetrics(dict.fromkeys(names, (500, 0)))
    builder.setupHorizontalHeader()
    builder.setupPost()
    whole = io.BytesIO()
    builder.font.save(whole)
    program = pdf.stream(builder.font.getTableData("CFF "), "/Subtype/Type1C")
    differences = " ".join(f"{code} /{name}" for code, name in glyphs.items())
    return (
        f"<</Type/Font/Subtype/Type1/BaseFont/CMSY10/FirstChar 0/LastChar 255/Widths[{'500 ' * 256}]"
        f"/Encoding<</Type/Encoding/Differences[{differences}]>>"
        f"/FontDescriptor<</Type/FontDescriptor/FontName/CMSY10/Flags 4/FontBBox[0 0 1000 1000]/ItalicAngle 0"
        f"/Ascent 500/Descent 0/CapHeight 500/StemV 80/FontFile3 {program} 0 R>>>>"
    )


def test_symbols_of_an_embedded_cff_font_are_the_mathematical_signs() -> None:
    pdf = Pdf()
    symbols = {8: "universal", 9: "existential", 12: "beta", 91: "union", 92: "intersection", 50: "element"}
    pdf.fonts = {"F": FONT, "S": cff_font(pdf, symbols)}
    pdf.page("BT /F 12 Tf 50 700 Td (for all ) Tj /S 12 Tf <08095B5C320C> Tj /F 12 Tf ( end) Tj ET")
    draft = only("symbols.pdf", pdf.bytes())
    assert draft.text == "for all ∀∃∪∩∈β end\n"
    assert draft.all_losses() == []


def test_a_form_feed_inside_a_page_is_a_sign_that_its_font_does_not_name() -> None:
    pdf = Pdf()
    for number in (1, 2, 3):
        pdf.page(f"BT /F 12 Tf 20 150 Td (Clause {number} \\014\\014 end) Tj ET")
    draft = only("formula.pdf", pdf.bytes())
    assert draft.text == "".join(f"Clause {number} \ufffd\ufffd end\n" for number in (1, 2, 3))
    assert draft.places["pages"]["at"] == [0, 16, 32]
    assert draft.all_losses() == ["6 characters stand for a sign that a font does not name"]


@pytest.mark.parametrize(
    ("signs", "text"),
    [
        ("o\ufb03ce \ufb01ne \ufb02oor", "office fine floor\n"),
        ("hi \U0001f600 and \U00020000", "hi \U0001f600 and \U00020000\n"),
        ("数据 処理 데이터", "数据 処理 데이터\n"),
        ("a\x00b", "ab\n"),
    ],
    ids=["ligatures", "beyond-16-bits", "cjk", "nul"],
)
def test_signs_are_the_characters_that_their_font_maps_them_to(signs: str, text: str) -> None:
    draft = only("signs.pdf", shown(signs))
    assert draft.text == text
    assert draft.all_losses() == []


def test_private_characters_are_given_and_counted() -> None:
    draft = only("private.pdf", shown("a \ue001\uf0b7 b"))
    assert draft.text == "a \ue001\uf0b7 b\n"
    assert draft.all_losses() == ["2 characters stand for a sign that a font does not name"]


@pytest.mark.parametrize("logical", ["שלום עולם", "مرحبا بالعالم"], ids=["hebrew", "arabic"])
def test_right_to_left_text_is_in_the_order_in_which_it_is_read(logical: str) -> None:
    # A page shows its signs from left to right: the last letter of a line first.
    assert only("page.pdf", shown(logical[::-1])).text == logical + "\n"


@pytest.mark.parametrize("signs", ["数据处理", "שלום עולם", "latin and 数据"])
def test_signs_of_fonts_that_are_not_in_the_file_are_read_where_each_stands_alone(signs: str) -> None:
    pdf = Pdf()
    codes = {sign: code for code, sign in enumerate(dict.fromkeys(signs), 1)}
    pdf.fonts = {"U": mapped_font(pdf, {code: sign for sign, code in codes.items()})}
    placed = " ".join(f"1 0 0 1 {50 + 6 * at} 700 Tm <{codes[sign]:04X}> Tj" for at, sign in enumerate(signs))
    pdf.page(f"BT /U 12 Tf {placed} ET")
    text = only("placed.pdf", pdf.bytes()).text
    assert sorted(text.replace(" ", "")) == sorted(signs.replace(" ", "") + "\n")


@pytest.mark.parametrize(
    "logical",
    ["המסמך הזה חשוב מאוד לכולם", "المدرسة الكبيرة في المدينة", "price 12 שלום 34"],
)
def test_right_to_left_text_that_a_file_has_in_either_order_is_turned_into_the_order_of_reading(logical: str) -> None:
    assert only("page.pdf", shown(logical)).text == logical + "\n"


def test_a_hyphen_at_the_end_of_a_line_stays_with_the_line_end() -> None:
    pdf = Pdf()
    pdf.page("BT /F 9 Tf 50 500 Td (an exam-) Tj 0 -12 Td (ple of 10-) Tj 0 -12 Td (20 well-known words) Tj ET")
    assert only("hyphen.pdf", pdf.bytes()).text == "an exam-\nple of 10-\n20 well-known words\n"
