"""Word documents made from XML, part by part."""

import io
from zipfile import ZIP_DEFLATED, ZipFile

TRANSITIONAL = {
    "w": "http://schemas.openxmlformats.org/wordprocessingml/2006/main",
    "r": "http://schemas.openxmlformats.org/officeDocument/2006/relationships",
    "m": "http://schemas.openxmlformats.org/officeDocument/2006/math",
    "wp": "http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing",
    "a": "http://schemas.openxmlformats.org/drawingml/2006/main",
    "pic": "http://schemas.openxmlformats.org/drawingml/2006/picture",
    "c": "http://schemas.openxmlformats.org/drawingml/2006/chart",
    "dgm": "http://schemas.openxmlformats.org/drawingml/2006/diagram",
}
STRICT = {
    "w": "http://purl.oclc.org/ooxml/wordprocessingml/main",
    "r": "http://purl.oclc.org/ooxml/officeDocument/relationships",
    "m": "http://purl.oclc.org/ooxml/officeDocument/math",
    "wp": "http://purl.oclc.org/ooxml/drawingml/wordprocessingDrawing",
    "a": "http://purl.oclc.org/ooxml/drawingml/main",
    "pic": "http://purl.oclc.org/ooxml/drawingml/picture",
    "c": "http://purl.oclc.org/ooxml/drawingml/chart",
    "dgm": "http://purl.oclc.org/ooxml/drawingml/diagram",
}
_OTHERS = {
    "mc": "http://schemas.openxmlformats.org/markup-compatibility/2006",
    "wps": "http://schemas.microsoft.com/office/word/2010/wordprocessingShape",
    "w14": "http://schemas.microsoft.com/office/word/2010/wordml",
    "w15": "http://schemas.microsoft.com/office/word/2012/wordml",
    "v": "urn:schemas-microsoft-com:vml",
    "o": "urn:schemas-microsoft-com:office:office",
    "ax": "http://schemas.microsoft.com/office/2006/activeX",
}
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"


def p(*runs: str, style: str = "", properties: str = "") -> str:
    """Return a paragraph of runs, each XML or plain words."""
    inside = (f'<w:pStyle w:val="{style}"/>' if style else "") + properties
    body = "".join(one if one.startswith("<") else f'<w:r><w:t xml:space="preserve">{one}</w:t></w:r>' for one in runs)
    return f"<w:p>{f'<w:pPr>{inside}</w:pPr>' if inside else ''}{body}</w:p>"


def listed(words: str, level: int, number: int = 1) -> str:
    """Return a paragraph of a list."""
    return p(words, properties=f'<w:numPr><w:ilvl w:val="{level}"/><w:numId w:val="{number}"/></w:numPr>')


def levels(*texts: str, forms: str = "decimal", more: str = "") -> str:
    """Return the levels of an abstract list. `forms`: one format, or one for each; `more`: XML of each level."""
    names = forms.split()
    return "".join(
        f'<w:lvl w:ilvl="{index}"><w:start w:val="1"/><w:numFmt w:val="{names[min(index, len(names) - 1)]}"/>{more}'
        f'<w:lvlText w:val="{text}"/></w:lvl>'
        for index, text in enumerate(texts)
    )


def numbering(abstract: str, *numbers: str) -> str:
    """Return a numbering part of one abstract list; `numbers` are the overrides of each of its lists."""
    lists = "".join(
        f'<w:num w:numId="{index}"><w:abstractNumId w:val="0"/>{overrides}</w:num>'
        for index, overrides in enumerate(numbers or ("",), 1)
    )
    return f'<w:abstractNum w:abstractNumId="0">{abstract}</w:abstractNum>{lists}'


def docx(
    body: str,
    *,
    parts: dict[str, tuple[str, str]] | None = None,
    files: dict[str, bytes] | None = None,
    links: dict[str, tuple[str, str]] | None = None,
    properties: dict[str, str] | None = None,
    strict: bool = False,
    main: str = "word/document.xml",
) -> bytes:
    """Return a document.

    `parts`: XML parts by their names without `word/`, each the kind of its relationship and its elements (an element
    is put around them); a part's relationship has its name as id. `files`: further files by their names. `links`:
    further relationships by their ids, each a kind and a target, external if it has `://`.
    """
    names = {**(STRICT if strict else TRANSITIONAL), **_OTHERS}
    spaces = " ".join(f'xmlns:{prefix}="{uri}"' for prefix, uri in names.items())
    made = io.BytesIO()
    with ZipFile(made, "w", ZIP_DEFLATED) as package:
        package.writestr("[Content_Types].xml", _content_types(main, parts or {}))
        package.writestr("_rels/.rels", _relations({"r1": ("officeDocument", main), **_core(properties)}, names["r"]))
        package.writestr(main, f"<w:document {spaces}><w:body>{body}</w:body></w:document>")
        relations = {name: (kind, name) for name, (kind, _) in (parts or {}).items() if kind}
        package.writestr(f"word/_rels/{main[5:]}.rels", _relations({**relations, **(links or {})}, names["r"]))
        for name, (kind, inside) in (parts or {}).items():
            root = _ROOTS.get(kind, "w:root")
            package.writestr(f"word/{name}", f"<{root} {spaces}>{inside}</{root}>")
        if properties:
            fields = "".join(f"<dc:{name}>{words}</dc:{name}>" for name, words in properties.items())
            package.writestr(
                "docProps/core.xml", f'<cp xmlns="x" xmlns:dc="http://purl.org/dc/elements/1.1/">{fields}</cp>'
            )
        for name, data in (files or {}).items():
            package.writestr(name, data)
    return made.getvalue()


_EXTERNAL = ' TargetMode="External"'
_ROOTS = {
    "styles": "w:styles",
    "numbering": "w:numbering",
    "footnotes": "w:footnotes",
    "endnotes": "w:endnotes",
    "comments": "w:comments",
    "commentsExtended": "w15:commentsEx",
    "header": "w:hdr",
    "footer": "w:ftr",
    "chart": "c:chartSpace",
    "diagramData": "dgm:dataModel",
    "control": "ax:ocx",
}


def _content_types(main: str, parts: dict[str, tuple[str, str]]) -> str:
    office = "application/vnd.openxmlformats-officedocument.wordprocessingml"
    types = {main: "document.main", **{f"word/{name}": kind for name, (kind, _) in parts.items() if kind}}
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{office}.{kind}+xml"/>' for name, kind in types.items()
    )
    return (
        f'<Types xmlns="{_PACKAGE}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f"{overrides}</Types>"
    )


def _core(properties: dict[str, str] | None) -> dict[str, tuple[str, str]]:
    return {"r2": ("metadata/core-properties", "docProps/core.xml")} if properties else {}


def _relations(relations: dict[str, tuple[str, str]], types: str) -> str:
    inside = "".join(
        f'<Relationship Id="{identity}" Type="{types}/{kind}" Target="{target}"{_EXTERNAL if "://" in target else ""}/>'
        for identity, (kind, target) in relations.items()
    )
    return f'<Relationships xmlns="{_PACKAGE}/relationships">{inside}</Relationships>'
