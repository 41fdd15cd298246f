"""Presentations of PowerPoint with sentences in every part that they have."""

from random import Random

from . import Sample
from .excel import inline, workbook
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

MAIN = "http://schemas.openxmlformats.org/presentationml/2006/main"
THREADS = "http://schemas.microsoft.com/office/powerpoint/2018/8/main"
SPACES = f'xmlns:p="{MAIN}" xmlns:a="{DRAWING}" xmlns:r="{OFFICE}" xmlns:c="{CHART}" xmlns:dgm="{DIAGRAM}"'


def shape(words: str, placeholder: str = "") -> str:
    """Return a shape with a text."""
    kind = f'<p:ph type="{placeholder}"/>' if placeholder else ""
    return (
        f"<p:sp><p:nvSpPr><p:cNvPr id='2' name='s'/><p:cNvSpPr/><p:nvPr>{kind}</p:nvPr></p:nvSpPr>"
        f"<p:txBody><a:bodyPr/>{paragraph(words)}</p:txBody></p:sp>"
    )


def slide(shapes: str, name: str = "sld", more: str = "") -> str:
    """Return a slide, or another part with shapes."""
    return (
        f"<p:{name} {SPACES} {more}><p:cSld><p:spTree><p:nvGrpSpPr/><p:grpSpPr/>{shapes}</p:spTree></p:cSld></p:{name}>"
    )


def presentation(*slides: str, more: str = "") -> dict[str, str | bytes]:
    """Return the parts of a presentation with slides."""
    numbers = range(1, len(slides) + 1)
    listed = "".join(f'<p:sldId id="{255 + number}" r:id="r{number}"/>' for number in numbers)
    return {
        "_rels/.rels": relations(("officeDocument", "ppt/presentation.xml")),
        "ppt/presentation.xml": f"<p:presentation {SPACES}><p:sldIdLst>{listed}</p:sldIdLst>{more}</p:presentation>",
        "ppt/_rels/presentation.xml.rels": relations(*[("slide", f"slides/slide{number}.xml") for number in numbers]),
        **{f"ppt/slides/slide{number}.xml": one for number, one in enumerate(slides, 1)},
    }


def samples(random: Random) -> list[Sample]:
    """Return a presentation with all parts, in one of the forms of the standard."""
    words = Words(random)
    parts = _full(words)
    if random.random() < 0.5:
        parts = strict(parts)
    return [Sample(f"full{random.choice(('.pptx', '.pptm', '.ppsx'))}", zipped(parts), words.planted)]


def _full(words: Words) -> dict[str, str | bytes]:
    first = slide(
        shape(words("body"))
        + shape(words("title"), "title")
        + shape(words("footer"), "ftr")
        + f"<p:grpSp><p:nvGrpSpPr/><p:grpSpPr/>{shape(words('group'))}</p:grpSp>"
        + _alternate(words)
        + _table(words)
        + _frame('<c:chart r:id="r1"/>')
        + _frame('<dgm:relIds r:dm="r2"/>')
        + f"<p:pic><p:nvPicPr><p:cNvPr id='9' name='p' descr={quoted(words('alternative text'))}/></p:nvPicPr></p:pic>"
        + _linked(words)
    )
    second = slide(shape(words("hidden slide")) + shape("‹#›", "sldNum"), more='show="0"')
    section = (
        '<p:extLst><p:ext uri="u"><p14:sectionLst xmlns:p14="http://schemas.microsoft.com/office/powerpoint/2010/main">'
        f'<p14:section name={quoted(words("section"))}><p14:sldIdLst><p14:sldId id="257"/></p14:sldIdLst></p14:section>'
        "</p14:sectionLst></p:ext></p:extLst>"
    )
    return {**presentation(first, second, more=section), **_around(words), **_comments(words)}


def _alternate(words: Words) -> str:
    same = shape(words("alternate"))
    return (
        '<mc:AlternateContent xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006">'
        f'<mc:Choice Requires="x">{same}</mc:Choice><mc:Fallback>{same}</mc:Fallback></mc:AlternateContent>'
    )


def _table(words: Words) -> str:
    cells = "".join(f"<a:tc><a:txBody>{paragraph(words(f'cell {number}'))}</a:txBody></a:tc>" for number in (1, 2))
    return _frame(f"<a:tbl><a:tr>{cells}</a:tr></a:tbl>")


def _frame(inside: str) -> str:
    return f"<p:graphicFrame><a:graphic><a:graphicData>{inside}</a:graphicData></a:graphic></p:graphicFrame>"


def _linked(words: Words) -> str:
    run = f"<a:r><a:rPr><a:hlinkClick r:id='o1' tooltip={quoted(words('tooltip'))}/></a:rPr><a:t>here</a:t></a:r>"
    return shape("x").replace("<a:p>", f"<a:p>{run}", 1)


def _around(words: Words) -> dict[str, str | bytes]:
    inner = zipped(workbook(f'<row r="1"><c r="A1" t="inlineStr">{inline(words("embedded workbook"))}</c></row>'))
    return {
        "ppt/slides/_rels/slide1.xml.rels": relations(
            ("chart", "../charts/chart1.xml"),
            ("diagramData", "../diagrams/data1.xml"),
            ("notesSlide", "../notesSlides/notesSlide1.xml"),
            ("comments", "../comments/comment1.xml"),
            ("comments", "../comments/modernComment_1.xml"),
            ("slideLayout", "../slideLayouts/slideLayout1.xml"),
            outside=(("hyperlink", f"https://example.org/{words.joined('link')}"),),
        ),
        "ppt/charts/chart1.xml": chart(words("chart"), words("series"), words("category")),
        "ppt/diagrams/data1.xml": diagram(words("diagram")),
        "ppt/notesSlides/notesSlide1.xml": slide(
            shape(words("notes"), "body") + shape(words("header of notes"), "hdr") + shape(words("box on notes")),
            "notes",
        ),
        "ppt/slideLayouts/slideLayout1.xml": slide(
            shape("Click to edit", "title") + shape(words("layout")), "sldLayout"
        ),
        "ppt/slideLayouts/_rels/slideLayout1.xml.rels": relations(("slideMaster", "../slideMasters/slideMaster1.xml")),
        "ppt/slideMasters/slideMaster1.xml": slide(shape(words("master")) + shape("Click", "body"), "sldMaster"),
        "ppt/embeddings/Microsoft_Excel_Worksheet.xlsx": inner,
        "ppt/media/media1.mp4": b"\0",
        "ppt/unheard/of.xml": f"<root><a>{text(words('unknown part', 'unheard'))}</a></root>",
    }


def _comments(words: Words) -> dict[str, str | bytes]:
    author = words("author of comments")
    return {
        "ppt/commentAuthors.xml": f'<p:cmAuthorLst {SPACES}><p:cmAuthor id="0" name={quoted(author)}/></p:cmAuthorLst>',
        "ppt/comments/comment1.xml": (
            f'<p:cmLst {SPACES}><p:cm authorId="0" dt="2026-01-02T03:04:05"><p:text>{text(words("comment"))}</p:text>'
            "</p:cm></p:cmLst>"
        ),
        "ppt/authors.xml": (
            f'<p188:authorLst xmlns:p188="{THREADS}">'
            f'<p188:author id="{{A}}" name={quoted(words("author of threads"))}/>'
            "</p188:authorLst>"
        ),
        "ppt/comments/modernComment_1.xml": (
            f'<p188:cmLst xmlns:p188="{THREADS}" {SPACES}><p188:cm authorId="{{A}}" created="2026-01-02T03:04:05">'
            f'<p188:replyLst><p188:reply authorId="{{A}}"><p188:txBody>{paragraph(words("reply"))}</p188:txBody>'
            f"</p188:reply>"
            f"</p188:replyLst><p188:txBody>{paragraph(words('thread'))}</p188:txBody></p188:cm></p188:cmLst>"
        ),
    }
