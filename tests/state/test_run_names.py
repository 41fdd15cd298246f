"""New runs are named after the question, with names that are safe to type in any shell."""

import itertools
import re
import shlex
import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from durable_rlm.state.run_names import names_for, slug
from durable_rlm.studio.terminal.escape import HOSTILE, safe_line


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Which contracts end early?", "which-contracts-end"),
        ("Sum up each letter", "sum-up-letter"),
        ("What's in the log, and why?", "whats-log-why"),
        ("To be or not to be?", "not"),
        ("Is it so?", "is-it-so"),
        ("2+2=?", "2-2"),
        ("Größe der Äpfel im Øresund?", "grosse-der-apfel"),
        ("¿Qué contratos terminan?", "que-contratos-terminan"),
        ("'; rm -rf / #", "rm-rf"),
        ("--help", "help"),
        ("../../etc/passwd", "etc-passwd"),
        ("x@1 y@2", "x-1-y"),
        ("", "run"),
        ("?!… 🙂", "run"),
        ("x" * 500, "x" * 20),
    ],
)
def test_a_name_is_made_of_the_main_words_of_the_question(question: str, name: str) -> None:
    assert slug(question) == name


@pytest.mark.parametrize(
    ("question", "name"),
    [
        ("Кто подписал договоры?", "кто-подписал-договоры"),
        ("哪些合同提前终止？", "哪些合同提前终止"),
        ("हिन्दी में कौन", "हिन्दी-में-कौन"),
        ("ما هي العقود؟", "run"),
        ("ما هي contracts?", "contracts"),
    ],
)
def test_letters_beyond_ascii_are_kept_except_in_right_to_left_scripts(question: str, name: str) -> None:
    assert slug(question) == name


# Letters of every script, combining marks, and characters hostile to terminals and shells.
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("\u3164\u115f\u0301\u202e\u200b'\"`$\\/@-. \n\x1b\ud800")))


@given(TEXTS)
@example("\u0301\u0301 a\u0301")
@example("\u3164\uffa0")
def test_any_question_gives_a_name_that_is_safe_in_shells_files_and_terminals(question: str) -> None:
    name = next(names_for(question))
    assert re.fullmatch(r".+-[0-9a-f]{4}", name) and len(name.encode()) <= 200 and len(name) <= 66
    assert shlex.split(f"x {name} y") == ["x", name, "y"], "no shell interprets it"
    assert not name.startswith("-") and not set(name) & set("/@\\\0. \n~*?[]{}$`'\"#&;|<>()!=%^:,+")
    assert safe_line(name) == name and HOSTILE.search(name) is None
    assert not any(unicodedata.bidirectional(one) in ("R", "AL", "AN") for one in name)
    assert name.casefold() == name or not name.isascii()


def test_a_name_in_use_is_extended_until_it_is_free() -> None:
    names = list(itertools.islice(names_for("Which contracts end early?"), 6))
    suffixes = [name.removeprefix("which-contracts-end-") for name in names]
    assert [len(one) for one in suffixes] == [4, 5, 6, 7, 8, 9]
    assert len({next(names_for("Q?")) for _ in range(20)}) > 15
