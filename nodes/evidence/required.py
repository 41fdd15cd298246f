"""`--require-citations`: whether all that an answer quotes is cited and found in the input; if not, what to write."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import Any

from ...matching.markers import MARKER
from ...matching.quotations import LEAST, find
from ...state.evidence.citations import Citation
from ..runtime.untrusted_text import shortened_line
from .citations import Checked
from .quoted_passages import fragments_of, passages_in, texts_in

MOST_SENT_BACK = 2
"""The number of times that an answer is sent back; the next one counts, and is marked."""
_SHOWN = 5
_WIDTH = 160
_BETWEEN = "\n\n\0\n\n"
_MOST_WORK = 200_000_000
"""Characters that are searched for passages which are not there letter by letter."""


def problems_of(
    value: Any, citations: Checked, question: str, batches: Callable[[], Iterable[bytes]] = list[bytes]
) -> list[str]:
    """Return what keeps an answer from being proved, each as a line for the model; the first ones of many.

    `batches` returns the rows of a table, as they are to be stored. A passage that the question itself has needs no
    citation. Takes time: for use in a thread.
    """
    found = list(islice(_problems([value], batches, citations, question), _SHOWN + 1))
    return found if len(found) <= _SHOWN else [*found[:_SHOWN], "and more of the kind"]


def _problems(
    value: list[Any], batches: Callable[[], Iterable[bytes]], citations: Checked, question: str
) -> Iterator[str]:
    if not citations:
        yield "it cites nothing"
    for one, fault in citations:
        if fault:
            where = f" ({shortened_line(one['document'], 80)})" if one["document"] else ""
            yield f'[^{one["id"]}]: {fault}{where}: "{shortened_line(one["quote"], _WIDTH)}"'
    known = {one["id"] for one, _ in citations}
    words = _Words([one for one, fault in citations if not fault], question)
    parts = chain(value, (json.loads(batch) for batch in batches()))
    for text in chain.from_iterable(map(texts_in, parts)):
        for number in dict.fromkeys(MARKER.findall(text)):
            if int(number) not in known:
                yield f"[^{number}] is the marker of no citation"
        for passage in passages_in(text):
            if not words.have(passage):
                yield f'it quotes what no citation has: "{shortened_line(passage, _WIDTH)}"'


class _Words:
    """The words that verified citations have."""

    def __init__(self, citations: Sequence[Citation], question: str) -> None:
        # Letters may change their case at the beginning of a quotation.
        # Nothing that is folded stands between two of them: half of one and half of another is no quotation.
        self._text = _BETWEEN.join([*(one["quote"] for one in citations), question]).casefold()
        self._work = 0

    def have(self, passage: str) -> bool:
        """Return whether all parts of a passage stand in them."""
        return all(self._has(part.casefold()) for part in fragments_of(passage) if sum(map(str.isalnum, part)) >= LEAST)

    def _has(self, part: str) -> bool:
        if part in self._text:
            return True
        self._work += len(self._text)
        return self._work <= _MOST_WORK and find(self._text, part) is not None


def sent_back(problems: Sequence[str], document: str) -> str:
    """Return the note to the model; `document`: the name of one, for the example."""
    named = f"context[{document!r}]" if document else "context"
    return (
        "FINAL was sent back: each quotation has to be cited and found in the input (--require-citations), and "
        f'{"; ".join(problems)}. Write c = cite({named}, "the words as they stand there") for each quotation, put '
        '{c} behind it, as in f"… {c}", and finish again with FINAL(text) or FINAL(value, citations=[c, …]). What the '
        "input does not say may not stand in quotation marks."
    )
