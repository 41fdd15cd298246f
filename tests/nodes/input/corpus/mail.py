"""Messages and mailboxes with a sentence in every part that mail has."""

import base64
import quopri
from random import Random

from . import Planted, Sample, sentence

_CHARSETS = ["utf-8", "iso-8859-1", "windows-1252", "us-ascii", "utf-16", "x-unknown", "iso-2022-jp", ""]


class _Message:
    """A message under construction, and what is planted in it."""

    def __init__(self, random: Random, level: int = 0) -> None:
        self.random = random
        self.level = level
        self.planted: list[Planted] = []

    def plant(self, part: str, loss: str = "") -> str:
        text = sentence(self.random, f"{part.replace(' ', '')}{self.level}")
        self.planted.append(Planted(text, part, loss))
        return text

    def encoded(self, kind: str, text: str, **parameters: str) -> bytes:
        """Return a part: its headers and its content in some encoding."""
        charset = self.random.choice(_CHARSETS)
        data = text.encode(charset if charset not in ("", "x-unknown") else "utf-8")
        named = "".join(f"; {name}={value}" for name, value in parameters.items())
        head = f"Content-Type: {kind}{named}" + (f'; charset="{charset}"' if charset else "")
        ways = ["base64", "quoted-printable", "8bit", ""]
        # Quoted-printable cuts lines within the characters of UTF-16.
        way = self.random.choice(ways) if charset != "utf-16" else "base64"
        if way == "base64":
            data = base64.encodebytes(data)
        elif way == "quoted-printable":
            data = quopri.encodestring(data)
        return head.encode() + (f"\nContent-Transfer-Encoding: {way}" if way else "").encode() + b"\n\n" + data + b"\n"

    def multipart(self, kind: str, parts: list[bytes], around: bool = True) -> bytes:
        boundary = f"=_{self.random.randrange(10**9)}"
        before = (
            self.plant("preamble") if around and self.random.random() < 0.2 else "This is a multi-part MIME message."
        )
        after = self.plant("epilogue") if around and self.random.random() < 0.2 else ""
        body = b"".join(f"--{boundary}\n".encode() + part + b"\n" for part in parts)
        head = f'Content-Type: multipart/{kind}; boundary="{boundary}"\n\n{before}\n'
        return head.encode() + body + f"--{boundary}--\n{after}\n".encode()

    def body(self) -> bytes:
        random = self.random
        plain, page = self.plant("plain"), self.plant("page")
        shape = random.randrange(6)
        if shape == 0:
            return self.encoded("text/plain", f"{plain} {page}")
        html = (
            f"<html><body><p>{page}</p><del>{self.plant('deleted')}</del><img alt='{self.plant('alternative')}'></body>"
        )
        parts = [self.encoded("text/plain", plain), self.encoded("text/html", html)]
        if shape == 1:
            return self.multipart("alternative", parts)
        if shape == 2:
            image = b"Content-Type: image/png\nContent-ID: <1>\nContent-Transfer-Encoding: base64\n\niVBORw0=\n"
            return self.multipart("related", [parts[1], image, parts[0]])
        if shape == 3:
            entry = self.encoded("text/calendar", f"BEGIN:VEVENT\nSUMMARY:{self.plant('calendar')}\nEND:VEVENT")
            return self.multipart("alternative", [*parts, entry])
        if shape == 4:
            signature = b"Content-Type: application/pgp-signature\n\n-----BEGIN PGP SIGNATURE-----\n"
            return self.multipart("signed", [self.multipart("mixed", parts), signature])
        return self.multipart("mixed", [parts[1], parts[0]])

    def whole(self) -> bytes:
        random = self.random
        subject = self.plant("subject")
        word = base64.b64encode(subject.encode()).decode()
        head = (
            f"From: {self.plant('sender')} <a@example.com>\nTo: b@example.com\nDate: Mon, 1 Jun 2026 10:00:00 +0200\n"
        )
        head += random.choice([f"Subject: {subject}\n", f"Subject: =?utf-8?B?{word}?=\n"])
        if random.random() < 0.5:
            head += f"Bcc: {self.plant('blind')}\n"
        parts = [self.body()]
        if random.random() < 0.5:
            text = self.plant("attachment")
            disposition = b'\nContent-Disposition: attachment; filename="a.txt"'
            kind, rest = self.encoded("text/plain", text).split(b"\n", 1)
            parts.append(kind + disposition + b"\n" + rest)
        if random.random() < 0.3 and self.level < 3:
            inner = _Message(random, self.level + 1)
            parts.append(b"Content-Type: message/rfc822\n\n" + inner.whole())
            self.planted += inner.planted
        if random.random() < 0.2:
            parts.append(b"Content-Type: text/x-vcard\n\nBEGIN:VCARD\nNOTE:" + self.plant("card").encode() + b"\n")
        if random.random() < 0.2:
            secret = self.plant("encrypted", "encrypted")
            hidden = base64.encodebytes(bytes(byte ^ 0x55 for byte in secret.encode()))
            parts.append(b"Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\n" + hidden)
        return head.encode() + (parts[0] if len(parts) == 1 else self.multipart("mixed", parts))


def samples(random: Random) -> list[Sample]:
    """Make a message and a mailbox of some."""
    one = _Message(random)
    data = one.whole()
    if random.random() < 0.3:
        data = data.replace(b"\n", b"\r\n")
    wide = b"\xff\xfe" + f"From: a@x\nSubject: {one.planted[0].sentence}\n\nbody\n".encode("utf-16-le")
    several = [_Message(random) for _ in range(random.randint(1, 4))]
    box = b""
    for message in several:
        lines = message.whole().replace(b"\nFrom ", b"\n>From ")
        paragraph = message.plant("paragraph")
        box += b"From a@example.com Mon Jun  1 10:00:00 2026\n" + lines.rstrip() + b"\n\n"
        box += f"From a@example.com Mon Jun  1 10:00:00 2026\nSubject: x\n\nText\n\nFrom {paragraph}\nend\n\n".encode()
    return [
        Sample("message.eml", data, one.planted),
        Sample("message.emlx", f"{len(data)}\n".encode() + data + b'<?xml version="1.0"?><plist></plist>', one.planted),
        Sample("wide.eml", wide, [one.planted[0]]),
        Sample("box.mbox", box, [planted for message in several for planted in message.planted]),
    ]
