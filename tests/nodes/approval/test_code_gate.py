"""The gate `code`: code of the model runs only after a reviewer has approved it."""

import pytest

from durable_rlm.state.errors import UsageError
from tests.nodes.approval.waiting_run import APPROVE, Reviewed, edit, names, reject, requests, respond


async def test_code_waits_and_runs_once_it_is_approved(reviewed: Reviewed) -> None:
    run = await reviewed.start(["print(1)", "FINAL(2)"], "code")
    assert (run.status, run.exit_code, names(run)) == ("paused", 3, ["execute_code"])
    assert requests(run)[0]["args"] == {"code": "print(1)"}
    run = await reviewed.decide(APPROVE)
    assert requests(run)[0]["args"] == {"code": "FINAL(2)"}
    run = await reviewed.decide(APPROVE)
    assert (run.status, run.answer, run.usage["model_calls"]) == ("answered", 2, 2)


async def test_edited_code_runs_instead_and_is_sent_to_the_model_with_a_note(reviewed: Reviewed) -> None:
    await reviewed.start(["x = 1", "FINAL(x)"], "code")
    await reviewed.decide(edit(code="x = 41 + 1"))
    run = await reviewed.decide(APPROVE)
    assert run.answer == 42
    request = reviewed.asked.roots[1]
    assert "x = 41 + 1" in request
    assert "A reviewer replaced the code of this turn" in request


@pytest.mark.parametrize(
    ("decision", "note"),
    [
        (reject("too broad"), "A reviewer did not let this code run: go on another way. Their words: too broad"),
        (reject(), "A reviewer did not let this code run: go on another way."),
        (respond("the total is 7"), "A reviewer answered instead of running this code. Their words: the total is 7"),
    ],
)
async def test_rejected_code_does_not_run_and_the_model_gets_the_reason(
    reviewed: Reviewed, decision: dict[str, str], note: str
) -> None:
    await reviewed.start(["raise SystemExit('it ran')", "FINAL('other')"], "code")
    await reviewed.decide(decision)
    run = await reviewed.decide(APPROVE)
    assert run.answer == "other"
    assert note in reviewed.asked.roots[1]
    assert "[Turn 1] Nothing ran." in reviewed.asked.roots[1]


async def test_code_rejected_in_the_last_turn_ends_the_run(reviewed: Reviewed) -> None:
    await reviewed.start(["FINAL(1)"], "code", max_turns=1)
    run = await reviewed.decide(reject())
    assert (run.status, run.answer) == ("budget", None)


async def test_only_cells_to_which_a_policy_applies_wait(reviewed: Reviewed) -> None:
    cells = ["n = len(str(history))", "import socket", "FINAL(n > 0)"]
    run = await reviewed.start(cells, "code:imports", "code:writes")
    assert requests(run)[0]["args"] == {"code": "import socket"}
    assert "socket" in requests(run)[0]["description"]
    assert (await reviewed.decide(APPROVE)).answer is True


async def test_a_listed_import_needs_no_approval(reviewed: Reviewed) -> None:
    run = await reviewed.start(["import socket\nFINAL(1)"], "code:imports", allow_imports=["socket"])
    assert run.status == "answered"


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ([], "0 decisions for 1"),
        ([{"type": "allow"}], "no answer"),
        ([{"type": "respond"}], "takes words"),
        ([{"type": "edit"}], "edited_action"),
        ([edit(source="1")], "do not fit"),
        ([edit(code="for")], "not Python"),
        ([APPROVE, APPROVE], "2 decisions for 1"),
    ],
)
async def test_an_invalid_decision_is_refused_and_the_run_keeps_waiting(
    reviewed: Reviewed, answer: list[dict[str, str]], problem: str
) -> None:
    before = await reviewed.start(["FINAL(1)"], "code")
    with pytest.raises(UsageError, match=problem):
        await reviewed.decide(*answer)
    after = await reviewed.resume()
    assert (after.status, after.interrupts) == ("paused", before.interrupts)
