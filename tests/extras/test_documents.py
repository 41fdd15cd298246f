"""`durable-rlm[documents]` with no other extra reads PDF and Office files, and loses nothing of them silently."""

from importlib import import_module
from random import Random

import pytest

for _name in ("pypdfium2", "pypdf", "lxml", "xlrd", "olefile", "python_calamine", "msoffcrypto"):
    pytest.importorskip(_name, reason="needs the extra `documents`: make test-extra NAME=documents")


@pytest.mark.parametrize("name", ["pdf", "word", "excel", "excel_binary", "powerpoint", "open_document"])
def test_documents_are_read_whole(name: str) -> None:
    corpus = import_module(f"tests.nodes.input.corpus.{name}")
    judge = import_module("tests.nodes.input.corpus.silent")
    assert [(sample.name, part) for sample in corpus.samples(Random(1)) for part in judge.lost(sample)] == []
