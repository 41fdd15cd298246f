"""The calls of a run by parts, for displays: sums by line, pages with the beginnings of texts, counts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from ..state import call_counts, call_sums
from ..state.blobs.text_parts import Part, beginnings
from ..state.call_counts import CallCounts
from ..state.call_pages import Asking, CallPages, Rank
from ..state.call_records import CallRow
from ..state.call_sums import LineSum, Took
from ..state.stores import Stores

BEGINNING = 8_000
"""The characters of a text that a page of calls reads."""
_LEAST_SHARED = 24
"""The characters from which on a beginning that prompts share is said apart."""


@dataclass(frozen=True)
class ShownCall:
    """A call of a page."""

    row: CallRow
    prompt: Part
    """The beginning of what was asked; of a request to the root model, of its last message."""
    answer: Part | None
    """The beginning of the answer; None while there is none, and when the call failed."""
    below: Took = field(default_factory=Took)
    """Tokens and cost of the sub-RLM that answers the call, with those below it."""
    shared: int = 0
    """The characters of the prompt with which the calls around it begin, too (`shared_beginnings`)."""

    @property
    def tokens(self) -> int:
        """Tokens of the call, those of its sub-RLM included."""
        return self.row.tokens + self.below.input_tokens + self.below.output_tokens

    @property
    def cost(self) -> float | None:
        """US dollars, those of its sub-RLM included; None when a price is unknown."""
        return None if self.row.cost is None or self.below.cost is None else self.row.cost + self.below.cost


@dataclass(frozen=True)
class ShownPage:
    """A page of calls, with the ranks of its neighbours (`state/call_pages.py`)."""

    calls: list[ShownCall]
    before: Rank | None
    after: Rank | None


async def line_sums(stores: Stores, thread_id: str, turn: int) -> list[LineSum]:
    """Return the sums of a turn's sub-calls by the line of code that made them (`state/call_sums.py`).

    Calls of which no line is recorded come last. Raises StoreError.
    """
    return await call_sums.line_sums(stores.database, thread_id, turn)


async def calls_page(stores: Stores, thread_id: str, asking: Asking, *, most: int = BEGINNING) -> ShownPage:
    """Return a page of a run's calls, with the first `most` characters of their texts. Raises StoreError.

    Texts of the page alone are read, and of long ones only the beginning.
    """
    page = await CallPages(stores.database).page(thread_id, asking)
    names = [name for row in page.rows for name in (row.prompt, row.answer) if name]
    texts = await beginnings(stores.database, stores.blobs, names, most)
    calls = [_shown(row, texts, page.below) for row in page.rows]
    return ShownPage(shared_beginnings(calls, by_line=asking.order == "made"), page.before, page.after)


def _shown(row: CallRow, texts: Mapping[str, Part], below: Mapping[str, Took]) -> ShownCall:
    prompt = Part("", damage=row.damage) if row.damage else texts[row.prompt]
    answer = None if row.damage or row.answer is None else texts[row.answer]
    return ShownCall(row, prompt, answer, below.get(row.child_thread or "", Took()))


def shared_beginnings(calls: Sequence[ShownCall], *, by_line: bool) -> list[ShownCall]:
    """Return the calls with how many characters of their prompts are a beginning that they share.

    `by_line`: calls that follow each other and were made by one line of code share one; else all calls of the page do.
    It ends behind white space, so that no word is cut.
    """
    shown: list[ShownCall] = []
    group: list[ShownCall] = []
    for call in calls:
        if group and by_line and _maker(group[-1]) != _maker(call):
            shown += _with_shared(group)
            group = []
        group.append(call)
    return shown + _with_shared(group)


def _maker(call: ShownCall) -> tuple[int, int | None, str]:
    return call.row.turn, call.row.line, call.row.kind


def _with_shared(group: Sequence[ShownCall]) -> list[ShownCall]:
    readable = [call.prompt.text for call in group if not call.prompt.damage]
    shared = len(_to_word(_common(min(readable), max(readable)))) if len(readable) > 1 else 0
    if shared < _LEAST_SHARED:
        return list(group)
    return [call if call.prompt.damage else replace(call, shared=shared) for call in group]


def _common(one: str, other: str) -> str:
    """Return the common beginning of two texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return one[: next((at for at, (left, right) in pairs if left != right), min(len(one), len(other)))]


def _to_word(text: str) -> str:
    """Return a text up to the last of its white space."""
    end = len(text)
    while end and not text[end - 1].isspace():
        end -= 1
    return text[:end]


async def calls_counted(stores: Stores, thread_id: str) -> CallCounts:
    """Return the numbers of a run's calls by kind, model and outcome. Raises StoreError."""
    return await call_counts.calls_counted(stores.database, thread_id)
