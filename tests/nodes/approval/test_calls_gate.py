"""The gates `calls` and `calls>N`: a fan-out is reviewed before any of its calls is sent."""

import pytest

from durable_rlm.state.errors import UsageError
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests, respond

BATCH = "x = llm_query_batched([f'q{i}' for i in range(5)])"
CAREFUL = "try:\n    x = llm_query_batched(['a', 'b'])\nexcept CallsRejected as no:\n    x = str(no)"


async def test_a_fan_out_waits_whole_and_is_sent_once_it_is_approved(reviewed: Reviewed) -> None:
    run = await reviewed.start([BATCH, "FINAL(x)"], "calls")
    [request] = requests(run)
    assert (request["name"], request["args"]["count"]) == ("sub_calls", 5)
    assert sorted(call["prompt"] for call in request["args"]["calls"]) == ["q0", "q1", "q2", "q3", "q4"]
    assert request["args"]["estimated_input_tokens"] > 0
    assert reviewed.asked.prompts == []
    run = await reviewed.decide(APPROVE)
    assert run.answer == ["Q0", "Q1", "Q2", "Q3", "Q4"]
    assert reviewed.asked.prompts == ["q0", "q1", "q2", "q3", "q4"]


@pytest.mark.parametrize(("most", "waits"), [(4, True), (5, False)])
async def test_calls_that_are_posted_together_pass_together_or_not_at_all(
    reviewed: Reviewed, most: int, waits: bool
) -> None:
    run = await reviewed.start([BATCH, "FINAL(x)"], f"calls>{most}")
    assert (run.status == "paused") is waits
    assert len(reviewed.asked.prompts) == (0 if waits else 5)


async def test_consecutive_calls_wait_each_time_the_number_of_the_gate_is_exceeded(reviewed: Reviewed) -> None:
    run = await reviewed.start(["x = [llm_query(f'q{i}') for i in range(7)]", "FINAL(len(x))"], "calls>2")
    waited = []
    while run.status == "paused":
        waited.append([call["prompt"] for call in requests(run)[0]["args"]["calls"]])
        run = await reviewed.decide(APPROVE)
    assert (waited, run.answer) == ([["q2"], ["q5"]], 7)
    assert run.usage["model_calls"] == 2 + 7


async def test_calls_from_threads_and_asyncio_wait_like_all_others(reviewed: Reviewed) -> None:
    cell = """
        from concurrent.futures import ThreadPoolExecutor
        import asyncio
        with ThreadPoolExecutor(3) as pool:
            x = list(pool.map(llm_query, "abc"))
        y = await asyncio.gather(*(allm_query(c) for c in "def"))
    """
    run = await reviewed.start([cell, "FINAL(x + y)"], "calls")
    assert requests(run)[0]["args"]["count"] == 3
    run = await reviewed.decide(APPROVE)
    assert requests(run)[0]["args"]["count"] == 3
    assert (await reviewed.decide(APPROVE)).answer == list("ABCDEF")


async def test_a_rejected_fan_out_raises_in_the_code_and_the_model_gets_the_reviewers_words(reviewed: Reviewed) -> None:
    await reviewed.start([CAREFUL, "FINAL(x)"], "calls")
    run = await reviewed.decide(reject("not these"))
    assert run.answer == "not these"
    assert "A reviewer did not let 2 sub-calls of this turn be made. Their words: not these" in reviewed.asked.roots[1]
    assert reviewed.asked.prompts == []


async def test_a_reviewer_may_answer_instead_of_a_model(reviewed: Reviewed) -> None:
    await reviewed.start(["x = llm_query('who?')", "FINAL(x)"], "calls")
    run = await reviewed.decide(respond("Ada"))
    assert (run.answer, reviewed.asked.prompts) == ("Ada", [])
    async with reviewed.open() as runner:
        [call] = await runner.queries.calls(reviewed.thread)
        assert (call.to_json()["model"], call.to_json()["answer"]) == ("person", "Ada")


@pytest.mark.parametrize(("words", "answer"), [("[1, 2]", [1, 2]), ("two", "not as the schema asks")])
async def test_a_reviewers_answer_to_a_typed_call_must_match_its_schema(
    reviewed: Reviewed, words: str, answer: object
) -> None:
    cell = """
        try:
            x = llm_query('which?', schema={"type": "array"})
        except CallsRejected as no:
            x = str(no)
    """
    await reviewed.start([cell, "FINAL(x)"], "calls")
    run = await reviewed.decide(respond(words))
    assert run.answer == answer or str(answer) in run.answer


async def test_an_edited_prompt_is_sent_instead_of_the_original(reviewed: Reviewed) -> None:
    run = await reviewed.start(["x = llm_query_batched(['a', 'b'])", "FINAL(x)"], "calls")
    key = next(call["key"] for call in requests(run)[0]["args"]["calls"] if call["prompt"] == "b")
    with pytest.raises(UsageError, match="not among"):
        await reviewed.decide(edit(calls=[{"key": "1:none:1", "prompt": "x"}]))
    run = await reviewed.decide(edit(calls=[{"key": key, "prompt": "better"}]))
    assert (run.answer, reviewed.asked.prompts) == (["A", "BETTER"], ["a", "better"])


async def test_a_decided_call_needs_no_new_decision_when_the_cell_runs_again(reviewed: Reviewed) -> None:
    cell = "x = llm_query('a')\ny = llm_query('b')"
    await reviewed.start([cell, "FINAL(x + y)"], "calls")
    run = await reviewed.decide(respond("one"))
    assert [call["prompt"] for call in requests(run)[0]["args"]["calls"]] == ["b"]
    assert (await reviewed.decide(APPROVE)).answer == "oneB"


async def test_equal_cached_calls_are_one_call_and_wait_as_one(reviewed: Reviewed) -> None:
    cell = "x = llm_query_batched(['same'] * 3, cache=True)"
    run = await reviewed.start([cell, "FINAL(x)"], "calls")
    assert names(run) == ["sub_calls"]
    run = await reviewed.decide(APPROVE)
    assert (run.answer, reviewed.asked.prompts) == (["SAME"] * 3, ["same"])


async def test_a_call_that_is_sent_back_as_it_was_shown_is_not_edited(reviewed: Reviewed) -> None:
    """A form sends back every call; only the one that was changed is edited."""
    run = await reviewed.start(["FINAL([len(x) for x in llm_query_batched(['a' * 5_000, 'b'])])"], "calls")
    shown = requests(run)[0]["args"]["calls"]
    changed = [{**call, "prompt": "other"} if call["prompt"] == "b" else call for call in shown]
    run = await reviewed.decide(edit(calls=changed))
    assert run.answer == [5_000, len("other")]
    assert reviewed.asked.prompts == ["a" * 5_000, "other"]
