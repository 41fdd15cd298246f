"""Files for reader processes: begun ahead, reported in order, and unread where no process can be confined."""

from collections.abc import Callable, Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from durable_rlm.kernel.confined import Programs, ProgramSpec
from durable_rlm.nodes.input.draft import ReadOptions, Unusable
from durable_rlm.nodes.input.extraction import Check, Extraction, Extractor
from durable_rlm.nodes.input.formats import Format
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.paths import expand
from durable_rlm.nodes.input.reader_pool import ReaderPool
from durable_rlm.nodes.input.source import IngestStopped, Limits
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import InputError, NoSandbox
from tests.contract.in_process_extractor import InProcessExtractor

Tree = Callable[[Mapping[str, str | bytes]], Path]
_MAIL = "Subject: Hi\n\nBody\n"
_UNREAD = "not read: no sandbox holds here; --unsandboxed reads it without one"


class Ahead:
    """An extractor that records when files are begun and waited for."""

    def __init__(self, ahead: int) -> None:
        self.ahead = ahead
        self.said: list[str] = []
        self.open = self.most = 0
        self._inner = InProcessExtractor()

    def extract(
        self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
    ) -> AbstractContextManager[Extraction]:
        """Begin a file."""
        self.said.append(f"begin {name}")
        self.open += 1
        self.most = max(self.most, self.open)
        if name == "bad.eml":
            raise Unusable("bad")
        return self._wait(self._inner.extract(descriptor, size, name, form, options, check), name)

    @contextmanager
    def _wait(self, inner: AbstractContextManager[Extraction], name: str) -> Generator[Extraction]:
        self.said.append(f"wait {name}")
        try:
            with inner as extraction:
                yield extraction
        finally:
            self.open -= 1


def test_processes_read_the_next_files_while_results_keep_their_order(tree: Tree, blobs: Blobs) -> None:
    root = tree({f"{name}.eml": _MAIL for name in "abcdef"} | {"aa.txt": "text", "ee.txt": "text"})
    ahead = Ahead(3)
    reference = ingest(expand([root]), blobs, ahead)
    names = [f"given/{name}" for name in ("a.eml", "aa.txt", "b.eml", "c.eml", "d.eml", "e.eml", "ee.txt", "f.eml")]
    assert reference["names"] == names
    assert reference == ingest(expand([root]), blobs, InProcessExtractor())
    assert ahead.said[:4] == ["begin a.eml", "begin b.eml", "begin c.eml", "wait a.eml"]
    assert [one for one in ahead.said if one.startswith("begin")] == [f"begin {name}.eml" for name in "abcdef"]
    assert ahead.most == 3 and ahead.open == 0


def test_a_file_that_cannot_be_begun_is_reported_once_at_its_turn(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.eml": _MAIL, "bad.eml": _MAIL, "c.eml": _MAIL})
    (root / "d.eml").symlink_to("nowhere")
    reference = ingest(expand([root]), blobs, Ahead(4))
    assert reference["names"] == ["given/a.eml", "given/c.eml"]
    assert "skipped (bad): given/bad.eml" in reference["notes"]


@pytest.mark.parametrize("ends", ["too large", "stopped"])
def test_files_that_were_begun_are_closed_when_reading_ends_early(tree: Tree, blobs: Blobs, ends: str) -> None:
    root = tree({"a.eml": _MAIL, "b.eml": _MAIL, "bad.eml": _MAIL, "c.eml": _MAIL, "d.eml": _MAIL})
    before = len(list(Path("/dev/fd").iterdir()))
    if ends == "too large":
        sources = replace(expand([root]), limits=Limits(bytes=4))
        with pytest.raises(InputError, match="GiB of text"):
            ingest(sources, blobs, Ahead(4))
    else:
        ahead = Ahead(4)
        with pytest.raises(IngestStopped):
            ingest(expand([root]), blobs, ahead, cancelled=lambda: "wait b.eml" in ahead.said)
    assert len(list(Path("/dev/fd").iterdir())) == before


def test_without_a_sandbox_only_files_that_need_a_process_are_skipped(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.eml": _MAIL, "b.txt": "text", "c.csv": "1,2", "d.pdf": b"%PDF-1.4"})
    reference = ingest(expand([root]), blobs, _refused())
    assert reference["names"] == ["given/b.txt", "given/c.csv"]
    assert reference["notes"] == [f"skipped ({_UNREAD}): given/a.eml, given/d.pdf"]


def test_without_a_sandbox_a_named_file_that_needs_a_process_is_an_error(tree: Tree, blobs: Blobs) -> None:
    with pytest.raises(InputError) as refused:
        ingest(expand([tree({"a.eml": _MAIL}) / "a.eml"]), blobs, _refused())
    assert refused.value.exit_code == 2 and _UNREAD in refused.value.message


def test_the_first_word_of_a_pdf_decides_for_a_process_too(tree: Tree, blobs: Blobs) -> None:
    reference = ingest(expand([tree({"a.txt": "text", "unnamed": b"%PDF-1.4"})]), blobs, _refused())
    assert reference["notes"] == [f"skipped ({_UNREAD}): given/unnamed"]


def test_a_descriptor_of_its_own_is_read_whatever_happens_to_the_name(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.eml": _MAIL, "b.eml": _MAIL})

    class Removing(Ahead):
        def extract(
            self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
        ) -> AbstractContextManager[Extraction]:
            (root / name).unlink()
            return super().extract(descriptor, size, name, form, options, check)

    assert ingest(expand([root]), blobs, Removing(2))["names"] == ["given/a.eml", "given/b.eml"]


def _refused() -> Extractor:
    def refuse(spec: ProgramSpec, sandboxed: bool) -> Programs:
        raise NoSandbox("No sandbox holds.", hint="Install one.")

    return ReaderPool(refuse)
