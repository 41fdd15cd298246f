"""Reads the passages that an answer cites, with the text around them, for `rlm show --citations`."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..matching.markers import MARKER
from ..nodes.evidence.citations import citations_of
from ..state.errors import StoredDataDamaged, UsageError
from ..state.evidence.citations import Citation
from ..state.evidence.stored_texts import StoredTexts
from ..state.stores import Stores
from .checkpoints import Checkpoints, state_at

if TYPE_CHECKING:
    from ..state.run_state import RunState

_LONGEST_CLAIM = 600
"""Characters of an answer that are shown beside a citation."""
_AROUND = 400
"""Characters that are read before and after a passage."""
_SENTENCE_ENDS = ("\n", ". ", "! ", "? ")
_LINES = 3
"""Lines of them that are shown, with that in which the passage begins or ends."""


async def cited_passages(stores: Stores, state: "RunState", number: int | None) -> list[dict[str, Any]]:
    """Return the citations of the answer, or of one that waits for approval, with the text around each.

    Raises UsageError when there is none of this number, StoredDataDamaged.
    """
    citations = await citations_of(state.get("answer") or state.get("final"), stores.texts)
    chosen = [one for one in citations if number is None or one["id"] == number]
    if number is not None and not chosen:
        known = f"It cites {len(citations):,}: `rlm show --citations`." if citations else "It cites nothing."
        raise UsageError(f"The answer has no citation [^{number}].", hint=known)
    return await asyncio.to_thread(_with_surroundings, stores, state, chosen)


class AnswerCited(NamedTuple):
    """An answer, or one that waits for approval, with its citations."""

    text: str
    """Its text, or its JSON; empty when there is none."""
    citations: list[Citation]

    def claim(self, number: int) -> str:
        """Return what the answer says where it cites by this number, at most some hundred characters; else empty."""
        found = next((one for one in MARKER.finditer(self.text) if one[1] == str(number)), None)
        if found is None:
            return ""
        before = self.text[max(0, found.start() - _LONGEST_CLAIM) : found.start()].rstrip()
        after = self.text[found.end() : found.end() + _LONGEST_CLAIM]
        # A sentence: from the end of the one before, or the beginning of the line, to its own end.
        begin = max((before.rfind(end) + len(end) for end in _SENTENCE_ENDS if end in before), default=0)
        ends = [at + 1 for end in _SENTENCE_ENDS if (at := after.find(end)) >= 0]
        said = MARKER.sub("", before[begin:] + after[: min(ends, default=len(after))]).strip()
        # A row of a Markdown table.
        return " · ".join(cell.strip() for cell in said.strip("|").split("|")) if said.startswith("|") else said


NO_ANSWER = AnswerCited("", [])


async def answer_cited(stores: Stores, checkpoints: Checkpoints, thread_id: str) -> AnswerCited:
    """Return the answer of a run with its citations, as it is now. Raises UnknownThread, StoredDataDamaged."""
    row = await stores.threads.look(thread_id)
    state = (await state_at(stores, checkpoints, row, None)).state
    answer = state.get("answer") or state.get("final")
    if not answer:
        return NO_ANSWER
    return AnswerCited(await stores.texts.get_or_damage(answer["text"]), await citations_of(answer, stores.texts))


def _with_surroundings(stores: Stores, state: "RunState", citations: Sequence[Citation]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [{**one, "before": None, "after": None} for one in citations]
    places: defaultdict[str, list[int]] = defaultdict(list)
    for at, one in enumerate(citations):
        if one["verified"]:
            places[one["document"]].append(at)
    try:
        texts = StoredTexts.of(state.get("context_ref"), stores.blobs, places.keys())
        for name, here in places.items():
            chars = text.chars if (text := texts.get(name)) else 0
            starts = [(max(0, found[at]["start"] - _AROUND), min(found[at]["start"], chars)) for at in here]
            ends = [(min(found[at]["end"], chars), min(chars, found[at]["end"] + _AROUND)) for at in here]
            parts = texts.parts(name, [*starts, *ends]) if text else [""] * 2 * len(here)
            for at, before, after in zip(here, parts[: len(here)], parts[len(here) :], strict=True):
                found[at]["before"] = "\n".join(before.split("\n")[-_LINES:])
                found[at]["after"] = "\n".join(after.split("\n")[:_LINES])
    except OSError as error:
        raise StoredDataDamaged(f"The run's stored input cannot be read: {error}.", hint="Run `rlm verify`.") from error
    return found
