"""Records of the call journal: a request before it is sent, its outcome, and a row as it is read again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from .db.corruption import Unreadable
from .reservations import NOTHING, Reservation
from .usage import NO_DETAILS, TokenDetails

RequestKind = Literal["root", "llm", "rlm"]
CallStatus = Literal["asked", "answered", "failed"]

SCHEMA = "schema"
"""The parameter of a call that has a schema: the hash of the schema as JSON; True in rows of earlier versions."""
CUT = "length"
"""The `error_kind` of an answer that was cut at the output limit."""
REVIEWER = "person"
"""The model of a call that a reviewer answered, or decided."""


class Attempt(NamedTuple):
    """One attempt at a request: when it was sent and when it ended, in seconds since 1970, and how it ended."""

    begun: float
    ended: float
    outcome: str
    """`answered`, or the kind of the failure."""


@dataclass(frozen=True)
class Entry:
    """A request before it is sent. `prompt` is the hash of a text."""

    key: str
    kind: RequestKind
    turn: int
    depth: int
    model: str
    prompt: str
    reserved: Reservation = NOTHING
    """The reservation for each attempt; nothing for a call that another run or a reviewer answers."""
    request: str = ""
    """The request's digest (`call_keys.request_digest`); empty for a call that a reviewer answers."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters that were asked for beside the prompt, as plain JSON."""
    messages: Sequence[tuple[str, str]] = ()
    """The roles of a root request's messages, and the hashes of their texts, as sent."""
    queued: float | None = None
    """The time at which code asked, in seconds since 1970."""
    line: int | None = None
    """The line of its block of code that led to it, from 1."""


@dataclass(frozen=True)
class Outcome:
    """The outcome of a request: `answer` is the hash of a text; without one, `error_kind` and `error` say why.

    With an answer, `error_kind` says what is wrong with it.
    """

    answer: str | None = None
    error_kind: str | None = None
    error: str | None = None
    known: int = 1
    """Attempts whose outcome is known; the fields below are their totals."""
    unsent: int = 0
    """Attempts that never reached the server."""
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None
    seconds: float = 0.0
    details: TokenDetails = NO_DETAILS
    streamed_calls: int = 0
    """Attempts with an unknown outcome of whose answers a part had arrived."""
    streamed_output: int = 0
    """The output tokens of those parts."""
    thoughts: str | None = None
    """The hash of the model's thoughts."""
    attempts: Sequence[Attempt] = ()
    """The attempts of this process, in order."""
    places: str | None = None
    """The parts of the input that were sent, as recorded (`evidence/recorded.py`); None when that is not known."""

    @property
    def status(self) -> CallStatus:
        return "answered" if self.answer is not None else "failed"


@dataclass(frozen=True)
class RecordedCall:
    """A settled row, as replay needs it."""

    key: str
    answer: str | None
    error_kind: str | None
    error: str | None
    thread_id: str = ""
    """The thread that the row belongs to: this one, or one that it was forked from."""
    child_thread: str | None = None
    """The run that gave the answer, if a run did, as of when the journal was opened."""
    kind: RequestKind = "llm"
    thoughts: str | None = None
    """The hash of the model's thoughts."""


@dataclass(frozen=True)
class CallRow:
    """One row, as `rlm calls` shows it. `prompt` and `answer` are hashes of texts."""

    seq: int
    key: str
    kind: RequestKind
    turn: int
    depth: int
    model: str
    prompt: str
    status: CallStatus
    answer: str | None
    error: str | None
    seconds: float
    reused: int
    child_thread: str | None
    uncertain_tokens: int = 0
    """The most tokens that attempts with an unknown outcome may have taken."""
    attempts: int = 0
    """Requests that were sent for it, whatever their outcome."""
    input_tokens: int = 0
    output_tokens: int = 0
    details: TokenDetails = NO_DETAILS
    cost: float | None = None
    queued: float | None = None
    """The time at which code asked, in seconds since 1970; None in rows of earlier formats."""
    begun: float | None = None
    """The time at which the first attempt was sent, in seconds since 1970."""
    attempt_log: tuple[Attempt, ...] = ()
    """The attempts that ended before their process did."""
    parameters: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Parameters that were asked for beside the prompt, as far as they were given."""
    thoughts: str | None = None
    """The hash of the model's thoughts."""
    line: int | None = None
    """The line of its block of code that led to it, from 1."""
    error_kind: str | None = None
    """The kind of its failure; of an answer, what is wrong with it (`CUT`)."""
    held_cost: float | None = 0.0
    """The most dollars that attempts with an unknown outcome may have cost; None when a price is unknown."""
    of_earlier_format: bool = False
    """True when the row was written before requests and parameters were recorded."""
    damage: str | None = None
    """The reason why the row is damaged. The other fields are then for display only."""

    @property
    def tokens(self) -> int:
        """Tokens of attempts with a known outcome, input and output together."""
        return self.input_tokens + self.output_tokens

    @property
    def queue(self) -> float | None:
        """Seconds from asking to the first attempt; None when that is not known."""
        return None if self.queued is None or self.begun is None else self.begun - self.queued

    @property
    def is_cut(self) -> bool:
        """True when the answer was cut off at the output limit."""
        return self.status == "answered" and self.error_kind == CUT


CALL_COLUMNS = (
    "seq, key, kind, turn, depth, model, prompt, status, answer, error, seconds, reused, child_thread, "
    "uncertain_tokens, attempts, input_tokens, output_tokens, cached_tokens, cache_write_tokens, thought_tokens, cost, "
    "queued, created, attempt_log, parameters, thoughts, line, error_kind, uncertain_cost, request IS NULL"
)
"""The columns of a row of `calls`, as `call_row` reads them."""
_DETAILS = slice(17, 20)


def call_row(values: Sequence[Any]) -> CallRow:
    """Return an intact row, selected as `CALL_COLUMNS`."""
    *before, log, parameters, thoughts, line, error_kind, held, earlier = values
    details = TokenDetails(*before[_DETAILS])
    attempts = tuple(Attempt(*json.loads(line)) for line in (log or "").splitlines())
    before[_DETAILS] = [details]
    return CallRow(
        *before,
        attempt_log=attempts,
        parameters=json.loads(parameters or "{}"),
        thoughts=thoughts,
        line=line,
        error_kind=error_kind,
        held_cost=held,
        of_earlier_format=bool(earlier),
    )


def read_row(row: Sequence[Any]) -> CallRow:
    """Return a row, selected as `CALL_COLUMNS` and whether it is damaged; a damaged one as far as it can be read."""
    *values, damaged = row
    if not damaged:
        return call_row(values)
    seq, key, kind, turn, _, model, prompt, _, answer, *_ = values
    return replace(
        unreadable_row(Unreadable(seq, (key,), "it has changed on disk")),
        kind="rlm" if kind == "rlm" else "llm",
        turn=turn if isinstance(turn, int) else 0,
        model=str(model),
        prompt=str(prompt),
        answer=None if answer is None else str(answer),
    )


def unreadable_row(row: Unreadable) -> CallRow:
    """Return a row with what is known of a request whose row cannot be read."""
    damage = f"the record of this call is damaged: {row.why}"
    return CallRow(row.rowid, str(row.key[0]), "llm", 0, 0, "", "", "failed", None, None, 0.0, 0, None, damage=damage)
