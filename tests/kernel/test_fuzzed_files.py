"""Random work with files: after every step, the files written into a fresh folder are those of the live one."""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import given, seed, settings
from hypothesis import strategies as st

from tests.kernel.test_files import Kept, seen_files

NAMES = ("a", "b", "d/e", "d/f/g", "größe %")
SIZES = (0, 1, 5_000, 300_000)


def _append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


STEPS: dict[str, Callable[[Path, Path, int], object]] = {
    "write": lambda path, other, size: path.write_bytes(bytes([size % 251]) * size),
    "append": lambda path, other, size: _append(path),
    "random": lambda path, other, size: path.write_bytes(os.urandom(size)),
    "insert": lambda path, other, size: path.write_bytes(b"new" + path.read_bytes()),
    "make": lambda path, other, size: path.mkdir(parents=True),
    "rename": lambda path, other, size: path.rename(other),
    "link": lambda path, other, size: path.symlink_to(other),
    "hard link": lambda path, other, size: path.hardlink_to(other),
    "delete": lambda path, other, size: path.unlink(),
    "delete all": lambda path, other, size: shutil.rmtree(path),
    "chmod": lambda path, other, size: path.chmod(0o700 + size % 8),
    "truncate": lambda path, other, size: os.truncate(path, size),
}
steps = st.tuples(
    *(st.sampled_from(sorted(STEPS)), st.sampled_from(NAMES), st.sampled_from(NAMES), st.sampled_from(SIZES))
)


@seed(20261130)
@settings(max_examples=60, deadline=None, database=None)
@given(st.lists(steps, min_size=1, max_size=12))
def test_the_files_of_every_step_come_back(session: list[tuple[str, str, str, int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        live = Kept(Path(folder) / "live")
        for number, (step, one, other, size) in enumerate(session):
            try:
                STEPS[step](live.folder / one, live.folder / other, size)
            except OSError:
                continue
            live.take()
            restored, lost = live.again(Path(folder) / f"restored{number}")
            assert lost == live.lost() == {}
            assert seen_files(restored.folder) == seen_files(live.folder), session[: number + 1]
            assert restored.files.differing(list(live.groups.values())) == []
            if number % 4 == 3:
                live = restored
