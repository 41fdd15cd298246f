"""The form in which an answer that is a table is stored: a head, and batches of rows.

The head is a JSON text: the columns, the number of rows and of bytes, and a digest of the rows, so that its hash stands
for the whole table. A batch is a JSON list of rows, each a list with a value for every column; null is a missing value.
"""

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, get_args

ColumnType = Literal["text", "integer", "number", "boolean", "date", "datetime", "time", "duration", "decimal", "json"]
"""The type of a column's values, where they are not null.

`integer`, `number` and `boolean` are JSON's own, `json` is any value. The others are texts: `date`, `datetime` and
`time` as in ISO 8601, `duration` too (`P1DT2H0.5S`), `decimal` a number in digits. So is `text`, which may be anything.
"""
COLUMN_TYPES: tuple[ColumnType, ...] = get_args(ColumnType)


class Column(NamedTuple):
    """A column of a table. Names are unique."""

    name: str
    type: ColumnType


class TableHead(NamedTuple):
    """A table without its rows."""

    columns: tuple[Column, ...]
    rows: int
    size: int
    """Bytes of the rows' JSON."""
    digest: str
    """A hash over the rows."""

    def to_json(self) -> str:
        """Return the text that is stored."""
        columns = [{"name": column.name, "type": column.type} for column in self.columns]
        head = {"columns": columns, "rows": self.rows, "bytes": self.size, "digest": self.digest}
        return json.dumps(head, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "TableHead":
        """Return the head that was stored as this text."""
        head = json.loads(text)
        columns = tuple(Column(column["name"], column["type"]) for column in head["columns"])
        return cls(columns, head["rows"], head["bytes"], head["digest"])


def as_objects(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return rows as objects, as an answer shows them."""
    names = [column.name for column in columns]
    return [dict(zip(names, row, strict=True)) for row in rows]
