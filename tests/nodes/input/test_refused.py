"""Input that cannot be used is refused or skipped, and what was read in an unusual way is said."""

import codecs
import io
import itertools
import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.nodes.input import read
from durable_rlm.nodes.input.draft import ReadOptions
from durable_rlm.nodes.input.extraction import Check, Extraction
from durable_rlm.nodes.input.formats import Format
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.paths import expand
from durable_rlm.nodes.input.source import Limits
from durable_rlm.state.blobs.store import Blobs
from durable_rlm.state.errors import InputError
from durable_rlm.state.input.context import ContextRef
from durable_rlm.state.input.index import document_lines, entry_of, reports
from tests.contract.in_process_extractor import InProcessExtractor
from tests.nodes.input.corpus.archive import zipped

Tree = Callable[[dict[str, str | bytes]], Path]


def pack_of(ref: ContextRef, blobs: Blobs) -> bytes:
    return blobs.read(ref["pack"])


def index_of(ref: ContextRef, blobs: Blobs) -> list[dict[str, Any]]:
    return [dict(entry_of(line)) for line in document_lines(blobs.read(ref["index"]))]


def stored(blobs: Blobs) -> list[Path]:
    return [path for path in blobs.folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize("files", [{"a": ""}, {"a": "", "b": ""}])
def test_empty_input_is_an_error(tree: Tree, blobs: Blobs, files: dict[str, str | bytes]) -> None:
    with pytest.raises(InputError, match="empty"):
        ingest(expand([tree(files)]), blobs, InProcessExtractor())
    assert stored(blobs) == []


def test_an_input_without_any_text_is_an_error_with_the_reason(tree: Tree, blobs: Blobs) -> None:
    with pytest.raises(InputError, match=r"no text.*binary file\): given/a\.bin"):
        ingest(expand([tree({"a.bin": b"\0\1"})]), blobs, InProcessExtractor())


def test_a_binary_file_is_an_error_when_it_alone_is_named_and_else_a_note(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.png": b"\x89PNG\0\0", "b.txt": "b"})
    for paths in ([root], [root / "b.txt", root / "a.png"], [root, root / "a.png"], ["given/*"]):
        ref = ingest(expand(paths), blobs, InProcessExtractor())
        assert ref["names"] == ["given/b.txt"]
        assert ref["notes"] == ["skipped (a PNG image): given/a.png"]
    with pytest.raises(InputError, match=r"given/a\.png is a PNG image\."):
        ingest(expand([root / "a.png"]), blobs, InProcessExtractor())


def test_unusable_files_are_all_named_when_none_of_several_can_be_read(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.bin": b"\0\0", "b.pdf": b"%PDF-", "c.txt": ""})
    with pytest.raises(InputError) as caught:
        ingest(expand([root / "a.bin", root / "b.pdf", root / "c.txt"]), blobs, InProcessExtractor())
    assert caught.value.message == (
        "None of the 3 files gives text: given/a.bin is a binary file; given/b.pdf is a damaged PDF; "
        "given/c.txt is empty."
    )


def test_an_empty_file_is_skipped_in_a_folder_and_an_error_alone(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.txt": "", "b.txt": "b", "c.txt": codecs.BOM_UTF8})
    ref = ingest(expand([root]), blobs, InProcessExtractor())
    assert (ref["names"], ref["notes"]) == (["given/b.txt"], ["skipped (empty): given/a.txt, given/c.txt"])
    for name in ("a.txt", "c.txt"):
        with pytest.raises(InputError, match="The input is empty"):
            ingest(expand([root / name]), blobs, InProcessExtractor())


def test_every_skipped_file_is_in_the_index_with_its_reason(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.txt": "a", "b.bin": b"\0\1\2", "empty": ""})
    (root / "link").symlink_to(root / "a.txt")
    os.mkfifo(root / "pipe")
    ref = ingest(expand([root]), blobs, InProcessExtractor())
    found = {one["path"]: (one["skipped"], one["bytes"]) for one in reports(blobs.read(ref["index"]))}
    assert found == {
        "given/a.txt": (None, 1),
        "given/b.bin": ("a binary file", 3),
        "given/empty": ("empty", 0),
        "given/link": ("links are not followed", 0),
        "given/pipe": ("a named pipe", 0),
    }


def test_a_file_inside_a_file_that_is_skipped_has_its_own_row(tree: Tree, blobs: Blobs) -> None:
    root = tree({"x.zip": zipped({"a.txt": b"words", "b.png": b"\x89PNG\r\n\x1a\n\0"})})
    ref = ingest(expand([root]), blobs, InProcessExtractor())
    found = [(one["path"], one["documents"], one["bytes"], one["skipped"]) for one in reports(blobs.read(ref["index"]))]
    assert found[0] == ("given/x.zip/b.png", 0, 9, "a PNG image")
    assert (found[1][0], found[1][1], found[1][3]) == ("given/x.zip", 1, None)


def test_a_text_has_its_encoding_and_delimiter_in_its_metadata(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.csv": "id;größe\r\n1;2\r\n".encode("cp1252"), "b.txt": "a\nb", "c.txt": "é".encode("utf-16")})
    ref = ingest(expand([root]), blobs, InProcessExtractor())
    facts = ("kind", "encoding", "delimiter")
    assert [[entry["meta"].get(fact) for fact in facts] for entry in index_of(ref, blobs)] == [
        ["CSV", "Windows-1252", ";"],
        ["text", "UTF-8", None],
        ["text", "UTF-16", None],
    ]
    assert [one["encoding"] for one in reports(blobs.read(ref["index"]))] == ["Windows-1252", "UTF-8", "UTF-16"]
    assert index_of(ref, blobs)[0]["meta"]["path"] == str(root / "a.csv")


def test_the_users_encoding_is_used(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.txt": "Привет".encode("koi8_r")})
    ref = ingest(expand([root]), blobs, InProcessExtractor(), options=ReadOptions(encoding="KOI8-R"))
    assert (pack_of(ref, blobs).decode(), ref["notes"]) == ("Привет", [])


@pytest.mark.parametrize("name", ["a.txt", "a.eml"])
def test_a_file_that_changes_while_it_is_read_has_a_note(tree: Tree, blobs: Blobs, name: str) -> None:
    root = tree({name: "Subject: x\n\n" + "line\n" * 500_000})

    class Appending:
        ahead = 0

        def extract(
            self, descriptor: int, size: int, name: str, form: Format, options: ReadOptions, check: Check
        ) -> AbstractContextManager[Extraction]:
            append()
            return InProcessExtractor().extract(descriptor, size, name, form, options, check)

    def append(_so_far: object = None) -> None:
        with (root / name).open("a") as file:
            file.write("more\n")

    times = itertools.count()
    ref = ingest(expand([root]), blobs, Appending(), progress=append, clock=lambda: next(times))
    assert ref["notes"] == [f"changed while it was read: given/{name}"]


def test_a_damaged_document_is_an_error_when_named_and_a_note_in_a_folder(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.pdf": b"%PDF-1.4 broken", "b.txt": "b"})
    assert ingest(expand([root]), blobs, InProcessExtractor())["notes"] == ["skipped (a damaged PDF): given/a.pdf"]
    with pytest.raises(InputError, match=r"a\.pdf is a damaged PDF"):
        ingest(expand([root / "a.pdf"]), blobs, InProcessExtractor())


def test_a_piped_document_is_read_by_its_reader(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    form = Format("e-mail", reader="durable_rlm.nodes.input.readers.mail.mail:read")
    monkeypatch.setattr(read, "format_of", lambda _name, _head: form)  # pyright: ignore[reportUnknownLambdaType]
    ref = ingest(expand(["-"], stdin=io.BytesIO(b"Subject: Hi\n\nBody\n")), blobs, InProcessExtractor())
    assert index_of(ref, blobs)[0]["meta"]["subject"] == "Hi"
    monkeypatch.setattr(read, "_LARGEST_SPOOLED", 10)
    with pytest.raises(InputError, match="too large"):
        ingest(expand(["-"], stdin=io.BytesIO(b"Subject: Hi\n\nBody\n")), blobs, InProcessExtractor())


def test_a_piped_file_that_nothing_reads_is_named(blobs: Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InputError, match="stdin is a damaged PDF"):
        ingest(expand(["-"], stdin=io.BytesIO(b"%PDF-1.4 text")), blobs, InProcessExtractor())
    form = Format("PNG", unread="a PNG image")
    monkeypatch.setattr(read, "format_of", lambda _name, _head: form)  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(InputError, match="stdin is a PNG image"):
        ingest(expand(["-"], stdin=io.BytesIO(b"\x89PNG")), blobs, InProcessExtractor())


def test_an_unreadable_file_is_an_error_when_named_and_a_note_in_a_folder(
    tree: Tree, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.txt": "a", "locked.txt": "b"})
    opened = os.open

    def refuse(path: Any, *rest: Any, **named: Any) -> int:  # root may read everything
        if str(path).endswith("locked.txt"):
            raise PermissionError(13, "Permission denied")
        return opened(path, *rest, **named)

    monkeypatch.setattr(os, "open", refuse)
    assert ingest(expand([root]), blobs, InProcessExtractor())["notes"] == [
        "skipped (not readable (Permission denied)): given/locked.txt"
    ]
    with pytest.raises(InputError, match=r"locked\.txt is not readable \(Permission denied\)"):
        ingest(expand([root / "locked.txt"]), blobs, InProcessExtractor())


def test_a_file_replaced_by_a_link_or_a_pipe_is_not_read(tree: Tree, blobs: Blobs) -> None:
    root = tree({"a.txt": "a", "b.txt": "b", "c.txt": "c", "../secret": "secret"})
    sources = expand([root])
    (root / "b.txt").unlink()
    (root / "b.txt").symlink_to(root.parent / "secret")
    (root / "c.txt").unlink()
    os.mkfifo(root / "c.txt")
    ref = ingest(sources, blobs, InProcessExtractor())
    assert ref["names"] == ["given/a.txt"]
    assert any("a named pipe): given/c.txt" in note for note in ref["notes"])


def test_a_read_error_in_the_middle_of_a_file_is_reported(
    tree: Tree, blobs: Blobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tree({"a.txt": "x" * (3 << 20)})
    read, calls = os.read, [0]

    def fail(descriptor: int, size: int) -> bytes:
        calls[0] += 1
        if calls[0] == 2:
            raise OSError(5, "Input/output error")
        return read(descriptor, size)

    sources = expand([root])
    monkeypatch.setattr(os, "read", fail)
    with pytest.raises(InputError, match=r"Reading given/a\.txt failed: Input/output error"):
        ingest(sources, blobs, InProcessExtractor())
    assert stored(blobs) == []


def test_text_beyond_the_limit_is_refused_even_if_the_file_sizes_were_smaller(blobs: Blobs) -> None:
    sources = expand(["-"], stdin=io.BytesIO(b"x" * 5000), limits=Limits(bytes=4999))
    with pytest.raises(InputError, match="more than"):
        ingest(sources, blobs, InProcessExtractor())
    assert stored(blobs) == []
