"""Pictures of time and spending: what they say, where pauses are folded, and how large they get."""

import re
from dataclasses import replace
from typing import Any

import pytest

from durable_rlm.graph.run_times import ChildRun, RunTimes
from durable_rlm.state.executions import Execution, ExecutionOutcome
from durable_rlm.state.turn_rows import TurnRow
from durable_rlm.studio.page.pictures.coverage_bar import coverage_bar
from durable_rlm.studio.page.pictures.scale import Scale
from durable_rlm.studio.page.pictures.spend import spend_picture
from durable_rlm.studio.page.pictures.time_strip import time_strip

DAY = 86_400.0


def turn(number: int, at: float, *, cost: float = 0.1) -> TurnRow:
    """Return a turn of ten seconds: the model writes four, code runs six, of which it waits four for its calls."""
    facts: dict[str, Any] = {
        **{"turn": number, "status": "ok", "asked": at, "planned": at + 4, "began": at + 4, "ended": at + 10},
        **{"calls": 5, "cost": cost, "input_tokens": 100, "first_call": at + 5, "last_call": at + 9},
    }
    return TurnRow(**facts)


def times(*turns: TurnRow, executions: tuple[Execution, ...] = (), **more: Any) -> RunTimes:
    ended = max(one.ended or 0.0 for one in turns)
    known: dict[str, Any] = {"begin": turns[0].asked, "end": ended, "alive": False, "children": (), "flights": ()}
    return RunTimes(turns=turns, executions=executions, **{**known, **more})


def href(*parts: object, **query: object) -> str:
    return "/" + "/".join(map(str, parts)) + "".join(f"?{name}={value}" for name, value in query.items())


def test_a_wait_for_a_person_is_folded_and_said() -> None:
    executions = (
        Execution(1, "started", 0.0, 10.0, "paused"),
        Execution(2, "decided", 2 * DAY + 20, 2 * DAY + 30, "answered"),
    )
    found = times(turn(1, 0.0), turn(2, 2 * DAY + 20), executions=executions)
    scale = Scale(found)
    assert [fold.why for fold in scale.folds] == ["waited 2 d for a person"]
    assert scale.seconds == 20
    # What was done takes the width, and the fold two per cent of it.
    assert (scale(0), scale(10), scale(2 * DAY + 20), scale(2 * DAY + 30)) == (0, 49, 51, 100)


def test_a_kill_and_a_stop_are_different_reasons() -> None:
    ends: list[tuple[ExecutionOutcome, str]] = [("killed", "was killed;"), ("stopped", "was stopped;")]
    for outcome, why in ends:
        executions = (Execution(1, "started", 0.0, 10.0, outcome), Execution(2, "resumed", 500.0, 510.0, "answered"))
        found = times(turn(1, 0.0), turn(2, 500.0), executions=executions)
        assert Scale(found).folds[0].why.startswith(why)


def test_a_turn_is_drawn_as_the_model_the_code_and_its_wait() -> None:
    drawn = time_strip(times(turn(1, 0.0)), href, "run").drawn
    places = re.findall(r'class="s-(plan|code|wait)" x="([\d.]+)%" y="20" width="([\d.]+)%"', drawn)
    assert places == [
        *(("plan", "0.00", "40.00"), ("code", "40.00", "10.00")),
        *(("wait", "50.00", "40.00"), ("code", "90.00", "10.00")),
    ]
    assert 'href="/runs/run/turns/1"' in drawn
    assert "style=" not in drawn


def test_a_picture_says_in_words_what_it_shows() -> None:
    child = ChildRun("child", "half <b>", "answered", 2, 5.0, 9.0, 1)
    strip = time_strip(times(turn(1, 0.0), flights=[(5.0, 8.0, 3), (6.0, 9.0, 2)], children=[child]), href, "run")
    assert (strip.most, strip.rows) == (5, 1)
    assert strip.said == "1 turn, 10 s drawn, 1 sub-RLM"
    assert f'aria-label="{strip.said}"' in strip.drawn
    assert "half &lt;b&gt;" in strip.drawn


def test_calls_that_follow_each_other_are_not_counted_together() -> None:
    strip = time_strip(times(turn(1, 0.0), flights=[(2.0, 5.0, 8), (5.0, 8.0, 8)]), href, "run")
    assert strip.most == 8
    assert strip.drawn.count("8 calls under way") == 1


def test_a_thousand_turns_are_no_more_than_a_screen_has_pixels() -> None:
    many = times(*(turn(number, 10.0 * number) for number in range(1, 1_001)))
    drawn = time_strip(many, href, "run").drawn
    assert len(drawn) < 250_000
    assert drawn.count("<a ") < 40
    assert 'href="/runs/run?from=1?to=50"' in drawn or 'href="/runs/run?from=1&amp;to=50"' in drawn


def test_a_turn_that_is_only_asked_lasts_until_now() -> None:
    asked = TurnRow(2, asked=20.0)
    live = replace(times(turn(1, 0.0), end=30.0), turns=(turn(1, 0.0), asked), alive=True)
    assert "Turn 2: the model writes, 10 s" in time_strip(live, href, "run").drawn


def test_code_that_is_under_way_is_drawn_until_now_before_its_beginning_is_saved() -> None:
    planned = TurnRow(2, asked=20.0, planned=22.0, first_call=23.0)
    live = replace(times(turn(1, 0.0), end=30.0), turns=(turn(1, 0.0), planned), alive=True)
    drawn = time_strip(live, href, "run").drawn
    assert "Turn 2: the model writes, 2.0 s" in drawn
    assert "Turn 2: code waits for its calls, 7.0 s" in drawn
    assert "Turn 2: code" not in time_strip(replace(live, alive=False), href, "run").drawn


def test_spending_is_drawn_against_the_limit_that_is_nearest() -> None:
    found = times(turn(1, 0.0, cost=0.5), turn(2, 10.0, cost=0.5))
    limits = {"max_cost": 1.25, "max_tokens": 10_000, "max_calls": 2_000}
    spend = spend_picture(found, Scale(found), limits, {})
    assert spend is not None
    assert spend.said == "$1.00 of $1.25 spent (80 %)"
    assert "limit $1.25" in spend.drawn


@pytest.mark.parametrize(("lost", "why"), [(0, ""), (3, "estimated for lost calls or ")])
def test_spending_that_is_in_no_turn_yet_is_said_beside_that_of_turns(lost: int, why: str) -> None:
    found = times(turn(1, 0.0, cost=0.5))
    whole = spend_picture(found, Scale(found), {"max_cost": 2.0}, {"cost_usd": 0.75, "uncertain_calls": lost})
    assert whole is not None
    spent = "$0.7500 of $2.00 spent (38 %), $0.2500 of it"
    assert whole.said == f"{spent} {why}by calls after the last step, which are not drawn"


def test_spending_of_some_turns_is_not_compared_with_the_limit_of_all() -> None:
    found = times(turn(1, 0.0, cost=0.5))
    part = spend_picture(found, Scale(found), {"max_cost": 2.0})
    assert part is not None
    assert part.said == "$0.5000 spent in these turns"


def test_a_limit_that_is_far_away_does_not_flatten_the_picture() -> None:
    found = times(turn(1, 0.0, cost=0.5))
    spend = spend_picture(found, Scale(found), {"max_cost": 100.0, "max_calls": 2_000}, {})
    assert spend is not None
    assert (spend.said, "limit $" in spend.drawn) == ("$0.5000 of $100.00 spent (0.5 %)", False)


def test_coverage_is_a_bar_of_three_steps_and_gaps() -> None:
    drawn = coverage_bar([1.0, 1.0, 0.0, 0.3], "Where in the input models looked")
    assert re.findall(r'class="(c\d)" x="([\d.]+)%" y="0" width="([\d.]+)%"', drawn) == [
        ("c3", "0.00", "50.00"),
        ("c1", "75.00", "25.00"),
    ]
