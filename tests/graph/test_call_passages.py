"""Passages of the input are marked in the prompts that were made of them."""

import time

from durable_rlm.graph.call_passages import Passage, segments_of
from durable_rlm.nodes.input.stored_documents import DocumentFacts

FACTS = DocumentFacts(0, "a.txt", 0, 1_000, 1_000, "text", 0, (), b"")
CLAUSES = (
    "1. The term of the agreement is two years.\n2. It may be ended without any notice.\n3. English law applies here.\n"
)


def marked(prompt: str, *passages: str) -> list[tuple[str, int | None]]:
    return [(one.text, one.passage) for one in segments_of(prompt, [Passage(FACTS, 0, 1, text) for text in passages])]


def test_a_passage_that_stands_in_the_prompt_is_marked_and_the_rest_is_not() -> None:
    assert marked(f"Ended?\n{CLAUSES.strip()}\nYes or no.", CLAUSES) == [
        *(("Ended?\n", None), (CLAUSES.strip(), 0), ("\nYes or no.", None))
    ]


def test_lines_that_code_has_joined_otherwise_are_marked_line_by_line() -> None:
    prompt = " / ".join(CLAUSES.splitlines())
    assert [part for part in marked(prompt, CLAUSES) if part[1] == 0] == [(line, 0) for line in CLAUSES.splitlines()]


def test_a_passage_that_goes_on_in_the_next_piece_is_marked_in_both() -> None:
    text = "".join(f"{number}. The term of agreement {number} is {number} years.\n" for number in range(99))
    first, second = f"Ended?\n{text}"[:2_000], f"Ended?\n{text}"[2_000:]
    assert marked(first, text) == [("Ended?\n", None), (first[7:], 0)]
    assert marked(second, text) == [(second.rstrip(), 0), ("\n", None)]


def test_text_of_no_passage_stays_unmarked_and_nothing_is_lost() -> None:
    for prompt in ("", "nothing of it", CLAUSES.upper(), "It may be ended"):
        assert "".join(text for text, _ in marked(prompt, CLAUSES, "", "x")) == prompt
        assert all(passage is None for _, passage in marked(prompt, CLAUSES, "", "x"))


def test_hostile_prompts_take_bounded_time() -> None:
    began = time.process_time()
    segments_of(
        "ab" * 20_000, [Passage(FACTS, 0, 1, "ab" * 60_000 + f"{n}\n" + "ab" * 30 + "\nabab" * 500) for n in range(40)]
    )
    assert time.process_time() - began < 5
