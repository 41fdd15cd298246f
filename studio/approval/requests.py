"""The approval requests of a run, read from its interrupts (LangChain's human-in-the-loop form) with the home open."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast, get_args

from ...state.errors import StoreError, UnknownThread
from ...state.wording import counted
from ..progress.text import dollars
from ..terminal.escape import safe_line

if TYPE_CHECKING:
    from ...graph.checkpoints import Checkpoints
    from ...graph.queries import RunQueries
    from ...graph.run import Run


Kind = Literal["approve", "edit", "reject", "respond"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class Asked(Protocol):
    """A request in any form: with its calls, as the command line has it, or without them, as the page has it."""

    @property
    def name(self) -> str: ...
    @property
    def args(self) -> Mapping[str, Any]: ...
    @property
    def turn(self) -> int: ...


@dataclass(frozen=True)
class Request:
    """One thing that a reviewer has to decide."""

    name: str
    args: Mapping[str, Any]
    description: str
    thread_id: str
    """The run that asks: the waiting run, or a sub-RLM of it."""
    turn: int
    allowed: tuple[Kind, ...]
    as_asked: Mapping[str, Any]
    """The action request as it was received."""


@dataclass(frozen=True)
class Waiting:
    """An interrupt, which is answered with a decision on each of its requests, all at once."""

    id: str
    shown: str
    """A hash over what is shown, which binds a decision to it."""
    thread_id: str
    turn: int
    usage: Mapping[str, Any]
    requests: tuple[Request, ...]
    problem: str = ""
    """The reason why the last answer to the same request was not accepted."""


def waiting_of(run: "Run") -> list[Waiting]:
    """Return the interrupts that the run waits for."""
    return [_waiting_in(found, run.thread_id, run.turns, run.usage) for found in run.interrupts]


def _waiting_in(found: Mapping[str, Any], thread_id: str, turns: int, usage: Mapping[str, Any]) -> Waiting:
    value = _mapping(found.get("value"))
    thread, turn = str(value.get("thread_id") or thread_id), int(value.get("turn") or turns)
    allowed: dict[str, tuple[Kind, ...]] = {}
    for config in value.get("review_configs") or []:
        said = config.get("allowed_decisions", KINDS)
        allowed[str(config.get("action_name"))] = tuple(kind for kind in KINDS if kind in said)
    requests = tuple(
        Request(
            str(one.get("name", "")),
            _mapping(one.get("args")),
            str(one.get("description") or ""),
            str(one.get("thread_id") or thread),
            int(one.get("turn") or turn),
            allowed.get(str(one.get("name", "")), KINDS),
            one,
        )
        for one in value.get("action_requests") or []
    )
    usage, problem = _mapping(value.get("usage")) or usage, str(value.get("problem") or "")
    return Waiting(str(found["id"]), _shown(value, thread), thread, turn, usage, requests, problem)


def _shown(value: Mapping[str, Any], thread: str) -> str:
    # Not the hash that came with the interrupt: the decision is about what was on the screen.
    from ...nodes.approval.requests import shown_digest

    return shown_digest(value.get("action_requests") or [], value.get("review_configs") or [], thread)


def _mapping(value: Any) -> Mapping[str, Any]:
    return cast(Mapping[str, Any], value) if isinstance(value, dict) else {}


def purpose(request: Asked) -> str:
    """Return the purpose of a request, as in `run the code of turn 3`. Safe to show."""
    args = request.args
    match request.name:
        case "execute_code":
            return f"run the code of turn {request.turn}"
        case "sub_calls":
            return f"make {counted(_count(args.get('count')), 'sub-call')} in turn {request.turn}"
        case "spend":
            return f"spend more than {dollars(_amount(args.get('asked_at_usd'))) or 'that'}"
        case "final_answer":
            return "answer"
        case "budget":
            return f"continue though its budget ({safe_line(str(args.get('resource', '')), 40)}) is spent"
        case other:
            return safe_line(other, 60)


def purposes(requests: Iterable[Request], most: int = 3) -> str:
    """Return the purposes of the requests in one line, of which at most `most` are named."""
    said = list(dict.fromkeys(purpose(one) for one in requests))
    more = [f"{len(said) - most} more"] if len(said) > most else []
    return ", ".join([*said[:most], *more])


def _count(value: Any) -> int:
    return value if isinstance(value, int) else 0


def _amount(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) else None


@dataclass(frozen=True)
class Cell:
    """The code of an earlier turn."""

    turn: int
    code: str


@dataclass(frozen=True)
class Pending:
    """A run that waits for a reviewer."""

    run: "Run"
    waiting: tuple[Waiting, ...]
    before: dict[tuple[str, int], Cell] = field(default_factory=dict[tuple[str, int], Cell])
    """The preceding cell, by thread and turn."""

    def cell_before(self, request: Request) -> Cell | None:
        """Return the cell before the code that a request is about, or None."""
        return self.before.get((request.thread_id, request.turn))


async def pending_of(queries: "RunQueries", checkpoints: "Checkpoints", run: "Run") -> Pending | None:
    """Return what the run waits for; None when it does not wait."""
    if run.status != "paused" or not run.interrupts:
        return None
    waiting = tuple(waiting_of(run))
    before: dict[tuple[str, int], Cell] = {}
    code = [request for one in waiting for request in one.requests if request.name == "execute_code"]
    for thread in dict.fromkeys(request.thread_id for request in code):
        cells = await _cells(queries, checkpoints, thread)
        for request in code:
            earlier = [cell for cell in cells if cell.turn < request.turn]
            if request.thread_id == thread and earlier:
                before[thread, request.turn] = earlier[-1]
    return Pending(run, waiting, before)


async def _cells(queries: "RunQueries", checkpoints: "Checkpoints", thread: str) -> list[Cell]:
    """Return the code of a run's turns; none if they cannot be read, because that must not prevent the review."""
    with contextlib.suppress(StoreError, UnknownThread):
        turns = (await queries.show(thread, checkpoints))["turns"]
        return [Cell(turn["turn"], "\n\n".join(turn["code"])) for turn in turns if turn["code"]]
    return []
