"""Runs commands of the program for the page: whatever changes a home is done by a process of its own.

So a run outlives the server, the engine is never imported here, and what a form does is what the command does.
"""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from ..serving.token import TOKEN_VARIABLE

PATIENCE = 600.0
"""Seconds that a command has to begin its run, or to do what it does. Reading a large input takes its time."""
_ENDING = 5.0
_MOST_OUTPUT = 16_000_000
_LAST_WORDS = 2_000


@dataclass(frozen=True)
class Outcome:
    """The end of a command: its exit status, and the JSON that it has printed."""

    code: int
    document: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def error(self) -> tuple[str, str] | None:
        """The problem and the way out of it, as sentences; None when there is none."""
        found = self.document.get("error")
        if isinstance(found, dict):
            facts = cast(dict[str, Any], found)
            return str(facts.get("message", "")), str(facts.get("hint") or "")
        return None if "error" in self.document or self.code in (0, 3) else (f"It ended with status {self.code}.", "")

    @property
    def thread(self) -> str | None:
        """The run that it is about."""
        found = self.document.get("thread_id")
        return found if isinstance(found, str) else None


class Program:
    """The program over one home, as the user of the page's server would call it: same folder, same environment."""

    def __init__(self, home: Path, *, patience: float = PATIENCE) -> None:
        self._home = home
        self._patience = patience

    async def call(self, command: str, *words: str, arguments: Sequence[str] = ()) -> Outcome:
        """Run a command with `--json`, its options `words`, and `arguments`, which are never taken for options.

        A command that does not end in time is stopped as by Ctrl-C, with the run that it was about to begin. Whatever
        it prints on stderr is dropped, except where it prints no JSON: its last words are then the error.
        """
        # Without -P a module of the folder would be imported in place of one of ours.
        line = [sys.executable, "-P", "-m", "durable_rlm", command, "--json", "--home", str(self._home), *words]
        try:
            process = await asyncio.create_subprocess_exec(
                *line,
                *(["--", *arguments] if arguments else []),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={name: value for name, value in os.environ.items() if name != TOKEN_VARIABLE},
                # Ctrl-C at the terminal of the server is for the server.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            # More than a command line holds, or a character that none can have.
            return Outcome(2, _said(f"`rlm {command}` cannot be called like this: {error}."))
        try:
            async with asyncio.timeout(self._patience):
                out, err = await asyncio.gather(_bounded(process.stdout), _bounded(process.stderr))
                code = await process.wait()
        except TimeoutError:
            return Outcome(1, _said(f"It has not ended within {self._patience:g} s, and was ended."))
        finally:
            if process.returncode is None:
                await _ended(process)
        return Outcome(code, _document(out) or _said(err.decode("utf-8", "replace")[-_LAST_WORDS:].strip()))


async def _ended(process: asyncio.subprocess.Process) -> None:
    """End a process. It is asked to first: killed, it would leave the process of a run that it is about to detach."""
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        process.terminate()
        async with asyncio.timeout(_ENDING):
            await process.wait()
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _bounded(stream: asyncio.StreamReader | None) -> bytes:
    """Return what a stream has, its end dropped where it is longer than a document of ours ever is."""
    assert stream is not None
    kept = bytearray()
    while part := await stream.read(65_536):
        kept += part[: max(0, _MOST_OUTPUT - len(kept))]
    return bytes(kept)


def _document(out: bytes) -> dict[str, Any]:
    try:
        found = json.loads(out)
    except ValueError:
        return {}
    return cast(dict[str, Any], found) if isinstance(found, dict) else {"value": found}


def _said(message: str) -> dict[str, Any]:
    return {"error": {"message": message or "It printed nothing.", "hint": ""}}
