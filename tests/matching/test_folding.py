"""A text is folded so that typography makes no difference, and each character is found in the source again."""

import random
import unicodedata

import pytest

from durable_rlm.matching.folding import Folded, folded

ALPHABET = (
    *"aabbcc  é-\n",
    *("\u00ad", "\u200b", "“", "”", "’", "ﬁ", "½", "e\u0301", "\u0327", "\u0323", "o\u0308", "ｶﾞ"),
    *(
        "\u1112\u1161\u11ab",
        "한",
        "İ",
        "ß",
        "\t",
        "\r\n",
        "\u00a0",
        "\ufeff",
        "–",
        "日",
        "本",
        "，",
        "1",
        "\ufffe",
        "\x02",
        "…",
    ),
)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a b", "a \n\t\u00a0\u2003 b"),
        ("agreement", "agree-\n  ment"),
        ("agreement", "agree\u00ad\r\nment"),
        ("agreement", "agree\u00adment"),
        ("wellknown", "well‑known"),
        ("agreement", "agree\x02ment"),
        ("'a' \"b\"", "‘a’ “b”"),
        ('"b"', "«b»"),
        ("a - b", "a – b"),
        ("final office", "ﬁnal oﬃce"),
        ("ABC 12", "ＡＢＣ　１２"),
        ("élite", "e\u0301lite"),
        ("한국", unicodedata.normalize("NFD", "한국")),
        ("ガ", "ｶﾞ"),
        ("word", "w\u200bo\ufeffrd"),
        ("a b", "a \u200b b"),
        ("and so on...", "and so on…"),
        ("双方同意", "双方\n同意"),
        ("付款,双方", "付款，\n双方"),
        ("\u0644\u0627", "\ufefb"),
    ],
)
def test_typography_makes_no_difference(one: str, other: str) -> None:
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("10-20", "1020"),
        ("10-\n20", "1020"),
        ("word", "Word"),
        ("10²", "102"),
        ("½", "1/2"),
        ("ab", "a b"),
        ("a.b", "a b"),
        ("élite", "elite"),
        ("ß", "ss"),
        ("а", "a"),
        ("-5", "5"),
    ],
)
def test_what_has_another_meaning_stays_another_text(one: str, other: str) -> None:
    assert folded(one) != folded(other)


def test_each_folded_character_comes_from_a_range_of_the_source_in_order() -> None:
    chosen = random.Random(7)
    for _ in range(4_000):
        source = "".join(chosen.choices(ALPHABET, k=chosen.randint(1, 30)))
        made = Folded(source)
        before = 0
        for at in range(len(made.text)):
            start, end = made.range(at, at + 1)
            assert before <= start < end <= len(source), (source, at)
            before = start


def test_folding_twice_changes_nothing_more_for_ordinary_texts() -> None:
    text = "The parties’ “Agree-\nment” is  of the e\u0301lite; ﬁnal price – 4 200 EUR."
    assert folded(folded(text)) == folded(text) == 'The parties\' "Agreement" is of the élite; final price - 4 200 EUR.'
