"""Office files as their parts: XML that refers to other XML, in a zip."""

import io
from collections.abc import Mapping
from random import Random
from xml.sax.saxutils import escape, quoteattr
from zipfile import ZIP_DEFLATED, ZipFile

from . import Planted, sentence

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
STRICT_OFFICE = "http://purl.oclc.org/ooxml/officeDocument/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
CHART = "http://schemas.openxmlformats.org/drawingml/2006/chart"
DIAGRAM = "http://schemas.openxmlformats.org/drawingml/2006/diagram"

text = escape
quoted = quoteattr


class Words:
    """Makes sentences and remembers the part that each is planted in."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self.planted: list[Planted] = []

    def __call__(self, part: str, loss: str = "") -> str:
        """Return a sentence for a part. `loss`: a word of the loss that may stand for it."""
        self.planted.append(Planted(sentence(self._random, part), part, loss))
        return self.planted[-1].sentence

    def joined(self, part: str) -> str:
        """Return a sentence for a part that has no blanks, such as a name or an address."""
        words = sentence(self._random, part).replace(" ", "-").rstrip(".")
        self.planted.append(Planted(words, part))
        return words


def zipped(parts: Mapping[str, str | bytes]) -> bytes:
    """Return a zip of parts."""
    file = io.BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def unzipped(data: bytes) -> dict[str, bytes]:
    """Return the parts of a zip."""
    with ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def relations(*targets: tuple[str, str], outside: tuple[tuple[str, str], ...] = (), kind: str = OFFICE) -> str:
    """Return the relationships to targets, each with its kind. Their ids are `r1`, `r2` …, those outside `o1` …"""
    inside = "".join(
        f'<Relationship Id="r{number}" Type="{kind}/{name}" Target={quoted(target)}/>'
        for number, (name, target) in enumerate(targets, 1)
    )
    others = "".join(
        f'<Relationship Id="o{number}" Type="{kind}/{name}" Target={quoted(target)} TargetMode="External"/>'
        for number, (name, target) in enumerate(outside, 1)
    )
    return f'<Relationships xmlns="{PACKAGE}">{inside}{others}</Relationships>'


def strict(parts: Mapping[str, str | bytes]) -> dict[str, str | bytes]:
    """Return parts in the strict form of the standard, whose names are other ones."""
    names = {
        OFFICE: STRICT_OFFICE,
        "http://schemas.openxmlformats.org/spreadsheetml/2006/main": "http://purl.oclc.org/ooxml/spreadsheetml/main",
        "http://schemas.openxmlformats.org/presentationml/2006/main": "http://purl.oclc.org/ooxml/presentationml/main",
        DRAWING: "http://purl.oclc.org/ooxml/drawingml/main",
        CHART: "http://purl.oclc.org/ooxml/drawingml/chart",
        DIAGRAM: "http://purl.oclc.org/ooxml/drawingml/diagram",
    }
    found: dict[str, str | bytes] = {}
    for name, content in parts.items():
        for old, new in names.items():
            content = content.replace(old, new) if isinstance(content, str) else content
        found[name] = content
    return found


def paragraph(words: str) -> str:
    """Return a paragraph of a drawing, in two runs that cut a word."""
    cut = len(words) // 2
    return f"<a:p><a:r><a:t>{text(words[:cut])}</a:t></a:r><a:r><a:t>{text(words[cut:])}</a:t></a:r></a:p>"


def chart(title: str, series: str, category: str) -> str:
    """Return a chart with one series."""
    return (
        f'<c:chartSpace xmlns:c="{CHART}" xmlns:a="{DRAWING}"><c:chart><c:title><c:tx>'
        f"<c:rich>{paragraph(title)}</c:rich>"
        "</c:tx></c:title><c:plotArea><c:barChart><c:ser><c:tx><c:strRef><c:f>Data!B1</c:f><c:strCache><c:pt idx='0'>"
        f"<c:v>{text(series)}</c:v></c:pt></c:strCache></c:strRef></c:tx><c:cat><c:strRef><c:strCache>"
        f"<c:pt idx='0'><c:v>"
        f"{text(category)}</c:v></c:pt></c:strCache></c:strRef></c:cat><c:val><c:numRef><c:numCache><c:pt idx='0'>"
        "<c:v>4.3</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart>"
        "</c:chartSpace>"
    )


def diagram(words: str) -> str:
    """Return the data of a diagram (SmartArt)."""
    return (
        f'<dgm:dataModel xmlns:dgm="{DIAGRAM}" xmlns:a="{DRAWING}"><dgm:ptLst><dgm:pt modelId="1"><dgm:t><a:bodyPr/>'
        f"{paragraph(words)}</dgm:t></dgm:pt></dgm:ptLst></dgm:dataModel>"
    )
