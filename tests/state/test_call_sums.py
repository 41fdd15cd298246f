"""Sums of a turn's calls by the line of code that made them."""

from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_records import CUT, Entry, Outcome
from durable_rlm.state.call_sums import LineSum, line_sums
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.lineage import Child, enter_child
from durable_rlm.state.reservations import Reservation


async def made(database: Database, thread: str, key: str, line: int | None, outcome: Outcome | None) -> None:
    """Make a call in turn 2, and settle it unless `outcome` is None."""
    entry = Entry(key, "llm", 2, 0, "m", "hash", Reservation(100, 50, 0.5), line=line)
    journal = await Journal(database).of(thread)
    await journal.open(entry)
    if outcome:
        await journal.settle(entry, outcome)


def answered(cost: float | None, seconds: float, error_kind: str | None = None) -> Outcome:
    return Outcome(answer="h", error_kind=error_kind, input_tokens=10, output_tokens=5, cost=cost, seconds=seconds)


async def test_calls_are_added_up_by_line_with_those_of_no_known_line_last(database: Database) -> None:
    await made(database, "t", "2:a:1", 6, answered(0.25, 2.0))
    await made(database, "t", "2:b:1", 6, answered(0.5, 1.0, CUT))
    await made(database, "t", "2:c:1", 6, Outcome(error_kind="timeout", error="slow", cost=0.0, seconds=60.0))
    await made(database, "t", "2:d:1", None, answered(None, 1.0))
    await made(database, "t", "2:e:1", 3, None)
    assert await line_sums(database, "t", 2) == [
        LineSum(3, 1, 0, 0, 0, 1, 0, 0, 0.0, 0.0),
        LineSum(6, 3, 1, 1, 0, 0, 20, 10, 0.75, 63.0),
        LineSum(None, 1, 0, 0, 0, 0, 10, 5, None, 1.0),
    ]
    assert await line_sums(database, "t", 1) == []
    assert await line_sums(database, "other", 2) == []


async def test_the_tokens_of_sub_rlms_count_for_the_line_that_started_them(database: Database) -> None:
    entry = Entry("2:child:1", "rlm", 2, 0, "m", "hash", line=4)
    journal = await Journal(database).of("t")
    for name, caller, call in (("child", "t", entry.key), ("grandchild", "child", "2:x:1")):
        child = Child(name, caller, call, 1)
        await journal.open_child(entry, "child", lambda connection, child=child: enter_child(connection, child))
        await made(database, name, "2:x:1", 1, answered(0.25, 1.0))
    await journal.settle(entry, Outcome(answer="h", known=0, cost=0.0, seconds=9.0))
    assert await line_sums(database, "t", 2) == [LineSum(4, 1, 0, 0, 0, 0, 20, 10, 0.5, 9.0)]
