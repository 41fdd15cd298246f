"""Searching the calls of a home: what is new is found, what is gone is not, whatever happens to the file of words."""

import asyncio
import sqlite3
import stat
import sys
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph import call_searching
from durable_rlm.graph.call_searching import CallSearch
from durable_rlm.graph.found_calls import found_calls
from durable_rlm.graph.maintenance import delete_runs
from durable_rlm.state.budget import Limits
from durable_rlm.state.call_records import Entry, Outcome
from durable_rlm.state.call_search import filling
from durable_rlm.state.call_search.file import DamagedFile
from durable_rlm.state.errors import StoreError, UsageError
from durable_rlm.state.home_size import SEARCH_FILE
from durable_rlm.state.open_home import open_home
from durable_rlm.state.stores import Stores
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncGenerator[Stores]:
    async with open_home(tmp_path / "home", trust=True) as stores:
        yield stores


LIMITS = Limits(max_turns=1, max_calls=1)


async def ask(stores: Stores, thread: str, number: int, prompt: str) -> Entry:
    """Record a request, and return it."""
    if not await stores.threads.exists(thread):
        await stores.threads.add(thread, question="Q?", input_digest="", start={}, model="m", limits=LIMITS)
    entry = Entry(f"1:{number}:1", "llm", 1, 0, "m", await stores.texts.put(prompt))
    await (await stores.journal.of(thread)).open(entry)
    return entry


async def settle(stores: Stores, thread: str, entry: Entry, answer: str | None, error: str | None = None) -> None:
    outcome = Outcome(answer=None if answer is None else await stores.texts.put(answer), error=error)
    await (await stores.journal.of(thread)).settle(entry, outcome)


async def call(stores: Stores, thread: str, number: int, prompt: str, answer: str) -> None:
    await settle(stores, thread, await ask(stores, thread, number, prompt), answer)


async def places(search: CallSearch, words: str, thread: str | None = None) -> list[tuple[str, str | None, str]]:
    page = await search.search(words, thread=thread, limit=500, fill_for=None)
    assert page.is_complete
    return [(hit.thread_id, hit.key, hit.where) for hit in page.hits]


def in_small_steps(monkeypatch: pytest.MonkeyPatch, characters: int) -> None:
    for module in (filling, call_searching):
        monkeypatch.setattr(module, "_MOST_CHARACTERS", characters)


async def test_prompts_answers_and_errors_are_found_with_where_they_are(stores: Stores) -> None:
    await call(stores, "t", 1, "Does it need notice?", "Yes, a Notice of 30 days.")
    await settle(stores, "t", await ask(stores, "t", 2, "And this?"), None, "the server gave notice of overload")
    await call(stores, "u", 1, "nothing", "else")
    async with CallSearch(stores) as search:
        assert await places(search, "notice", "t") == [
            ("t", "1:1:1", "prompt"),
            ("t", "1:1:1", "answer"),
            ("t", "1:2:1", "error"),
        ]
        assert await places(search, "notice 30") == [("t", "1:1:1", "answer")]
        assert await places(search, "notice", "u") == await places(search, "notice", "nobody") == []


async def test_the_next_search_finds_calls_that_were_asked_and_answered_later(stores: Stores) -> None:
    async with CallSearch(stores) as search:
        assert await places(search, "late") == []
        first, second = await ask(stores, "t", 1, "one"), await ask(stores, "u", 1, "late two")
        assert await places(search, "late") == [("u", "1:1:1", "prompt")]
        await settle(stores, "t", first, "a late answer")
        assert await places(search, "late", "t") == [("t", "1:1:1", "answer")]
        await settle(stores, "u", second, "too late")
        await call(stores, "t", 2, "another", "later")
        assert len(await places(search, "late")) == 4


async def test_an_outcome_that_is_replaced_is_found_as_it_is_now(stores: Stores) -> None:
    entry = await ask(stores, "t", 1, "asked")
    async with CallSearch(stores) as search:
        for answer in ("first", "second", "third"):
            await settle(stores, "t", entry, answer)
            assert await places(search, answer) == [("t", "1:1:1", "answer")]
        assert await places(search, "first") == []


async def test_steps_of_any_size_read_every_call_once(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_steps(monkeypatch, 30)
    entries = [await ask(stores, f"t{number % 3}", number, f"prompt {number}") for number in range(40)]
    async with CallSearch(stores) as search:
        assert len(await places(search, "prompt")) == 40
        for number, entry in enumerate(entries):
            await settle(stores, f"t{number % 3}", entry, f"answer {number}")
        assert not await search.fill(0.0)
        assert len(await places(search, "answer")) == 40


async def test_pages_follow_each_other_without_gaps(stores: Stores) -> None:
    for number in range(23):
        await call(stores, "t" if number % 2 else "u", number, f"prompt {number}", "no")
    async with CallSearch(stores) as search:
        keys: list[str | None] = []
        after: str | None = None
        while True:
            page = await search.search("prompt", thread="t", after=after, limit=5)
            assert len(page.hits) <= 5 and (page.indexed, page.total) == (11, 11)
            keys += [hit.key for hit in page.hits]
            if (after := page.next) is None:
                break
        assert keys == [f"1:{number}:1" for number in range(1, 23, 2)]
        for wrong in ("-1", "x", "٣", "9" * 30):
            with pytest.raises(UsageError):
                await search.search("prompt", after=wrong)


async def test_a_search_that_has_no_time_says_how_far_it_has_come(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_steps(monkeypatch, 1)
    monkeypatch.setattr(call_searching, "LOOK_SECONDS", 0.0)
    for number in range(5):
        await call(stores, "t", number, "prompt", "answer")
    async with CallSearch(stores) as search:
        page = await search.search("prompt", thread="t", fill_for=0.0)
        assert 0 < page.indexed < page.total == 5 and len(page.hits) == 1
        assert await search.fill() and await search.progress("t") == await search.progress() == (5, 5)
        page = await search.search("prompt", thread="t")
        assert len(page.hits) == 1 and page.next is not None


async def test_a_deleted_run_is_found_no_more_and_none_of_its_words_stay(tmp_path: Path, stores: Stores) -> None:
    await call(stores, "t", 1, "confidential", "no")
    await call(stores, "u", 1, "public", "no")
    async with CallSearch(stores) as search:
        assert len(await places(search, "confidential")) == 1
        await delete_runs(stores, "t")
        assert not (tmp_path / "home" / SEARCH_FILE).exists()
        assert await places(search, "confidential") == [] and len(await places(search, "public")) == 1
        # By another program, which knows nothing of the file.
        await stores.database.commit(lambda connection: connection.execute("DELETE FROM calls WHERE thread_id = 'u'"))
        assert await places(search, "public") == []
    with closing(sqlite3.connect(tmp_path / "home" / SEARCH_FILE)) as file:
        assert file.execute("SELECT count(*) FROM terms WHERE term IN ('public', 'confidential')").fetchone() == (0,)


async def test_a_missing_or_damaged_file_is_made_again(tmp_path: Path, stores: Stores) -> None:
    await call(stores, "t", 1, "prompt", "answer")
    path = tmp_path / "home" / SEARCH_FILE
    async with CallSearch(stores) as search:
        assert len(await places(search, "prompt")) == 1 and stat.S_IMODE(path.stat().st_mode) == 0o600
        for end in ("-wal", "-shm", ""):
            path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
        assert len(await places(search, "prompt")) == 1
        for damage in (b"", b"garbage" * 1000, path.read_bytes()[:5000]):
            for end in ("-wal", "-shm"):
                path.with_name(f"{path.name}{end}").unlink(missing_ok=True)
            path.write_bytes(damage)
            assert len(await places(search, "prompt")) == 1


async def test_a_file_that_is_damaged_each_time_is_an_error_in_words(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(stores, "t", 1, "prompt", "answer")

    def write(*_: object) -> None:
        raise DamagedFile("the disk is worn")

    monkeypatch.setattr(call_searching, "write", write)
    async with CallSearch(stores) as search:
        with pytest.raises(StoreError, match="damaged each time that it is made: the disk is worn"):
            await search.fill()


async def test_a_file_that_claims_what_the_texts_do_not_say_is_not_believed(tmp_path: Path, stores: Stores) -> None:
    await call(stores, "t", 1, "prompt", "answer")
    async with CallSearch(stores) as search:
        await search.fill()
        with closing(sqlite3.connect(tmp_path / "home" / SEARCH_FILE, isolation_level=None)) as file:
            for document in (8, 9, 15, 800, -8):
                file.execute("INSERT INTO words (rowid, text) VALUES (?, 'forged')", (document,))
            file.execute("INSERT INTO run_words (rowid, text) VALUES (7, 'forged')")
        assert await places(search, "forged") == []


async def test_damaged_texts_and_rows_hide_nothing_but_themselves(stores: Stores) -> None:
    for number in range(3):
        await call(stores, "t", number, f"prompt {number}", f"answer {number}")

    def damage(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE texts SET body = 'answer changed' WHERE body = CAST('answer 0' AS BLOB)")
        connection.execute("DROP TRIGGER calls_updated")
        connection.execute("UPDATE calls SET model = 'other' WHERE key = '1:1:1'")

    async with CallSearch(stores) as search:
        await search.fill()
        await stores.database.commit(damage)
        assert await places(search, "answer") == [("t", "1:2:1", "answer")]
        assert await places(search, "prompt") == [("t", "1:0:1", "prompt"), ("t", "1:2:1", "prompt")]


async def test_two_that_fill_at_once_do_not_disturb_each_other(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_small_steps(monkeypatch, 100)
    monkeypatch.setattr(call_searching, "_PAUSE", 0.001)
    for number in range(60):
        await call(stores, "t", number, f"prompt {number}", "answer")
    async with open_home(tmp_path / "home", trust=True) as others:
        both = [CallSearch(stores), CallSearch(others)]
        assert await asyncio.gather(*(one.fill() for one in both)) == [True, True]
        for one in both:
            assert len(await places(one, "answer")) == 60
    with closing(sqlite3.connect(tmp_path / "home" / SEARCH_FILE)) as file:
        assert file.execute("SELECT count(*) FROM words_docsize").fetchone() == (120,)


async def test_a_fill_can_be_cancelled_and_goes_on_later(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    in_small_steps(monkeypatch, 1)
    for number in range(30):
        await call(stores, "t", number, "prompt", "answer")
    async with CallSearch(stores) as search:
        filling_up = asyncio.create_task(search.fill())
        while (await search.progress())[0] == 0:
            await asyncio.sleep(0)
        filling_up.cancel()
        await asyncio.wait({filling_up})
        assert filling_up.cancelled() and (await search.progress())[0] < 30
        assert len(await places(search, "prompt")) == 30


async def test_a_home_that_is_read_as_a_copy_is_searched_and_left_as_it_is(tmp_path: Path) -> None:
    home = tmp_path / "home"
    async with open_home(home, trust=True) as stores:
        await call(stores, "t", 1, "prompt", "answer")
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    async with open_home(home, read_only=True) as copied, CallSearch(copied) as search:
        assert len(await places(search, "prompt")) == 1
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


async def test_a_home_with_no_room_for_the_file_is_searched_with_one_elsewhere(
    tmp_path: Path, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    await call(stores, "t", 1, "prompt", "answer")

    def is_nearly_full(folder: Path) -> bool:
        return folder == tmp_path / "home"

    monkeypatch.setattr(call_searching, "is_nearly_full", is_nearly_full)
    async with CallSearch(stores) as search:
        assert len(await places(search, "prompt")) == 1
    assert not (tmp_path / "home" / SEARCH_FILE).exists()


async def test_a_folder_in_the_place_of_the_file_does_not_prevent_a_search(tmp_path: Path, stores: Stores) -> None:
    await call(stores, "t", 1, "prompt", "answer")
    (tmp_path / "home" / SEARCH_FILE).mkdir()
    async with CallSearch(stores) as search:
        assert len(await places(search, "prompt")) == 1


@pytest.fixture
async def runner(tmp_path: Path) -> AsyncGenerator[Runner]:
    async with Runner.open(tmp_path / "runs", kernels=MemoryKernels()) as runner:
        yield runner


CELL = "a = llm_query('Sum up: ' + context[:2000] + ' in a sentence')\nFINAL('The harbour is closed. ' + a)"


async def test_runs_are_found_by_question_and_answer_and_calls_by_their_own_words(
    runner: Runner, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "model.py", [repl(CELL)], "return 'Nothing moves.'")
    text = "".join(f"line {number}: the ferry leaves the harbour at noon\n" for number in range(500))
    run = await runner.run("When does the boat leave?", text, model=model)
    assert run.status == "answered", run
    stores = runner.queries._stores
    async with CallSearch(stores) as search:
        assert await places(search, "boat") == [(run.thread_id, None, "question")]
        assert [where for *_, where in await places(search, "harbour closed")] == ["result"]
        assert [where for *_, where in await places(search, "nothing moves")] == ["result", "answer"]
        # The input has the word, and so has what was cut from it for the prompt.
        assert await places(search, "ferry") == []
        assert [where for *_, where in await places(search, '"in a sentence"')] == ["prompt"]
    [found] = await found_calls(stores, run.thread_id, "sentence sum")
    document = found.to_json()
    assert document["prompt"].startswith("Sum up: line 0") and document["answer"] == "Nothing moves."
    [place] = document["found"]
    assert [place["text"][start:end] for start, end in place["matches"]] == ["Sum", "sentence"]


async def test_a_search_imports_no_langgraph(tmp_path: Path, stores: Stores) -> None:
    await call(stores, "t", 1, "prompt", "answer")
    program = """
import asyncio, sys
from pathlib import Path
from durable_rlm.graph.call_searching import CallSearch
from durable_rlm.state.open_home import open_home

async def main():
    async with open_home(Path(sys.argv[1]), trust=True) as stores, CallSearch(stores) as search:
        print(len((await search.search("prompt")).hits), "langgraph" in sys.modules, "langchain_core" in sys.modules)

asyncio.run(main())
"""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", program, str(tmp_path / "home")), stdout=asyncio.subprocess.PIPE
    )
    said, _ = await process.communicate()
    assert said.split() == [b"1", b"False", b"False"]
