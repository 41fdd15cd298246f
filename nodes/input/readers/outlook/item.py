"""Outlook items (.msg, .oft): one document an item, with its headers or fields and its body.

The body is the plain text, the HTML, or RTF, which may only wrap HTML; the version with the content is shown.
Messages inside of a message are documents of their own, attachments are read by their readers.
"""

import re

from ...draft import Draft, GivenFile, Read, Skipped, Unusable
from ..mail.attached import Attached
from ..mail.mail import iso_date
from ..mail.mime import Headers, split_head
from .body import body
from .fields import fields
from .storage import CompoundFile, Storage

_LARGEST = 256 << 20
_DEEPEST = 10
_LONGEST_HEADER = 10_000
_MOST_RECIPIENTS = 20_000
_TO, _CC, _BCC = 1, 2, 3
_BY_REFERENCE = (2, 3, 4, 7)
_OBJECT = 6
"""Ways of attaching: a file that is elsewhere, and an object of another program."""
_REFERENCE = re.compile(r"<[^<>\s]{1,990}>")


def read(given: GivenFile) -> Read:
    """Yield the item, then what is in it. Raises Unusable for a file that is not one, or is too large."""
    if given.size > _LARGEST:
        raise Unusable(f"too large (over {_LARGEST >> 20} MiB)", "Save it as text first.")
    file = CompoundFile.of(given.file)
    if not any(name.startswith("__") for name in file.children.get((), [])):
        raise Unusable("a damaged Outlook message", "It has no properties.")
    yield from _item(given, file, (), "", 0)


def _item(given: GivenFile, file: CompoundFile, path: tuple[str, ...], name: str, depth: int) -> Read:
    """Yield an item and what is in it. `name`: its path inside the file."""
    draft = Draft("Outlook message", name)
    item = Storage(file, path, draft.lose)
    item_class = item.line(0x001A)
    if item_class:
        draft.meta["class"] = item_class
    is_mail = item_class.upper().startswith(("IPM.NOTE", "REPORT", "IPM.POST")) or not item_class
    headers, _ = split_head(raw := item.text(0x007D).encode("utf-8", "replace"), 0, len(raw))
    _write_head(item, headers, draft, is_mail=is_mail)
    draft.write(body(item, draft))
    attached = Attached()
    inner = [_attach(one, attached, draft, item_class) for one in item.inner("__attach_version1.0_")]
    if attached.names:
        draft.meta["attachments"] = attached.names
    draft.not_shown("damaged field", file.take_damaged())
    yield draft
    yield from attached.documents(given, name)
    for label, storage in filter(None, inner):
        inside = f"{name}/{label}" if name else label
        if depth >= _DEEPEST:
            yield Skipped(inside, f"more than {_DEEPEST} messages deep", 0)
        else:
            yield from _item(given, file, storage.path, inside, depth + 1)


def _write_head(item: Storage, headers: Headers, draft: Draft, *, is_mail: bool) -> None:
    sender = _person(item.line(0x0C1A), item.line(0x5D01), item.line(0x0C1F))
    author = _person(item.line(0x0042), item.line(0x5D02), item.line(0x0065)) or sender
    people = _recipients(item, draft)
    lines = {
        "From": author or headers.text("from"),
        "Sender": sender if sender != author else "",
        "To": people[_TO] or item.line(0x0E04) or headers.text("to"),
        "Cc": people[_CC] or item.line(0x0E03) or headers.text("cc"),
        "Bcc": people[_BCC] or item.line(0x0E02) or headers.text("bcc"),
    }
    sent = iso_date(headers.text("date")) if "date" in headers else ""
    date = sent or next(filter(None, map(item.time, (0x0039, 0x0E06, 0x3007))), "")
    lines |= {"Date": date, "Subject": item.line(0x0037) or item.line(0x0E1D) or headers.text("subject")}
    for label, text in lines.items():
        if len(text) > _LONGEST_HEADER:
            draft.lose(f"{label} is shown up to {_LONGEST_HEADER:,} of {len(text):,} characters")
            text = text[:_LONGEST_HEADER] + " …"
        if text:
            draft.write(f"{label}: {text}\n")
            if label != "Sender":
                draft.meta[label.lower()] = text
    for label, text in fields(item, is_mail=is_mail):
        draft.write(f"{label}: {text}\n")
    draft.write("\n")
    for key, number in (("message_id", 0x1035), ("in_reply_to", 0x1042)):
        if text := item.line(number) or headers.text(key.replace("_", "-")):
            draft.meta[key] = text[:1_000]
    if text := item.line(0x1039) or headers.text("references", " "):
        draft.meta["references"] = (_REFERENCE.findall(text) or text.split())[:1_000]


def _person(name: str, smtp: str, address: str) -> str:
    """Return a person as headers name one. Addresses of Exchange (`/O=…`) are no addresses to others."""
    mail = smtp or (address if "@" in address else "")
    if name and mail and mail.lower() != name.lower():
        return f"{name} <{mail}>"
    return name or mail or address


def _recipients(item: Storage, draft: Draft) -> dict[int, str]:
    people: dict[int, list[str]] = {_TO: [], _CC: [], _BCC: []}
    all_of_them = item.inner("__recip_version1.0_")
    for one in all_of_them[:_MOST_RECIPIENTS]:
        person = _person(one.line(0x3001), one.line(0x39FE), one.line(0x3003))
        if person:
            people.get(one.number(0x0C15) & 15, people[_TO]).append(person)
    draft.not_shown("further recipient", max(0, len(all_of_them) - _MOST_RECIPIENTS))
    return {kind: ", ".join(names) for kind, names in people.items()}


def _attach(one: Storage, attached: Attached, draft: Draft, item_class: str) -> tuple[str, Storage] | None:
    """Note an attachment in the text. Return a message that is attached, with its name."""
    name = one.line(0x3707) or one.line(0x3704) or one.line(0x3001)
    method = one.number(0x3705)
    if inner := one.child("__substg1.0_3701000D") if method != _OBJECT else None:
        attached.messages += 1
        label = attached.name(name if name.lower().endswith(".msg") else f"{name}.msg" if name else "")
        draft.write(f"[message: {label}]\n")
        return label, inner
    if method == _OBJECT:
        draft.not_shown("embedded object")
    elif one.has_data(0x3701):
        _attach_data(one, name, attached, draft, item_class)
    elif method in _BY_REFERENCE:
        place = one.line(0x370D) or one.line(0x3708) or name
        draft.lose(f"the attachment {place[:200]} is kept elsewhere")
    else:
        draft.lose(f"the attachment {name[:200]} is empty".replace("  ", " "))
    return None


def _attach_data(one: Storage, name: str, attached: Attached, draft: Draft, item_class: str) -> None:
    data, content_type = one.data(0x3701), one.line(0x370E).lower()
    if item_class.upper().endswith("SMIME.MULTIPARTSIGNED"):
        # The whole message with its signature.
        draft.write(f"[message: {attached.add_message('', data)}]\n")
        return
    if item_class.upper().endswith(".SMIME"):
        draft.lose("the body is encrypted or signed (S/MIME) and cannot be read")
        return
    is_image = content_type.startswith("image/") or name.lower().endswith((".png", ".gif", ".jpg", ".jpeg", ".bmp"))
    if is_image and (one.number(0x7FFE) or one.line(0x3712)):
        draft.not_shown("inline image")
        return
    draft.write(f"[attachment: {attached.add(name, data, content_type)}]\n")
