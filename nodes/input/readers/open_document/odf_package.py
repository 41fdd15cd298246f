"""The parts of an OpenDocument file for sheets and slides: a zip, or one XML file that holds them all (`.fods`)."""

import io
import re
from collections.abc import Iterator
from typing import IO, Any

from ...draft import Draft, GivenFile, Unusable
from ..office.drawing_text import one_line
from ..office.office_parts import MEDIA_BY_SUFFIX
from ..office.zip_package import Element, Package, attribute, local

_ENTITY = re.compile(rb"<!\s*ENTITY", re.IGNORECASE)
_LARGEST_FLAT = 256 << 20
_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "description": "description",
    "keyword": "keywords",
    "date": "saved",
    "creation-date": "created",
}
PARSER: dict[str, Any] = {
    "resolve_entities": False,
    "no_network": True,
    "load_dtd": False,
    "huge_tree": False,
    "remove_comments": True,
    "remove_pis": True,
}
"""Options of lxml. A DOCTYPE without entities is harmless, and old files have one."""


class OdfPackage:
    """The parts of one file. Every method raises ValueError for one with entities."""

    def __init__(self, given: GivenFile, kind: str) -> None:
        """Open the file. Raises Unusable for a protected file and for one that is too large, BadZipFile for no zip."""
        self._package: Package | None = None
        self._flat = b""
        self.opened: set[str] = set()
        """The parts that were read."""
        head = given.file.read(256).lstrip(b"\xef\xbb\xbf \r\n\t")
        given.file.seek(0)
        if head.startswith(b"<"):
            if given.size > _LARGEST_FLAT:
                raise Unusable(f"too large (over {_LARGEST_FLAT >> 20} MiB)", "Save it in another format.")
            self._flat = given.file.read()
            return
        self._package = Package(given, kind)
        manifest = "META-INF/manifest.xml"
        if manifest in self._package and b"encryption-data" in self._package.read(manifest):
            raise Unusable("password-protected", "Save a copy without the password.")

    @property
    def names(self) -> list[str]:
        """The names of all parts; of a flat file, one name."""
        return self._package.names if self._package else ["content.xml"]

    def __contains__(self, name: str) -> bool:
        return name in self._package if self._package else name in ("content.xml", "styles.xml", "meta.xml")

    def stream(self, name: str) -> IO[bytes]:
        """Return a part to be read piece by piece. Raises KeyError, BadZipFile, ValueError."""
        self.opened.add(name)
        for attempt in (1, 2):
            stream = self._package.stream(name, doctype=True) if self._package else io.BytesIO(self._flat)
            if attempt == 2:
                return stream
            with stream:
                if _ENTITY.search(stream.read(8192)):
                    raise ValueError(f"{name} has entities, which these files may not have")
        raise AssertionError

    def xml(self, name: str) -> Element:
        """Return the root element of a part. Raises KeyError, BadZipFile, ValueError, XMLSyntaxError."""
        from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

        with self.stream(name) as stream:
            return etree.parse(stream, etree.XMLParser(**PARSER)).getroot()


def properties(package: OdfPackage, draft: Draft) -> None:
    """Put the title, the author and the other properties of the file into the document's metadata."""
    if "meta.xml" not in package:
        return
    try:
        root = package.xml("meta.xml")
    except Exception as error:  # zipfile and lxml raise a dozen kinds
        draft.lose(f"meta.xml cannot be read (damaged: {type(error).__name__})")
        return
    for facts in root.iter("{*}meta"):
        for one in facts:
            text = one_line(one.text or "")
            if key := _PROPERTIES.get(local(one)):
                if text:
                    draft.meta[key] = f"{draft.meta[key]}, {text}" if key == "keywords" and key in draft.meta else text
            elif local(one) == "user-defined" and text:
                draft.meta.setdefault("properties", {})[attribute(one, "name")] = text


def count_media(package: OdfPackage, draft: Draft) -> None:
    """Count pictures, sounds, videos and macros as losses."""
    for name in package.names:
        folder, _, base = name.partition("/")
        suffix = "." + base.lower().rpartition(".")[2]
        if folder in ("Thumbnails", "ObjectReplacements", "Configurations2", "META-INF") or not base:
            continue
        if folder in ("Pictures", "media", "Media"):
            draft.not_shown(MEDIA_BY_SUFFIX.get(suffix, "picture"))
        elif folder in ("Basic", "Scripts") and suffix in (".xml", ".py", ".js", ".bsh"):
            if not base.endswith(("script-lc.xml", "script-lb.xml")):
                draft.not_shown("macro")
        elif suffix in MEDIA_BY_SUFFIX:
            draft.not_shown(MEDIA_BY_SUFFIX[suffix])
        elif name.endswith("/content.xml") and name not in package.opened:
            draft.not_shown("embedded object")


def object_lines(package: OdfPackage, draft: Draft, place: str) -> Iterator[str]:
    """Yield the text of an embedded object, such as a chart, by the place that a frame names."""
    folder = place.removeprefix("./").rstrip("/")
    name = f"{folder}/content.xml"
    if not folder or name not in package:
        draft.not_shown("embedded object")
        return
    try:
        root = package.xml(name)
    except Exception as error:  # zipfile and lxml raise a dozen kinds
        draft.lose(f"{folder} cannot be read (damaged: {type(error).__name__})")
        return
    yield from chart_or_object(root)


def chart_or_object(root: Element) -> Iterator[str]:
    """Yield the text of a chart or another object: its titles in one line, then its rows."""
    chart = any(True for _ in root.iter("{*}chart"))
    rows = list(root.iter("{*}table-row"))
    in_rows = {one for row in rows for one in row.iter("{*}p")}
    texts = [_words(one) for one in root.iter("{*}p") if one not in in_rows]
    if local(root) == "math":
        texts = [one_line(" ".join(str(text) for text in root.itertext()))]
    noun = "chart" if chart else "formula" if local(root) == "math" else "object"
    yield f"[{': '.join(filter(None, [noun, ' · '.join(filter(None, texts))]))}]"
    for row in rows:
        cells = [" ".join(_words(one) for one in cell.iter("{*}p")) for cell in row]
        if line := "; ".join(filter(None, cells)):
            yield line


def _words(paragraph: Element) -> str:
    return one_line("".join(str(text) for text in paragraph.itertext()))
