"""Reads what a run waits for with a person, without the run's process: its requests, and their sub-calls by pages."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from ..nodes.approval.call_listing import ListedCalls, listed_calls, prompts_of
from ..nodes.approval.requests import shown_digest
from ..state.approval_records import ActionRequest, DecisionType
from ..state.blobs.text_parts import TextReader
from ..state.errors import StoredDataDamaged, UsageError, cli_command
from ..state.stores import Stores
from .checkpoints import Checkpoints

BEGINNING = 8_000
"""The characters of a text that a page of sub-calls has, unless another number is given."""


@dataclass(frozen=True)
class WaitingAction:
    """One thing that is asked about."""

    name: str
    """`execute_code`, `sub_calls`, `spend`, `budget` or `final_answer`."""
    args: Mapping[str, Any]
    """Its arguments (`docs/reviewing.md`); of sub-calls without the calls, which `waiting_prompts` reads."""
    description: str
    thread_id: str
    """The run that asks: the one that waits, or a sub-RLM below it."""
    turn: int
    allowed: tuple[DecisionType, ...]

    @property
    def count(self) -> int:
        """The number of sub-calls that are asked about."""
        return int(self.args.get("count", 0)) if "listed" in self.args else 0


@dataclass(frozen=True)
class WaitingRequest:
    """A request of a run, which is decided as a whole: a decision for each of its actions."""

    id: str
    """Its interrupt (`--interrupt`)."""
    shown: str
    """The hash of all that it asks, every prompt included (`--shown`): a decision is bound to it."""
    thread_id: str
    turn: int
    actions: tuple[WaitingAction, ...]
    problem: str
    """The reason why the last answer to it was not accepted; empty if there was none."""


async def waiting_requests(checkpoints: Checkpoints, thread_id: str) -> list[WaitingRequest]:
    """Return the requests that a run waits with; none when it does not wait. Raises StoreError, StoredDataDamaged."""
    state = await checkpoints.aget_state({"configurable": {"thread_id": thread_id}})
    return requests_in(thread_id, state.interrupts)


def requests_in(thread_id: str, interrupts: Iterable[Any]) -> list[WaitingRequest]:
    """Return the requests that interrupts of a run hold. Raises StoredDataDamaged."""
    return [_request(thread_id, found.id, found.value) for found in interrupts]


def digest_of_request(value: Mapping[str, Any], thread_id: str) -> str:
    """Return the hash of a saved request, which a decision about it carries (`--shown`).

    It is made of the request itself, and not taken from it, so that it is a hash of what is shown.
    """
    named = str(value.get("thread_id") or thread_id)
    return shown_digest(value.get("action_requests", ()), value.get("review_configs", ()), named)


def _request(thread_id: str, interrupt: str, value: Any) -> WaitingRequest:
    try:
        configs = {one["action_name"]: tuple(one["allowed_decisions"]) for one in value["review_configs"]}
        return WaitingRequest(
            id=interrupt,
            shown=digest_of_request(value, thread_id),
            thread_id=str(value.get("thread_id") or thread_id),
            turn=int(value["turn"]),
            actions=tuple(_action(one, configs) for one in value["action_requests"]),
            problem=str(value.get("problem") or ""),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise StoredDataDamaged(
            f"What {thread_id} waits for cannot be read.", hint=f"Go on: {cli_command('resume', thread_id)}"
        ) from error


def _action(action: ActionRequest, configs: Mapping[str, tuple[DecisionType, ...]]) -> WaitingAction:
    return WaitingAction(
        name=action["name"],
        args={name: value for name, value in action["args"].items() if name != "calls"},
        description=action["description"],
        thread_id=action["thread_id"],
        turn=action["turn"],
        allowed=configs.get(action["name"], ()),
    )


async def waiting_prompts(
    stores: Stores, action: WaitingAction, first: int = 1, most: int = 50, *, cut_at: int = BEGINNING
) -> ListedCalls:
    """Return the `most` sub-calls of a request from number `first` on, counted from 1, with texts to `cut_at`.

    Each has `key`, `kind`, `model`, `prompt`, `chars` (of the whole prompt), `estimated_input_tokens`,
    `output_tokens_at_most`, `estimated_cost_usd` (None where the price is not known), and, where it has some,
    `max_tokens`, `schema` and `context`. Raises UsageError when there is no such call, StoredDataDamaged.
    """
    if not 1 <= first <= max(1, action.count):
        raise UsageError(f"There is no call {first} in this request.", hint=f"It has calls 1 to {action.count}.")
    if not action.count:
        return ListedCalls([], 0)
    text = await TextReader.of(stores.database, stores.blobs, str(action.args["listed"]))
    try:
        return await asyncio.to_thread(listed_calls, text, stores.blobs, first, most, cut_at)
    except (LookupError, TypeError, ValueError) as error:
        raise StoredDataDamaged("The list of the waiting calls cannot be read.", hint="Run `rlm verify`.") from error


async def hidden_in_prompts(stores: Stores, action: WaitingAction, characters: re.Pattern[str]) -> int:
    """Return the number of such single characters in all the prompts of a request. Raises StoredDataDamaged."""
    text = await TextReader.of(stores.database, stores.blobs, str(action.args["listed"]))
    return await asyncio.to_thread(lambda: sum(len(characters.findall(piece)) for piece in prompts_of(text)))
