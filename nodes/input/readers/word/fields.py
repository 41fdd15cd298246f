"""Fields of Word documents: their results are text, their instructions are not."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..office.zip_package import Element, attribute, local
from .numbering import child, setting, switched, whole

_TARGET = re.compile(r'^\s*HYPERLINK\s+(?:\\[a-z]\s+)*(?:"([^"]*)"|([^\s\\"]\S*))', re.IGNORECASE)
_UNCOUNTED = re.compile(r"^\s*(AUTONUM(?:LGL|OUT)?|LISTNUM)\b", re.IGNORECASE)
_LONGEST_INSTRUCTION = 10_000


@dataclass
class Field:
    """A field that has begun."""

    value: str = ""
    """The text of a form field that has no result: a tick, a chosen entry."""
    instruction: list[str] = field(default_factory=list[str])
    length: int = 0
    in_result: bool = False
    swallowed: int = 0
    """Pieces of text that stand in the instruction itself."""

    def add(self, text: str) -> None:
        """Add to the instruction."""
        if self.length < _LONGEST_INSTRUCTION:
            self.instruction.append(text)
            self.length += len(text)

    @property
    def target(self) -> str:
        """The address that a link leads to; empty for any other field and for a place in the document."""
        match = _TARGET.match("".join(self.instruction))
        return (match[1] or match[2] or "") if match else ""

    @property
    def uncounted(self) -> bool:
        """Tell whether it shows a number that Word counts and does not save."""
        return _UNCOUNTED.match("".join(self.instruction)) is not None


class Fields:
    """The open fields of a text, the innermost last."""

    def __init__(self) -> None:
        """Begin without any."""
        self._open: list[Field] = []
        self._instructions: list[Field] = []

    @property
    def instruction(self) -> Field | None:
        """The innermost field whose instruction is being read; None where words are text."""
        return self._instructions[-1] if self._instructions else None

    def begin(self, element: Element) -> None:
        """Begin a field by its `fldChar`."""
        opened = Field(form_value(child(element, "ffData")))
        self._open.append(opened)
        self._instructions.append(opened)

    def separate(self) -> None:
        """End the instruction of the innermost field: its result follows."""
        if self._open and not self._open[-1].in_result:
            self._open[-1].in_result = True
            self._instructions.pop()

    def end(self) -> Field | None:
        """End the innermost field and return it; None without one."""
        if not self._open:
            return None
        ended = self._open.pop()
        if not ended.in_result:
            self._instructions.pop()
        return ended

    def words(self) -> None:
        """Count a piece of text in an instruction."""
        # A result of a field inside the instruction is a part of it; anything else was meant to be text.
        if self._open[-1] is self._instructions[-1]:
            self._open[-1].swallowed += 1

    def unfinished(self) -> Iterable[Field]:
        """Return the fields that never end."""
        return list(self._open)


def form_value(data: Element | None) -> str:
    """Return the text of a form field that its result does not show: a tick, the chosen entry."""
    if (box := child(data, "checkBox")) is not None:
        checked = switched(box, "checked")
        return "[x]" if (switched(box, "default") if checked is None else checked) else "[ ]"
    if (choice := child(data, "ddList")) is not None:
        entries = [attribute(one, "val") for one in choice if local(one) == "listEntry"]
        chosen = whole(setting(choice, "result") or setting(choice, "default"), 0)
        return entries[chosen] if 0 <= chosen < len(entries) else ""
    return ""
