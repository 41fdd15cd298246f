"""OpenDocument texts made from XML."""

import io
from zipfile import ZIP_DEFLATED, ZipFile

_OASIS = "urn:oasis:names:tc:opendocument:xmlns"
_NAMES = {
    **{one: f"{_OASIS}:{one}:1.0" for one in ("office", "text", "table", "style", "form", "chart", "meta", "manifest")},
    "draw": f"{_OASIS}:drawing:1.0",
    "svg": f"{_OASIS}:svg-compatible:1.0",
    "loext": "urn:org:documentfoundation:names:experimental:office:xmlns:loext:1.0",
    "dc": "http://purl.org/dc/elements/1.1/",
    "xlink": "http://www.w3.org/1999/xlink",
    "math": "http://www.w3.org/1998/Math/MathML",
}
SPACES = " ".join([*(f'xmlns:{prefix}="{uri}"' for prefix, uri in _NAMES.items()), 'office:version="1.3"'])
"""Attributes of the root element of a part."""


_TEXT = "application/vnd.oasis.opendocument.text"


def note(kind: str, words: str) -> str:
    """Return a footnote or an endnote."""
    return (
        f'<text:note text:note-class="{kind}"><text:note-citation>1</text:note-citation>'
        f"<text:note-body><text:p>{words}</text:p></text:note-body></text:note>"
    )


def comment(words: str, name: str = "", who: str = "Ann") -> str:
    """Return an annotation."""
    named = f' office:name="{name}"' if name else ""
    return (
        f"<office:annotation{named}><dc:creator>{who}</dc:creator><dc:date>2026-01-02T10:00:00</dc:date>"
        f"<text:p>{words}</text:p></office:annotation>"
    )


def changed(kind: str, identity: str, words: str = "") -> str:
    """Return a tracked change for the beginning of a document. `kind`: `insertion`, `deletion`."""
    content = f"<text:p>{words}</text:p>" if words else ""
    return (
        f'<text:changed-region text:id="{identity}"><text:{kind}><office:change-info><dc:creator>Ann</dc:creator>'
        f"<dc:date>2026-01-02T10:00:00</dc:date></office:change-info>{content}</text:{kind}></text:changed-region>"
    )


def flat(body: str, *, styles: str = "", masters: str = "", meta: str = "") -> bytes:
    """Return a flat document."""
    return (
        f'<?xml version="1.0"?><office:document {SPACES} office:mimetype="{_TEXT}">'
        f"<office:meta>{meta}</office:meta>"
        f"<office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:master-styles>{masters}</office:master-styles>"
        f"<office:body><office:text>{body}</office:text></office:body></office:document>"
    ).encode()


def odt(
    body: str,
    *,
    styles: str = "",
    masters: str = "",
    meta: str = "",
    files: dict[str, bytes] | None = None,
    doctype: str = "",
) -> bytes:
    """Return a document. `files`: further parts by their names."""
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as package:
        package.writestr("mimetype", _TEXT)
        if not files or "META-INF/manifest.xml" not in files:
            manifest = _manifest("content.xml", "styles.xml", "meta.xml", *(files or {}))
            package.writestr("META-INF/manifest.xml", manifest)
        package.writestr(
            "content.xml",
            f"{doctype}<office:document-content {SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
            f"<office:body><office:text>{body}</office:text></office:body></office:document-content>",
        )
        package.writestr(
            "styles.xml",
            f"<office:document-styles {SPACES}><office:master-styles>{masters}</office:master-styles>"
            "</office:document-styles>",
        )
        package.writestr(
            "meta.xml", f"<office:document-meta {SPACES}><office:meta>{meta}</office:meta></office:document-meta>"
        )
        for name, data in (files or {}).items():
            package.writestr(name, data)
    return made.getvalue()


def _manifest(*names: str) -> str:
    types = {"/": _TEXT, **dict.fromkeys(names, "text/xml")}
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{name}" manifest:media-type="{kind}"/>'
        for name, kind in types.items()
    )
    return f"<manifest:manifest {SPACES}>{entries}</manifest:manifest>"


def part(root: str, inside: str) -> bytes:
    """Return another XML part with the usual names."""
    return f"<{root} {SPACES}>{inside}</{root}>".encode()
