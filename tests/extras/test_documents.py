"""`durable-rlm[documents]` with no other extra reads PDF, DOCX and XLSX."""

import pytest
from tests.state.input.test_formats import docx, pdf, text_of, xlsx

for _name in ("pypdf", "docx", "openpyxl"):
    pytest.importorskip(_name, reason="needs the extra `documents`: make test-extra NAME=documents")


@pytest.mark.parametrize(
    ("made", "suffix", "words"),
    [(pdf("Hello one"), ".pdf", "Hello one"), (docx(), ".docx", "paragraph"), (xlsx(), ".xlsx", "Amount")],
    ids=["pdf", "docx", "xlsx"],
)
def test_a_document_is_read(made: bytes, suffix: str, words: str) -> None:
    assert words in text_of(made, suffix)[0]
