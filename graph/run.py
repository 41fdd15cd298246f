"""The result of a run, as callers and `--json` see it."""

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..nodes.runtime.answers import load_answer
from ..state.blobs.texts import Texts
from ..state.errors import RlmError
from ..state.evidence.citations import Citation
from ..state.records import AnswerFile, RestoreRecord, Status, Usage, as_usage
from ..state.usage import UsageTotals
from ..state.wording import sentence
from .exit_status import EXIT_CODES, RunStatus

if TYPE_CHECKING:
    from ..state.run_state import RunState

NO_USAGE: Usage = {**as_usage(UsageTotals()), "coverage": None}


@dataclass(frozen=True)
class Run:
    """The status and result of a run, as `Runner.run` and its other methods return it."""

    thread_id: str
    """The name under which the run is saved."""
    status: RunStatus
    """The status now; a failed, paused or stopped run is returned, not raised."""
    answer: Any = None
    """The answer: a text, or the JSON value that the code finished with; None while there is none."""
    citations: list[Citation] = field(default_factory=list[Citation])
    """The passages of the input that the answer cites, by number, each checked against the stored input."""
    files: list[AnswerFile] = field(default_factory=list[AnswerFile])
    """The files that code has left in `answer_files/` of its scratch folder: path, size, and SHA-256 of each."""
    interrupts: list[dict[str, Any]] = field(default_factory=list)
    """Approval requests that wait for `Runner.decide`, each with an `id` and a `value` (`docs/reviewing.md`)."""
    usage: Usage = field(default_factory=lambda: NO_USAGE)
    """The usage of the run and of its sub-RLMs, over all executions."""
    turns: int = 0
    """The number of turns so far."""
    steps: int = 0
    """The number of saved steps."""
    error: dict[str, str] | None = None
    """`{"type", "message", "hint"}` when it failed, is busy or could not continue.

    `type` is the name of an error's class, or `BudgetSpent` when its budget is spent.
    """
    restore: RestoreRecord | None = None
    """The last restore of the REPL in this execution; None when there was none."""

    @property
    def exit_code(self) -> int:
        """The exit status of `rlm run`: answered 0, failed 1, paused 3, budget 4, busy 5, stopped 130."""
        return EXIT_CODES[self.status]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as a JSON object, as `rlm run --json` prints it."""
        return asdict(self)


class EndEvent(TypedDict):
    """The last event of `Runner.stream`."""

    event: Literal["end"]
    run: Run
    """The run, as `Runner.run` returns it."""


def error_facts(error: RlmError) -> dict[str, str]:
    """Return an error as `--json` shows it."""
    return {"type": error.type, "message": error.message, "hint": error.hint}


def unexpected(error: Exception) -> RlmError:
    """Return the error of a run that ended in a way that was not thought of."""
    return RlmError(f"Something unexpected went wrong: {type(error).__name__}: {error}")


def budget_error(note: str) -> dict[str, str]:
    """Return the error of a run whose budget is spent, as `--json` shows it; `note` says which budget."""
    return {"type": "BudgetSpent", "message": sentence(note or "the budget is spent"), "hint": ""}


def status_now(stored: Status, state: "RunState", *, alive: bool, waits: bool) -> RunStatus:
    """Return the status of a run: `alive` when a process executes it, `waits` when it has approval requests."""
    if state.get("status") == "answered":
        return "answered"
    if alive:
        return "busy"
    if waits and stored != "failed":
        return "paused"
    return "stopped" if stored == "running" else stored


def files_of(state: "RunState") -> list[AnswerFile]:
    """Return the files beside the settled answer, in the form of `Run.files`."""
    answer = state.get("answer")
    return [] if answer is None else [{**file} for file in answer.get("files", [])]


async def answer_of(state: "RunState", texts: Texts) -> Any:
    """Return the settled answer, or None while there is none."""
    answer = state.get("answer")
    return None if answer is None else await load_answer(answer, texts)
