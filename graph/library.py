"""Reading what is saved: runs, their steps and calls. Nothing here runs, pays or changes anything."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..nodes.hands import Stores
from ..state.errors import UnknownThread
from ..state.journal import CallRow, Spent
from ..state.schema import Usage
from ..state.threads import Step, Thread


@dataclass(frozen=True)
class Call:
    """A sub-call with its texts."""

    row: CallRow
    prompt: str
    answer: str | None

    def to_json(self) -> dict[str, Any]:
        """The object that `rlm calls --json` prints."""
        row = self.row
        open_row = row.status == "asked"
        return {
            "key": row.key,
            "turn": row.turn,
            "depth": row.depth,
            "kind": row.kind,
            "model": row.model,
            "prompt": self.prompt,
            "answer": self.answer,
            "error": "under way when its process ended: may have been billed" if open_row else row.error,
            "tokens": row.tokens,
            "seconds": row.seconds,
            "reused": row.reused > 0,
            "child_thread": row.child_thread,
        }


class Library:
    """The runs of one home."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores

    async def resolve(self, name: str) -> str:
        """The thread called `name`, or the only one whose id begins with it. Raises UnknownThread."""
        if await self._stores.threads.find(name):
            return name
        found = await self._stores.threads.named_like(name) if len(name) >= 4 else []
        if len(found) == 1:
            return found[0]
        if found:
            raise UnknownThread(f"{len(found)} runs begin with {name}.", hint="Give more of the name.")
        raise UnknownThread(f"There is no run named {name} here.", hint="`rlm list` shows those there are.")

    async def runs(self) -> list[dict[str, Any]]:
        """Every run as `rlm list --json` prints it, the one touched last first."""
        rows = await self._stores.threads.all()
        alive = await self._stores.leases.holder_alive([row.thread_id for row in rows if row.status == "running"])
        spent = await self._stores.journal.spent_of_all()
        return [_listed(row, row.thread_id in alive, spent.get(row.thread_id, Spent())) for row in rows]

    async def steps(self, thread: str) -> list[dict[str, Any]]:
        """The steps of a run in saved order, as `rlm steps --json` prints them."""
        return [_step(step) for step in await self._stores.threads.steps(await self.resolve(thread))]

    async def count_steps(self, thread_id: str) -> int:
        """How many steps the run has."""
        return await self._stores.threads.count_steps(thread_id)

    async def calls(self, thread: str) -> list[Call]:
        """The sub-calls of a run, oldest first, with their texts."""
        rows = await self._stores.journal.rows(await self.resolve(thread))
        texts = self._stores.texts
        return [
            Call(row, await texts.get(row.prompt), await texts.get(row.answer) if row.answer else None) for row in rows
        ]

    async def usage(self, thread_id: str) -> Usage:
        """What the run has spent."""
        return as_usage(await self._stores.journal.spent(thread_id))


def as_usage(spent: Spent) -> Usage:
    """Sums as the state and `--json` show them."""
    return {
        "model_calls": spent.model_calls,
        "reused_calls": spent.reused_calls,
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "cost_usd": None if spent.cost is None else round(spent.cost, 6),
    }


def _listed(row: Thread, alive: bool, spent: Spent) -> dict[str, Any]:
    status = row.status
    if status == "running":
        status = "busy" if alive else "stopped"
    return {
        "thread_id": row.thread_id,
        "status": status,
        "question": row.question,
        "parent": row.parent,
        "model": row.model,
        "turns": row.turns,
        "model_calls": spent.model_calls,
        "cost_usd": as_usage(spent)["cost_usd"],
        "updated": _time(row.updated),
    }


def _step(step: Step) -> dict[str, Any]:
    return {
        "step": step.step,
        "kind": step.kind,
        "turn": step.turn,
        "created": _time(step.created),
        "checkpoint_id": step.checkpoint_id,
        "summary": step.summary,
    }


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
