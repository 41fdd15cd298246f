"""RTF: every word, marked where it is struck, hidden, inserted, or not of the body."""

import time

import pytest

from durable_rlm.nodes.input.draft import Unusable

from ..reading import only, read


def _rtf(
    body: str,
    head: str = r"\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}{\f2\fcharset128 Gothic;}}",
) -> bytes:
    return f"{{\\rtf1{head}{body}}}".encode("latin-1")


def _text(body: str) -> str:
    return only("a.rtf", _rtf(body)).text


def test_paragraphs_are_lines_and_cells_are_separated_by_tabs() -> None:
    table = r"\trowd\intbl a\par b\cell c\cell\row\trowd\intbl\cell d\cell\row\pard after\par"
    assert _text(r"\pard one {\b two}\line three\par" + table) == "one two\nthree\na b\tc\n\td\nafter\n"


def test_notes_stand_behind_their_paragraph_and_running_heads_once() -> None:
    body = (
        r"{\header Page \chpgn  of it}{\headerf Page \chpgn  of it}{\footer Foot}"
        r"body{\footnote {\super\chftn} note words}, more{\footnote\ftnalt end words}\par next\par"
    )
    assert _text(body) == (
        "[header: Page of it]\n[footer: Foot]\nbody[^1], more[^e1]\n[^1]: note words\n[^e1]: end words\nnext\n"
    )


def test_comments_say_who_and_when() -> None:
    packed = 30 | 10 << 6 | 1 << 11 | 6 << 16 | (2026 - 1900) << 20
    comment = rf"{{\*\atnid AB}}{{\*\atnauthor Ann B}}\chatn{{\*\annotation{{\*\atndate {packed}}}comment words}}"
    assert (
        _text(rf"after{comment} it\par")
        == "after[comment 1] it\n[comment 1 by Ann B, 2026-06-01T10:30]: comment words\n"
    )


def test_struck_hidden_and_changed_words_are_marked() -> None:
    packed = 1 << 11 | 6 << 16 | (2026 - 1900) << 20
    body = (
        r"{\*\revtbl{Unknown;}{Ann;}}price {\strike 900} {\v secret} "
        rf"{{\deleted\revauthdel1\revdttmdel{packed} old}}{{\revised\revauth1 new}}\v h\v0  end\par"
    )
    assert (
        _text(body) == "price [struck: 900] [hidden: secret] [-old- by Ann, 2026-06-01][+new+ by Ann][hidden: h] end\n"
    )


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (r"\'e4\'80", "ä€"),
        (r"\f1\'cf\'f0", "Пр"),
        (r"\f2\'83A\'83\'7b", "アボ"),
        (r"{\f1\'cf}\'e4", "Пä"),
        (r"\u8364 ?\u-10179 ?\u-8704 ?x", "€😀x"),
        (r"\uc2\u26085 ab\uc0\u26412 \uc1 c", "日本c"),
        (r"{\uc0\u8364}\u8364\'80d", "€€d"),
        (r"\u8364\par d", "€\nd"),
        (r"\{a\}\\\~b\_c\-d\emdash\lquote e", "{a}\\\u00a0b-cd—‘e"),
        (r"a\bin4 {\}{b", "ab"),
        (r"{\upr{x}{\*\ud{\u8364 ?}}}", "€"),
    ],
)
def test_characters_are_decoded_by_their_font(body: str, text: str) -> None:
    assert _text(body) == text + "\n"


def test_lists_and_results_of_fields_are_shown() -> None:
    link = r'{\field{\*\fldinst{HYPERLINK "https://example.com/x"}}{\fldrslt{the offer}}}'
    empty = r"{\field{\*\fldinst QUOTE x}{\fldrslt }}"
    body = rf"{{\listtext\pard 1.\tab}}First\par{{\*\pn\pnlvlbody{{\pntxta .}}}}{link}, {empty}\par"
    draft = only("a.rtf", _rtf(body))
    assert draft.text == "1.\tFirst\nthe offer (https://example.com/x), \n"
    assert draft.all_losses() == ["1 empty field not shown"]


def test_pictures_and_objects_are_counted_and_text_boxes_are_shown() -> None:
    body = (
        r"{\*\shppict{\pict{\*\picprop{\sp{\sn wzDescription}{\sv a chart}}}\pngblip 89504e47}}{\nonshppict{\pict 00}}"
        r"{\object\objemb{\*\objclass X}{\*\objdata 0102}{\result shown}}"
        r"{\shp{\*\shpinst{\sp{\sn fLine}{\sv 0}}{\shptxt box words\par}}{\shprslt{\*\do\dptxbxtext box words}}}\par"
    )
    draft = only("a.rtf", _rtf(body))
    assert draft.text == "shown\n[image: a chart]\n[text box: box words]\n"
    assert draft.all_losses() == ["1 picture not shown", "1 embedded object not shown"]


def test_facts_go_into_the_metadata() -> None:
    body = r"{\info{\title The \'e4 title}{\author Ann}{\doccomm words}{\creatim\yr2026}}"
    body += r"{\*\userprops{\propname Case}\proptype30{\staticval 47}}x"
    assert only("a.rtf", _rtf(body)).meta == {
        "kind": "RTF",
        "title": "The ä title",
        "author": "Ann",
        "comments": "words",
        "properties": {"Case": "47"},
    }


def test_headings_are_sections() -> None:
    styles = r"{\stylesheet{\s0 Normal;}{\s1\b heading 1;}{\*\cs10 Default Paragraph Font;}{\s5\outlinelevel2 Own;}}"
    draft = only("a.rtf", _rtf(styles + r"\pard\s1 One\par\pard text\par\pard\s5 Two\par"))
    assert draft.places["sections"] == {"at": [0, 9], "label": ["One", "Two"], "level": [1, 3]}
    assert not draft.all_losses()


def test_settings_are_skipped_and_unknown_words_are_counted() -> None:
    draft = only("a.rtf", _rtf(r"{\*\rsidtbl \rsid1}{\colortbl;\red0;}{\*\strange some words here}{\odd shown}\par"))
    assert draft.text == "shown\n"
    assert draft.all_losses() == ["1 part of an unknown kind not shown"]


def test_unbalanced_braces_are_tolerated() -> None:
    draft = only("a.rtf", rb"{\rtf1 one}} two{\b three")
    assert draft.text == "one two" + "three\n"
    assert draft.all_losses() == ["the file is cut off: its last groups have no end"]


def test_a_file_that_is_not_rtf_is_damaged() -> None:
    with pytest.raises(Unusable, match="a damaged RTF"):
        read("a.rtf", b"plain words")


@pytest.mark.parametrize(
    "body",
    [
        "{" * 200_000,
        "{\\footnote x" * 20_000,
        r"{\*\x a" * 50_000,
        r"\u1" * 100_000,
        "}" * 200_000,
        r"{\v a}b" * 30_000,
        r"{\field{\*\fldinst x}" * 20_000,
    ],
)
def test_hostile_files_take_linear_time(body: str) -> None:
    began = time.process_time()
    assert only("a.rtf", rb"{\rtf1 word " + body.encode()).text.startswith("word")
    assert time.process_time() - began < 5
