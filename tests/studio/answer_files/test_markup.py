"""Markdown and HTML: every character of a cell is shown, and none of it formats, links, loads or runs."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from durable_rlm.state.answer_tables import Column
from durable_rlm.studio.answer_files.html import write_html, write_html_value
from durable_rlm.studio.answer_files.markdown import value_block, write_markdown
from durable_rlm.studio.answer_files.tables import RowsTable
from tests.studio.answer_files.odd_tables import FORMULAS, ODD, TEXTS, of_texts

TAGS = {"html", "head", "meta", "title", "style", "body", "table", "thead", "tbody", "tr", "th", "td", "p", "pre"}


class Page(HTMLParser):
    """The texts of a page's cells and paragraphs, and the tags that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.add(tag)
        if tag in ("td", "th", "p", "pre"):
            self.texts.append("")
        elif tag == "br" and self.texts:
            self.texts[-1] += "\n"

    def handle_data(self, data: str) -> None:
        if self.texts:
            self.texts[-1] += data

    def handle_endtag(self, tag: str) -> None:
        if tag in ("table", "body"):
            self.texts.append("")


def shown(text: str) -> str:
    return " ".join(text.split())


def test_every_text_is_shown_in_html_and_nothing_of_it_is_markup(tmp_path: Path) -> None:
    write_html(path := tmp_path / "a", of_texts([*TEXTS, *FORMULAS]))
    page = Page(path.read_text(encoding="utf-8"))
    expected = ["text", *TEXTS, *FORMULAS]
    plain = [shown(text.replace("\x01", "\ufffd").replace("\x1b", "\ufffd")) for text in expected]
    assert [shown(text) for text in page.texts[: len(plain)]] == plain
    assert page.tags <= TAGS


def test_a_text_is_paragraphs_and_a_value_json_in_html(tmp_path: Path) -> None:
    write_html_value(path := tmp_path / "a", "One <b>.\nStill one.\n\n\nTwo & more.\n")
    page = Page(path.read_text())
    assert [one.rstrip("\n") for one in page.texts if one.strip()] == ["One <b>.\nStill one.", "Two & more."]
    write_html_value(path, {"a": "</pre><script>"})
    page = Page(path.read_text())
    assert page.tags <= TAGS and '"a": "</pre><script>"' in "".join(page.texts)


def test_a_page_may_load_and_run_nothing(tmp_path: Path) -> None:
    write_html(path := tmp_path / "a", ODD)
    text = path.read_text()
    assert "default-src 'none'" in text and text.startswith("<!DOCTYPE html>") and text.endswith("</html>\n")


def test_a_markdown_table_shows_every_text_as_it_is(tmp_path: Path) -> None:
    texts = [text for text in TEXTS if "\x01" not in text]
    write_markdown(path := tmp_path / "a", of_texts(texts, name="a|b"))
    rendered = Page(MarkdownIt("commonmark").enable("table").render(path.read_text(encoding="utf-8")))
    assert rendered.tags <= TAGS | {"br"}
    assert [shown(text).replace(" |", "|") for text in rendered.texts if text.strip()] == [
        shown(text).replace(" |", "|") for text in ["a|b", *texts] if text
    ]


@pytest.mark.parametrize(
    "mark", ["[a](http://x.y)", "![](http://x.y/z.png)", "<http://x.y>", "a *b*", "<img src=x>", "| |", "`x`", "a\n\nb"]
)
def test_no_cell_of_a_markdown_table_formats_or_links(tmp_path: Path, mark: str) -> None:
    write_markdown(path := tmp_path / "a", of_texts([mark]))
    parser = MarkdownIt("commonmark").enable("table")
    page = Page(parser.render(path.read_text()))
    assert page.tags <= {"table", "thead", "tbody", "tr", "th", "td", "br"}


def test_numbers_stand_to_the_right_and_citations_stay_in_markdown(tmp_path: Path) -> None:
    table = RowsTable([Column("n", "integer"), Column("t", "text")], [[-1, "so [^3] it says [^x]"], [None, None]])
    write_markdown(path := tmp_path / "a", table)
    assert path.read_text() == "| n | t |\n| ---: | --- |\n| -1 | so [^3] it says \\[^x\\] |\n|  |  |\n"


def test_a_value_in_markdown_is_a_block_that_nothing_closes() -> None:
    assert value_block({"a": "````\n"}) == '`````json\n{\n  "a": "````\\n"\n}\n`````\n'


def test_a_table_without_columns_says_so_in_markdown(tmp_path: Path) -> None:
    write_markdown(path := tmp_path / "a", RowsTable([], []))
    assert path.read_text() == "(no rows)\n"
