"""A reviewer's input as LangChain's decisions; unusable input is refused with a reason."""

import json
from typing import Any

import pytest

from durable_rlm.state.errors import UsageError
from durable_rlm.studio.approval.decisions import checked, edit, editable, responded
from durable_rlm.studio.approval.requests import purposes, waiting_of
from tests.studio.approval.requests_shown import answer, budget, calls, code, interrupt, paused, request, spend


def edited(one: dict[str, Any], text: str) -> Any:
    decision = edit(request(one), text)
    assert decision["type"] == "edit" and decision["edited_action"]["name"] == one["name"]
    return decision["edited_action"]["args"]


def test_code_is_edited_as_python_and_the_rest_as_json() -> None:
    assert editable(request(code("a = 1"))) == ("a = 1", ".py")
    for one, args in (
        (calls("p", "q"), {"calls": [{"key": "3:0", "prompt": "p"}, {"key": "3:1", "prompt": "q"}]}),
        (spend(), {"up_to_usd": 2.0}),
        (budget(), {"limit": 20}),
        (answer([1, "é"]), {"answer": [1, "é"]}),
    ):
        text, suffix = editable(request(one))
        assert (json.loads(text), suffix) == (args, ".json") and "\\u" not in text


def test_edited_content_becomes_an_edit_decision() -> None:
    assert edited(code("a = 1"), "a = 2\n") == {"code": "a = 2\n"}
    assert edited(spend(), '{"up_to_usd": 2.5}') == {"up_to_usd": 2.5}
    assert edited(budget(), '{"limit": 21}') == {"limit": 21}
    assert edited(answer("x"), '{"answer": {"y": null}}') == {"answer": {"y": None}}


def test_only_changed_prompts_are_sent_and_no_cut_prompt_is_offered() -> None:
    text, _ = editable(request(calls("p", "q")))
    assert edited(calls("p", "q"), text.replace('"q"', '"r"')) == {"calls": [{"key": "3:1", "prompt": "r"}]}
    cut = calls("beginning", chars=9000)
    assert json.loads(editable(request(cut))[0]) == {"calls": []}
    # A prompt that is written in full in its place is sent.
    assert edited(cut, '{"calls": [{"key": "3:0", "prompt": "beginning"}]}') == {
        "calls": [{"key": "3:0", "prompt": "beginning"}]
    }


@pytest.mark.parametrize(
    ("one", "text", "why"),
    [
        (code("a"), "a = = 1", "line 1"),
        (code("a"), " \n", "empty"),
        (spend(), "2.5", "no JSON object"),
        (spend(), '{"up_to_usd": 2.5', "not JSON"),
        (spend(), '{"up_to_usd": NaN}', "not JSON"),
        (spend(), '{"up_to_usd": "lots"}', "up_to_usd"),
        (spend(), '{"up_to_usd": 0.1}', "spent already"),
        (budget(), '{"limit": 5}', "does not raise"),
        (answer("x"), "{}", "answer"),
        (calls("p"), '{"calls": 3}', "calls"),
        (calls("p"), '{"calls": [{"key": "3:0"}]}', "prompt"),
        (calls("p"), '{"calls": [{"key": "3:0", "prompt": "p"}]}', "Nothing was changed"),
    ],
)
def test_unusable_edits_are_refused_with_the_reason(one: dict[str, Any], text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        edit(request(one), text)


def test_a_decision_that_the_run_would_refuse_is_refused() -> None:
    with pytest.raises(UsageError, match="respond"):
        checked(request(spend()), responded("no"))


def test_the_hash_covers_the_shown_code_and_not_the_received_hash() -> None:
    first, other, again = (
        waiting_of(paused(interrupt(code(text), shown=came)))[0].shown
        for text, came in (("a", "x"), ("b", "x"), ("a", "y"))
    )
    assert first == again != other and first != "x"


def test_a_request_is_summarized_in_one_line() -> None:
    everything = [code("a"), calls(*"pq"), spend(), budget(), answer(1)]
    requests = waiting_of(paused(interrupt(*everything, code("b"))))[0].requests
    assert purposes(requests, 9) == (
        "run the code of turn 3, make 2 sub-calls in turn 3, spend more than $1.00, "
        "continue though its budget (calls) is spent, answer"
    )
    assert purposes(requests).endswith("2 more")
