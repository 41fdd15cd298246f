"""`rlm home copy`: a whole home of its own, beside live runs; with `--scrub` no byte of a secret is in it."""

import asyncio
import fcntl
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.graph.maintenance import collect_garbage, copy_home
from durable_rlm.state import agreements
from durable_rlm.state.blobs.store import locked
from durable_rlm.state.db.checksums import register_function
from durable_rlm.state.db.home_id import read_id
from durable_rlm.state.errors import StoreError, UsageError
from durable_rlm.state.home_access import digest
from durable_rlm.state.search.files import FOLDER as SEARCH
from durable_rlm.state.search.files import IndexFiles
from tests.contract.in_memory_kernel import MemoryKernels
from tests.graph.saved_home import make_home
from tests.scripts import repl, write_script

SECRET = "sk-canary-Zq8/Wv+3x\u00fcK-1234567890"
DATABASE = "checkpoints.sqlite"


def content(folder: Path) -> dict[str, str]:
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def found_in(folder: Path, secret: str) -> list[str]:
    """Return the files that have the secret in a form in which it could be stored."""
    forms = [secret.encode(), secret.encode("utf-32-le"), secret.encode("utf-16-le"), secret.lower().encode()]
    forms += [secret.encode("unicode_escape").replace(b"\\xfc", b"\\u00fc")]
    return [str(path) for path in folder.rglob("*") if path.is_file() and any(f in path.read_bytes() for f in forms)]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("copied"))


CELLS = [
    f"kept = {SECRET!r}\nparts = [str(context)[start:start + 9000] for start in range(0, 27000, 9000)]\n"
    "print(llm_query_batched(['Look at this: ' + part for part in parts]))\nprint(str(context)[:300_000])",
    "FINAL(kept)",
]


@pytest.fixture(scope="module")
def full_of_secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the secret in its question, input, prompts, code, outputs, variables, answer and an old address."""
    folder = tmp_path_factory.mktemp("secrets")
    script = write_script(folder / "m.py", [repl(cell) for cell in CELLS], sub="return prompt[-80:]")
    text = "".join(
        f"line {number} of the input\n" + (f"{SECRET}\n" if number % 97 == 0 else "") for number in range(20000)
    )
    home = folder / "home"

    async def fill() -> None:
        async with Runner.open(home, kernels=MemoryKernels()) as runner:
            run = await runner.run(f"What is {SECRET}?", text, model=script, thread="secret")
            assert run.answer == SECRET, run
            await runner.fork("secret", 4, into="forked", question=f"Again {SECRET}")

    asyncio.run(fill())
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        # As an earlier version has saved it.
        connection.execute(
            'UPDATE threads SET start = replace(start, \'"base_url": ""\', \'"base_url": "http://me:pw1@h/v1?k=Tok"\')'
        )
        assert connection.total_changes
        connection.commit()
    return home


async def test_a_copy_is_a_whole_home_of_its_own_and_the_original_is_as_it_was(made: Path, tmp_path: Path) -> None:
    before = content(made)
    copied = await copy_home(made, tmp_path / "to" / "copy")
    assert copied.ok and copied.threads == ["hurt", "other"] and content(made) == before
    async with Runner.open(tmp_path / "to" / "copy", kernels=MemoryKernels()) as runner:
        assert (await runner.resume("hurt")).answer == ["ALPHA", "BETA"]
        assert (await runner.verify("other")).ok
    blobs = {name for name in before if name.startswith("blobs/") and ".home" not in name}
    assert blobs <= set(content(tmp_path / "to" / "copy"))
    home_id = read_id(tmp_path / "to" / "copy" / DATABASE)
    assert home_id and home_id != read_id(made / DATABASE) and agreements.is_agreed(digest(home_id))
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "to" / "copy").rglob("*") if path.is_file()}
    assert modes == {0o600}


async def test_blobs_that_nothing_refers_to_are_not_copied(made: Path, tmp_path: Path) -> None:
    await copy_home(made, tmp_path / "one")
    stray = tmp_path / "one" / "blobs" / "ab" / ("c" * 62)
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"of a deleted run")
    await copy_home(tmp_path / "one", tmp_path / "two")
    assert not (tmp_path / "two" / "blobs" / "ab" / ("c" * 62)).exists()


@pytest.mark.parametrize("secrets", [None, [SECRET]])
async def test_search_indexes_are_left_out_of_a_copy(made: Path, tmp_path: Path, secrets: list[str] | None) -> None:
    await copy_home(made, tmp_path / "one")
    indexes = IndexFiles(tmp_path / "one" / SEARCH)
    indexes.make()
    indexes.path("n").write_bytes(b"has every word of an input")
    indexes.path("n", "tantivy").mkdir()
    (indexes.path("n", "tantivy") / "words").write_bytes(b"has every word of an input")
    assert (await copy_home(tmp_path / "one", tmp_path / "two", secrets=secrets)).ok
    assert not (tmp_path / "two" / SEARCH).exists() and indexes.path("n").exists()


async def test_no_blob_can_be_deleted_while_a_copy_is_made(made: Path, tmp_path: Path) -> None:
    held: list[bool] = []

    def on_progress(what: str, records: int, size: int) -> None:
        try:
            with locked(made / "blobs", fcntl.LOCK_EX | fcntl.LOCK_NB):
                held.append(False)
        except BlockingIOError:
            held.append(True)

    await copy_home(made, tmp_path / "copy", on_progress=on_progress)
    # The check at the end reads the copy alone, and may go on while others delete.
    assert held[0] and held.count(True) > 2


async def test_a_run_under_way_is_copied_as_one_that_nobody_executes(made: Path, tmp_path: Path) -> None:
    async with Runner.open(made, kernels=MemoryKernels()) as runner:
        leases = runner.stores.leases
        await leases.acquire("hurt")
        assert (await copy_home(made, tmp_path / "copy")).ok
        await leases.release("hurt")
    with closing(sqlite3.connect(tmp_path / "copy" / DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM leases").fetchone() == (0,)
    with closing(sqlite3.connect(made / DATABASE)) as connection:
        assert connection.execute("SELECT count(*) FROM leases").fetchone() != (0,)


@pytest.mark.parametrize("at", ["file", "full", "link", "inside", "nothing"])
async def test_existing_files_are_not_overwritten(at: str, made: Path, tmp_path: Path) -> None:
    target, source = tmp_path / "to", made
    if at == "file":
        target.write_text("mine")
    elif at == "full":
        target.mkdir()
        (target / "mine").touch()
    elif at == "link":
        target.symlink_to(tmp_path / "elsewhere")
    elif at == "inside":
        target = made / "blobs" / "copy"
    else:
        source = tmp_path / "no-home"
    before = content(tmp_path)
    with pytest.raises(UsageError):
        await copy_home(source, target)
    assert content(tmp_path) == before


async def test_a_copy_that_is_stopped_leaves_nothing(made: Path, tmp_path: Path) -> None:
    def stop(what: str, records: int, size: int) -> None:
        raise InterruptedError

    with pytest.raises((InterruptedError, StoreError)):
        await copy_home(made, tmp_path / "copy", on_progress=stop)
    assert list(tmp_path.iterdir()) == []


async def test_damage_in_the_original_is_named(made: Path, tmp_path: Path) -> None:
    await copy_home(made, tmp_path / "damaged")
    [blob, *_] = [path for path in (tmp_path / "damaged" / "blobs").glob("??/*")]
    blob.write_bytes(b"flipped")
    copied = await copy_home(tmp_path / "damaged", tmp_path / "copy")
    assert not copied.ok and any(problem.fault == "has changed on disk" for _, problem in copied.problems)
    scrubbed = await copy_home(tmp_path / "damaged", tmp_path / "scrubbed", secrets=[SECRET])
    assert [problem.fault for _, problem in scrubbed.problems] == [problem.fault for _, problem in copied.problems]


async def test_a_scrubbed_copy_has_no_byte_of_the_secret_and_verifies(full_of_secrets: Path, tmp_path: Path) -> None:
    assert len(found_in(full_of_secrets, SECRET)) > 2 and found_in(full_of_secrets, "me:pw1@")
    before = content(full_of_secrets)
    copied = await copy_home(full_of_secrets, tmp_path / "copy", secrets=[SECRET])
    assert content(full_of_secrets) == before
    assert found_in(tmp_path / "copy", SECRET) == [] and copied.scrubbed and copied.scrubbed.left == []
    for part in ("me:pw1@", "k=Tok"):
        assert found_in(tmp_path / "copy", part) == []
    assert copied.ok, copied.problems
    assert {"texts", "files", "threads", "checkpoints"} <= set(copied.scrubbed.places)
    async with Runner.open(tmp_path / "copy", kernels=MemoryKernels()) as runner:
        run = await runner.read("secret")
        assert isinstance(run.answer, str) and run.answer.startswith("*" * 10) and len(run.answer) == len(SECRET)
        for thread in copied.threads:
            assert (await runner.verify(thread)).ok
        calls = await runner.queries.calls("secret")
        assert all("Look at this" in call.prompt for call in calls if call.row.kind == "llm")
    with closing(sqlite3.connect(tmp_path / "copy" / DATABASE)) as connection:
        [note] = connection.execute("SELECT value FROM home WHERE name = 'scrubbed'").fetchone()
    assert '"secrets"' in note and "canary" not in note


async def test_a_scrubbed_copy_has_no_free_pages_that_could_hold_a_secret(made: Path, tmp_path: Path) -> None:
    """Not every SQLite overwrites what it frees."""
    await copy_home(made, tmp_path / "one")
    with closing(sqlite3.connect(tmp_path / "one" / DATABASE)) as connection:
        connection.execute("DELETE FROM chunks")
        connection.commit()
        assert connection.execute("PRAGMA freelist_count").fetchone() != (0,)
    await copy_home(tmp_path / "one", tmp_path / "two", secrets=[SECRET])
    with closing(sqlite3.connect(tmp_path / "two" / DATABASE)) as connection:
        assert connection.execute("PRAGMA freelist_count").fetchone() == (0,)


async def test_a_scrubbed_copy_is_collected_like_any_home(full_of_secrets: Path, tmp_path: Path) -> None:
    await copy_home(full_of_secrets, tmp_path / "copy", secrets=[SECRET])
    collected = await collect_garbage(tmp_path / "copy")
    assert not collected.unreadable and not collected.foreign.records
    async with Runner.open(tmp_path / "copy", kernels=MemoryKernels()) as runner:
        assert (await runner.verify("secret")).ok and (await runner.verify("forked")).ok


async def test_a_scrubbed_copy_keeps_the_server_of_an_address_for_notifications_and_nothing_behind_it(
    made: Path, tmp_path: Path
) -> None:
    home = tmp_path / "home"
    await copy_home(made, home)
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        register_function(connection)
        targets = '"notify": ["https://hooks.example.com/T0/chat?key=x", "send --now"]'
        connection.execute("UPDATE threads SET start = replace(start, '\"notify\": []', ?)", (targets,))
        connection.commit()
    await copy_home(home, tmp_path / "copy", secrets=[])
    with closing(sqlite3.connect(tmp_path / "copy" / DATABASE)) as connection:
        [start, *_] = [start for (start,) in connection.execute("SELECT start FROM threads")]
    assert json.loads(start)["settings"]["notify"] == ["https://hooks.example.com/*************", "send --now"]
    assert found_in(tmp_path / "copy", "T0/chat") == []
