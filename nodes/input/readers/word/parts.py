"""Parts of Word documents beside the text: charts, diagrams, embedded files, properties."""

import io
import posixpath
from typing import Any

from ..office.zip_package import Element, Package, attribute, local

_PROPERTIES = {
    "title": "title",
    "subject": "subject",
    "creator": "author",
    "keywords": "keywords",
    "description": "description",
    "category": "category",
    "contentStatus": "status",
    "lastModifiedBy": "last_author",
    "created": "created",
    "modified": "saved",
    "Company": "company",
    "Manager": "manager",
}
_MOST_PROPERTIES = 1_000
_LONGEST_PROPERTY = 10_000


def properties(package: Package) -> dict[str, Any]:
    """Return the properties of a document: `title`, `author`, `created` … and its own ones under `properties`.

    Raises what damaged parts raise.
    """
    found: dict[str, Any] = {}
    own: dict[str, str] = {}
    for part, kind in _property_parts(package).items():
        if kind in ("core", "extended"):
            for element in package.xml(part):
                words = str(element.text or "").strip()[:_LONGEST_PROPERTY]
                if words and (name := _PROPERTIES.get(local(element))):
                    found[name] = f"{found[name]}; {words}" if name in found else words
        else:
            for element in list(package.xml(part))[:_MOST_PROPERTIES]:
                if words := "".join(element.itertext()).strip()[:_LONGEST_PROPERTY]:
                    own[attribute(element, "name")] = words
    return {**found, **({"properties": own} if own else {})}


def _property_parts(package: Package) -> dict[str, str]:
    """Return the parts with properties, each with its kind: those that the file names, else those with usual names."""
    found = {
        one.target: one.kind.lower().partition("-")[0].removesuffix("properties")
        for one in package.related("").values()
        if one.kind.lower().endswith("properties") and not one.outside
    }
    for kind, name in (("core", "core"), ("extended", "app"), ("custom", "custom")):
        if kind not in found.values():
            found[f"docProps/{name}.xml"] = kind
    kinds = ("core", "extended", "custom")
    return {part: kind for part, kind in found.items() if kind in kinds and part in package}


def chart_text(root: Element) -> str:
    """Return the words and values of a chart: its titles, then a line for each series, then all others."""
    taken: set[Element] = set()
    series: list[str] = []
    for one in root.iter("{*}ser"):
        parts = {local(part): part for part in one}
        name = _values(parts.get("tx"), taken)
        categories = _values(parts.get("cat", parts.get("xVal")), taken)
        values = _values(parts.get("val", parts.get("yVal")), taken)
        points = [
            " ".join(filter(None, (_at(categories, at), _at(values, at))))
            for at in range(max(len(categories), len(values)))
        ]
        series.append(f"{' '.join(name) or 'values'}: {'; '.join(points)}")
    titles = [words for one in root.iter("{*}title") if (words := _rich(one, taken))]
    others = [
        str(one.text).strip() for one in root.iter("{*}t", "{*}v", "{*}pt") if one not in taken and _has_words(one)
    ]
    return "\n".join(filter(None, (". ".join(titles), *series, "; ".join(others))))


def _has_words(element: Element) -> bool:
    return bool(element.text and element.text.strip())


def _values(element: Element | None, taken: set[Element]) -> list[str]:
    """Return the cached values below an element, in their order."""
    found: list[str] = []
    for one in element.iter("{*}v", "{*}t") if element is not None else ():
        if _has_words(one) and one not in taken:
            taken.add(one)
            found.append(str(one.text).strip())
    return found


def _at(values: list[str], at: int) -> str:
    return values[at] if at < len(values) else ""


def _rich(element: Element, taken: set[Element]) -> str:
    return "".join(_values(element, taken)) if local(element) == "tx" else " ".join(_values(element, taken))


def paragraphs_text(root: Element) -> str:
    """Return the words of all DrawingML paragraphs of a part, such as those of a diagram's nodes."""
    found: list[str] = []
    for paragraph in root.iter("{*}p"):
        if words := "".join(str(one.text or "") for one in paragraph.iter("{*}t")).strip():
            found.append(words)
    return "; ".join(found)


def content_types(package: Package) -> dict[str, str]:
    """Return the media types of parts by their names (`/word/a.htm`) and by their suffixes (`.htm`), in lower case."""
    found: dict[str, str] = {}
    for one in package.xml("[Content_Types].xml"):
        key = attribute(one, "PartName") or f".{attribute(one, 'Extension')}"
        found[key.lower()] = attribute(one, "ContentType")
    return found


_STREAMS = {"WordDocument": ".doc", "Workbook": ".xls", "Book": ".xls", "PowerPoint Document": ".ppt"}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def embedded_file(name: str, data: bytes) -> tuple[str, bytes] | None:
    """Return the name and the bytes of the file in an embedded object; None for one that holds no file."""
    if not data.startswith(_OLE):
        return name, data
    import olefile

    stem = posixpath.splitext(name)[0]
    with olefile.OleFileIO(io.BytesIO(data)) as ole:
        if ole.exists("\x01Ole10Native"):
            return _native(stem, ole.openstream("\x01Ole10Native").read())
        if ole.exists("Package"):
            return f"{stem}{_office_suffix(ole)}", ole.openstream("Package").read()
        if ole.exists("CONTENTS"):
            contents = ole.openstream("CONTENTS").read()
            return (f"{stem}.pdf", contents) if contents.startswith(b"%PDF-") else None
        for stream, suffix in _STREAMS.items():
            if ole.exists(stream):
                return f"{stem}{suffix}", data
        return (f"{stem}.docx", data) if ole.exists("EncryptedPackage") else None


def _office_suffix(ole: Any) -> str:
    head = ole.openstream("Package").read(1 << 20)
    for mark, suffix in ((b"word/", ".docx"), (b"xl/", ".xlsx"), (b"ppt/", ".pptx")):
        if mark in head:
            return suffix
    return ".zip"


def _native(stem: str, data: bytes) -> tuple[str, bytes] | None:
    """Return the file in a stream of a packager: sizes, two names, and the bytes."""
    label, _, rest = data[6:].partition(b"\0")
    _, _, rest = rest.partition(b"\0")
    # Four bytes of flags, the length of a temporary path, the path, the length of the file.
    size_of_path = int.from_bytes(rest[4:8], "little")
    rest = rest[8 + size_of_path :]
    size = int.from_bytes(rest[:4], "little")
    if not label or not 0 < size <= len(rest) - 4:
        return None
    name = label.decode("utf-8", "replace").replace("\\", "/").rpartition("/")[2]
    return f"{posixpath.dirname(stem)}/{name}".lstrip("/"), rest[4 : 4 + size]
