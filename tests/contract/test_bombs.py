"""Hostile files of real formats, read by our own readers in the strongest sandbox: each costs itself alone."""

import time
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from io import BytesIO
from pathlib import Path

import psutil
import pytest

from durable_rlm.kernel.host.confined_programs import open_programs
from durable_rlm.nodes.input.ingest import ingest
from durable_rlm.nodes.input.paths import expand
from durable_rlm.nodes.input.reader_pool import ReaderPool
from durable_rlm.state.blobs.store import Blobs

pytestmark = pytest.mark.processes


def _pdf(stream: bytes, filters: bytes = b"/Filter /FlateDecode") -> bytes:
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>>>>>",
        b"<<%b/Length %d>>stream\n%b\nendstream" % (filters, len(stream), stream),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]
    made, places = b"%PDF-1.4\n", list[int]()
    for number, one in enumerate(objects, 1):
        places.append(len(made))
        made += b"%d 0 obj%bendobj\n" % (number, one)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 6\n0000000000 65535 f \n%btrailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    return made + end % (table, len(made))


def _unpacking_without_end() -> bytes:
    packer = zlib.compressobj(9)
    inner = b"".join(packer.compress(b" " * (8 << 20)) for _ in range(100)) + packer.flush()
    return _pdf(zlib.compress(inner, 9), b"/Filter [/FlateDecode /FlateDecode]")


def _deep_pdf() -> bytes:
    return _pdf(zlib.compress(b"q " * 300_000 + b"BT /F 9 Tf (deep) Tj ET"))


def _deep_mail() -> bytes:
    return b"Subject: deep\n" + b"Content-Type: message/rfc822\n\n" * 3_000 + b"x"


def _wide_mail() -> bytes:
    parameters = b"; ".join(b"a*%d*=%%41" % number for number in range(5_000))
    return b"Subject: wide\nContent-Type: text/plain; " + parameters + b"\n\nhi"


def _zip(entries: dict[str, bytes]) -> bytes:
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return made.getvalue()


def _laughing_word() -> bytes:
    entities = b"".join(b'<!ENTITY %c "%b">' % (98 + at, b"&%c;" % (97 + at) * 10) for at in range(9))
    document = b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + entities + b"]><x>&j;</x>"
    return _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": document})


def _large_word() -> bytes:
    return _zip({"[Content_Types].xml": b"<Types/>", "word/document.xml": b"<a>" + b" " * (300 << 20) + b"</a>"})


_BOMBS: dict[str, Callable[[], bytes]] = {
    "flate.pdf": _unpacking_without_end,
    "deep.pdf": _deep_pdf,
    "deep.eml": _deep_mail,
    "wide.eml": _wide_mail,
    "laughs.docx": _laughing_word,
    "large.docx": _large_word,
    "not.xlsx": lambda: b"PK\x03\x04" + b"\0" * 1_000,
}


def test_bombs_cost_themselves_and_one_reason_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "given"
    folder.mkdir()
    for name, make in _BOMBS.items():
        (folder / name).write_bytes(make())
    (folder / "good.eml").write_bytes(b"Subject: good\n\nA sentence to be found.\n")
    (folder / "good.txt").write_text("Another one.")
    blobs = Blobs(tmp_path / "blobs")
    begun = time.monotonic()
    with closing(ReaderPool(open_programs)) as readers:
        reference = ingest(expand([folder]), blobs, readers)
    assert time.monotonic() - begun < 300
    assert {"given/good.eml", "given/good.txt"} <= set(reference["names"])
    said = " ".join([*reference["names"], *reference["notes"]])
    assert [name for name in _BOMBS if f"given/{name}" not in said] == [], "each is read, or there is a note"
    assert psutil.Process().memory_info().rss < 1 << 30
