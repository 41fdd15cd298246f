"""Checks again that what an answer cites as verified stands in the stored input."""

from collections.abc import Callable
from typing import NamedTuple

from ..blobs.store import Blobs
from ..errors import StoredDataDamaged
from ..evidence.citations import citations_in, faults_of
from ..evidence.stored_texts import StoredTexts
from ..input.context import ContextRef
from .verify_context import Checking


class _Cited(NamedTuple):
    id: int
    document: str
    start: int
    end: int
    quote: str


def check_citations(
    checking: Checking,
    blobs: Blobs,
    context: ContextRef | None,
    names: set[str],
    read: Callable[[str], str | None],
    place: str,
) -> None:
    """Report the verified citations in the stored lists `names` that are not in the input, and damaged lists.

    `read` returns a text, or None when it is damaged; lists and inputs that are damaged were reported before.
    """
    for name in sorted(names):
        text = read(name)
        if text is None:
            continue
        where, lost = f"the text {name[:12]}…", [f"the proof of what the answer{place} cites"]
        try:
            cited = [
                _Cited(one["id"], one["document"], one["start"], one["end"], one["quote"])
                for one in citations_in(text)
                if one["verified"]
            ]
            faults = faults_of(cited, StoredTexts.of(context, blobs, {one.document for one in cited}))
        except (ValueError, TypeError) as error:
            checking.problem("citation", f"the list{place}", f"cannot be understood ({error})", where, lost)
            continue
        except (StoredDataDamaged, OSError):
            continue
        for one, fault in zip(cited, faults, strict=True):
            checking.count("citation", len(one.quote.encode("utf-8", "replace")))
            if fault:
                checking.problem("citation", f"[^{one.id}]{place}", f"is not in the input: {fault}", where, lost)
