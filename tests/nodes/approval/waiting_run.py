"""A run and its reviewer. Each execution opens the home anew, so it knows only what was saved."""

from pathlib import Path
from typing import Any

from durable_rlm import Run, Runner
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import Asked, repl, write_script

APPROVE: dict[str, Any] = {"type": "approve"}


def reject(words: str = "") -> dict[str, Any]:
    return {"type": "reject", "message": words}


def respond(words: str) -> dict[str, Any]:
    return {"type": "respond", "message": words}


def edit(**args: Any) -> dict[str, Any]:
    return {"type": "edit", "edited_action": {"name": "any", "args": args}}


def requests(run: Run) -> list[dict[str, Any]]:
    """Return the action requests for which a run waits; an empty list if it does not wait."""
    return [action for found in run.interrupts for action in found["value"]["action_requests"]]


def names(run: Run) -> list[str]:
    return [action["name"] for action in requests(run)]


class Reviewed:
    """The run named `reviewed` in a home below a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.thread = "reviewed"

    async def start(self, cells: list[str], *gates: str, sub: str = "return prompt.upper()", **settings: Any) -> Run:
        """Start the run with these cells, one for each turn."""
        model = write_script(self.folder / "model.py", [repl(cell) for cell in cells], sub)
        self.asked = Asked(model)
        return await self.run(model, *gates, **settings)

    async def run(self, model: str, *gates: str, question: str = "What?", **settings: Any) -> Run:
        async with self.open() as runner:
            return await runner.run(question, model=model, thread=self.thread, approve=list(gates), **settings)

    async def decide(self, *decisions: dict[str, Any], **named: Any) -> Run:
        async with self.open() as runner:
            return await runner.decide(self.thread, list(decisions), **named)

    async def resume(self, **raises: Any) -> Run:
        async with self.open() as runner:
            return await runner.resume(self.thread, **raises)

    async def approve_all(self, run: Run) -> Run:
        """Approve all requests until the run does not wait any more."""
        while run.status == "paused":
            run = await self.decide(*[APPROVE] * len(requests(run)))
        return run

    def open(self) -> Any:
        return Runner.open(self.home, kernels=MemoryKernels())
