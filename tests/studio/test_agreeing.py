"""A home that came with a folder is only read until the user agrees to it; what the user makes needs no agreement."""

import asyncio
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm import Runner
from durable_rlm.state import agreements
from durable_rlm.state.db.home_id import read_id
from durable_rlm.state.errors import NotAgreed
from durable_rlm.studio.cli import agreeing
from tests.contract.in_memory_kernel import MemoryKernels
from tests.fixtures.homes import model as fixtures
from tests.scripts import repl, write_script
from tests.studio.conftest import Done, Rlm

Bytes = dict[str, tuple[int, bytes]]


def content(folder: Path) -> Bytes:
    """Return every file below a folder, with its modification time."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's state folder, in which nothing is yet."""
    folder = tmp_path.with_name(f"{tmp_path.name}-state")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    return folder


async def save_run(home: Path, script: str) -> None:
    """Save a run that stopped for its budget, so that resuming it runs its script."""
    async with Runner.open(home, kernels=MemoryKernels()) as runner:
        run = await runner.run("Why?", "the text", thread="theirs", model=script, max_calls=3)
        assert run.status == "answered", run.error


@pytest.fixture
async def theirs(rlm: Rlm, state: Path, tmp_path: Path) -> Path:
    """A home at `./.rlm` that another user has made."""
    folder = tmp_path.with_name(f"{tmp_path.name}-m")
    folder.mkdir()
    script = write_script(folder / "m.py", [repl("FINAL(context and 'so')")])
    await save_run(tmp_path / ".rlm", script)
    shutil.rmtree(state)
    return tmp_path / ".rlm"


READING = ["list", "show theirs", "steps theirs", "calls theirs", "vars theirs", "verify theirs", "diff theirs 1 2"]
WRITING = ["resume theirs", "fork theirs --step 2", "delete theirs --yes", "gc", "gc --dry-run", "review theirs", "dev"]


@pytest.mark.parametrize("words", READING)
def test_a_home_of_a_stranger_is_read_and_nothing_is_written_to_it(words: str, rlm: Rlm, theirs: Path) -> None:
    before = content(theirs)
    done = rlm(*words.split())
    assert done.code == 0 and "it is only read" in done.err, done
    assert content(theirs) == before


@pytest.mark.parametrize("words", [*WRITING, "run Q? --model scripted:none.py"])
def test_a_command_that_would_write_to_it_is_refused_with_the_one_that_agrees(
    words: str, rlm: Rlm, theirs: Path
) -> None:
    before = content(theirs)
    done = rlm(*words.split())
    assert done.code == 2 and "rlm home trust .rlm`" in done.err, done
    assert content(theirs) == before
    assert '"type": "NotAgreed"' in rlm(*words.split(), "--json").out


@pytest.mark.parametrize("how", ["agreed", "trusted", "flag", "variable"])
def test_agreeing_trusting_or_naming_it_lets_its_runs_be_resumed(
    how: str, rlm: Rlm, theirs: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flags = {"trusted": ["--trust"], "flag": ["--home", ".rlm"]}.get(how, [])
    if how == "variable":
        monkeypatch.setenv("RLM_HOME", ".rlm")
    if how == "agreed":
        assert rlm("home", "trust").code == 0
    assert rlm("resume", "theirs", *flags).out == "so\n"
    monkeypatch.delenv("RLM_HOME", raising=False)
    # Only an agreement is remembered.
    assert rlm("resume", "theirs").code == (0 if how == "agreed" else 2)


def test_an_agreement_travels_with_a_home_and_can_be_withdrawn(rlm: Rlm, theirs: Path, tmp_path: Path) -> None:
    rlm("home", "trust", ".rlm")
    assert str(theirs) in rlm("home", "trust", "--list").out
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    theirs.rename(moved / ".rlm")
    os.chdir(moved)
    assert rlm("resume", "theirs").code == 0
    assert "Withdrawn" in rlm("home", "trust", "--withdraw").out
    assert rlm("resume", "theirs").code == 2


def test_another_database_in_an_agreed_home_is_not_agreed_to(rlm: Rlm, theirs: Path, tmp_path: Path) -> None:
    rlm("home", "trust")
    with closing(sqlite3.connect(theirs / "checkpoints.sqlite")) as connection:
        connection.execute("UPDATE home SET value = 'another' WHERE name = 'id'")
        connection.commit()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert rlm("resume", "theirs").code == 2


def test_a_home_that_this_program_makes_needs_no_agreement(rlm: Rlm, state: Path, tmp_path: Path) -> None:
    async def make() -> None:
        async with Runner.open(kernels=MemoryKernels()):
            pass

    asyncio.run(make())
    assert rlm("gc").code == 0
    [remembered] = (state / "durable-rlm" / "agreed").iterdir()
    assert remembered.stat().st_mode & 0o777 == 0o600 and remembered.parent.stat().st_mode & 0o777 == 0o700
    home_id = read_id(tmp_path / ".rlm" / "checkpoints.sqlite")
    # The id itself stands nowhere but in the home.
    assert home_id and home_id not in remembered.name + remembered.read_text()


@pytest.mark.parametrize("left", ["server/.langgraph_ops.pckl", "blobs/ab/cd"])
def test_a_folder_with_anything_in_it_is_not_made_by_this_program(
    left: str, rlm: Rlm, state: Path, tmp_path: Path
) -> None:
    opened = tmp_path / "opened"

    file = tmp_path / ".rlm" / left
    file.parent.mkdir(parents=True)
    # A pickle that opens a file when it is loaded.
    file.write_bytes(f"cbuiltins\nopen\n(S{str(opened)!r}\nS'w'\ntR.".encode())
    for words in (["dev", "--port", "0"], ["run", "Q?", "--model", "scripted:m.py"]):
        assert rlm(*words).code == 2
    assert not opened.exists() and not (tmp_path / ".rlm" / "checkpoints.sqlite").exists()


async def test_python_code_that_names_no_home_is_refused_too(theirs: Path) -> None:
    with pytest.raises(NotAgreed, match="not one that you have made"):
        async with Runner.open():
            raise AssertionError("opened")
    async with Runner.open(trust=True) as runner:
        assert (await runner.read("theirs")).answer == "so"
    async with Runner.open(".rlm") as runner:
        assert (await runner.read("theirs")).answer == "so"


@pytest.mark.parametrize("given", ["/dev/null/state", "state"])
def test_a_state_folder_that_cannot_be_used_is_one_warning(
    given: str, rlm: Rlm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A relative one is ignored: it would lie in the stranger's folder."""
    monkeypatch.setenv("XDG_STATE_HOME", given)
    monkeypatch.setenv("HOME", "/dev/null")
    script = write_script(tmp_path / "m.py", [repl("FINAL('so')")])
    first = rlm("run", "Q?", "--model", script, "--mode", "direct", "--thread", "t")
    assert first.code == 0 and caplog.text.count("cannot be remembered") == 1
    assert not (tmp_path / "state").exists()
    assert rlm("resume", "t").code == 2
    assert rlm("resume", "t", "--trust").code == 0


def test_a_home_of_another_user_is_read_and_not_written_to_although_it_is_named(
    rlm: Rlm, theirs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    owner, there = theirs.stat().st_uid, os.geteuid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1 if there() == owner else there())
    before = content(theirs)
    done = rlm("list", "--home", ".rlm")
    assert done.code == 0 and "theirs" in done.out and "belongs to another user" in done.err
    for words in ("delete theirs --yes", "gc", "resume theirs", "dev --port 0"):
        refused = rlm(*words.split(), "--home", ".rlm")
        assert refused.code == 1 and "belongs to another user" in refused.err, refused
    assert content(theirs) == before
    assert rlm("delete", "theirs", "--yes", "--home", ".rlm", "--trust").code == 0
    assert "theirs" not in rlm("list", "--home", ".rlm").out


@pytest.mark.parametrize("answer", [True, False])
def test_a_terminal_asks_once(answer: bool, rlm: Rlm, theirs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return answer

    monkeypatch.setattr(agreeing, "at_terminal", lambda: True)
    monkeypatch.setattr(agreeing.typer, "confirm", confirm)
    codes = [rlm("gc").code, rlm("gc").code]
    assert (codes, len(asked)) == (([0, 0], 1) if answer else ([2, 2], 2))


def test_a_terminal_asks_once_about_a_settings_file(
    rlm: Rlm, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_script(tmp_path / "m.py", [repl("FINAL('so')")])
    (tmp_path / "rlm.toml").write_text('model = "scripted:m.py"\nmode = "direct"\n')
    asked: list[str] = []

    def confirm(question: str, **_: object) -> bool:
        asked.append(question)
        return True

    monkeypatch.setattr(agreeing, "at_terminal", lambda: True)
    monkeypatch.setattr(agreeing.typer, "confirm", confirm)
    for _ in range(2):
        done = rlm("run", "Q?")
        assert done.code == 0 and "./rlm.toml sets model=scripted:m.py, mode=direct." in done.err, done
    assert len(asked) == 1 and "model=scripted:m.py" in asked[0]


@pytest.mark.parametrize("format", ["format-1", "format-4"])
def test_an_older_home_gets_an_id_when_it_is_agreed_to(format: str, rlm: Rlm, state: Path, tmp_path: Path) -> None:
    shutil.copytree(Path(fixtures.__file__).parent / format, tmp_path / ".rlm")
    before = content(tmp_path / ".rlm")
    assert "finished" in rlm("list").out and rlm("gc").code == 2
    assert content(tmp_path / ".rlm") == before
    assert rlm("home", "trust").code == 0 and rlm("gc").code == 0


def test_agreements_that_others_could_write_do_not_count(rlm: Rlm, theirs: Path, state: Path) -> None:
    rlm("home", "trust")
    folder = state / "durable-rlm" / "agreed"
    folder.chmod(0o777)
    assert rlm("gc").code == 2
    # Agreeing again takes the right from them; what was there meanwhile may be theirs.
    assert rlm("home", "trust").code == 0 and folder.stat().st_mode & 0o777 == 0o700


def test_every_command_that_opens_a_home_says_whether_it_writes(rlm: Rlm) -> None:
    def helped(name: str) -> Done:
        return rlm(name, "--help")

    writing = {name for name in ("list", "show", "steps", "calls", "vars", "diff", "verify", "doctor", *WRITES)}
    assert {name for name in writing if "--trust" in helped(name).out} == set(WRITES)


WRITES = ("run", "resume", "review", "fork", "delete", "gc", "dev", "demo")


async def test_an_agreement_is_one_file_so_that_two_processes_lose_none(state: Path) -> None:
    digests = [agreements.digest_of("home", str(number)) for number in range(20)]
    for digest in digests:
        agreements.agree("home", digest, Path("/x"))
    assert all(map(agreements.is_agreed, digests)) and len(list(agreements.agreements())) == 20
    assert not any(path.name.startswith(".partial") for path in (state / "durable-rlm" / "agreed").iterdir())


ENDLESS = (
    "WITH RECURSIVE more(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM more) "
    "SELECT 'id' AS name, value FROM more WHERE value < 0"
)


@pytest.mark.parametrize("table", ["home", "steps"])
def test_a_home_with_a_view_without_end_is_refused_in_time(table: str, rlm: Rlm, theirs: Path) -> None:
    with closing(sqlite3.connect(theirs / "checkpoints.sqlite", isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")
        connection.execute(f"DROP TABLE {table}")
        connection.execute(f"CREATE VIEW {table} AS {ENDLESS}")
    assert rlm("resume", "theirs").code == 2
    assert "not one of durable-rlm" in rlm("list").err
    assert "not one of durable-rlm" in rlm("list", "--home", str(theirs)).err
