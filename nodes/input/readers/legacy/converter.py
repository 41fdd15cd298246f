"""Runs LibreOffice on one file, under limits of its own, inside the reader process's confinement.

`convert(soffice, data, suffix, to)` returns the converted file's bytes. LibreOffice exits with 0 even when it could not
load a file, so only what it has written counts.
"""

import contextlib
import os
import resource
import signal
import subprocess
import tempfile
from pathlib import Path

from ...draft import Unusable

SECONDS = 300
"""Seconds that one conversion may take, of CPU time and of wall clock."""
_MEMORY = 4 << 30
"""Bytes of its address space."""
_LARGEST = 512 << 20
"""Bytes of the file that it makes."""
_AGAIN = (79, 81)
"""Statuses by which LibreOffice asks to be started again, as after it has made its profile."""
_SUFFIX = ".-0123456789abcdefghijklmnopqrstuvwxyz"


def convert(soffice: str, data: bytes, suffix: str, to: str) -> bytes:
    """Return `data`, a file with the suffix `suffix` (`.doc`), converted to `to` (`docx`).

    `soffice`: the path of LibreOffice (`GivenFile.soffice`), which must not be empty. Raises Unusable when it takes too
    long, or makes no file: of a protected or damaged one it makes none.
    """
    assert suffix.startswith(".") and not set(suffix + to) - set(_SUFFIX)
    scratch = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory(dir=scratch, ignore_cleanup_errors=True) as folder:
            given = Path(folder, f"given{suffix}")
            given.write_bytes(data)
            command = _command(soffice, f"{scratch}/office-profile", to, folder, given)
            if _run(command, folder) in _AGAIN:
                _run(command, folder)
            made = Path(folder, "made", f"given.{to}")
            if not made.is_file():
                raise Unusable("not readable by LibreOffice", "It may be damaged, or protected by a password.")
            if made.stat().st_size > _LARGEST:
                raise Unusable(f"too large (over {_LARGEST >> 20} MiB when converted)", "Save it as PDF first.")
            return made.read_bytes()
    except OSError as error:
        raise Unusable("not readable: LibreOffice cannot run here", f"({error.strerror})") from error


def _command(soffice: str, profile: str, to: str, folder: str, given: Path) -> list[str]:
    # The program itself: the scripts before it would leave it behind when they are killed.
    program = Path(os.path.realpath(soffice)).with_name("soffice.bin")
    return [
        str(program) if program.is_file() else soffice,
        # A profile of the reader process's own: two programs with one profile block each other.
        f"-env:UserInstallation=file://{profile}",
        *("--headless", "--nologo", "--norestore", "--nolockcheck", "--nodefault", "--nofirststartwizard"),
        *("--convert-to", to, "--outdir", f"{folder}/made", str(given)),
    ]


def _run(command: list[str], folder: str) -> int:
    """Run a command, and return its status. Raises Unusable when it takes too long, OSError when it cannot start."""
    environment = {**os.environ, "HOME": folder, "TMPDIR": folder, "SAL_USE_VCLPLUGIN": "svp"}
    # Of the reader process's process group, so that it ends with the reader process, however that ends.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        preexec_fn=_limit,
    ) as office:
        try:
            status = office.wait(SECONDS)
        except subprocess.TimeoutExpired:
            status = -signal.SIGXCPU
        finally:
            office.kill()
    if status == -signal.SIGXCPU:
        raise Unusable(f"not readable: LibreOffice needed more than {SECONDS} s")
    return status


def _limit() -> None:
    """Limit the process that becomes LibreOffice."""
    for what, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, SECONDS),
        (resource.RLIMIT_FSIZE, _LARGEST),
    ):
        hard = resource.getrlimit(what)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
