"""The end of a text repeats itself, or does not."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some

from durable_rlm.nodes.replies.extract_code import read_reply
from durable_rlm.nodes.replies.repetition import LOOKED_AT, repeats_itself


def has_short_period(text: str) -> bool:
    tail = text[-LOOKED_AT:]
    return len(tail) == LOOKED_AT and any(tail[period:] == tail[:-period] for period in range(1, 201))


@given(
    some.text(alphabet="ab \n", min_size=1, max_size=210),
    some.integers(1, 2_400),
    some.text(alphabet="ab \n", max_size=3),
)
def test_a_text_repeats_itself_when_its_last_2000_characters_have_a_period_of_at_most_200(
    part: str, length: int, end: str
) -> None:
    text = "before " + (part * length)[: length + 100] + end
    assert repeats_itself(text) == has_short_period(text)


@pytest.mark.parametrize(
    ("text", "repeats"),
    [
        ("x" * 1_999, False),
        ("x" * 2_000, True),
        ("x" * 2_000 + "y", False),
        (" " * 5_000, True),
        ("".join(map(str, range(200, 400)))[:200] * 10, True),
        ("".join(map(str, range(200, 500)))[:201] * 20, False),
        ("a" * 100 + "b" + "a" * 100 + "c" * 1_800, False),
        ("", False),
    ],
)
def test_the_limits_of_a_repetition(text: str, repeats: bool) -> None:
    assert repeats_itself(text) is repeats


def test_looking_is_cheap_for_texts_that_nearly_repeat_themselves() -> None:
    texts = ["a" * 1_999 + "b", "b" + "a" * 1_999, ("a" * 199 + "b") * 9 + "a" * 200, "ab" * 999 + "aa"]
    started = time.thread_time()
    for text in texts * 25:
        repeats_itself(text)
    assert time.thread_time() - started < 0.2, "2 ms a look would be 7 ms for a reply of 2,000 tokens"


def test_a_reply_that_was_cut_in_a_repetition_gets_a_note_about_it() -> None:
    endless = read_reply("Let me see. " * 300, truncated=True)
    assert (endless.blocks, endless.reason) == ((), "endless") and "repeated itself" in (endless.nudge or "")
    assert read_reply("Let me see. " * 300).reason == "prose", "it was not cut"


@pytest.mark.parametrize("end", ["", "pri", "print(x"])
def test_an_unclosed_block_that_repeats_itself_is_not_run_even_if_it_parses(end: str) -> None:
    reading = read_reply("```repl\nx = 1\n" + "print(x)\n" * 300 + end, truncated=True)
    assert (reading.blocks, reading.reason) == ((), "endless")


def test_a_complete_block_before_a_repetition_runs() -> None:
    reading = read_reply("```repl\nprint(1)\n```\n" + "Let me see. " * 300, truncated=True)
    assert (reading.blocks, reading.nudge) == (("print(1)",), None)
