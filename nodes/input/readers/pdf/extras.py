"""Lines for all that lies on the pages of a PDF beside their text: forms, comments, links, files, described images."""

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from ...draft import Draft
from .attached import Attached, file_of
from .second import NotTried, SecondReader
from .text import clean, iso_date

_LONGEST_STRING = 4 << 20
_MOST_ON_A_PAGE = 20_000
_MOST_OPTIONS = 50
_MOST_ELEMENTS = 50_000
_COMMENTS = {
    1: "note", 3: "text box", 4: "line", 5: "square", 6: "circle", 7: "polygon", 8: "polyline", 9: "highlight",
    10: "underline", 11: "squiggly line", 12: "struck", 13: "stamp", 14: "caret", 15: "ink", 17: "attached file",
    28: "redaction",
}  # fmt: skip
"""Kinds of annotations that hold a comment, by pdfium's number."""
_STRUCK = 12
_MARKS_TEXT = (9, 10, 11, _STRUCK)
"""Kinds that lie over words of the text."""
_MEDIA = {18: "sound", 19: "video", 21: "video", 25: "3D model", 26: "video"}
_LINK, _STAMP, _POPUP, _ATTACHED, _WIDGET, _WATERMARK = 2, 13, 16, 17, 20, 24
_BUTTON, _CHECK_BOX, _RADIO, _COMBO_BOX, _LIST_BOX, _SIGNATURE = 1, 2, 3, 4, 5, 7
_TAG = re.compile(r"<[^<>]*>")


class Extras:
    """Writes what is on the pages beside their text, in lines that begin with a word in brackets."""

    def __init__(self, draft: Draft, document: Any, attached: Attached) -> None:
        """Take the open document."""
        self._draft = draft
        self.document = document
        self._attached = attached
        self._links: set[str] = set()
        self.fields: set[str] = set()
        """The names of the fields that were written."""

    def of_page(self, page: Any, textpage: Any, text: str, *, described: bool) -> list[str]:
        """Return the lines for one page. `described`: look for the descriptions of images, too."""
        from pypdfium2 import raw

        lines = list(_descriptions(raw, page)) if described else []
        number = raw.FPDFPage_GetAnnotCount(page)
        if number > _MOST_ON_A_PAGE:
            self._draft.not_shown("annotation", number - _MOST_ON_A_PAGE)
        for one in range(min(number, _MOST_ON_A_PAGE)):
            annotation = raw.FPDFPage_GetAnnot(page, one)
            if not annotation:
                self._draft.not_shown("damaged annotation")
                continue
            try:
                lines += self._lines(raw, annotation, textpage, text)
            finally:
                raw.FPDFPage_CloseAnnot(annotation)
        return [clean(line) for line in lines]

    def _lines(self, raw: Any, annotation: Any, textpage: Any, text: str) -> Iterator[str]:
        kind = raw.FPDFAnnot_GetSubtype(annotation)
        if kind == _WIDGET:
            yield from self._field(raw, annotation)
        elif kind == _LINK:
            yield from self._link(raw, annotation, text)
        elif kind in _MEDIA:
            self._draft.not_shown(_MEDIA[kind])
        elif kind != _POPUP:
            yield from self._comment(raw, annotation, kind, textpage)
        if kind == _ATTACHED:
            self._attached.add(*file_of(raw, raw.FPDFAnnot_GetFileAttachment(annotation)))

    def _link(self, raw: Any, annotation: Any, text: str) -> Iterator[str]:
        target = _target(raw, self.document, annotation)
        words = " ".join(_value(raw, annotation, b"Contents").split())
        if target in "".join(text.split()):
            target = ""
        line = ": ".join(one for one in (words, target) if one)
        if line and line not in self._links:
            self._links.add(line)
            yield f"[link] {line}"

    def _comment(self, raw: Any, annotation: Any, kind: int, textpage: Any) -> Iterator[str]:
        words = _value(raw, annotation, b"Contents") or _TAG.sub(" ", _value(raw, annotation, b"RC"))
        words = "\n".join(line.strip() for line in words.splitlines() if line.strip())
        marked = _marked_text(raw, annotation, textpage) if kind in _MARKS_TEXT else ""
        subject = _value(raw, annotation, b"Subj") if words else ""
        if not words and kind in (_STAMP, _WATERMARK):
            self._draft.not_shown("stamp" if kind == _STAMP else "watermark")
        if not words and not (kind == _STRUCK and marked):
            return
        by = [_value(raw, annotation, b"T"), iso_date(_value(raw, annotation, b"M"))]
        facts = ", ".join(one for one in by if one)
        noun = _COMMENTS.get(kind, "comment")
        head = noun + (f" by {facts}" if by[0] else f", {facts}" if facts else "")
        if subject and subject.lower() not in (noun, "sticky note", "comment"):
            head += f": {subject}"
        yield " ".join(one for one in (f"[{head}]", f"“{marked}”" if marked else "", words) if one)

    def _field(self, raw: Any, annotation: Any) -> Iterator[str]:
        form = self.document.formenv
        if not form:
            return
        kind = raw.FPDFAnnot_GetFormFieldType(form, annotation)
        name = _wide(raw.FPDFAnnot_GetFormFieldName, form, annotation)
        hint = _wide(raw.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
        value = _wide(raw.FPDFAnnot_GetFormFieldValue, form, annotation)
        if kind in (_CHECK_BOX, _RADIO):
            checked = raw.FPDFAnnot_IsChecked(form, annotation)
            export = _wide(raw.FPDFAnnot_GetFormFieldExportValue, form, annotation)
            value = ("checked" if checked else "not checked") + (f" ({export})" if export not in ("", "Yes") else "")
        elif kind in (_COMBO_BOX, _LIST_BOX):
            value = _choice(raw, form, annotation, value)
        elif kind in (_BUTTON, _SIGNATURE):
            value = value or ("button" if kind == _BUTTON else "signature")
        self.fields.add(name)
        shown = name or "field"
        yield f"[form] {shown}{f' ({hint})' if hint and hint != name else ''}: {value}".rstrip()


def hidden_fields(second: SecondReader, seen: set[str]) -> Iterator[str]:
    """Yield lines for the fields that no page shows, and for the words on buttons. Raises NotTried."""
    try:
        fields: list[tuple[str, Any]] = list(_fields(second.reader))
    except NotTried:
        raise
    except Exception as error:  # damaged forms make it raise anything
        raise NotTried(str(error)) from error
    for name, one in fields:
        value, caption = one.get("/V"), one.get("/MK", {}).get("/CA")
        if isinstance(caption, str) and caption.strip() and len(caption) > 1:
            yield clean(f"[form] {name} (button): {caption}")
        if name not in seen and isinstance(value, (str, list)) and value:
            shown = ", ".join(map(str, value)) if isinstance(value, list) else value
            yield clean(f"[form] {name} (on no page): {shown.removeprefix('/')}")


def _fields(reader: Any) -> Iterator[tuple[str, Any]]:
    """Yield every field with its whole name, those without a name of their own under their parent's."""
    form = reader.trailer["/Root"].get("/AcroForm", {}).get_object()
    waiting = [("", one) for one in form.get("/Fields", [])]
    seen: set[int] = set()
    while waiting and len(seen) < _MOST_ON_A_PAGE:
        above, reference = waiting.pop(0) if len(waiting) < 100 else waiting.pop()
        if (number := getattr(reference, "idnum", id(reference))) in seen:
            continue
        seen.add(number)
        one = reference.get_object()
        name = ".".join(part for part in (above, str(one.get("/T", ""))) if part)
        yield name, one
        waiting += [(name, kid) for kid in one.get("/Kids", [])]


def signatures(document: Any) -> Iterator[str]:
    """Yield a line for each digital signature."""
    from pypdfium2 import raw

    for one in range(min(max(raw.FPDF_GetSignatureCount(document), 0), 1_000)):
        signature = raw.FPDF_GetSignatureObject(document, one)
        reason = _wide(raw.FPDFSignatureObj_GetReason, signature)
        date = iso_date(_bytes(raw.FPDFSignatureObj_GetTime, signature).decode("latin-1"))
        yield clean(": ".join(one for one in (f"[signature{f', {date}' if date else ''}]", reason) if one))


def _choice(raw: Any, form: Any, annotation: Any, value: str) -> str:
    number = raw.FPDFAnnot_GetOptionCount(form, annotation)
    chosen: list[str] = []
    others: list[str] = []
    for one in range(min(number, 10_000)):
        label = _wide(raw.FPDFAnnot_GetOptionLabel, form, annotation, one)
        is_chosen = raw.FPDFAnnot_IsOptionSelected(form, annotation, one)
        (chosen if is_chosen or label == value else others).append(label)
    if not chosen and value:
        chosen = [value]
    more = f" and {len(others) - _MOST_OPTIONS:,} more" if len(others) > _MOST_OPTIONS else ""
    rest = f" (not chosen: {', '.join(others[:_MOST_OPTIONS])}{more})" if others else ""
    return ", ".join(chosen) + rest


def _marked_text(raw: Any, annotation: Any, textpage: Any) -> str:
    rectangle = raw.FS_RECTF()
    pieces: list[str] = []
    quads = raw.FS_QUADPOINTSF()
    for one in range(min(raw.FPDFAnnot_CountAttachmentPoints(annotation), 50)):
        if raw.FPDFAnnot_GetAttachmentPoints(annotation, one, quads):
            xs, ys = (quads.x1, quads.x2, quads.x3, quads.x4), (quads.y1, quads.y2, quads.y3, quads.y4)
            pieces.append(textpage.get_text_bounded(min(xs), min(ys), max(xs), max(ys)))
    if not pieces and raw.FPDFAnnot_GetRect(annotation, rectangle):
        pieces.append(textpage.get_text_bounded(rectangle.left, rectangle.bottom, rectangle.right, rectangle.top))
    return " ".join(" ".join(pieces).split())[:2000]


def _target(raw: Any, document: Any, annotation: Any) -> str:
    """Return where a link leads if that is outside of the document."""
    link = raw.FPDFAnnot_GetLink(annotation)
    action = raw.FPDFLink_GetAction(link) if link else None
    if not action:
        return ""
    kind = raw.FPDFAction_GetType(action)
    if kind == raw.PDFACTION_URI:
        found = _bytes(raw.FPDFAction_GetURIPath, document, action)
    elif kind in (raw.PDFACTION_REMOTEGOTO, raw.PDFACTION_LAUNCH):
        found = _bytes(raw.FPDFAction_GetFilePath, action)
    else:
        return ""
    return " ".join(found.decode("utf-8", "replace").split())


def _descriptions(raw: Any, page: Any) -> Iterator[str]:
    """Yield the alternative texts of a tagged page's elements."""
    tree = raw.FPDF_StructTree_GetForPage(page)
    if not tree:
        return
    try:
        waiting = [
            raw.FPDF_StructTree_GetChildAtIndex(tree, one) for one in _indexes(raw.FPDF_StructTree_CountChildren(tree))
        ]
        seen = 0
        while waiting and seen < _MOST_ELEMENTS:
            element = waiting.pop()
            if not element:
                continue
            seen += 1
            if words := _wide(raw.FPDF_StructElement_GetAltText, element):
                yield f"[image] {words}"
            children = raw.FPDF_StructElement_CountChildren(element)
            waiting += [raw.FPDF_StructElement_GetChildAtIndex(element, one) for one in _indexes(children)]
    finally:
        raw.FPDF_StructTree_Close(tree)


def _indexes(number: int) -> range:
    return range(min(max(number, 0), _MOST_ELEMENTS) - 1, -1, -1)


def _value(raw: Any, annotation: Any, key: bytes) -> str:
    return _wide(raw.FPDFAnnot_GetStringValue, annotation, key)


def _wide(function: Callable[..., int], *arguments: Any) -> str:
    """Return the text that a function of pdfium writes as UTF-16."""
    from pypdfium2 import raw

    size = function(*arguments, None, 0)
    if not 2 < size <= _LONGEST_STRING:
        return ""
    buffer = ctypes.create_string_buffer(size)
    with suppress(ctypes.ArgumentError):
        function(*arguments, ctypes.cast(buffer, ctypes.POINTER(raw.FPDF_WCHAR)), size)
        return buffer.raw.decode("utf-16-le", "replace").rstrip("\0")
    function(*arguments, buffer, size)
    return buffer.raw.decode("utf-16-le", "replace").rstrip("\0")


def _bytes(function: Callable[..., int], *arguments: Any) -> bytes:
    size = function(*arguments, None, 0)
    if not 1 < size <= _LONGEST_STRING:
        return b""
    buffer = ctypes.create_string_buffer(size)
    function(*arguments, buffer, size)
    return buffer.raw.rstrip(b"\0")
