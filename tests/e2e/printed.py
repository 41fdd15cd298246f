"""Commands in the program's output, and a real shell that runs them in the same folder."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

_PROGRAM = r"(?:[\w./'-]*/)?(?:rlm|durable-rlm)|\S*python\S* -m durable_rlm"
_QUOTED = re.compile(rf"`((?:{_PROGRAM}) [^`\n]+)`")
_LABELLED = re.compile(rf"(?:^ *| · |: )((?:{_PROGRAM}) .+?)(?= · |$)", re.MULTILINE)
USAGE, NOT_FOUND = 2, 127


def commands_in(text: str) -> list[str]:
    """Return every command in a text: in backquotes, after a label (`Go on: …`) or a dot, or alone on its line."""
    bare = _QUOTED.sub("", text)
    found = [*(found[1] for found in _QUOTED.finditer(text)), *(found[1].strip() for found in _LABELLED.finditer(bare))]
    return list(dict.fromkeys(found))


def paste(command: str, folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a pasted command in a shell; a failing part of a pipe is a failure."""
    shell = ["bash", "-o", "pipefail", "-c", command]
    return subprocess.run(
        shell, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip


def paste_all(
    text: str, folder: Path, environment: Mapping[str, str], but: Iterable[str] = ()
) -> dict[str, "subprocess.CompletedProcess[str]"]:
    """Paste every command in a text except those that contain one of the words in `but`.

    Each must work: found by the shell, no wrong usage, no missing run. Returns the finished commands.
    """
    done: dict[str, subprocess.CompletedProcess[str]] = {}
    for command in commands_in(text):
        if not any(word in command.split() for word in but):
            done[command] = paste(command, folder, environment)
            said = f"{command}\n{done[command].stdout}{done[command].stderr}"
            assert done[command].returncode not in (USAGE, NOT_FOUND), said
    return done
