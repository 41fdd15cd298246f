"""Extracted texts are kept by what the file is, and found again for an equal file."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from durable_rlm.nodes.input import extract_cache
from durable_rlm.nodes.input.draft import ReadOptions
from durable_rlm.nodes.input.extract_cache import CachingExtractor
from durable_rlm.nodes.input.extraction import Check, Extraction
from durable_rlm.nodes.input.format import Format
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.paths import expand
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.input.context import ContextRef
from durable_rlm.state.input.extracts import Extracts
from tests.contract.in_process_extractor import InProcessExtractor
from tests.nodes.input.conftest import Tree

MAIL = "Subject: Offer\n\nThe price is 4,200.\n"


class Counting:
    """An extractor that counts the files that it reads."""

    ahead = 0

    def __init__(self) -> None:
        self.read = 0

    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> AbstractContextManager[Extraction]:
        self.read += 1
        return InProcessExtractor().extract(descriptor, size, name, form, options, check)


class Reading:
    """A folder that is read again and again with one cache."""

    def __init__(self, tmp_path: Path) -> None:
        self._blobs = Blobs(tmp_path / "blobs")
        self.extracts = Extracts(tmp_path / "extracted")
        self.counting = Counting()

    def __call__(self, root: Path, options: ReadOptions | None = None) -> tuple[ContextRef, int]:
        """Read a folder. Return the reference, and how many files had to be extracted."""
        before = self.counting.read
        extractor = CachingExtractor(self.counting, self.extracts)
        return ingest(expand([root]), self._blobs, extractor, options=options), self.counting.read - before


@pytest.fixture
def read(tmp_path: Path) -> Reading:
    return Reading(tmp_path)


def test_a_second_reading_extracts_nothing_and_gives_the_same(tree: Tree, read: Reading) -> None:
    root = tree({"a.eml": MAIL, "b.eml": f"{MAIL}more", "c.txt": "text"})
    first, extracted = read(root)
    again, anew = read(root)
    assert (extracted, anew) == (2, 0) and again == first


@pytest.mark.parametrize(
    "change", [{"a.eml": f"{MAIL}changed"}, {"b.eml": MAIL}], ids=["another content", "another name"]
)
def test_a_changed_file_is_read_anew(tree: Tree, read: Reading, change: Mapping[str, str | bytes]) -> None:
    root = tree({"a.eml": MAIL})
    read(root)
    tree(change)
    assert read(root)[1] == 1


def test_another_encoding_or_version_of_a_reader_reads_anew(
    tree: Tree, read: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.eml": MAIL})
    read(root)
    assert read(root, ReadOptions(encoding="latin-1"))[1] == 1
    newer = tuple(replace(one, version=one.version + 1) for one in extract_cache.formats())
    monkeypatch.setattr(extract_cache, "formats", lambda: newer)
    extract_cache._readers.cache_clear()
    assert read(root)[1] == 1
    extract_cache._readers.cache_clear()


def test_files_read_with_passwords_at_hand_are_not_kept(tree: Tree, read: Reading) -> None:
    root = tree({"a.eml": MAIL})
    options = ReadOptions(passwords=("secret",))
    assert [read(root, options)[1], read(root, options)[1]] == [1, 1]
    assert not read.extracts.folder.exists()


def test_a_damaged_entry_is_read_anew(tree: Tree, read: Reading) -> None:
    root = tree({"a.eml": MAIL})
    first, _ = read(root)
    [text] = read.extracts.folder.rglob("*.text")
    text.write_bytes(text.read_bytes().replace(b"4,200", b"9,999"))
    assert read(root) == (first, 1)
    assert read(root) == (first, 0)
