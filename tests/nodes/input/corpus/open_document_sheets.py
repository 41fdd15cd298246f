"""Workbooks and presentations of OpenDocument with sentences in every part that they have."""

from random import Random

from . import Sample
from .parts import Words, quoted, text, zipped

_NAMES = {
    name: f"urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"
    for name in ("office", "text", "table", "style", "draw", "presentation", "chart", "meta", "script")
} | {
    "svg": "urn:oasis:names:tc:opendocument:xmlns:svg-compatible:1.0",
    "xlink": "http://www.w3.org/1999/xlink",
    "dc": "http://purl.org/dc/elements/1.1/",
}
SPACES = " ".join(f'xmlns:{prefix}="{name}"' for prefix, name in _NAMES.items())


def p(words: str) -> str:
    """Return a paragraph in two spans that cut a word."""
    cut = len(words) // 2
    return f"<text:p><text:span>{text(words[:cut])}</text:span>{text(words[cut:])}</text:p>"


def cell(words: str, inside: str = "", facts: str = "") -> str:
    """Return a cell with a text."""
    return f'<table:table-cell office:value-type="string" {facts}>{inside}{p(words)}</table:table-cell>'


def content(body: str, styles: str = "") -> str:
    """Return a part `content.xml`."""
    return (
        f"<office:document-content {SPACES}><office:automatic-styles>{styles}</office:automatic-styles>"
        f"<office:body>{body}</office:body></office:document-content>"
    )


def spreadsheet(body: str, styles: str = "") -> dict[str, str | bytes]:
    """Return the parts of a workbook."""
    return {
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "content.xml": content(f"<office:spreadsheet>{body}</office:spreadsheet>", styles),
    }


def samples(random: Random) -> list[Sample]:
    """Return a workbook and a presentation with all parts."""
    found: list[Sample] = []
    for name, make in (("full.ods", _sheets), ("full.odp", _slides)):
        words = Words(random)
        found.append(Sample(name, zipped(make(words)), words.planted))
    return found


def _comment(words: Words) -> str:
    return (
        f"<office:annotation><dc:creator>{text(words('author'))}</dc:creator><dc:date>2026-01-02T03:04:05</dc:date>"
        f"{p(words('comment'))}</office:annotation>"
    )


def _frames(words: Words) -> str:
    return (
        f"<draw:frame><draw:text-box>{p(words('text box'))}</draw:text-box></draw:frame>"
        f"<draw:g><draw:custom-shape>{p(words('group'))}</draw:custom-shape></draw:g>"
        f"<draw:frame><draw:image xlink:href='Pictures/1.png'/>"
        f"<svg:title>{text(words('title of a picture'))}</svg:title>"
        f"<svg:desc>{text(words('alternative text'))}</svg:desc></draw:frame>"
        "<draw:frame><draw:object xlink:href='./Object 1'/></draw:frame>"
    )


def _objects(words: Words) -> dict[str, str | bytes]:
    chart = (
        f"<office:chart><chart:chart><chart:title>{p(words('chart'))}</chart:title><table:table><table:table-rows>"
        f"<table:table-row>{cell(words('category'))}</table:table-row></table:table-rows></table:table></chart:chart>"
        "</office:chart>"
    )
    master = (
        f"<office:document-styles {SPACES}><office:master-styles><style:master-page style:name='M'><style:header>"
        f"{p('h')}</style:header></style:master-page></office:master-styles>"
        "</office:document-styles>"
    )
    return {"Object 1/content.xml": content(chart), "Pictures/1.png": b"\x89PNG", "styles.xml": master}


def _sheets(words: Words) -> dict[str, str | bytes]:
    styles = (
        '<style:style style:name="hid" style:family="table"><style:table-properties table:display="false"/>'
        "</style:style>"
        '<style:style style:name="ta" style:family="table" style:master-page-name="M"/>'
    )
    target = f"https://example.org/{words.joined('link')}"
    link = f"<text:p><text:a xlink:href='{target}'>{text(words('linked'))}</text:a></text:p>"
    choices, formula = (
        'of:cell-content-is-in-list("' + words("list of choices") + '")',
        'of:="' + words("formula") + '"',
    )
    body = (
        "<table:content-validations><table:content-validation table:name='v'"
        f" table:condition={quoted(choices)}>"
        f"<table:help-message table:title={quoted(words('prompt title'))}>{p(words('prompt'))}</table:help-message>"
        "</table:content-validation></table:content-validations><table:table table:name='Data' table:style-name='ta'>"
        f"<table:shapes>{_frames(words)}</table:shapes><table:table-column table:visibility='collapse'/>"
        f"<table:table-header-rows><table:table-row>{cell(words('header row'))}</table:table-row>"
        f"</table:table-header-rows>"
        f"<table:table-row-group>"
        f"<table:table-row table:visibility='collapse'>{cell(words('hidden row'))}</table:table-row>"
        f"</table:table-row-group><table:table-row>{cell(words('commented'), _comment(words))}"
        f"<table:table-cell table:number-columns-repeated='50'/>{cell(words('far'))}</table:table-row>"
        f"<table:table-row><table:table-cell>{link}</table:table-cell><table:table-cell table:formula="
        f"{quoted(formula)}/></table:table-row>"
        "<table:table-row table:number-rows-repeated='1048000'>"
        "<table:table-cell table:number-columns-repeated='16384'/>"
        "</table:table-row></table:table>"
        f"<table:table table:name={quoted(words('name of a sheet'))} table:style-name='hid'>"
        f"<table:table-row>{cell(words('hidden sheet'))}</table:table-row></table:table>"
        f"<table:named-expressions><table:named-range table:name='N{words.joined('name')}'"
        " table:cell-range-address='$Data.$A$1'/></table:named-expressions>"
        f"<table:tracked-changes><table:cell-content-change>{p(words('tracked change', 'tracked change'))}"
        "</table:cell-content-change></table:tracked-changes>"
    )
    parts = {**spreadsheet(body, styles), **_objects(words)}
    parts["styles.xml"] = str(parts["styles.xml"]).replace(p("h"), p(words("page header")))
    return parts


def _slides(words: Words) -> dict[str, str | bytes]:
    styles = (
        '<style:style style:name="hid" style:family="drawing-page"><style:drawing-page-properties'
        ' presentation:visibility="hidden"/></style:style>'
    )
    cells = f"<table:table-row>{cell(words('cell 1'))}{cell(words('cell 2'))}</table:table-row>"
    body = (
        f"<office:presentation><presentation:footer-decl presentation:name='f'>{text(words('footer'))}"
        "</presentation:footer-decl><draw:page draw:master-page-name='M' presentation:use-footer-name='f'>"
        f"<draw:frame presentation:class='outline'><draw:text-box><text:list><text:list-item>{p(words('body'))}"
        f"</text:list-item></text:list></draw:text-box></draw:frame>{_frames(words)}"
        f"<draw:frame presentation:class='title'><draw:text-box>{p(words('title'))}</draw:text-box></draw:frame>"
        f"<draw:frame><table:table>{cells}</table:table></draw:frame>{_comment(words)}"
        f"<presentation:notes><draw:frame presentation:class='notes'><draw:text-box>{p(words('notes'))}</draw:text-box>"
        "</draw:frame></presentation:notes></draw:page><draw:page draw:style-name='hid'>"
        f"<draw:custom-shape>{p(words('hidden slide'))}</draw:custom-shape></draw:page></office:presentation>"
    )
    parts = {"content.xml": content(body, styles), **_objects(words)}
    box = f"<draw:frame><draw:text-box>{p(words('master'))}</draw:text-box></draw:frame>"
    parts["styles.xml"] = str(parts["styles.xml"]).replace("</style:master-page>", f"{box}</style:master-page>")
    return parts
