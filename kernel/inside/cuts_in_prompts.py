"""Finds, in the prompts that code posts, the texts that were cut from documents lately (`cuts.py`).

Prompts are searched for some characters of each cut, in the order in which the texts were cut. What is found is sent
with the call.
"""

import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, islice
from json import dumps, loads
from threading import get_ident

from .context_file import Pack
from .cuts import RECORD, Cut, Hint, latest, noted_since
from .line_index import line_index

_LOOKED_AT = 1 << 15
"""Notes that are looked at for one batch of prompts, at most."""
_OLD = 4096
_AHEAD, _BACK = 32, 16
"""Texts searched for after the last one found in a prompt, at least, and before it."""
_SEARCHES = 1 << 15
"""Searches for one batch, when its prompts are few."""
_SKIPS = 1 << 22
"""Repetitions of texts that are passed over for one batch."""
_LEAST = 16
"""The least characters by which a text is recognized."""
_MOST_HINTS = 1000
_MOST_NAMES = 1 << 18
"""Characters of the documents' names sent with a call, at most."""
_MOST_ALIKE = 8
"""Equal texts that are sent when nothing tells which of them was used."""
_MOST_READ = 16
"""Documents read whole, of which one or more may be in a prompt, that are sent."""
_FREE_WORK = 128 << 20
"""Characters that are searched for one batch, beside some times those of its prompts."""
_MOST_SEARCHED = 32 << 20
"""Bytes of documents that were read whole in which old cuts are searched for, for one batch."""
_PART, _SOME = 1000, 8
"""Characters around the middle of a prompt, and lines in them, that are searched for in documents."""
_MOST_THREADS = 1 << 13
_PARTS_OF_ESCAPES = re.compile(r"^u?[0-9a-fA-F]{0,4}(?=\\u)|\\u?[0-9a-fA-F]{0,3}$")
_QUOTATION_MARK = re.compile(r'(?<!\\)"')


class CutsInPrompts:
    """A finder of cuts in the prompts of one REPL. `path` is that of the pack with its input; empty: it has none."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._last: dict[int, int] = {}
        """By thread: the number of the last note when it last posted calls."""
        self._first = 0
        """The number of the last note when calls were posted last before this cell."""
        self._old: deque[Cut] = deque(maxlen=_OLD)
        self._equal: dict[str, list[Cut]] = {}
        """The old cuts by their middles: one that is near may be equal to one that is not."""
        self._elsewhere: dict[tuple[str, tuple[int, int]], bool] = {}
        """By an old cut: True where other documents that were read whole have it, too. For one batch."""
        self._to_search = 0
        self._added = 0
        self._at = 0
        self._read: tuple[Cut, ...] = ()
        """The documents read whole before the last calls."""
        self._loose: dict[tuple[int, int], Cut] | None = {}
        """Documents of which code may have any part in its variables. None: too many."""

    def begin(self) -> None:
        """Begin a cell. Threads that it starts have none of the cuts that earlier cells have used."""
        self._first = max(self._last.values(), default=self._first)
        # A new thread may have the number of one that has ended.
        self._last.clear()

    def of(self, prompts: Sequence[str]) -> list[list[Hint]]:
        """Return, for each prompt of one batch, the parts of documents that it may have been made from."""
        try:
            return self._of(prompts) if self._path else [[] for _ in prompts]
        except Exception:
            # No call fails because code has replaced what this relies on.
            return [[] for _ in prompts]

    def _of(self, prompts: Sequence[str]) -> list[list[Hint]]:
        thread = get_ident()
        fresh = noted_since(self._last.get(thread, self._first), self._path, thread, _LOOKED_AT)
        if len(self._last) > _MOST_THREADS:
            self._last.clear()
        self._last[thread] = latest()
        found = _in_order(fresh, prompts)
        whole = self._whole(fresh)
        self._elsewhere.clear()
        self._to_search = _MOST_SEARCHED
        unknown: set[int] = set()
        for number, prompt in enumerate(prompts):
            if not found[number] and self._old:
                old = self._among_old(prompt)
                found[number] = [one for one in old if not self._is_in(one, whole)]
                if old and not found[number]:
                    unknown.add(number)
        self._keep(fresh)
        for number, read in enumerate(self._read_whole(fresh, found, prompts)):
            # Of a text that an old cut and a document have, only one that was read for this prompt tells its place.
            if number not in unknown or (len(read) == 1 and any(one.whole for one in fresh)):
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

    def _whole(self, fresh: list[Cut]) -> dict[tuple[int, int], Cut] | None:
        """Return the documents of which code may have the text in its variables. None: too many."""
        whole = {one.part: one for one in fresh if one.whole} | {one.part: one for one in self._read}
        if self._loose is None or len(whole | self._loose) > _MOST_READ:
            return None
        return whole | self._loose

    def _among_old(self, prompt: str) -> list[Cut]:
        """Return what was cut before earlier calls and is in a prompt, near what was found there last."""
        escaped = "\\" in prompt
        first = max(0, min(self._at, len(self._old)) - _BACK)
        near = list(islice(self._old, first, first + _BACK + _AHEAD))
        found = [
            (at, one)
            for at, one in enumerate(near, first)
            if one.least <= len(prompt) and _said_in(_line(one), prompt, escaped)
        ]
        if found:
            self._at = found[-1][0]
        return _different(equal for _, one in found for equal in self._equal.get(one.middle, [one]))

    def _is_in(self, cut: Cut, whole: dict[tuple[int, int], Cut] | None) -> bool:
        """Return whether other documents that were read whole have a cut, too. In doubt they have."""
        if whole is None:
            return True
        others = [part for part in whole if part != cut.part]
        key = cut.middle, cut.part
        if others and key not in self._elsewhere:
            size = sum(end - start for start, end in others)
            if size > self._to_search:
                return True
            self._to_search -= size
            line, pack = _line(cut).encode(), Pack.open(self._path)
            self._elsewhere[key] = any(line in pack.read(*part) for part in others)
        return bool(others) and self._elsewhere[key]

    def _keep(self, fresh: list[Cut]) -> None:
        """Keep cuts for later calls."""
        self._old.extend(fresh)
        self._added += len(fresh)
        again = self._added > _OLD
        if again:
            # Some of them are no longer kept.
            self._equal.clear()
            self._added = 0
        for one in self._old if again else fresh:
            equal = self._equal.setdefault(one.middle, [])
            # More than this many say no more.
            if len(equal) <= _MOST_ALIKE and _place(one) not in map(_place, equal):
                equal.append(one)

    def _read_whole(self, fresh: list[Cut], found: list[list[Cut]], prompts: Sequence[str]) -> list[tuple[Cut, ...]]:
        """Return, for each prompt, the documents of whose text it may have a part that code cut by itself.

        Code that reads one document after the other, and asks about each at once, asks about the last one. Of several
        documents that were read, code may have kept any part.
        """
        used = {one.number for cuts in found for one in cuts}
        read = tuple(_without_repetitions([one for one in fresh if one.whole and one.number not in used]))
        read = read or self._read
        self._read = read
        different = {one.part: one for one in read}
        if 1 < len(prompts) == len(read) and self._are_in_order(read, prompts):
            return [(one,) for one in read]
        if len(different) > 1 and self._loose is not None:
            self._loose |= different
            if len(self._loose) > _MOST_READ:
                self._loose = None
        if self._loose is None:
            return [()] * len(prompts)
        return [(*(different | self._loose).values(),)] * len(prompts)

    def _are_in_order(self, read: Sequence[Cut], prompts: Sequence[str]) -> bool:
        """Return whether each prompt may be made from the document that was read as the same one of so many.

        It has to have a line of it. Of too many or too long documents nothing is known: they mostly are in order.
        """
        if sum(one.part[1] - one.part[0] for one in read) > _MOST_SEARCHED:
            return True
        pack = Pack.open(self._path)
        return all(
            any(line in text for line in _some_lines(prompt))
            for prompt, text in zip(prompts, (pack.read(*one.part) for one in read), strict=True)
        )


def _without_repetitions(cuts: list[Cut]) -> list[Cut]:
    """Return the cuts without those that are the same part as the one before."""
    return [one for at, one in enumerate(cuts) if not at or _place(one) != _place(cuts[at - 1])]


def _some_lines(prompt: str) -> Iterator[bytes]:
    """Yield some lines of a prompt, those in its middle first, also of a text that is in JSON."""
    middle = len(prompt) // 2
    part = prompt[max(0, middle - _PART) : middle + _PART].replace("\\n", "\n").replace("\\r", "")
    lines = sorted((line.strip().encode() for line in part.split("\n")), key=len, reverse=True)
    yield from (line for line in lines[:_SOME] if len(line) >= _LEAST)
    # A line that was cut, or has a number before it.
    yield from (line[len(line) // 3 : -len(line) // 3] for line in lines[:_SOME] if len(line) >= 3 * _LEAST)


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
    sequence = [group for group, _ in groupby(_grouped(cuts))]
    ahead, skips = (max(_AHEAD, most // max(1, len(prompts))) for most in (_SEARCHES, _SKIPS))
    work = _FREE_WORK + 8 * _AHEAD * sum(map(len, prompts))
    at = 0
    found: list[list[tuple[_Equal, int]]] = []
    for prompt in prompts:
        inside: list[tuple[_Equal, int]] = []
        looked_for: set[_Equal] = set()
        escaped = "\\" in prompt
        left, skipped = ahead + _BACK, 0
        for number in range(max(0, at - _BACK), len(sequence)):
            group = sequence[number]
            if group in looked_for and skipped < skips:
                skipped += 1
                continue
            if group in looked_for or left <= 0 or work <= 0:
                break
            left -= 1
            looked_for.add(group)
            # A document that was read whole is longer than a prompt with a part of it.
            form = _said_in(group.line, prompt, escaped) if group.least <= len(prompt) else ""
            work -= len(prompt)
            if form:
                many = prompt.count(form) if len(group.cuts) > 1 else 1
                inside.append((group, many))
                group.times += many
                group.prompts += 1
                at, left, skipped = number, max(left, ahead), 0
        found.append(inside)
    for group in set(sequence):
        group.arrange()
    return [[one for group, many in inside for one in group.give(many)] for inside in found]


def _grouped(cuts: list[Cut]) -> list[_Equal]:
    """Return for each cut, in order, the cuts that are equal to it."""
    by_middle: dict[str, _Equal] = {}
    sequence: list[_Equal] = []
    for one in cuts:
        equal = by_middle.get(one.middle)
        if equal is None:
            equal = by_middle[one.middle] = _Equal(_line(one))
            equal.least = one.least
        equal.least = min(equal.least, one.least)
        equal.cuts.append(one)
        sequence.append(equal)
    return sequence


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
