"""`Runner.verify`: it reports exactly the damaged records, with what is lost by each (promises P5, P12)."""

import asyncio
import random
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph.maintenance import verify_run
from durable_rlm.state.blobs.store import content_hash
from durable_rlm.state.db.tables import TABLES
from durable_rlm.state.errors import StoredDataDamaged, StoreError, UnknownThread, UsageError
from durable_rlm.state.maintenance.report import Kind, Report
from durable_rlm.state.open_home import open_stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.damage import DATABASE, ask, change, leaves, spoil_page
from tests.graph.damaged_homes import DAMAGES, INDEX, PACK, blob_with, call_about, in_ranges
from tests.graph.saved_home import adopt, insert_child, make_home
from tests.scripts import repl, write_script

STEPS, CALLS, TURNS = 12, 5, 3


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = make_home(tmp_path_factory.mktemp("saved"))
    for thread in ("hurt", "other"):
        insert_child(home, thread, caller=f"above {thread}")
    return home


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / "home"))


async def verified(home: Path, thread: str) -> Report:
    async with open_stores(home) as stores:
        return await verify_run(stores, thread)


async def test_an_undamaged_run_is_reported_as_whole(home: Path) -> None:
    report = await verified(home, "hurt")
    assert report.ok and report.problems == []
    assert set(report.checked) == {
        *("thread", "child", "step", "checkpoint", "write", "call", "text", "snapshot", "piece", "input"),
        *("turn", "execution"),
    }
    assert report.whole == {
        "steps": (STEPS, STEPS),
        "turns": (TURNS, TURNS),
        "calls": (CALLS, CALLS),
        "variables": (report.whole["variables"][1],) * 2,
    }


async def test_every_byte_of_the_input_is_read(home: Path) -> None:
    size = sum(blob_with(home, needle).stat().st_size for needle in (PACK, INDEX))
    assert (await verified(home, "hurt")).checked["input"].bytes == size


@pytest.mark.parametrize("name", DAMAGES)
async def test_exactly_the_damaged_record_is_reported_with_its_loss(home: Path, name: str) -> None:
    expected = DAMAGES[name](home)
    report = await verified(home, "hurt")
    found = [(problem.kind, problem.name, problem.fault) for problem in report.problems]
    assert found == [(expected.kind, expected.name, expected.fault)]
    assert any(expected.lost in needed for needed in report.problems[0].needed_by), report.problems
    other = await verified(home, "other")
    assert other.ok or [problem.kind for problem in other.problems] == ["database"], other.problems


async def test_undamaged_records_of_a_damaged_run_are_counted(home: Path) -> None:
    for name in ("a_piece_of_a_variable_gone", "a_text_cut_short", "a_write_to_a_growing_list_changed"):
        DAMAGES[name](home)
    report = await verified(home, "hurt")
    variables = report.whole["variables"]
    assert len(report.problems) == 3
    assert report.whole == {
        "steps": (7, STEPS),
        "turns": (TURNS, TURNS),
        "calls": (CALLS - 1, CALLS),
        "variables": (variables[1] - 1, variables[1]),
    }


KINDS: dict[str, Kind] = {
    "checkpoints": "checkpoint",
    "writes": "write",
    "calls": "call",
    "steps": "step",
    "threads": "thread",
    "children": "child",
    "turns": "turn",
    "executions": "execution",
    "texts": "text",
    "recipes": "text",
    "manifests": "snapshot",
    "chunks": "piece",
}


@pytest.mark.parametrize("table", KINDS)
async def test_a_damaged_page_hides_only_its_own_rows(home: Path, table: str) -> None:
    whole = (await verified(home, "hurt")).checked
    pages = leaves(home, table)
    spoil_page(home, page := pages[len(pages) // 2])
    for thread in ("hurt", "other"):
        report = await verified(home, thread)
        # Both runs are in the same file, so both reports name the page; a lost row is in its own run's report only.
        [damaged] = [problem for problem in report.problems if problem.kind == "database"]
        assert damaged.name == f"table {table}" and str(page) in damaged.fault
        lost = [problem for problem in report.problems if problem.kind != "database"]
        assert {problem.kind for problem in lost} <= {KINDS[table]}, lost
        assert all("cannot be read" in problem.fault for problem in lost), lost
        if thread == "hurt":
            rows: list[Kind] = [KINDS[other.name] for other in TABLES if other.name != table]
            assert {kind: report.checked[kind] for kind in rows} == {kind: whole[kind] for kind in rows}


@pytest.mark.parametrize("index", ["sqlite_autoindex_checkpoints_1", "sqlite_autoindex_writes_1"])
async def test_a_damaged_page_of_an_index_hides_no_row(home: Path, index: str) -> None:
    whole = (await verified(home, "hurt")).checked
    spoil_page(home, leaves(home, index)[0])
    report = await verified(home, "hurt")
    assert [problem.kind for problem in report.problems] == ["database"]
    assert report.checked == whole


def contents(home: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Return all rows of a home's runs, by table."""
    columns = {table.name: ", ".join(table.columns()) for table in TABLES}
    columns |= {table: "hash, body" for table in ("texts", "chunks", "manifests")}
    return {table: ask(home, f"SELECT {names} FROM {table} ORDER BY 1, 2") for table, names in columns.items()}


async def test_no_flipped_bit_of_the_database_goes_unnoticed(saved: Path, tmp_path: Path) -> None:
    before = contents(saved)
    chance = random.Random(20)
    whole = (saved / DATABASE).read_bytes()
    noticed = 0
    for number in range(80):
        home = Path(shutil.copytree(saved, tmp_path / str(number)))
        data = bytearray(whole)
        data[place := chance.randrange(100, len(data))] ^= 1 << chance.randrange(8)
        (home / DATABASE).write_bytes(data)
        try:
            reports = [await verified(home, thread) for thread in ("hurt", "other")]
        except StoreError:
            noticed += 1
            continue
        if all(report.ok for report in reports):
            assert contents(home) == before, f"byte {place}"
        else:
            noticed += 1
        shutil.rmtree(home)
    assert noticed > 40, "most bytes of the file belong to a run"


async def test_verifying_an_unknown_run_is_refused(home: Path) -> None:
    with pytest.raises(UnknownThread):
        await verified(home, "nobody")


async def test_a_run_can_be_verified_while_it_runs(runner: Runner, tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = llm_query_batched(['a', 'b'])"), repl("FINAL(llm_query('c'))")])
    reports: list[asyncio.Future[Report]] = []

    def on_event(event: Mapping[str, Any]) -> None:
        if event["event"] == "calls" and not reports:
            reports.append(asyncio.ensure_future(runner.verify("named")))

    await runner.run("What?", model=model, thread="named", on_event=on_event)
    report = await reports[0]
    assert report.ok and report.whole["calls"][1] > 0


async def test_damage_to_a_call_of_the_parent_is_reported_for_its_fork(home: Path, tmp_path: Path) -> None:
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        await runner.fork("hurt", 5, into="fork")
    assert (await verified(home, "fork")).ok
    expected = DAMAGES["a_call_with_another_answer"](home)
    [problem] = (await verified(home, "fork")).problems
    assert (problem.kind, problem.name) == ("call", f"{expected.name} of hurt")


@pytest.mark.parametrize("in_the_journal", [True, False])
async def test_the_children_of_a_run_are_verified_with_it(home: Path, in_the_journal: bool) -> None:
    change(home, "DELETE FROM children WHERE thread_id = 'other'")
    if in_the_journal:
        adopt(home, "hurt", "other")
    else:
        insert_child(home, "other", caller="hurt")
    assert (await verified(home, "hurt")).checked["thread"].records == 2
    change(home, "UPDATE threads SET question = '' WHERE thread_id = 'other'")
    [problem] = (await verified(home, "hurt")).problems
    assert (problem.kind, problem.name) == ("thread", "other")


@pytest.mark.parametrize(
    ("sql", "fault"),
    [
        ("UPDATE children SET caller = 'else' WHERE thread_id = 'other'", "has changed on disk"),
        ("DELETE FROM children WHERE thread_id = 'other'", "is missing"),
    ],
)
async def test_a_changed_or_missing_child_row_is_reported(home: Path, sql: str, fault: str) -> None:
    change(home, "DELETE FROM children WHERE thread_id = 'other'")
    adopt(home, "hurt", "other")
    assert (await verified(home, "hurt")).ok
    change(home, sql)
    [problem] = (await verified(home, "hurt")).problems
    assert (problem.kind, problem.name, problem.fault) == ("child", "other", fault)


async def test_a_text_stored_as_a_range_of_the_input_is_lost_only_with_that_range(home: Path) -> None:
    in_ranges(home, "alpha", PACK)
    assert (await verified(home, "hurt")).ok
    blob = blob_with(home, PACK)
    name, where = blob.parent.name + blob.name, f"blobs/{blob.parent.name}/{blob.name}"
    # Its first bytes are alpha's.
    for at, lost in ((-1, ()), (0, (content_hash(b"alpha"),))):
        data = bytearray(blob.read_bytes())
        data[at] ^= 1
        blob.write_bytes(data)
        report = await verified(home, "hurt")
        found = {(problem.kind, problem.name, problem.where) for problem in report.problems}
        assert found == {("input", name, where), *(("text", text, where) for text in lost)}
        assert report.whole["calls"] == (CALLS - len(lost), CALLS)
    [text] = [problem for problem in report.problems if problem.kind == "text"]
    assert text.fault == f"is cut from {where}, which has changed on disk"
    assert text.needed_by == [f"the prompt of call {call_about(home, 'alpha')}"]


@pytest.mark.parametrize("name", DAMAGES)
async def test_a_damaged_run_that_resumes_reports_the_damage_or_gives_the_same_answer(home: Path, name: str) -> None:
    DAMAGES[name](home)
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        try:
            await runner.fork("hurt", 9, into="fork")
            run = await runner.resume("fork")
        except (StoredDataDamaged, UnknownThread, UsageError):
            return
        if run.status == "answered":
            assert run.answer == ["ALPHA", "BETA"]
        else:
            assert run.status == "failed" and run.error and run.error["type"] == "StoredDataDamaged"
