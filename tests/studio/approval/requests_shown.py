"""Sample runs that wait for approval."""

from collections.abc import Mapping
from typing import Any

from durable_rlm.graph.run import Run
from durable_rlm.studio.approval.requests import Cell, Pending, Request, Waiting, waiting_of

EVERYTHING = ["approve", "edit", "reject", "respond"]
CHILD = "1f2e3d4c-51f1-40ed-b9b8-ff86a7f17ae2"


def action(name: str, description: str = "why", thread: str = "t", turn: int = 3, **args: Any) -> dict[str, Any]:
    """Return an action request."""
    return {"name": name, "args": args, "description": description, "thread_id": thread, "turn": turn}


def code(text: str, **more: Any) -> dict[str, Any]:
    return action("execute_code", code=text, **more)


def calls(*prompts: str, count: int | None = None, chars: int | None = None, **more: Any) -> dict[str, Any]:
    samples = [
        {"key": f"3:{at}", "kind": "llm", "model": "openai:m", "prompt": prompt, "chars": chars or len(prompt)}
        for at, prompt in enumerate(prompts)
    ]
    numbers: dict[str, Any] = {
        "estimated_input_tokens": 4000,
        "output_tokens_at_most": 80_000,
        "estimated_cost_usd": 0.12,
    } | more
    return action("sub_calls", count=len(prompts) if count is None else count, calls=samples, **numbers)


def budget(resource: str = "calls", limit: float = 20, spent: float = 20) -> dict[str, Any]:
    return action("budget", resource=resource, limit=limit, spent=spent, waiting_calls=2)


def spend() -> dict[str, Any]:
    return action("spend", asked_at_usd=1.0, spent_usd=0.9, wanted_usd=1.25, up_to_usd=2.0)


def answer(value: Any) -> dict[str, Any]:
    return action("final_answer", answer=value)


def interrupt(*actions: dict[str, Any], name: str = "i1", **more: Any) -> dict[str, Any]:
    """Return an interrupt of these action requests."""
    names = dict.fromkeys(one["name"] for one in actions)
    allowed = {"spend": EVERYTHING[:3]}
    configs = [{"action_name": one, "allowed_decisions": allowed.get(one, EVERYTHING)} for one in names]
    usage = {"model_calls": 7, "reused_calls": 0, "input_tokens": 900, "output_tokens": 100, "cost_usd": 0.25}
    value = {"action_requests": list(actions), "review_configs": configs, "thread_id": "t", "turn": 3, "usage": usage}
    return {"id": name, "value": {**value, "shown": "of the run", **more}}


def paused(*interrupts: dict[str, Any]) -> Run:
    """Return a run that waits."""
    return Run("t", "paused", turns=3, interrupts=list(interrupts))


def pending(*actions: dict[str, Any], before: Mapping[tuple[str, int], Cell] | None = None) -> Pending:
    """Return a run that waits with one interrupt."""
    run = paused(interrupt(*actions))
    return Pending(run, tuple(waiting_of(run)), dict(before or {}))


def waiting(*actions: dict[str, Any]) -> Waiting:
    return pending(*actions).waiting[0]


def request(one: dict[str, Any]) -> Request:
    return waiting(one).requests[0]
