"""The comments of a presentation, in the old form and as threads of replies."""

from collections.abc import Iterator
from typing import Any

from ...draft import Draft
from ..office.drawing_text import one_line, opened, parsed
from ..office.zip_package import Element, Package, Related, local


class Comments:
    """Reads comments with the names of their authors."""

    def __init__(self, package: Package, draft: Draft) -> None:
        """Read the authors. Losses go to `draft`."""
        self._package = package
        self._draft = draft
        self._authors: dict[str, str] = {}
        for name in package.names:
            if name.lower().rpartition("/")[2] in ("commentauthors.xml", "authors.xml"):
                root = parsed(package, draft, name)
                for one in root if root is not None else ():
                    self._authors[one.get("id", "")] = one_line(one.get("name", ""))

    def lines(self, target: Related) -> Iterator[str]:
        """Yield a line for each comment of a part: `[comment by Ann, 2026-01-02T10:00:00]: text`."""
        root = opened(self._package, self._draft, target, "set of comments")
        for one in root if root is not None else ():
            if local(one) == "cm":
                yield self._line("comment", one)
                for reply in one.iter("{*}reply"):
                    yield self._line("reply", reply)

    def _line(self, noun: str, one: Element) -> str:
        who = self._authors.get(one.get("authorId", ""), "")
        when = one.get("dt", "") or one.get("created", "")
        done = ", resolved" if one.get("status") in ("resolved", "closed") else ""
        signed = (f" by {who}" if who else "") + (f", {when}" if when else "")
        return f"[{noun}{signed}{done}]: {one_line(_words(one))}"


def _words(one: Element) -> str:
    """Return the text of a comment without that of its replies."""
    found: list[str] = []
    for child in one:
        if local(child) == "text":
            found.append(child.text or "")
        elif local(child) == "txBody":
            paragraphs: Any = child.iter("{*}p")
            found += ["".join(text.text or "" for text in paragraph.iter("{*}t")) for paragraph in paragraphs]
    return " ".join(found)
