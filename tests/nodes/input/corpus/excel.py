"""Workbooks of Excel with sentences in every part that they have."""

from random import Random

from . import Planted, Sample, sentence
from .parts import (
    CHART,
    DIAGRAM,
    DRAWING,
    OFFICE,
    Words,
    chart,
    diagram,
    paragraph,
    quoted,
    relations,
    strict,
    text,
    zipped,
)

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
THREADS = "http://schemas.microsoft.com/office/spreadsheetml/2018/threadedcomments"
SHEET_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/spreadsheetDrawing"
DOCUMENT_TYPE = relations(("officeDocument", "xl/workbook.xml"))


def workbook(
    rows: str, *, more: str = "", styles: str = "", strings: str = "", book: str = ""
) -> dict[str, str | bytes]:
    """Return the parts of a workbook with one sheet. The arguments are XML inside of the elements of that name."""
    return {
        "_rels/.rels": DOCUMENT_TYPE,
        "xl/_rels/workbook.xml.rels": relations(
            ("worksheet", "worksheets/sheet1.xml"), ("sharedStrings", "sharedStrings.xml"), ("styles", "styles.xml")
        ),
        "xl/workbook.xml": (
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}">{book}'
            '<sheets><sheet name="Data" sheetId="1" r:id="r1"/></sheets></workbook>'
        ),
        "xl/sharedStrings.xml": f'<sst xmlns="{MAIN}">{strings}</sst>',
        "xl/styles.xml": f'<styleSheet xmlns="{MAIN}">{styles}</styleSheet>',
        "xl/worksheets/sheet1.xml": (
            f'<worksheet xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheetData>{rows}</sheetData>{more}</worksheet>'
        ),
    }


def formats(*codes: str) -> str:
    """Return styles: style 0 is without a format, then one for each code."""
    numbered = [(number, code) for number, code in enumerate(codes, 164)]
    declared = "".join(f'<numFmt numFmtId="{number}" formatCode={quoted(code)}/>' for number, code in numbered)
    used = "".join(f'<xf numFmtId="{number}"/>' for number, _ in numbered)
    return f'<numFmts>{declared}</numFmts><cellXfs><xf numFmtId="0"/>{used}</cellXfs>'


def inline(words: str) -> str:
    """Return the inside of a cell of type `inlineStr`."""
    return f"<is><t>{text(words)}</t></is>"


def samples(random: Random) -> list[Sample]:
    """Return a workbook with all parts, in one of the forms of the standard, and a small one."""
    words = Words(random)
    parts = _full(words, random)
    if random.random() < 0.5:
        parts = strict(parts)
    suffix = random.choice((".xlsx", ".xlsm", ".xltx"))
    return [Sample(f"full{suffix}", zipped(parts), words.planted), _far(random)]


def _far(random: Random) -> Sample:
    words = sentence(random, "corner")
    rows = (
        f'<row r="1"><c r="A1"><v>1</v></c></row><row r="1048576">'
        f'<c r="XFD1048576" t="inlineStr">{inline(words)}</c></row>'
    )
    return Sample("far.xlsx", zipped(workbook(rows)), [Planted(words, "corner")])


def _full(words: Words, random: Random) -> dict[str, str | bytes]:
    rich = words("rich text")
    strings = (
        f"<si><t>{text(words('shared text'))}</t></si><si><r><t>{text(rich[:5])}</t></r><r><t>{text(rich[5:])}</t></r>"
        "<rPh sb='0' eb='1'><t>reading</t></rPh></si>"
    )
    start = random.randint(1, 40)
    rows = (
        f'<row r="{start}"><c r="A{start}" t="s"><v>0</v></c><c r="C{start}" t="s"><v>1</v></c></row>'
        f'<row r="{start + 1}" hidden="1"><c r="B{start + 1}" t="inlineStr">{inline(words("hidden row"))}</c></row>'
        f'<row><c t="str"><f>A1&amp;""</f><v>{text(words("value of a formula"))}</v></c>'
        f'<c><f>"{text(words("formula"))}"</f></c>'
        f'<c r="AZ{start + 2}" t="inlineStr">{inline(words("far cell"))}</c></row>'
    )
    parts = workbook(rows, more=_more(words), strings=strings, book=_book(words))
    parts["xl/workbook.xml"] = str(parts["xl/workbook.xml"]).replace(
        "</sheets>",
        f'<sheet name={quoted(words("name of a sheet"))} sheetId="2" state="{random.choice(("hidden", "veryHidden"))}"'
        ' r:id="r4"/><sheet name="Chart" sheetId="3" r:id="r5"/></sheets>',
    )
    parts["xl/_rels/workbook.xml.rels"] = relations(
        ("worksheet", "worksheets/sheet1.xml"),
        ("sharedStrings", "sharedStrings.xml"),
        ("styles", "styles.xml"),
        ("worksheet", "/xl/worksheets/sheet2.xml"),
        ("chartsheet", "chartsheets/sheet1.xml"),
        ("externalLink", "externalLinks/externalLink1.xml"),
        ("pivotCacheDefinition", "pivotCache/pivotCacheDefinition1.xml"),
    )
    return {**parts, **_sheets(words), **_notes(words), **_drawings(words), **_beside(words)}


def _book(words: Words) -> str:
    return (
        f'<definedNames><definedName name="Total" comment={quoted(words("name comment"))}>Data!$A$1</definedName>'
        f"</definedNames>"
    )


def _more(words: Words) -> str:
    return (
        f'<scenarios><scenario name="s" comment={quoted(words("scenario"))}/></scenarios><mergeCells>'
        f'<mergeCell ref="A1:B1"/>'
        f'</mergeCells><dataValidations><dataValidation type="list" sqref="D1" prompt={quoted(words("prompt"))}'
        f" error={quoted(words('error message'))}><formula1>&quot;{text(words('list of choices'))}&quot;</formula1>"
        f"</dataValidation></dataValidations><hyperlinks>"
        f'<hyperlink ref="A1" r:id="o1" tooltip={quoted(words("tooltip"))}/>'
        f"</hyperlinks><headerFooter><oddHeader>&amp;L{text(words('header'))}&amp;P</oddHeader>"
        f'<firstFooter>&amp;"Arial,Bold"&amp;12{text(words("footer"))}</firstFooter></headerFooter>'
        '<drawing r:id="r3"/><legacyDrawing r:id="r4"/>'
    )


def _sheets(words: Words) -> dict[str, str | bytes]:
    table = (
        f'<table xmlns="{MAIN}" id="1" displayName="T" ref="A1:B2" headerRowCount="0" comment={quoted(words("table"))}>'
        f'<tableColumns><tableColumn id="1" name={quoted(words("column of a table"))}/></tableColumns></table>'
    )
    return {
        "xl/worksheets/sheet2.xml": (
            f'<worksheet xmlns="{MAIN}"><sheetData><row r="7">'
            f'<c r="B7" t="inlineStr">{inline(words("hidden sheet"))}</c>'
            "</row></sheetData></worksheet>"
        ),
        "xl/worksheets/_rels/sheet1.xml.rels": relations(
            ("comments", "../comments1.xml"),
            ("threadedComment", "../threadedComments/threadedComment1.xml"),
            ("drawing", "../drawings/drawing1.xml"),
            ("vmlDrawing", "../drawings/vmlDrawing1.vml"),
            ("table", "../tables/table1.xml"),
            outside=(("hyperlink", f"https://example.org/{words.joined('link')}"),),
        ),
        "xl/tables/table1.xml": table,
        "xl/chartsheets/sheet1.xml": f'<chartsheet xmlns="{MAIN}" xmlns:r="{OFFICE}"><drawing r:id="r1"/></chartsheet>',
        "xl/chartsheets/_rels/sheet1.xml.rels": relations(("drawing", "../drawings/drawing2.xml")),
        "xl/drawings/drawing2.xml": _drawing(_frame("chart", 'c:id="r1"', "c")),
        "xl/drawings/_rels/drawing2.xml.rels": relations(("chart", "../charts/chart2.xml")),
        "xl/charts/chart2.xml": chart(words("sheet of a chart"), "series", "category"),
    }


def _notes(words: Words) -> dict[str, str | bytes]:
    person = words("person")
    return {
        "xl/comments1.xml": (
            f'<comments xmlns="{MAIN}"><authors><author>{text(words("author"))}</author><author>tc=1</author></authors>'
            f'<commentList><comment ref="C3" authorId="0"><text><r><t>{text(words("comment"))}</t></r></text></comment>'
            '<comment ref="C4" authorId="1"><text><t>[Threaded comment] Your version of Excel …</t></text></comment>'
            "</commentList></comments>"
        ),
        "xl/threadedComments/threadedComment1.xml": (
            f'<ThreadedComments xmlns="{THREADS}">'
            f'<threadedComment ref="C4" dT="2026-01-02T03:04:05" personId="p" id="1">'
            f"<text>{text(words('thread'))}</text></threadedComment>"
            f"<threadedComment ref='C4' personId='p' id='2' parentId='1'>"
            f"<text>{text(words('reply'))}</text></threadedComment></ThreadedComments>"
        ),
        "xl/persons/person.xml": (
            f'<personList xmlns="{THREADS}"><person displayName={quoted(person)} id="p"/></personList>'
        ),
    }


def _drawings(words: Words) -> dict[str, str | bytes]:
    box = (
        f"<xdr:sp><xdr:nvSpPr><xdr:cNvPr id='1' name='b'/></xdr:nvSpPr>"
        f"<xdr:txBody>{paragraph(words('text box'))}</xdr:txBody></xdr:sp>"
    )
    group = f"<xdr:grpSp>{box.replace('text box', 'group')}</xdr:grpSp>"
    picture = (
        f"<xdr:pic><xdr:nvPicPr><xdr:cNvPr id='2' name='p' descr={quoted(words('alternative text'))}/>"
        f"</xdr:nvPicPr></xdr:pic>"
    )
    inside = box + group + picture + _frame("chart", 'c:id="r1"', "c") + _frame("relIds", 'dgm:dm="r2"', "dgm")
    return {
        "xl/drawings/drawing1.xml": _drawing(inside),
        "xl/drawings/_rels/drawing1.xml.rels": relations(
            ("chart", "../charts/chart1.xml"), ("diagramData", "../diagrams/data1.xml")
        ),
        "xl/charts/chart1.xml": chart(words("chart"), words("series"), words("category")),
        "xl/diagrams/data1.xml": diagram(words("diagram")),
        "xl/drawings/vmlDrawing1.vml": (
            '<xml xmlns:v="urn:schemas-microsoft-com:vml" xmlns:x="urn:schemas-microsoft-com:office:excel">'
            "<v:shape><v:textbox>"
            f"<div>{text(words('form control'))}<br></div></v:textbox><x:ClientData ObjectType='Button'/></v:shape>"
            f"</xml>"
        ),
    }


def _frame(name: str, reference: str, prefix: str) -> str:
    uses = reference.replace(f"{prefix}:id", "r:id").replace(f"{prefix}:dm", "r:dm")
    return (
        f"<xdr:graphicFrame><a:graphic><a:graphicData><{prefix}:{name} {uses}/></a:graphicData></a:graphic>"
        "</xdr:graphicFrame>"
    )


def _drawing(inside: str) -> str:
    return (
        f'<xdr:wsDr xmlns:xdr="{SHEET_DRAWING}" xmlns:a="{DRAWING}" xmlns:c="{CHART}" xmlns:dgm="{DIAGRAM}"'
        f' xmlns:r="{OFFICE}"><xdr:twoCellAnchor>{inside}</xdr:twoCellAnchor></xdr:wsDr>'
    )


def _beside(words: Words) -> dict[str, str | bytes]:
    inner = zipped(workbook(f'<row r="1"><c r="A1" t="inlineStr">{inline(words("embedded workbook"))}</c></row>'))
    return {
        "xl/externalLinks/externalLink1.xml": (
            f'<externalLink xmlns="{MAIN}"><externalBook><sheetDataSet><sheetData><row r="1"><cell r="A1" t="str">'
            f"<v>{text(words('stored link value', 'stored value'))}</v></cell></row></sheetData></sheetDataSet>"
            f"</externalBook>"
            "</externalLink>"
        ),
        "xl/externalLinks/_rels/externalLink1.xml.rels": relations(
            outside=(("externalLinkPath", f"{words.joined('linked file')}.xlsx"),)
        ),
        "xl/pivotCache/pivotCacheDefinition1.xml": (
            f'<pivotCacheDefinition xmlns="{MAIN}"><cacheFields><cacheField><sharedItems>'
            f"<s v={quoted(words('pivot cache', 'pivot'))}/></sharedItems></cacheField></cacheFields>"
            f"</pivotCacheDefinition>"
        ),
        "customXml/item1.xml": f"<root><a>{text(words('custom XML', 'custom XML'))}</a></root>",
        "xl/unheard/of.xml": f"<root><a>{text(words('unknown part', 'unheard'))}</a></root>",
        "xl/embeddings/Microsoft_Excel_Worksheet.xlsx": inner,
        "xl/media/image1.png": b"\x89PNG",
    }
