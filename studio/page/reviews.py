"""Approval requests as the review screen shows them: what is asked, what is hidden in it, and what it would cost."""

import contextlib
import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from markupsafe import Markup

from ...graph.waiting_requests import WaitingAction, WaitingRequest, hidden_in_prompts, waiting_prompts
from ...state.errors import StoreError, UsageError
from ...state.saved_turns import steps_of_turn
from ...state.wording import counted
from ..approval import decisions
from ..approval.hidden_characters import marked, warning
from ..approval.listed_calls import parts_of
from ..approval.lookalikes import lookalike_warning, lookalikes
from ..approval.requests import Kind, purpose
from ..terminal.escape import HOSTILE
from .escaped import shown
from .home import PageHome
from .python_code import LONGEST, code_lines

CALLS_A_PAGE = 20
_MOST_LINES = 5_000
_TURNS_BACK = 3
_LEAST_SHARED, _MOST_SHARED = 20, 2_000
_MOST_EDITED = 200_000
"""Characters of an editable text beyond which it is edited by the command line."""
MOST_CODE = LONGEST
"""Characters of code, or of an answer, that are shown: more than replies of models usually have."""
MOST_SHOWN = 40_000
"""Characters of each text of a call that are shown."""


@dataclass(frozen=True)
class ShownCall:
    """A sub-call that waits, as it is shown: its texts, each under its heading."""

    parts: Sequence[tuple[str, str]]


@dataclass(frozen=True)
class ShownRequest:
    """One request as it is shown."""

    request: WaitingAction
    purpose: str
    warnings: Sequence[str]
    code: Sequence[Markup] = ()
    """The lines of the code that would run."""
    difference: Sequence[tuple[str, Markup]] = ()
    """The lines that differ from the cell before, each with `+`, `-`, `@` or a space."""
    before: int | None = None
    """The turn of the cell before, if the code is compared with one."""
    calls: Sequence[ShownCall] = ()
    """The sub-calls of one page."""
    count: int = 0
    shared: str = ""
    """The beginning that the prompts of the page have in common."""
    editable: str | None = None
    """The part that may be edited, as a text; None when nothing may be, or it is too long for a form."""


async def cell_before(home: PageHome, thread_id: str, turn: int) -> tuple[int, str] | None:
    """Return the turn and the code of the cell before that of a turn; None when the turns just before have none.

    What cannot be read is left out: that must not prevent a review.
    """
    for number in range(turn - 1, max(0, turn - 1 - _TURNS_BACK), -1):
        with contextlib.suppress(StoreError):
            saved = await steps_of_turn(home.stores.database, thread_id, number)
            blocks = [block for step in saved.steps for record in step.records for block in record.get("blocks", ())]
            if blocks:
                return number, "\n\n".join([await home.stores.texts.get_or_damage(block) for block in blocks])
    return None


async def shown_request(home: PageHome, request: WaitingAction, page: int) -> ShownRequest:
    """Return a request as it is shown, with the given page of its calls, from 1."""
    code = request.args.get("code")
    if request.name == "execute_code" and isinstance(code, str):
        return _code(request, code, await cell_before(home, request.thread_id, request.turn))
    if not request.count:
        answer = request.args.get("answer")
        said = _too_long(answer) if isinstance(answer, str) else ""
        return ShownRequest(request, purpose(request), warnings=[said] if said else (), editable=_editable(request))
    try:
        return await _calls(home, request, page)
    except StoreError as error:
        said = f"The sub-calls that wait cannot be shown: {error.message}"
        return ShownRequest(request, purpose(request), warnings=[said])


async def _calls(home: PageHome, request: WaitingAction, page: int) -> ShownRequest:
    last = -(-request.count // CALLS_A_PAGE)
    first = (min(page, last) - 1) * CALLS_A_PAGE + 1
    found = await waiting_prompts(home.stores, request, first, CALLS_A_PAGE, cut_at=MOST_SHOWN)
    same: dict[str, str] = {}
    parts = [tuple(parts_of(call, same)) for call in found.calls]
    hidden = [warning(marked(text).hidden) for call in parts for _, text in call]
    here = sum(len(HOSTILE.findall(str(call["prompt"]))) for call in found.calls)
    if more := await hidden_in_prompts(home.stores, request, HOSTILE) - here:
        said = (
            f"{counted(more, 'invisible or direction-changing character')} in prompts, or parts of them, that are not"
        )
        hidden.insert(0, f"{said} on this page")
    return ShownRequest(
        request=request,
        purpose=purpose(request),
        warnings=[one for one in dict.fromkeys(hidden) if one][:5],
        calls=[ShownCall(call) for call in parts],
        shared=_shared([call[0][1] for call in parts if call]),
        count=found.count,
        editable=_editable(replace(request, args={**request.args, "calls": found.calls})) if last == 1 else None,
    )


def _shared(prompts: Sequence[str]) -> str:
    """Return the words with which all the prompts begin, where that is worth saying."""
    if len(prompts) < 2:
        return ""
    # Whatever begins the first and the last of them in order begins all.
    first, last = min(prompts)[:_MOST_SHARED], max(prompts)[:_MOST_SHARED]
    same = next((at for at, (one, other) in enumerate(zip(first, last, strict=False)) if one != other), len(first))
    beginning = first[:same]
    words = beginning[: max(beginning.rfind(" "), beginning.rfind("\n")) + 1]
    return words if len(words) >= _LEAST_SHARED else ""


def _code(request: WaitingAction, code: str, before: tuple[int, str] | None) -> ShownRequest:
    seen = marked(code.rstrip("\r\n"), code=True)
    said = [warning(seen.hidden), lookalike_warning(lookalikes(seen.text)), _too_long(code)]
    if request.args.get("unsandboxed"):
        said.append("NOT SANDBOXED: this code can read, change and send whatever you can.")
    return ShownRequest(
        request=request,
        purpose=purpose(request),
        warnings=[one for one in said if one],
        code=code_lines(code, MOST_CODE),
        difference=_difference(before[1], code) if before else (),
        before=before[0] if before else None,
        editable=_editable(request),
    )


def _too_long(text: str) -> str:
    """Return a warning about a text that is too long to be shown whole; empty for others."""
    if len(text) <= MOST_CODE:
        return ""
    return f"Only the first {MOST_CODE:,} of {len(text):,} characters are shown. `rlm review` shows all of them."


def _difference(before: str, now: str) -> list[tuple[str, Markup]]:
    old, new = (text.replace("\r\n", "\n").rstrip("\n").split("\n") for text in (before, now))
    if max(len(old), len(new)) > _MOST_LINES:
        # Comparing takes time in proportion to the square of their number.
        return []
    lines = list(difflib.unified_diff(old, new, lineterm="", n=2))
    # The first two lines name files.
    return [(line[:1], shown(line[1:])) for line in lines[2:]]


def _editable(request: WaitingAction) -> str | None:
    if "edit" not in request.allowed:
        return None
    text = decisions.editable(request)[0]
    return text if len(text) <= _MOST_EDITED else None


def decision_flags(kind: Kind, words: str, waiting: WaitingRequest, edited: str | None) -> list[str]:
    """Return the flags with which `rlm review` takes a decision, bound to what was shown.

    `words` are those of a rejection or a response, `edited` is the file of an edit. Raises UsageError for a decision
    that is not allowed, and for words that are missing.
    """
    if not all(kind in request.allowed for request in waiting.actions):
        raise UsageError(f"{kind} is not possible here.", hint="Decide otherwise.")
    bound = [f"--interrupt={waiting.id}", f"--shown={waiting.shown}", "--detach"]
    if kind == "approve":
        return ["--approve", *bound]
    if kind == "edit":
        return [f"--edit={edited}", *bound]
    if not words.strip():
        raise UsageError(f"To {kind} needs words.", hint="The model gets what you write there.")
    return [f"--{kind}={words}", *bound]


def facts_of(request: WaitingAction) -> Mapping[str, Any]:
    """Return the numbers of a request: those of its arguments that are neither code nor calls."""
    return {
        name: value
        for name, value in request.args.items()
        if isinstance(value, int | float | str) and name not in ("code", "digest", "listed", "answer")
    }
