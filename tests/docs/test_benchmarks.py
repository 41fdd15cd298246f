"""Published benchmarks equal the recorded results; a new run gets the right verdict beside the recorded one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bench.beside import growth, table, verdict
from bench.beside.results import Measured, Results

PUBLISHED = Path(__file__).parents[2] / "docs" / "benchmarks"


@pytest.mark.parametrize(("name", "render"), [("beside", table.table), ("growth", growth.table)])
def test_each_published_table_equals_the_table_of_its_results(name: str, render: Callable[[Results], str]) -> None:
    written = (PUBLISHED / f"{name}.md").read_text()
    assert render(Results.load(PUBLISHED / f"{name}.json")) + "\n" == written


def test_the_page_about_performance_contains_the_published_tables() -> None:
    page = (PUBLISHED.parent / "performance.md").read_text()
    for name in ("beside", "growth"):
        for row in (PUBLISHED / f"{name}.md").read_text().splitlines():
            assert row in page, row


def test_the_published_results_have_no_call_paid_twice_and_no_wrong_answer() -> None:
    beside = Results.load(PUBLISHED / "beside.json")
    assert beside.spread("killed", "paid twice", table.OURS) == (0, 0, 0)
    assert beside.spread("sub-RLMs", "right", table.OURS) == (50, 50, 50)


# -- the verdict, on invented numbers

EXEC, KERNEL, OURS = "rlms, exec", "rlms, Jupyter kernel", table.OURS


def run_of(
    turn: float,
    *,
    exec: float = 2.0,
    kernel: float = 4.0,
    help: float = 0.2,
    spin: float = 30.0,
    right: float = 50,
    twice: float = 0,
    megabytes: float = 400,
    fsync: float = 0.2,
) -> Results:
    """Return the results of a run in which a turn of this project took `turn` seconds."""
    values = {
        ("turns", OURS): {"last ten turns": turn},
        ("turns", EXEC): {"last ten turns": exec},
        ("turns", KERNEL): {"last ten turns": kernel},
        ("help", OURS): {"whole": help},
        ("help", EXEC): {},
        ("sub-RLMs", OURS): {"right": right},
        ("killed", OURS): {"paid before": 26, "paid twice": twice},
        ("100 MB", OURS): {"MB": megabytes},
        ("100 MB", EXEC): {"MB": 200.0},
    }
    about = {"date": "2026-11-28", "ours": "durable-rlm 0.1.0, langgraph 1.2.22"}
    return Results(about, fsync, [Measured(case, system, 0, spin, found) for (case, system), found in values.items()])


RECORDED = run_of(1.0)
TURN = "one turn, last ten of 50"


def verdict_on(title: str, now: Results) -> verdict.Verdict:
    [found] = [one for one in verdict.verdicts(now, RECORDED) if one.title == title]
    return found


@pytest.mark.parametrize(
    ("turn", "outcome", "ending"),
    [
        (1.04, "as before", "ours ÷ rlms, exec 0.52, recorded 0.50: as before"),
        (1.3, "as before", "0.65, recorded 0.50: as before"),
        (1.31, "worse", "0.66, recorded 0.50: SLOWER by 31 %"),
        (3.0, "worse", "1.50, recorded 0.50: SLOWER by 200 %"),
        (0.78, "as before", "as before"),
        (0.5, "better", "0.25, recorded 0.50: better by 50 %"),
    ],
)
def test_a_line_is_judged_by_its_ratio_to_the_official_rlm(turn: float, outcome: str, ending: str) -> None:
    found = verdict_on(TURN, run_of(turn))
    assert found.outcome == outcome and found.text.endswith(ending), found.text


def test_a_machine_that_is_slower_for_all_changes_no_verdict() -> None:
    slow = run_of(3.0, exec=6.0, kernel=12.0, help=0.6, spin=90.0)
    text, worse = verdict.report(slow, RECORDED)
    assert not worse and "SLOWER" not in text
    assert "The machine is slower or busy: a loop of Python takes 90 ms here and took 30 ms there." in text


def test_a_change_of_the_ratio_to_only_one_other_system_changes_no_verdict() -> None:
    assert verdict_on(TURN, run_of(1.0, exec=1.0)).outcome == "as before"
    assert verdict_on(TURN, run_of(1.0, exec=1.0, kernel=2.0)).outcome == "worse"


def test_a_line_that_the_other_systems_lack_is_judged_by_a_loop_of_python() -> None:
    title = "`rlm --help`"
    assert verdict_on(title, run_of(1.0, help=0.4, spin=60.0)).outcome == "as before"
    slower = verdict_on(title, run_of(1.0, help=0.4))
    assert slower.outcome == "worse" and "SLOWER by 100 %" in slower.text


def test_more_memory_is_worse_and_is_not_called_slower() -> None:
    found = verdict_on("100 MB of context: peak of all processes", run_of(1.0, megabytes=600))
    assert found.outcome == "worse" and found.text.endswith("ours ÷ rlms, exec 3.00, recorded 2.00: MORE by 50 %")


@pytest.mark.parametrize(
    ("title", "now", "outcome"),
    [
        ("of them paid again", run_of(1.0), "as before"),
        ("of them paid again", run_of(1.0, twice=1), "worse"),
        ("of them with the right answer", run_of(1.0, right=49), "worse"),
    ],
)
def test_counts_have_no_tolerance(title: str, now: Results, outcome: str) -> None:
    assert verdict_on(title, now).outcome == outcome


def test_the_last_line_names_the_lines_that_are_worse() -> None:
    text, worse = verdict.report(run_of(2.0, twice=3), RECORDED)
    assert worse and text.splitlines()[-1] == f"WORSE than recorded by more than 30 %: {TURN}, of them paid again."
    text, worse = verdict.report(run_of(1.1), RECORDED)
    assert not worse and text.splitlines()[-1] == "Nothing is worse than recorded by more than 30 %."
    assert verdict.report(run_of(1.1), RECORDED, tolerance=0.05)[1]


def test_a_slower_disk_is_reported() -> None:
    assert "An fsync takes 2.00 ms here" in verdict.report(run_of(1.0, fsync=2.0), RECORDED)[0]


def test_a_line_that_was_never_recorded_is_new() -> None:
    recorded = run_of(1.0)
    recorded.runs = [run for run in recorded.runs if run.case != "turns"]
    [found] = [one for one in verdict.verdicts(run_of(9.0), recorded) if one.title == TURN]
    assert (found.outcome, found.text) == ("new", f"{TURN}: not recorded before")


def test_the_published_results_compared_with_themselves_are_as_before() -> None:
    published = Results.load(PUBLISHED / "beside.json")
    found = verdict.verdicts(published, published)
    assert len(found) == 19 and {one.outcome for one in found} == {"as before"}
