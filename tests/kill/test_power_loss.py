"""Durability through power loss, by the order of system calls: data that a row names is on disk before the row is,
and the row is on disk before it is reported as saved.

Without `strace` these tests are skipped, with that as the reason.
"""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.kill.scenario import write_model
from tests.kill.spawn import ROOT

pytestmark = [
    pytest.mark.kill,
    pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace (apt-get install strace)"),
]
_CALLS = "fsync,fdatasync,rename,renameat,renameat2,write,pwrite64,mkdir,mkdirat"
_LINE = re.compile(r"(?P<pid>\d+) +(?P<name>\w+)\((?P<rest>.*)$")
_RESUMED = re.compile(r"(?P<pid>\d+) +<\.\.\. (?P<name>\w+) resumed>")


@dataclass
class Call:
    """A system call on `path`, the file of its descriptor, with the lines of the trace where it begins and is done."""

    name: str
    path: str
    rest: str
    begun: int
    done: int


def calls_in(trace: str) -> list[Call]:
    under_way: dict[str, Call] = {}
    calls: list[Call] = []
    for number, line in enumerate(trace.splitlines()):
        if resumed := _RESUMED.match(line):
            under_way.pop(resumed["pid"]).done = number
        elif found := _LINE.match(line):
            path = re.match(r"\d+<([^>]*)>", found["rest"])
            call = Call(found["name"], path[1] if path else "", found["rest"], number, number)
            calls.append(call)
            if found["rest"].endswith("<unfinished ...>"):
                under_way[found["pid"]] = call
    return calls


class Trace:
    """The system calls of a run of the scenario in `folder`, in order."""

    def __init__(self, folder: Path, calls: list[Call]) -> None:
        self.home = folder / "home"
        self.calls = calls
        self._points = str(folder / "points")
        self.wal = str(self.home / "checkpoints.sqlite-wal")

    def syncs(self, path: str | Path) -> list[Call]:
        return [call for call in self.calls if call.name in ("fsync", "fdatasync") and call.path == str(path)]

    def synced(self, path: str | Path, *, after: int, before: int) -> bool:
        """Return true if a sync of `path` began and was done between two lines of the trace."""
        return any(after < sync.begun and sync.done < before for sync in self.syncs(path))

    def writes(self, path: str | Path) -> list[Call]:
        return [call for call in self.calls if "write" in call.name and call.path == str(path)]

    def points(self) -> Iterator[tuple[str, int]]:
        """Yield the failpoints that were passed, with their lines in the trace."""
        for call in self.writes(self._points):
            yield call.rest.split('"')[1].removesuffix("\\n"), call.begun


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> Trace:
    folder = tmp_path_factory.mktemp("traced")
    model = write_model(folder)
    child = f"_child(Job({str(folder)!r}, {model!r}), Path({str(folder / 'report')!r}))"
    program = f"from pathlib import Path; from tests.kill.spawn import Job, _child; {child}"
    strace = ["strace", "-f", "-y", "-s", "5000", "--seccomp-bpf", "-e", f"trace={_CALLS}", "-o", str(folder / "trace")]
    subprocess.run([*strace, sys.executable, "-c", program], cwd=ROOT, check=True, timeout=120)
    assert '"answered"' in (folder / "report").read_text()
    return Trace(folder, calls_in((folder / "trace").read_text()))


def test_a_blob_and_its_name_are_synced_before_a_row_names_it(trace: Trace) -> None:
    blobs = trace.home / "blobs"
    names = [blob.parent.name + blob.name for blob in blobs.glob("*/*")]
    assert len(names) >= 2
    for name in names:
        final = blobs / name[:2] / name[2:]
        [rename] = [call for call in trace.calls if call.name.startswith("rename") and str(final) in call.rest]
        [partial] = re.findall(r'"([^"]*\.partial-[0-9a-f]+)"', rename.rest)
        written = max(call.done for call in trace.writes(partial))
        assert trace.synced(partial, after=written, before=rename.begun), "its bytes"
        named = min(call.begun for call in trace.writes(trace.wal) if name in call.rest)
        assert trace.synced(final.parent, after=rename.done, before=named), "its name"
        assert trace.synced(blobs, after=rename.done, before=named), "the name of its folder"


def test_the_folders_of_a_new_home_are_synced_before_anything_in_them_is_reported_as_saved(trace: Trace) -> None:
    saved = next(place for point, place in trace.points() if point == "thread-after")
    for folder in (trace.home, trace.home / "blobs"):
        [mkdir] = [call for call in trace.calls if re.fullmatch(rf'"{folder}", 0700\) += 0', call.rest)]
        assert trace.synced(folder.parent, after=mkdir.done, before=saved), folder
    [first, *_] = trace.writes(trace.wal)
    assert trace.synced(trace.home, after=first.begun, before=saved), "the name of the database and its log"


def test_data_that_is_reported_as_saved_is_synced(trace: Trace) -> None:
    """All but an intent: it may cost no sync, and is on disk with whatever is saved next."""
    acknowledged = 0
    for point, place in trace.points():
        what = set(point.removesuffix("-after").split("+"))
        if point.endswith("-after") and what & {"thread", "checkpoint", "writes", "call-settled", "execution-ended"}:
            written = max(call.done for call in trace.writes(trace.wal) if call.begun < place)
            assert trace.synced(trace.wal, after=written, before=place), f"{point}: acknowledged before it was synced"
            acknowledged += 1
    assert acknowledged > 20


def test_an_answer_is_synced_before_it_is_delivered_to_the_code(trace: Trace) -> None:
    settled = delivered = 0
    for point, _ in trace.points():
        if point.endswith("-after"):
            settled += point.count("call-settled")
        elif point == "deliver-before":
            delivered += 1
            assert delivered <= settled
    assert delivered == 6
