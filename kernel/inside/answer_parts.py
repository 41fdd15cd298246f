"""The parts sent before a final value: the batches of a table, and the files that code has left for the user."""

from collections.abc import Iterator
from typing import Any

from .answer_batches import Batches
from .answer_files import AnswerFiles


def parts_of(final: "dict[str, Any] | None", scratch: str) -> Iterator[bytes]:
    """Yield the parts of a final value, in the order in which the host reads them.

    Afterwards the value has what the host needs to put them together. `scratch` is the folder that cells write to; it
    is empty if there is none. Raises AnswerTooLarge.
    """
    if final is None:
        return
    batches = final.get("table")
    if isinstance(batches, Batches):
        yield from batches
        final["table"] = batches.head()
        if citations := final.pop("collect")(batches.markers):
            final["citations"] = citations
        _add_problem(final, batches.problem())
    if scratch:
        files = AnswerFiles(scratch)
        yield from files
        if files.found:
            final["files"] = files.found
        _add_problem(final, files.problem())


def _add_problem(final: dict[str, Any], problem: str) -> None:
    if problem:
        before = final.get("problem")
        final["problem"] = f"{before}; {problem}" if before else problem
