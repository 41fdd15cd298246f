"""What belongs to a workbook of Excel and to no sheet: names, links to other files, stored data of pivot tables."""

from ..draft import Draft
from .drawing_text import one_line, parsed, related
from .sheet_text import SheetText
from .zip_package import Element, Package, Related, local

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
        cells = {cell for line in draft.text.split("\n") for cell in line.split("\t")}
        draft.not_shown("value of pivot tables", len(stored - cells))


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
    parts = [name, *(one.target for one in related(package, draft, name).values() if one.kind == "pivotCacheRecords")]
    found: set[str] = set()
    for part in parts:
        root = parsed(package, draft, part) if part in package else None
        for one in root.iter("{*}s") if root is not None else ():
            if local(one) == "s" and (value := one.get("v")):
                found.add(one_line(value))
    return found
