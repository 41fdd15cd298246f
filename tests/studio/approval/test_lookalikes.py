"""Names that read as other names are marked: of mixed scripts, in another form, or made of letters that imitate."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.studio.approval.lookalikes import lookalike_warning, lookalikes
from durable_rlm.studio.approval.render import whole_screen
from tests.studio.approval.requests_shown import code, pending

CYRILLIC_A, CYRILLIC_O = "\u0430", "\u043e"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (f"p{CYRILLIC_A}ssword", "mixes Cyrillic and Latin"),
        (f"{CYRILLIC_O}\u0440\u0435n_file", "mixes Cyrillic and Latin"),
        ("\u03bfpen", "mixes Greek and Latin"),
        ("\u0441\u043e\u0441\u043e", "looks like coco"),
        ("\uff57\uff52\uff49\uff54\uff45", "read as write"),
        ("\U0001d68e\U0001d6a1\U0001d68e\U0001d68c", "read as exec"),
        ("x\u0251\u05d0", "mixes Hebrew and Latin"),
    ],
)
@pytest.mark.parametrize(
    "form", ["{} = 1", "x.{}(1)", "def {}(): pass", "print(f'{{{}}}')", "this is ' not Python: {}"]
)
def test_a_name_that_may_be_taken_for_another_is_found(name: str, why: str, form: str) -> None:
    source = "y = 1\n" + form.format(name)
    [found] = lookalikes(source)
    assert (found.name, found.line, found.why) == (name, 2, why)
    assert source[found.start : found.end] == name


@pytest.mark.parametrize(
    "source",
    [
        "größe = Länge + œuvre",
        "имя_файла = 'отчёт'",
        "名前 = 1\nx名 = 2\nカタカナ漢字 = 3",
        "α, λ, Ω = 1, 2, 3",
        f"x = 'p{CYRILLIC_A}ssword'  # p{CYRILLIC_A}ssword",
    ],
)
def test_names_of_one_script_and_the_words_of_texts_are_not_marked(source: str) -> None:
    found = lookalikes(source)
    # Ω has a Latin twin in no font; α has.
    assert [one.name for one in found] in ([], ["α"])


@given(st.text(alphabet=st.sampled_from(f"ab{CYRILLIC_A}{CYRILLIC_O}\uff57 \t\n\r\x0c\u2028'\"\\#(=.:f{{}}")))
def test_any_code_is_looked_through_and_each_place_holds_the_name(source: str) -> None:
    for one in lookalikes(source):
        assert source[one.start : one.end] == one.name and not one.name.isascii()


def test_the_names_are_highlighted_in_the_code_and_spelt_out_above_it() -> None:
    source = "".join(f"p{CYRILLIC_A}ss{n} = {n}\n" for n in range(6)) + f"p{CYRILLIC_A}ss0 = 1\n"
    shown = pending(code(source))
    screen = list(whole_screen(shown, shown.waiting[0], None))
    text = "\n".join(line.plain for line in screen)
    assert "Warning: 6 names may be taken for another: p\\u0430ss0 in line 1, 7 (mixes Cyrillic and Latin), " in text
    assert text.count("p\\u0430ss") == 4 and "2 more" in text
    marked = [
        line.plain[span.start : span.end] for line in screen for span in line.spans if "yellow" in str(span.style)
    ]
    assert f"p{CYRILLIC_A}ss3" in marked
    assert lookalike_warning([]) == ""
