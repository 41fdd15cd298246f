"""A PDF that lost its end, or its table of objects: what is there becomes readable again by a new end.

A file that was cut, as by a broken download, has whole pages in its first part. Its objects say themselves what they
are, so that a new trailer, or a new list of the pages, can name them.
"""

import re

_CATALOG = re.compile(rb"(\d{1,10})\s{1,4}(\d{1,5})\s{1,4}obj\b[^>]{0,400}?/Type\s{0,4}/Catalog\b")
_PAGE = re.compile(
    rb"(\d{1,10})\s{1,4}(\d{1,5})\s{1,4}obj\s{0,4}<<(?:(?!endobj).){0,2000}?/Type\s{0,4}/Page\b", re.DOTALL
)
_PAGE_TREE = re.compile(rb"/Type\s{0,4}/Pages\b")
_BEGUN = re.compile(rb">>\s{0,4}stream\s")
_MOST_PAGES = 100_000
_MOST_UNENDED = 5_000
_NEW_OBJECT = 9_000_000
"""The number of the first object that is added; above those of any file, below what engines take."""


def is_hopeless(data: bytes) -> bool:
    """Return whether so many streams have no end that an engine would look for them in quadratic time."""
    ended = data.count(b"endstream")
    return data.count(b"stream") - ended > ended + _MOST_UNENDED and len(_BEGUN.findall(data)) > ended + _MOST_UNENDED


def with_new_end(data: bytes) -> list[bytes]:
    """Return versions of a damaged file that may be readable, the better ones first."""
    found: list[bytes] = []
    catalogs = [match[1] for match in _CATALOG.finditer(data)]
    if catalogs and _PAGE_TREE.search(data):
        found.append(data + _end(b"", catalogs[-1]))
    numbers = list(dict.fromkeys(match[1] for match in _PAGE.finditer(data)))[:_MOST_PAGES]
    if numbers:
        kids = b" ".join(number + b" 0 R" for number in numbers)
        tree = b"%d 0 obj\n<</Type/Pages/Count %d/Kids[%s]>>\nendobj\n" % (_NEW_OBJECT, len(numbers), kids)
        catalog = b"%d 0 obj\n<</Type/Catalog/Pages %d 0 R>>\nendobj\n" % (_NEW_OBJECT + 1, _NEW_OBJECT)
        found.append(data + _end(tree + catalog, b"%d" % (_NEW_OBJECT + 1)))
    return found


def _end(objects: bytes, root: bytes) -> bytes:
    # The object at which the file was cut is ended first.
    return b"\nendstream\nendobj\n" + objects + b"trailer\n<</Root %s 0 R>>\nstartxref\n0\n%%%%EOF\n" % root
