"""Only approved code runs (promise P11), whatever a client of the server does to a thread that waits."""

from pathlib import Path
from typing import Any

import pytest
from langgraph_sdk.client import LangGraphClient
from langgraph_sdk.errors import ConflictError, UnprocessableEntityError

from durable_rlm.state.call_keys import cell_digest
from tests.e2e.agent_server.reviewing import APPROVE, Cells, actions, answer, answer_to, approve_all, edit, waiting
from tests.e2e.agent_server.serving import Server, Waiting
from tests.e2e.agent_server.test_threads_both_ways import known


async def planned(client: LangGraphClient, thread: str) -> Any:
    """Return the state after the first cell was written and before its approval request."""
    history = await client.threads.get_history(thread, limit=100)
    return next(state for state in history if state["next"] == ["review"] and state["values"]["turn"] == 1)  # type: ignore[call-overload]


@pytest.mark.parametrize("as_node", ["plan", "review", "execute_code"])
async def test_code_is_not_replaced_while_it_waits_for_approval(
    client: LangGraphClient, thread: str, tmp_path: Path, as_node: str
) -> None:
    """The home already holds the other code: another run wrote it, and waits at it."""
    mark = tmp_path / "it-ran"
    swapped = f"import os\nopen({str(mark)!r}, 'w').close()\nFINAL('swapped')"
    model = Cells(tmp_path, "FINAL('shown')", sub="return 'x'")
    await client.runs.wait(thread, "rlm", input=model.question("code", unsandboxed=True))
    shown = await waiting(client, thread)
    other = (await client.threads.create())["thread_id"]
    (tmp_path / "other").mkdir()
    writer = Cells(tmp_path / "other", swapped)
    await client.runs.wait(other, "rlm", input=writer.question("code"))
    cell: Any = dict((await client.threads.get_state(other))["values"]["cell"])  # type: ignore[call-overload]
    assert cell["digest"] == cell_digest(1, cell["blocks"])
    for forged in {"cell": cell}, {"cell": cell, "approved": cell["digest"]}, {"cell": cell, "approved": None}:
        with pytest.raises(UnprocessableEntityError, match="cannot be edited: only `question`"):
            await client.threads.update_state(thread, forged, as_node=as_node)
    assert await waiting(client, thread) == shown
    result: Any = await client.runs.wait(thread, "rlm", command=answer_to(shown, APPROVE))
    assert (result["answer_value"], mark.exists()) == ("shown", False)


async def test_an_approval_is_used_once(client: LangGraphClient, thread: str, tmp_path: Path) -> None:
    await client.runs.wait(thread, "rlm", input=Cells(tmp_path, "x = 1", "FINAL(x)").question("code"))
    first = await waiting(client, thread)
    await client.runs.wait(thread, "rlm", command=answer_to(first, APPROVE))
    second = await waiting(client, thread)
    with pytest.raises(Exception, match=f"{first['id']} does not wait in {thread}: it was decided already"):
        await client.runs.wait(thread, "rlm", command=answer_to(first, APPROVE))
    # Resuming without a decision leaves it waiting at the same interrupt.
    for _ in range(2):
        await client.runs.wait(thread, "rlm", input=None)
        assert (await waiting(client, thread))["id"] == second["id"]
    assert (await approve_all(client, thread))["answer_value"] == 1
    with pytest.raises(Exception, match="does not wait for approval"):
        await client.runs.wait(thread, "rlm", command=answer(APPROVE))


async def test_history_shows_interrupts_and_a_decision_at_an_earlier_step_makes_a_branch(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    model = Cells(tmp_path, "x = llm_query('a')", "FINAL(x)")
    await client.runs.wait(thread, "rlm", input=model.question("code"))
    first = await waiting(client, thread)
    assert (await approve_all(client, thread))["answer_value"] == "A"
    before = await client.threads.get_history(thread, limit=100)
    waited = [state for state in before if state["interrupts"]]
    assert [actions(state["interrupts"][0])[0]["args"]["code"] for state in waited] == [
        "FINAL(x)",
        "x = llm_query('a')",
    ]
    paid = len(model.asked)
    # Back at the step before the first cell: approval is requested again; the old one belongs to the other branch.
    place: Any = (await planned(client, thread))["checkpoint"]
    await client.runs.wait(thread, "rlm", input=None, checkpoint=place)
    again = await waiting(client, thread)
    assert actions(again)[0]["args"] == actions(first)[0]["args"]
    decided = answer(edit("execute_code", code="x = llm_query('b')"))
    await client.runs.wait(thread, "rlm", command=decided)
    assert (await approve_all(client, thread))["answer_value"] == "B"
    assert model.asked.prompts == ["a", "b"] and len(model.asked) <= paid + 2
    after = await client.threads.get_history(thread, limit=100)
    ids = {state["checkpoint"]["checkpoint_id"] for state in after}
    assert {state["checkpoint"]["checkpoint_id"] for state in before} < ids, "earlier checkpoints are kept"


async def test_a_decision_cannot_be_repeated_at_its_own_step(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    """LangGraph would apply the approval that it has saved there, and drop the rejection without an error."""
    model = Cells(tmp_path, "x = 'first'", "FINAL(x)")
    await client.runs.wait(thread, "rlm", input=model.question("code"))
    shown = await waiting(client, thread)
    head: Any = (await client.threads.get_state(thread))["checkpoint"]
    # A page names the step that it shows, which is the last one.
    await client.runs.wait(thread, "rlm", command=answer_to(shown, APPROVE), checkpoint=head)
    await approve_all(client, thread)
    for again in answer(edit("execute_code", code="x = 'other'")), answer(APPROVE), answer_to(shown, APPROVE):
        with pytest.raises(Exception, match=f"{shown['id']} was decided already, at that step"):
            await client.runs.wait(thread, "rlm", command=again, checkpoint=head)
    await client.runs.wait(thread, "rlm", input=None, checkpoint=head)
    await client.runs.wait(thread, "rlm", command=answer(edit("execute_code", code="x = 'other'")))
    assert (await approve_all(client, thread))["answer_value"] == "other"


async def test_an_interrupt_of_an_older_branch_is_decided_on_that_branch(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    model = Cells(tmp_path, "x = 'first'", "FINAL(x)")
    await client.runs.wait(thread, "rlm", input=model.question("code"))
    older, place = await waiting(client, thread), await planned(client, thread)
    edited = {"question": "What, on a newer branch?"}
    await client.threads.update_state(thread, edited, checkpoint=place["checkpoint"], as_node="plan")
    await client.runs.wait(thread, "rlm", input=None)
    assert (await waiting(client, thread))["id"] != older["id"]
    await client.runs.wait(thread, "rlm", command=answer_to(older, APPROVE), checkpoint=place["checkpoint"])
    assert actions(await waiting(client, thread))[0]["args"] == {"code": "FINAL(x)"}
    assert (await approve_all(client, thread))["answer_value"] == "first"


async def test_a_copy_of_a_waiting_thread_waits_by_itself(
    client: LangGraphClient, server: Server, thread: str, tmp_path: Path
) -> None:
    model = Cells(tmp_path, "FINAL(llm_query('a'))")
    await client.runs.wait(thread, "rlm", input=model.question("code"))
    shown = await waiting(client, thread)
    copied: Any = await client.threads.copy(thread)
    copy = copied["thread_id"]
    await client.runs.wait(copy, "rlm", input=None)
    with pytest.raises(Exception, match=r"does not wait|not what waits now"):
        await client.runs.wait(copy, "rlm", command=answer_to(shown, APPROVE))
    for one in thread, copy:
        assert (await approve_all(client, one))["answer_value"] == "A"
    assert model.asked.prompts == ["a"], "a fork does not pay again for what it shares"


async def test_a_run_cancelled_after_an_approval_resumes_without_asking_again(
    client: LangGraphClient, thread: str, tmp_path: Path
) -> None:
    model = Waiting(tmp_path, "waits")
    given: Any = {"question": "What?", "approve": ["code"], "settings": {"model": model.name}}
    await client.runs.wait(thread, "rlm", input=given)
    await client.runs.wait(thread, "rlm", command=answer(APPROVE))
    last = await waiting(client, thread)
    run = await client.runs.create(thread, "rlm", command=answer_to(last, APPROVE))
    await model.until_asked()
    with pytest.raises(ConflictError):
        await client.threads.update_state(thread, {"question": "Why?"})
    await client.runs.cancel(thread, run["run_id"], wait=True)
    stopped: Any = await known(client, thread, "interrupted")
    assert not stopped["interrupts"] and not (await client.threads.get_state(thread))["interrupts"]
    model.answer_from_now_on()
    result: Any = await client.runs.wait(thread, "rlm", input=None)
    assert (result["status"], result["answer_value"]) == ("answered", "AB")
    assert (model.asked.prompts, len(model.asked.roots)) == (["a", "b", "b"], 2)
