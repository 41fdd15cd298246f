"""The texts that code cut from documents lately, and those of them that a prompt was made from.

Each text that is cut from a document is noted here, with some characters from its middle. When prompts are posted,
they are searched for these characters, in the order in which the texts were cut. What is found is sent with the call:
the host finds most passages by itself, but not which one of several equal documents a passage was cut from, and no
short lines. The host compares all of it with the stored input, so a wrong note claims nothing that is not there.

The notes are of the process, not variables: no snapshot has them. There is room for the latest ones only.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from json import dumps
from threading import get_ident
from typing import Any, NamedTuple

from .context_file import Pack
from .line_index import line_index

Hint = tuple[str, int, int]
"""A document's name, and the beginning and the end of a part of it in characters."""
_KEPT = 1 << 13
_LOOKED_AT = 4096
"""Notes that are looked at for one batch of prompts, at most."""
_AHEAD, _BACK = 32, 16
"""Texts searched for after the last one found in a prompt, at least, and before it."""
_SEARCHES = 1 << 14
"""Searches for one batch, when its prompts are few."""
_MIDDLE = 96
"""Characters kept of the middle of a text."""
_LEAST = 16
"""The least characters by which a text is recognized."""
_MOST_HINTS = 1000
_MOST_NAMES = 1 << 18
"""Characters of the documents' names sent with a call, at most."""
_MOST_ALIKE = 8
"""Equal texts that are sent when nothing tells which of them was used."""
_MOST_READ = 16
"""Documents read whole, of which one or more may be in a prompt, that are sent."""
_FREE_WORK = 64 << 20
"""Characters that are searched for one batch, beside some times those of its prompts."""


class Cut(NamedTuple):
    """A text that was cut from a document. It keeps no document and no file open."""

    number: int
    thread: int
    path: str
    """The pack's path."""
    part: tuple[int, int]
    """The range of the pack, in bytes, that is the document."""
    name: str
    first: int
    end: int
    """Its characters; or its lines, negative, of which the second is included."""
    middle: str
    whole: bool = False
    """True when it is the whole document."""


_cuts: "deque[tuple[Any, ...]]" = deque(maxlen=_KEPT)
"""The fields of the latest cuts: making a Cut of each would take twice the time."""
_numbers = count(1)


def note(document: Any, start: int, end: int, text: str) -> None:
    """Note that `text` was cut from a document: its characters from `start` to `end`."""
    try:
        pack, first, last = document.stored()
    except LookupError:
        return  # a text of no input
    middle = len(text) // 2
    shown = text[middle - 48 : middle + 48] if middle > 48 else text[:_MIDDLE]
    whole = start == 0 and end == len(document)
    _cuts.append((next(_numbers), get_ident(), pack.path, (first, last), document.name, start, end, shown, whole))


def note_lines(document: Any, first: int, last: int, text: str) -> None:
    """Note that the lines `first` to `last` were cut, from 1; where they begin is found when it is asked for."""
    note(document, -first, -last, text)


def latest() -> int:
    """Return the number of the last note, with which `CutsInPrompts.seen` begins."""
    try:
        return _cuts[-1][0]
    except IndexError:
        return 0


class CutsInPrompts:
    """A finder of cuts in the prompts of one REPL. `path` is that of the pack with its input; empty: it has none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: dict[int, int] = {}
        """By thread: the number of the last note when it last posted calls."""
        self._old: deque[Cut] = deque(maxlen=_LOOKED_AT)
        self._equal: dict[str, list[Cut]] = {}
        """The old cuts by their middles: one that is near may be equal to one that is not."""
        self._added = 0
        self._at = 0
        self._read: tuple[Cut, ...] = ()
        """The documents read whole before the last calls."""
        self._loose: dict[tuple[int, int], Cut] | None = {}
        """Documents of which code may have any part in its variables. None: too many."""

    def of(self, prompts: Sequence[str]) -> list[list[Hint]]:
        """Return, for each prompt of one batch, the parts of documents that it may have been made from."""
        try:
            return self._of(prompts) if self._path else [[] for _ in prompts]
        except Exception:
            # No call fails because code has replaced what this relies on.
            return [[] for _ in prompts]

    def _of(self, prompts: Sequence[str]) -> list[list[Hint]]:
        thread = get_ident()
        fresh = self._since(self._last.get(thread, 0), thread)
        if len(self._last) > _KEPT:
            self._last.clear()
        self._last[thread] = latest()
        found = _in_order(fresh, prompts)
        for number, prompt in enumerate(prompts):
            if not found[number] and self._old:
                found[number] = self._among_old(prompt)
        self._keep(fresh)
        for number, read in enumerate(self._read_whole(fresh, found, len(prompts))):
            found[number] = found[number] or list(read)
        return [_hints(cuts) for cuts in found]

    def seen(self, output: str, since: int) -> list[Hint]:
        """Return the parts of documents that may be in the output of a cell, which began after the note `since`."""
        if not self._path or not output:
            return []
        fresh = self._since(since, 0)
        [found] = _in_order(fresh, [output])
        whole = {one.part: one for one in fresh if one.whole}
        if not found and len(whole) <= _MOST_READ:
            found = list(whole.values())
        return _hints(found)

    def _since(self, number: int, thread: int) -> list[Cut]:
        """Return the notes after a number, those of this thread if there are any."""
        try:
            notes = self._after(number, reversed(_cuts))
        except RuntimeError:
            # Another thread has added one meanwhile. A copy takes longer, and no other thread runs.
            notes = self._after(number, reversed(list(_cuts)))
        own = [one for one in notes if one.thread == thread] or notes
        return own[::-1]

    def _after(self, number: int, latest_first: Iterator[tuple[Any, ...]]) -> list[Cut]:
        notes: list[Cut] = []
        for one in map(Cut._make, latest_first):
            if one.number <= number or len(notes) == _LOOKED_AT:
                break
            if one.path == self._path:
                notes.append(one)
        return notes

    def _among_old(self, prompt: str) -> list[Cut]:
        """Return what was cut before earlier calls and is in a prompt, near what was found there last."""
        escaped = "\\" in prompt
        first = max(0, min(self._at, len(self._old)) - _BACK)
        near = list(self._old)[first : first + _BACK + _AHEAD]
        found = [
            (at, one)
            for at, one in enumerate(near, first)
            if one.end - one.first <= len(prompt) and _said_in(_line(one.middle), prompt, escaped)
        ]
        if found:
            self._at = found[-1][0]
        return _different(equal for _, one in found for equal in self._equal.get(one.middle, [one]))

    def _keep(self, fresh: list[Cut]) -> None:
        """Keep cuts for later calls."""
        self._old.extend(fresh)
        self._added += len(fresh)
        again = self._added > _LOOKED_AT
        if again:
            # Some of them are no longer kept.
            self._equal.clear()
            self._added = 0
        for one in self._old if again else fresh:
            equal = self._equal.setdefault(one.middle, [])
            # More than this many say no more.
            if len(equal) <= _MOST_ALIKE and _place(one) not in map(_place, equal):
                equal.append(one)

    def _read_whole(self, fresh: list[Cut], found: list[list[Cut]], prompts: int) -> list[tuple[Cut, ...]]:
        """Return, for each prompt, the documents of whose text it may have a part that code cut by itself.

        Code that reads one document after the other, and asks about each at once, asks about the last one. Of several
        documents that were read, code may have kept any part.
        """
        used = {one.number for cuts in found for one in cuts}
        read = tuple(_without_repetitions([one for one in fresh if one.whole and one.number not in used]))
        read = read or self._read
        self._read = read
        different = {one.part: one for one in read}
        if prompts > 1 and len(read) == prompts:
            return [(one,) for one in read]
        if len(different) > 1 and self._loose is not None:
            self._loose |= different
            if len(self._loose) > _MOST_READ:
                self._loose = None
        if self._loose is None:
            return [()] * prompts
        return [(*(different | self._loose).values(),)] * prompts


def _without_repetitions(cuts: list[Cut]) -> list[Cut]:
    """Return the cuts without those that are the same part as the one before."""
    return [one for at, one in enumerate(cuts) if not at or _place(one) != _place(cuts[at - 1])]


def _line(middle: str) -> str:
    """Return the longest line in the middle of a text: what is before and behind it may stand elsewhere in a prompt."""
    return max((line.strip() for line in middle.split("\n")), key=len)


def _said_in(line: str, prompt: str, escaped: bool) -> str:
    """Return the form in which a line stands in a prompt; empty when it does not, or is too short to be recognized."""
    if len(line) < _LEAST:
        return ""
    if line in prompt or not escaped:
        return line if line in prompt else ""
    forms = (dumps(line)[1:-1], dumps(line, ensure_ascii=False)[1:-1], repr(line)[1:-1])
    return next((form for form in forms if form in prompt), "")


class _Equal:
    """Cuts with the same middle, in order, and in which prompts that is."""

    __slots__ = ("cuts", "given", "least", "line", "places", "prompts", "times")

    def __init__(self, line: str) -> None:
        self.line = line
        self.cuts: list[Cut] = []
        self.places: list[Cut] = []
        self.least = 0
        """Characters of the shortest of them."""
        self.prompts = self.times = self.given = 0
        """The prompts that have the middle, the times that they have it, and the cuts that were given away."""

    def arrange(self) -> None:
        """Prepare to give the cuts to prompts, once all of them are known."""
        self.places = _different(self.cuts)
        single = _without_repetitions(self.cuts)
        # As many cuts as prompts, or as texts in the prompts: each was used once, in order.
        self.times = self.prompts if self.prompts in (len(self.cuts), len(single)) else self.times
        if self.times != len(self.cuts):
            self.cuts = single if self.times == len(single) else []

    def give(self, many: int) -> list[Cut]:
        """Return the cuts of a prompt that has the middle so often; several when nothing tells which of them it is."""
        if len(self.places) == 1:
            return self.places
        if not self.cuts:
            return self.places[:_MOST_ALIKE]
        first = self.given
        self.given += 1 if self.times == self.prompts else many
        return self.cuts[first : self.given]


def _in_order(cuts: list[Cut], prompts: Sequence[str]) -> list[list[Cut]]:
    """Return the cuts that are in each prompt.

    Of several with equal text, one is in each prompt when there are as many of them as there are texts in the prompts;
    otherwise nothing tells them apart.
    """
    by_middle: dict[str, _Equal] = {}
    for one in cuts:
        equal = by_middle.get(one.middle)
        if equal is None:
            equal = by_middle[one.middle] = _Equal(_line(one.middle))
            equal.least = one.end - one.first
        equal.least = min(equal.least, one.end - one.first)
        equal.cuts.append(one)
    groups = list(by_middle.values())
    ahead = max(_AHEAD, _SEARCHES // max(1, len(prompts)))
    work = _FREE_WORK + 8 * _AHEAD * sum(map(len, prompts))
    at = 0
    found: list[list[tuple[_Equal, int]]] = []
    for prompt in prompts:
        inside: list[tuple[_Equal, int]] = []
        escaped = "\\" in prompt
        number, last = max(0, at - _BACK), at + ahead
        while number < min(last, len(groups)) and work > 0:
            group = groups[number]
            # A document that was read whole is longer than a prompt with a part of it.
            form = _said_in(group.line, prompt, escaped) if group.least <= len(prompt) else ""
            work -= len(prompt)
            if form:
                many = prompt.count(form) if len(group.cuts) > 1 else 1
                inside.append((group, many))
                group.times += many
                group.prompts += 1
                at, last = number, max(last, number + ahead)
            number += 1
        found.append(inside)
    for group in groups:
        group.arrange()
    return [[one for group, many in inside for one in group.give(many)] for inside in found]


def _different(cuts: Iterable[Cut]) -> list[Cut]:
    """Return the cuts without those of the same part of a document."""
    return list({_place(one): one for one in cuts}.values())


def _hints(cuts: list[Cut]) -> list[Hint]:
    """Return the parts of documents as they are sent: sorted, and those that touch are one."""
    merged: list[Hint] = []
    for name, start, end in sorted((one.name, *_characters(one)) for one in cuts):
        if merged and merged[-1][0] == name and start <= merged[-1][2]:
            merged[-1] = (name, merged[-1][1], max(merged[-1][2], end))
        else:
            merged.append((name, start, end))
    names = 0
    for at, (name, _, _) in enumerate(merged[:_MOST_HINTS]):
        names += len(name)
        if names > _MOST_NAMES:
            return merged[:at]
    return merged[:_MOST_HINTS]


def _characters(cut: Cut) -> tuple[int, int]:
    if cut.first >= 0 <= cut.end:
        return cut.first, cut.end
    pack = Pack.open(cut.path)
    index = line_index(pack, *cut.part)
    return index.offset_of(pack, -cut.first), index.offset_of(pack, 1 - cut.end)


def _place(cut: Cut) -> tuple[tuple[int, int], int, int]:
    return cut.part, cut.first, cut.end
