"""The ways to end a run from code: FINAL, FINAL_VAR, SUBMIT, and the `answer` dict.

Each only records the answer. It takes effect when its cell ends without an error, and the value is read at that point:
code after FINAL may still change it.
"""

from collections.abc import Callable, MutableMapping
from functools import partial
from types import ModuleType
from typing import Any

from .citations import Citation, Citations
from .variables import quoted

_SHORT_NAME = 3
"""A text of so many characters is rather an answer than the name of a variable."""
_MOST_BITS = 14_000
"""Bits of the largest int that is written in decimal: Python refuses to read more than 4,300 digits."""


class Finish:
    """The running cell's request to end the run."""

    def __init__(
        self, namespace: MutableMapping[str, Any], is_own: Callable[[str], bool], citations: Citations
    ) -> None:
        """`is_own` tells names that the REPL itself has put into `namespace` from variables of the code."""
        self._namespace = namespace
        self._citations = citations
        self._cited: list[int] = []
        self._is_own = is_own
        self._read: Callable[[], Any] | None = None
        self.voided = False
        """True when the last cell asked to end the run, and then ended in an error."""

    def names(self) -> dict[str, Any]:
        """Return the functions under the names that code uses."""
        return {"FINAL": self.final, "FINAL_VAR": self.final_var, "SUBMIT": self.submit}

    def final(self, value: Any, *, citations: Any = None) -> None:
        """End the run with `value` as its answer, once this cell has ended without an error.

        `citations`: those that support it. Those in the value, or named in its texts by markers, are added.
        """
        self._cited = self._citations.cited(citations)
        self._read = lambda: value

    def final_var(self, name: Any, *, citations: Any = None) -> None:
        """End the run with the variable called `name`, as it is when this cell has ended."""
        if not isinstance(name, str):
            self.final(name, citations=citations)
            return
        wanted = name.strip().strip("\"'")
        if wanted not in self._namespace:
            if not wanted.isidentifier() or self._holds(name):
                # The variable itself was given, and it holds a text.
                self.final(name, citations=citations)
                return
            raise NameError(f"FINAL_VAR: there is no variable {quoted(wanted)}; SHOW_VARS() lists those there are")
        self._cited = self._citations.cited(citations)
        self._read = lambda: self._namespace[wanted]

    def submit(self, *values: Any, citations: Any = None, **fields: Any) -> None:
        """End the run with one value, or with a dict of the fields given by name.

        `citations` that are not what `cite()` returns are a field like others.
        """
        if citations is not None and not values and not _are_cited(citations):
            fields["citations"], citations = citations, None
        if fields and not values:
            self.final(fields, citations=citations)
        elif len(values) == 1 and not fields:
            self.final(values[0], citations=citations)
        else:
            raise TypeError("SUBMIT takes one value, or fields by name: SUBMIT(42) or SUBMIT(count=42, unit='m')")

    def begin(self) -> None:
        """Clear the request when a cell begins."""
        self._read = None
        self._cited = []
        if not isinstance(self._namespace.get("answer"), dict):
            self._namespace["answer"] = {"content": "", "ready": False}

    def collect(self, *, succeeded: bool) -> dict[str, Any] | None:
        """Return `{"value": …}` when the ended cell ends the run, else None. An error in the cell voids its request."""
        held: Any = self._namespace.get("answer")
        said = isinstance(held, dict) and bool(held.get("ready"))
        read, self._read = self._read, None
        self.voided = not succeeded and (said or read is not None)
        if not succeeded:
            if said:
                held["ready"] = False
            return None
        if read is not None:
            return self._with_citations(self._answer(read()))
        if said:
            return self._with_citations(as_json(held.get("content")))
        return None

    def _with_citations(self, answer: dict[str, Any]) -> dict[str, Any]:
        given = self._cited
        if "table" in answer:  # its rows are written, and searched for markers, as they are sent
            return {**answer, "collect": partial(self._collected, given)}
        citations = self._citations.collect(answer["value"], given)
        return {**answer, "citations": citations} if citations else answer

    def _collected(self, given: "list[int]", markers: "set[int]") -> "list[dict[str, Any]]":
        return self._citations.collect(None, [*given, *markers])

    def _answer(self, value: Any) -> dict[str, Any]:
        """Return the answer that a final value is: itself, or the value of the variable that it most likely names."""
        if isinstance(value, str) and len(value) > _SHORT_NAME and value.isidentifier() and not self._is_own(value):
            held = self._namespace.get(value)
            if not _is_nothing(held) and not (isinstance(held, str) and held.strip() == value):
                return {**as_json(held), "variable": value}
        return as_json(value)

    def _holds(self, text: str) -> bool:
        """Return whether a variable of the code holds this text."""
        return any(value is text or (isinstance(value, str) and value == text) for value in self._users())

    def _users(self) -> list[Any]:
        return [value for name, value in self._namespace.items() if not name.startswith("_") and not self._is_own(name)]


def _are_cited(given: Any) -> bool:
    items = given if isinstance(given, list | tuple | set) else [given]
    return bool(items) and all(isinstance(one, Citation) for one in items)


def _is_nothing(value: Any) -> bool:
    """Return whether a variable holds nothing that could be an answer."""
    if isinstance(value, str | bytes | list | tuple | dict | set | frozenset):
        return len(value) == 0
    return value is None or callable(value) or isinstance(value, ModuleType)


def as_json(value: Any) -> dict[str, Any]:
    """Return `{"value": …}` with the value as plain JSON (`answer_value.py`); for a table `"table"`, its batches.

    With what has no form in JSON comes `"problem"`, which says so. Where that is the value itself, its text is
    returned, and the name of its type as `"text_of"`. Raises AnswerTooLarge.
    """
    if isinstance(value, int) and value.bit_length() > _MOST_BITS:
        return {"value": hex(value), "text_of": type(value).__name__}
    if value is None or isinstance(value, bool | int | str):
        return {"value": value}
    from .answer_batches import Batches
    from .answer_tables import frame_of
    from .answer_value import HOOKS, Plain

    HOOKS[Citation] = str
    if (frame := frame_of(value)) is not None:
        return {"value": None, "table": Batches(frame)}
    conversion = Plain()
    made = conversion.of(value)
    said: dict[str, Any] = {"value": made, "problem": conversion.problem()} if conversion.problems else {"value": made}
    return {**said, "value": str(value), "text_of": type(value).__name__} if conversion.formless else said
