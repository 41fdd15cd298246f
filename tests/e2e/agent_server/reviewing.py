"""A run of the Agent Server that waits for approval, and its reviewer, who decides through LangGraph's SDK."""

from pathlib import Path
from typing import Any

from langgraph_sdk.client import LangGraphClient

from tests.e2e.agent_server.test_threads_both_ways import until
from tests.scripts import Asked, repl, write_script

APPROVE: dict[str, Any] = {"type": "approve"}


def edit(name: str, **args: Any) -> dict[str, Any]:
    return {"type": "edit", "edited_action": {"name": name, "args": args}}


def reject(words: str) -> dict[str, Any]:
    return {"type": "reject", "message": words}


def respond(words: str) -> dict[str, Any]:
    return {"type": "respond", "message": words}


def answer(*decisions: dict[str, Any]) -> Any:
    """Return the command that a client sends to decide the only interrupt."""
    return {"resume": {"decisions": list(decisions)}}


def answer_to(interrupt: Any, *decisions: dict[str, Any]) -> Any:
    """Return the command that a client sends to decide this interrupt alone."""
    return {"resume": {interrupt["id"]: {"decisions": list(decisions), "shown": interrupt["value"]["shown"]}}}


def actions(interrupt: Any) -> list[dict[str, Any]]:
    return interrupt["value"]["action_requests"]


class Cells:
    """A scripted model that writes these cells, one a turn, and records its requests."""

    def __init__(self, folder: Path, *cells: str, sub: str = "return prompt.upper()") -> None:
        self.name = write_script(folder / "cells.py", [repl(cell) for cell in cells], sub)
        self.asked = Asked(self.name)

    def question(self, *gates: str, **settings: Any) -> Any:
        """The input of a run with this model."""
        return {"question": "What?", "approve": list(gates), "settings": {"model": self.name, **settings}}


def ids(interrupts: Any) -> list[str]:
    return [one["id"] for one in interrupts]


async def waiting(client: LangGraphClient, thread: str) -> Any:
    """Return the interrupt: there is one, and each way in which a client lists interrupts shows the same."""
    state: Any = await client.threads.get_state(thread)
    [found] = state["interrupts"]

    async def listed() -> Any:
        of_thread: Any = await client.threads.get(thread)
        of_tasks = of_thread.get("interrupts") or {}
        return of_thread["status"], ids(one for of_task in of_tasks.values() for one in of_task)

    assert ids(one for task in state["tasks"] for one in task["interrupts"]) == [found["id"]]
    await until(listed, lambda said: said == ("interrupted", [found["id"]]))
    return found


async def approve_all(client: LangGraphClient, thread: str) -> Any:
    """Approve until the run waits no more. Returns its last values."""
    while True:
        shown = await waiting(client, thread)
        decided = answer_to(shown, *[APPROVE] * len(actions(shown)))
        result: Any = await client.runs.wait(thread, "rlm", command=decided)
        if "__interrupt__" not in result:
            return result
