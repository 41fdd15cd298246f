"""E-mail: one document a message, nothing of its tree lost."""

import time

import pytest

from durable_rlm.nodes.input.draft import Draft, Skipped, Unusable
from durable_rlm.nodes.input.formats import format_of
from durable_rlm.nodes.input.readers.mail import mail

from ..reading import drafts, only, read

_HEAD = b"From: a@example.com\nTo: b@example.com\nSubject: Offer\n"


def _multipart(kind: str, *parts: str, head: bytes = _HEAD) -> bytes:
    body = "".join(f"--B\n{part}\n" for part in parts)
    return head + f"MIME-Version: 1.0\nContent-Type: multipart/{kind}; boundary=B\n\n{body}--B--\n".encode()


def _body(data: bytes) -> str:
    return only("m.eml", data).text.partition("\n\n")[2]


def test_headers_stand_above_the_text_and_in_the_metadata() -> None:
    message = (
        b"Received: from x\nFrom: =?utf-8?q?J=C3=B6rg?= <a@example.com>\nTo: b@example.com,\n c@example.com\n"
        b"Date: Mon, 1 Jun 2026 10:00:00 +0200\nSubject: =?utf-8?b?UHJlaXM=?=\n =?utf-8?q?=3A_4?=\nMessage-ID: <1@x>\n"
        b"In-Reply-To: <0@x>\nReferences: <8@x>\n <0@x>\n\nWe accept.\n"
    )
    draft = only("offer.eml", message)
    assert draft.text == (
        "From: Jörg <a@example.com>\nTo: b@example.com, c@example.com\nDate: Mon, 1 Jun 2026 10:00:00 +0200\n"
        "Subject: Preis: 4\n\nWe accept.\n"
    )
    assert draft.meta == {
        "kind": "e-mail",
        "from": "Jörg <a@example.com>",
        "to": "b@example.com, c@example.com",
        "subject": "Preis: 4",
        "date": "2026-06-01T10:00:00+02:00",
        "message_id": "<1@x>",
        "in_reply_to": "<0@x>",
        "references": ["<8@x>", "<0@x>"],
    }
    assert not draft.all_losses()


def test_a_date_that_is_not_one_stays_as_it_is() -> None:
    assert only("m.eml", b"From: a@x\nDate: next week\n\nx\n").meta["date"] == "next week"


def test_a_stub_gives_way_to_the_html() -> None:
    stub = "Content-Type: text/plain\n\nThis message needs a mail program that shows HTML."
    page = "Content-Type: text/html\n\n<table><tr><td>Order 4711</td><td>cancelled by the shop</td></tr></table>"
    draft = only("m.eml", _multipart("alternative", stub, page))
    assert "Order 4711\tcancelled by the shop" in draft.text
    assert "needs a mail program" not in draft.text
    assert draft.all_losses() == ["another version of the body not shown, with 9 words that differ"]


def test_plain_text_is_preferred_to_html_that_says_the_same() -> None:
    plain = "Content-Type: text/plain\n\nWe accept\nthe price of 4,200 EUR."
    page = "Content-Type: text/html\n\n<p>We accept the price of <b>4,200 EUR</b>.</p>"
    draft = only("m.eml", _multipart("alternative", plain, page))
    assert draft.text.endswith("We accept\nthe price of 4,200 EUR.\n")
    assert not draft.all_losses()


def test_versions_that_have_little_in_common_are_both_shown() -> None:
    plain = "Content-Type: text/plain\n\nThe invoice is due on Monday."
    page = "Content-Type: text/html\n\n<p>We cancelled your order yesterday.</p>"
    draft = only("m.eml", _multipart("alternative", plain, page))
    assert draft.text.endswith("The invoice is due on Monday.\n\nWe cancelled your order yesterday.\n")
    assert not draft.all_losses()


def test_words_of_the_other_version_are_counted() -> None:
    plain = "Content-Type: text/plain\n\nThe price of bolts is four euros since the first of May, delivery included."
    page = "Content-Type: text/html\n\n<p>The price of bolts is four euros since May plus three for each box"
    draft = only("m.eml", _multipart("alternative", plain, page))
    assert draft.all_losses() == ["another version of the body not shown, with 3 words that differ"]


def test_a_body_with_a_name_is_still_the_body() -> None:
    draft = only("m.eml", _HEAD + b"Content-Type: text/plain; name=body.txt\n\nThe body.\n")
    assert draft.text.endswith("\n\nThe body.\n")


def test_the_title_of_a_page_is_shown_once() -> None:
    head = _HEAD + b"Content-Type: text/html\n\n<title>Your order</title>"
    assert _body(head + b"<p>Shipped.") == "Your order\n\nShipped.\n"
    assert _body(head + b"<p>Your order is shipped.") == "Your order is shipped.\n"


def test_an_html_body_stands_above_the_footer_of_a_list() -> None:
    page = "Content-Type: text/html\n\n<p>We accept the price of <b>4,200 EUR</b> if signed before 15 June.</p>"
    footer = "Content-Type: text/plain\n\n_______________\nlist mailing list"
    assert _body(_multipart("mixed", page, footer)) == (
        "We accept the price of 4,200 EUR if signed before 15 June.\n\n_______________\nlist mailing list\n"
    )


def test_a_message_in_utf_16_is_read() -> None:
    message = "From: a@example.com\r\nSubject: Saved\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\nGrüße.\r\n"
    draft = only("m.eml", message.encode("utf-16"))
    assert draft.text == "From: a@example.com\nSubject: Saved\n\nGrüße.\n"
    assert draft.meta["encoding"] == "UTF-16"


def test_a_wide_message_is_utf_8_within_whatever_its_parts_declare() -> None:
    inner = "From: c@x\nContent-Type: text/plain; charset=koi8-r\n\nЦена 5\n"
    message = f"From: a@x\nContent-Type: message/rfc822\n\n{inner}"
    assert drafts("m.eml", message.encode("utf-16"))[1].text.endswith("\n\nЦена 5\n")
    assert only("m.eml", inner.encode("utf-16-le")).text.endswith("\n\nЦена 5\n")


def test_a_line_among_the_headers_that_is_not_one_is_counted() -> None:
    draft = only("m.eml", b"From: a@x\nnonsense here\nSubject: s\n\nBody.\n")
    assert draft.text == "From: a@x\nSubject: s\n\nBody.\n"
    assert draft.all_losses() == ["1 damaged header line not shown"]


def test_base64_cut_within_a_character_is_decoded_as_far_as_it_goes() -> None:
    draft = only("m.eml", _HEAD + b"Content-Transfer-Encoding: base64\n\nV2UgYWNjZ")
    assert draft.text.endswith("\n\nWe acc\n")
    assert draft.all_losses() == ["the body is damaged (base64); decoded as far as possible"]


def test_parts_beyond_a_limit_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mail, "_MOST_PARTS", 3)
    draft = only("m.eml", _multipart("mixed", "\none", "\ntwo", "\nthree", "\nfour"))
    assert draft.text.endswith("\n\none\n\ntwo\n")
    assert draft.all_losses() == ["2 further parts not shown"]


def test_an_attached_message_is_a_document_with_its_own_headers() -> None:
    inner = "Content-Type: message/rfc822\n\nFrom: c@example.com\nSubject: Price\n\nIt was 500."
    named = 'Content-Type: message/rfc822; name="old offer"\n\nFrom: d@example.com\nSubject: Old\n\nIt was 900.'
    outer, first, second = drafts("m.eml", _multipart("mixed", "\nSee below.", inner, named))
    assert [outer.name, first.name, second.name] == ["", "message-1", "old offer.eml"]
    assert "500" not in outer.text
    assert "[message: message-1]" in outer.text
    assert first.text == "From: c@example.com\nSubject: Price\n\nIt was 500.\n"
    assert second.meta["from"] == "d@example.com"


def test_the_messages_of_a_digest_are_documents() -> None:
    digest = _multipart("digest", "\nFrom: c@x\nSubject: One\n\nFirst.", "\nFrom: d@x\nSubject: Two\n\nSecond.")
    assert [one.meta["subject"] for one in drafts("m.eml", digest)] == ["Offer", "One", "Two"]


def test_attachments_are_read_by_their_readers_or_named() -> None:
    table = 'Content-Type: text/csv; name="prices.csv"\nContent-Disposition: attachment\n\nitem,price\nbolt,4'
    blob = (
        "Content-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n"
        "Content-Disposition: attachment; filename*0*=utf-8''a%20; filename*1=b.bin\n\nAAECAwQFBgcICQ=="
    )
    message, prices, unread = read("offer.eml", _multipart("mixed", "\nHello.", table, blob))
    assert isinstance(message, Draft)
    assert isinstance(prices, Draft)
    assert isinstance(unread, Skipped)
    assert message.meta["attachments"] == ["prices.csv", "a b.bin"]
    assert "[attachment: prices.csv]" in message.text
    assert (prices.name, prices.text) == ("prices.csv", "item,price\nbolt,4")
    assert (unread.name, unread.size) == ("a b.bin", 10)


def test_equal_names_of_attachments_become_different_ones() -> None:
    part = 'Content-Type: text/csv\nContent-Disposition: attachment; filename="../a.csv"\n\nx'
    assert [one.name for one in drafts("m.eml", _multipart("mixed", part, part))] == ["", "_a.csv", "_a (2).csv"]


def test_inline_images_are_counted() -> None:
    image = "Content-Type: image/png\nContent-ID: <1>\nContent-Transfer-Encoding: base64\n\nAAEC"
    page = "Content-Type: text/html\n\n<p>Look: <img src=cid:1 alt='the chart'></p>"
    draft = only("m.eml", _multipart("related", page, image, image))
    assert draft.all_losses() == ["2 inline images not shown"]
    assert "the chart" in draft.text


def test_a_calendar_stands_beside_the_alternatives() -> None:
    entry = (
        "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VEVENT\nSUMMARY:Meeting about\n  the price\nEND:VEVENT"
    )
    plain, page = "Content-Type: text/plain\n\nCome.", "Content-Type: text/html\n\n<p>Come."
    body = _body(_multipart("alternative", plain, page, entry))
    assert "Come." in body
    assert "SUMMARY:Meeting about the price" in body


def test_signatures_are_noted_and_encrypted_bodies_are_losses() -> None:
    signed = _multipart("signed", "\nSigned words.", "Content-Type: application/pgp-signature\n\n-----BEGIN")
    draft = only("m.eml", signed)
    assert draft.text.endswith("\n\nSigned words.\n")
    assert draft.meta["signature"] == "PGP"
    assert only("m.eml", _multipart("encrypted", "\nx", "\ny")).all_losses() == [
        "the body is encrypted and cannot be read"
    ]
    smime = _HEAD + b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\nAAAA\n"
    assert only("m.eml", smime).all_losses() == ["a body that is encrypted (S/MIME) cannot be read"]


def test_flowed_text_is_joined() -> None:
    flowed = b"Content-Type: text/plain; format=flowed\n\nOne paragraph \non two lines.\n> quoted \n> too\n-- \nme\n"
    assert _body(_HEAD + flowed) == "One paragraph on two lines.\n> quoted too\n-- \nme\n"


def test_files_written_into_the_text_are_attachments() -> None:
    uu = b"\nSee:\nbegin 644 a.csv\n%:71E;0H \n \nend\nbegin 100 words\nEnd.\n"
    message, table = drafts("m.eml", _HEAD + uu)
    assert message.text.endswith("See:\n[attachment: a.csv]\nbegin 100 words\nEnd.\n")
    assert (table.name, table.text) == ("a.csv", "item\n")
    yenc = (
        b"\n=ybegin line=128 size=5 name=b.csv\n" + bytes((byte + 42) % 256 for byte in b"a,b\n") + b"\n=yend size=4\n"
    )
    assert drafts("m.eml", _HEAD + yenc)[1].text == "a,b\n"


@pytest.mark.parametrize(
    ("charset", "data", "text", "loss"),
    [
        ('"utf-8"content-transfer-encoding: 8bit', "Grüße".encode(), "Grüße", ""),
        ("windows-950", "價格".encode("cp950"), "價格", ""),
        ("iso-8859-1", "Preis 5 €".encode("cp1252"), "Preis 5 €", ""),
        ("x-unknown", "Grüße aus Köln".encode("cp1252"), "Grüße aus Köln", "as x-unknown is unknown"),
        ("base64", b"Hello", "Hello", ""),
        ("us-ascii", "Grüße".encode(), "Grüße", ""),
        ("utf-8", "Grüße aus Köln".encode("cp1252"), "Grüße aus Köln", "though UTF-8 is declared"),
        ("iso-2022-jp", "価格".encode("iso2022_jp"), "価格", ""),
        ("iso-8859-1", "Grüße".encode(), "Grüße", "read as UTF-8, though iso-8859-1 is declared"),
        ("big5", "Grüße".encode(), "Grüße", "read as UTF-8, though big5 is declared"),
    ],
)
def test_bodies_are_decoded_by_their_declared_encoding_or_a_guess_that_is_said(
    charset: str, data: bytes, text: str, loss: str
) -> None:
    draft = only("m.eml", _HEAD + f"Content-Type: text/plain; charset={charset}\n\n".encode() + data)
    assert draft.text.endswith(f"\n\n{text}\n")
    assert (not draft.all_losses()) if not loss else loss in draft.all_losses()[0]


def test_raw_bytes_in_headers_are_decoded() -> None:
    assert only("m.eml", "From: a@x\nSubject: Grüße\n\nx".encode("cp1252")).meta["subject"] == "Grüße"


@pytest.mark.parametrize("encoding", ["base64", "quoted-printable"])
def test_damaged_encodings_give_what_can_be_decoded(encoding: str) -> None:
    body = b"V2UgYWNj!ZXB0Lg==\nVGhlIHByaWNl" if encoding == "base64" else b"We acc=65pt. =ZZ The=\n price"
    draft = only("m.eml", _HEAD + f"Content-Transfer-Encoding: {encoding}\n\n".encode() + body)
    assert "We accept." in draft.text
    assert "The price" in draft.text
    assert "damaged" in draft.all_losses()[0]


def test_text_around_the_parts_is_kept_but_not_the_notice() -> None:
    message = _multipart("mixed", "\nBody.").replace(
        b"\n\n--B", b"\n\nThis is a multi-part message in MIME format.\n--B"
    )
    assert _body(message + b"Scanned by the gateway.\n") == "Body.\n\nScanned by the gateway.\n"


def test_a_multipart_body_without_its_boundary_is_shown() -> None:
    draft = only("m.eml", _HEAD + b"Content-Type: multipart/mixed; boundary=Z\n\nWords without parts.\n")
    assert "Words without parts." in draft.text
    assert draft.all_losses() == ["a damaged body, whose parts are not marked, is shown as it is"]


def test_an_emlx_is_a_message_between_its_length_and_a_list() -> None:
    message = b"From: a@x\n\nBody.\n"
    trailer = b'<?xml version="1.0"?>\n<plist><dict><key>flags</key></dict></plist>\n'
    draft = only("1.emlx", f"{len(message)}\n".encode() + message + trailer)
    assert draft.text == "From: a@x\n\nBody.\n"
    assert not draft.all_losses()
    draft = only("1.emlx", b"7\n" + message + trailer)
    assert draft.text == "From: a@x\n\nBody.\n"
    assert draft.all_losses() == ["its length is not the one that the file states"]


def test_a_file_without_headers_is_damaged() -> None:
    with pytest.raises(Unusable, match="a damaged e-mail"):
        read("m.eml", b"Hello\n\nWorld\n")


def test_a_maildir_message_is_recognized_without_a_suffix() -> None:
    message = b"Return-Path: <a@x>\nReceived: by y\nFrom: a@x\nSubject: s\n\nBody.\n"
    assert only("1204680122.M27c448P1.host,S=80:2,S", message).meta["kind"] == "e-mail"
    assert format_of("Mail/cur/a.b:2,S", b"From: a@x\nSubject: s\n\nBody.\n").kind == "e-mail"
    assert format_of("42", message).kind == "e-mail"
    assert format_of("notes.txt", message).kind == "text"
    assert format_of("42", b"From: here to there\n\nA story.\n").kind == "text"


def _nested(depth: int) -> bytes:
    return b"From: a@x\nContent-Type: message/rfc822\n\n" * depth + b"From: a@x\n\nend\n"


@pytest.mark.parametrize(
    "data",
    [
        _nested(3_000),
        _HEAD + b"Content-Type: text/plain" + b'; a*0="b' * 20_000 + b"\n\nx\n",
        _HEAD + b"Content-Type: text/plain" + b"; a*0*=b" * 20_000 + b"\n\nx\n",
        b"Subject: " + b"=?utf-8?q?a?= " * 50_000 + b"\n\nx\n",
        _HEAD + b"Content-Type: multipart/mixed; boundary=B\n\n" + b"--B\n\nx\n" * 50_000,
        _HEAD + b"\n" + b"begin 644 x\n" * 20_000,
        b"A:\n" * 200_000 + b"From: x\n\nx",
    ],
)
def test_hostile_messages_take_linear_time(data: bytes) -> None:
    began = time.process_time()
    assert read("m.eml", data)
    assert time.process_time() - began < 4


def test_multipart_bodies_end_at_a_depth_that_is_said() -> None:
    body = "\nwords"
    for level in range(60):
        body = f"Content-Type: multipart/mixed; boundary=B{level}x\n\n--B{level}x\n{body}\n--B{level}x--"
    assert "parts nested more than 50 deep not shown" in only("m.eml", _HEAD + body.encode()).all_losses()


def test_a_comment_in_the_html_of_a_message_is_counted() -> None:
    page = b"Content-Type: text/html\n\n<p>The price.</p><!-- The real price is nine hundred. -->\n"
    draft = only("m.eml", _HEAD + page)
    assert draft.text.endswith("The price.\n") and draft.all_losses() == ["1 comment not shown"]
