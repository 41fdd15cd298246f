"""Tells formats apart by the first bytes of files where one beginning has several meanings: ZIP, OLE, HTML, JSON.

This runs in the host over hostile bytes: it looks at a bounded part of them and imports nothing.
"""

import json
import re
from collections.abc import Iterable
from pathlib import PurePath
from typing import Any, cast

ZIP = (b"PK\x03\x04", b"PK\x05\x06")
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"

ZIPPED: dict[str, tuple[str, ...]] = {
    "word/": (".docx", ".docm", ".dotx", ".dotm"),
    "xl/": (".xlsx", ".xlsm", ".xltx", ".xltm", ".xlsb", ".xlam"),
    "ppt/": (".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
    "visio/": (".vsdx", ".vsdm"),
}
"""The folder that each kind of Office package has, and its suffixes, the usual one first."""
_OPEN_DOCUMENT = (".odt", ".ott", ".ods", ".ots", ".odp", ".otp", ".odg", ".odf", ".epub")
_MEDIA_TYPES = {
    "application/epub+zip": ".epub",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.oasis.opendocument.spreadsheet": ".ods",
    "application/vnd.oasis.opendocument.presentation": ".odp",
    "application/vnd.oasis.opendocument.graphics": ".odg",
}
PACKAGES = frozenset([suffix for some in ZIPPED.values() for suffix in some] + [*_OPEN_DOCUMENT])
"""Suffixes of formats that are ZIP files inside. A protected Office package is an OLE file."""
# fmt: off
COMPOUND = frozenset({
    ".doc", ".dot", ".xls", ".xlt", ".xlw", ".xla", ".ppt", ".pps", ".pot", ".msg", ".oft", ".wps", ".vsd", ".mpp",
    ".pub", ".hwp",
})
# fmt: on
"""Suffixes of formats that are OLE files inside."""
_STREAMS = (
    ("WordDocument", ".doc"),
    ("Workbook", ".xls"),
    ("Book", ".xls"),
    ("PowerPoint Document", ".ppt"),
    ("__properties_version1.0", ".msg"),
    ("VisioDocument", ".vsd"),
)
_MOST_PARTS = 200
_LOOKED_AT = 64 << 10
_CONTROLS = bytes(byte for byte in range(32) if byte not in b"\t\n\r\f\b\x1b")
_HTML = re.compile(
    rb"\s*+(?:<\?xml[^>]{0,200}+>\s*+)?(?:<!--(?>.{0,2000}?-->)\s*+)*(?:<!doctype\s++html|<html[\s>])",
    re.IGNORECASE | re.DOTALL,
)


def is_text(head: bytes) -> bool:
    """Return whether bytes are plainly text: UTF-8, or nearly all of it ASCII, without NULs and control characters."""
    sample = head[:4096]
    if len(sample) != len(sample.translate(None, _CONTROLS)):
        return False
    try:
        sample.decode()
    except UnicodeDecodeError as error:
        return error.start > len(sample) - 4 and len(head) > len(sample)
    return True


def zip_parts(head: bytes) -> list[tuple[str, bytes]]:
    """Return the names of the first files in a ZIP, each with the bytes that follow its name."""
    found: list[tuple[str, bytes]] = []
    at = head.find(ZIP[0])
    while at >= 0 and len(found) < _MOST_PARTS:
        size = int.from_bytes(head[at + 26 : at + 28], "little")
        extra = int.from_bytes(head[at + 28 : at + 30], "little")
        after = at + 30 + size
        found.append((head[at + 30 : after].decode("utf-8", "replace"), head[after + extra : after + extra + 80]))
        at = head.find(ZIP[0], at + 30)
    return found


_MAIN_PARTS = ("word/document.xml", "xl/workbook.xml", "xl/workbook.bin", "ppt/presentation.xml")
_PACKAGE_PARTS = frozenset(("[Content_Types].xml", "_rels/.rels", *_MAIN_PARTS))
"""Parts of which an Office file has at least one, and a plain archive none."""


def package_suffix(names: Iterable[str], media_type: str = "") -> str:
    """Return the suffix of an Office file, an OpenDocument file or a book by its parts; empty for a plain archive."""
    if media_type:
        return next((suffix for kind, suffix in _MEDIA_TYPES.items() if media_type.startswith(kind)), "")
    listed = list(names)
    if not _PACKAGE_PARTS.intersection(listed):
        return ".pages" if any(name.startswith("Index/") and name.endswith(".iwa") for name in listed) else ""
    for folder, suffixes in ZIPPED.items():
        if any(name.lower().startswith(folder) for name in listed):
            return ".xlsb" if "xl/workbook.bin" in listed else suffixes[0]
    return ""


def suffix_of_zip(head: bytes) -> str:
    """Return the suffix that the first parts of a ZIP tell; empty for a plain archive, or if they do not tell."""
    parts = zip_parts(head[:_LOOKED_AT])
    media_type = parts[0][1].decode("ascii", "replace") if parts and parts[0][0] == "mimetype" else ""
    return package_suffix((name for name, _ in parts), media_type)


def suffix_of_ole(head: bytes) -> str:
    """Return the suffix that the names of an OLE file's streams tell, if its directory is near its beginning."""
    return next((suffix for name, suffix in _STREAMS if f"{name}\0".encode("utf-16-le") in head[:_LOOKED_AT]), "")


def is_html(name: str, head: bytes) -> bool:
    """Return whether a file without a suffix, or with one of an Office format, is a page of HTML."""
    suffix = PurePath(name).suffix.lower()
    return (not suffix or suffix in COMPOUND) and starts_html(head)


def starts_html(head: bytes) -> bool:
    """Return whether bytes begin as a page of HTML does."""
    return _HTML.match(head[:_LOOKED_AT].removeprefix(b"\xef\xbb\xbf")) is not None


def is_agent_history(name: str, head: bytes) -> bool:
    """Return whether a JSON file holds the messages of an agent or of chats, by its first records."""
    suffix = PurePath(name).suffix.lower()
    start = head[:200].lstrip()[:1]
    if start == b"[" and suffix in (".json", ""):
        return any(all(key in head[:_LOOKED_AT] for key in keys) for keys in _LISTS)
    if start != b"{" or suffix not in (".jsonl", ".ndjson", ""):
        return False
    records = _first_records(head)
    # The first record alone may be longer than what there is to look at.
    return history_kind(records) != "" if records else any(all(one in head for one in keys) for keys in _LONG_RECORDS)


def _first_records(head: bytes) -> list[dict[str, Any]]:
    """Return the records of the first lines, as far as they are whole."""
    found: list[dict[str, Any]] = []
    for line in head[: 1 << 20].split(b"\n", 40)[:40]:
        try:
            record = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            found.append(cast("dict[str, Any]", record))
    return found


def history_kind(records: list[dict[str, Any]]) -> str:
    """Return the kind of agent history that records belong to; empty for other data."""
    for record in records:
        for kind, fits in _HISTORIES.items():
            if fits(record):
                return kind
    return ""


def _is_claude(record: dict[str, Any]) -> bool:
    if record.get("type") == "summary":
        return "leafUuid" in record
    message = record.get("message")
    is_message = isinstance(message, dict) and "role" in message
    return "sessionId" in record and isinstance(record.get("type"), str) and (is_message or "parentUuid" in record)


def _is_codex(record: dict[str, Any]) -> bool:
    kinds = ("session_meta", "response_item", "event_msg", "turn_context", "compacted")
    return record.get("type") in kinds and isinstance(record.get("payload"), dict)


def _is_chat(record: dict[str, Any]) -> bool:
    messages = record.get("messages")
    if not (isinstance(messages, list) and messages and isinstance(messages[0], dict)):
        body = record.get("body")
        if "custom_id" not in record:
            return False
        return isinstance(record.get("response"), dict) or (
            isinstance(body, dict) and ("messages" in body or "input" in body)
        )
    return "role" in messages[0] and ("content" in messages[0] or "tool_calls" in messages[0])


def _is_langsmith(record: dict[str, Any]) -> bool:
    return isinstance(record.get("run_type"), str) and "inputs" in record and ("trace_id" in record or "id" in record)


_LISTS = (
    (b'"mapping"', b'"current_node"'),
    (b'"mapping"', b'"create_time"'),
    (b'"run_type"', b'"inputs"', b'"trace_id"'),
)
"""Keys of lists of conversations (ChatGPT) and of runs (LangSmith)."""
_LONG_RECORDS = (
    (b'"type":"session_meta"', b'"payload"'),
    (b'"parentUuid"', b'"sessionId"'),
    (b'{"messages"', b'"role"'),
)
_HISTORIES = {
    "Claude Code session": _is_claude,
    "Codex session": _is_codex,
    "chat messages": _is_chat,
    "LangSmith runs": _is_langsmith,
}
