"""Mailboxes: one document a message, cut only where a message begins."""

import io
import time

import pytest

from durable_rlm.nodes.input.draft import Unusable
from durable_rlm.nodes.input.formats import format_of
from durable_rlm.nodes.input.readers.mail import mailbox

from ..reading import drafts, read

_FROM = b"From a@example.com Mon Jun  1 10:00:00 2026\n"


def _mail(subject: str, body: str, headers: str = "") -> bytes:
    return _FROM + f"From: a@example.com\nSubject: {subject}\n{headers}\n{body}\n\n".encode()


def test_each_message_is_a_document_with_its_offset() -> None:
    first, second = _mail("One", "First."), _mail("Two", "Second.")
    one, two = drafts("archive.mbox", first + second)
    assert (one.name, one.text) == ("0001", "From: a@example.com\nSubject: One\n\nFirst.\n")
    assert (two.name, two.meta["offset"], two.meta["length"]) == ("0002", len(first), len(second))
    assert two.meta["envelope"] == "a@example.com Mon Jun  1 10:00:00 2026"


def test_a_paragraph_that_begins_with_from_is_text() -> None:
    body = "Hello\n\nFrom our side the price is 4,200\nbye\n\nFrom 10:00 to 2026: closed\nyes"
    one, two = drafts("archive.mbox", _mail("One", body) + _mail("Two", "Second."))
    assert body in one.text
    assert two.meta["subject"] == "Two"


def test_quoted_lines_lose_one_quotation_mark() -> None:
    [one] = drafts("archive.mbox", _mail("One", ">From here\n>>From there"))
    assert one.text.endswith("\nFrom here\n>From there\n")


def test_a_stated_length_is_respected_when_it_fits() -> None:
    inner = "Text\n\n" + _mail("Inner", "In.").decode()
    kept = _mail("One", inner, f"Content-Length: {len(inner)}\n") + _mail("Two", "Second.")
    assert [one.meta["subject"] for one in drafts("a.mbox", kept)] == ["One", "Two"]
    wrong = _mail("One", "Body.", "Content-Length: 30\n") + _mail("Two", "Second.")
    assert [one.meta["subject"] for one in drafts("a.mbox", wrong)] == ["One", "Two"]


def test_attachments_stand_below_their_message() -> None:
    part = "Content-Type: text/csv; name=prices.csv\nContent-Disposition: attachment\n\nitem,price\n"
    head = "Content-Type: multipart/mixed; boundary=B\n"
    found = drafts("a.mbox", _mail("One", f"--B\n\nSee.\n--B\n{part}--B--", head))
    assert [one.name for one in found] == ["0001", "0001/prices.csv"]


def test_names_have_as_many_digits_as_the_number_of_messages() -> None:
    found = drafts("a.mbox", _mail("x", "y") * 10_001)
    assert (found[0].name, found[-1].name) == ("00001", "10001")


@pytest.mark.parametrize("block", [64, 100, 157, 4_096])
def test_messages_are_found_wherever_a_block_ends(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_BLOCK", block)
    found = drafts("a.mbox", b"".join(_mail(f"s{n}", "b" * n + "\n\nFrom me\nx") for n in range(60)))
    assert [one.meta["subject"] for one in found] == [f"s{n}" for n in range(60)]


def test_line_ends_of_windows_are_understood() -> None:
    data = (_mail("One", "First.") + _mail("Two", ">From x")).replace(b"\n", b"\r\n")
    assert [one.text.splitlines()[-1] for one in drafts("a.mbox", data)] == ["First.", "From x"]


def test_separators_without_a_date_are_accepted_when_there_are_no_others() -> None:
    data = (_mail("One", "First.") + _mail("Two", "Second.")).replace(b" Mon Jun  1 10:00:00 2026", b"")
    assert [one.meta["subject"] for one in drafts("a.mbox", data)] == ["One", "Two"]


def test_text_before_the_first_message_is_a_loss() -> None:
    [one] = drafts("a.mbox", b"Some words.\n\n" + _mail("One", "First."))
    assert one.losses == ["13 bytes before the first message not shown"]


def test_deleted_messages_are_marked() -> None:
    [one, two] = drafts("a.mbox", _mail("One", "x", "X-Mozilla-Status: 0009\n") + _mail("Two", "x"))
    assert one.meta["deleted"] is True
    assert "deleted" not in two.meta


def test_a_message_too_large_is_skipped_and_the_others_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "_LARGEST", 1_000)
    one, two = read("a.mbox", _mail("One", "x" * 2_000) + _mail("Two", "Second."))
    assert (one.name, two.name) == ("0001", "0002")


def test_mailboxes_are_recognized_by_their_content() -> None:
    assert format_of("Inbox", _mail("One", "x")).kind == "mailbox"
    assert format_of("2009-July.txt", _mail("One", "x")).kind == "mailbox"
    assert format_of("story.txt", b"From here to there, 10:00 in 2026\nit was: long\n").kind == "text"
    assert format_of("story", b"From Monday 10:00 2026\n\nFrom: me\n").kind == "text"


@pytest.mark.parametrize("data", [b"", b"no mail\n", b"*mbx*\r\n"])
def test_a_file_without_messages_is_unusable(data: bytes) -> None:
    with pytest.raises(Unusable):
        read("a.mbox", data)


@pytest.mark.parametrize(
    "piece", [b"\n\nFrom ", b"\n\nFrom a 10:00 2026\n", b"From a 10:00 2026\n", b"\n\nFrom 1" + b" " * 300]
)
def test_hostile_mailboxes_take_linear_time(piece: bytes) -> None:
    began = time.process_time()
    data = _mail("One", "x") + piece * 30_000
    assert read("a.mbox", data)
    assert time.process_time() - began < 4


def test_a_mailbox_is_read_message_by_message() -> None:
    """No more than a block and a message is read at once."""
    largest = 0

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            nonlocal largest
            assert size is not None and size >= 0
            largest = max(largest, size)
            return super().read(size)

    message = _mail("One", "word " * 1_000)
    assert len(list(mailbox._extents(Watched(message * 2_000), mailbox._strict))) == 2_000
    assert largest == mailbox._BLOCK
