"""Opens a PDF: unlocked by a password, given a new end if it lost its own, its streams checked."""

import io
import logging
from typing import Any

from ...draft import Unusable
from .rescue import is_hopeless, with_new_end
from .second import SecondReader, in_short
from .streams import check

logging.getLogger("pypdfium2").addHandler(logging.NullHandler())


class OpenFile:
    """A file open in pdfium, with the second reader of its pages."""

    def __init__(self, data: bytes, passwords: tuple[str, ...]) -> None:
        """Open the file.

        Raises Unusable for a file without a fitting password or one that is damaged, ImportError without pypdfium2.
        """
        from pypdfium2 import PdfDocument

        data, self.loss = _readable(data, passwords)
        self.streams = check(data)
        """The checked streams."""
        self.second = SecondReader(self.streams.data)
        self.document: Any = PdfDocument(self.streams.data)
        self._ready_forms()

    def reopen(self) -> None:
        """Close and open the file, which frees what pdfium kept of its pages."""
        from pypdfium2 import PdfDocument

        self.document.close()
        self.document = PdfDocument(self.streams.data)
        self._ready_forms()

    def close(self) -> None:
        """Close the file."""
        self.document.close()

    def _ready_forms(self) -> None:
        if self.document.get_formtype():
            self.document.init_forms()


def _readable(data: bytes, passwords: tuple[str, ...]) -> tuple[bytes, str]:
    """Return the file's bytes as they can be opened without a password, and a phrase about what they may lack."""
    from pypdfium2 import PdfiumError, raw

    if is_hopeless(data):
        raise Unusable("a damaged PDF", "(its streams have no ends)")
    loss = ""
    try:
        document = _unlocked(data, passwords)
    except PdfiumError as error:
        data, document = _rescued(data, passwords, in_short(error))
        loss = "the end of the file is damaged: pages may be missing"
    try:
        if raw.FPDF_GetSecurityHandlerRevision(document) == -1:
            return data, loss
        clear = io.BytesIO()
        # Whatever reads the file next needs neither the password nor a library for its encryption.
        document.save(clear, flags=raw.FPDF_REMOVE_SECURITY)
        return clear.getvalue(), loss
    finally:
        document.close()


def _rescued(data: bytes, passwords: tuple[str, ...], refusal: str) -> tuple[bytes, Any]:
    from pypdfium2 import PdfiumError

    for version in with_new_end(data):
        try:
            return version, _unlocked(version, passwords)
        except PdfiumError:
            continue
    raise Unusable("a damaged PDF", "(it has no pages)" if "Success" in refusal else f"({refusal})")


def _unlocked(data: bytes, passwords: tuple[str, ...]) -> Any:
    """Return the open document. Raises Unusable when no password fits, PdfiumError for a damaged file."""
    from pypdfium2 import PdfDocument, PdfiumError, raw

    for password in (None, *passwords):
        try:
            return PdfDocument(data, password=password)
        except PdfiumError as error:
            if error.err_code == raw.FPDF_ERR_SECURITY:
                raise Unusable("protected in a way that is not supported", "Save a copy without protection.") from error
            if error.err_code != raw.FPDF_ERR_PASSWORD:
                raise
    tried = " None of the given ones fits." if passwords else ""
    raise Unusable("password-protected", f"Give its password by --password env:NAME or file:PATH.{tried}")
