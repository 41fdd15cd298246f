"""The contract of an extractor: one suite that every implementation must pass.

A test module derives a class from it, with a fixture that gives an extractor. The readers are in `hostile_readers.py`.
"""

import os
import tempfile
from dataclasses import dataclass

import pytest

from durable_rlm.nodes.input.draft import ReadOptions, Unusable
from durable_rlm.nodes.input.extraction import Check, Extractor, SkippedInside
from durable_rlm.nodes.input.facts import ExtractedDocument
from durable_rlm.nodes.input.formats import Format
from durable_rlm.nodes.input.source import IngestStopped

SECONDS = 1.0
"""Seconds of CPU time that test readers may use."""
_LONG = 60.0
"""The same for those that are to meet another limit first."""
_OTHER_LIMITS = ("writes_without_end", "fills_its_output", "eats_memory", "eats_memory_in_c", "converts")


def form_of(reader: str) -> Format:
    """Return a format whose reader is this one of `hostile_readers.py`."""
    return Format("sample", reader=f"hostile_readers:{reader}", seconds=_LONG if reader in _OTHER_LIMITS else SECONDS)


@dataclass(frozen=True)
class Found:
    """All that was read from one file."""

    documents: list[ExtractedDocument]
    skipped: list[SkippedInside]
    texts: list[str]


def read(
    extractor: Extractor,
    reader: str,
    data: bytes = b"words",
    *,
    options: ReadOptions | None = None,
    check: Check = lambda: None,
) -> Found:
    """Return what a reader makes of a file with these bytes. Raises Unusable."""
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        reading = extractor.extract(file.fileno(), len(data), "given", form_of(reader), options or ReadOptions(), check)
        with reading as extraction:
            documents = [one for one in extraction.found if isinstance(one, ExtractedDocument)]
            skipped = [one for one in extraction.found if isinstance(one, SkippedInside)]
            texts = [b"".join(data for data, _ in extraction.chunks(one)).decode() for one in documents]
            return Found(documents, skipped, texts)


def reason(extractor: Extractor, reader: str, data: bytes = b"words") -> str:
    """Return why a file cannot be used."""
    with pytest.raises(Unusable) as refused:
        read(extractor, reader, data)
    return refused.value.reason


class ExtractorContract:
    """The promises of every extractor."""

    def test_a_document_has_its_text_metadata_places_and_losses(self, extractor: Extractor) -> None:
        found = read(extractor, "well", "naïve 😀".encode())
        [one] = found.documents
        assert (found.texts, one.name, one.chars, one.losses) == (["naïve 😀"], "", 7, ["1 chart not shown"])
        assert one.meta["kind"] == "well" and one.places == '{"pages": {"at": [0]}}'

    def test_documents_of_one_file_follow_each_other_and_what_gives_none_is_named(self, extractor: Extractor) -> None:
        found = read(extractor, "several", "ä\nb\npicture.png".encode())
        assert [(one.name, one.start, one.end) for one in found.documents] == [("part/0", 0, 2), ("part/1", 2, 3)]
        assert found.texts == ["ä", "b"]
        assert found.skipped == [SkippedInside("picture.png", "an image", "", 7)]

    def test_a_file_that_gives_nothing_has_the_reason_of_its_reader(self, extractor: Extractor) -> None:
        with pytest.raises(Unusable) as refused:
            read(extractor, "unusable")
        assert (refused.value.reason, refused.value.hint) == ("password-protected", "Give its password.")
        assert reason(extractor, "gives_nothing") == "without any text in it"

    @pytest.mark.parametrize("reader", ["raises", "panics", "exits", "recurses"])
    def test_a_file_whose_reader_fails_is_damaged(self, extractor: Extractor, reader: str) -> None:
        assert reason(extractor, reader) == "a damaged sample"

    def test_documents_that_were_read_before_the_damage_are_kept(self, extractor: Extractor) -> None:
        found = read(extractor, "raises_late")
        assert found.texts == ["words"]
        assert [one.reason for one in found.skipped] == ["damaged after what was read (ValueError: the end is missing)"]

    def test_the_passwords_reach_the_reader(self, extractor: Extractor) -> None:
        given = ReadOptions(passwords=("wrong", "opensesame"))
        assert read(extractor, "says_password", options=given).texts == ["opened"]
        assert read(extractor, "says_password").texts == ["closed"]

    def test_a_caller_that_stops_is_obeyed(self, extractor: Extractor) -> None:
        def stop() -> None:
            raise IngestStopped("stopped")

        with pytest.raises(IngestStopped):
            read(extractor, "well", check=stop)
        assert read(extractor, "well").texts == ["words"]

    def test_a_file_is_read_from_its_beginning_wherever_its_descriptor_is(self, extractor: Extractor) -> None:
        with tempfile.TemporaryFile() as file:
            file.write(b"words")
            file.flush()
            for _ in range(2):
                given = (file.fileno(), 5, "given", form_of("well"), ReadOptions(), lambda: None)
                with extractor.extract(*given) as extraction:
                    [one] = extraction.found
                    assert isinstance(one, ExtractedDocument) and one.chars == 5
            assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 5 or extractor.ahead == 0
