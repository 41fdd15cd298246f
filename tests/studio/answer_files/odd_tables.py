"""Tables of everything that a form may trip over."""

from datetime import UTC, datetime
from typing import Any

from durable_rlm.state.answer_tables import Column
from durable_rlm.studio.answer_files.tables import RowsTable

TEXTS = [
    "Grüße, 世界 🎉",
    'a "quoted", comma',
    "two\nlines\r\nand a\rthird",
    "pipe | back\\slash",
    "<script>alert(1)</script> & <!-- x -->",
    " blanks around ",
    "",
    "tab\there",
    "*bold* _under_ `code` [a](http://x.y) ![i](http://x.y/z.png) ~~s~~ $x$ &amp;",
    "\x01\x1b[31m\u202e",
    "_x0041_",
    '<r></t></is></c><c r="Z9"><f>1+1</f></c></r>',
    "007",
    "true",
    "http://example.org/x",
    "N/A",
]
FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1+1", '=HYPERLINK("http://x.y","z")']

COLUMNS = [
    Column("text", "text"),
    Column("integer", "integer"),
    Column("number", "number"),
    Column("boolean", "boolean"),
    Column("date", "date"),
    Column("datetime", "datetime"),
    Column("zoned", "datetime"),
    Column("time", "time"),
    Column("duration", "duration"),
    Column("decimal", "decimal"),
    Column("json", "json"),
    Column("=cmd|' /C calc'!A0", "text"),
]
ROWS: list[list[Any]] = [
    [
        TEXTS[0], -5, -2.5, True, "2024-02-29", "2024-02-29T13:30:00", "2024-07-01T12:00:00+02:00", "13:30:15",
        "P1DT2H0.5S", "-1234.50", {"a": [1, None, "ü"]}, "x",
    ],
    [
        TEXTS[1], 9007199254740993, 1e-300, False, "1850-01-01", "2024-01-01T00:00:00.123456",
        "2024-01-01T12:00:00+01:00", "00:00:00.25", "-PT1H", "0.10", "=a", "y",
    ],
    [None] * 12,
]  # fmt: skip
ODD = RowsTable(COLUMNS, ROWS)
MOMENT = datetime(2024, 7, 1, 10, tzinfo=UTC)


def of_texts(texts: list[Any], name: str = "text") -> RowsTable:
    """Return a table with one column of texts."""
    return RowsTable([Column(name, "text")], [[text] for text in texts])
