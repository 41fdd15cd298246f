"""Shows a long text in the reviewer's own pager."""

import contextlib
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

_USUAL = ("less", "more")
_STDERR = 2


def pager_command() -> list[str]:
    """Return `$PAGER`, else a usual pager, as words; empty if there is none."""
    with contextlib.suppress(ValueError):
        if given := shlex.split(os.environ.get("PAGER", "")):
            return given
    return next(([name] for name in _USUAL if shutil.which(name)), [])


def paged(lines: Iterable[str]) -> bool:
    """Show the lines, which must be safe for a terminal, in the pager. Return whether that worked.

    They are written to a file that nobody else can read, and that is deleted once the pager has ended.
    """
    command = pager_command()
    if not command:
        return False
    folder = Path(tempfile.mkdtemp(prefix="rlm-review-"))
    try:
        path = folder / "request.txt"
        path.touch(mode=0o600, exist_ok=False)
        with path.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines)
        # stdout may be a file; stderr, on which the reviewer is asked, is a terminal.
        return subprocess.run([*command, str(path)], stdout=_STDERR, check=False).returncode == 0
    except OSError:
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
