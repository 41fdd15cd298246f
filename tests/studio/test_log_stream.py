"""The stream of a detached run's log: times, escapes, bounds."""

from pathlib import Path
from typing import TextIO, cast

import pytest

from durable_rlm.state.logs import LogFile
from durable_rlm.studio.terminal.console import Lasting
from durable_rlm.studio.terminal.log_stream import LogStream

_TIME = "2026-03-01T06:40:00Z"


@pytest.fixture
def log(tmp_path: Path) -> LogFile:
    return LogFile(tmp_path, "a.log")


@pytest.fixture
def stream(log: LogFile) -> LogStream:
    return LogStream(log, 2, lambda: 1_772_347_200.9)


def test_each_line_has_the_time_and_is_escaped(log: LogFile, stream: LogStream) -> None:
    stream.write("first\nsec")
    stream.write("ond\r\n")
    print("\x1b[31mred\x1b[0m \x1b[2Jfor\x1bged \u202e \ud800 ü", file=stream)
    stream.write("not ended")
    stream.flush()
    stream.flush()
    assert log.path.read_text().splitlines() == [
        f"{_TIME} first",
        f"{_TIME} second",
        f"{_TIME} red \\x1b[2Jfor\\x1bged \\u202e \\ud800 ü",
        f"{_TIME} not ended",
    ]
    assert not stream.isatty() and stream.fileno() == 2


def test_a_long_line_is_cut(log: LogFile, stream: LogStream) -> None:
    stream.write("x" * 20_000)
    stream.write("x" * 20_000 + "\nnext\n")
    stream.write("\x00" * 40_000 + "\n")
    first, second, third = log.path.read_text().splitlines()
    assert len(first) == len(third) == 16_384 + len(_TIME) + 1 and first.endswith("x…")
    assert second == f"{_TIME} next"


def test_a_disk_that_is_full_ends_no_run(stream: LogStream, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(data: bytes, dropped: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(stream._log, "append", full)  # pyright: ignore[reportPrivateUsage]
    lasting = Lasting(cast(TextIO, stream), results=False)
    assert lasting.write("lost\n") == 5
    monkeypatch.undo()
    lasting.write("kept\n")
    assert stream._log.path.read_text() == f"{_TIME} kept\n"  # pyright: ignore[reportPrivateUsage]
