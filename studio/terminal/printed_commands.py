"""Commands that a user can paste: with the word that starts this program, the run's name, and `--home` where needed.

Messages of the layers below contain commands in backquotes, such as `rlm resume NAME` (`state.errors.cli_command`).
Those layers know neither how this process was called nor which folder it works in, and their messages may be stored
and read by another process. Commands are therefore rewritten here, when they are printed, and nowhere else.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..invocation import Invocation
from .escape import safe

PROGRAM = "rlm"
_SCRIPTS = (PROGRAM, "durable-rlm")
"""The names that the program is installed under."""
_MODULE = "durable_rlm"
_OF_A_RUN = {
    *("resume", "review", "fork", "wait", "stop", "show", "steps", "calls", "vars", "diff", "verify", "delete"),
}
"""Commands whose first argument is a run."""
_PLACEHOLDER = "THREAD"
_BACKQUOTED = re.compile(r"`([^`\n]+)`")
_PROGRAM_WORD = re.compile(rf"(^\s*|[|&;] ){PROGRAM}(?= |$)")
"""The program's name in the places where a shell looks for a program: at the beginning, or behind an operator."""
_OPERATOR = re.compile(r"\s[|&;<>]")


def program() -> str:
    """Return the word or words that start this program from the user's shell, quoted for it."""
    return shlex.join(_program_words())


def command_line(invocation: Invocation, *words: str) -> str:
    """Return a command to paste, with `--home` if the command would not find the home by itself."""
    home = ("--home", str(invocation.home)) if invocation.home_needed else ()
    return _one_line(f"{program()} {shlex.join((*words, *home))}")


def pasteable(text: str, invocation: Invocation | None = None) -> str:
    """Return `text` with every command in backquotes rewritten into one that can be pasted.

    A command about a run that names none gets the run that this command is about, if that is known.
    """
    return _BACKQUOTED.sub(lambda found: f"`{_rewritten(found[1], invocation)}`", text)


def pasteable_error(error: Mapping[str, Any], invocation: Invocation) -> dict[str, Any]:
    """Return an error object with its texts rewritten by `pasteable`."""
    return {name: pasteable(text, invocation) if isinstance(text, str) else text for name, text in error.items()}


def with_program(text: str, word: str) -> str:
    """Return a help text with the program's `word` in its commands: those in backquotes, and indented lines."""
    lines = _BACKQUOTED.sub(lambda found: f"`{_with_program(found[1], word)}`", text).split("\n")
    return "\n".join(_with_program(line, word) if line.startswith(" ") else line for line in lines)


def _with_program(command: str, word: str) -> str:
    return _PROGRAM_WORD.sub(lambda found: f"{found[1]}{word}", command)


def _rewritten(command: str, invocation: Invocation | None) -> str:
    words = _words(command)
    if invocation is None or not words or words[0].startswith("-") or "--help" in words:
        return _with_program(command, program())
    words = [word for word in words if word != _PLACEHOLDER]
    names_none = len(words) == 1 or words[1].startswith("-")
    if words[0] in _OF_A_RUN and names_none and invocation.thread:
        words.insert(1, invocation.thread)
    return command_line(invocation, *words)


def _words(command: str) -> list[str]:
    """Return the words after the program's in a single command; an empty list for any other text."""
    if not _PROGRAM_WORD.match(command) or _OPERATOR.search(command):
        return []
    try:
        return shlex.split(command)[1:]
    except ValueError:
        return []


def _one_line(text: str) -> str:
    return safe(text).replace("\n", " ")


def _program_words() -> Sequence[str]:
    called = Path(sys.argv[0] if sys.argv else "")
    beside = [Path(sys.executable).with_name(name) for name in _SCRIPTS]
    installed = [script for script in beside if script.exists()]
    if called.parts[-2:] != (_MODULE, "__main__.py"):
        # A link to the script may have any name; a script elsewhere (`pip install --user`) has one of `_SCRIPTS`.
        ours = any(_same(called, script) for script in installed) or called.name in _SCRIPTS
        if ours and called.is_file():
            return [_typed(called)]
        if installed:
            # Another program has called `main`.
            return [_typed(installed[0])]
    return [_typed(Path(sys.executable)), "-m", _MODULE]


def _typed(file: Path) -> str:
    """Return a program's file as a user would type it: its name if that is found on the PATH, else its path."""
    # `uv run` puts the environment's programs on the PATH of this process, not on that of the user's shell.
    found = None if "UV_RUN_RECURSION_DEPTH" in os.environ else shutil.which(file.name)
    # Links are not followed: the Pythons of all environments are links to the same file.
    if found and (_absolute(Path(found)) == _absolute(file) or (file.name in _SCRIPTS and _same(Path(found), file))):
        return file.name
    absolute = _absolute(file)
    try:
        below = absolute.relative_to(Path.cwd())
    except (ValueError, OSError):
        return str(absolute)
    return str(below) if len(below.parts) > 1 else f"./{below}"


def _absolute(path: Path) -> Path:
    """Return an absolute path without `..`, links unresolved, or the path itself if the working folder is gone."""
    try:
        return Path(os.path.abspath(path))  # noqa: PTH100 - `Path.resolve` would follow links
    except OSError:
        return path


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False
