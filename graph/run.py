"""The result of a run, as callers and `--json` see it."""

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from ..state.blobs.texts import Texts
from ..state.errors import RlmError
from ..state.run_state import AnswerRef, RestoreRecord, RunState, Usage, as_usage
from ..state.usage import UsageTotals
from .exit_status import EXIT_CODES, RunStatus

NO_USAGE: Usage = as_usage(UsageTotals())


@dataclass(frozen=True)
class Run:
    """The status and result of a run, as `Runner.run` and its other methods return it."""

    thread_id: str
    status: RunStatus
    answer: Any = None
    """The answer: a text, or the JSON value that the code finished with."""
    citations: list[Any] = field(default_factory=list)
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    usage: Usage = field(default_factory=lambda: NO_USAGE)
    turns: int = 0
    steps: int = 0
    error: dict[str, str] | None = None
    """`{"type", "message", "hint"}` when it failed or could not continue."""
    restore: RestoreRecord | None = None
    """The last restore of the REPL in this execution; None when there was none."""

    @property
    def exit_code(self) -> int:
        """The exit code for the status."""
        return EXIT_CODES[self.status]

    def to_json(self) -> dict[str, Any]:
        """Return the document that `--json` prints."""
        return asdict(self)


def error_facts(error: RlmError) -> dict[str, str]:
    """Return an error as `--json` shows it."""
    return {"type": error.type, "message": error.message, "hint": error.hint}


def spent_message(note: str) -> str:
    """Return the note of a run whose budget is spent, as a sentence."""
    return f"{note[0].upper()}{note[1:]}." if note else "The budget is spent."


async def answer_of(state: RunState, texts: Texts) -> Any:
    """Return the settled answer, or None while there is none."""
    reference: AnswerRef | None = state.get("answer")
    if reference is None:
        return None
    text = await texts.get(reference["text"])
    return json.loads(text) if reference["typed"] else text
