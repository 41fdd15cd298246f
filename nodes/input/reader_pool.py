"""Reads files in confined processes: several at once, each file under limits, and nothing believed of them.

A reader process that dies or hangs costs the file that it was reading and one reason; the next file gets a new one.
"""

import contextlib
import io
import json
import os
import select
import shutil
import signal
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, cast

from ...kernel import untrusted_json
from ...kernel.confined import OpenPrograms, Program, ProgramFailed, Programs, ProgramSpec
from ...state.errors import NoSandbox, RlmError
from .draft import ReadOptions, Unusable
from .extraction import Check, Extraction, checked
from .formats import GROUP, Format
from .reader_process import LARGEST_OUTPUT

_MOST_PROCESSES = 4
_BETWEEN_LOOKS = 0.05
_MAX_MESSAGE = 1 << 20
_LONGEST_REASON = 500
_OFFICE = ("/etc/fonts", "/etc/libreoffice")
_BLOCK, _IN_MEMORY = 1 << 20, 4 << 20
_MOST_STARTS = 3
"""Attempts to start a process for a file, because the one from which they are forked may have died."""
_PRELOADED = ("durable_rlm.nodes.input.reader_process", "zipfile", "zlib", "email.parser", "html.parser", "lxml.etree")
_NO_SANDBOX = "not read: no sandbox holds here; --unsandboxed reads it without one"


def wall_seconds(form: Format) -> float:
    """Return the seconds after which a file's reader is killed, whatever it is waiting for."""
    return 2 * form.seconds + 30


@dataclass(eq=False)
class _Job:
    """One file to read."""

    file: int
    task: bytes = field(repr=False)
    """It may have passwords in it."""
    form: Format
    text: BinaryIO
    facts: BinaryIO
    ended: bool = False
    problem: Unusable | None = None
    starts: int = 0

    def end(self, reason: str = "", hint: str = "") -> None:
        """Record that it was read, or why not."""
        self.ended = True
        if reason:
            self.problem = Unusable(reason, hint)

    def reset(self) -> None:
        """Let it be read once more from its beginning."""
        for place in (self.file, self.text.fileno(), self.facts.fileno()):
            os.lseek(place, 0, os.SEEK_SET)
        self.text.truncate(0)
        self.facts.truncate(0)

    def close(self) -> None:
        """Close its files."""
        if self.file >= 0:
            os.close(self.file)
            self.file = -1
        self.text.close()
        self.facts.close()


@dataclass(eq=False)
class _Process:
    """A process, and what it is reading."""

    program: Program
    job: _Job | None = None
    until: float = 0.0
    """When it is killed."""
    heard: bytes = b""


class ReaderPool:
    """Reads files in reader processes (`extraction.Extractor`). For one thread, which outlives it."""

    def __init__(
        self,
        open_programs: OpenPrograms,
        *,
        sandboxed: bool = True,
        hidden: Sequence[Path] = (),
        processes: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Use up to `processes` (0: as many as there are cores, up to four), none before the first file.

        `hidden`: folders that they must not see.
        """
        self._open_programs = open_programs
        self._sandboxed = sandboxed
        self._soffice = shutil.which("soffice") or ""
        self._spec = ProgramSpec(
            "durable_rlm.nodes.input.reader_process:serve",
            preload=_PRELOADED,
            packages=("charset-normalizer", "typing-extensions"),
            visible=_office_files(self._soffice),
            group=GROUP,
            given_bytes=LARGEST_OUTPUT,
            binds=bool(self._soffice),
            hidden=tuple(hidden),
        )
        self._most = processes or min(_MOST_PROCESSES, os.cpu_count() or 1)
        self._clock = clock
        self._programs: Programs | None = None
        self._refused: Unusable | None = None
        self._processes: list[_Process] = []
        self._jobs: set[_Job] = set()
        self._waiting: deque[_Job] = deque()

    @property
    def ahead(self) -> int:
        """The number of files to begin before the first of them is waited for."""
        return 2 * self._most

    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> AbstractContextManager[Extraction]:
        """Begin to read the open file; entering what is returned waits for it (`extraction.Extractor`)."""
        programs = self._opened()
        task = {
            "name": name,
            "size": size,
            "kind": form.kind,
            "reader": form.reader,
            "seconds": form.seconds,
            "encoding": options.encoding,
            "passwords": options.passwords,
            "soffice": self._soffice if programs.starts_programs else "",
        }
        file = _given(descriptor, copied=not programs.shields_files)
        job = _Job(file, json.dumps(task).encode() + b"\n", form, _temporary(), _temporary())
        self._jobs.add(job)
        self._waiting.append(job)
        self._look(0)
        return self._result(job, check)

    @contextmanager
    def _result(self, job: _Job, check: Check) -> Generator[Extraction]:
        try:
            while not job.ended:
                check()
                self._look(_BETWEEN_LOOKS)
            if job.problem:
                raise job.problem
            # A copy, because the reader process may still hold the file open for writing.
            with _copied(job.text) as text:
                yield checked(text, job.facts)
        finally:
            self._forget(job)

    def close(self) -> None:
        """End every reader process."""
        for job in self._jobs:
            job.close()
        self._jobs.clear()
        for process in self._processes:
            process.program.kill()
            process.program.socket.close()
        self._processes.clear()
        self._waiting.clear()
        if self._programs:
            self._programs.close()
            self._programs = None

    def _opened(self) -> Programs:
        """Return the source of reader processes. Raises Unusable where there is none."""
        if self._refused:
            raise Unusable(self._refused.reason, self._refused.hint)
        if not self._programs:
            try:
                self._programs = self._open_programs(self._spec, self._sandboxed)
            except NoSandbox as error:
                self._refused = Unusable(_NO_SANDBOX, error.hint)
                raise self._refused from error
            except RlmError as error:
                self._refused = Unusable(f"not read: no reader can be started ({error.message})", error.hint)
                raise self._refused from error
        return self._programs

    def _distribute(self) -> None:
        """Give waiting files to idle reader processes, and start reader processes as needed."""
        while self._waiting:
            process = next((one for one in self._processes if not one.job), None)
            if not process:
                if len(self._processes) >= self._most:
                    return
                process = self._started(self._waiting[0])
                if not process:
                    continue
            job = self._waiting.popleft()
            process.job, process.heard = job, b""
            process.until = self._clock() + wall_seconds(job.form)
            descriptors = [job.file, job.text.fileno(), job.facts.fileno()]
            try:
                socket.send_fds(process.program.socket, [job.task], descriptors)
            except OSError as error:
                # It died while it was idle, which is not this file's fault.
                self._end(process)
                self._again(job, f"not read: its reader cannot be reached ({error.strerror})")

    def _started(self, job: _Job) -> _Process | None:
        """Start a reader process. If none can be started for this file, record that."""
        assert self._programs
        try:
            process = _Process(self._programs.start())
        except ProgramFailed as error:
            self._waiting.remove(job)
            self._again(job, f"not read: its reader cannot be started ({error})"[:_LONGEST_REASON])
            return None
        self._processes.append(process)
        return process

    def _again(self, job: _Job, otherwise: str) -> None:
        """Let a file be read once more, or record why not after some attempts."""
        job.starts += 1
        if job.starts >= _MOST_STARTS:
            job.end(otherwise)
        else:
            job.reset()
            self._waiting.appendleft(job)

    def _look(self, seconds: float) -> None:
        """Wait for a reader process, and take what reader processes have answered."""
        busy = {one.program.socket.fileno(): one for one in self._processes if one.job}
        poll = select.poll()
        for descriptor in busy:
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(seconds * 1000):
            self._hear(busy[descriptor])
        now = self._clock()
        for process in [one for one in self._processes if one.job and now > one.until]:
            assert process.job
            process.program.kill()
            limit = f"more than {wall_seconds(process.job.form):g} s"
            process.job.end(f"not readable: its reader was stopped ({limit})")
            self._end(process)
        self._distribute()

    def _hear(self, process: _Process) -> None:
        try:
            said = process.program.socket.recv(_MAX_MESSAGE)
        except OSError:
            said = b""
        process.heard += said
        job = process.job
        assert job
        if not said or len(process.heard) > _MAX_MESSAGE:
            status = self._end(process)
            why = f"not readable: its reader {_reason(status, job.form)}"
            if status is None:
                # All reader processes ended with the process that they are forked from, which is not this file's fault.
                self._again(job, why)
            else:
                job.end(why)
        elif process.heard.endswith(b"\n"):
            last = _take(process.heard, job)
            process.job = None
            if last:
                self._end(process)

    def _end(self, process: _Process) -> int | None:
        self._processes.remove(process)
        return process.program.close()

    def _forget(self, job: _Job) -> None:
        """Close a job's files, and stop its reader process if it still reads."""
        if job in self._waiting:
            self._waiting.remove(job)
        for process in [one for one in self._processes if one.job is job]:
            self._end(process)
        self._jobs.discard(job)
        job.close()


def _take(said: bytes, job: _Job) -> bool:
    """Record a reader process's answer. Return True when the reader process reads no more."""
    answer: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        answer = untrusted_json.read(said)
    if not isinstance(answer, dict):
        job.end("damaged: its reader returned nonsense")
        return True
    if answer.get("done") is True:
        job.end()
    else:
        words = [answer.get(name) for name in ("unusable", "hint")]
        reason, hint = [one[:_LONGEST_REASON] if isinstance(one, str) else "" for one in words]
        job.end(reason or "damaged: its reader returned nonsense", hint)
    return answer.get("last") is not False


def _office_files(soffice: str) -> tuple[str, ...]:
    """Return the files that LibreOffice needs beside those that every reader process sees."""
    if not soffice:
        return ()
    folder = Path(soffice).resolve().parent
    # Not the folder of anything else that is named so.
    outside = (folder / "soffice.bin").is_file() and not folder.is_relative_to("/usr")
    return (*_OFFICE, *([str(folder.parent)] if outside else ()))


def _reason(status: int | None, form: Format) -> str:
    """Return why a process ended, to follow "its reader". A status may be a signal's number (`fork/program.py`)."""
    match abs(status or 0):
        case signal.SIGXCPU:
            return f"was stopped (more than {form.seconds:g} s of CPU time)"
        case signal.SIGKILL:
            return "was killed, perhaps because memory ran out"
        case 0:
            return "ended without an answer"
        case number:
            return f"crashed (signal {number})"


def _copied(file: BinaryIO) -> BinaryIO:
    size = min(file.seek(0, os.SEEK_END), LARGEST_OUTPUT)
    file.seek(0)
    copy = io.BytesIO() if size <= _IN_MEMORY else _temporary()
    while size and (data := file.read(min(size, _BLOCK))):
        copy.write(data)
        size -= len(data)
    return copy


def _given(descriptor: int, *, copied: bool) -> int:
    """Return a descriptor of the file with a place of its own, of a copy if it must be shielded. Raises OSError."""
    if copied:
        with _temporary() as copy, os.fdopen(os.dup(descriptor), "rb") as file:
            file.seek(0)
            shutil.copyfileobj(file, copy, _BLOCK)
            copy.flush()
            descriptor = copy.fileno()
            return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        # A descriptor that is only copied shares its place in the file.
        return os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return os.dup(descriptor)


def _temporary() -> BinaryIO:
    return cast(BinaryIO, tempfile.TemporaryFile())
