"""The passages that an answer quotes, and whether verified citations have them."""

import time
from typing import Any

import pytest

from durable_rlm.nodes.evidence.quoted_passages import fragments_of, passages_in
from durable_rlm.nodes.evidence.required import problems_of
from tests.cited_input import a_citation

WORDS = "The tenant shall pay the rent, in advance, on the first day of each month."


def cites(quote: str = WORDS, *, verified: bool = True) -> Any:
    citation = a_citation(1, quote, verified=verified)
    return [(citation, "" if verified else "other words stand there")]


@pytest.mark.parametrize(
    "answer",
    [
        'He "shall pay the rent, in advance" [^1].',
        "He “shall pay the rent [^1], in advance,” it says.",
        "Er „shall pay the rent, in advance“ [^1].",
        "Il «shall pay the rent, in advance» [^1].",
        "He ‘shall pay the rent, in advance’ [^1].",
        'It says "[t]he tenant shall pay … on the first day" [^1].',
        'It says "The **tenant** owes" [^1].',
        "> The tenant shall pay the rent, in advance\n> [...] of each month.\n> — the lease [^1]",
        'A "short term" and a "term of three" [^1].',
        '```\nprint("this is code and no quotation")\n```\n[^1]',
        {"quote": "“shall pay the rent, in advance”", "by": ["[^1]"]},
        'You ask "what is it that he pays" [^1].',
        'Call `say("this is code and no quotation")` and ``say("this ` is code as well")`` [^1].',
        '{"a key of five long words": "[^1]", "b": ["words that nobody has quoted"]}',
        'A 5" pipe and the other pipe of 7" too [^1].',
        "The tenants' rights and then the landlords' rights, and it's not 'the workers' [^1].",
        "He 'shall pay the rent, in advance' [^1].",
        "> > The tenant shall pay the rent\n\n- > in advance, on the first day\n\n[^1]",
    ],
)
def test_an_answer_whose_quotations_are_cited_is_proved(answer: Any) -> None:
    assert problems_of(answer, cites(), "What is it that he pays?") == []


@pytest.mark.parametrize(
    "answer",
    [
        'He "shall pay no rent, in advance" [^1].',
        "He “shall pay the rent\nin arrears” [^1].",
        "> The tenant shall pay no rent\n\n[^1]",
        '"The tenant shall pay … on the last day" [^1]',
        {"deep": [{"er": "「払わなくてもいいです」 [^1]"}]},
        '```\ncode\n```\n"shall pay no rent at all" [^1]',
        'Er „shall pay no rent at all" [^1].',
        "Er ‚shall pay no rent at all‘ [^1].",
        "Il ‹shall pay no rent at all› [^1].",
        "Hon ”shall pay no rent at all” [^1].",
        "『払わなくてもいいです』 [^1]",
        "He 'shall pay no rent at all' [^1].",
        "He “shall pay no rent at all [^1].\n\n“The tenant shall pay the rent” it says.",
        "- > The tenant shall pay no rent [^1]",
        '{"a": "He \\"shall pay no rent at all\\" [^1]"}',
    ],
)
def test_a_quotation_that_no_citation_has_is_named(answer: Any) -> None:
    [problem] = problems_of(answer, cites(), "")
    assert problem.startswith('it quotes what no citation has: "')


def test_words_of_a_citation_that_is_not_verified_prove_nothing() -> None:
    problems = problems_of('"shall pay the rent, in advance" [^1]', cites(verified=False), "")
    assert [one.split(":")[0] for one in problems] == ["[^1]", "it quotes what no citation has"]


def test_a_quotation_in_a_row_of_a_table_has_to_be_cited_too() -> None:
    batches = [b'[["It is [^1]", 1]]', '[["He “shall pay no rent at all” [^2]", null]]'.encode()]
    assert len(problems_of(None, cites(), "", lambda: batches)) == 2
    assert problems_of(None, cites(), "", lambda: batches[:1]) == []


def test_half_of_one_citation_and_half_of_another_are_no_quotation() -> None:
    both: Any = [(a_citation(1, "Either party may terminate"), ""), (a_citation(2, "without any notice"), "")]
    [problem] = problems_of('"Either party may terminate without any notice" [^1] [^2]', both, "")
    assert "no citation has" in problem


def test_of_many_problems_the_first_ones_are_named() -> None:
    answer = " ".join(f'"this was never said {number}"' for number in range(1_000))
    problems = problems_of(answer, cites(), "")
    assert (len(problems), problems[-1]) == (6, "and more of the kind")


def test_omissions_and_punctuation_are_the_writers() -> None:
    assert fragments_of("“[T]he tenant … pays,”") == ["The tenant", "pays"]


@pytest.mark.parametrize(
    "hostile",
    ['"', "“", "‘a’b", "> ", "`" * 3 + "\n", "„a", "[^1]", "\n\n", "«»", '" \n', "'a", "`a", "`", "” ", "‚a", "- > "],
)
def test_hostile_answers_take_linear_time(hostile: str) -> None:
    began = time.process_time()
    for _ in passages_in(hostile * (400_000 // len(hostile))):
        pass
    assert time.process_time() - began < 4
