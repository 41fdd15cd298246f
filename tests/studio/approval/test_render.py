"""Requests shown to a reviewer: complete, exact, and escaped, so that nothing hides or imitates the program."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from durable_rlm.studio.approval.hidden_characters import marked, warning
from durable_rlm.studio.approval.quoted import HIDDEN, coloured, framed
from durable_rlm.studio.approval.render import whole_screen
from durable_rlm.studio.approval.requests import Cell, Pending
from tests.studio.approval.requests_shown import CHILD, action, answer, budget, calls, code, pending, spend
from tests.studio.conftest import HOSTILE
from tests.studio.test_safe_text import hostile


def lines(of: Pending, width: int | None = None) -> list[str]:
    return [line.plain for line in whole_screen(of, of.waiting[0], width)]


def shown(of: Pending) -> str:
    return "\n".join(lines(of))


def printed(text: list[Text], width: int = 60) -> str:
    """Return the text as a terminal receives it, with colours."""
    console = Console(width=width, force_terminal=True, color_system="standard", markup=False, highlight=False)
    with console.capture() as captured:
        for line in text:
            console.print(line, soft_wrap=True)
    return captured.get()


def test_code_is_shown_whole_with_line_numbers_reason_and_spending() -> None:
    text = shown(pending(code("".join(f"x = {n}\n" for n in range(500)), description="Turn 3 wants to run this code.")))
    assert "t asks to run the code of turn 3" in text and "Turn 3 wants to run this code." in text
    assert "3 turns · 7 model calls · 1,000 tokens · $0.2500" in text
    assert text.split("\n")[4:] == [f"  {n + 1:>3} │ x = {n}" for n in range(500)]


def test_code_is_coloured_and_its_markup_is_not_interpreted() -> None:
    source = "def f(a):\n\treturn '[bold red]x[/] :smile:'  # no"
    text = coloured(marked(source, code=True))
    assert text.plain == source and len({str(span.style) for span in text.spans}) > 3
    [_, second] = printed(list(framed(text, 60))).rstrip("\n").split("\n")
    assert "│         return '[bold red]x[/] :smile:'  # no" in re.sub(r"\x1b\[[\d;]*m", "", second)


@given(st.text(alphabet=st.sampled_from("ab\t\n\r '\"#\\\x0c\ufeff\u2028\u202e日é")))
def test_any_code_is_shown_character_by_character(source: str) -> None:
    assert coloured(marked(source, code=True)).plain == marked(source, code=True).text


def test_hidden_characters_are_marked_and_counted_with_their_lines() -> None:
    source = "a = '\\u202e'\nb = '\u202e'\nc = '\u200b\u00a0'\nd = '\u202e'\n"
    text = shown(pending(code(source)))
    assert (
        "Warning: 4 invisible or direction-changing characters, shown as escapes: U+202E in line 2, 4, "
        "U+200B in line 3, U+00A0 in line 3" in text
    )
    framing = coloured(marked(source, code=True))
    standing_out = [framing.plain[span.start : span.end] for span in framing.spans if span.style == HIDDEN]
    assert standing_out == ["\\u202e", "\\u200b", "\\xa0", "\\u202e"], "and not the escape that the code spells out"
    assert "\x1b[1;7;31m\\u202e" in printed([framing]).replace(";49m", "m")
    assert warning(marked("plain\tcode\r\n", code=True).hidden) == ""


def test_hidden_characters_of_many_kinds_are_counted_and_four_are_named() -> None:
    text = warning(marked("\u200b\u200c\u200d\u200e\u200f\u2060\n" * 5, code=True).hidden)
    assert text.startswith("30 invisible") and "U+200B in line 1, 2, 3, …" in text and text.endswith("2 other kinds")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("width", [None, 40])
def test_hostile_text_in_any_field_is_escaped(text: str, width: int | None) -> None:
    nasty = f"{text}\n[red]{text}"
    more: dict[str, Any] = {"description": nasty, "thread": nasty}
    everything = [
        code(nasty, **more),
        calls(nasty, model=nasty),
        action("budget", resource=nasty, limit=nasty, spent=nasty, waiting_calls=nasty),
        action("spend", asked_at_usd=nasty, spent_usd=nasty, wanted_usd=nasty, up_to_usd=nasty),
        answer({nasty: [nasty]}),
        answer(nasty),
        {**action(nasty, thread=nasty), "args": {nasty: nasty}},
    ]
    of = pending(*everything)
    of.run.interrupts[0]["value"]["problem"] = nasty
    before = Cell(2, f"{nasty}\nother")
    problem = Pending(of.run, pending(*everything).waiting, {(nasty, 3): before, ("t", 3): before})
    for one in (of, problem):
        assert hostile("\n".join(lines(one, width))) == []


@given(st.text(alphabet=st.sampled_from("ab \t日\u0301👩‍🚀\n"), max_size=200), st.integers(24, 60))
def test_each_row_of_a_models_text_begins_with_a_bar_and_fits_the_width(text: str, width: int) -> None:
    of = pending(code(text or "x"), calls(text), answer(text))
    own = re.compile(r"^(──|Warning|Why|So far|Asks for|$)")
    for line in whole_screen(of, of.waiting[0], width):
        assert own.match(line.plain) or re.match(r"^ +\d* *[│┊]", line.plain), line.plain
        if not own.match(line.plain):
            assert line.cell_len <= width


@given(st.text(alphabet=st.sampled_from("abcdefgh "), max_size=300))
def test_folding_loses_nothing(text: str) -> None:
    rows = [row.plain for row in framed(Text(text), 30)]
    assert "".join(row[4:] if len(row) > 3 else "" for row in rows) == text


def test_code_is_compared_with_the_previous_cell() -> None:
    def compared(was: str, now: str) -> list[str]:
        text = lines(pending(code(now), before={("t", 3): Cell(2, was)}))
        return text[next(at for at, line in enumerate(text) if "of turn 2" in line) :]

    assert compared("a = 1\nb = 2\n", "a = 1\nb = 3\n") == [
        "── different from the cell of turn 2",
        *("  │ @@ -1,2 +1,2 @@", "  │  a = 1", "  │ -b = 2", "  │ +b = 3"),
    ]
    assert compared("a = 1\n\n", "a = 1") == ["── the same as the cell of turn 2"]
    assert compared("a = 1\n\n", "b = 1\n\n") == ["── no line in common with the cell of turn 2"]
    # Form feeds and U+2028 separate lines elsewhere, but not in Python.
    assert compared("a\x0c\u2028b\nc", "a\x0c\u2028b\nd")[2] == "  │  a\\x0c\\u2028b"
    assert "of turn 2" not in shown(pending(code("x"))), "nothing ran before"


def test_a_fan_out_is_shown_with_its_count_samples_tokens_and_cost() -> None:
    text = shown(pending(calls("What is\nthis?", "short", count=40)))
    assert "t asks to make 40 sub-calls in turn 3" in text
    assert "40 sub-calls · about 4,000 tokens in · at most 80,000 out · at most $0.1200" in text
    assert "── 3:0 · llm · openai:m · 13 characters\n  │ What is\n  │ this?\n── 3:1" in text
    assert text.endswith("── and 38 more sub-calls not shown here")
    assert "the first 5 of 9,000 characters" in shown(pending(calls("short", chars=9000)))
    assert "cost not known" in shown(pending(calls("p", estimated_cost_usd=None)))


def test_money_budgets_and_answers_are_shown() -> None:
    text = shown(pending(spend()))
    assert "spend more than $1.00" in text and "Spent     $0.9000" in text and "Wants     $1.25" in text
    text = shown(pending(budget()))
    assert "continue though its budget (calls) is spent" in text
    assert "20 of 20 spent (calls)" in text and "2 sub-calls" in text
    assert '  │   "sum": 3' in shown(pending(answer({"sum": 3})))
    assert "  │ It is 3." in shown(pending(answer("It is 3.")))


def test_a_request_of_a_sub_rlm_is_labelled_and_several_requests_are_numbered() -> None:
    text = shown(pending(code("a", thread=CHILD), code("b")))
    assert "── 1 of 2 · t asks to run the code of turn 3 · sub-RLM 1f2e3d4c" in text and "── 2 of 2 · t asks" in text
    assert "of 1" not in shown(pending(code("a")))


def test_schemas_and_contexts_are_shown_with_their_sizes_and_repeated_ones_once() -> None:
    asked = calls("first", "second")
    for call in asked["args"]["calls"]:
        call |= {"schema": {"description": "EXFILTRATED"}, "max_tokens": 50}
        call["context"] = {"documents": 2, "chars": 9, "names": ["a.txt", "b\x1b.txt"], "digest": "d"}
    first, second = asked["args"]["calls"]
    first["context"]["text"], second["context"]["text_at"] = "the whole", first["key"]
    text = shown(pending(asked))
    assert "── 3:0 · llm · openai:m · at most 50 tokens out · 5 characters\n  │ first\n" in text
    assert "── the schema of its answer · 34 characters\n" in text and text.count("EXFILTRATED") == 1
    assert "── the schema of its answer · 34 characters · as in 3:0\n" in text
    assert "── the context that it is handed · 2 documents · 9 characters · a.txt, b\\x1b.txt\n  │ the whole\n" in text
    assert text.endswith(
        "── the context that it is handed · 2 documents · 9 characters · as in 3:0 · a.txt, b\\x1b.txt"
    )


def test_code_that_is_not_confined_is_said_to_be_so_before_it_is_shown() -> None:
    text = shown(pending(action("execute_code", code="x = 1", unsandboxed=True)))
    assert text.index("Warning: NOT SANDBOXED") < text.index("x = 1")
    assert "SANDBOXED" not in shown(pending(code("x = 1")))
