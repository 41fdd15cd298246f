"""The sub-calls of a run with their texts, as `rlm calls` shows them."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ..state.blobs.texts import Texts
from ..state.call_records import SCHEMA, Attempt, CallRow

_UNDER_WAY = "under way when its process ended: may have been billed"
_NOT_SENT = "no server was reached when its process ended: nothing was sent"
_NOT_ENDED = "its sub-RLM has not ended"


@dataclass(frozen=True)
class Call:
    """A sub-call with its texts."""

    row: CallRow
    """The journal's record: `key`, `turn`, `kind`, `model`, `status`, tokens, `seconds`, and more."""
    prompt: str
    """The text that was asked."""
    answer: str | None
    """The text that came back; None while there is none, and when the call failed."""
    damage: str | None = None
    """Why a text is not what was saved; it then replaces the text, in brackets."""
    thread_id: str = ""
    """The run whose code made the call."""
    thoughts: str | None = None
    """The model's thoughts before it answered, as far as the server showed them."""
    schema: Any = None
    """The JSON Schema that its answer had to match, as the code gave it. None without one, and in older rows."""
    tokens_below: int = 0
    """Tokens of the run that answers the call, and of the runs below that one."""

    def to_json(self) -> dict[str, Any]:
        """Return the object that `rlm calls --json` prints."""
        row = self.row
        error = _why_open(row) if row.status == "asked" else row.error
        return {
            "key": row.key,
            "turn": row.turn,
            "depth": row.depth,
            "kind": row.kind,
            "model": row.model,
            "prompt": self.prompt,
            "answer": self.answer,
            "error": self.damage or error,
            "tokens": row.tokens + self.tokens_below,
            "seconds": row.seconds,
            "reused": row.reused > 0,
            "child_thread": row.child_thread,
            "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens,
            "cached_tokens": row.details.cached_tokens,
            "thought_tokens": row.details.thought_tokens,
            "cost_usd": row.cost,
            "start": None if row.begun is None else time_text(row.begun),
            "queue": None if row.queue is None else round(row.queue, 3),
            "attempts": [_attempt(attempt) for attempt in row.attempt_log],
            "line": row.line,
            "thoughts": self.thoughts,
            "schema": self.schema,
        }


async def schema_of(row: CallRow, texts: Texts) -> Any:
    """Return the schema of a call; None without one, and where an earlier version kept none. Damage, in brackets."""
    if not isinstance(name := row.parameters.get(SCHEMA), str):
        return None
    text = await texts.get_or_damage(name)
    return text if text.startswith("[") else json.loads(text)


def _attempt(attempt: Attempt) -> dict[str, Any]:
    """Return an attempt at a call as `rlm calls --json` prints it."""
    seconds = round(attempt.ended - attempt.begun, 3)
    return {"start": time_text(attempt.begun), "seconds": seconds, "outcome": attempt.outcome}


def time_text(seconds: float) -> str:
    """Format a time in seconds since 1970 as ISO 8601 in UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _why_open(row: CallRow) -> str:
    """Return the reason why a call has no outcome yet."""
    if row.child_thread:
        return _NOT_ENDED
    if not row.attempts:
        return _NOT_SENT
    return f"{_UNDER_WAY}, for at most {row.uncertain_tokens:,} tokens"
