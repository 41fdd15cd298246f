"""Automatic numbers of Word documents, as Word counts them (ECMA-376 part 1, 17.9)."""

import pytest

from durable_rlm.nodes.input.readers.office.numerals import numeral
from tests.nodes.input.readers.word_files import docx, levels, listed, numbering, p
from tests.nodes.input.reading import only


def labels(body: str, abstract: str, *numbers: str, styles: str = "") -> list[str]:
    """Return the text before `x` in each line."""
    parts = {"numbering.xml": ("numbering", numbering(abstract, *numbers)), "styles.xml": ("styles", styles)}
    return [line.removesuffix("x") for line in only("a.docx", docx(body, parts=parts)).text.splitlines()]


def many(*of: int, number: int = 1) -> str:
    """Return paragraphs of these levels."""
    return "".join(listed("x", level, number) for level in of)


def test_levels_count_and_restart_after_any_higher_one() -> None:
    assert labels(many(0, 1, 1, 2, 0, 1, 2), levels("%1.", "%1.%2", "(%3)", forms="decimal decimal lowerLetter")) == [
        "1. ", "1.1 ", "1.2 ", "(a) ", "2. ", "2.1 ", "(a) ",
    ]  # fmt: skip


def test_a_level_that_was_not_used_shows_its_start() -> None:
    assert labels(many(1, 0), levels("%1.", "%1.%2")) == ["1.1 ", "2. "]


def test_lists_of_one_abstract_list_count_together() -> None:
    assert labels(many(0, 0) + many(0, number=2) + many(0), levels("%1."), "", "") == ["1. ", "2. ", "3. ", "4. "]


def test_a_list_that_overrides_a_start_restarts_once() -> None:
    override = '<w:lvlOverride w:ilvl="0"><w:startOverride w:val="8"/></w:lvlOverride>'
    body = many(0, 0) + many(0, 0, number=2) + many(0) + many(0, number=2)
    assert labels(body, levels("%1."), "", override) == ["1. ", "2. ", "8. ", "9. ", "10. ", "11. "]


def test_a_list_may_replace_a_level() -> None:
    override = f'<w:lvlOverride w:ilvl="0">{levels("§ %1")}</w:lvlOverride>'
    assert labels(many(0) + many(0, number=2), levels("%1."), "", override) == ["1. ", "§ 2 "]


def test_a_level_restarts_after_the_levels_that_it_names() -> None:
    assert labels(many(0, 1, 1, 0, 1), levels("%1.", "%2)", more='<w:lvlRestart w:val="0"/>')) == [
        "1. ", "1) ", "2) ", "2. ", "3) ",
    ]  # fmt: skip
    assert labels(many(0, 1, 2, 1, 2, 0, 2), levels("%1.", "%2)", "%3;", more='<w:lvlRestart w:val="1"/>')) == [
        "1. ", "1) ", "1; ", "2) ", "2; ", "2. ", "1; ",
    ]  # fmt: skip


def test_legal_numbering_shows_every_level_in_digits() -> None:
    assert labels(many(0, 1), levels("%1", "%1.%2", forms="upperRoman", more="<w:isLgl/>")) == ["1 ", "1.1 "]


def test_number_zero_takes_the_number_of_a_style_away() -> None:
    style = '<w:style w:type="paragraph" w:styleId="N"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
    none = '<w:numPr><w:numId w:val="0"/></w:numPr>'
    body = p("x", style="N") + p("x", style="N", properties=none) + p("x", style="N")
    assert labels(body, levels("%1."), styles=style) == ["1. ", "", "2. "]


def test_styles_bring_their_numbers_and_levels_along() -> None:
    styles = (
        '<w:style w:type="paragraph" w:styleId="A"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
        '<w:style w:type="paragraph" w:styleId="B"><w:basedOn w:val="A"/></w:style>'
        '<w:style w:type="paragraph" w:styleId="C"><w:basedOn w:val="B"/>'
        '<w:pPr><w:numPr><w:ilvl w:val="1"/></w:numPr></w:pPr></w:style>'
    )
    body = p("x", style="A") + p("x", style="B") + p("x", style="C")
    assert labels(body, levels("%1.", "%1.%2"), styles=styles) == ["1. ", "2. ", "2.1 "]


def test_a_level_that_names_a_style_is_that_styles_level() -> None:
    style = '<w:style w:type="paragraph" w:styleId="S"><w:pPr><w:numPr><w:numId w:val="1"/></w:numPr></w:pPr></w:style>'
    named = levels("%1.") + '<w:lvl w:ilvl="1"><w:pStyle w:val="S"/><w:lvlText w:val="%1.%2"/></w:lvl>'
    assert labels(many(0) + p("x", style="S"), named, styles=style) == ["1. ", "1.1 "]


def test_a_list_defined_by_a_style_is_found() -> None:
    style = '<w:style w:type="numbering" w:styleId="L"><w:pPr><w:numPr><w:numId w:val="2"/></w:numPr></w:pPr></w:style>'
    lists = (
        '<w:abstractNum w:abstractNumId="0"><w:numStyleLink w:val="L"/></w:abstractNum>'
        f'<w:abstractNum w:abstractNumId="1"><w:styleLink w:val="L"/>{levels("Art. %1")}</w:abstractNum>'
        '<w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num><w:num w:numId="2"><w:abstractNumId w:val="1"/></w:num>'
    )
    parts = {"numbering.xml": ("numbering", lists), "styles.xml": ("styles", style)}
    assert only("a.docx", docx(many(0, 0), parts=parts)).text == "Art. 1 x\nArt. 2 x\n"


def test_styles_based_on_each_other_end() -> None:
    styles = "".join(
        f'<w:style w:type="paragraph" w:styleId="{a}"><w:basedOn w:val="{b}"/></w:style>' for a, b in ("AB", "BA")
    )
    assert labels(p("x", style="A"), levels("%1."), styles=styles) == [""]


def test_a_paragraph_that_is_hidden_with_its_end_is_not_counted() -> None:
    number = '<w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr>'
    hidden = "<w:rPr><w:vanish/></w:rPr>"
    body = many(0) + p(f"<w:r>{hidden}<w:t>x</w:t></w:r>", properties=number + hidden) + many(0)
    assert labels(body, levels("%1.")) == ["1. ", "[hidden: x]", "2. "]


def test_bullets_are_dashes_indented_by_level() -> None:
    assert labels(many(0, 1), levels("•", "o", forms="bullet")) == ["- ", "  - "]


def test_text_boxes_and_notes_count_on_their_own() -> None:
    box = f"<w:r><w:pict><v:textbox><w:txbxContent>{many(0)}</w:txbxContent></v:textbox></w:pict></w:r>"
    assert labels(many(0) + p("y", box) + many(0), levels("%1.")) == ["1. ", "y", "[text box: 1. x]", "2. "]


def test_a_custom_format_shows_its_width() -> None:
    level = '<w:lvl w:ilvl="0"><w:numFmt w:val="custom" w:format="001, 002, 003, ..."/><w:lvlText w:val="%1"/></w:lvl>'
    assert labels(many(0, 0), level) == ["001 ", "002 "]


@pytest.mark.parametrize(
    ("form", "number", "shown"),
    [
        ("decimal", 12, "12"),
        ("decimalZero", 7, "07"),
        ("lowerLetter", 27, "aa"),
        ("upperLetter", 26, "Z"),
        ("lowerRoman", 1994, "mcmxciv"),
        ("upperRoman", 4, "IV"),
        ("ordinal", 2, "2nd"),
        ("ordinal", 112, "112th"),
        ("cardinalText", 121, "One hundred twenty-one"),
        ("ordinalText", 20, "Twentieth"),
        ("ordinalText", 42, "Forty-second"),
        ("russianLower", 3, "в"),
        ("chineseCounting", 21, "二十一"),
        ("decimalEnclosedCircle", 3, "③"),
        ("none", 3, ""),
        ("lowerLetter", 0, "0"),
        ("lowerLetter", 10**9, "1000000000"),
        ("lowerRoman", 10**9, "1000000000"),
        ("unknown", 3, "3"),
    ],
)
def test_numerals(form: str, number: int, shown: str) -> None:
    assert numeral(number, form) == shown
