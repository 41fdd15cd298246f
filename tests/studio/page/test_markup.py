"""Markdown of models as HTML: nothing that it says is hidden, whichever way it was written."""

import pytest

from durable_rlm.studio.page.markup import LONGEST, markdown
from durable_rlm.studio.terminal.escape import HOSTILE


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u202eb", "a\\u202eb"),
        ("a&#x202e;b", "a\\u202eb"),
        ("a&#8203;&ZeroWidthSpace;&lrm;b", "a\\u200b\\u200b\\u200eb"),
        ('[x](https://e.com "t&#x202e;")', 'title="t\\u202e"'),
        ("<https://e.com/%E2%80%AEx>", ">https://e.com/%E2%80%AEx</a>"),
        ("<https://xn--80ak6aa92e.com/>", ">https://xn--80ak6aa92e.com/</a>"),
        ("```&#x202e;\ncode\n```", "<pre><code>code"),
        ("`&#x202e;`", "<code>&amp;#x202e;</code>"),
    ],
)
def test_characters_that_hide_or_reorder_are_shown_by_their_numbers(text: str, shown: str) -> None:
    html = markdown(text)
    assert shown in html
    assert not HOSTILE.search(html.replace("\n", ""))


def test_definitions_of_links_are_shown_as_the_text_that_they_are() -> None:
    html = markdown("Yes.\n\n[//]: # (but no)\n\n[x]: https://e.com 'nor this'\n")
    assert "but no" in html and "nor this" in html


def test_the_end_of_a_long_text_says_how_much_is_missing() -> None:
    assert "… 7 more characters" in markdown("a" * (LONGEST + 7))
