"""Outlook items with a sentence in every part that they have."""

from random import Random

import compressed_rtf

from . import Planted, Sample, sentence
from .compound_file import Outlook, Value


def samples(random: Random) -> list[Sample]:
    """Make a message, an appointment and a contact."""
    planted: list[Planted] = []
    return [
        Sample("message.msg", _message(random, planted, 0).file(), planted),
        _fields(random, "IPM.Appointment", {0x8001: 0x8208, 0x8002: "Keywords", 0x8003: 0x823C, 0x8004: "Custom"}),
        _fields(random, "IPM.Contact", {0x3A06: 0, 0x3A16: 0, 0x3A17: 0, 0x3A08: 0, 0x8001: 0x8083, 0x8002: 0x801B}),
        _fields(random, "IPM.Task", {0x8001: 0x811F, 0x8002: 0x8539}),
    ]


def _message(random: Random, planted: list[Planted], level: int) -> Outlook:
    def plant(part: str, loss: str = "") -> str:
        text = sentence(random, f"{part.replace(' ', '')}{level}")
        planted.append(Planted(text, part, loss))
        return text

    values: dict[int, Value] = {0x001A: "IPM.Note", 0x0037: plant("subject"), 0x0C1A: plant("sender")}
    if random.random() < 0.5:
        values[0x0042] = plant("author")
    shape = random.randrange(5)
    if shape in (0, 1):
        values[0x1000] = plant("plain")
    if shape in (1, 2):
        values[0x1013] = f"<html><body>{plant('page')}</body></html>".encode()
    if shape == 3:
        rtf = rf"{{\rtf1\ansi {plant('rich')}\par{{\footnote {plant('footnote')}}}\par}}"
        values[0x1009] = bytes(compressed_rtf.compress(rtf.encode()))
    if shape == 4:
        tags = rf"{{\*\htmltag64 <p>}}\htmlrtf {{\htmlrtf0 {plant('wrapped')}\htmlrtf\par}}\htmlrtf0{{\*\htmltag </p>}}"
        values[0x1009] = bytes(compressed_rtf.compress(rf"{{\rtf1\ansi\fromhtml1 {tags}}}".encode()))
    people: list[dict[int, Value]] = [{0x3001: plant(f"recipient{kind}"), 0x0C15: kind} for kind in (1, 2, 3)]
    attachments: list[dict[int, Value] | Outlook] = []
    if random.random() < 0.6:
        attachments.append({0x3707: "a.txt", 0x3701: plant("attachment").encode(), 0x370E: "text/plain"})
    if random.random() < 0.4:
        attachments.append({0x3705: 6, 0x3001: plant("object", "object"), 0x3701: b"\0\1"})
    if random.random() < 0.4 and level < 4:
        attachments.append(_message(random, planted, level + 1))
    return Outlook(values, people, attachments, codec=random.choice(["", "cp1252"]))


def _fields(random: Random, kind: str, numbers: dict[int, int | str]) -> Sample:
    planted = [Planted(sentence(random, f"field{number:x}"), "field") for number in numbers]
    values: dict[int, Value] = {0x001A: kind, 0x0037: "An item"}
    values |= {number: one.sentence for number, one in zip(numbers, planted, strict=True)}
    names = {number: name for number, name in numbers.items() if number >= 0x8000}
    return Sample(f"{kind}.msg", Outlook(values, names=names).file(), planted)
