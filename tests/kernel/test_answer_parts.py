"""The parts of an answer are hostile: what a kernel says of them is what they are, or it is a bad message."""

import json
import tracemalloc
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.kernel import answer_parts
from durable_rlm.kernel.answer_parts import Spool, checked
from durable_rlm.kernel.messages import parse_ended
from durable_rlm.kernel.results import Final
from durable_rlm.kernel.untrusted_json import BadMessage
from durable_rlm.state.answer_tables import Column
from durable_rlm.state.errors import StoreError


def ended(final: dict[str, Any], *parts: bytes) -> Final:
    spool = Spool()
    for part in parts:
        spool.add(part)
    found = parse_ended(json.dumps({"output": "", "snapshot": {}, "final": final}), (), spool).final
    assert found is not None
    return found


def head(*columns: tuple[str, str], rows: int = 1, parts: int = 1) -> dict[str, Any]:
    said = [{"name": name, "type": kind} for name, kind in columns]
    return {"table": {"columns": said, "rows": rows, "parts": parts}}


async def rows_of(final: dict[str, Any], *parts: bytes) -> list[Any]:
    table = ended(final, *parts).table
    assert table is not None
    table = await checked(table)
    return [row for batch in table.batches() for row in json.loads(batch)]


async def test_a_table_of_several_batches_is_read_in_order() -> None:
    said = head(("n", "integer"), ("s", "text"), rows=3, parts=2)
    assert await rows_of(said, b'[[1,"a"],[2,null]]', b'[[3,"\xed\xa0\x80"]]') == [[1, "a"], [2, None], [3, "\ufffd"]]
    assert await rows_of(said, b'[[1,"a"],[2,null]]', b'[[3,"\\ud800"]]') == [[1, "a"], [2, None], [3, "\ufffd"]]
    assert ended(said, b"[]", b"[]").table == ended(said, b"[]", b"[]").table


async def test_the_same_rows_have_the_same_head_and_others_another_one() -> None:
    async def head_of(part: bytes) -> Any:
        table = ended(head(("n", "integer")), part).table
        assert table is not None
        return (await checked(table)).head

    assert await head_of(b"[[1]]") == await head_of(b"[[1]]") != await head_of(b"[[2]]")


BAD = {
    "integer": ["1.5", "true", '"1"', "[1]"],
    "number": ["true", '"1"', "NaN", "1e999"],
    "boolean": ["1", '"true"'],
    "text": ["1", "{}"],
    "date": ['"2024-1-1"', '"2024-01-01T00:00"', '"=cmd()"', '"2024-01-01\\n"'],
    "datetime": ['"2024-01-01"', '"2024-01-01T00:00:00+0200"', '"now"'],
    "time": ['"1:02"', '"01:02:03.0000000001"'],
    "duration": ['"P"', '"1 day"', '"PT"', '"P1DT"'],
    "decimal": ['"1,5"', '"Infinity"', '"' + "1" * 101 + '"'],
    "json": ["[" * 101 + "]" * 101],
}
GOOD = {
    "integer": "-3",
    "number": "1.5",
    "boolean": "true",
    "text": '"=x"',
    "date": '"-0044-03-15"',
    "datetime": '"2024-01-01T00:00:00.000000001+02:00"',
    "time": '"01:02:03.5"',
    "duration": '"-P1DT2H3M4.5S"',
    "decimal": '"-1.5E+3"',
    "json": "[" * 100 + "]" * 100,
}


@pytest.mark.parametrize("kind", BAD)
async def test_values_are_what_their_column_says(kind: str) -> None:
    assert len(await rows_of(head(("c", kind), rows=2), f"[[{GOOD[kind]}],[null]]".encode())) == 2
    for bad in BAD[kind]:
        with pytest.raises(BadMessage):
            await rows_of(head(("c", kind)), f"[[{bad}]]".encode())


@pytest.mark.parametrize("part", [b"[[1],[2]]", b"[[1,2]]", b"[1]", b"{}", b"[[]]", b"", b"[[1]", b"[]"])
async def test_rows_are_as_many_and_as_long_as_said(part: bytes) -> None:
    with pytest.raises(BadMessage):
        await rows_of(head(("n", "integer")), part)


@pytest.mark.parametrize(
    "final",
    [
        head(("n", "other")),
        head(("n", "text"), ("n", "text")),
        head(("n", "text"), parts=2),
        head(("n", "text"), rows=-1),
        {"table": []},
        {"table": {"columns": []}},
        {"files": [{"name": "a", "size": 5}]},
        {"files": [{"name": "a", "size": 2}, {"name": "a", "size": 2}]},
        {"files": [{"name": "a", "size": 2}, {"name": "a/b", "size": 2}]},
        *(
            {"files": [{"name": name, "size": 4}]}
            for name in ("", "/a", "../a", "a/../b", "a//b", "./a", "a\\b", "a\0")
        ),
        *({"files": [{"name": name, "size": 4}]} for name in ("a\n", "x" * 256, "a/" * 8 + "b", "\u202ea", "a/")),
        {"files": [{"name": f"{number}", "size": 0} for number in range(1001)]},
    ],
    ids=lambda final: json.dumps(final)[:60],
)
def test_an_invalid_head_is_refused(final: dict[str, Any]) -> None:
    with pytest.raises(BadMessage):
        ended(final, b"[[]]")


def test_many_unknown_keys_are_refused_without_an_error_for_each() -> None:
    many: dict[str, Any] = {f"k{number}": 0 for number in range(1_000)}
    columns = {"columns": [many], "rows": 0, "parts": 0}
    for final in ({"files": [many]}, {"table": many}, {"table": columns}):
        with pytest.raises(BadMessage, match="more keys"):
            ended(final)


def test_a_file_of_a_thousand_folders_is_refused_before_they_are_listed() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(BadMessage, match="names"):
            ended({"files": [{"name": f"{number}/" + "a/" * 2_000 + "b", "size": 0} for number in range(5)]})
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()
    with pytest.raises(BadMessage, match="folder"):
        ended({"files": [{"name": "a", "size": 0}, {"name": "a/b", "size": 0}]})


def test_files_are_the_bytes_after_the_table() -> None:
    said = {**head(("n", "integer"), parts=1), "files": [{"name": "a/b.bin", "size": 3}, {"name": "é", "size": 4}]}
    found = ended(said, b"[[1]]", b"abcde", b"fg").files
    assert [(file.name, b"".join(file.pieces())) for file in found] == [("a/b.bin", b"abc"), ("é", b"defg")]


def test_more_than_an_answer_may_have_ends_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_parts, "MOST_BATCH_BYTES", 10)
    with pytest.raises(BadMessage, match="larger"):
        Spool().add(b"x" * 11)
    monkeypatch.setattr(answer_parts, "_MOST_PARTS", 3)
    spool = Spool()
    for _ in range(3):
        spool.add(b"x")
    with pytest.raises(BadMessage, match="larger"):
        spool.add(b"x")


def test_a_disk_without_room_is_an_error_of_the_store_when_the_answer_is_read() -> None:
    spool = Spool("/nowhere")
    spool.add(b"[[1]]")
    with pytest.raises(StoreError, match="cannot be kept"):
        spool.part(0)


def test_parts_leave_room_on_the_disk_and_what_they_had_is_free_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = (tmp_path / "parts").open("w+b", buffering=0)
    monkeypatch.setattr("tempfile.TemporaryFile", lambda dir, buffering: made)  # pyright: ignore[reportUnknownLambdaType]
    spool = Spool()
    spool.add(b"[[1]]")
    assert spool.part(0) == b"[[1]]"
    monkeypatch.setattr(answer_parts, "_LEFT", 1 << 60)
    spool.add(b"[[2]]")
    assert made.closed
    with pytest.raises(StoreError, match="No space left"):
        spool.part(0)


def test_a_table_is_read_from_its_parts_and_no_column_has_a_type_of_another_library() -> None:
    assert ended(head(("n", "integer")), b"[[1]]").table == answer_parts.PostedTable(
        (Column("n", "integer"),), 1, 1, Spool()
    )
