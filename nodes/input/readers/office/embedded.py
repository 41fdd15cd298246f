"""Files that are embedded in Office files: read by their own readers, or noted as losses."""

import posixpath
from collections.abc import Iterator
from typing import Any

from ...draft import Draft, GivenFile, Skipped
from .zip_package import OLE, Package

_STREAMS = (("WordDocument", ".doc"), ("Workbook", ".xls"), ("Book", ".xls"), ("PowerPoint Document", ".ppt"))
_LARGEST = 128 << 20
_MOST_FILES = 1_000


def embedded_files(given: GivenFile, package: Package, draft: Draft) -> Iterator[Draft | Skipped]:
    """Yield the documents of embedded files whose words `draft` does not show. Others are losses of `draft`."""
    names = [name for name in package.names if "/embeddings/" in name.lower() and not name.endswith("/")]
    draft.not_shown("embedded file", len(names[_MOST_FILES:]))
    known: set[str] | None = None
    for name in names[:_MOST_FILES]:
        found = list(_read(given, package, name))
        documents = [one for one in found if isinstance(one, Draft)]
        if not documents:
            draft.not_shown("embedded file")
        if documents and len(documents) == len(found):
            # A chart shows the workbook with its values already.
            known = set(draft.text.replace(";", " ").replace(":", " ").split()) if known is None else known
            if all(_is_known(one, known) for one in documents):
                continue
        yield from found


def _is_known(document: Draft, words: set[str]) -> bool:
    lines = [line for line in document.text.split("\n") if not line.startswith(("## ", "[table "))]
    return not document.all_losses() and all(word in words for line in lines for word in line.split())


def _read(given: GivenFile, package: Package, name: str) -> Iterator[Draft | Skipped]:
    base = posixpath.basename(name)
    try:
        if package.size(name) > _LARGEST:
            yield Skipped(base, f"too large (over {_LARGEST >> 20} MiB)", package.size(name))
            return
        data = package.read(name)
        inner = _unpacked(data) if data.startswith(OLE) else ("", data)
    except Exception as error:  # zipfile and olefile raise a dozen kinds
        yield Skipped(base, f"damaged ({type(error).__name__})", 0)
        return
    if inner is None:
        yield Skipped(base, "an object of a program that is not known", len(data))
        return
    suffix, content = inner
    inner_name = posixpath.basename(suffix) if not suffix.startswith(".") else posixpath.splitext(base)[0] + suffix
    yield from given.nested(inner_name or base, content, "")


def _unpacked(data: bytes) -> tuple[str, bytes] | None:
    """Return the file in an OLE object, after its name or its suffix; None where it is not known."""
    with opened_ole(data) as ole:
        for stream in ("Package", "package"):
            if ole.exists(stream):
                content = ole.openstream(stream).read()
                return _suffix_of(content), content
        for stream, suffix in _STREAMS:
            if ole.exists(stream):
                return suffix, data
        if ole.exists("CONTENTS"):
            content = ole.openstream("CONTENTS").read()
            if content.startswith(b"%PDF"):
                return ".pdf", content
        if ole.exists("\x01Ole10Native"):
            return _native(ole.openstream("\x01Ole10Native").read())
        if ole.exists("EncryptedPackage"):
            return ".xlsx", data
    return None


def opened_ole(data: bytes) -> Any:
    """Return the streams of an OLE file. Raises OSError for a damaged one."""
    from olefile import OleFileIO  # whose types say that names are bytes

    return OleFileIO(data)


def _suffix_of(data: bytes) -> str:
    """Return the suffix of an Office file by the folder of its main part."""
    for folder, suffix in ((b"word/", ".docx"), (b"xl/", ".xlsx"), (b"ppt/", ".pptx")):
        if folder in data[: 64 << 10] or folder in data[-(64 << 10) :]:
            return suffix
    return ".zip"


def _native(data: bytes) -> tuple[str, bytes] | None:
    """Return the name and the bytes of a file that was embedded as an icon."""
    if len(data) < 6 or data[4:6] != b"\x02\x00":
        return None
    fields: list[bytes] = []
    at = 6
    for _ in range(2):
        end = data.find(b"\0", at)
        if end < 0:
            return None
        fields.append(data[at:end])
        at = end + 1
    at += 4
    length = int.from_bytes(data[at : at + 4], "little")
    at += 4 + length
    size = int.from_bytes(data[at : at + 4], "little")
    content = data[at + 4 : at + 4 + size]
    name = fields[0].decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2].replace("..", "_")
    return (name or "object.bin", content) if content else None
