"""Writes small PDF files from their parts: pages by content stream, and any other objects."""

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

FONT = "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>"


@dataclass
class Pdf:
    """A file under construction. Objects are numbered as they are added; 1 is the catalog and 2 the page tree."""

    compressed: bool = False
    """Compress the content streams."""
    catalog: str = ""
    """More entries of the catalog."""
    info: Mapping[str, str] = field(default_factory=dict[str, str])
    """Entries of the information dictionary, as plain texts."""
    fonts: Mapping[str, str] = field(default_factory=lambda: {"F": FONT})
    """The fonts of every page, by name."""
    objects: list[bytes] = field(default_factory=lambda: [b"", b""])
    pages: list[int] = field(default_factory=list[int])

    def add(self, body: str | bytes) -> int:
        """Add an object and return its number."""
        self.objects.append(body.encode("latin-1") if isinstance(body, str) else body)
        return len(self.objects)

    def stream(self, data: bytes, entries: str = "") -> int:
        """Add a stream as it stands and return its number."""
        return self.add(f"<<{entries}/Length {len(data)}>>stream\n".encode() + data + b"\nendstream")

    def page(self, content: str | bytes | None, entries: str = "", resources: str = "") -> int:
        """Add a page with its content stream, or without one, and return the page's number."""
        if content is None:
            return self.raw_page(None, entries, resources)
        data = content.encode("latin-1") if isinstance(content, str) else content
        if self.compressed:
            return self.raw_page(self.stream(zlib.compress(data), "/Filter/FlateDecode"), entries, resources)
        return self.raw_page(self.stream(data), entries, resources)

    def raw_page(self, contents: int | None, entries: str = "", resources: str = "") -> int:
        """Add a page whose content is an object, and return the page's number."""
        fonts = "".join(f"/{name} {font}" for name, font in self.fonts.items())
        shown = "" if contents is None else f"/Contents {contents} 0 R"
        self.pages.append(
            self.add(
                f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]{shown}{entries}"
                f"/Resources<</Font<<{fonts}>>{resources}>>>>"
            )
        )
        return self.pages[-1]

    def text_page(self, lines: Iterable[str], entries: str = "") -> int:
        """Add a page of lines, and return its number."""
        return self.page(text(lines), entries)

    def image_page(self) -> int:
        """Add a page that is an image, and return its number."""
        image = self.stream(
            b"\0\xff\0\xff", "/Type/XObject/Subtype/Image/Width 2/Height 2/ColorSpace/DeviceGray/BitsPerComponent 8"
        )
        return self.page("q 600 0 0 800 0 0 cm /I Do Q", resources=f"/XObject<</I {image} 0 R>>")

    def attach(self, files: Mapping[str, bytes]) -> None:
        """Attach files to the document."""
        names = ""
        for name, data in files.items():
            stream = self.stream(data, "/Type/EmbeddedFile")
            names += f"({name}) {self.add(f'<</Type/Filespec/F({name})/UF({name})/EF<</F {stream} 0 R>>>>')} 0 R "
        self.catalog += f"/Names<</EmbeddedFiles<</Names[{names}]>>>>"

    def bytes(self, *, count: int | None = None, trailer: str = "") -> bytes:
        """Return the file. `count`: a forged number of pages; `trailer`: more entries of the trailer."""
        kids = " ".join(f"{number} 0 R" for number in self.pages)
        objects = list(self.objects)
        if not objects[0]:
            objects[0] = f"<</Type/Catalog/Pages 2 0 R{self.catalog}>>".encode("latin-1")
        if not objects[1]:
            number = len(self.pages) if count is None else count
            objects[1] = f"<</Type/Pages/Kids[{kids}]/Count {number}>>".encode()
        if self.info:
            objects.append(f"<<{''.join(f'/{key}({value})' for key, value in self.info.items())}>>".encode("latin-1"))
            trailer += f"/Info {len(objects)} 0 R"
        out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
        starts: list[int] = []
        for number, body in enumerate(objects, 1):
            starts.append(len(out))
            out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
        table = len(out)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
        out += b"".join(b"%010d 00000 n \n" % start for start in starts)
        out += f"trailer\n<</Size {len(objects) + 1}/Root 1 0 R{trailer}>>\nstartxref\n{table}\n%%EOF\n".encode()
        return bytes(out)


def text(lines: Iterable[str], x: float = 50, y: float = 750) -> str:
    """Return the content stream that shows lines below each other."""
    shown = "".join(f"({escaped(line)}) Tj 0 -14 Td " for line in lines)
    return f"BT /F 11 Tf {x} {y} Td {shown}ET\n"


def escaped(line: str) -> str:
    """Return a text as the inside of a literal string."""
    return line.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
