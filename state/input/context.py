"""A run's input as stored blobs: ingested once, in bounded memory, and referred to in the state.

All texts are concatenated in one blob, the pack; a second blob is the index of it (`index.py`). A kernel reads both
from disk; no other process holds the text.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NotRequired

from typing_extensions import TypedDict

from ..blobs.store import Blobs
from ..errors import StoredDataDamaged

MOST_NAMES = 20
PREVIEW = 500
"""Characters of the input that the root model sees at the beginning."""
MOST_HEADS = 3
"""Documents whose beginnings the root model sees."""


class ContextRef(TypedDict):
    """The state's reference to the input. Plain JSON; a wire format: saved runs contain it."""

    kind: Literal["none", "text", "documents"]
    pack: str
    """Blob of all texts in UTF-8, concatenated; empty for kind `none`."""
    index: str
    """Blob of the index; empty for kind `none`, for a text without a name, and for texts that older versions stored."""
    documents: int
    chars: int
    bytes: int
    names: list[str]
    """Names of the first documents."""
    preview: str
    notes: list[str]
    """Notes on sources that were left out, or read in an unusual way."""
    start: NotRequired[int]
    end: NotRequired[int]
    """The range of the pack, in bytes, that is the text, or that contains the documents; by default the whole pack.

    `bytes` counts the input itself: the pack may have more.
    """
    content: NotRequired[str]
    """The hash of the texts, names and metadata of an input that a user gave, whenever its files were changed."""
    digest: NotRequired[str]
    """The hash of a context that was handed to a sub-RLM, wherever it is stored (`child_context.py`)."""


def no_context() -> ContextRef:
    """Return the reference of a run that has only its question."""
    return ContextRef(kind="none", pack="", index="", documents=0, chars=0, bytes=0, names=[], preview="", notes=[])


def context_files(ref: ContextRef, blobs: Blobs) -> tuple[Path, Path | None, int, int]:
    """Return the pack's path, the index's path if there is one, and the range of the pack, as a kernel needs them.

    The bytes are checked the first time in a process, because a kernel maps them unchecked: call it in a thread.
    Raises StoredDataDamaged, and ValueError for a reference of kind `none`.
    """
    pack = blobs.path(ref["pack"])
    index = blobs.path(ref["index"]) if ref["index"] else None
    start, end = context_range(ref)
    try:
        size = pack.stat().st_size
        whole = (end <= size if "end" in ref else end == size) and (index is None or index.stat().st_size > 0)
    except FileNotFoundError:
        whole = False
    if not whole:
        raise StoredDataDamaged("The run's stored input is missing or cut short.", hint="Run `rlm verify`.")
    for name in filter(None, (ref["pack"], ref["index"])):
        blobs.check_once(name)
    return pack, index, start, end


def context_range(ref: ContextRef) -> tuple[int, int]:
    """Return the part of the pack, in bytes, that contains the input."""
    return ref.get("start", 0), ref.get("end", ref["bytes"])


def previewed(heads: Sequence[tuple[str, str]], *, several: bool) -> str:
    """Return the beginning of a text, or of the first documents under their names; `heads`: names and beginnings."""
    if not several:
        return heads[0][1] if heads else ""
    share = PREVIEW // max(1, len(heads))
    return "\n\n".join(f"--- {name}\n{head[:share].rstrip()}" for name, head in heads)


def head_of(data: bytes) -> str:
    """Return the characters at the beginning of a text that a preview may show."""
    return data[: 4 * PREVIEW].decode("utf-8", "ignore")[:PREVIEW]


class UniqueNames:
    """Makes document names unique by numbering repeated ones, because documents are looked up by name."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._reached: dict[str, int] = {}
        """The number reached for each name: a million documents of one name need no search."""

    def free(self, name: str) -> str:
        """Return `name`, or `name` with the first number that makes it unique."""
        number = self._reached.get(name, 1)
        while (unique := name if number == 1 else f"{name} ({number})") in self._taken:
            number += 1
        self._reached[name] = number
        return unique

    def take(self, unique: str) -> None:
        """Mark a name as taken."""
        self._taken.add(unique)
