"""An answer as HTML: Markdown, a table, or a JSON tree, with links to the passages that it cites."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from markupsafe import Markup

from ...graph.saved_answers import ShownAnswer
from ...state.evidence.citations import Citation
from .escaped import plain, shown
from .json_tree import MOST_COLUMNS, Tree, cell, table_of
from .markup import markdown, with_citations

LONGEST = 60_000
"""Characters of an answer that are shown at once."""
_ROOM = 500_000
"""Characters of all texts of a table or a tree together: as HTML, hostile ones take fifty times as much."""
Href = Callable[..., str]
_LINK = Markup('<a class="cite" href="{}" title="{}">{}</a>')
_NOT_FOUND = Markup('<span class="cite bad" title="{}">{}</span>')


@dataclass(frozen=True)
class AnswerView:
    """An answer as HTML, with what stands beside it."""

    kind: Literal["text", "table", "tree"]
    html: Markup | None = None
    """Of a text or a tree."""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Markup]] = ()
    count: int = 0
    """The number of rows of a table."""
    cut: bool = False
    marked: frozenset[int] = frozenset()
    """The numbers of the citations that have a marker in the answer."""


class Cites:
    """Makes the links to what an answer cites, and notes which were made."""

    def __init__(self, citations: Sequence[Citation], href: Href, thread: str) -> None:
        """`href` gives the address of a screen."""
        self._by_number = {str(one["id"]): one for one in reversed(citations)}
        self._href = href
        self._thread = thread
        self.made: set[int] = set()

    def __call__(self, number: str) -> Markup:
        """Return what stands in place of the marker of this number; empty when nothing is cited by it."""
        found = self._by_number.get(number)
        if found is None:
            return Markup("")
        self.made.add(found["id"])
        return self.link(found)

    def link(self, citation: Citation) -> Markup:
        """Return the link to a passage; of one that is not in the input, its number alone."""
        if not citation["verified"]:
            return _NOT_FOUND.format("These words are not in the input", citation["id"])
        return _LINK.format(self.address(citation), plain(citation["place"] or citation["document"]), citation["id"])

    def address(self, citation: Citation) -> str:
        """Return the address of a passage in its document."""
        return self._href("runs", self._thread, "input", document=citation["document"], citation=citation["id"])


def answer_view(answer: ShownAnswer, cites: Cites, longest: int = LONGEST) -> AnswerView:
    """Return an answer as HTML, of which at most so many characters or rows are shown."""

    left = _ROOM

    def texts(text: str) -> Markup:
        nonlocal left
        most = min(longest, left)
        left -= min(most, len(text))
        return with_citations(text, cites, most)

    view: AnswerView
    if answer.table:
        rows = [[cell(value, texts) for value in row[:MOST_COLUMNS]] for row in answer.rows]
        columns = [column.name for column in answer.columns[:MOST_COLUMNS]]
        view = AnswerView("table", columns=columns, rows=rows, count=answer.count, cut=answer.cut)
    elif isinstance(answer.value, str):
        html = shown(answer.value, longest) if answer.cut else markdown(answer.value[:longest], cites)
        view = AnswerView("text", html, cut=answer.cut or len(answer.value) > longest)
    else:
        view = _of_value(answer.value, texts)
    return _with_marks(view, cites)


def _of_value(value: Any, texts: Callable[[str], Markup]) -> AnswerView:
    table = table_of(value)
    if table is None:
        return AnswerView("tree", Tree(texts).of(value))
    columns, found = table
    rows = [[cell(one, texts) for one in row] for row in found]
    return AnswerView("table", columns=columns, rows=rows, count=len(value), cut=len(value) > len(rows))


def _with_marks(view: AnswerView, cites: Cites) -> AnswerView:
    return AnswerView(view.kind, view.html, view.columns, view.rows, view.count, view.cut, marked=frozenset(cites.made))
