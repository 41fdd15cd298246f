"""The things found in source code. Plain data, so that variables which hold them are saved as any others."""

from dataclasses import dataclass

_SHOWN = 120


@dataclass(frozen=True, slots=True)
class Symbol:
    """A definition: of a class, a function, a method, a type, a constant."""

    name: str
    """Its name with those of what it is in: `Parser.feed`."""
    kind: str
    file: str
    """The document's name."""
    line: int
    """Its first line, from 1, that of its name."""
    last_line: int
    text: str
    """The line of its name, without indentation."""

    def __repr__(self) -> str:
        return f"<{self.file}:{self.line} {self.kind} {self.name}>"

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {_short(self.text)}"


@dataclass(frozen=True, slots=True)
class Reference:
    """A use of a name."""

    file: str
    line: int
    """From 1."""
    text: str
    """The line, without indentation."""

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {_short(self.text)}"


@dataclass(frozen=True, slots=True)
class Import:
    """An import: of a module, or of a name from one."""

    file: str
    line: int
    """From 1."""
    module: str
    """As it is written: `..utils`, `fmt`, `./api`, `stdio.h`."""
    name: str | None
    """The imported name, where the statement names one."""

    def __repr__(self) -> str:
        return f"<{self}>"

    def __str__(self) -> str:
        return f"{self.file}:{self.line} {self.module}{f': {self.name}' if self.name else ''}"


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"
