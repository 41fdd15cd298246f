"""Quotations are found where they stand, also in other typography, and nothing else is found."""

import random
import unicodedata

import pytest

from durable_rlm.matching import quotations
from durable_rlm.matching.quotations import Found, find, find_all, nearest, same

FILLER = "the quick brown fox jumps over lazy dogs and the seller ships goods to the buyer\n" * 30
SOURCE = (
    FILLER
    + "The parties’ “Agree-\n  ment” is of  the e\u0301lite; ﬁnal price – 4\u00a0200 EUR per well-known\noﬃce. "
    + FILLER
)


def passage(text: str, found: Found | None) -> tuple[str, str]:
    assert found is not None
    return text[found.start : found.end], found.how


@pytest.mark.parametrize(
    ("quote", "words", "how"),
    [
        ("price – 4", "price – 4", "exact"),
        ('The parties\' "Agreement" is of the élite', "The parties’ “Agree-\n  ment” is of  the e\u0301lite", "folded"),
        ("final price - 4 200 EUR", "ﬁnal price – 4\u00a0200 EUR", "folded"),
        ("wellknown office", "well-known\noﬃce", "folded"),
        ("well-known office.", "well-known\noﬃce.", "folded"),
        ("“final price”", "ﬁnal price", "folded"),
        ("...final price...", "ﬁnal price", "folded"),
        (
            "The parties' … 4 200 EUR",
            "The parties’ “Agree-\n  ment” is of  the e\u0301lite; ﬁnal price – 4\u00a0200 EUR",
            "folded with an omission",
        ),
        ("price – 4 [...] well-known", "price – 4\u00a0200 EUR per well-known", "folded with an omission"),
        (
            "parties’ (…) élite ... 4 200",
            "parties’ “Agree-\n  ment” is of  the e\u0301lite; ﬁnal price – 4\u00a0200",
            "folded with an omission",
        ),
    ],
)
@pytest.mark.parametrize("more", ["", "x" * 300_000])
def test_a_quotation_is_found_in_the_words_of_the_source(quote: str, words: str, how: str, more: str) -> None:
    text = more + SOURCE
    assert passage(text, find(text, quote)) == (words, how)
    assert same(words, quote)


@pytest.mark.parametrize(
    "quote",
    [
        "The party's agreement",
        "price – 4 201 EUR",
        "final Price",
        "4200 EUR per",
        "élite … parties",
        "the élite [...] no such words",
        "",
        "ab",
        "... …",
    ],
)
def test_other_words_are_not_found(quote: str) -> None:
    assert find(SOURCE, quote) is None and find_all(SOURCE, quote) == []
    assert not same(SOURCE, quote)


def test_parts_that_stand_far_from_each_other_are_no_quotation() -> None:
    text = "the first part " + "x " * 1_000 + "the last part"
    assert find(text, "the first part … the last part")
    assert find(text.replace("x", "xxx"), "the first part … the last part") is None
    assert find("the last part, the first part", "the first part … the last part") is None
    # Of several beginnings, the last one is taken.
    text = f"the first part {text}"
    assert find(text, "the first part … the last part") == Found(15, len(text), "folded with an omission")


def test_only_the_range_asked_for_is_searched() -> None:
    text = "a word, another wo-\nrd, the last word"
    assert [one.start for one in find_all(text, "word")] == [2, 33]
    assert find(text, "word", 3, 25) == Found(16, 22, "folded")
    assert find(text, "word", 3, 21) is None
    assert find(text, "word", 34) is None
    assert find(text, "last word", 0, 10_000) == Found(28, 37, "exact")


HEAD = "ACME Corp. Annual report\n"


def paged(*pages: str) -> tuple[str, list[int]]:
    starts = [sum(map(len, pages[:at])) for at in range(len(pages))]
    return "".join(pages), starts


@pytest.mark.parametrize(
    ("foot", "head"),
    [("12\n", HEAD), ("", HEAD), ("12\n", ""), ("12\n\n", f"{HEAD}\nChapter 3\n"), ("note\n12\n", HEAD)],
)
def test_a_quotation_across_a_page_is_found_without_the_running_heads(foot: str, head: str) -> None:
    first = "Intro of the page.\nThe seller shall deliver the goods with-\n"
    second = "in thirty days of the order.\nMore text of the page.\n"
    text, pages = paged(f"{head}{first}{foot}", f"{head}{second}{foot}", f"{head}The end.\n{foot}")
    quote = "deliver the goods within thirty days"
    words, how = passage(text, find(text, quote, pages=pages))
    assert how == "across a page" and words.startswith("deliver the goods") and words.endswith("thirty days")
    assert find(text, quote) is None
    assert find(text, "deliver the goods within forty days", pages=pages) is None


def test_a_quotation_that_stands_on_one_page_is_not_searched_for_across_pages() -> None:
    text, pages = paged(f"{HEAD}The seller delivers.\n1\n", f"{HEAD}The buyer pays.\n2\n")
    assert passage(text, find(text, "The seller\ndelivers.", pages=pages)) == ("The seller delivers.", "folded")


def test_nearest_shows_what_stands_there_instead() -> None:
    for more in ("", "x y " * 100_000):
        text = more + FILLER + "The buyer pays within thirty days of the invoice." + FILLER
        found = nearest(text, "The buyer always pays within sixty days of the invoice")
        words, how = passage(text, found)
        assert how == "nearest" and "pays within thirty days of the invoice" in words and len(words) < 80
        assert found is not None and 0.6 < found.share < 1
    assert nearest("nothing alike", "zzz qqq") is None


def test_nearest_works_for_scripts_without_blanks() -> None:
    text = "甲方负责交付货物。" * 40 + "双方同意在收到发票后三十天内付款。" + "乙方承担运输费用。" * 40
    found = nearest(text, "双方同意在收到发票后六十天内付款")
    assert "三十天内付款" in passage(text, found)[0]


def test_a_boilerplate_line_that_is_repeated_does_not_hide_the_quotation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quotations, "_COMPARED", 5_000)
    monkeypatch.setattr(quotations, "_SHORT", 0)
    line = "in accordance with the terms and conditions of this agreement and all that it says here "
    text = (line + "nothing.\n") * 500 + line + "every-\nthing zebra.\n" + (line + "nothing.\n") * 500
    quote = line + "everything zebra."
    assert passage(text, find(text, quote))[1] == "folded"


# -- at random

REWORDED = {
    " ": ("\n", "  ", "\u00a0", " \r\n"),
    "'": ("’", "‘"),
    '"': ("“", "”", "«"),
    "-": ("–", "—", "\u2011"),
    "fi": ("ﬁ",),
    "fl": ("ﬂ",),
    "é": ("e\u0301",),
    "ffi": ("ﬃ", "ﬀi", "fﬁ"),
    "a": ("ａ", "a\u00ad", "a-\n", "a\u200b"),
    "o": ("o\u00ad\n", "ｏ"),
}
WORDS = (
    *("office", "final", "fluent", "élite", '"quoted"', "seller's", "10-20", "4.5", "well", "known"),
    *("price", "-", "of", "a", "payment", "ago", "Straße", "日本", "대한"),
)


def reworded(text: str, chosen: random.Random, share: float) -> str:
    """Return a text in other typography, as scans and converters write it."""
    made: list[str] = []
    at = 0
    while at < len(text):
        for length in (3, 2, 1):
            piece = text[at : at + length]
            if len(piece) == length and piece in REWORDED and chosen.random() < share:
                is_inner = text[at + length : at + length + 1].isalpha() and text[at - 1 : at].isalpha()
                choices = [one for one in REWORDED[piece] if is_inner or piece not in "ao" or len(one) == 1]
                made.append(chosen.choice(choices))
                break
        else:
            length = 1
            made.append(text[at])
        at += length
    return "".join(made)


@pytest.mark.parametrize("share", [0.0, 0.05, 0.4])
def test_quotations_from_texts_of_any_typography_are_found_again(share: float) -> None:
    chosen = random.Random(11)
    missed: list[tuple[str, str]] = []
    for _ in range(400):
        words = chosen.choices(WORDS, k=60)
        first = chosen.randrange(50)
        quote = " ".join(words[first : first + chosen.randint(2, 10)])
        text = reworded(" ".join(words), chosen, share)
        found = find(text, quote)
        if found is None:
            missed.append((quote, text))
            continue
        words_there = text[found.start : found.end]
        assert same(words_there, quote), (quote, words_there)
        assert found.how == ("exact" if words_there == quote else "folded")
    assert len(missed) <= 4, missed[:3]


def test_nothing_is_found_that_is_another_text_once_folded() -> None:
    chosen = random.Random(13)
    alphabet = [*"ab c-\n", "\u00ad", "\u200b", "’", "ﬁ", "e\u0301", "é", "…", "...", "日", "한", "\u1112\u1161", " "]
    for _ in range(3_000):
        text, quote = ("".join(chosen.choices(alphabet, k=chosen.randint(3, size))) for size in (40, 8))
        for one in find_all(text, quote):
            assert 0 <= one.start < one.end <= len(text)
            assert same(text[one.start : one.end], quote), (text, quote, one)


def test_a_quotation_in_the_other_normal_form_is_found() -> None:
    text = "Élève à côté du théâtre français. " * 10 + "대한민국 헌법 제1조"
    for form in ("NFC", "NFD"):
        source = unicodedata.normalize(form, text)
        for other in ("NFC", "NFD"):
            for quote in ("à côté du théâtre", "대한민국 헌법"):
                found = find(source, unicodedata.normalize(other, quote))
                assert passage(source, found)[0] == unicodedata.normalize(form, quote)


def test_a_passage_that_is_another_text_with_the_marks_behind_it_is_not_found() -> None:
    # Folded, the mark is a part of the last character's range, and the quotation does not have it.
    text = "日e\u0301…c\u0323-한한\u0323 e\u0301c한\u0301-e"
    assert find(text, "éc한") is None
    assert find(text.replace("c한\u0301", "c한"), "éc한") is not None
