"""Outlook items: headers, bodies in each form, what is attached, and the fields of other items."""

from datetime import UTC, datetime

import compressed_rtf
import pytest

from durable_rlm.nodes.input.draft import Skipped, Unusable
from durable_rlm.nodes.input.formats import format_of

from ..corpus.compound_file import Outlook, Value, compound_file
from ..reading import drafts, only, read

_SENT = datetime(2026, 6, 1, 8, 0, tzinfo=UTC)
_HEAD: dict[int, Value] = {
    0x001A: "IPM.Note",
    0x0037: "Offer",
    0x0C1A: "Ann B",
    0x5D01: "ann@example.com",
    0x0039: _SENT,
    0x1035: "<1@example.com>",
}


def _packed(rtf: bytes) -> bytes:
    return bytes(compressed_rtf.compress(rtf))


def test_headers_and_recipients_stand_above_the_text() -> None:
    people: list[dict[int, Value]] = [
        {0x3001: "Bob", 0x39FE: "bob@example.com", 0x0C15: 1},
        {0x3001: "Cy", 0x3003: "/O=X/CN=CY", 0x0C15: 2},
    ]
    draft = only("a.msg", Outlook({**_HEAD, 0x1000: "We accept.\r\n"}, people).file())
    assert draft.text == (
        "From: Ann B <ann@example.com>\nTo: Bob <bob@example.com>\nCc: Cy\nDate: 2026-06-01T08:00:00+00:00\n"
        "Subject: Offer\n\nWe accept.\n"
    )
    assert draft.meta["message_id"] == "<1@example.com>"
    assert draft.meta["date"] == "2026-06-01T08:00:00+00:00"
    assert draft.meta["to"] == "Bob <bob@example.com>"


def test_the_headers_of_the_way_give_the_zone_and_the_thread() -> None:
    way = "Date: Mon, 1 Jun 2026 10:00:00 +0200\r\nReferences: <8@x>\r\n <9@x>\r\nIn-Reply-To: <9@x>\r\n"
    meta = only("a.msg", Outlook({**_HEAD, 0x007D: way, 0x1000: "x"}).file()).meta
    assert meta["date"] == "2026-06-01T10:00:00+02:00"
    assert (meta["in_reply_to"], meta["references"]) == ("<9@x>", ["<8@x>", "<9@x>"])


def test_an_html_body_is_read() -> None:
    page = "<html><body><p>Grüße aus Köln</p></body></html>".encode("cp1252")
    assert only("a.msg", Outlook({**_HEAD, 0x1013: page, 0x3FDE: 1252}).file()).text.endswith("\n\nGrüße aus Köln\n")


def test_a_body_in_rtf_alone_is_read() -> None:
    rtf = rb"{\rtf1\ansi\ansicpg1252 The price is {\strike 900} 500\par and {\footnote a note}more words\par}"
    draft = only("a.msg", Outlook({**_HEAD, 0x1009: _packed(rtf)}).file())
    assert draft.text.endswith("\n\nThe price is [struck: 900] 500\nand [^1]more words\n[^1]: a note\n")


def test_html_wrapped_into_rtf_is_unwrapped() -> None:
    rtf = (
        rb"{\rtf1\ansi\ansicpg1251\fromhtml1 \deff0{\fonttbl{\f0\fcharset204 Arial;}}{\*\htmltag64 <html>}"
        rb"{\*\htmltag96 <p>}\htmlrtf {\htmlrtf0 \'cf\'f0 &lt; \u8364?{\*\htmltag84 <s>}\htmlrtf {\strike \htmlrtf0 old"
        rb"\htmlrtf }\htmlrtf0{\*\htmltag92 </s>}\htmlrtf\par}\htmlrtf0{\*\mhtmltag x}{\*\htmltag104 </p>}}"
    )
    assert only("a.msg", Outlook({**_HEAD, 0x1009: _packed(rtf)}).file()).text.endswith("\n\nПр < €[struck: old]\n")


def test_a_damaged_rtf_body_gives_what_can_be_decoded() -> None:
    rtf = _packed(rb"{\rtf1 " + b"".join(b"word%d " % number for number in range(500)) + b"}")
    draft = only("a.msg", Outlook({**_HEAD, 0x1009: rtf[: len(rtf) // 2]}).file())
    assert "word1 word2" in draft.text
    assert "the body is cut off (compressed RTF)" in draft.all_losses()


def test_a_stub_gives_way_to_the_html() -> None:
    item = Outlook({**_HEAD, 0x1000: "View this in a browser.", 0x1013: b"<p>Order 4711 cancelled by the shop</p>"})
    assert "Order 4711 cancelled" in only("a.msg", item.file()).text


@pytest.mark.parametrize(
    ("page", "codec", "text"), [(950, "cp950", "價格"), (1251, "cp1251", "Цена"), (932, "cp932", "価格")]
)
def test_texts_without_unicode_are_decoded_by_their_code_page(page: int, codec: str, text: str) -> None:
    item = Outlook({**_HEAD, 0x0037: text, 0x1000: f"{text}!", 0x3FFD: page}, codec=codec)
    draft = only("a.msg", item.file())
    assert draft.meta["subject"] == text
    assert draft.text.endswith(f"\n{text}!\n")


def test_attachments_and_messages_inside_are_documents_of_their_own() -> None:
    deepest = Outlook({**_HEAD, 0x0037: "Deepest", 0x1000: "It was 900."})
    inner = Outlook({**_HEAD, 0x0037: "Price: old", 0x0C1A: "Dee", 0x1000: "It was 500."}, attachments=[deepest])
    table: dict[int, Value] = {0x3707: "prices.csv", 0x3701: b"item,price\n", 0x370E: "text/csv"}
    blob: dict[int, Value] = {0x3704: "A.BIN", 0x3701: bytes(range(9))}
    image: dict[int, Value] = {0x3707: "i.png", 0x3701: b"\x89PNG", 0x3712: "<1>"}
    found = read("offer.msg", Outlook({**_HEAD, 0x1000: "See."}, attachments=[table, inner, blob, image]).file())
    names = [one.name for one in found]
    assert names == ["", "prices.csv", "A.BIN", "Price_ old.msg", "Price_ old.msg/Deepest.msg"]
    outer, prices, unread, message, _ = found
    assert isinstance(unread, Skipped)
    assert unread.size == 9
    assert not isinstance(outer, Skipped) and not isinstance(prices, Skipped) and not isinstance(message, Skipped)
    assert outer.meta["attachments"] == ["prices.csv", "Price_ old.msg", "A.BIN"]
    assert outer.all_losses() == ["1 inline image not shown"]
    assert "500" not in outer.text
    assert prices.text == "item,price\n"
    assert message.text.startswith("From: Dee <ann@example.com>\n")
    assert message.text.endswith("\n\nIt was 500.\n[message: Deepest.msg]\n")


def test_attachments_that_are_kept_elsewhere_are_losses() -> None:
    linked: dict[int, Value] = {0x3705: 2, 0x370D: r"\\server\plan.docx"}
    foreign: dict[int, Value] = {0x3705: 6, 0x3001: "sheet"}
    item = Outlook({**_HEAD, 0x1000: "x"}, attachments=[linked, foreign])
    assert only("a.msg", item.file()).all_losses() == [
        r"the attachment \\server\plan.docx is kept elsewhere",
        "1 embedded object not shown",
    ]


def test_the_fields_of_appointments_and_contacts_are_shown() -> None:
    meeting = Outlook(
        {0x001A: "IPM.Appointment", 0x0037: "Review", 0x8001: "Room 4", 0x8002: _SENT, 0x8003: ["red", "blue"]},
        names={0x8001: 0x8208, 0x8002: 0x820D, 0x8003: "Keywords"},
    )
    text = only("a.msg", meeting.file()).text
    assert "Subject: Review\nLocation: Room 4\nStart: 2026-06-01T08:00:00+00:00\nCategories: red, blue\n" in text
    person = Outlook({0x001A: "IPM.Contact", 0x3A06: "Ann", 0x3A16: "Example", 0x8001: "a@x"}, names={0x8001: 0x8083})
    assert "Given name: Ann\nCompany: Example\nE-mail: a@x\n" in only("a.oft", person.file()).text


def test_a_signed_message_is_read_from_its_attachment() -> None:
    mime = b"Content-Type: multipart/signed; boundary=B\n\n--B\n\nSigned words.\n--B--\n"
    item = Outlook({**_HEAD, 0x001A: "IPM.Note.SMIME.MultipartSigned"}, attachments=[{0x3701: mime}])
    assert "Signed words." in drafts("a.msg", item.file())[1].text


def test_files_of_outlook_that_no_reader_reads_are_named() -> None:
    assert format_of("mail.pst", b"!BDN\0\0").unread == "an Outlook data file (PST)"


def test_a_file_that_is_not_an_item_is_damaged() -> None:
    with pytest.raises(Unusable, match="a damaged Outlook message"):
        read("a.msg", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1no message")
    with pytest.raises(Unusable, match="a damaged Outlook message"):
        read("a.msg", compound_file({"WordDocument": b"x"}))


def test_forged_sizes_cost_no_memory() -> None:
    whole = Outlook({**_HEAD, 0x1000: "word " * 2_000}).file()
    with pytest.raises(Unusable, match="a damaged Outlook message"):
        read("a.msg", whole[:30] + b"\x1c\0" + whole[32:])
    entry = whole.index("__substg1.0_1000001F".encode("utf-16-le"))
    forged = whole[: entry + 120] + b"\xff\xff\xff\x7f" + whole[entry + 124 :]
    draft = only("a.msg", forged)
    assert "word" not in draft.text
    assert "1 damaged field not shown" in draft.all_losses()


def test_cut_files_never_end_in_another_error() -> None:
    whole = Outlook({**_HEAD, 0x1000: "word " * 2_000}, attachments=[{0x3707: "a.txt", 0x3701: b"x" * 5_000}]).file()
    for size in range(0, len(whole), 700):
        try:
            read("a.msg", whole[:size])
        except Unusable as error:
            assert "damaged" in error.reason or not size
