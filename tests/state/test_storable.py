"""Values that SQLite cannot hold: refused in words before they wait for a commit, in every table that is written."""

import math
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.base import empty_checkpoint

from durable_rlm.state.budget import Limits
from durable_rlm.state.call_journal import Journal
from durable_rlm.state.call_records import Attempt, Entry, Outcome
from durable_rlm.state.checkpointer import RunSaver
from durable_rlm.state.db import storable
from durable_rlm.state.db.connection import Database
from durable_rlm.state.db.storable import ensure_storable
from durable_rlm.state.errors import StoreError
from durable_rlm.state.leases import Leases
from durable_rlm.state.reservations import Reservation
from durable_rlm.state.threads import Threads
from durable_rlm.state.usage import Spending, TokenDetails

SURROGATE = "a\ud800b"
NUMBERS = (10**30, -(10**30), 2**63, -(2**63) - 1, math.nan, math.inf, -math.inf)
LIMITS = Limits(max_turns=1, max_calls=1)


def _shown(value: object) -> str:
    """Name a test by its value; an address would differ between the processes that run tests."""
    return "object" if type(value) is object else ascii(value)


@given(st.one_of(st.integers(), st.floats(), st.text(st.characters()), st.binary(), st.none(), st.booleans()))
def test_a_value_that_passes_the_check_is_read_again_as_it_was_written(value: Any) -> None:
    try:
        ensure_storable({"value": value}, "The row")
    except StoreError as refused:
        assert "The row cannot be saved: its value" in refused.message and refused.hint
        assert isinstance(value, int | float | str)
        return
    with sqlite3.connect(":memory:") as connection:
        assert connection.execute("SELECT ?", (value,)).fetchone() == (value,)
    connection.close()


@pytest.mark.parametrize("value", [*NUMBERS, SURROGATE, object(), [1], 1j], ids=_shown)
def test_a_value_that_no_column_can_hold_is_refused(value: Any) -> None:
    with pytest.raises(StoreError, match="cannot be saved: its output tokens"):
        ensure_storable({"output_tokens": value}, "A call")


def test_a_row_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storable, "MOST_BYTES", 100)
    ensure_storable({"a": "x" * 50, "b": b"x" * 50}, "A step")
    with pytest.raises(StoreError, match="it has 101 bytes, more than a row can hold"):
        ensure_storable({"a": "x" * 50, "b": b"x" * 51}, "A step")


# -- everything that is written


def entry(key: str = "1:llm:k:1", **facts: Any) -> Entry:
    usual: dict[str, Any] = {"key": key, "kind": "llm", "turn": 1, "depth": 0, "model": "m", "prompt": "p"}
    return Entry(**(usual | facts))


@pytest.fixture
async def another(database: Database) -> AsyncGenerator[None]:
    """Check that another run of the process is recorded after what the test has done, and can be read."""
    yield
    journal = await Journal(database).of("another")
    await journal.open(entry())
    await journal.settle(entry(), Outcome(answer="a", input_tokens=5, cost=0.5))
    await Threads(database).add("another", question="q", input_digest="", start={}, model="m", limits=LIMITS)
    assert [row.status for row in await Journal(database).rows("another")] == ["answered"]
    assert (await Spending(database).by_all())["another"].tokens == 5
    assert "another" in [row.thread_id for row in await Threads(database).all()]


ENTRIES: list[dict[str, Any]] = [
    *({"reserved": Reservation(n, 1, 0.0)} for n in NUMBERS[:4]),
    *({"reserved": Reservation(1, 1, n)} for n in NUMBERS[4:]),
    *({name: SURROGATE} for name in ("key", "model", "prompt", "request")),
    *({name: n} for name in ("turn", "depth", "line") for n in NUMBERS[:3]),
    *({"queued": n} for n in NUMBERS[4:]),
]


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize("facts", ENTRIES, ids=ascii)
async def test_a_request_that_cannot_be_recorded_is_refused(database: Database, facts: dict[str, Any]) -> None:
    journal = await Journal(database).of("t")
    before = database.commits
    with pytest.raises(StoreError, match="cannot be saved: its "):
        await journal.open(entry(**facts))
    assert database.commits == before and await Journal(database).rows("t") == []


OUTCOMES: list[dict[str, Any]] = [
    *({name: n} for name in ("input_tokens", "output_tokens", "streamed_output", "known") for n in NUMBERS[:4]),
    *({name: n} for name in ("cost", "seconds") for n in NUMBERS[4:]),
    *({"details": TokenDetails(*counts)} for counts in [(10**40, 0, 0), (0, -(10**40), 0), (0, 0, 2**63)]),
    *({name: SURROGATE} for name in ("answer", "error_kind", "thoughts")),
    {"attempts": [Attempt(0.0, math.nan, "answered")]},
]


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize("facts", OUTCOMES, ids=ascii)
async def test_an_outcome_that_cannot_be_recorded_is_refused_and_its_request_stays_uncertain(
    database: Database, facts: dict[str, Any]
) -> None:
    journal = await Journal(database).of("t")
    await journal.open(entry())
    for write in (journal.settle, journal.decide, journal.correct):
        before = database.commits
        if write == journal.decide and not facts.keys() & {"answer", "error_kind"}:
            continue
        if write == journal.correct and facts.keys() & {"answer", "error_kind", "thoughts", "seconds"}:
            continue
        with pytest.raises((StoreError, ValueError)):
            await write(entry(), Outcome(**facts))
        assert database.commits == before
    assert journal.find("1:llm:k:1") is None
    assert [row.status for row in await Journal(database).rows("t")] == ["asked"]


@pytest.mark.usefixtures("another")
async def test_an_error_with_lone_surrogates_is_recorded_without_them(database: Database) -> None:
    journal = await Journal(database).of("t")
    await journal.open(entry())
    await journal.settle(entry(), Outcome(error_kind="server", error=f"the server said {SURROGATE} \0"))
    [row] = await Journal(database).rows("t")
    assert row.error == "the server said a\ufffdb \0"


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize("column", ["question", "model", "input_digest", "parent", "thread_id"])
async def test_a_run_that_cannot_be_entered_is_refused(database: Database, column: str) -> None:
    facts: dict[str, Any] = {"question": "q", "input_digest": "", "start": {}, "model": "m", "limits": LIMITS}
    with pytest.raises(StoreError, match="cannot be saved: its "):
        await Threads(database).add(**{**facts, "thread_id": "t", column: SURROGATE})
    for seconds in NUMBERS[4:]:
        with pytest.raises(StoreError, match="cannot be saved: its seconds"):
            await Threads(database).set_status("t", "failed", seconds=seconds)


PLACE: Any = {"configurable": {"thread_id": "t", "checkpoint_ns": ""}}


def saving(name: str, value: Any) -> Callable[[RunSaver], Awaitable[Any]]:
    """Return a function that saves a checkpoint, or writes, with a strange value at one place."""

    async def save(saver: RunSaver) -> None:
        checkpoint, place = empty_checkpoint(), dict(PLACE["configurable"])
        metadata: Any = {"source": "loop", "step": 0, "parents": {}}
        if name == "checkpoint id":
            checkpoint["id"] = value
        elif name == "turn":
            checkpoint["channel_values"] = {"turn": value}
        elif name in place:
            place[name] = value
        saved = await saver.aput({"configurable": place}, checkpoint, metadata, {})
        if name == "task id":
            await saver.aput_writes(saved, [("turn", 1)], value)
            raise AssertionError("it was taken")

    return save


@pytest.mark.usefixtures("another")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, SURROGATE) for name in ("checkpoint id", "task id", "thread_id", "checkpoint_ns")),
        *(("turn", n) for n in NUMBERS[:3]),
    ],
    ids=ascii,
)
async def test_a_step_that_cannot_be_saved_is_refused(database: Database, name: str, value: Any) -> None:
    with pytest.raises(StoreError, match="cannot be saved"):
        await saving(name, value)(RunSaver(database, Leases(database)))


@pytest.mark.usefixtures("another")
async def test_a_lease_of_a_name_that_cannot_be_saved_is_refused(database: Database) -> None:
    with pytest.raises(StoreError, match="cannot be saved: its thread id"):
        await Leases(database).acquire(SURROGATE)


@pytest.mark.parametrize("value", [10**30, SURROGATE, object()], ids=_shown)
async def test_a_query_with_a_value_that_no_row_can_hold_is_an_error_in_words(database: Database, value: Any) -> None:
    with pytest.raises(StoreError, match="A value cannot be stored"):
        await database.read("SELECT 1 FROM threads WHERE thread_id = ?", (value,))
    with pytest.raises(StoreError, match="A value cannot be stored"):
        await database.look(lambda connection: connection.execute("SELECT ?", (value,)))


# -- homes in which such values are


async def test_counts_that_add_up_to_more_than_64_bits_hide_no_other_run(database: Database, another: None) -> None:
    """A damaged row, or one of an earlier version, may hold any number."""
    for name in ("one", "two"):
        journal = await Journal(database).of(name)
        await journal.open(entry())
        columns = "input_tokens = ?1, output_tokens = ?1, attempts = ?1, cached_tokens = ?1, uncertain_tokens = ?1"
        await database.commit(
            lambda connection, columns=columns: connection.execute(f"UPDATE calls SET {columns}", (2**63 - 1,))
        )
    await database.commit(lambda c: c.execute("INSERT INTO children VALUES ('two', 'one', 'k', 1, NULL)"))
    totals = await Spending(database).by_all()
    assert totals["one"].input_tokens == 2**63 - 1 and totals["two"].input_tokens == 2**63 - 1
    assert await Spending(database).largest_turn("one") >= 0


@pytest.mark.parametrize("column", ["limits", "start", "error"])
async def test_a_row_of_the_index_that_this_version_cannot_read_hides_no_other_run(
    database: Database, another: None, column: str
) -> None:
    threads = Threads(database)
    await threads.add("t", question="q", input_digest="", start={}, model="m", limits=LIMITS)
    strange = '{"max_turns": 0}' if column == "limits" else "{"
    await database.commit(lambda c: c.execute(f"UPDATE threads SET {column} = ? WHERE thread_id = 't'", (strange,)))
    [row] = await threads.all()
    assert (row.thread_id, row.question, row.damaged) == ("t", "q", True)
