"""The fields of a line of a questions file, checked. All that is wrong with a line is found at once."""

import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, cast

from ...state.db.storable import encodable
from ...state.run_names import MOST_NAME, MOST_QUESTION
from ..terminal.escape import safe_line

_SHOWN = 60
_MOST_PROBLEMS = 5
"""Problems of one kind that are reported of a line: it may have a million fields or paths."""


@dataclass(frozen=True)
class AskedQuestion:
    """A question as its line has it."""

    line: int
    """The number of its line, from 1."""
    given_id: str | int
    """Its id as it is written out again."""
    question: str
    paths: tuple[str, ...] | None = None
    """Its own input, in place of the shared one; None: the shared one."""
    schema: Mapping[str, Any] | None = None
    """The JSON Schema of its answer; None: that of the settings."""

    @property
    def id(self) -> str:
        """Its id as a text, which names its run."""
        return str(self.given_id)


class BadLine(Exception):
    """A line cannot be used; `problems` are phrases, safe to show."""

    def __init__(self, *problems: str) -> None:
        super().__init__(*problems)
        self.problems = problems


def question_on(line: int, given: Mapping[str, Any], prefix: str, schemas: dict[str, Any]) -> AskedQuestion:
    """Return the question on a line. `schemas` keeps those that were read from files. Raises BadLine."""
    checks = {"id": partial(_id, prefix), "question": _question, "paths": _paths, "schema": partial(_schema, schemas)}
    unknown = (f"unknown field {safe_line(name, _SHOWN)}" for name in given if name not in checks)
    problems = list(islice(unknown, _MOST_PROBLEMS))
    made: dict[str, Any] = {}
    for name, check in checks.items():
        try:
            made[name] = check(given.get(name))
        except BadLine as bad:
            problems += bad.problems
    if problems:
        raise BadLine(*problems)
    return AskedQuestion(line, made["id"], made["question"], made["paths"], made["schema"])


def _id(prefix: str, value: Any) -> str | int:
    if value is None:
        raise BadLine("it has no id")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise BadLine("its id is no text and no whole number")
    name = str(value)
    if not name.strip():
        raise BadLine("its id is empty")
    if len(prefix) + len(name) > MOST_NAME:
        raise BadLine(f"its id is too long for the name of a run, which has at most {MOST_NAME} characters")
    if "\0" in name or not encodable(name):
        raise BadLine("its id has characters that no name can have")
    return value


def _question(value: Any) -> str:
    if value is None:
        raise BadLine("it has no question")
    if not isinstance(value, str):
        raise BadLine("its question is no text")
    if not value.strip():
        raise BadLine("its question is empty")
    if len(value) > MOST_QUESTION:
        raise BadLine(f"its question has {len(value):,} characters, and may have {MOST_QUESTION:,}")
    if not encodable(value):
        raise BadLine("its question has characters that UTF-8 does not have")
    return value


def _paths(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not all(isinstance(path, str) and path for path in cast("list[Any]", value)):
        raise BadLine('its "paths" are no list of texts')
    paths = cast("list[str]", value)
    if not paths:
        raise BadLine('its "paths" are empty: leave them out for the shared input')
    if problems := list(islice(filter(None, map(_no_path, paths)), _MOST_PROBLEMS)):
        raise BadLine(*problems)
    return tuple(paths)


def _no_path(text: str) -> str:
    """Return why nothing can be read at a path, as far as a look at its name says it; empty when it may be."""
    shown = safe_line(text, 200)
    if text == "-":
        return "its input cannot be standard input; name files"
    path = Path(text).expanduser() if text.startswith("~/") else Path(text)
    # Patterns are expanded when the input is read.
    return "" if os.path.lexists(path) or glob.has_magic(text) else f"there is no file or folder {shown}"


def _schema(known: dict[str, Any], value: Any) -> Mapping[str, Any] | None:
    if value is None:
        return None
    if not isinstance(value, str):
        return _checked_schema(value)
    if value not in known:
        try:
            known[value] = _checked_schema(value)
        except BadLine as bad:
            known[value] = bad
    if isinstance(known[value], BadLine):
        raise known[value]
    return known[value]


def _checked_schema(value: Any) -> Mapping[str, Any]:
    from pydantic import TypeAdapter, ValidationError

    from ...state.settings import Schema

    try:
        return TypeAdapter[dict[str, Any]](Schema).validate_python(value)
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise BadLine(f'its "schema" cannot be used: {safe_line(said, 200)}') from None
