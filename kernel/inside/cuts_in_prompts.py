"""Finds, in the prompts that code posts, the texts that were cut from documents lately (`cuts.py`).

Prompts are searched for some characters of each cut, in the order in which the texts were cut. What is found is sent
with the call.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from json import dumps, loads
from threading import get_ident

from .context_file import Pack
from .cuts import RECORD, Cut, Hint, latest, noted_since
from .line_index import line_index

_LOOKED_AT = 4096
"""Notes that are looked at for one batch of prompts, at most."""
_AHEAD, _BACK = 32, 16
"""Texts searched for after the last one found in a prompt, at least, and before it."""
_SEARCHES = 1 << 14
"""Searches for one batch, when its prompts are few."""
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
_MOST_THREADS = 1 << 13
_PARTS_OF_ESCAPES = re.compile(r"^u?[0-9a-fA-F]{0,4}(?=\\u)|\\u?[0-9a-fA-F]{0,3}$")
_QUOTATION_MARK = re.compile(r'(?<!\\)"')


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
        fresh = noted_since(self._last.get(thread, 0), self._path, thread, _LOOKED_AT)
        if len(self._last) > _MOST_THREADS:
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
        fresh = noted_since(since, self._path, 0, _LOOKED_AT)
        [found] = _in_order(fresh, [output])
        whole = {one.part: one for one in fresh if one.whole}
        if not found and len(whole) <= _MOST_READ:
            found = list(whole.values())
        return _hints(found)

    def _among_old(self, prompt: str) -> list[Cut]:
        """Return what was cut before earlier calls and is in a prompt, near what was found there last."""
        escaped = "\\" in prompt
        first = max(0, min(self._at, len(self._old)) - _BACK)
        near = list(self._old)[first : first + _BACK + _AHEAD]
        found = [
            (at, one)
            for at, one in enumerate(near, first)
            if one.least <= len(prompt) and _said_in(_line(one), prompt, escaped)
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


def _line(cut: Cut) -> str:
    """Return the longest line in the middle of a text: what is before and behind it may stand elsewhere in a prompt.

    Of a record it is one of a text in it, as it is when the JSON is parsed.
    """
    texts = [cut.middle] if cut.form != RECORD else _texts_in(cut.middle)
    return max((line.strip() for text in texts for line in text.split("\n")), key=len, default="")


def _texts_in(record: str) -> Iterator[str]:
    """Yield the texts in a part of a line of JSON; an escape that is in it only in part is left out."""
    whole = _PARTS_OF_ESCAPES.sub("", record)
    for text in whole.split('"') if '\\"' not in whole else _QUOTATION_MARK.split(whole):
        try:
            yield loads(f'"{text}"') if "\\" in text else text
        except ValueError:
            yield from text.split("\\")


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
        # As many cuts as prompts, or as texts in the prompts: each was used once, in order.
        for cuts in self._readings():
            if len(cuts) in (self.prompts, self.times):
                self.times = len(cuts)
                self.cuts = cuts
                return
        self.cuts = []

    def _readings(self) -> Iterator[list[Cut]]:
        """Yield the cuts as code may have used them: all; those read several times in a row, or all again, once."""
        yield self.cuts
        single = _without_repetitions(self.cuts)
        yield single
        once = len(self.places)
        if len(single) % once == 0 and all(_place(one) == _place(single[at % once]) for at, one in enumerate(single)):
            yield single[:once]

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
            equal = by_middle[one.middle] = _Equal(_line(one))
            equal.least = one.least
        equal.least = min(equal.least, one.least)
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
    """Return the parts of documents as they are sent: sorted, each once. Of too many, those that touch are one."""
    hints = sorted({(one.name, *_characters(one)) for one in cuts})
    if len(hints) > _MOST_HINTS:
        hints = _merged(hints)
    names = 0
    for at, (name, _, _) in enumerate(hints[:_MOST_HINTS]):
        names += len(name)
        if names > _MOST_NAMES:
            return hints[:at]
    return hints[:_MOST_HINTS]


def _merged(hints: list[Hint]) -> list[Hint]:
    merged: list[Hint] = []
    for name, start, end in hints:
        if merged and merged[-1][0] == name and start <= merged[-1][2] + 1:
            merged[-1] = (name, merged[-1][1], max(merged[-1][2], end))
        else:
            merged.append((name, start, end))
    return merged


def _characters(cut: Cut) -> tuple[int, int]:
    if cut.first >= 0 <= cut.end:
        return cut.first, cut.end
    pack = Pack.open(cut.path)
    index = line_index(pack, *cut.part)
    return index.offset_of(pack, -cut.first), index.offset_of(pack, 1 - cut.end)


def _place(cut: Cut) -> tuple[tuple[int, int], int, int]:
    return cut.part, cut.first, cut.end
