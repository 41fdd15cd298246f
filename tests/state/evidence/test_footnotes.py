"""Citations for readers: footnotes with what was not found, and words for a caller who has other numbers."""

from durable_rlm.state.evidence.footnotes import footnotes, with_footnotes, with_words
from tests.cited_input import a_citation


def test_a_footnote_has_the_words_on_one_line_and_their_place() -> None:
    assert footnotes([a_citation(3)]) == ['[^3]: "the words of it" — lease.docx § 4.2 Term']


def test_a_place_with_line_ends_in_it_begins_no_line_of_its_own() -> None:
    [line] = footnotes([{**a_citation(3), "place": 'a.txt\n\n# Heading\n[^4]: "mine"'}])
    assert "\n" not in line


def test_a_citation_that_is_not_verified_says_so() -> None:
    assert footnotes([a_citation(3, verified=False)]) == ['[^3]: "the words of it" — NOT FOUND in lease.docx']


def test_a_long_passage_is_cut_in_the_middle() -> None:
    [line] = footnotes([a_citation(1, "a" * 50_000 + " end")])
    assert len(line) < 700 and " … " in line and " end" in line


def test_footnotes_stand_below_a_text_and_nothing_below_one_that_cites_nothing() -> None:
    assert with_footnotes("It is so [^1].\n", [a_citation(1)]) == (
        'It is so [^1].\n\n[^1]: "the words of it" — lease.docx § 4.2 Term\n'
    )
    assert with_footnotes("It is so [^1].\n", []) == "It is so [^1].\n"


def test_markers_become_words_for_a_caller() -> None:
    value = {"a": ["x [^1]", 3, None], "b": "[^2] [^9]"}
    assert with_words(value, [a_citation(1), a_citation(2, verified=False)]) == {
        "a": ['x ["the words of it" (lease.docx, § 4.2 Term)]', 3, None],
        "b": '["the words of it" (NOT FOUND in lease.docx)] [^9]',
    }
    assert with_words("[^1]", []) == "[^1]"


def test_a_marker_that_is_repeated_a_million_times_does_not_fill_the_memory() -> None:
    found = with_words("[^1]" * 1_000_000, [a_citation(1, "x" * 100_000)])
    assert len(found) < 10_000_000 and found.endswith("[^1]")
