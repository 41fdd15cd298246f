"""The gate `final`: an answer ends the run only after a reviewer has accepted it."""

import pytest

from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests, respond


async def test_an_answer_waits_for_approval_and_then_ends_the_run(reviewed: Reviewed) -> None:
    run = await reviewed.start(["FINAL({'n': 3})"], "final")
    assert (run.answer, requests(run)[0]["args"]) == (None, {"answer": {"n": 3}})
    run = await reviewed.decide(APPROVE)
    assert (run.status, run.answer) == ("answered", {"n": 3})


@pytest.mark.parametrize("decision", [reject("count again"), respond("count again")])
async def test_an_answer_that_is_not_accepted_is_returned_to_the_model(
    reviewed: Reviewed, decision: dict[str, str]
) -> None:
    await reviewed.start(["FINAL(3)", "FINAL(4)"], "final")
    run = await reviewed.decide(decision)
    assert requests(run)[0]["args"] == {"answer": 4}
    assert "A reviewer did not accept the answer of this turn. Their words: count again" in reviewed.asked.roots[1]


async def test_an_edited_answer_becomes_the_answer_of_the_run(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(3)"], "final")
    run = await reviewed.decide(edit(answer=[5]))
    assert (run.status, run.answer) == ("answered", [5])
    async with reviewed.open() as runner:
        assert "a reviewer replaced the answer" in str(await runner.queries.steps(reviewed.thread))


async def test_an_edited_answer_must_match_the_schema_too(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(3)"], "final", schema={"type": "integer"})
    run = await reviewed.decide(edit(answer="three"))
    assert run.status == "paused"
    assert "does not match the schema" in run.interrupts[0]["value"]["problem"]
    assert (await reviewed.decide(edit(answer=4))).answer == 4


async def test_a_run_whose_answer_is_rejected_in_the_last_turn_ends_without_an_answer(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(3)"], "final", max_turns=1)
    run = await reviewed.decide(reject("no"))
    assert (run.status, run.answer) == ("budget", None)
    assert "did not accept the answer of its last turn" in str(run.error)


async def test_an_answer_of_one_call_waits_too_and_after_a_rejection_the_run_continues_with_code(
    reviewed: Reviewed,
) -> None:
    reviewed.folder.joinpath("m.py").write_text(
        "def root(messages):\n"
        "    if 'not accept' in messages[-1]['content']:\n        return '```repl\\nFINAL(2)\\n```'\n"
        "    return 'one'\n"
        "def sub(prompt): return ''\n"
    )
    run = await reviewed.run(f"scripted:{reviewed.folder}/m.py", "final", mode="auto")
    assert requests(run)[0]["args"] == {"answer": "one"}
    run = await reviewed.decide(reject("not enough"))
    assert (names(run), requests(run)[0]["args"]) == (["final_answer"], {"answer": 2})
    assert (await reviewed.decide(APPROVE)).answer == 2
