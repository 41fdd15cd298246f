"""Tables of Word documents: a line for each row, its cells separated by tabs."""

from dataclasses import dataclass, field

from ..office.zip_package import Element, local
from .names import Handler, change_in, short
from .numbering import child, setting, whole
from .output import Output

_WIDEST_SPAN = 64


@dataclass
class _Table:
    nested: bool
    """True where it lies in a cell of a row that is one line."""
    rows: list[str] = field(default_factory=list[str])


@dataclass
class _Row:
    """A row of one cell is a frame around paragraphs, which stay lines."""

    frame: bool
    cells: list[str] = field(default_factory=list[str])


class Tables:
    """Writes the tables of one traversal."""

    def __init__(self, out: Output) -> None:
        """Begin. `starts` and `ends` are the handlers of its elements."""
        self._out = out
        self._tables: list[_Table] = []
        self._rows: list[_Row] = []
        self.starts: dict[str, Handler] = {"w:tbl": self._table, "w:tr": self._row, "w:tc": self._cell}
        self.ends: dict[str, Handler] = {"w:tbl": self._end_table, "w:tr": self._end_row, "w:tc": self._end_cell}

    def _table(self, element: Element) -> None:
        nested = any(not row.frame for row in self._rows)
        self._tables.append(_Table(nested))
        if nested:
            self._out.push()

    def _row(self, element: Element) -> None:
        # Alone in its row, and of one line's worth of structure: anything else would lose the columns.
        self._rows.append(_Row(_cells(element) <= 1 and not (self._tables and self._tables[-1].nested)))
        if self._rows[-1].frame and (change := change_in(child(element, "trPr"))):
            self._out.block(f"{change.begin}row{change.end}\n")

    def _cell(self, element: Element) -> None:
        if self._rows and not self._rows[-1].frame:
            self._out.push()

    def _end_cell(self, element: Element) -> None:
        if not self._rows or self._rows[-1].frame:
            return
        words = " ".join(self._out.pop().split())
        properties = child(element, "tcPr")
        if change := change_in(properties):
            words = f"{change.begin}{words}{change.end}"
        span = whole(setting(properties, "gridSpan"), 1)
        self._rows[-1].cells += [words, *[""] * min(max(span, 1) - 1, _WIDEST_SPAN)]

    def _end_row(self, element: Element) -> None:
        row = self._rows.pop()
        if row.frame:
            return
        properties = child(element, "trPr")
        before = min(max(whole(setting(properties, "gridBefore"), 0), 0), _WIDEST_SPAN)
        nested = bool(self._tables and self._tables[-1].nested)
        while row.cells and not row.cells[-1]:
            row.cells.pop()
        line = (" | " if nested else "\t").join([""] * before + row.cells)
        if change := change_in(properties):
            line = f"{change.begin}{line}{change.end}"
        if child(properties, "hidden") is not None and line.strip():
            line = f"[hidden: {line}]"
        if nested:
            self._tables[-1].rows.append(line)
        else:
            self._out.block(f"{line}\n")

    def _end_table(self, element: Element) -> None:
        ended = self._tables.pop()
        if ended.nested:
            # What lies between its rows, such as the notes of a frame, comes behind them.
            rest = self._out.pop()
            self._out.block(f"[table: {'; '.join(ended.rows)}]\n{rest}")


def _cells(row: Element) -> int:
    """Return the number of cells of a row, 2 for more than one; they may lie in content controls."""
    found = 0
    for one in row:
        if local(one) == "tc":
            found += 1
        elif short(one) in ("w:sdt", "w:customXml", "w:ins", "w:del", "w:moveTo", "w:moveFrom"):
            found += sum(1 for _, inner in zip(range(2), one.iter("{*}tc"), strict=False) if inner is not None)
        if found > 1:
            break
    return found
