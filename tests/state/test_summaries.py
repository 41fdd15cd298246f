"""Texts on one line, as lists show them."""

import pytest

from durable_rlm.state.summaries import first_line, prose_summary


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**15 of 27 contracts** can be ended.\n\n| a | b |", "15 of 27 contracts can be ended."),
        ("- A services agreement.\n- Another one.", "A services agreement."),
        ("\n---\n> ## 1. The term\n", "The term"),
        ("| contract | its words |\n|---|---|", "contract | its words"),
        ("`unclear` is a name[^1]", "unclear is a name"),
        ("__init__ keeps *its* signs, and 1.5 % its point", "__init__ keeps *its* signs, and 1.5 % its point"),
        ("\u202etxt", "\u202etxt"),
        ("✓", "✓"),
        ("***", "***"),
        ("", ""),
        ("- " * 2_000 + "end", "- " * 999 + "-"),
    ],
)
def test_a_list_shows_the_first_line_of_an_answer_without_signs_of_markdown(text: str, shown: str) -> None:
    assert first_line(text) == shown


def test_a_turn_is_summed_up_without_signs_of_markdown() -> None:
    assert prose_summary("`unclear` was never set. I set it.") == "unclear was never set."
    assert prose_summary("> **Now** I look:\n") == "Now I look"
