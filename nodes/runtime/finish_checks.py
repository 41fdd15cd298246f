"""Check a cell's final value before it ends the run: what is no answer is refused, what may be none is held back once.

Models end runs with a placeholder (`FINAL(...)`), with a generator, with nothing, or with an output that they invented:
a reply with code, the output that they expect of it, and a second block that finishes with that. Or they answer from
memory, in turn 1, without a look at the input.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from ...kernel.results import CellResult, Final
from ...state.blobs.store import content_hash
from ...state.blobs.texts import Texts
from ...state.call_keys import written
from ...state.run_state import CellRef, RunState
from ..replies.extract_code import narrates_between_blocks
from .context_reads import reads_context
from .turns import turns_of
from .untrusted_text import shortened_line

_NO_ANSWERS = frozenset(
    {"ellipsis", "generator", "async_generator", "coroutine", "module", "function", "builtin_function_or_method"}
    | {"method", "type", "Future", "Task", "_GatheringFuture", "map", "filter", "zip", "range_iterator"}
)
"""Types of values of which only a text like `<generator object …>` could be the answer."""
_FINISH = re.compile(r"\b(?:FINAL|FINAL_VAR|SUBMIT)[ \t]?\(|\banswer\[")
_LONGEST_PROBLEM = 800
_CALL = re.compile(r"\ba?[lr]lm_query(_batched)?[ \t]?\(")


def refusal(final: Final) -> str | None:
    """Return the note to the model when a final value is no answer; None when it may be one."""
    if final.text_of not in _NO_ANSWERS:
        return None
    return (
        f"FINAL was refused: its value is a {final.text_of}, not an answer. Put the value itself into a variable, "
        'print it, and finish with FINAL_VAR("name").'
    )


class HeldBack(NamedTuple):
    """A final value that is held back for a turn."""

    note: str
    """The note to the model."""
    digest: str
    """The value's digest."""
    invented: bool = False
    """True when the reply had finished with an output that it invented."""


async def reason_to_hold(
    state: RunState, cell: CellRef, result: CellResult, final: Final, texts: Texts
) -> HeldBack | None:
    """Return why a finish is held back for a turn; None when it counts.

    Nothing is held back in the last turn, nor the same value a second time.
    """
    value = _digest(final)
    if state.get("last") or any(turn.get("held") == value for turn in turns_of(state)):
        return None
    if final.problem is not None:
        shown = shortened_line(final.problem, _LONGEST_PROBLEM)
        return HeldBack(
            f"FINAL was held back: {shown}. Change that and finish again, or finish with the same value if it is meant "
            "so.",
            value,
        )
    if final.table is None and (final.value is None or final.value == ""):
        return HeldBack("FINAL was held back: its value is empty. If that is the answer, finish with it again.", value)
    blocks = [await texts.get(block) for block in cell["blocks"]]
    if await _may_be_invented(state, cell, blocks, result, texts):
        return HeldBack(
            "FINAL was held back: it was written before the output above was there. Check the answer against it, and "
            "finish again.",
            value,
            invented=True,
        )
    if _is_unread(state, cell, blocks):
        return HeldBack(
            "FINAL was held back: nothing of `context` was read before it. Look at the input, and finish again, with "
            "the same value if it is right.",
            value,
        )
    return None


def _digest(final: Final) -> str:
    """Return a hash that is the same for the same value."""
    if final.table is not None and final.table.head is not None:
        return content_hash(final.table.head.to_json().encode())
    return content_hash(written(final.value).encode())


def _is_unread(state: RunState, cell: CellRef, blocks: Sequence[str]) -> bool:
    """Return whether the model's first turn finishes without a look at the input, although there is one."""
    context = state.get("context_ref")
    if cell["turn"] != 1 or context is None or not context["chars"]:
        return False
    return not any(turn.get("replaced") for turn in turns_of(state)) and not reads_context(blocks)


async def _may_be_invented(
    state: RunState, cell: CellRef, blocks: Sequence[str], result: CellResult, texts: Texts
) -> bool:
    """Return whether a later block of a reply finishes, text is before it, and an earlier block had an output."""
    if len(blocks) < 2 or _FINISH.search(blocks[0]) or not any(map(_FINISH.search, blocks[1:])):
        return False
    if not result.output.strip() and not any(map(_CALL.search, blocks[:-1])):
        return False
    reply = next((turn.get("reply") for turn in turns_of(state) if turn.get("number") == cell["turn"]), None)
    return reply is not None and narrates_between_blocks(await texts.get_or_damage(reply))
