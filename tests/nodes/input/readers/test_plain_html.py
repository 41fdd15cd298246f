"""HTML as text by the standard library alone."""

import time

import pytest

from durable_rlm.nodes.input.readers.plain_html import text_of_html


def test_blocks_are_lines_and_cells_are_separated_by_tabs() -> None:
    page = "<h1>Offer</h1><p>We <b>acc</b>ept\n it.<br>Yes<table><tr><td>a<p>b</p></td><td>c</td></tr></table><li>x"
    assert text_of_html(page) == "Offer\n\nWe accept it.\nYes\n\na b\tc\n\n- x\n"


def test_words_that_a_browser_does_not_draw_are_marked() -> None:
    page = '<del>900</del> 500 <span style="display: none">pre<span>header</span></span> <img alt="a chart" src=x>'
    assert text_of_html(page) == "[struck: 900] 500 [hidden: preheader] [image: a chart]\n"


def test_scripts_styles_and_comments_are_left_out() -> None:
    assert text_of_html("a<script>if (1 < 2) x()</script><style>p {}</style><!-- no -->b<!DOCTYPE html>") == "ab\n"


def test_characters_by_name_and_loose_signs_are_text() -> None:
    assert text_of_html("5 &lt; 6 &amp; 3 < 4 &#x20ac; <!-- open") == "5 < 6 & 3 < 4 € <!-- open\n"


def test_preformatted_text_keeps_its_lines() -> None:
    assert text_of_html("<pre>a\n  b</pre>") == "a\n  b\n"


@pytest.mark.parametrize(
    "piece", ["<!--", '<a "', "<a '>'\"", "<div>", "<", "<style>", "<s><i hidden>", "<a b=\"'>", "<a b ", "&#9"]
)
def test_hostile_pages_take_linear_time(piece: str) -> None:
    began = time.process_time()
    text_of_html(piece * 30_000)
    assert time.process_time() - began < 2
