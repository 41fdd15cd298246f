"""Office files as what they are: a zip of parts, most of them XML, that refer to each other (ECMA-376, OpenDocument).

Sizes are capped before and while parts are unpacked. A DOCTYPE is refused, so that no entity is expanded or fetched.
"""

import io
import posixpath
import re
from functools import cached_property
from typing import IO, Any, NamedTuple, TypeAlias
from zipfile import ZipFile, ZipInfo

from ...draft import GivenFile, Unusable

Element: TypeAlias = Any
"""An element of lxml, which has no types."""

READ_ONLY_PASSWORD = "VelvetSweatshop"
"""Excel opens files with this password without asking: they are protected against changes, not against reading."""
LARGEST_UNPACKED = 512 << 20
"""Bytes of all parts together. `zipfile` never unpacks more than a part declares, so the declared sum is a limit."""
_LARGEST_XML = 256 << 20
_MOST_PARTS = 50_000
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
"""The beginning of protected files, and of those of Office before 2007."""
_PLAIN_DOCTYPE = re.compile(rb'<!DOCTYPE\s+(?:office|manifest|math):[a-z-]+\s+PUBLIC\s+"[^"<>]*"\s+"[^"<>]*"\s*>')
_DOCTYPE = re.compile(rb"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


class Related(NamedTuple):
    """A relationship of a part: its target, which may be outside of the package."""

    kind: str
    """The last word of its type: `header`, `image`, `hyperlink`."""
    target: str
    """The name of the part it leads to; a URL when it is `outside`."""
    outside: bool = False


class Package:
    """The parts of one file."""

    def __init__(self, given: GivenFile, kind: str) -> None:
        """Open the file. Raises Unusable for a protected file and for one that is too large, BadZipFile for no zip."""
        self.kind = kind
        self._zip = ZipFile(unprotected(given, kind))
        self._parts: dict[str, ZipInfo] = {part.filename: part for part in self._zip.infolist()}
        self._folded = {_folded(name): name for name in self._parts}
        if len(self._parts) > _MOST_PARTS or sum(part.file_size for part in self._parts.values()) > LARGEST_UNPACKED:
            raise Unusable(f"too large when unpacked (over {LARGEST_UNPACKED >> 20} MiB)", "Save it in another format.")
        if any(part.flag_bits & 1 for part in self._parts.values()):
            raise Unusable("password-protected", "Save a copy without the password.")

    @property
    def names(self) -> list[str]:
        """The names of all parts, in the order of the file."""
        return list(self._parts)

    def __contains__(self, name: str) -> bool:
        return _folded(name) in self._folded

    def size(self, name: str) -> int:
        """Return a part's size in bytes when unpacked."""
        return self._parts[self._folded[_folded(name)]].file_size

    def read(self, name: str) -> bytes:
        """Return a part's bytes. Names ignore case, as Office does. Raises KeyError, BadZipFile."""
        return self._zip.read(self._parts[self._folded[_folded(name)]])

    def stream(self, name: str, doctype: bool = False) -> IO[bytes]:
        """Return a part to be read piece by piece. Raises KeyError, BadZipFile, ValueError for one with a DOCTYPE.

        `doctype`: return such a part, too.
        """
        part = self._parts[self._folded[_folded(name)]]
        if not doctype:
            with self._zip.open(part) as head:
                if _has_doctype(head.read(8192)):
                    raise ValueError(f"{name} has a DOCTYPE, which Office files may not have")
        return self._zip.open(part)

    def xml(self, name: str) -> Element:
        """Return the root element of a part. Raises KeyError, XMLSyntaxError, Unusable for one that is too large."""
        if self.size(name) > _LARGEST_XML:
            raise Unusable(f"too large (a part of over {_LARGEST_XML >> 20} MiB)", "Save it in another format.")
        return parsed(self.read(name), name)

    def related(self, part: str) -> dict[str, Related]:
        """Return the relationships of a part by their ids; of the whole package for an empty name."""
        folder, base = posixpath.split(part)
        place = posixpath.join(folder, "_rels", f"{base}.rels")
        if place not in self:
            return {}
        found: dict[str, Related] = {}
        for one in self.xml(place):
            target, kind = one.get("Target", ""), one.get("Type", "").rpartition("/")[2]
            if one.get("TargetMode") == "External":
                found[one.get("Id", "")] = Related(kind, target, outside=True)
                continue
            inside = target[1:] if target.startswith("/") else posixpath.normpath(posixpath.join(folder, target))
            found[one.get("Id", "")] = Related(kind, inside)
        return found

    @cached_property
    def main(self) -> str:
        """The name of the main part, which is not always called `document.xml`. Raises ValueError without one."""
        for one in self.related("").values():
            if one.kind == "officeDocument" and one.target in self:
                return one.target
        raise ValueError("it names no main part")


def parsed(data: bytes, name: str) -> Element:
    """Return the root element of a part. Raises ValueError, XMLSyntaxError, Unusable for one that is nested too deeply.

    A DOCTYPE that only names a public DTD, as old OpenOffice files have it, is passed over; any other is refused.
    """
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    data = _PLAIN_DOCTYPE.sub(b"", data[:4096], count=1) + data[4096:]
    if _has_doctype(data):
        raise ValueError(f"{name} has a DOCTYPE, which Office files may not have")
    # Deep trees are refused by libxml2 itself, at 256 levels, unless `huge_tree` is set.
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        huge_tree=False,
        remove_comments=True,
        remove_pis=True,
    )
    try:
        return etree.fromstring(data, parser)
    except etree.XMLSyntaxError as error:
        if "depth" in str(error) or "uge" in str(error):
            raise Unusable(
                f"not readable: {name} is nested over 256 levels deep, or has words of over 10 MB in one piece",
                "Open it in an office program and save it again.",
            ) from error
        raise


def local(element: Element) -> str:
    """Return an element's name without its namespace; Strict and Transitional files differ in that alone."""
    tag = element.tag
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def attribute(element: Element, name: str, default: str = "") -> str:
    """Return an attribute by its name without a namespace."""
    for key, value in element.attrib.items():
        if str(key).rpartition("}")[2] == name:
            return str(value)
    return default


def _folded(name: str) -> str:
    """Return a name as it is compared. Some programs write the separators of Windows."""
    return name.lower().replace("\\", "/")


def _has_doctype(data: bytes) -> bool:
    head = data[:4096]
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = data[:8192].replace(b"\0", b"")
    return _DOCTYPE.search(head) is not None


def unprotected(given: GivenFile, kind: str) -> Any:
    """Return the file, decrypted if a password fits. Raises Unusable."""
    head = given.file.read(8)
    given.file.seek(0)
    if head != OLE:
        return given.file
    from msoffcrypto import OfficeFile
    from msoffcrypto.exceptions import DecryptionError, FileFormatError, InvalidKeyError, ParseError

    try:
        protected = OfficeFile(given.file)
    except (FileFormatError, OSError) as error:
        raise Unusable(f"a damaged {kind}", f"({type(error).__name__})") from error
    for password in given.options.passwords:
        clear = io.BytesIO()
        try:
            protected.load_key(password=password)
            protected.decrypt(clear)
        except (InvalidKeyError, DecryptionError, ParseError, ValueError):
            continue  # ValueError: a short file, which a wrong key does not fit
        clear.seek(0)
        return clear
    raise Unusable("password-protected", "Give its password by --password env:NAME or file:PATH.")
