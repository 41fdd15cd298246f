"""An engine holds the words of the passages, by their numbers, and ranks passages: the rest of an index is shared."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from .errors import DamagedIndex

Engine = Literal["fts5", "tantivy"]
Allowed = Sequence[tuple[int, int]]
"""The first and last numbers of passages, sorted and joined."""
Ranked = list[tuple[int, float]]
"""Numbers of passages with their scores, the best first."""


class WordsWriter(Protocol):
    """Takes the words of an index that is built."""

    def add(self, passages: Sequence[tuple[int, int, str]]) -> None:
        """Add passages: numbers in order, numbers of their documents, prepared texts."""
        ...

    def finish(self) -> None:
        """Make the words whole, once all are added."""
        ...


class Words(Protocol):
    """The words of an open index. Any error of theirs is a DamagedIndex or an sqlite3.Error."""

    def phrase(self, part: str, *, begins: bool) -> Any:
        """Return a part of what is searched for (`search_words.wanted`) in the engine's form; None without a word."""
        ...

    def count(self, phrase: Any) -> int:
        """Return in how many passages the rarest word of a phrase is; 1 for a beginning of words."""
        ...

    def ranked(self, phrases: Sequence[Any], k: int, allowed: Allowed | None) -> Ranked:
        """Return the best `k` passages that have some of the phrases, among those allowed."""
        ...

    def close(self) -> None:
        """Free what is held."""
        ...


def own(path: Path, kind: int = stat.S_IFREG) -> os.stat_result:
    """Return what the file system knows of a file (`kind`) in an index.

    Raises FileNotFoundError, and DamagedIndex for one that others may have written.
    """
    facts = path.lstat()
    if stat.S_IFMT(facts.st_mode) != kind or facts.st_uid != os.geteuid() or facts.st_mode & 0o022:
        raise DamagedIndex("a file that others may have written")
    return facts
