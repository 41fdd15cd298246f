"""Parts of a workbook of Excel that belong to no sheet: names, links to other files, stored data of pivot tables."""

import re

from ...draft import Draft
from ..office.drawing_text import one_line, parsed, related
from ..office.zip_package import Element, Package, Related
from .excel_cells import elements
from .sheet_text import SheetText, cell_text

_UNSHOWN = {"slicerCache": "slicer", "timelineCache": "timeline", "connections": "set of data connections"}
COUNTED = ("externalLink", "pivotCacheDefinition", "pivotCacheRecords", *_UNSHOWN)
"""Kinds of parts whose words are losses already."""


def rest_of_workbook(
    package: Package, draft: Draft, text: SheetText, root: Element, targets: dict[str, Related]
) -> None:
    """Write names and links to other files; note as losses what stands in no sheet. Raises TooMuch."""
    for one in root.iter("{*}definedName"):
        name = one_line(one.get("name", ""))
        if not name.startswith("_xlnm."):
            facts = [one_line(one.text or ""), *filter(None, [one_line(one.get("comment", ""))])]
            text.note(f"[name {name}: {'; '.join(facts)}]")
    stored: set[str] = set()
    for one in targets.values():
        if one.outside or one.target not in package:
            continue
        if one.kind == "externalLink":
            _external(package, draft, text, one)
        elif one.kind == "pivotCacheDefinition":
            stored |= _pivot_values(package, draft, one.target)
        elif one.kind in _UNSHOWN:
            draft.not_shown(_UNSHOWN[one.kind])
    if stored:
        for match in re.finditer(r"[^\t\n]+", draft.text):
            stored.discard(match[0])
        draft.not_shown("value of pivot tables", len(stored))


def _external(package: Package, draft: Draft, text: SheetText, one: Related) -> None:
    """Write where a link to another workbook leads; what is stored of that workbook is a loss."""
    for target in related(package, draft, one.target).values():
        if target.outside:
            text.note(f"[link to another file: {target.target}]")
    root = parsed(package, draft, one.target)
    if root is not None:
        draft.not_shown("stored value of another workbook", sum(1 for value in root.iter("{*}v") if value.text))


def _pivot_values(package: Package, draft: Draft, name: str) -> set[str]:
    """Return the texts that a pivot table keeps of the cells that it was made from."""
    found: set[str] = set()
    records = [one.target for one in related(package, draft, name).values() if one.kind == "pivotCacheRecords"]
    for part, tag in ((name, "cacheField"), *((record, "r") for record in records)):
        try:
            for one in elements(package, part, tag):
                found.update(cell_text(text.get("v", "")) for text in one.iter("{*}s"))
        except Exception as error:  # zipfile and lxml raise a dozen kinds
            draft.lose(f"{part} cannot be read (damaged: {type(error).__name__})")
    found.discard("")
    return found
