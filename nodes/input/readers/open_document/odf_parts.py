"""Parts of OpenDocument files beside the text: properties, tracked changes, forms, protection."""

from typing import Any

from ...draft import GivenFile, Unusable
from ..office.office_notation import Change
from ..office.zip_package import Element, Package
from .odf_lists import UNWRITTEN, name, qualified, value

_PROPERTIES = {
    "dc:title": "title",
    "dc:subject": "subject",
    "dc:description": "description",
    "meta:initial-creator": "author",
    "dc:creator": "last_author",
    "meta:creation-date": "created",
    "dc:date": "saved",
}
_LONGEST = 10_000
_MOST = 1_000
_NO_WORDS = ("number:", "config:", "office:meta", "office:settings")
_UNKNOWN_DATE = "1970-01-01"
"""Written by LibreOffice for a change without a date."""


def opened(given: GivenFile, kind: str) -> Package:
    """Open an OpenDocument package. Raises Unusable for a protected one, BadZipFile for no zip."""
    package = Package(given, kind)
    # The bytes, because old files' manifests depend on a DTD.
    if "META-INF/manifest.xml" in package and b"encryption-data" in package.read("META-INF/manifest.xml"):
        raise Unusable("password-protected", "Save a copy without the password.")
    return package


def properties(root: Element) -> dict[str, Any]:
    """Return the properties in an `office:meta`: `title`, `author`, `created` …, and its own under `properties`."""
    found: dict[str, Any] = {}
    own: dict[str, str] = {}
    keywords: list[str] = []
    for one in list(root.iter())[:_MOST]:
        words = str(one.text or "").strip()[:_LONGEST]
        if not words:
            continue
        short = name(one)
        if key := _PROPERTIES.get(short):
            found[key] = f"{found[key]}; {words}" if key in found else words
        elif short == "meta:keyword":
            keywords.append(words)
        elif short == "meta:user-defined":
            own[value(one, "meta:name")] = words
    found.setdefault("author", found.get("last_author", ""))
    if keywords:
        found["keywords"] = ", ".join(keywords)
    if own:
        found["properties"] = own
    return {key: words for key, words in found.items() if words}


def pieces_of_text(root: Element) -> int:
    """Return the number of pieces of text in a part, without those that are not words of the document."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    found = 0
    walker = etree.iterwalk(root, events=("start", "end"))
    for event, element in walker:
        if event == "end":
            found += bool(element is not root and element.tail and not element.tail.isspace())
        elif element.tag in UNWRITTEN or name(element).startswith(_NO_WORDS):
            walker.skip_subtree()
        else:
            found += bool(element.text and not element.text.isspace())
    return found


def tracked_changes(root: Element) -> tuple[dict[str, Change], dict[str, Element], list[str]]:
    """Return the changes by their ids, the struck content by the same ids, and the remarks on changes as lines."""
    changes: dict[str, Change] = {}
    struck: dict[str, Element] = {}
    remarks: list[str] = []
    for region in root.iter(qualified("text:changed-region")):
        identity = value(region, "text:id") or value(region, "xml:id")
        for one in region:
            who = _text_of(one, "dc:creator")
            when = _text_of(one, "dc:date")
            if when.startswith(_UNKNOWN_DATE):
                when = ""
            if name(one) == "text:deletion":
                changes[identity] = Change("-", who, when)
                struck[identity] = one
            elif name(one) == "text:insertion":
                changes[identity] = Change("+", who, when)
            info = one.find(qualified("office:change-info"))
            for remark in info.iter(qualified("text:p")) if info is not None else ():
                if words := "".join(remark.itertext()).strip():
                    remarks.append(f"[remark on a change by {who or 'an unknown author'}]: {words}\n")
    return changes, struck, remarks


def _text_of(element: Element, short: str) -> str:
    found = next(element.iter(qualified(short)), None)
    return str(found.text or "") if found is not None else ""


def form_controls(root: Element) -> dict[str, str]:
    """Return the texts of form controls by their ids: `[form field Name: Ann]`."""
    found: dict[str, str] = {}
    for form in root.iter(qualified("form:form")):
        for one in form.iterdescendants():
            short = name(one)
            if not short.startswith("form:") or short in ("form:form", "form:properties", "form:property"):
                continue
            identity = value(one, "xml:id") or value(one, "form:id") or f" {len(found)}"
            parts = [value(one, "form:label"), value(one, "form:title")]
            if short in ("form:checkbox", "form:radio"):
                checked = "true" in (value(one, "form:current-selected"), value(one, "form:selected"))
                parts.append("[x]" if value(one, "form:current-state") == "checked" or checked else "[ ]")
            words = value(one, "form:current-value") or value(one, "form:value") or "".join(one.itertext()).strip()
            label, rest = " ".join(filter(None, parts)), words[:_LONGEST]
            if label or rest:
                found[identity] = f"[form field {label}: {rest}]" if label and rest else f"[form field {label or rest}]"
    return found
