"""Citations: passages of the input that an answer names by markers, `[^3]`.

The numbers given so far are plain data in the variable `_citations` of the REPL, which is saved like any other. So a
restored kernel gives the same passage the same number.
"""

from bisect import bisect_left
from collections.abc import Iterable, MutableMapping, Sequence
from heapq import nlargest
from threading import Lock
from typing import TYPE_CHECKING, Any

from durable_rlm.matching.markers import MARKER

from .cited_documents import Part, parts_of
from .context import Documents
from .place_parts import Section
from .placed import Placed
from .protocol import MAX_CITATIONS, MAX_CITED, MAX_QUOTE
from .variables import quoted

if TYPE_CHECKING:
    from durable_rlm.matching.quotations import Found

VARIABLE = "_citations"
"""The variable with the citations: `{number: [document, start, end, how]}`."""
_SHOWN = 200
"""Characters of a quotation and of the nearest passage in an error, at most."""
_SEARCHED = 500_000_000
"""Characters in which the nearest passage is searched for, at most."""
_THOROUGHLY = 20
"""Documents in which a quotation is searched for in every way, at most."""
_AROUND = 100_000
"""Characters on both sides of an offset in which occurrences are searched for first."""


class QuoteNotFound(LookupError):
    """A quotation is not in the document.

    `nearest` is the passage most like it, from `start` to `end` of `document`; empty when nothing is alike.
    """

    document = ""
    nearest = ""
    start = end = 0


class Citation:
    """A passage of a document: `.quote` (its own words), `.document` (the name), `.start`, `.end`, `.place`, `.how`.

    `str()` gives its marker, `[^3]`, to write behind the sentence that it supports. `.also` is the number of other
    documents in which it stands exactly.
    """

    __slots__ = ("also", "document", "end", "how", "id", "place", "quote", "start")

    def __init__(
        self, number: int, document: str, start: int, end: int, quote: str, how: str, place: str, also: int = 0
    ) -> None:
        """`how`: one of `matching.quotations.How`; `place`: the place of its first character in words."""
        self.id, self.document, self.start, self.end = number, document, start, end
        self.quote, self.how, self.place, self.also = quote, how, place, also

    @property
    def text(self) -> str:
        """The words of the source, as `.quote`."""
        return self.quote

    def __str__(self) -> str:
        return f"[^{self.id}]"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __add__(self, other: object) -> str:
        return str(self) + str(other) if isinstance(other, str | Citation) else NotImplemented

    def __radd__(self, other: object) -> str:
        return other + str(self) if isinstance(other, str) else NotImplemented

    def __repr__(self) -> str:
        where = ", ".join(filter(None, (self.document, self.place)))
        how = "" if self.how == "exact" else f", {self.how}"
        also = f", also in {self.also} other document{'s' * (self.also != 1)}" if self.also else ""
        return f"<Citation {self} {quoted(self.quote)} ({where}{how}{also})>"

    def __eq__(self, other: object) -> bool:
        return self._range() == other._range() if isinstance(other, Citation) else NotImplemented

    def __hash__(self) -> int:
        return hash(self._range())

    def __reduce__(self) -> tuple[Any, ...]:
        facts = (self.id, self.document, self.start, self.end, self.quote, self.how, self.place, self.also)
        return Citation, facts

    def _range(self) -> tuple[str, int, int]:
        return self.document, self.start, self.end


class Citations:
    """The citations of one REPL."""

    def __init__(self, namespace: MutableMapping[str, Any], context: Any) -> None:
        """`context` is the whole input: documents, or one text."""
        self._namespace = namespace
        self._context = context
        self._lock = Lock()
        self._numbers: dict[tuple[str, int, int], int] = {}
        self._numbers_of: Any = None
        """The dict from which the numbers were read."""

    def names(self) -> dict[str, Any]:
        """Return the function and the exception under the names that code uses."""
        return {"cite": self.cite, "QuoteNotFound": QuoteNotFound}

    def cite(self, document: Any = None, quote: Any = None, near: Any = None) -> Citation:
        """Find a quotation in a document and return it as a Citation; put `str()` of it into the answer.

        `document`: a document or its name, a part of one (section, page, row, chunk), `context`, or a list of them.
        `near`: an offset, or words nearby, to choose between several occurrences. Differences of white space,
        hyphenation, quotation marks, dashes and ligatures do not count, and `…` stands for words left out.

        Raises QuoteNotFound, which shows the nearest passage; TypeError for what is no part of the input.
        """
        if type(document) is str and isinstance(quote, Documents | Placed | Section):
            document, quote = quote, document  # in the other order
        words = _words(quote)
        parts = parts_of(self._context if document is None else document, self._context, words)
        found = _chosen(parts, words, near)
        if found is None:
            raise _not_found(parts, words)
        part, start, end, how, also = found
        if end - start > MAX_QUOTE:
            raise QuoteNotFound(f"the passage has {end - start:,} characters, {MAX_QUOTE:,} at most: cite less of it")
        number = self._number(part.name, start, end, how)
        return Citation(number, part.name, start, end, part.text[start:end], how, part.place(start), also)

    def cited(self, given: Any) -> "list[int]":
        """Return the numbers of what was given as `citations=`. Raises TypeError."""
        if given is None:
            return []
        items = [given] if isinstance(given, str | int | Citation) else given
        if not isinstance(items, Iterable):
            raise TypeError(f"citations= is a list of what cite() returns, not a {type(given).__name__}")
        numbers: list[int] = []
        for one in items:
            numbers += self._numbers_in(one)
        return numbers

    def collect(self, value: Any, given: "Iterable[int]" = ()) -> "list[dict[str, Any]]":
        """Return what a final value cites, as it is posted: `given`, and the markers in its texts.

        `value` is plain JSON. A number that is no citation's is a footnote of the answer's own. Raises ValueError when
        there are too many.
        """
        made = self._made()
        wanted = sorted({*given, *markers_in(value)} & made.keys())
        if len(wanted) > MAX_CITATIONS:
            raise ValueError(f"the answer has {len(wanted):,} citations, {MAX_CITATIONS:,} at most")
        # One document after the other, because the last text is kept in memory.
        posted: dict[int, dict[str, Any]] = {}
        chars = 0
        for number in sorted(wanted, key=lambda one: (made[one][0], one)):
            name, start, end, how = made[number]
            parts = parts_of(name, self._context, "", named=True)
            words = parts[0].text[start:end] if parts else ""
            if not words or len(words) != end - start:
                continue
            chars += len(words) + len(name)
            posted[number] = {"id": number, "document": name, "start": start, "end": end, "quote": words, "how": how}
        if chars > MAX_CITED:
            raise ValueError(f"the words of the citations have {chars:,} characters, {MAX_CITED:,} at most")
        return [posted[number] for number in sorted(posted)]

    def _numbers_in(self, one: Any) -> "list[int]":
        if isinstance(one, Citation):
            return [self._number(one.document, one.start, one.end, one.how)]
        if isinstance(one, int) and one in self._made():
            return [one]
        numbers = [int(number) for number in MARKER.findall(one)] if isinstance(one, str) else []
        if not numbers:
            raise TypeError(f"citations= has {quoted(one)}: it is a list of what cite(document, quote) returns")
        return numbers

    def _number(self, document: str, start: int, end: int, how: str) -> int:
        """Return the number of a passage: the one that it has, or the next."""
        with self._lock:
            made = self._namespace.get(VARIABLE)
            if not isinstance(made, dict):
                made = self._namespace[VARIABLE] = {}
            if made is not self._numbers_of or len(made) != len(self._numbers):
                self._numbers = {(one[0], one[1], one[2]): number for number, one in self._made().items()}
                self._numbers_of = made
            number = self._numbers.get((document, start, end))
            if number is None:
                number = max((one for one in made if isinstance(one, int)), default=0) + 1
                made[number] = [document, start, end, how]
                self._numbers[document, start, end] = number
            return number

    def _made(self) -> "dict[int, list[Any]]":
        """Return the citations made so far. Code may have changed the variable: what has another form is left out."""
        made = self._namespace.get(VARIABLE)
        return {number: one for number, one in made.items() if _is_one(number, one)} if isinstance(made, dict) else {}


def _is_one(number: Any, one: Any) -> bool:
    return (
        type(number) is int
        and number > 0
        and isinstance(one, list)
        and [type(part) for part in one] == [str, int, int, str]
        and 0 <= one[1] < one[2]
    )


def markers_in(value: Any) -> "set[int]":
    """Return the numbers of all markers in the texts of a JSON value."""
    found: set[int] = set()
    rest = [value]
    while rest:
        one = rest.pop()
        if isinstance(one, str):
            if "[^" in one:
                found.update(map(int, MARKER.findall(one)))
        elif isinstance(one, list):
            rest += one
        elif isinstance(one, dict):
            rest += one.keys()
            rest += one.values()
    return found


def _words(quote: Any) -> str:
    """Return a quotation as a str. Raises TypeError and, for one that is too short or too long, QuoteNotFound."""
    from durable_rlm.matching.quotations import LEAST

    words = quote if isinstance(quote, str) else getattr(quote, "quote", getattr(quote, "text", None))
    if not isinstance(words, str):
        raise TypeError(f"cite(document, quote): the quotation is a str, not a {type(quote).__name__}")
    if sum(map(str.isalnum, words[:1000])) < LEAST:
        raise QuoteNotFound(
            f"a quotation has {LEAST} letters or digits at least, not {quoted(words)}: quote more words"
        )
    if len(words) > MAX_QUOTE:
        raise QuoteNotFound(f"the quotation has {len(words):,} characters, {MAX_QUOTE:,} at most: quote less")
    return words


_Choice = tuple[Part, int, int, str, int]
"""A part, the passage in its document, how it is the quotation, and the number of other documents that have it."""


def _chosen(parts: "Sequence[Part]", words: str, near: Any) -> "_Choice | None":
    from durable_rlm.matching.quotations import find

    likely = _likely(parts, words)
    if near is not None:
        return _nearby(likely, words, near)
    for part in likely:
        found = find(part.text, words, part.start, part.end, pages=part.pages())
        if found:
            also = len({one.name for one in likely} - {part.name}) if found.how == "exact" else 0
            return part, found.start, found.end, found.how, also
    return None


def _likely(parts: "Sequence[Part]", words: str) -> "Sequence[Part]":
    """Return the parts that have the quotation exactly; else those that have it folded, or else most of its words.

    Few parts are then searched thoroughly, with all that takes longer.
    """
    from durable_rlm.matching.quotations import find_quickly, likeness

    exact = [part for part in parts if part.text.find(words, part.start, part.end) >= 0]
    if exact or len(parts) <= _THOROUGHLY:
        return exact or parts
    quick = [part for part in parts if find_quickly(part.text, words, part.start, part.end)]
    if quick:
        return quick
    alike = ((likeness(part.text, words, part.start, part.end), -at) for at, part in enumerate(parts))
    return [parts[-at] for share, at in nlargest(_THOROUGHLY, alike) if share]


def _nearby(parts: "Sequence[Part]", words: str, near: Any) -> "_Choice | None":
    """Return the occurrence of the quotation that is nearest to an offset, or to words."""
    from durable_rlm.matching.quotations import find_all

    offset = near if isinstance(near, int) else getattr(near, "start", None)
    text = near if isinstance(near, str) else getattr(near, "text", None)
    if not isinstance(offset, int) and not isinstance(text, str):
        raise TypeError(f"near= is an offset in the document, or words nearby, not a {type(near).__name__}")
    best: tuple[int, _Choice] | None = None
    for part in parts:
        if isinstance(offset, int):
            places = [part.first + offset]
        else:
            places = [one.start for one in find_all(part.text, str(text), part.start, part.end)]
        for one in _around(part, words, places[0] if isinstance(offset, int) else None):
            far = min((abs(one.start - place) for place in _two_nearest(places, one.start)), default=1 << 60)
            if best is None or far < best[0]:
                best = far, (part, one.start, one.end, one.how, 0)
    return best[1] if best else None


def _around(part: Part, words: str, offset: int | None) -> "Sequence[Found]":
    """Return occurrences of the quotation: those around an offset, when there are any."""
    from durable_rlm.matching.quotations import find_all

    if offset is not None:
        start, end = max(part.start, offset - _AROUND), min(part.end, offset + _AROUND)
        if start < end and (found := find_all(part.text, words, start, end, pages=part.pages())):
            return found
    return find_all(part.text, words, part.start, part.end, pages=part.pages())


def _two_nearest(places: "Sequence[int]", offset: int) -> "Sequence[int]":
    at = bisect_left(places, offset)
    return places[max(0, at - 1) : at + 1]


def _not_found(parts: "Sequence[Part]", words: str) -> QuoteNotFound:
    """Return the error for a quotation that is in none of the parts, with the nearest passage."""
    from durable_rlm.matching.quotations import nearest

    best: tuple[float, Part, int, int] | None = None
    left = _SEARCHED
    for part in _likely(parts, words):
        end = min(part.end, part.start + max(left, 0))
        left -= end - part.start
        found = nearest(part.text, words, part.start, end) if end > part.start else None
        if found and (best is None or found.share > best[0]):
            best = found.share, part, found.start, found.end
    names = sorted({part.name for part in parts})
    where = (
        quoted(names[0]) if len(names) == 1 and names[0] else f"{len(names):,} documents" if names[1:] else "the text"
    )
    message = f"the quotation is not in {where}: {_shown(words)}"
    if best is None:
        return QuoteNotFound(message)
    share, part, start, end = best
    passage = part.text[start:end]
    error = QuoteNotFound(
        f"{message}\nThe nearest passage ({part.named(start)}, {share:.0%} alike) is: {_shown(passage)}"
    )
    error.document, error.nearest, error.start, error.end = part.name, passage, start, end
    return error


def _shown(text: str) -> str:
    return repr(text if len(text) <= _SHOWN else f"{text[: _SHOWN // 2]} […] {text[-_SHOWN // 2 :]}")
