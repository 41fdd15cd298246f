"""Parts that Office files of all kinds have: properties, media, macros; and the count of words that nothing shows."""

import json
import posixpath
import re
from collections.abc import Iterable, Iterator
from typing import Any

from ...draft import Draft
from .drawing_text import one_line, parsed, related
from .zip_package import Element, Package, local

_PROPERTIES = {
    "title": "title",
    "creator": "author",
    "subject": "subject",
    "keywords": "keywords",
    "description": "description",
    "category": "category",
    "contentStatus": "status",
    "lastModifiedBy": "last_modified_by",
    "created": "created",
    "modified": "saved",
    "Company": "company",
    "Manager": "manager",
}
_MEDIA = {
    "picture": ".png .jpg .jpeg .jfif .gif .bmp .tif .tiff .emf .wmf .svg .webp .ico .wdp .eps .pict .pcx .heic .emz",
    "sound": ".wav .mp3 .m4a .wma .mid .midi .aac .au .aif .aiff .ogg .flac",
    "video": ".mp4 .avi .wmv .mov .mpg .mpeg .m4v .asf .webm .mkv .flv",
}
MEDIA_BY_SUFFIX = {suffix: noun for noun, suffixes in _MEDIA.items() for suffix in suffixes.split()}
_WITHOUT_TEXT = re.compile(
    r"""^\[Content_Types\]\.xml$ | \.rels$ | (^|/)theme/ | tableStyles | (pres|view)Props | (^|/)styles\.xml$
    | calcChain | diagrams/(layout|quickStyle|colors) | charts/(style|colors) | printerSettings | thumbnail | \.fntdata$
    | (^|/)fonts/ | revisionInfo | changesInfos | (^|/)(customProperty|tags)/? | metadata\.xml$
    | docMetadata | docProps/app\.xml$ | \.sigs?$ | vbaProjectSignature | _xmlsignatures | /$ | itemProps\d*\.xml$
    | volatileDependencies | (^|/)pivotCache/ | (^|/)richData/.*Types?\.xml$
    """,
    re.VERBOSE | re.IGNORECASE,
)
_NO_WORDS = frozenset(
    (
        *("f", "formula", "formula1", "formula2", "fmla", "sqref", "formatCode", "attrName", "ClientData"),
        *("from", "to", "ext", "pos", "style", "uri", "language", "tableStyleId"),
        *("calculatedColumnFormula", "totalsRowFormula"),
        *("oddHeader", "evenHeader", "firstHeader", "oddFooter", "evenFooter", "firstFooter"),
    )
)
"""Elements whose text is not for readers (references, coordinates), or is read with its codes: headers of sheets."""
_WORDY = ("descr", "title", "prompt", "promptTitle", "error", "errorTitle", "tooltip", "caption", "alt", "comment")
_NUMBER = re.compile(r"[\d\s.,:;%eE+/()$#‹›-]*")
_OF_THREADS = ("[Threaded comment]", "tc=")
"""Texts by which older programs show a thread of comments, which is read itself."""
_SHORT_SEARCH = 200_000_000
_LONGEST_SEARCH = 2_000_000_000
"""Characters that are looked through for words cut by a change of font; about a second."""


def properties(package: Package, draft: Draft) -> None:
    """Put the title, the author and the other properties of the file into the document's metadata."""
    for name in ("docProps/core.xml", "docProps/app.xml", "docProps/custom.xml"):
        places = [one.target for one in related(package, draft, "").values() if _is(one.kind, name)] or [name]
        root = parsed(package, draft, places[0]) if places[0] in package else None
        if root is None:
            continue
        for one in root:
            if name.endswith("custom.xml"):
                value = one_line(" ".join(str(text) for text in one.itertext()))
                draft.meta.setdefault("properties", {})[one.get("name", "")] = value
            elif (key := _PROPERTIES.get(local(one))) and (value := one_line(one.text or "")):
                draft.meta[key] = value


def _is(kind: str, name: str) -> bool:
    return kind.startswith(posixpath.basename(name).partition(".")[0]) or (
        kind == "extended-properties" and "app" in name
    )


def count_media(package: Package, draft: Draft) -> None:
    """Count pictures, sounds, videos, macros and other parts that are not text, as losses."""
    for name in package.names:
        suffix = posixpath.splitext(name.lower())[1]
        if _WITHOUT_TEXT.search(name) or suffix in (".xml", ".vml") or "/embeddings/" in name:
            continue
        if noun := MEDIA_BY_SUFFIX.get(suffix):
            draft.not_shown(noun)
        elif "vbaproject" in name.lower():
            draft.not_shown("set of macros")
        elif "/activex/" in name.lower():
            draft.not_shown("form control")
        elif "/model/" in name.lower():
            draft.not_shown("data model")
        elif suffix != ".bin" or package.kind != "XLSB":
            draft.not_shown("part of an unknown kind")


def compare(package: Package, draft: Draft, complete: "set[str]", rest: "Iterable[tuple[str, Element]]" = ()) -> None:
    """Compare the words of every part with the document's text, and note what is missing as losses.

    `complete`: the names, in lower case, of parts that were read word by word, or noted otherwise. `rest`: those of
    them of which only some elements were read so, with the others.
    """
    search = Search(draft)
    for name, root in rest:
        for text in _texts(root):
            search.add(f"word of {_label(name)}", text)
    for name in package.names:
        if name.lower() in complete or _WITHOUT_TEXT.search(name):
            continue
        if name.lower().endswith(".xml"):
            root = parsed(package, draft, name)
            for text in _texts(root) if root is not None else ():
                search.add(f"word of {_label(name)}", text)
        elif name.lower().endswith(".vml"):
            for text in vml_texts(package, name):
                search.add(f"word of {_label(name)}", text)
    _compare_links(package, draft, search)
    search.report()


def _compare_links(package: Package, draft: Draft, search: "Search") -> None:
    """Look for the targets of all links that lead out of the file."""
    for name in package.names:
        if name.endswith(".rels") and "customXml" not in name:
            folder, base = posixpath.split(name)
            for one in related(package, draft, posixpath.join(posixpath.dirname(folder), base[:-5])).values():
                if one.outside:
                    search.add("target of a link", one.target)


def _label(name: str) -> str:
    return "custom XML" if name.lower().startswith("customxml/") else name


def _texts(root: Element) -> Iterator[str]:
    if local(root) in ("contentTypeSchema", "FormTemplates", "Sources", "datastoreItem", "CoverPageProperties"):
        return
    for one in root.iter():
        name = local(one)
        if name in _NO_WORDS or (name == "t" and one.getparent() is not None and local(one.getparent()) == "rPh"):
            continue
        if one.text and not one.text.startswith(_OF_THREADS):
            yield one.text
        if one.tail:
            yield one.tail
        for key in _WORDY:
            if value := one.get(key):
                yield value
        if name == "item" and local(root) == "formControlPr":
            yield one.get("val", "")


def vml_texts(package: Package, name: str) -> list[str]:
    """Return the texts of a drawing in the older form, which is often not quite XML."""
    from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, recover=True)
    try:
        root: Any = etree.fromstring(package.read(name), parser)
    except Exception:  # nothing is known of it; the comments that it draws are in a part of their own
        return []
    if root is None:
        return []
    found: list[str] = []
    for box in root.iter("{*}textbox"):
        if text := one_line(" ".join(str(one) for one in box.itertext())):
            found.append(text)
    for shape in root.iter("{*}shape"):
        if alternative := one_line(shape.get("alt", "")):
            found.append(alternative)
    return found


class Search:
    """Finds out which words are neither in a document's text nor in its metadata."""

    def __init__(self, draft: Draft) -> None:
        """Prepare the search in a document that is complete."""
        self._draft = draft
        self._wanted: dict[str, dict[str, int]] = {}
        """For each word, the nouns under which it is counted if it is missing."""

    def add(self, noun: str, text: str) -> None:
        """Look for the words of `text`; those missing are counted as `noun`."""
        for word in text.split():
            if not _NUMBER.fullmatch(word):
                nouns = self._wanted.setdefault(word, {})
                nouns[noun] = nouns.get(noun, 0) + 1

    def report(self) -> None:
        """Note the missing words as losses."""
        if not self._wanted:
            return
        meta = json.dumps(self._draft.meta, ensure_ascii=False).replace('\\"', '"')
        whole = f"{self._draft.text} {meta}"
        wanted = self._wanted
        if len(whole) * len(wanted) > _SHORT_SEARCH:
            # One pass through the text finds nearly all; it keeps no second copy of the words.
            for match in re.finditer(r"\S+", whole):
                if wanted.pop(match[0], None) and not wanted:
                    return
        left = _LONGEST_SEARCH
        for word, nouns in wanted.items():
            # A word may continue in the next run, or stand in brackets that the text adds.
            left -= len(whole)
            if left < 0 or word not in whole:
                for noun, number in nouns.items():
                    self._draft.not_shown(noun, number)
