"""The description of one format of files."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from .draft import Reader
from .unread_formats import Magic


@dataclass(frozen=True)
class Format:
    """One format."""

    kind: str
    """Its name, for people: `PDF`."""
    suffixes: tuple[str, ...] = ()
    """In lower case, with the dot; the longest that matches decides (`.tar.gz` before `.gz`)."""
    magic: tuple[Magic, ...] = ()
    """Beginnings of its files, or bytes at an offset. They decide over a suffix, unless the file may be a text that
    begins with these letters."""
    reader: str = ""
    """The function that reads it, as `package.module:function`; empty for text."""
    needs: tuple[str, ...] = ()
    """The modules that the reader imports and the base install does not have."""
    packages: tuple[str, ...] = ()
    """The distributions whose versions change what is read, for the key of cached texts."""
    version: int = 1
    """Raised whenever the reader's output changes, for the same key."""
    unread: str = ""
    """Why no reader reads it, completing "NAME is …" (`a PNG image`)."""
    content_types: tuple[str, ...] = ()
    """The media types by which mail and archives name it."""
    seconds: float = 60.0
    """Seconds of CPU time that the reader may use for one file."""
    sniff: Callable[[str, bytes], bool] | None = None
    """Tells by name and first bytes if a file is of this format, where no suffix and no `magic` decides."""

    def load(self) -> Reader:
        """Import the reader. Raises ImportError."""
        module, _, function = self.reader.partition(":")
        return cast("Reader", getattr(import_module(module), function))

    def missing(self) -> list[str]:
        """Return the modules that the reader needs and that are not installed."""
        return [name for name in self.needs if find_spec(name) is None]
