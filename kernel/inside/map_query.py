"""Ask for one value of each of many items, check that each came back, and ask again for those that did not.

Items are packed into prompts and numbered from 1 in each, so that equal packs are equal prompts. What a model returns
is read leniently, and each value is checked by itself: one that is missing or wrong costs a question about its item,
not about the whole pack.
"""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, NamedTuple

from .call_request import Options
from .context import Document
from .mapped import Failure, Mapped
from .packing import listed, text_of_item, tokens
from .queries import Queries
from .sub_call_errors import BudgetExceeded, CallsRejected, FailedCall
from .value_form import Form, NotTheForm
from .variables import quoted

_MOST_ITEMS, _MOST_QUOTED = 100, 25
"""Items in a prompt, and those when each is answered with a quotation: answers have limits too."""
_ROUNDS = 3
_SMALLER = 4
"""Each time it asks again, packs are so many times smaller."""
_SHOWN = 80
_MOST_WHY = 200
_OVERHEAD = 300
"""Tokens of the words around the instruction and the items, at most."""
_ANSWER = {"type": "object"}
"""The form of an answer for the host. Values are checked here, one by one."""


class _Item(NamedTuple):
    at: int
    item: Any
    text: str
    size: int


class MapQuery:
    """The function `map_query` of one REPL."""

    def __init__(self, queries: Queries, prompt_tokens: int, cite: Callable[..., Any]) -> None:
        """`cite` is the REPL's function that finds quotations."""
        self._queries = queries
        self._prompt_tokens = prompt_tokens
        self._cite = cite

    def map_query(
        self,
        items: Iterable[Any],
        instruction: str,
        schema: Any = None,
        key: Any = None,
        quote: bool = False,
        model: str | None = None,
        max_tokens: int | None = None,
    ) -> Mapped:
        """Ask for one value of each item, and return the values in order, None for an item without one.

        Items are packed into prompts that are sent at once; those that are missing or wrong are asked for twice more.
        `instruction` says what to return for an item. `schema`: a list of labels, a JSON Schema or a pydantic class;
        else values are texts. `key`: a function, the name of a field or attribute, or a list, for `.by_key`. `quote`:
        each value comes with a quotation that is checked; `.quotes` has them. `max_tokens`: of the items of a prompt.

        The result is a list with `.failures`, `.by_key` and `.quotes`. Raises BudgetExceeded and CallsRejected, whose
        `.partial` is such a list, and ValueError for an item that is too large for a prompt.
        """
        if isinstance(items, str) and isinstance(instruction, list | tuple):
            items, instruction = instruction, items
        if isinstance(items, Mapping):
            key, items = (list(items) if key is None else key), list(items.values())
        wanted: Any = instruction
        if not isinstance(wanted, str):
            raise TypeError(f"the instruction is a str, not a {type(wanted).__name__}")
        given = listed(items)
        form = Form(schema)
        room = self._prompt_tokens - tokens(instruction) - tokens(form.words()) - _OVERHEAD
        asked = _items(given, max(room, 1))
        if max_tokens is not None:
            if type(max_tokens) is not int or max_tokens < 1:
                raise ValueError(f"max_tokens= is a whole number from 1 on, not {quoted(max_tokens)}")
            room = min(room, max_tokens)
        return _Mapping(self._queries, form, instruction, _keys(given, key), Options(model, _ANSWER)).run(
            asked, max(room, 1), self._cite if quote else None
        )


def _items(given: list[Any], room: int) -> list[_Item]:
    found: list[_Item] = []
    for index, item in enumerate(given):
        text = text_of_item(item)
        size = tokens(text)
        if size > room:
            raise ValueError(
                f"item {index} has about {size:,} tokens, and {room:,} fit into a prompt beside the instruction: "
                "cut documents with chunks(…) first"
            )
        found.append(_Item(index, item, text, size))
    return found


def _keys(items: list[Any], key: Any) -> list[Any] | None:
    """Return the keys of the items. Raises ValueError when two are the same, TypeError, LookupError."""
    if key is None:
        return None
    if isinstance(key, list | tuple):
        if len(key) != len(items):
            raise ValueError(f"key= has {len(key):,} keys for {len(items):,} items")
        keys = list(key)
    elif isinstance(key, str):
        keys = [item[key] if isinstance(item, Mapping) else getattr(item, key) for item in items]
    elif callable(key):
        keys = [key(item) for item in items]
    else:
        raise TypeError(f"key= is a function, a name or a list, not a {type(key).__name__}")
    seen: dict[Any, int] = {}
    for index, one in enumerate(keys):
        if not isinstance(one, Hashable):
            raise TypeError(f"the key of item {index} is a {type(one).__name__}, which cannot be a key")
        if one in seen:
            raise ValueError(f"the items {seen[one]} and {index} have the same key {quoted(one)}: give another key=")
        seen[one] = index
    return keys


class _Mapping:
    """One call of `map_query`."""

    def __init__(
        self, queries: Queries, form: Form, instruction: str, keys: list[Any] | None, options: Options
    ) -> None:
        self._queries = queries
        self._form = form
        self._instruction = instruction
        self._keys = keys
        self._options = options
        self._values: dict[int, Any] = {}
        self._quotes: dict[int, Any] = {}
        self._why: dict[int, str] = {}
        self._cite: Callable[..., Any] | None = None

    def run(self, asked: list[_Item], room: int, cite: Callable[..., Any] | None) -> Mapped:
        """Ask until each item has a value or was asked for three times. Raises BudgetExceeded, CallsRejected."""
        self._cite = cite
        most = _MOST_QUOTED if cite else _MOST_ITEMS
        left = asked
        for _ in range(_ROUNDS):
            if not left:
                break
            try:
                self._round(left, room, most)
            except (BudgetExceeded, CallsRejected) as error:
                for one in asked:
                    if one.at not in self._values:
                        self._why[one.at] = self._why.get(one.at) or str(error)
                error.partial = self._result(asked)
                raise
            left = [one for one in left if one.at not in self._values]
            room, most = max(room // _SMALLER, 1), max(most // _SMALLER, 1)
        result = self._result(asked)
        if result.failures:
            first = result.failures[0]
            print(f"[{len(result.failures)} of {len(asked)} items without a value: item {first.index}: {first.why}]")
        return result

    def _round(self, left: list[_Item], room: int, most: int) -> None:
        from durable_rlm.matching.content_cuts import content_key, cut

        # An item counts at least its share of the number of items that are allowed.
        sizes = [max(one.size, -(-room // most)) for one in left]
        ends = cut(sizes, [content_key(one.text) for one in left], room)
        packs = [left[start:end] for start, end in zip([0, *ends], ends, strict=False)]
        ended_by: BudgetExceeded | CallsRejected | None = None
        try:
            answers = self._queries.batch("llm", [self._prompt(pack) for pack in packs], self._options)
        except (BudgetExceeded, CallsRejected) as error:
            ended_by, answers = error, error.partial or []
        for pack, answer in zip(packs, answers, strict=False):
            self._take(pack, answer)
        if ended_by:
            raise ended_by

    def _prompt(self, pack: list[_Item]) -> str:
        each = self._form.words()
        if self._cite:
            each = f'{{"value": …, "quote": …}}: value is {each}; quote is a passage copied word for word from the item'
        shape = '{"1": …, "2": …}' if len(pack) > 1 else '{"1": …}'
        parts = [
            self._instruction.strip(),
            f"Do this for each of the {len(pack)} items below, by itself. Return one JSON object with an entry for "
            f"every item by its number, {shape}. Each entry is {each}.",
        ]
        if refused := [f"{at}: {why}" for at, one in enumerate(pack, 1) if (why := self._why.get(one.at))]:
            parts.append("Earlier answers were not accepted:\n" + "\n".join(refused))
        if any("\n" in one.text.strip() for one in pack):
            parts += [f'<item number="{at}">\n{one.text}\n</item>' for at, one in enumerate(pack, 1)]
        else:
            parts.append("\n".join(f"{at}: {one.text.strip()}" for at, one in enumerate(pack, 1)))
        return "\n\n".join(parts)

    def _take(self, pack: list[_Item], answer: Any) -> None:
        """Take the values of an answer that are of the form, and note why others are not."""
        if isinstance(answer, FailedCall):
            for one in pack:
                self._why[one.at] = f"the call failed: {answer.error}"[:_MOST_WHY]
            return
        entries = _entries(answer, len(pack), quoting=self._cite is not None)
        for number, one in enumerate(pack, 1):
            if number not in entries:
                self._why[one.at] = "the answer has no entry for it"
                continue
            try:
                self._values[one.at] = self._checked(one, entries[number])
            except NotTheForm as error:
                self._why[one.at] = str(error)[:_MOST_WHY]

    def _checked(self, one: _Item, entry: Any) -> Any:
        if self._cite is None:
            return self._form.checked(entry)
        if not isinstance(entry, Mapping) or not isinstance(words := entry.get("quote"), str):
            raise NotTheForm('it is not {"value": …, "quote": …}')
        value = self._form.checked(entry.get("value"))
        # A document and a chunk know their place in the input; other items are only compared.
        cite = self._cite if isinstance(one.item, Document) or hasattr(one.item, "stored") else _found_in
        try:
            self._quotes[one.at] = cite(one.item if cite is not _found_in else one.text, words)
        except (LookupError, TypeError):
            raise NotTheForm(f"its quotation is not in the item: {quoted(words)}") from None
        return value

    def _result(self, asked: list[_Item]) -> Mapped:
        failures = [
            Failure(one.at, one.text[:_SHOWN], self._why.get(one.at, "it was not asked for"))
            for one in asked
            if one.at not in self._values
        ]
        values, quotes = ([found.get(one.at) for one in asked] for found in (self._values, self._quotes))
        return Mapped(values, failures, self._keys, quotes)


def _found_in(item: Any, words: str) -> str:
    """Return a quotation of a text that is no document, as it stands there. Raises LookupError."""
    text = str(item)
    at = text.find(words)
    if words.strip() and at >= 0:
        return words
    if words.strip() and " ".join(words.split()) in " ".join(text.split()):
        return words
    raise LookupError(words)


_NUMBERS = ("number", "item", "id", "index", "no", "n")
_HOLDERS = ("values", "items", "answers", "results", "answer", "value", "result", "output")


def _entries(answer: Any, count: int, *, quoting: bool, level: int = 0) -> dict[int, Any]:
    """Return the entries of an answer by the number of their item, from 1 to `count`, whatever form it has.

    It is `{"1": …}`, a list of `{"number": 1, "value": …}`, a list of so many values, or one of these in an object.
    """
    if isinstance(answer, Mapping):
        found = {number: one for name, one in answer.items() if (number := _number(name, count))}
        if found or level > 1:
            return found
        for name in _HOLDERS:
            inner = answer.get(name)
            if isinstance(inner, Mapping | list) and (name != "value" or not quoting):
                return _entries(inner, count, quoting=quoting, level=level + 1)
        lists = [one for one in answer.values() if isinstance(one, list)]
        return _entries(lists[0], count, quoting=quoting, level=level + 1) if len(lists) == 1 else {}
    if not isinstance(answer, list):
        return {}
    found = {}
    for one in answer:
        name = next((name for name in _NUMBERS if isinstance(one, Mapping) and name in one), None)
        if name is not None and (number := _number(one[name], count)):
            rest = {field: value for field, value in one.items() if field != name}
            found[number] = rest["value"] if rest.keys() == {"value"} else rest
    if not found and len(answer) == count and not all(isinstance(one, Mapping) for one in answer):
        return dict(enumerate(answer, 1))
    return found


def _number(name: Any, count: int) -> int:
    """Return the number of an item; 0 when it is not one."""
    text = str(name).strip().lower().removeprefix("item").strip(" _#.:")
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    return number if number <= count else 0
