"""Old office files are converted by LibreOffice where it is installed, and protected ones say so."""

import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from msoffcrypto.format.ooxml import OOXMLFile

from durable_rlm.nodes.input.draft import Draft, ReadOptions, Unusable
from durable_rlm.nodes.input.formats import format_of
from durable_rlm.nodes.input.reading_task import Task
from tests.nodes.input.corpus.compound_file import compound_file
from tests.nodes.input.readers.compound import compound
from tests.nodes.input.readers.word_files import docx, p
from tests.nodes.input.reading import only, read

BODY = p("Rent", style="Heading1") + p("Words.")
WORDS = docx(BODY)


def convert(name: str, data: bytes, soffice: str) -> Draft:
    """Return the document of an old file, read with LibreOffice at a path."""
    task = Task(ReadOptions(), soffice)
    [one] = task.read(io.BytesIO(data), len(data), name, format_of(name, data))
    assert isinstance(one, Draft)
    return one


@dataclass
class FakeOffice:
    """A program in the place of LibreOffice."""

    path: str
    folder: Path

    @property
    def arguments(self) -> list[str]:
        """The arguments of its last call."""
        return (self.folder / "arguments").read_text().splitlines()


@pytest.fixture
def office(tmp_path: Path) -> FakeOffice:
    """Return a program that writes the same document for every file, and none for a file that says BROKEN."""
    made = tmp_path / "made.docx"
    made.write_bytes(WORDS)
    program = tmp_path / "soffice"
    program.write_text(
        "#!/bin/sh\n"
        f'printf "%s\\n" "$@" > {tmp_path}/arguments\n'
        "while [ $# -gt 1 ]; do\n"
        '  if [ "$1" = --convert-to ]; then to=$2; fi\n'
        '  if [ "$1" = --outdir ]; then folder=$2; fi\n'
        "  shift\ndone\n"
        'if grep -q BROKEN "$1"; then exit 0; fi\n'
        f'mkdir -p "$folder"; cp {made} "$folder/given.$to"\n'
    )
    program.chmod(0o755)
    return FakeOffice(str(program), tmp_path)


def test_an_old_document_is_converted_to_the_present_format_and_read(office: FakeOffice) -> None:
    draft = convert("lease.doc", b"\xd0\xcf\x11\xe0old", office.path)
    assert draft.text == "# Rent\nWords.\n"
    assert draft.places["sections"]["label"] == ["Rent"]
    assert draft.meta["kind"] == "DOC"
    assert draft.meta["converted"] == "by LibreOffice to DOCX"
    assert office.arguments[office.arguments.index("--convert-to") + 1] == "docx"
    assert office.arguments[-1].endswith(".doc")


def test_a_file_that_cannot_be_converted_says_so(office: FakeOffice) -> None:
    with pytest.raises(Unusable, match="not readable by LibreOffice"):
        convert("lease.doc", compound_file({"WordDocument": b"BROKEN"}), office.path)


def test_a_damaged_file_is_not_converted_as_if_it_were_text(office: FakeOffice) -> None:
    with pytest.raises(Unusable, match="an old Word document that is damaged"):
        convert("lease.doc", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1garbage", office.path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("lease.doc", "an old Word document, which needs LibreOffice"),
        ("lease.wpd", "an old text document, which needs LibreOffice"),
    ],
)
def test_without_libreoffice_the_kind_is_named(name: str, reason: str) -> None:
    with pytest.raises(Unusable, match=reason) as raised:
        read(name, b"\xffWPC\0old")
    assert "LibreOffice" in raised.value.hint


def test_a_present_day_file_under_an_old_name_needs_no_conversion() -> None:
    assert only("lease.doc", WORDS).text == "# Rent\nWords.\n"


def protected(password: str) -> bytes:
    """Return a document protected by a password."""
    made = io.BytesIO()
    # The library writes streams of less than 4 KB wrongly.
    large = docx(BODY, files={"word/media/noise.bin": Random(0).randbytes(8_000)})
    OOXMLFile(io.BytesIO(large)).encrypt(password, made)
    return made.getvalue()


@pytest.fixture(scope="module")
def secret() -> bytes:
    """Return a document protected by the password `open`."""
    return protected("open")


@pytest.mark.parametrize("name", ["lease.docx", "lease.doc"])
def test_a_protected_document_opens_with_the_right_password(name: str, secret: bytes) -> None:
    assert only(name, secret, passwords=("wrong", "open")).text == "# Rent\nWords.\n"


@pytest.mark.parametrize("passwords", [(), ("wrong",)])
def test_a_protected_document_says_so(passwords: tuple[str, ...], secret: bytes) -> None:
    for name in ("lease.docx", "lease.doc"):
        with pytest.raises(Unusable, match="password-protected") as raised:
            read(name, secret, passwords=passwords)
        assert "--password" in raised.value.hint


def old_word(flags: int) -> bytes:
    """Return an old Word document of nothing but its flags."""
    return compound("WordDocument", b"\xec\xa5\xc1\0" + bytes(6) + flags.to_bytes(2, "little"))


def test_a_protected_old_document_says_so_without_libreoffice() -> None:
    with pytest.raises(Unusable, match="password-protected"):
        read("lease.doc", old_word(0x0100))
    with pytest.raises(Unusable, match="needs LibreOffice"):
        read("lease.doc", old_word(0))


@pytest.mark.skipif(not shutil.which("soffice"), reason="LibreOffice is not installed")
@pytest.mark.slow
def test_libreoffice_itself_converts_an_old_document() -> None:
    rtf = rb"{\rtf1\ansi{\b Words} of old.\par}"
    assert "Words of old." in convert("old.doc", rtf, str(shutil.which("soffice"))).text
