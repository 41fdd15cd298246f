"""Symbols, references and imports of source code: Python by `ast`, other languages by tree-sitter.

The functions here are those of the REPL; what they do is imported at the first use (`survey.py`).
"""

from typing import Any

_FUNCTIONS = ("symbols", "definition", "references", "imports")


class SourceCode:
    """Documents, or a text with a name, that may be source code."""

    __slots__ = ()

    def symbols(self, files: Any = None) -> Any:
        """Return the definitions in the source files: `.name`, `.kind`, `.file`, `.line`, `.last_line`, `.text`."""
        return _survey().symbols(self, files)

    def definition(self, name: str, files: Any = None) -> Any:
        """Return the definitions of a name, as `symbols` does."""
        return _survey().definition(self, name, files)

    def references(self, name: str, files: Any = None) -> Any:
        """Return the uses of a name in code: `.file`, `.line`, `.text`."""
        return _survey().references(self, name, files)

    def imports(self, files: Any = None) -> Any:
        """Return the imports: `.file`, `.line`, `.module`, `.name`."""
        return _survey().imports(self, files)


def functions_over(context: Any) -> "dict[str, Any]":
    """Return the functions under their names in the REPL, for its whole input; none where that has no names."""
    if not isinstance(context, SourceCode):
        return {}
    return {name: getattr(context, name) for name in _FUNCTIONS}


def _survey() -> Any:
    from . import survey

    return survey
