"""The format of a file: by its first bytes where they decide, else by its name."""

import io
import time
import zipfile

import pytest

from durable_rlm.nodes.input.formats import TEXT, Format, format_of
from durable_rlm.nodes.input.signatures import OLE
from durable_rlm.nodes.input.unread_formats import UNREAD

_PNG = b"\x89PNG\r\n\x1a\nQ\xbe$\x90\0"


def _zip(*names: str, first: tuple[str, str] | None = None) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        if first:
            archive.writestr(*first)
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "head", "unread"),
    [
        ("image.txt", _PNG, "a PNG image"),
        ("photo", b"\xff\xd8\xff\xe0\0\x10JFIF", "a JPEG image"),
        ("crm.sqlite", b"SQLite format 3\0\x10", "a SQLite database"),
        ("crm.csv", b"SQLite format 3\0\x10", "a SQLite database"),
        ("film.bin", b"\0\0\0\x18ftypmp42\0", "a video"),
        ("photo.bin", b"\0\0\0\x18ftypheic\0", "a HEIC image"),
        ("raw.nef", b"II*\0\x10\0\0\0", "a camera's raw image"),
        ("x.dcm", b"\0" * 128 + b"DICM", "a DICOM image"),
        ("disk", b"\0" * 32769 + b"CD001", "a disk image"),
        ("a.bmp", b"BM\x36\0\0\0\0\0", "a BMP image"),
        ("lib.so.1", b"\x7fELF\2\1\1\0", "a program (ELF)"),
        ("old", OLE + b"\0" * 600, "an old Office file of a kind that its name does not tell"),
        ("letter.pages", _zip("Index/Document.iwa"), "an iWork document"),
        ("letter", _zip("Index/Document.iwa"), "an iWork document"),
        ("book.mobi", b"Book\0" + b"\0" * 55 + b"BOOKMOBI", "a Kindle book"),
        ("page.ps", b"%!PS-Adobe-3.0\n", "a PostScript file"),
        ("x.7z", b"7z\xbc\xaf\x27\x1c\0", "a 7z archive"),
        ("weights.safetensors", b"\x40\0\0\0\0\0\0\0{}", "a model's weights"),
    ],
)
def test_kinds_that_are_not_read_are_named(name: str, head: bytes, unread: str) -> None:
    assert format_of(name, head).unread == unread


@pytest.mark.parametrize(
    ("name", "head"),
    [
        ("server.key", b"-----BEGIN PRIVATE KEY-----\n"),
        ("id.pub", b"ssh-ed25519 AAAA\n"),
        ("notes.png", b"these are notes\n"),
        ("cars.txt", b"BMW and MZ\n"),
        ("cars.txt", "BMW Händler\n".encode("latin-1")),
        ("film.srt", b"1\n00:00:01,000 --> 00:00:02,000\nHello\n"),
        ("film.vtt", b"WEBVTT\n"),
        ("page.xml", b"<?xml version='1.0'?><html></html>"),
        ("app.vue", b"<template></template>"),
        ("x.php", b"<!doctype html><?php ?>"),
        ("drawing.svg", b"<svg></svg>"),
        ("list.xls", b"a\tb\n1\t2\n"),
        ("empty.zip", b""),
        ("not.gz", b"plain\n"),
        ("data.jsonl.txt", b'{"a": 1}\n'),
    ],
)
def test_text_is_read_as_text_whatever_its_name_promises(name: str, head: bytes) -> None:
    assert format_of(name, head) is TEXT


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.txt", b"%PDF-1.7\n", "PDF"),
        ("a.zip", _zip("a.txt"), "archive"),
        ("a.csv", _zip("a.txt"), "archive"),
        ("a.jar", _zip("META-INF/MANIFEST.MF"), "archive"),
        ("a.zip", _zip("[Content_Types].xml", "_rels/.rels", "word/document.xml"), "DOCX"),
        ("a.doc", _zip("[Content_Types].xml", "xl/workbook.xml"), "XLSX"),
        ("a.docx", _zip("[Content_Types].xml", "word/document.xml"), "DOCX"),
        ("a.docx", OLE + b"\0" * 600, "DOCX"),
        ("a.bin", _zip(first=("mimetype", "application/epub+zip")), "EPUB"),
        ("a.bin", b"\x1f\x8b\x08\0", "archive"),
        ("a", b"\0" * 257 + b"ustar", "archive"),
        ("page", b"\n<!-- saved -->\n<!DOCTYPE html><p>", "HTML"),
        ("page.doc", b"<html xmlns:o='urn'><p>", "HTML"),
        ("a.HTM", b"<p>", "HTML"),
        ("a.ipynb", b"{}", "notebook"),
    ],
)
def test_the_first_bytes_decide_over_a_name_that_lies(name: str, head: bytes, kind: str) -> None:
    assert format_of(name, head).kind == kind


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("s.jsonl", b'{"type":"summary","summary":"x","leafUuid":"y"}\n', "agent history"),
        ("s.jsonl", b'{"parentUuid":null,"sessionId":"s","type":"user","message":{"role":"user"}}\n', "agent history"),
        ("r.jsonl", b'{"timestamp":"t","type":"session_meta","payload":{"id":"1"}}\n', "agent history"),
        ("r.jsonl", b'{"timestamp":"t","type":"session_meta","payload":{"id":"' + b"x" * 70_000, "agent history"),
        ("m.jsonl", b'{"messages":[{"role":"user","content":"x"}]}\n', "agent history"),
        ("b.jsonl", b'{"custom_id":"1","body":{"messages":[]}}\n', "agent history"),
        ("l.jsonl", b'{"run_type":"llm","inputs":{},"id":"1"}\n', "agent history"),
        ("c.json", b'[{"title":"t","create_time":1,"mapping":{}}]', "agent history"),
        ("e.jsonl", b'{"sessionId":"s","type":"error","message":"disk is full"}\n', "JSON Lines"),
        ("e.jsonl", b'{"messages":["a","b"]}\n', "JSON Lines"),
        ("e.jsonl", b'{"type":"user","name":"x"}\n', "JSON Lines"),
        ("e.jsonl", b"[" * 100_000, "JSON Lines"),
        ("e.json", b'{"messages":[{"role":"user","content":"x"}]}', "text"),
        ("e.json", b'[{"name":"x"}]', "text"),
    ],
)
def test_histories_of_agents_are_known_by_their_first_records(name: str, head: bytes, kind: str) -> None:
    assert format_of(name, head).kind == kind


def test_the_media_type_decides_for_a_name_without_a_suffix() -> None:
    assert format_of("part", b"<p>x", "text/html").kind == "HTML"
    assert format_of("part", b"\0\1\2", "image/x-rare").unread == "of the kind image/x-rare"
    assert format_of("part", b"<svg/>", "image/svg+xml") is TEXT


def test_a_format_of_another_package_comes_before_unread_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    added = Format("SQLite", (".sqlite",), reader="x:y")
    monkeypatch.setattr("durable_rlm.nodes.input.formats._added", lambda: (added,))
    monkeypatch.setattr("durable_rlm.nodes.input.formats._by_suffix", lambda: {".sqlite": added})
    assert format_of("crm.sqlite", b"SQLite format 3\0") is added


def test_hostile_heads_take_little_time() -> None:
    started = time.process_time()
    for head in (
        b"<!---->" * 9_000,
        b"<!--" * 9_000,
        b"PK\3\4" * 16_000,
        b'{"a":' * 13_000,
        b"{}\n" * 20_000,
        b" " * 65_536,
    ):
        format_of("a", head)
        format_of("a.jsonl", head)
    assert time.process_time() - started < 2


def test_every_unread_kind_completes_a_sentence_and_no_suffix_is_named_twice() -> None:
    suffixes = [suffix for _, listed, _ in UNREAD for suffix in listed.split()]
    assert len(suffixes) == len(set(suffixes))
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in suffixes)
    assert all(what.split()[0] in ("a", "an", "compiled") for what, _, _ in UNREAD)
