"""Code as HTML: all of it is there, coloured in time that grows with its length alone."""

import html
import re
import time

import pytest

from durable_rlm.studio.page.python_code import LONGEST, code_lines

_CODE = '''import os
def f(x, *, y=1.5e3):
    """A text
    of two lines"""
    return f"{x!r}" + rb'a\\'b' if x is not None else 'open  # no comment
# a comment \u202e with a mark
class A: pass
print("""unclosed \\'''


def text_of(lines: "tuple[str, ...]") -> str:
    return html.unescape(re.sub("<[^>]*>", "", "\n".join(lines)))


def test_code_is_shown_as_it_is_with_its_words_coloured() -> None:
    lines = code_lines(_CODE)
    assert text_of(lines) == _CODE.replace("\u202e", "\\u202e")
    found = re.findall('<span class="hl-([a-z0-9]+)">([^<]*)', "\n".join(lines))
    coloured = {html.unescape(text): name for name, text in found}
    expected = {"import": "kn", "def": "k", "f": "nf", "1.5e3": "mi", "A": "nc", "None": "kc", "not": "ow"}
    assert {text: coloured[text] for text in expected} == expected
    texts = ('    of two lines"""', "'open  # no comment", '"""unclosed \\')
    assert [coloured[one] for one in texts] == ["s1"] * 3


@pytest.mark.parametrize(
    "part", [" \n", "\\N{", "'{a[", '"""', "'''a", 'f"{', "1_1", "(", "\u202e", '"\\', "def ", "\n\n"]
)
def test_hostile_code_takes_no_longer_than_other_code(part: str) -> None:
    source = "'" * part.startswith("\\") + part * (LONGEST // len(part))
    before = time.process_time()
    lines = code_lines(source)
    assert time.process_time() - before < 15
    assert lines


def test_a_long_token_is_shown_whole_and_the_end_of_long_code_says_how_much_is_missing() -> None:
    assert len(code_lines(f"'{'a' * 90_000}'; evil()")[0]) > 90_000
    source = "x = 1\n" * 50_000
    assert "100,000 more characters" in code_lines(source)[-1]
    assert text_of(code_lines(source, len(source))) == source.rstrip("\n")
