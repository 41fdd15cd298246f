"""Outlook containers in mail: the body and the attachments of the message."""

import struct

import compressed_rtf
import pytest

from durable_rlm.nodes.input.draft import Unusable

from ..reading import drafts, read


def _attribute(level: int, number: int, value: bytes) -> bytes:
    return struct.pack("<BII", level, number, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def _container(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def _property(kind: int, number: int, value: bytes) -> bytes:
    if kind not in (0x1E, 0x1F, 0x102, 0x0D):
        return struct.pack("<HH", kind, number) + value
    padded = value.ljust(-(-len(value) // 4) * 4, b"\0")
    return struct.pack("<HHII", kind, number, 1, len(value)) + padded


def _properties(*properties: bytes) -> bytes:
    return struct.pack("<I", len(properties)) + b"".join(properties)


def test_body_and_attachments_are_read() -> None:
    rtf = compressed_rtf.compress(rb"{\rtf1\ansi We accept {\strike 900} 500\par}")
    named = struct.pack("<HH16sII", 3, 0x8001, bytes(16), 0, 7) + bytes(4)
    data = _container(
        _attribute(1, 0x00069007, struct.pack("<II", 1252, 0)),
        _attribute(1, 0x00018004, "Grüße\0".encode("cp1252")),
        _attribute(1, 0x00069003, _properties(named, _property(3, 0x10, bytes(4)), _property(0x102, 0x1009, rtf))),
        _attribute(2, 0x00069002, bytes(14)),
        _attribute(2, 0x00018010, b"PRICES.CSV\0"),
        _attribute(2, 0x0006800F, b"item,price\n"),
        _attribute(2, 0x00069005, _properties(_property(0x1F, 0x3707, "prices of May.csv".encode("utf-16-le")))),
    )
    message, prices = drafts("winmail.dat", data)
    assert message.text == "Subject: Grüße\n\nWe accept [struck: 900] 500\n[attachment: prices of May.csv]\n"
    assert (prices.name, prices.text) == ("prices of May.csv", "item,price\n")


def test_a_message_inside_is_read_too() -> None:
    inner = _container(_attribute(1, 0x00018004, b"Inner\0"), _attribute(1, 0x0002800C, b"It was 500.\0"))
    attached = _properties(_property(0x1E, 0x3001, b"old\0"), _property(0x0D, 0x3701, bytes(16) + inner))
    found = drafts("a.tnef", _container(_attribute(2, 0x00069002, bytes(14)), _attribute(2, 0x00069005, attached)))
    assert [(one.name, one.text) for one in found] == [("old.tnef", "Subject: Inner\n\nIt was 500.\n")]


def test_a_cut_container_gives_what_is_there() -> None:
    data = _container(_attribute(1, 0x0002800C, b"We accept.\0"), _attribute(1, 0x00069003, _properties(bytes(40))))
    [message] = drafts("a.tnef", data[:-30])
    assert message.text == "We accept.\n"
    assert message.losses


def test_containers_in_mail_are_found_by_their_type() -> None:
    head = b"From: a@x\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: 8bit\n\n"
    assert drafts("m.eml", head + _container(_attribute(1, 0x0002800C, b"Words.\0")))[1].text == "Words.\n"


@pytest.mark.parametrize("data", [b"", b"no container", _container()])
def test_a_file_that_gives_nothing_is_unusable(data: bytes) -> None:
    with pytest.raises(Unusable):
        read("a.tnef", data)
