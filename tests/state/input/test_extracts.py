"""The cache of extracted texts: whole or not there, and old entries found."""

import io
import os
from pathlib import Path

import pytest

from durable_rlm.state.input.extracts import KEPT_SECONDS, Extracts

KEY = "ab" + "c" * 62


@pytest.fixture
def extracts(tmp_path: Path) -> Extracts:
    return Extracts(tmp_path / "extracted")


def kept(extracts: Extracts, text: bytes = b"text", facts: bytes = b'{"name": ""}\n') -> list[Path]:
    """Keep an entry, and return its files: the facts, then the text."""
    extracts.keep(KEY, io.BytesIO(text), io.BytesIO(facts))
    return sorted(path for path in extracts.folder.rglob("*") if path.is_file())


def found(extracts: Extracts) -> tuple[bytes, bytes] | None:
    with extracts.find(KEY) as entry:
        if entry is None:
            return None
        text, facts = entry
        text.seek(0)
        return text.read(), facts.read()


def test_an_entry_that_was_kept_is_found(extracts: Extracts) -> None:
    assert found(extracts) is None
    kept(extracts)
    assert found(extracts) == (b"text", b'{"name": ""}\n')


def test_only_the_user_can_read_it(extracts: Extracts) -> None:
    files = kept(extracts)
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}
    assert extracts.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("damage", [0, 1], ids=["facts", "text"])
def test_a_changed_or_missing_file_of_an_entry_is_no_entry(extracts: Extracts, damage: int) -> None:
    files = kept(extracts)
    whole = files[damage].read_bytes()
    files[damage].write_bytes(whole.replace(b"t", b"T"))
    assert found(extracts) is None
    files[damage].write_bytes(whole[:-2])
    assert found(extracts) is None
    files[damage].unlink()
    assert found(extracts) is None


def test_an_entry_that_was_not_used_for_thirty_days_is_old(extracts: Extracts) -> None:
    files = kept(extracts)
    long_ago = 1_000_000.0
    for path in files:
        os.utime(path, (long_ago, long_ago))
    assert [path for path, _ in extracts.old(long_ago + KEPT_SECONDS - 1)] == []
    assert [path for path, _ in extracts.old(long_ago + KEPT_SECONDS)] == files
    found(extracts)
    assert [path for path, _ in extracts.old(long_ago + KEPT_SECONDS)] == []


def test_a_folder_that_cannot_be_written_keeps_nothing(tmp_path: Path) -> None:
    (tmp_path / "extracted").write_text("a file in its place")
    extracts = Extracts(tmp_path / "extracted")
    extracts.keep(KEY, io.BytesIO(b"text"), io.BytesIO(b"{}"))
    assert found(extracts) is None
