"""`rlm verify`, `rlm delete` and `rlm gc`, and reading a damaged home."""

import io
import json
import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm.state.db.opening import connect
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


def test_an_intact_run_is_reported_as_intact(rlm: Rlm, home: Path) -> None:
    done = rlm("verify", "hurt")
    assert done.code == 0 and "All of it is what was saved." in done.out
    assert re.match(r"hurt: \d+ records checked, [\d.]+ [KM]B\.", done.out)
    report = document(rlm("verify", "hurt", "--json"))
    assert (report["ok"], report["problems"]) == (True, [])
    assert report["checked"]["checkpoint"]["records"] == report["whole"]["steps"]["of"] == 12


def test_damage_is_reported_with_the_parts_that_are_lost_and_those_that_are_not(rlm: Rlm, home: Path) -> None:
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


def test_without_a_home_nothing_is_created(rlm: Rlm, tmp_path: Path) -> None:
    assert rlm("verify", "x").code == rlm("delete", "x").code == 2
    done = rlm("gc", "--json")
    assert done.code == 0 and document(done)["freed"] == {}
    assert list(tmp_path.iterdir()) == []


def test_the_report_of_a_damaged_record_is_escaped(rlm: Rlm, home: Path) -> None:
    nasty = "".join(HOSTILE.values()).encode(errors="ignore").decode()
    change(home, "UPDATE calls SET key = ? WHERE seq = 2", f"1:{nasty}:1")
    shown = rlm("verify", "hurt")
    assert shown.code == 1 and hostile(shown.out) == [] and hostile(rlm("calls", "hurt").out) == []


# -- delete


def test_a_script_deletes_without_a_confirmation(rlm: Rlm, home: Path) -> None:
    done = rlm("delete", "hurt")
    assert done.code == 0 and done.out == "" and done.err.splitlines()[0] == "Deleted hurt."
    assert names(rlm) == ["other"]
    assert document(rlm("delete", "othe", "--json")) == {"thread_id": "other", "deleted": ["other"], "forks": []}
    assert names(rlm) == []


class Terminal:
    """A standard stream of a terminal with a user."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def isatty(self) -> bool:
        return True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Type an answer at the terminal with `answer(text)`."""

    def types(text: str) -> None:
        monkeypatch.setattr("sys.stdin", Terminal(io.StringIO(text)))
        monkeypatch.setattr("durable_rlm.studio.commands.delete.at_terminal", lambda: True)

    return types


@pytest.mark.parametrize(("typed", "code", "left"), [("n\n", 130, 2), ("\n", 130, 2), ("y\n", 0, 1), ("", 130, 2)])
def test_delete_at_a_terminal_asks_for_confirmation(
    rlm: Rlm, home: Path, answer: Any, typed: str, code: int, left: int
) -> None:
    answer(typed)
    done = rlm("delete", "hurt")
    assert done.code == code and "What of hurt?" in done.err and "Delete it for good?" in done.err
    assert len(names(rlm)) == left


def test_delete_with_yes_asks_for_no_confirmation(rlm: Rlm, home: Path, answer: Any) -> None:
    answer("")
    assert rlm("delete", "hurt", "--yes").code == 0 and names(rlm) == ["other"]


def test_forks_and_sub_rlms_are_named_when_a_run_is_deleted(rlm: Rlm, home: Path) -> None:
    assert rlm("fork", "hurt", "--step", "5", "--thread", "aside", "--no-run").code == 0
    adopt(home, "hurt", "other")
    said = rlm("delete", "hurt").err
    assert "Deleted hurt." in said and "stays for its forks: aside" in said
    assert names(rlm) == ["aside", "other"]
    assert document(rlm("delete", "aside", "--json"))["deleted"] == ["aside", "other"]


def hold(home: Path, name: str) -> None:
    """Enter this process as the one that runs the thread."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        owner = json.dumps(this_process())
        connection.execute("UPDATE leases SET owner = ?, renewed = 0 WHERE thread_id = ?", (owner, name))
        connection.commit()


def test_a_run_of_a_living_process_is_busy(rlm: Rlm, home: Path) -> None:
    hold(home, "hurt")
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


def test_nothing_is_freed_while_references_cannot_be_read(rlm: Rlm, home: Path) -> None:
    DAMAGES["a_checkpoint_cut_short"](home)
    rlm("delete", "other")
    done = rlm("gc")
    assert done.code == 1 and "hurt: a row of checkpoints has changed on disk" in done.err
    assert "To take the run away: rlm delete hurt\n" in done.err and done.out.startswith("Freed nothing")
    assert rlm("delete", "hurt").code == 0 and rlm("gc").code == 0


def make_old(home: Path, name: str, days: int) -> None:
    """Enter in the index that a run was touched so many days ago."""
    with closing(connect(home / DATABASE)) as connection:
        connection.execute("UPDATE threads SET updated = updated - ? * 86400.0 WHERE thread_id = ?", (days, name))


def test_old_runs_are_deleted_when_that_is_asked_for(rlm: Rlm, home: Path) -> None:
    make_old(home, "hurt", 91)
    assert rlm("gc").code == 0 and names(rlm) == ["hurt", "other"]
    dry = rlm("gc", "--older-than", "90d", "--dry-run")
    assert dry.code == 0 and dry.out.splitlines()[0] == "Would delete 1 old run: hurt."
    assert document(rlm("gc", "--older-than", "2w", "--dry-run", "--json"))["deleted"] == ["hurt"]
    assert names(rlm) == ["hurt", "other"]
    done = rlm("gc", "--older-than", "90d")
    assert done.code == 0 and done.out.startswith("Deleted 1 old run: hurt.\nFreed 2 snapshots, ")
    assert names(rlm) == ["other"] and rlm("verify", "other").code == 0
    again = document(rlm("gc", "--older-than", "90d", "--json"))
    assert (again["deleted"], again["kept"]) == ([], {})


def test_old_runs_that_are_kept_are_named_with_the_reason(rlm: Rlm, home: Path) -> None:
    make_old(home, "hurt", 91)
    change(home, "UPDATE threads SET updated = 0.0 WHERE thread_id = 'other'")
    hold(home, "hurt")
    done = rlm("gc", "--older-than", "90d")
    assert "Kept, run by a process, or by one that runs a fork of it: hurt." in done.out
    assert "Kept, damaged, so that its age is not known: other." in done.out
    assert document(rlm("gc", "--older-than", "90d", "--json"))["kept"] == {"hurt": "running", "other": "damaged"}
    assert names(rlm) == ["hurt", "other"]


@pytest.mark.parametrize("age", ["90", "90m", "soon", "-1d"])
def test_an_age_without_a_unit_is_refused_before_anything_is_done(rlm: Rlm, home: Path, age: str) -> None:
    make_old(home, "hurt", 1000)
    done = rlm("gc", f"--older-than={age}")
    assert done.code == 2 and "is not an age; write 90d (days), 12h (hours) or 2w (weeks)" in done.err
    assert names(rlm) == ["hurt", "other"]


# -- reading a damaged home


def test_a_damaged_index_entry_hides_no_other_run_and_no_other_fact_of_its_own(rlm: Rlm, home: Path) -> None:
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


def test_a_damaged_call_and_a_damaged_step_hide_no_others(rlm: Rlm, home: Path) -> None:
    DAMAGES["a_call_with_a_text_column_that_is_not_utf8"](home)
    DAMAGES["a_step_changed"](home)
    calls = document(rlm("calls", "hurt", "--json"))
    assert [call["answer"] for call in calls].count("BETA") == 1
    assert [call["error"] for call in calls if call["error"]] == [
        "the record of this call is damaged: it has changed on disk"
    ]
    steps = document(rlm("steps", "hurt", "--json"))
    assert [step["step"] for step in steps if step["kind"] == "damaged"] == [4] and len(steps) == 12
    assert rlm("calls", "hurt").code == rlm("steps", "hurt").code == rlm("list").code == 0


def test_a_run_whose_last_step_cannot_be_loaded_is_shown_at_the_step_before(rlm: Rlm, home: Path) -> None:
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
def test_a_damaged_page_hides_only_its_own_rows(rlm: Rlm, home: Path, table: str) -> None:
    pages = leaves(home, table)
    spoil_page(home, pages[len(pages) // 2])
    listed = rlm("list", "--json")
    assert listed.code == 0 and {run["thread_id"] for run in document(listed)} == {"hurt", "other"}
    for command in ("steps", "calls"):
        assert rlm(command, "other").code == 0, command
    assert rlm("verify", "other").code == 1
