"""PDF, DOCX, XLSX and e-mail become text; damaged, protected or hostile documents are refused."""

import io
import sys
import zipfile
from email.message import EmailMessage
from typing import Any

import pytest

from durable_rlm.state.input import formats, office
from durable_rlm.state.input.formats import extract, format_of
from durable_rlm.state.input.source import IngestStopped, Unusable


def pdf(*pages: str, trailer: str = "") -> bytes:
    """Return a minimal PDF with a line of text on each page (empty: a blank page)."""
    count = len(pages)
    kids = " ".join(f"{4 + 2 * at} 0 R" for at in range(count))
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {count} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for at, text in enumerate(pages):
        stream = f"BT /F1 24 Tf 72 720 Td ({text}) Tj ET" if text else ""
        objects += [
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] "
            f"/Resources << /Font << /F1 3 0 R >> >> /Contents {5 + 2 * at} 0 R >>",
            f"<< /Length {len(stream)} >>\nstream\n{stream}\nendstream",
        ]
    objects.append("<< /Title (A fine title) >>")
    out = b"%PDF-1.4\n"
    places: list[int] = []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer << /Size {size} /Root 1 0 R /Info {len(objects)} 0 R {trailer} >>\nstartxref\n{len(out)}\n%%EOF"
    return out + f"xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode()


def docx(**parts: bytes) -> bytes:
    """Return a DOCX with a heading, a table and a text that python-docx's own paragraphs leave out."""
    from docx import Document
    from docx.oxml import parse_xml

    document = Document()
    document.core_properties.title = "Minutes"
    document.add_paragraph("First\tparagraph – ü")
    table = document.add_table(rows=2, cols=2)
    for cell, text in zip((c for row in table.rows for c in row.cells), ("a", "b", "c\nd", ""), strict=True):
        cell.text = text
    namespace = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
    body: Any = document.element.body
    body.append(
        parse_xml(
            f"<w:sdt {namespace}><w:sdtContent><w:p><w:ins><w:r><w:t>In a content control</w:t></w:r></w:ins>"
            "<w:del><w:r><w:delText>deleted</w:delText></w:r></w:del></w:p></w:sdtContent></w:sdt>"
        )
    )
    out = io.BytesIO()
    document.save(out)
    return with_parts(out.getvalue(), parts)


def xlsx(**parts: bytes) -> bytes:
    from openpyxl import Workbook

    book = Workbook()
    sheet: Any = book.active
    sheet.title = "Sales"
    sheet.append(["Name", "Amount", "Paid", None])
    sheet.append(["Ünal", 12.5, True])
    sheet["A5"] = "two\nlines\tand a tab"
    other: Any = book.create_sheet("Empty")
    assert other.max_row
    out = io.BytesIO()
    book.save(out)
    return with_parts(out.getvalue(), parts)


def with_parts(data: bytes, parts: dict[str, bytes]) -> bytes:
    """Return the archive with parts replaced or added (`__` stands for a slash, one `_` for the dot)."""
    replaced = {name.replace("__", "/").replace("_", "."): content for name, content in parts.items()}
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.infolist():
            new.writestr(part.filename, replaced.pop(part.filename, None) or old.read(part))
        for name, content in replaced.items():
            new.writestr(name, content)
    return out.getvalue()


def text_of(data: bytes, suffix: str) -> tuple[str, dict[str, Any]]:
    chunks, meta = extract(io.BytesIO(data), suffix, lambda: None)
    assert all(len(piece.decode()) == chars for piece, chars in chunks)
    return b"".join(piece for piece, _ in chunks).decode(), meta


# --- documents that are read


def test_pdf_pages_are_separated_by_form_feeds() -> None:
    text, meta = text_of(pdf("Hello one", "", "And three"), ".pdf")
    assert [page.strip() for page in text.split("\f")] == ["Hello one", "", "And three"]
    assert meta == {"pages": 3, "title": "A fine title"}


def test_docx_keeps_tables_content_controls_and_insertions() -> None:
    text, meta = text_of(docx(), ".docx")
    assert text == "First\tparagraph – ü\na\tb\nc d\t\nIn a content control\n"
    assert meta == {"title": "Minutes"}


def test_xlsx_sheets_are_tab_separated_and_keep_their_row_numbers() -> None:
    text, meta = text_of(xlsx(), ".xlsx")
    assert text == "## Sales\nName\tAmount\tPaid\nÜnal\t12.5\tTRUE\n\n\ntwo lines and a tab\n\n## Empty\n"
    assert meta == {"sheets": ["Sales", "Empty"]}


def test_eml_gives_headers_plain_text_and_the_names_of_attachments() -> None:
    mail = EmailMessage()
    mail["From"] = "Zoë <zoe@example.org>"
    mail["To"] = "b@example.org"
    mail["Subject"] = "Grüße aus Köln"
    mail.set_content("Plain bödy\n")
    mail.add_alternative("<p>HTML body</p>", subtype="html")
    mail.add_attachment(b"\0\1", maintype="application", subtype="pdf", filename="rechnung.pdf")
    text, meta = text_of(mail.as_bytes(), ".eml")
    assert text == (
        "From: Zoë <zoe@example.org>\nTo: b@example.org\nSubject: Grüße aus Köln\n\n"
        "Plain bödy\n\n[attachment: rechnung.pdf]\n"
    )
    assert meta == {
        "from": "Zoë <zoe@example.org>",
        "to": "b@example.org",
        "subject": "Grüße aus Köln",
        "attachments": ["rechnung.pdf"],
    }


@pytest.mark.parametrize("charset", ["latin-1", "no-such-charset", "utf-8"])
def test_a_wrong_charset_in_a_mail_loses_no_text(charset: str) -> None:
    mail = f"Subject: x\nContent-Type: text/plain; charset={charset}\n\ncaf".encode() + b"\xe9 au lait\n"
    assert text_of(mail, ".eml")[0] == "Subject: x\n\ncafé au lait\n"


def test_a_mail_with_only_html_gives_the_html() -> None:
    mail = b"Subject: =?utf-8?q?h=C3=A9?=\nContent-Type: text/html\n\n<p>Hi</p>"
    assert text_of(mail, ".eml")[0] == "Subject: hé\n\n<p>Hi</p>\n"


@pytest.mark.parametrize(
    ("name", "head", "suffix"),
    [
        ("a.PDF", b"", ".pdf"),
        ("noname", b"%PDF-1.7", ".pdf"),
        ("a.docx", b"PK", ".docx"),
        ("a.json", b"{}", ""),
        ("a.html", b"<html>", ""),
        ("a.csv", b"a,b", ""),
    ],
)
def test_formats_are_recognized_by_suffix_and_a_pdf_by_its_first_bytes(name: str, head: bytes, suffix: str) -> None:
    assert format_of(name, head) == suffix


# --- documents that are refused


@pytest.mark.parametrize("suffix", [".pdf", ".docx", ".xlsx", ".eml"])
@pytest.mark.parametrize("data", [b"", b"nonsense", b"%PDF-1.4\nbut then nothing", b"PK\3\4 cut"])
def test_a_damaged_document_is_reported_as_damaged(suffix: str, data: bytes) -> None:
    with pytest.raises(Unusable, match="a damaged"):
        text_of(data, suffix)


@pytest.mark.parametrize("make", [pdf, docx, xlsx])
def test_a_truncated_document_is_refused_or_gives_text(make: Any) -> None:
    data = make("one", "two") if make is pdf else make()
    for size in range(0, len(data), max(1, len(data) // 40)):
        try:
            text_of(data[:size], {pdf: ".pdf", docx: ".docx", xlsx: ".xlsx"}[make])
        except Unusable:
            continue


def test_a_pdf_of_images_is_refused_with_a_hint() -> None:
    with pytest.raises(Unusable, match="without text") as caught:
        text_of(pdf("", ""), ".pdf")
    assert "OCR" in caught.value.hint


def test_a_protected_pdf_is_refused() -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(PdfReader(io.BytesIO(pdf("secret"))))
    writer.encrypt("word", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    with pytest.raises(Unusable, match="password-protected"):
        text_of(out.getvalue(), ".pdf")


def test_a_pdf_that_opens_without_a_password_is_read() -> None:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(PdfReader(io.BytesIO(pdf("for all"))))
    writer.encrypt("", "owner", algorithm="RC4-128")
    out = io.BytesIO()
    writer.write(out)
    assert "for all" in text_of(out.getvalue(), ".pdf")[0]


@pytest.mark.parametrize("suffix", [".docx", ".xlsx"])
def test_protected_and_old_office_files_are_refused(suffix: str) -> None:
    with pytest.raises(Unusable, match="password-protected or in an old Office format"):
        text_of(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512), suffix)


@pytest.mark.parametrize("suffix", [".docx", ".xlsx"])
def test_a_zip_bomb_is_refused_by_its_declared_size(suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "LARGEST_UNPACKED", 1 << 20)
    bomb = {"bomb_xml": bytes(2 << 20)}
    data = docx(**bomb) if suffix == ".docx" else xlsx(**bomb)
    assert len(data) < 100_000
    with pytest.raises(Unusable, match="too large when unpacked"):
        text_of(data, suffix)


def test_a_zip_with_understated_sizes_is_refused() -> None:
    data = bytearray(xlsx(xl__worksheets__sheet1_xml=b"<worksheet>" + b" " * (4 << 20) + b"</worksheet>"))
    honest = (4 << 20) + len("<worksheet></worksheet>")
    lie = (100).to_bytes(4, "little")
    while (at := data.find(honest.to_bytes(4, "little"))) >= 0:
        data[at : at + 4] = lie
    with pytest.raises(Unusable, match="a damaged XLSX"):
        text_of(bytes(data), ".xlsx")


def test_the_text_of_one_document_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(formats, "LARGEST_TEXT", 10)
    with pytest.raises(Unusable, match="too large"):
        text_of(docx(), ".docx")


LAUGHS = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "ha">%s]>
<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">
<c r="A1" t="inlineStr"><is><t>&a29;</t></is></c></row></sheetData></worksheet>""" % b"".join(
    b'<!ENTITY a%d "&a%d;&a%d;">' % (at, at - 1, at - 1) for at in range(1, 30)
)


def test_multiplying_entities_are_refused_or_not_expanded() -> None:
    with pytest.raises(Unusable, match="a damaged XLSX"):
        text_of(xlsx(xl__worksheets__sheet1_xml=LAUGHS), ".xlsx")
    body = (
        LAUGHS.replace(b"worksheet", b"document")
        .replace(b"sheetData", b"body")
        .replace(b"spreadsheetml", b"wordprocessingml")
    )
    try:
        text, _ = text_of(docx(word__document_xml=body), ".docx")
    except Unusable:
        return
    assert len(text) < 10_000


def test_a_forged_row_number_does_not_cause_endless_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(office, "_MOST_ROWS", 1000)
    forged = b"""<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>
    <row r="99999999999999"><c r="A99999999999999"><v>1</v></c></row></sheetData></worksheet>"""
    with pytest.raises(Unusable, match="a damaged XLSX"):
        text_of(xlsx(xl__worksheets__sheet1_xml=forged), ".xlsx")


@pytest.mark.parametrize(
    ("library", "suffix", "data"),
    [("pypdf", ".pdf", pdf("x")), ("docx", ".docx", docx()), ("openpyxl", ".xlsx", xlsx())],
)
def test_a_missing_library_is_named_with_the_command_that_installs_it(
    library: str, suffix: str, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Unusable, match=r"pip install 'durable-rlm\[documents\]'"):
        text_of(data, suffix)


def test_a_mail_designed_to_be_slow_is_refused() -> None:
    with pytest.raises(Unusable, match="a damaged e-mail"):
        text_of(b"Subject: x\nContent-Type: text/plain; " + b"a*0=b; " * 200_000 + b"\n\ny", ".eml")
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{at}\n\n--b{at}\n" for at in range(3000))
    with pytest.raises(Unusable, match="a damaged e-mail"):
        text_of(f"Subject: x\n{nested}".encode(), ".eml")


def test_mail_needs_no_library(monkeypatch: pytest.MonkeyPatch) -> None:
    for library in ("pypdf", "docx", "openpyxl"):
        monkeypatch.setitem(sys.modules, library, None)
    assert text_of(b"Subject: x\n\ny", ".eml")[0] == "Subject: x\n\ny\n"


def test_reading_a_document_can_be_stopped() -> None:
    def stop() -> None:
        raise IngestStopped("stop")

    with pytest.raises(IngestStopped):
        extract(io.BytesIO(pdf("x")), ".pdf", stop)
