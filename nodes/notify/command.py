"""Send a notification to a command: JSON on its standard input, no shell, and limits on its time and its output."""

import asyncio
import contextlib
import os
import re
import signal
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from ...state.model_specs import ROOT_KEY, SUB_KEY
from ..models.provider_table import PROVIDERS
from ..models.redaction import redact
from ..runtime.untrusted_text import shortened_line
from .failures import SendingFailed

COMMAND_SECONDS = 30.0
"""Seconds within which a command has to end."""
_TO_END = 1.0
"""Seconds that a command has to end after SIGTERM."""
_MOST_KEPT = 4096
"""Bytes of the end of its output that are kept."""
_MOST_SHOWN = 120
_DRAINING = 0.5
_MODEL_KEYS = frozenset({ROOT_KEY, SUB_KEY, "AWS_SECRET_ACCESS_KEY", *(one.key_name for one in PROVIDERS.values())})
_LIKE_A_KEY = re.compile(r"API_?KEY", re.IGNORECASE)


def without_model_keys(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without the keys of models, which a notification does not need."""
    return {
        name: value for name, value in environment.items() if name not in _MODEL_KEYS and not _LIKE_A_KEY.search(name)
    }


async def run_command(
    words: Sequence[str], body: bytes, folder: Path, *, secret: bool, seconds: float = COMMAND_SECONDS
) -> None:
    """Run a command in `folder` with `body` on its standard input. Raises SendingFailed unless it ends well in time.

    What it has started is ended with it when it takes too long. `secret`: what it has printed is not shown.
    """
    ours, its = os.pipe()
    try:
        # A file rather than a pipe: the command need not read it.
        with tempfile.TemporaryFile() as given:
            given.write(body)
            given.seek(0)
            process = await asyncio.create_subprocess_exec(
                *words, stdin=given, stdout=its, stderr=its, cwd=folder, start_new_session=True,
                env=without_model_keys(os.environ),
            )  # fmt: skip
    except (OSError, ValueError) as error:
        os.close(ours)
        why = f": {error.strerror}" if isinstance(error, OSError) and error.strerror else ""
        raise SendingFailed(f"it cannot be started{why}") from None
    finally:
        os.close(its)
    output = await _Output.of(ours)
    try:
        async with asyncio.timeout(seconds):
            status = await process.wait()
    except TimeoutError:
        raise SendingFailed(f"it did not end within {seconds:g} s") from None
    finally:
        if process.returncode is None:
            await _end(process)
        said = await output.end()
    if status:
        ended = f"it ended with status {status}" if status > 0 else f"it was ended by signal {-status}"
        # Hidden before the middle is left out: half a key would not be known as one.
        shown = "" if secret else shortened_line(redact(said), _MOST_SHOWN)
        raise SendingFailed(f"{ended}: {shown}" if shown else ended)


async def _end(process: asyncio.subprocess.Process) -> None:
    """End a command and what it has started in its session."""
    # SIGKILL in any case: SIGTERM may have ended the command alone, and not the rest of its group.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TO_END):
                await process.wait()


class _Output:
    """Reads what a command prints, and keeps the end of it."""

    def __init__(self, transport: asyncio.ReadTransport, reader: asyncio.StreamReader) -> None:
        self._transport = transport
        self._reader = reader
        self._kept = b""
        self._reading = asyncio.create_task(self._read())

    @classmethod
    async def of(cls, descriptor: int) -> "_Output":
        reader = asyncio.StreamReader()
        pipe = os.fdopen(descriptor, "rb", buffering=0)
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), pipe
        )
        return cls(transport, reader)

    async def _read(self) -> None:
        while data := await self._reader.read(1 << 16):
            self._kept = (self._kept + data)[-_MOST_KEPT:]

    async def end(self) -> str:
        """Return the last line that was printed. What the command has left running is not waited for."""
        await asyncio.wait({self._reading}, timeout=_DRAINING)
        self._reading.cancel()
        self._transport.close()
        lines = self._kept.decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else ""
