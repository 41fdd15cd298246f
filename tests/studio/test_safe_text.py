"""Text of models and documents on a terminal: escaped, so that it cannot act on it."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.studio.terminal.escape import safe, safe_json, safe_line, safe_lines
from tests.studio.conftest import HOSTILE

# Arabic signs that Unicode calls format characters, though they are visible and stay unescaped.
VISIBLE = set("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u0890\u0891")


def hostile(text: str) -> list[str]:
    """Return the characters of `text` that a terminal would act upon, or not show."""
    unseen = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return [one for one in text if unicodedata.category(one) in unseen and one not in VISIBLE | {"\n", "\t"}]


def test_every_control_and_format_character_is_escaped() -> None:
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    assert hostile(safe(everything)) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_shown_as_escapes(text: str) -> None:
    for shown in (safe(text), safe_line(text), safe_lines(text, 5), safe_json({"text": text, text: 1})):
        assert hostile(shown) == []
        shown.encode()
    assert "\\" in safe(text)


@given(st.text(alphabet=st.characters()))
def test_any_text_is_escaped_to_safe_characters(text: str) -> None:
    assert hostile(safe(text)) == [] and hostile(safe_line(text, 20)) == [] and hostile(safe_lines(text, 3, 10)) == []


@given(st.text(alphabet=st.characters()))
def test_escaped_json_has_the_same_meaning(text: str) -> None:
    value = {"a": [text], text: None}
    assert json.loads(safe_json(value)) == value


@pytest.mark.parametrize(
    "text", ["plain", "tab\there\nnext", "Grüße 漢字 🎉 ⅷ", "العربية", "[bold]not markup[/bold]", ""]
)
def test_ordinary_text_is_not_changed(text: str) -> None:
    assert safe(text) == text


def test_windows_line_ends_become_newlines_and_a_lone_carriage_return_is_visible() -> None:
    assert safe("a\r\nb\rc") == "a\nb\\x0dc"


def test_a_clipped_line_is_marked() -> None:
    assert safe_line("  one\n two\t three ") == "one two three"
    assert safe_line("abcdefgh", 8) == "abcdefgh"
    assert safe_line("abcdefghi", 8) == "abcdefg…"
    assert len(safe_line("x" * 10_000_000, 40)) == 40
    assert len(safe_line("\u202e" * 100, 40)) == 40


def test_omitted_lines_are_counted() -> None:
    assert safe_lines("a\nb\nc\nd\n", 2) == "a\nb\n… 2 more lines"
    assert safe_lines("a\nb\nc", 2) == "a\nb\n… 1 more line"
    assert safe_lines("abcdef", 2, 4) == "abc…"
    assert safe_lines("x" * 100_000, 2, 10) == "xxxxxxxxx…\n…"
