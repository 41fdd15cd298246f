"""`cite` and what a final value cites, in the REPL."""

from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel.inside.citations import Citation, Citations, QuoteNotFound
from durable_rlm.kernel.inside.context import Documents
from durable_rlm.kernel.inside.repl import KernelRepl
from durable_rlm.nodes.input.draft import Draft
from tests.kernel.documents import draft_of, packed, text_document

CONTRACT = "# Scope\nThe seller delivers the goods.\n\n# Payment\nThe buyer pays within thirty days.\n"
LETTER = "Grüße aus Köln.\nThe buyer pays within thirty days.\nKeine weiteren Wünsche.\n"


def paged(text: str, name: str = "paged.pdf", *, at: tuple[int, ...]) -> Draft:
    draft = draft_of(text, name=name)
    draft.places["pages"] = {"at": list(at), "labels": [str(number) for number in range(1, len(at) + 1)]}
    return draft


@pytest.fixture
def context(tmp_path: Path) -> Documents:
    drafts = [
        draft_of(CONTRACT, name="contract.md"),
        draft_of(LETTER, name="letter.txt"),
        paged("Page one says this.\nPage two says that.\n", at=(0, 20)),
        draft_of("name,price\napple,3.50\npear,4.20\n", "CSV", name="prices.csv"),
    ]
    return Documents(*packed(tmp_path, drafts))


@pytest.fixture
def cite(context: Documents) -> Any:
    return Citations({}, context).cite


def test_a_citation_has_the_words_of_the_source_and_their_place(context: Documents, cite: Any) -> None:
    made = cite(context["letter.txt"], "pays within thirty")
    assert (made.id, made.document, made.how, made.place) == (1, "letter.txt", "exact", "line 2")
    assert context["letter.txt"][made.start : made.end] == made.quote == "pays within thirty"
    assert str(made) == f"{made}" == "" + made == "[^1]"
    assert repr(made) == "<Citation [^1] 'pays within thirty' (letter.txt, line 2)>"


def test_equal_passages_share_a_number_and_others_get_the_next(cite: Any) -> None:
    first, second, again = cite("contract.md", "seller"), cite("contract.md", "buyer"), cite("contract.md", "seller")
    assert [first.id, second.id, again.id] == [1, 2, 1]
    assert first == again and hash(first) == hash(again) and first != second
    made, facts = second.__reduce__()
    assert made(*facts) == second and repr(made(*facts)) == repr(second)


def test_whatever_stands_for_a_document_is_taken(context: Documents, cite: Any) -> None:
    contract = context["contract.md"]
    for given, quote, name in [
        (contract, "delivers", "contract.md"),
        ("contract.md", "delivers", "contract.md"),
        (contract.sections()[0], "delivers", "contract.md"),
        (context, "delivers", "contract.md"),
        (None, "delivers", "contract.md"),
        (context[1:], "buyer pays", "letter.txt"),
        ([context[1], context[0]], "buyer pays", "letter.txt"),
        (contract.text[8:40], "delivers", "contract.md"),
        (contract.text, "delivers", "contract.md"),
        (context["paged.pdf"].pages[1], "says that", "paged.pdf"),
        (list(context["prices.csv"].rows())[2], "pear", "prices.csv"),
        (("letter.txt", 2, "a line"), "buyer pays", "letter.txt"),
        ("delivers", contract, "contract.md"),
        ("delivers", context, "contract.md"),
        (Cut("The buyer pays within thirty days.\n", "letter.txt", 16, 51), "buyer pays", "letter.txt"),
        (Cut("anything", context["letter.txt"], 16, 51), "buyer pays", "letter.txt"),
        (cite(contract, "The seller delivers"), "seller", "contract.md"),
    ]:
        made = cite(given, quote)
        assert made.document == name
        assert context[name][made.start : made.end] == made.quote


class Cut(str):
    """A text that knows where it was cut from, as pieces of documents do."""

    __slots__ = ("document", "end", "start")

    def __new__(cls, text: str, document: Any, start: int, end: int) -> "Cut":
        made = super().__new__(cls, text)
        made.document, made.start, made.end = document, start, end
        return made


def test_a_part_of_a_document_is_searched_alone(context: Documents, cite: Any) -> None:
    scope = context["contract.md"].sections()[0]
    with pytest.raises(QuoteNotFound):
        cite(scope, "thirty days")
    with pytest.raises(QuoteNotFound):
        cite(context["paged.pdf"].pages[0], "says that")


def test_a_quotation_in_several_documents_is_cited_from_the_first_and_said_to_be_in_others(
    context: Documents, cite: Any
) -> None:
    made = cite(context, "The buyer pays")
    assert (made.document, made.also) == ("contract.md", 1)
    assert cite(context, "The buyer pays", near="Grüße").document == "letter.txt"
    assert "also in 1 other document" in repr(made)


def test_of_many_documents_those_that_are_likely_are_searched_thoroughly(
    context: Documents, cite: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.kernel.inside.citations._THOROUGHLY", 1)
    assert cite(context, "Keine weiteren\nWünsche").document == "letter.txt"
    assert cite(context, "Grüße … Köln").how == "folded with an omission"
    assert cite(context, "Keine weiteren\nWünsche", near="Köln").place == "line 3"
    with pytest.raises(QuoteNotFound) as caught:
        cite(context, "Keine anderen Wünsche")
    assert caught.value.nearest == "Keine weiteren Wünsche"


def test_near_chooses_between_occurrences(tmp_path: Path) -> None:
    text = "one word\n" * 3 + "the end\n" + "one word\n" * 3
    context = text_document(tmp_path, draft_of(text))
    cite = Citations({}, context).cite
    assert [cite(context, "word", near=at).start for at in (0, 15, 1000)] == [4, 13, text.rindex("word")]
    assert cite(context, "word", near="the end").start == text.index("word", 18)
    # An offset in a text that was cut out is an offset in that.
    assert cite(context[9:40], "word", near=0).start == 13
    with pytest.raises(TypeError, match="near="):
        cite(context, "word", near=1.5)


def test_a_quotation_that_is_not_there_is_refused_with_the_nearest_passage(cite: Any, context: Documents) -> None:
    with pytest.raises(QuoteNotFound, match=r"nearest passage \(contract.md, line 5, ") as caught:
        cite("contract.md", "The buyer never pays within thirty years")
    error = caught.value
    assert error.document == "contract.md" and "pays within thirty" in error.nearest
    assert context["contract.md"][error.start : error.end] == error.nearest
    with pytest.raises(QuoteNotFound) as caught:
        cite(context, "zzz " * 5_000)
    assert len(str(caught.value)) < 1_000


@pytest.mark.parametrize("quote", ["", "  ", "a", "7", "--", "a." * 60_000])
def test_a_quotation_that_is_too_short_or_too_long_is_refused(cite: Any, quote: str) -> None:
    with pytest.raises(QuoteNotFound, match=r"at least|at most"):
        cite("contract.md", quote)


def test_a_wrong_name_is_refused_with_those_that_are_near(cite: Any) -> None:
    for name, near in [("contracts.md", "contract.md"), ("docs/letter.txt", "letter.txt")]:
        with pytest.raises(LookupError, match=f"did you mean '{near}'"):
            cite(name, "the buyer")


@pytest.mark.parametrize("given", [5, b"bytes", {"a": 1}, 1.5, "THE SELLER DELIVERS\n" * 20, object()])
def test_anything_else_is_refused_in_words(cite: Any, given: Any) -> None:
    with pytest.raises(TypeError, match="cite"):
        cite(given, "SELLER DELIVERS")
    with pytest.raises(TypeError, match="str"):
        cite("contract.md", 5)


def test_a_document_of_another_input_is_refused(cite: Any, tmp_path: Path) -> None:
    other = Documents(*packed(tmp_path / "other", [draft_of(CONTRACT, name="contract.md")]))
    with pytest.raises(TypeError, match="no document"):
        cite(other[0], "seller")


# -- in a REPL


def repl(folder: Path, *drafts: Draft) -> tuple[KernelRepl, dict[str, Any]]:
    pack, index = packed(folder, drafts or [draft_of(CONTRACT, name="a.md"), draft_of(LETTER, name="b.txt")])
    namespace: dict[str, Any] = {}
    setup = {"pack": pack, "index": index, "text": len(drafts) == 1, "start": 0, "end": None}
    made = KernelRepl(
        namespace,
        lambda: None,
        {**setup, "sub_calls": False, "sub_rlms": False, "models": [], "prompt_tokens": 1000},
        own_process=False,
    )
    return made, namespace


def final(folder: Path, code: str, *drafts: Draft) -> dict[str, Any]:
    made, namespace = repl(folder, *drafts)
    made.begin([], [code])
    exec(code, namespace)
    ended = made.end(succeeded=True)["final"]
    assert ended is not None
    return ended


SELLER = {"id": 1, "document": "a.md", "start": 12, "end": 18, "quote": "seller", "how": "exact"}


@pytest.mark.parametrize(
    ("code", "value"),
    [
        ("FINAL(f'He sells {c}')", "He sells [^1]"),
        ("FINAL('He sells', citations=[c])", "He sells"),
        ("FINAL('He sells', citations=c)", "He sells"),
        ("FINAL('He sells', citations='[^1]')", "He sells"),
        ("FINAL('He sells', citations=[1])", "He sells"),
        ("FINAL({'a': [c, {'b': (c,)}]})", {"a": ["[^1]", {"b": ["[^1]"]}]}),
        ("FINAL({'He sells [^1]': 1})", {"He sells [^1]": 1}),
        ("FINAL(c)", "[^1]"),
        ("answer['content'] = 'Sold ' + c\nanswer['ready'] = True", "Sold [^1]"),
        ("value = ['sold', c]\nFINAL_VAR('value')", ["sold", "[^1]"]),
        ("FINAL_VAR('other', citations=[c])", "nothing"),
        ("SUBMIT('sold', citations=[c])", "sold"),
        ("SUBMIT(sold=True, citations=[c])", {"sold": True}),
        ("SUBMIT(sold=True, by=c, citations=['own field'])", {"sold": True, "by": "[^1]", "citations": ["own field"]}),
    ],
)
def test_all_that_a_final_value_cites_is_posted_with_it(tmp_path: Path, code: str, value: Any) -> None:
    ended = final(tmp_path, f"c = cite(context[0], 'seller')\ncite('b.txt', 'Köln')\nother = 'nothing'\n{code}")
    assert (ended["value"], ended["citations"]) == (value, [SELLER])


def test_footnotes_of_the_answers_own_are_no_citations(tmp_path: Path) -> None:
    assert "citations" not in final(tmp_path, "cite(context, 'seller')\nFINAL('See [^2], [^01] and [1]')")


@pytest.mark.parametrize("given", ["['words']", "[5]", "5", "[True, None]", "object()", "[{'quote': 'seller'}]"])
def test_citations_that_cite_did_not_return_are_refused(tmp_path: Path, given: str) -> None:
    with pytest.raises(TypeError, match="citations="):
        final(tmp_path, f"FINAL('x', citations={given})")


@pytest.mark.parametrize(
    "change",
    [
        "_citations = None",
        "_citations = [1]",
        "_citations[1] = 'x'",
        "_citations[1][0] = 'no such document'",
        "_citations[1] = ['a.md', 5, 3, 'exact']",
        "_citations[1] = ['a.md', 5, 1 << 60, 'exact']",
        "_citations = {'1': _citations[1], -1: _citations[1]}",
    ],
)
def test_the_list_of_citations_may_have_been_changed_by_code(tmp_path: Path, change: str) -> None:
    ended = final(tmp_path, f"c = cite(context, 'seller')\n{change}\nd = cite(context, 'Payment')\nFINAL('x [^1]')")
    assert all(one["document"] == "a.md" for one in ended.get("citations", ()))


def test_a_single_text_is_cited_by_its_name_and_one_without_a_name_by_none(tmp_path: Path) -> None:
    ended = final(tmp_path, "FINAL(cite(context, 'seller'))", draft_of(CONTRACT, name="a.md"))
    assert ended["citations"] == [SELLER]
    made = Citations({}, CONTRACT)
    one = made.cite(CONTRACT, "buyer pays")
    assert (one.document, one.place) == ("", "line 5")
    assert made.collect(str(one)) == [
        {"id": 1, "document": "", "start": one.start, "end": one.end, "quote": "buyer pays", "how": "exact"}
    ]


def test_too_many_citations_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_rlm.kernel.inside.citations.MAX_CITATIONS", 1)
    with pytest.raises(ValueError, match="at most"):
        final(tmp_path, "FINAL([cite(context, 'seller'), cite(context, 'buyer')])")


def test_the_names_are_no_variables_of_the_user(tmp_path: Path) -> None:
    made, namespace = repl(tmp_path)
    made.begin([], ["code"])
    exec("c = cite(context, 'seller')\nfound = [QuoteNotFound]", namespace)
    assert [one["name"] for one in made.variables()] == ["c", "context", "found"]
    assert made.variables()[0]["preview"].startswith("<Citation [^1] 'seller' (a.md, line 2)")
    groups = made.snapshot(["code"])[0]["groups"]
    saved = {name for group in groups for name in group["names"]}
    assert "_citations" in saved and not {"cite", "QuoteNotFound"} & saved


def test_a_citation_is_of_a_class_that_code_cannot_mistake(tmp_path: Path) -> None:
    code = "c = cite(context, 'seller')\nFINAL([type(c).__name__, isinstance(c, str)])"
    assert final(tmp_path, code)["value"] == ["Citation", False]
    assert Citation(1, "", 0, 1, "x", "exact", "") == Citation(2, "", 0, 1, "x", "exact", "")
