"""Parts of a worksheet of Excel beside its cells: comments, tables, links, lists of choices, drawings."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from ...draft import Draft
from ..office.drawing_text import Drawing, one_line, opened, parsed, related, rich_text
from ..office.office_parts import vml_texts
from ..office.zip_package import Element, Package, Related, attribute, local
from .sheet_text import SheetText, TooMuch, column_name, spans

_MOST_COLUMNS = 1 << 14
_HEADER_CODES = re.compile(r'&(?:"[^"]*"|K[0-9A-Fa-f]{6}|K\d\d[+-]\d{3}|\d{1,3}|[LCRPNDTZFABIUESXYGH+-])')
_HEADERS = ("oddHeader", "evenHeader", "firstHeader", "oddFooter", "evenFooter", "firstFooter")
_OLD_FORM_OF_THREAD = "[Threaded comment]"


class SheetParts:
    """Writes the parts of one worksheet."""

    def __init__(self, package: Package, draft: Draft, text: SheetText, part: str) -> None:
        """Prepare the parts of the worksheet in `part`, whose rows are written."""
        self._package = package
        self._draft = draft
        self._text = text
        self._part = part
        self._related = related(package, draft, part)

    def write(self, root: "Element | None", hidden: list[int]) -> None:
        """Write everything. `root`: the worksheet without its rows; None for a damaged one. Raises TooMuch."""
        self._text.ranges("hidden rows", spans(hidden))
        inside = (self._columns, self._merged) if root is not None else ()
        after = (self._links, self._all_choices, self._scenarios, self._headers) if root is not None else ()
        for step in inside:
            self._careful(partial(step, root))
        self._careful(self._tables)
        for step in after:
            self._careful(partial(step, root))
        self._careful(self._comments)
        self._careful(self._drawings)

    def _careful(self, step: Callable[[], None]) -> None:
        try:
            step()
        except TooMuch:
            raise
        except Exception as error:  # hostile files may raise anything; the sheet's rows are written
            self._draft.lose(f"{self._part}: something beside the rows cannot be read ({type(error).__name__})")

    def _merged(self, root: Element) -> None:
        self._text.ranges("merged cells", (one.get("ref", "") for one in root.iter("{*}mergeCell")))

    def _tables(self) -> None:
        for one in self._of_kind("table"):
            self._table(one)

    def _all_choices(self, root: Element) -> None:
        for one in root.iter("{*}dataValidation"):
            self._choices(one)

    def _drawings(self) -> None:
        for kind in ("drawing", "vmlDrawing"):
            for one in self._of_kind(kind):
                self._drawing(one)

    def _of_kind(self, kind: str) -> list[Related]:
        return [one for one in self._related.values() if one.kind == kind and not one.outside]

    def _columns(self, root: Element) -> None:
        """Write which columns are hidden. The widths of all columns end with one that covers the rest of the sheet."""
        hidden: list[str] = []
        for one in root.iter("{*}col"):
            first, last = one.get("min", ""), one.get("max", "")
            if one.get("hidden") in ("1", "true") and first.isdigit() and last.isdigit():
                names = [column_name(min(int(number[:7]), _MOST_COLUMNS)) for number in (first, last)]
                hidden.append(":".join(dict.fromkeys(names)))
        self._text.ranges("hidden columns", hidden)
        if hidden:
            self._draft.meta["hidden_columns"] = self._draft.meta.get("hidden_columns", 0) + len(hidden)

    def _table(self, one: Related) -> None:
        root = opened(self._package, self._draft, one, "table")
        if root is None:
            return
        name = one_line(root.get("displayName", "") or root.get("name", ""))
        columns = [one_line(column.get("name", "")) for column in root.iter("{*}tableColumn")]
        comment = one_line(root.get("comment", ""))
        facts = [f"table {name}: {root.get('ref', '')}", *([comment] if comment else [])]
        if root.get("headerRowCount") == "0" and columns:
            # Its columns have names that no cell shows.
            facts.append(f"columns {', '.join(columns)}")
        self._text.note(f"[{'; '.join(facts)}]")

    def _links(self, root: Element) -> None:
        for one in root.iter("{*}hyperlink"):
            target = self._related.get(attribute(one, "id"))
            place = one.get("location", "")
            url = target.target if target else ""
            words = [url + (f"#{place}" if place and url else place), one_line(one.get("tooltip", ""))]
            if shown := ", ".join(word for word in words if word):
                self._text.note(f"[link on {one.get('ref', '')}: {shown}]")

    def _choices(self, one: Element) -> None:
        """Write the list of choices of cells, and what is said about them."""
        places = one.get("sqref", "") or " ".join(place.text or "" for place in one.iter("{*}sqref"))
        if one.get("type") == "list":
            formulas = [formula for formula in one if local(formula) == "formula1"]
            choices = one_line(" ".join(str(text) for formula in formulas for text in formula.itertext()))
            if choices:
                self._text.note(f"[choices for {places}: {choices.strip(chr(34))}]")
        for keys in (("promptTitle", "prompt"), ("errorTitle", "error")):
            if words := ": ".join(text for key in keys if (text := one_line(one.get(key, "")))):
                self._text.note(f"[{keys[1]} for {places}: {words}]")

    def _scenarios(self, root: Element) -> None:
        for one in root.iter("{*}scenario"):
            values = [f"{cell.get('r', '')} = {one_line(cell.get('val', ''))}" for cell in one]
            comment = one_line(one.get("comment", ""))
            name = one_line(one.get("name", ""))
            self._text.note(f"[scenario {name}: {'; '.join([*values, *([comment] if comment else [])])}]")

    def _headers(self, root: Element) -> None:
        seen: set[str] = set()
        for one in (one for element in root.iter("{*}headerFooter") for one in element):
            if local(one) in _HEADERS and one.text:
                words = one_line(_HEADER_CODES.sub(" ", one.text.replace("&&", "\0")).replace("\0", "&"))
                noun = "header" if local(one).endswith("Header") else "footer"
                if words and (noun + words) not in seen:
                    seen.add(noun + words)
                    self._text.note(f"[{noun}: {words}]")

    def _comments(self) -> None:
        threads: dict[str, list[str]] = {}
        threaded = self._of_kind("threadedComment")
        people = self._people() if threaded else {}
        for one in threaded:
            root = parsed(self._package, self._draft, one.target) if one.target in self._package else None
            for comment in root if root is not None else ():
                threads.setdefault(comment.get("ref", ""), []).append(_threaded(comment, people))
        for one in self._of_kind("comments"):
            for place, line, text in self._notes(one):
                if place in threads and text.startswith(_OLD_FORM_OF_THREAD):
                    for thread in threads.pop(place):
                        self._text.note(thread)
                else:
                    self._text.note(line)
        for lines in threads.values():
            for line in lines:
                self._text.note(line)

    def _notes(self, one: Related) -> Iterator[tuple[str, str, str]]:
        """Yield the cell, the line and the text of each comment."""
        if one.target not in self._package:
            self._draft.not_shown("set of comments")
            return
        root = parsed(self._package, self._draft, one.target)
        if root is None:
            return
        authors = [one_line(author.text or "") for author in root.iter("{*}author")]
        for comment in root.iter("{*}comment"):
            number = str(comment.get("authorId", ""))
            who = authors[int(number)] if number.isdigit() and int(number) < len(authors) else ""
            # Threads have authors such as `tc={0AB1…}`.
            who = "" if who.startswith("tc=") else who
            text = one_line(" ".join(rich_text(body) for body in comment if local(body) == "text"))
            place = comment.get("ref", "")
            yield place, f"[comment on {place}{f' by {who}' if who else ''}]: {text}", text

    def _people(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name in self._package.names:
            if "/persons/" in name.lower() and name.lower().endswith(".xml"):
                root = parsed(self._package, self._draft, name)
                for one in root if root is not None else ():
                    found[one.get("id", "")] = one_line(one.get("displayName", ""))
        return found

    def _drawing(self, one: Related) -> None:
        if one.target not in self._package:
            self._draft.not_shown("missing drawing")
            return
        if one.kind == "vmlDrawing":
            for text in vml_texts(self._package, one.target):
                self._text.note(f"[text box: {text}]")
            return
        root = parsed(self._package, self._draft, one.target)
        if root is not None:
            for line in Drawing(self._package, self._draft, one.target, boxes=True).lines(root):
                self._text.note(line)


def _threaded(comment: Element, people: dict[str, str]) -> str:
    who = people.get(comment.get("personId", ""), "")
    when = comment.get("dT", "")
    noun = "reply" if comment.get("parentId") else "comment"
    text = one_line(" ".join(one.text or "" for one in comment if local(one) == "text"))
    done = ", resolved" if comment.get("done") in ("1", "true") else ""
    signed = (f" by {who}" if who else "") + (f", {when}" if when else "")
    return f"[{noun} on {comment.get('ref', '')}{signed}{done}]: {text}"
