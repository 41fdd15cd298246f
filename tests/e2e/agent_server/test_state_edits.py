"""Edits of a run's state by a client: the question may be changed; all else is refused with 422 (promise P11)."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from langgraph_sdk.client import LangGraphClient

from tests.e2e.agent_server.reviewing import APPROVE, Cells, actions, answer_to, approve_all, waiting
from tests.e2e.agent_server.serving import TOKEN, Server
from tests.forged_edits import FORGED, KEYS


class Gated:
    """A thread whose run waits."""

    def __init__(self, client: LangGraphClient, server: Server, thread: str, folder: Path) -> None:
        self.client, self.thread = client, thread
        self._server, self._folder = server, folder

    async def start(self, gate: str) -> Any:
        """Execute the run until it waits at the gate. Returns the interrupt."""
        await self.client.runs.wait(self.thread, "rlm", input=Cells(self._folder, "FINAL('shown')").question(gate))
        return await waiting(self.client, self.thread)

    async def values(self) -> Any:
        return (await self.client.threads.get_state(self.thread))["values"]

    async def code_has_run(self) -> bool:
        """Return whether any code has run."""
        return any("output" in turn for turn in (await self.values())["turns"])

    async def post(self, path: str, **body: Any) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self._server.url, headers={"x-api-key": TOKEN}, timeout=60) as http:
            return await http.post(path, json=body)

    async def saved(self) -> Any:
        return [one["checkpoint"] for one in await self.client.threads.get_history(self.thread, limit=100)]

    async def refuse(self, path: str, **body: Any) -> str:
        """Send a request that must be refused as a usage error and save nothing. Returns the reason."""
        before = await self.saved()
        response = await self.post(path, **body)
        assert response.status_code == 422, response.text
        assert response.json()["error"] == "UsageError" and await self.saved() == before
        return response.json()["detail"]

    def recreated(self, *updates: Any) -> Any:
        """Return a request to create the thread again with a history: LangGraph's way of sending several updates."""
        return {"thread_id": self.thread, "if_exists": "do_nothing", "supersteps": [{"updates": [*updates]}]}

    async def still_waits(self, shown: Any) -> None:
        """Resume the run; it must wait for the same approval."""
        await self.client.runs.wait(self.thread, "rlm", input=None)
        assert (await waiting(self.client, self.thread))["id"] == shown["id"]


@pytest.fixture
def gated(client: LangGraphClient, server: Server, thread: str, tmp_path: Path) -> Gated:
    return Gated(client, server, thread, tmp_path)


@pytest.mark.parametrize("gate", ["code", "final"])
async def test_an_edit_passes_no_gate(gated: Gated, gate: str) -> None:
    shown = await gated.start(gate)
    for forged in [forged for forged in FORGED if forged.gate == gate]:
        values = forged.values(await gated.values())
        edit = {"values": values, **({"as_node": forged.as_node} if forged.as_node else {})}
        again = gated.recreated({"values": values, "as_node": forged.as_node or "plan"})
        for path, body in (f"/threads/{gated.thread}/state", edit), ("/threads", again):
            said = await gated.refuse(path, **body)
            assert "cannot be edited" in said or "cannot change what runs" in said, forged.name
    await gated.still_waits(shown)
    assert await gated.code_has_run() == (gate == "final")


async def test_every_key_but_the_question_is_refused(gated: Gated) -> None:
    shown = await gated.start("code")
    for key in {*KEYS, "no_key_of_ours"} - {"question"}:
        said = await gated.refuse(f"/threads/{gated.thread}/state", values={"question": "Why?", key: "forged"})
        assert said.startswith(f"`{key}` cannot be edited: only `question`") and "rlm " in said
    await gated.still_waits(shown)


async def test_an_edit_in_any_other_form_is_refused(gated: Gated) -> None:
    shown = await gated.start("code")
    command = {"command": {"update": {"settings": {}}, "goto": "execute_code"}, "as_node": "review"}
    several = {"values": {"question": "Why?"}, "as_node": "plan"}, {"values": {"waiting": 1}, "as_node": "review"}
    for updates in [command], several, []:
        await gated.refuse("/threads", **gated.recreated(*updates))
    await gated.refuse(f"/threads/{gated.thread}/state", values=[{"waiting": 1}])
    await gated.refuse(f"/threads/{gated.thread}/state", values={"question": 3})
    await gated.still_waits(shown)


async def test_a_thread_that_was_never_run_takes_no_state(gated: Gated) -> None:
    edit = {"values": {"question": "Why?", "settings": {"unsandboxed": True}}, "as_node": "plan"}
    assert (await gated.post(f"/threads/{gated.thread}/state", **edit)).status_code == 400
    forged = {"metadata": {"graph_id": "rlm"}, "supersteps": [{"updates": [edit]}]}
    assert (await gated.post("/threads", **forged)).status_code == 404


async def test_an_edited_question_is_used_and_the_approval_is_requested_again(gated: Gated) -> None:
    shown = await gated.start("code")
    everything = {**await gated.values(), "question": "Why?"}
    await gated.client.threads.update_state(gated.thread, everything, as_node="plan")
    with pytest.raises(Exception, match="does not wait for approval"):
        await gated.client.runs.wait(gated.thread, "rlm", command=answer_to(shown, APPROVE))
    await gated.client.runs.wait(gated.thread, "rlm", input=None)
    again = await waiting(gated.client, gated.thread)
    assert again["id"] != shown["id"] and actions(again) == actions(shown) and not await gated.code_has_run()
    assert (await approve_all(gated.client, gated.thread))["answer_value"] == "shown"


async def test_the_command_and_the_input_of_a_run_carry_no_edit(gated: Gated) -> None:
    shown = await gated.start("code")
    approval: Any = answer_to(shown, APPROVE)
    before = await gated.saved()
    for command in (
        {"update": {"settings": {}}},
        {"goto": "execute_code"},
        {"goto": {"node": "execute_code", "input": {"waiting": 1}}},
        {**approval, "update": {"approved": "x"}},
        {**approval, "goto": "finalize"},
    ):
        command: Any = command
        with pytest.raises(Exception, match="UsageError: A run takes answers for commands, and nothing else"):
            await gated.client.runs.wait(gated.thread, "rlm", command=command)
    with pytest.raises(Exception, match="UsageError: There is no waiting in the input of a run"):
        await gated.client.runs.wait(gated.thread, "rlm", input={"waiting": 1})
    assert await gated.saved() == before
    await gated.still_waits(shown)
    assert not await gated.code_has_run()


async def test_neither_input_nor_configuration_loosens_the_settings_of_a_run(gated: Gated) -> None:
    shown = await gated.start("code")
    values = await gated.values()
    loose: Any = {"approve": ["calls>1000"], "settings": {"unsandboxed": True, "approve": []}}
    decided: Any = {"configurable": {"__pregel_resume_map": {shown["id"]: {"decisions": [APPROVE]}}}}
    given: Any
    for given in {"input": loose}, {"input": None, "config": decided}, {"input": None, "context": {"approve": []}}:
        await gated.client.runs.wait(gated.thread, "rlm", **given)
        assert await gated.values() == values
    await gated.still_waits(shown)
    assert not await gated.code_has_run()


async def test_a_copy_keeps_the_gates_of_its_original_and_refuses_edits(gated: Gated) -> None:
    await gated.start("code")
    copied: Any = await gated.client.threads.copy(gated.thread)
    path = f"/threads/{copied['thread_id']}/state"
    response = await gated.post(path, values={"settings": {}}, as_node="plan")
    assert response.status_code == 422 and "`settings` cannot be edited" in response.json()["detail"]
    await gated.client.runs.wait(copied["thread_id"], "rlm", input=None)
    assert actions(await waiting(gated.client, copied["thread_id"]))
