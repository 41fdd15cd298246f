"""Editing of a text in the reviewer's own editor."""

import os
import shlex
import shutil
import subprocess
import tempfile
from pathlib import Path

from ...state.errors import UsageError

_USUAL = ("sensible-editor", "nano", "vim", "vi")
_STDERR = 2


def editor_command() -> list[str]:
    """Return `$VISUAL`, else `$EDITOR`, else a usual editor, as words. Raises UsageError if there is none."""
    for name in ("VISUAL", "EDITOR"):
        if given := os.environ.get(name, "").strip():
            try:
                return shlex.split(given)
            except ValueError as error:
                raise UsageError(f"${name} cannot be read: {error}.", hint="Write a command there.") from error
    for name in _USUAL:
        if shutil.which(name):
            return [name]
    raise UsageError("No editor was found.", hint="Name one in $EDITOR.")


def edited(text: str, suffix: str) -> str:
    """Return `text` as edited by the reviewer, in a file that nobody else can read and that is deleted afterwards.

    Raises UsageError when there is no editor, it failed, or the file is not text.
    """
    command = editor_command()
    # A folder of its own, with mode 0700: an editor leaves copies beside the file that it edits.
    folder = Path(tempfile.mkdtemp(prefix="rlm-review-"))
    try:
        path = folder / f"edit{suffix}"
        path.touch(mode=0o600, exist_ok=False)
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        _wait_for([*command, str(path)])
        return _read(path, text)
    except OSError as error:
        raise UsageError(f"{command[0]} could not be used: {error.strerror}.", hint="See $EDITOR.") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(command: list[str]) -> None:
    # stdout may be a file; stderr, on which the reviewer is asked, is a terminal.
    status = subprocess.run(command, stdout=_STDERR, check=False).returncode
    if status:
        raise UsageError(f"{command[0]} ended with status {status}; what it left is not used.")


def _read(path: Path, before: str) -> str:
    try:
        after = path.read_bytes().decode("utf-8", "surrogatepass")
    except UnicodeDecodeError as error:
        raise UsageError("What the editor left is not UTF-8 text.") from error
    # Editors end a file with a newline.
    return after if before.endswith("\n") else after.removesuffix("\n")
