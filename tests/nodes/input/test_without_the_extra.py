"""The base installation reads what needs no library, and names the extra for the rest."""

import sys
from importlib import import_module
from random import Random

import pytest

from durable_rlm.nodes.input.draft import Skipped, Unusable
from durable_rlm.nodes.input.formats import format_of
from tests.nodes.input.corpus import Sample
from tests.nodes.input.corpus.silent import lost
from tests.nodes.input.reading import read

OF_THE_EXTRA = ("lxml", "pypdfium2", "pypdf", "fontTools", "xlrd", "python_calamine", "olefile", "msoffcrypto")


@pytest.fixture(autouse=True)
def base_installation(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the libraries of the extra impossible to import."""
    for name in OF_THE_EXTRA:
        monkeypatch.setitem(sys.modules, name, None)


def samples(name: str) -> list[Sample]:
    return import_module(f"tests.nodes.input.corpus.{name}").samples(Random(2))


@pytest.mark.parametrize("name", ["mail", "rtf", "html", "epub", "notebook", "agent_history"])
def test_formats_without_a_library_are_read_whole(name: str) -> None:
    assert [(sample.name, part) for sample in samples(name) for part in lost(sample)] == []


@pytest.mark.parametrize("name", ["pdf", "word", "excel", "powerpoint", "open_document"])
def test_every_other_format_names_the_extra(name: str) -> None:
    for sample in samples(name):
        if format_of(sample.name, sample.data).needs:
            with pytest.raises(Unusable, match=r"durable-rlm\[documents\]"):
                read(sample.name, sample.data)


def test_an_attachment_that_needs_the_extra_costs_itself_alone() -> None:
    document = samples("word")[0].data
    archive = import_module("tests.nodes.input.corpus.archive").zipped({"a.docx": document, "b.txt": b"words"})
    skipped = [one for one in read("x.zip", archive) if isinstance(one, Skipped)]
    assert [(one.name, "durable-rlm[documents]" in one.reason) for one in skipped] == [("a.docx", True)]
