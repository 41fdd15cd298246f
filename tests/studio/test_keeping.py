"""`rlm verify`, `rlm delete`, `rlm gc` as people and scripts use them; and looking at a home that is damaged."""

import io
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.leases import this_process
from tests.damage import DATABASE, change, leaves, spoil_page
from tests.graph.damaged_homes import DAMAGES
from tests.graph.saved_home import adopt, make_home
from tests.studio.conftest import HOSTILE, Done, Rlm
from tests.studio.test_safe_text import hostile


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_home(tmp_path_factory.mktemp("saved"))


@pytest.fixture
def home(saved: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(saved, tmp_path / ".rlm"))


def document(done: Done) -> Any:
    return json.loads(done.out)


def names(rlm: Rlm) -> list[str]:
    return sorted(run["thread_id"] for run in document(rlm("list", "--json")))


# -- verify


def test_a_whole_run_is_said_to_be_whole(rlm: Rlm, home: Path) -> None:
    done = rlm("verify", "hurt")
    assert done.code == 0 and "All of it is what was saved." in done.out
    assert re.match(r"hurt: \d+ records checked, [\d.]+ [KM]B\.", done.out)
    report = document(rlm("verify", "hurt", "--json"))
    assert (report["ok"], report["problems"]) == (True, [])
    assert report["checked"]["checkpoint"]["records"] == report["whole"]["steps"]["of"] == 12


def test_what_is_damaged_is_said_with_what_is_lost_and_what_is_not(rlm: Rlm, home: Path) -> None:
    expected = DAMAGES["a_write_to_a_growing_list_changed"](home)
    done = rlm("verify", "hurt")
    assert done.code == 1
    assert f"{expected.name}: has changed on disk, in table writes" in done.out
    assert "lost with it: steps 8–12" in done.out and "7 of 12 steps" in done.out and "3 of 3 turns" in done.out
    assert "To continue from the last step that can be opened: rlm fork hurt --step 7\n" in done.err
    report = document(rlm("verify", "hurt", "--json"))
    assert report["ok"] is False
    assert report["problems"] == [
        {
            "kind": "write",
            "name": expected.name,
            "problem": "has changed on disk",
            "where": "table writes",
            "needed_by": ["steps 8–12"],
        }
    ]
    assert rlm("verify", "other").code == 0


def test_an_unknown_run_is_an_error(rlm: Rlm, home: Path) -> None:
    assert rlm("verify", "nobody").code == rlm("delete", "nobody").code == 2
    assert document(rlm("verify", "nobody", "--json"))["error"]["type"] == "UnknownThread"


def test_without_a_home_nothing_is_made(rlm: Rlm, tmp_path: Path) -> None:
    assert rlm("verify", "x").code == rlm("delete", "x").code == 2
    done = rlm("gc", "--json")
    assert done.code == 0 and document(done)["freed"] == {}
    assert list(tmp_path.iterdir()) == []


def test_what_is_shown_of_a_damaged_record_is_safe_to_show(rlm: Rlm, home: Path) -> None:
    nasty = "".join(HOSTILE.values()).encode(errors="ignore").decode()
    change(home, "UPDATE calls SET key = ? WHERE seq = 2", f"1:{nasty}:1")
    shown = rlm("verify", "hurt")
    assert shown.code == 1 and hostile(shown.out) == [] and hostile(rlm("calls", "hurt").out) == []


# -- delete


def test_a_script_deletes_without_being_asked(rlm: Rlm, home: Path) -> None:
    done = rlm("delete", "hurt")
    assert done.code == 0 and done.out == "" and done.err.splitlines()[0] == "Deleted hurt."
    assert names(rlm) == ["other"]
    assert document(rlm("delete", "othe", "--json")) == {"thread_id": "other", "deleted": ["other"], "forks": []}
    assert names(rlm) == []


class Terminal:
    """A standard stream of somebody who is there and types."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """`answer(text)`: somebody at the terminal types that."""

    def types(text: str) -> None:
        monkeypatch.setattr("sys.stdin", Terminal(io.StringIO(text)))
        monkeypatch.setattr("durable_rlm.studio.commands.delete.at_terminal", lambda: True)

    return types


@pytest.mark.parametrize(("typed", "code", "left"), [("n\n", 130, 2), ("\n", 130, 2), ("y\n", 0, 1), ("", 130, 2)])
def test_somebody_at_a_terminal_is_asked(rlm: Rlm, home: Path, answer: Any, typed: str, code: int, left: int) -> None:
    answer(typed)
    done = rlm("delete", "hurt")
    assert done.code == code and "What of hurt?" in done.err and "Delete it for good?" in done.err
    assert len(names(rlm)) == left


def test_yes_asks_nobody(rlm: Rlm, home: Path, answer: Any) -> None:
    answer("")
    assert rlm("delete", "hurt", "--yes").code == 0 and names(rlm) == ["other"]


def test_forks_and_children_are_named(rlm: Rlm, home: Path) -> None:
    assert rlm("fork", "hurt", "--step", "5", "--thread", "aside", "--no-run").code == 0
    adopt(home, "hurt", "other")
    said = rlm("delete", "hurt").err
    assert "Deleted hurt." in said and "stays for its forks: aside" in said
    assert names(rlm) == ["aside", "other"]
    assert document(rlm("delete", "aside", "--json"))["deleted"] == ["aside", "other"]


def test_a_run_that_a_living_process_runs_is_busy(rlm: Rlm, home: Path) -> None:
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        owner = json.dumps(this_process())
        connection.execute("UPDATE leases SET owner = ?, renewed = 0 WHERE thread_id = 'hurt'", (owner,))
        connection.commit()
    done = rlm("delete", "hurt", "--json")
    assert done.code == 5 and document(done)["error"]["type"] == "RunBusy"
    assert names(rlm) == ["hurt", "other"]


# -- gc


def test_space_is_freed_once_a_run_is_deleted(rlm: Rlm, home: Path) -> None:
    assert rlm("gc").out.splitlines()[0] == "Freed nothing: every record is needed."
    rlm("delete", "hurt")
    dry = rlm("gc", "--dry-run")
    assert dry.code == 0 and re.match(
        r"Would free 2 snapshots, \d+ pieces of a variable, \d+ texts, 3 files: ", dry.out
    )
    assert re.match(r"Freed 2 snapshots, \d+ pieces of a variable, \d+ texts, 3 files: ", rlm("gc").out)
    again = document(rlm("gc", "--json"))
    assert all(tally["records"] == 0 for tally in again["freed"].values()) and not again["dry_run"]
    assert rlm("verify", "other").code == 0


def test_nothing_is_freed_while_what_is_needed_is_not_known(rlm: Rlm, home: Path) -> None:
    DAMAGES["a_checkpoint_cut_short"](home)
    rlm("delete", "other")
    done = rlm("gc")
    assert done.code == 1 and "hurt: a row of checkpoints has changed on disk" in done.err
    assert "To take the run away: rlm delete hurt\n" in done.err and done.out.startswith("Freed nothing")
    assert rlm("delete", "hurt").code == 0 and rlm("gc").code == 0


# -- looking at what is damaged


def test_a_damaged_entry_of_the_index_hides_no_other_run_nor_the_rest_of_its_own(rlm: Rlm, home: Path) -> None:
    change(home, "UPDATE threads SET limits = CAST(x'ff' AS TEXT), updated = 'never' WHERE thread_id = 'hurt'")
    runs = {run["thread_id"]: run for run in document(rlm("list", "--json"))}
    assert runs["hurt"]["status"] == "damaged" and runs["other"]["status"] == "answered"
    assert rlm("list").code == 0 and "damaged" in rlm("list").out
    shown = rlm("show", "hurt")
    assert shown.code == 0 and "has changed on disk" in shown.out and "── answer" in shown.out
    assert len(document(rlm("steps", "hurt", "--json"))) == 12 and len(document(rlm("calls", "hurt", "--json"))) == 2
    resumed = rlm("resume", "hurt", "--json")
    assert resumed.code == 1 and document(resumed)["error"]["type"] == "StoredDataDamaged"
    assert rlm("resume", "other").code == 0


def test_a_damaged_call_and_a_damaged_step_hide_no_other(rlm: Rlm, home: Path) -> None:
    DAMAGES["a_call_that_is_no_text_any_more"](home)
    DAMAGES["a_step_changed"](home)
    calls = document(rlm("calls", "hurt", "--json"))
    assert [call["answer"] for call in calls].count("BETA") == 1
    assert [call["error"] for call in calls if call["error"]] == [
        "the record of this call is damaged: it has changed on disk"
    ]
    steps = document(rlm("steps", "hurt", "--json"))
    assert [step["step"] for step in steps if step["kind"] == "damaged"] == [4] and len(steps) == 12
    assert rlm("calls", "hurt").code == rlm("steps", "hurt").code == rlm("list").code == 0


def test_when_the_last_step_cannot_be_opened_the_run_is_shown_as_it_was_before(rlm: Rlm, home: Path) -> None:
    DAMAGES["a_write_to_a_growing_list_changed"](home)
    shown = rlm("show", "hurt")
    assert shown.code == 0 and "── turn 1" in shown.out and "as it was after step 7" in shown.out
    assert "Step 8 of hurt has changed on disk" in shown.out
    assert rlm("show", "hurt", "--step", "7").code == 0
    done = rlm("show", "hurt", "--step", "10", "--json")
    assert done.code == 1 and document(done)["error"]["type"] == "StoredDataDamaged"
    resumed = document(rlm("resume", "hurt", "--json"))
    assert "--step 7" in resumed["error"]["hint"]


@pytest.mark.parametrize("table", ["threads", "calls", "steps", "checkpoints", "writes", "texts"])
def test_a_damaged_page_leaves_what_is_not_in_it_to_look_at(rlm: Rlm, home: Path, table: str) -> None:
    pages = leaves(home, table)
    spoil_page(home, pages[len(pages) // 2])
    listed = rlm("list", "--json")
    assert listed.code == 0 and {run["thread_id"] for run in document(listed)} == {"hurt", "other"}
    for command in ("steps", "calls"):
        assert rlm(command, "other").code == 0, command
    assert rlm("verify", "other").code == 1
