"""The formats that this program knows: those that it reads, and those that it names."""

from .format import Format
from .mail_signs import is_mailbox, is_message
from .signatures import ZIP, is_agent_history, is_html
from .unread_formats import UNREAD

_OURS = "durable_rlm.nodes.input.readers"


def _ours(kind: str, module: str, *suffixes: str, needs: tuple[str, ...] = (), **more: object) -> Format:
    function = module if ":" in module else f"{module}:read"
    return Format(kind, suffixes, reader=f"{_OURS}.{function}", needs=needs, **more)  # pyright: ignore[reportArgumentType]


TEXT = Format("text")
CSV = Format("CSV", (".csv", ".tsv"), content_types=("text/csv", "text/tab-separated-values"))
JSON_LINES = Format("JSON Lines", (".jsonl", ".ndjson"))

ARCHIVES = (".zip", ".tar", ".tgz", ".tbz2", ".tbz", ".txz", ".tar.gz", ".tar.bz2", ".tar.xz", ".gz", ".bz2", ".xz")
_ARCHIVE_MAGIC = (*ZIP, b"\x1f\x8b\x08", b"BZh91AY&SY", b"\xfd7zXZ\0", (257, b"ustar"))
_ARCHIVE_TYPES = ("application/zip", "application/x-zip-compressed", "application/gzip", "application/x-tar")

READ: tuple[Format, ...] = (
    CSV,
    JSON_LINES,
    _ours(
        "PDF",
        "pdf.document",
        ".pdf",
        magic=(b"%PDF-",),
        needs=("pypdfium2", "pypdf", "fontTools"),
        packages=("pypdfium2", "pypdf", "fonttools"),
        version=2,
        content_types=("application/pdf",),
    ),
    _ours(
        "DOCX",
        "word.document",
        *(".docx", ".docm", ".dotx", ".dotm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.template",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml",
            "application/vnd.ms-word.document.macroenabled.12",
        ),
    ),
    _ours(
        "ODT",
        "open_document.open_document",
        *(".odt", ".ott", ".fodt", ".odm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.oasis.opendocument.text",
            "application/vnd.oasis.opendocument.text-template",
            "application/vnd.oasis.opendocument.text-flat-xml",
        ),
    ),
    _ours(
        "DOC",
        "legacy.legacy_office:read_text",
        *(".doc", ".dot", ".wps", ".wpd", ".wri", ".sxw", ".hwp", ".abw", ".lwp", ".602", ".wpt"),
        needs=("lxml", "olefile", "msoffcrypto"),
        packages=("lxml",),
        content_types=("application/msword", "application/vnd.ms-works", "application/vnd.wordperfect"),
        seconds=300.0,
    ),
    _ours(
        "PPT",
        "legacy.legacy_office:read_slides",
        *(".ppt", ".pps", ".pot", ".sxi"),
        needs=("lxml", "olefile", "msoffcrypto"),
        packages=("lxml",),
        content_types=("application/vnd.ms-powerpoint",),
        seconds=300.0,
    ),
    _ours(
        "XLSX",
        "sheets.excel",
        *(".xlsx", ".xlsm", ".xltx", ".xltm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            "application/vnd.ms-excel.sheet.macroenabled.12",
            "application/vnd.openxmlformats-officedocument.spreadsheetml.template",
        ),
    ),
    _ours(
        "XLSB",
        "sheets.excel_binary:read_xlsb",
        ".xlsb",
        needs=("python_calamine",),
        packages=("python-calamine",),
        content_types=("application/vnd.ms-excel.sheet.binary.macroenabled.12",),
    ),
    _ours(
        "XLS",
        "sheets.excel_binary:read_xls",
        *(".xls", ".xlt", ".xlw", ".xla"),
        needs=("xlrd", "python_calamine"),
        packages=("xlrd", "python-calamine"),
        content_types=("application/vnd.ms-excel",),
    ),
    _ours(
        "ODS",
        "open_document.open_document_sheets",
        *(".ods", ".ots", ".fods"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=("application/vnd.oasis.opendocument.spreadsheet",),
    ),
    _ours(
        "ODP",
        "open_document.open_document_slides",
        *(".odp", ".otp", ".fodp"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=("application/vnd.oasis.opendocument.presentation",),
    ),
    _ours(
        "PPTX",
        "slides.powerpoint",
        *(".pptx", ".pptm", ".ppsx", ".ppsm", ".potx", ".potm"),
        needs=("lxml",),
        packages=("lxml",),
        content_types=(
            "application/vnd.openxmlformats-officedocument.presentationml.presentation",
            "application/vnd.openxmlformats-officedocument.presentationml.slideshow",
            "application/vnd.ms-powerpoint.presentation.macroenabled.12",
        ),
    ),
    _ours(
        "HTML",
        "web.html",
        *(".html", ".htm", ".xhtml", ".shtml", ".mht", ".mhtml"),
        sniff=is_html,
        content_types=("text/html", "application/xhtml+xml"),
    ),
    _ours("EPUB", "web.epub", ".epub", content_types=("application/epub+zip",)),
    _ours("notebook", "notebook", ".ipynb", content_types=("application/x-ipynb+json",)),
    _ours("agent history", "agent_history", sniff=is_agent_history),
    _ours("archive", "archives.archive", *ARCHIVES, magic=_ARCHIVE_MAGIC, seconds=300.0, content_types=_ARCHIVE_TYPES),
    _ours("e-mail", "mail.mail", ".eml", ".emlx", sniff=is_message, content_types=("message/rfc822", "message/news")),
    _ours(
        "mailbox", "mail.mailbox", ".mbox", ".mbx", sniff=is_mailbox, seconds=300.0, content_types=("application/mbox",)
    ),
    _ours(
        "Outlook message",
        "outlook.item",
        ".msg",
        ".oft",
        needs=("olefile",),
        packages=("olefile",),
        content_types=("application/vnd.ms-outlook",),
    ),
    _ours("RTF", "rtf.document", ".rtf", magic=(b"{\\rtf",), content_types=("text/rtf", "application/rtf")),
    _ours(
        "Outlook container",
        "outlook.tnef",
        ".tnef",
        magic=(b"\x78\x9f\x3e\x22",),
        content_types=("application/ms-tnef", "application/vnd.ms-tnef"),
    ),
)
NAMED = tuple(Format(what, tuple(suffixes.split()), magic, unread=what) for what, suffixes, magic in UNREAD)
OLD_OFFICE = Format("OLE", unread="an old Office file of a kind that its name does not tell")
