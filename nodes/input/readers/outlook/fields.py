"""The fields of Outlook's appointments, contacts and tasks, with their labels."""

from .storage import Storage

_LABELS = {
    0x0060: "Start",
    0x0061: "End",
    0x3A02: "Callback phone",
    0x3A05: "Suffix",
    0x3A06: "Given name",
    0x3A08: "Business phone",
    0x3A09: "Home phone",
    0x3A0A: "Initials",
    0x3A11: "Surname",
    0x3A15: "Postal address",
    0x3A16: "Company",
    0x3A17: "Title",
    0x3A18: "Department",
    0x3A19: "Office",
    0x3A1C: "Mobile phone",
    0x3A1F: "Other phone",
    0x3A21: "Pager",
    0x3A23: "Business fax",
    0x3A24: "Business fax",
    0x3A25: "Home fax",
    0x3A26: "Country",
    0x3A27: "City",
    0x3A28: "State",
    0x3A29: "Street",
    0x3A2A: "Postal code",
    0x3A30: "Assistant",
    0x3A41: "Anniversary",
    0x3A42: "Birthday",
    0x3A44: "Middle name",
    0x3A45: "Form of address",
    0x3A46: "Profession",
    0x3A48: "Spouse",
    0x3A4E: "Manager",
    0x3A4F: "Nickname",
    0x3A51: "Web page",
    0x3A58: "Children",
    0x3A59: "Home city",
    0x3A5A: "Home country",
    0x3A5B: "Home postal code",
    0x3A5C: "Home state",
    0x3A5D: "Home street",
}
_NAMED = {
    "0x8005": "File as",
    "0x801A": "Home address",
    "0x801B": "Business address",
    "0x801C": "Other address",
    "0x802B": "Web page",
    "0x8045": "Street",
    "0x8046": "City",
    "0x8047": "State",
    "0x8048": "Postal code",
    "0x8049": "Country",
    "0x8062": "Instant messages",
    "0x8080": "E-mail name",
    "0x8083": "E-mail",
    "0x8084": "E-mail name",
    "0x8090": "E-mail 2 name",
    "0x8093": "E-mail 2",
    "0x80A0": "E-mail 3 name",
    "0x80A3": "E-mail 3",
    "0x8104": "Start",
    "0x8105": "Due",
    "0x810F": "Completed",
    "0x811F": "Owner",
    "0x8121": "Delegated by",
    "0x8208": "Location",
    "0x820D": "Start",
    "0x820E": "End",
    "0x8232": "Recurrence",
    "0x8234": "Time zone",
    "0x8238": "Attendees",
    "0x823B": "Required",
    "0x823C": "Optional",
    "0x8530": "Flag",
    "0x8539": "Companies",
    "0x853A": "Contacts",
    "Keywords": "Categories",
}
_OF_MAIL = frozenset(["0x8530", "0x8539", "0x853A", "Keywords"])
"""Fields that a message has, too; its other named ones are for programs."""
_TECHNICAL = frozenset(["0x8554", "0x85E0", "0x85EB", "0x82E5", "0x8580", "0x8581"])
_PERSONAL = range(0x3A00, 0x3AFF)
_FIRST_NAMED = 0x8000
_TECHNICAL_PERSONAL = frozenset([0x3A00, 0x3A0D, 0x3A0F, 0x3A10, 0x3A40, 0x3A70, 0x3A71])
_LONGEST = 10_000


def fields(item: Storage, *, is_mail: bool) -> list[tuple[str, str]]:
    """Return the labels and values of an item's fields, each value once."""
    found: list[tuple[str, str]] = []
    seen: set[str] = set()
    for number in item.numbers:
        if label := _label(item, number, is_mail=is_mail):
            value = item.line(number)[:_LONGEST] or item.time(number)
            if value and value not in seen and "\0" not in value:
                seen.add(value)
                found.append((label, value))
    return found


def _label(item: Storage, number: int, *, is_mail: bool) -> str:
    """Return what a field is called; an empty text for a property that is not shown."""
    if number >= _FIRST_NAMED:
        name = item.file.names.get(number, "")
        if not name or name in _TECHNICAL or (is_mail and name not in _OF_MAIL):
            return ""
        return _NAMED.get(name, f"Field {name}")
    if is_mail or number in _TECHNICAL_PERSONAL:
        return ""
    return _LABELS.get(number, f"Field 0x{number:04X}" if number in _PERSONAL else "")
