"""Pages of HTML: every word a browser shows, and those it hides, as readable text."""

import html
import time
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Unusable
from durable_rlm.nodes.input.readers.web.html import page_of, text_of_html
from tests.nodes.input.corpus.html import samples
from tests.nodes.input.corpus.silent import silently_lost
from tests.nodes.input.reading import only, read


def _body(source: str) -> str:
    return text_of_html(source).rstrip("\n")


@pytest.mark.parametrize("seed", range(5))
def test_no_part_of_a_page_is_lost_silently(seed: int) -> None:
    for one in samples(Random(seed)):
        assert silently_lost(one, read(one.name, one.data)) == [], one.name


def test_headings_are_marked_and_are_sections() -> None:
    draft = only("a.html", b"<title>T</title><h1>One <i>two</i></h1><p>x<h3>Deep</h3>y<h2 hidden>Gone</h2>")
    assert draft.text == "T\n\n# One two\n\nx\n\n### Deep\n\ny\n\n## [hidden: Gone]\n"
    sections = draft.places["sections"]
    assert sections["label"] == ["One two", "Deep", "Gone"]
    assert sections["level"] == [1, 3, 2]
    assert [draft.text[at:].split("\n")[0] for at in sections["at"]] == ["# One two", "### Deep", "## [hidden: Gone]"]


def test_sections_in_cells_and_quotations_begin_where_they_are_marked() -> None:
    cell = "<p>word</p>" * 10
    draft = only("a.html", f"<table><tr><td><h1>A</h1>{cell}<td><blockquote>q<h2>B</h2></blockquote></table>".encode())
    assert [draft.text[at:].split("\n")[0] for at in draft.places["sections"]["at"]] == ["# A", "## B"]


def test_lists_keep_their_numbers_and_nesting() -> None:
    source = "<ol start=3><li>a<li>b<ul><li>c</ul><li value=9>d</ol><ol type=I><li>e</ol><ol type=a><li>f</ol>"
    assert _body(source) == "3. a\n4. b\n  - c\n9. d\n\nI. e\n\na. f"


def test_table_rows_are_lines_of_cells_between_tabs() -> None:
    source = "<table><tr><th>A<th>B<th>C<tr><td rowspan=2>1<td colspan=2>2<tr><td>3<td><p>4</p><p>5</p></table>after"
    assert _body(source) == "A\tB\tC\n1\t2\n\t3\t4 5\n\nafter"


def test_a_table_that_arranges_a_page_becomes_paragraphs() -> None:
    text = "<p>word word</p>" * 12
    assert _body(f"<table><tr><td>{text}<td>side</table>").count("\t") == 0
    assert _body('<table role="presentation"><tr><td>a<td>b</table>') == "a\nb"


def test_the_target_of_a_link_is_shown_once_and_not_twice_in_a_row() -> None:
    source = '<a href="https://x.org/a">here</a> <a href="https://x.org/a">here</a> <a href="https://y.org/">y.org</a>'
    assert _body(source) == "here (https://x.org/a) here y.org"
    assert len(_body(f'<a href="https://{"x" * 9_000}">a</a>')) < 600


def test_hidden_and_struck_words_are_marked() -> None:
    assert _body("a <span hidden>b <i>c</i></span> <s>d</s> <del></del>e") == "a [hidden: b c] [struck: d] e"
    assert _body("<table><tr hidden><td>a<td>b<tr><td>c<td>d</table>") == "[hidden: a\tb]\nc\td"


def test_raised_digits_do_not_become_part_of_a_number() -> None:
    assert _body("10<sup>6</sup> m<sup>2</sup> 1<sup>st</sup> H<sub>2</sub>O") == "10^6 m^2 1st H2O"


def test_links_beside_each_other_are_several_words() -> None:
    assert _body('<a href="#">Home</a><a href="#">About</a> f<b>at</b><i>her</i>') == "Home About father"


def test_preformatted_text_keeps_its_lines() -> None:
    assert _body("<pre>\n a\n   b  c\n\n d</pre>e") == " a\n   b  c\n\n d\n\ne"


def test_quotations_are_marked_line_by_line() -> None:
    assert _body("<p>I say<blockquote>you said<br>twice<blockquote>she</blockquote></blockquote>") == (
        "I say\n\n> you said\n> twice\n\n> > she"
    )


def test_form_values_are_shown() -> None:
    source = "<input type=checkbox checked>Yes <input type=radio>No <input type=password value=x><input value=Go>"
    assert _body(source) == "[x] Yes [ ] No [Go]"


@pytest.mark.parametrize(
    ("data", "text", "encoding"),
    [
        (b'<meta charset="windows-1251"><body>' + "Привет".encode("cp1251"), "Привет\n", "Windows-1251"),
        (b'<meta http-equiv="Content-Type" content="text/html; charset=gb2312">\xba\xcf\xcd\xac', "合同\n", "GB18030"),
        (b'<meta charset="iso-8859-1">' + "„q“".encode("cp1252"), "„q“\n", "Windows-1252"),
        (b'<meta charset="iso-8859-1">' + "naïve".encode(), "naïve\n", None),
        (b'\xef\xbb\xbf<meta charset="windows-1251">' + "naïve".encode(), "naïve\n", None),
        (b'<meta charset="utf-16">ok', "ok\n", None),
        (b'<meta charset="zlib">ok', "ok\n", None),
        ("<p>wide €".encode("utf-16"), "wide €\n", None),
    ],
)
def test_the_declared_encoding_is_used(data: bytes, text: str, encoding: str | None) -> None:
    draft = only("a.html", data)
    assert draft.text == text
    if encoding:
        assert draft.meta["encoding"] == encoding


def test_the_users_encoding_comes_first() -> None:
    assert only("a.html", b'<meta charset="utf-8">\xcf', encoding="cp1251").text == "П\n"


def test_metadata_is_shown_and_kept() -> None:
    draft = only("a.html", b'<html lang="de"><title>T</title><meta name="author" content="A. B."><body><p>x')
    assert draft.meta["title"] == "T"
    assert draft.meta["language"] == "de"
    assert draft.text == "T\nAuthor: A. B.\n\nx\n"


@pytest.mark.parametrize(
    "unit",
    [
        *("<div>", "<table><tr><td>", "<ul><li>", "<b><i>", "<h1>", "<p>", "<!--", "<a b='", '<a b="', "<a b=", "<q>"),
        *("<script>", "<div hidden>", "</p>", "<", "&#9", "<![CDATA[", "<blockquote>", "<td colspan=200 rowspan=200>"),
    ],
)
def test_hostile_pages_take_linear_time(unit: str) -> None:
    started = time.process_time()
    text_of_html(unit * 10_000 + "x" + "</b></i></div></table>" * 10_000)
    assert time.process_time() - started < 5


def test_a_wide_cell_does_not_multiply() -> None:
    started = time.process_time()
    text_of_html("<table>" + "<td colspan=200>x" * 20_000)
    assert time.process_time() - started < 3


def test_pages_in_pages_end() -> None:
    source = "<p>deepest</p>"
    for _ in range(6):
        source = f'<iframe srcdoc="{html.escape(source)}"></iframe>'
    page = page_of(source)
    assert "deepest" not in page.text
    assert page.unshown == {"embedded page": 1}


def test_a_page_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.nodes.input.readers.web.html.LARGEST", 10)
    with pytest.raises(Unusable, match="too large"):
        only("a.html", b"<p>words and words")


def test_a_number_of_thousands_of_digits_is_text() -> None:
    assert "&#99" in _body("&#" + "9" * 5_000 + "; x")


def test_a_page_that_breaks_off_keeps_its_words() -> None:
    assert _body("<p>one <b>two</b> <a href='x three") == "one two <a href='x three"
    assert _body("<p>one</p two") == "one</p two"
    assert _body("one < two </ three <4") == "one < two </ three <4"


def test_a_page_without_words_is_said_to_be_one() -> None:
    with pytest.raises(Unusable, match="without any words"):
        only("a.html", b"<html><body><div></div></body></html>")
