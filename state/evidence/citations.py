"""Citations: passages of the input that an answer names, and the check of each against the stored input.

The kernel that names them is hostile. Nothing that it says counts: a citation is verified when its document exists, its
range lies within the document, and exactly the quoted words stand there. How the quotation in the answer differs from
these words (`how`) needs no check, because what is quoted here are the source's own.
"""

import json
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal, Protocol, cast

from typing_extensions import TypedDict

from ..call_keys import digest
from ..records import AnswerRef
from .stored_texts import StoredTexts

MOST = 10_000
"""Citations of one answer."""
MOST_CHARS = 16 << 20
"""Characters of the quotations of one answer together."""
Fault = Literal[
    "",
    "no document has this name",
    "the range lies outside of the document",
    "other words stand there",
    "another citation has this number",
]
"""The reason why a citation is not verified; empty when it is."""


class Citation(TypedDict):
    """A citation as it is stored, and as `--json` shows it. A wire format: saved runs contain it."""

    id: int
    """Its number: the marker in the answer is `[^3]`."""
    document: str
    """The document's name; empty for an input that is one text without a name."""
    start: int
    end: int
    """The range of the document's text, in characters."""
    line: int | None
    """The line in which it begins, from 1; this and what follows is None, or empty, when it is not verified."""
    column: int | None
    """The character of that line at which it begins, from 1."""
    page: int | None
    """The page or slide on which it begins, from 1; None without pages."""
    place: str
    """Its place for a reader: `contract.docx § 4.2 Term`, `prices.xlsx Sheet1!B7`, `a.py line 120`."""
    quote: str
    """The words of the document; of a citation that is not verified, the words that are not there."""
    how: str
    """The way in which the quotation in the code differs from them: `exact`, `folded`, …"""
    verified: bool
    """True when exactly these words stand there in the stored input."""


class Cited(Protocol):
    """The parts of a citation that are checked."""

    @property
    def id(self) -> int: ...
    @property
    def document(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...
    @property
    def quote(self) -> str: ...


def faults_of(cited: Sequence[Cited], texts: StoredTexts) -> list[Fault]:
    """Return the fault of each citation. `texts` has the documents that they name, if they exist.

    Each document is read once, in bounded memory. Raises OSError.
    """
    faults: list[Fault] = [""] * len(cited)
    by_document: defaultdict[str, list[int]] = defaultdict(list)
    first: dict[int, int] = {}
    for at, one in enumerate(cited):
        text = texts.get(one.document)
        if first.setdefault(one.id, at) != at:
            faults[at] = "another citation has this number"
        elif text is None:
            faults[at] = "no document has this name"
        elif not 0 <= one.start < one.end <= text.chars:
            faults[at] = "the range lies outside of the document"
        elif one.end - one.start != len(one.quote):
            faults[at] = "other words stand there"
        else:
            by_document[one.document].append(at)
    for name, places in by_document.items():
        parts = texts.parts(name, [(cited[at].start, cited[at].end) for at in places])
        for at, part in zip(places, parts, strict=True):
            if part != cited[at].quote:
                faults[at] = "other words stand there"
    return faults


def citations_text(citations: Sequence[Citation]) -> str:
    """Return the text in which the citations of an answer are stored."""
    # In ASCII, because a quotation that is not in the input may have characters that cannot be stored.
    return json.dumps(list(citations))


def citations_in(text: str) -> list[Citation]:
    """Return stored citations. Raises ValueError for a text that is not of this form."""
    try:
        found: Any = json.loads(text)
    except RecursionError as error:
        raise ValueError("a list of citations is not nested") from error
    if not isinstance(found, list) or not all(map(_is_citation, cast(list[Any], found))):
        raise ValueError("this is not a list of citations")
    return cast(list[Citation], found)


def _is_citation(one: Any) -> bool:
    return isinstance(one, dict) and one.keys() >= Citation.__required_keys__


def answer_digest(answer: AnswerRef) -> str:
    """Return what an approval of an answer is of: its text, and its citations, rows and files if it has any."""
    cited, table, files = answer.get("citations"), answer.get("table"), answer.get("files")
    if not (cited or table or files):
        return answer["text"]
    beside = [*(table or {"batches": []})["batches"], *([one["name"], one["hash"]] for one in files or ())]
    return digest("answer", answer["text"], cited or "", answer["typed"], beside)
