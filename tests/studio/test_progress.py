"""The display of progress: its state, its words, its plain lines, its panel."""

import io
from typing import Any

import pytest
from rich.console import Console

from durable_rlm.state.wording import duration, megabytes
from durable_rlm.studio.progress.lines import PlainDisplay
from durable_rlm.studio.progress.panel import LiveDisplay
from durable_rlm.studio.progress.state import Progress
from durable_rlm.studio.progress.text import dollars, reading_line, spent
from tests.clock import Clock
from tests.studio.conftest import HOSTILE
from tests.studio.test_safe_text import hostile

USAGE = {"model_calls": 5, "reused_calls": 2, "input_tokens": 1200, "output_tokens": 34, "cost_usd": 0.0123}
STORY: list[dict[str, Any]] = [
    {"event": "input", "documents": 3, "bytes": 2_000_000, "name": "a.txt", "done": False},
    {"event": "input", "documents": 9, "bytes": 6_200_000, "name": "", "done": True, "notes": ["skipped: b.bin"]},
    {"event": "turn", "turn": 1, "of": 30, "last": False},
    {"event": "writing", "turn": 1, "tokens": 1312, "per_second": 40},
    {"event": "usage", **USAGE},
    {"event": "code", "turn": 1, "code": "x = 1\nprint(x)"},
    {"event": "calls", "turn": 1, "posted": 10, "answered": 4, "failed": 1, "reused": 2, "in_flight": 5},
    {"event": "retry", "model": "openai:m", "reason": "rate limit (429)", "seconds": 3.0},
    {"event": "output", "turn": 1, "status": "ok", "preview": "1\n", "elapsed": 0.25},
    {"event": "nudge", "turn": 2, "reason": "no code"},
    {"event": "restore", "cells": 1, "of": 4, "turn": 1},
    {"event": "indexing", "bytes": 0, "of_bytes": 180_000_000, "seconds": 0.0, "done": False},
    {"event": "indexing", "bytes": 72_000_000, "of_bytes": 180_000_000, "seconds": 3.0, "done": False},
    {"event": "indexing", "bytes": 180_000_000, "of_bytes": 180_000_000, "seconds": 7.25, "done": True},
    {"event": "notice", "text": "look here"},
    {"event": "something new", "x": 1},
]


def panel(display: LiveDisplay, width: int = 100) -> str:
    console = Console(file=io.StringIO(), width=width, height=40, force_terminal=False)
    console.print(display.draw())
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def live(progress: Progress) -> tuple[LiveDisplay, io.StringIO]:
    above = io.StringIO()
    return LiveDisplay(progress, Console(file=above, width=100, markup=False, emoji=False, highlight=False)), above


def test_events_become_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainDisplay(Progress(Clock())) as display:
        for event in STORY:
            display.update(event)
    assert capsys.readouterr().err.splitlines() == [
        "Read 9 documents, 6.2 MB of text.",
        "  skipped: b.bin",
        "Turn 1 of 30: asking the root model (0 model calls so far)",
        "Turn 1: running 2 lines of code",
        "openai:m: rate limit (429), again in 3.0 s",
        "Turn 1 ran in 0.2 s · 5 sub-calls · 1",
        "Turn 2: nothing to run (no code).",
        "Restoring the REPL: running cell 1 of 4 again",
        "Turn 2: building the search index, once for this input (180.0 MB)",
        "Built the search index in 7.2 s.",
        "look here",
    ]


def test_thousands_of_calls_give_one_line_every_few_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = PlainDisplay(Progress(clock))
    for answered in range(10_000):
        clock.now += 0.001
        display.update({"event": "calls", "turn": 1, "posted": 10_000, "answered": answered, "in_flight": 32})
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 3 and all("of 10,000 sub-calls answered" in line for line in lines)


def test_a_long_reply_gives_one_plain_line_every_ten_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = PlainDisplay(Progress(clock))
    clock.now = 60.0
    display.update({"event": "turn", "turn": 2, "of": 30, "last": False})
    for half_seconds in range(1, 71):
        clock.now += 0.5
        display.update({"event": "writing", "turn": 2, "tokens": 20 * half_seconds, "per_second": 40})
    lines = capsys.readouterr().err.splitlines()[1:]
    assert lines == [f"Turn 2: writing, {tokens} tokens, 40/s" for tokens in ("400", "800", "1,200")]


def test_a_reply_that_is_sent_again_is_no_longer_shown() -> None:
    display, _ = live(Progress(Clock()))
    display.update({"event": "direct", "outcome": "asking", "why": ""})
    display.update({"event": "writing", "turn": 0, "tokens": 1, "per_second": 2})
    assert "Asking the root model for an answer to the whole input · writing, 1 token, 2/s" in panel(display)
    display.update({"event": "retry", "model": "m", "reason": "network", "seconds": 1.0})
    assert "writing" not in panel(display)


def test_the_panel_shows_the_runs_current_activity() -> None:
    display, above = live(Progress(Clock()))
    shown: dict[str, str] = {}
    for event in STORY:
        display.update(event)
        shown[event["event"]] = panel(display)
    assert "Turn 1 of 30 · asking the root model" in shown["turn"] and "model call" not in shown["turn"]
    assert "Turn 1 of 30 · writing, 1,312 tokens, 40/s" in shown["writing"] and "writing" not in shown["usage"]
    assert "print(x)" in shown["code"] and "running its code" in shown["code"]
    assert "4 of 10 sub-calls answered · 2 reused · 1 failed · 5 in flight" in shown["calls"]
    assert "rate limit (429), again in 3.0 s" in shown["retry"]
    assert "5 model calls + 2 reused · 1,234 tokens · $0.0123" in shown["usage"]
    assert "Restoring the REPL: running cell 1 of 4 again" in shown["restore"]
    assert "Turn 1 ran in 0.2 s · 5 sub-calls · 1" in above.getvalue()


def test_the_panel_shows_how_much_of_a_search_index_is_built_while_code_waits() -> None:
    display, above = live(Progress(Clock()))
    for event in STORY:
        display.update(event)
        if event["event"] == "code":
            break
    event = {"event": "indexing", "bytes": 72_000_000, "of_bytes": 180_000_000, "seconds": 3.0, "done": False}
    display.update(event)
    assert "Turn 1 of 30 · building the search index of 180.0 MB, 40 %" in panel(display)
    display.update({**event, "bytes": 180_000_000})
    assert "99 %" in panel(display), "it is not at its end"
    display.update({**event, "done": True})
    assert "running its code" in panel(display) and "No search index: failed in 3.0 s." in above.getvalue()


def test_the_last_turn_is_marked_as_the_last() -> None:
    display, _ = live(Progress(Clock()))
    display.update({"event": "turn", "turn": 5, "of": 5, "last": True})
    assert "Turn 5 of 5, the last: it must answer" in panel(display)


def test_a_retry_disappears_once_it_is_over() -> None:
    clock = Clock()
    display, _ = live(Progress(clock))
    display.update({"event": "retry", "model": "m", "reason": "rate limit (429)", "seconds": 3.0})
    clock.now = 3.1
    assert "429" not in panel(display)


def test_stopping_stays_on_the_screen_through_later_events() -> None:
    display, _ = live(Progress(Clock()))
    display.progress.phase = "stopping"
    display.update({"event": "turn", "turn": 5, "of": 5, "last": False})
    assert "Stopping" in panel(display)


def test_a_resume_in_mid_cell_shows_its_turn_and_leaves_replayed_cells_out() -> None:
    progress = Progress(Clock())
    progress.update({"event": "restore", "cells": 1, "of": 2, "turn": 2})
    progress.update({"event": "calls", "turn": 2, "posted": 50, "answered": 50, "reused": 50})
    assert progress.calls.posted == 0 and progress.phase == "restoring"
    progress.update({"event": "calls", "turn": 3, "posted": 9, "answered": 1})
    assert (progress.turn, progress.calls.posted, progress.phase) == (3, 9, "calling")


def child(thread: str, status: str, depth: int = 1, **facts: Any) -> dict[str, Any]:
    return {"event": "child", "thread_id": thread, "depth": depth, "question": f"Q {thread}", "status": status, **facts}


TREE = [
    child("aaaaaaaa-1", "running", turn=1),
    child("bbbbbbbb-1", "running", turn=1),
    child("cccccccc-1", "running", depth=2, turn=1),
    child("bbbbbbbb-1", "running", turn=2, usage=USAGE),
    child("dddddddd-1", "running", turn=1),
    child("cccccccc-1", "answered", depth=2),
    child("dddddddd-1", "failed"),
    child("aaaaaaaa-1", "answered"),
    child("aaaaaaaa-1", "answered"),
    child("eeeeeeee-1", "budget"),
]


def test_the_panel_counts_sub_rlms_by_depth_and_shows_the_latest_ones_activity() -> None:
    display, _ = live(Progress(Clock()))
    display.update({"event": "turn", "turn": 3, "of": 30, "last": False})
    display.update({"event": "code", "turn": 3, "code": "rlm_query('q')"})
    for event in TREE[:5]:
        display.update(event)
    shown = panel(display)
    assert "Turn 3 of 30 · its code waits for sub-calls" in shown and "5 model calls + 2 reused" in shown
    assert "sub-RLMs at depth 1: 3 running; at depth 2: 1 running" in shown and "dddddddd in turn 1: Q ddd" in shown
    for event in TREE[5:]:
        display.update(event)
    shown = panel(display)
    assert "sub-RLMs at depth 1: 1 running · 1 answered · 2 failed; at depth 2: 1 answered" in shown
    assert "bbbbbbbb in turn 2: Q bbbbbbbb-1" in shown
    display.update({"event": "output", "turn": 3, "status": "ok", "preview": "", "elapsed": 1.0})
    assert "sub-RLM" not in panel(display)


def test_a_sub_rlm_that_waits_for_approval_is_not_shown_as_failed() -> None:
    display, _ = live(Progress(Clock()))
    for event in (TREE[0], TREE[1], child("bbbbbbbb-1", "paused")):
        display.update(event)
    assert "1 running · 1 waiting for approval" in panel(display)
    display.update(child("bbbbbbbb-1", "answered"))
    assert "1 running · 1 answered" in panel(display)


def test_sub_rlms_are_included_in_the_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = PlainDisplay(Progress(clock))
    display.update({"event": "code", "turn": 1, "code": "x"})
    display.update(TREE[0])
    clock.now += 4
    display.update(TREE[1])
    clock.now += 4
    display.update({"event": "calls", "turn": 1, "posted": 2, "answered": 0, "in_flight": 2})
    display.update(TREE[7])
    display.update(child("bbbbbbbb-1", "answered"))
    display.update({"event": "output", "turn": 1, "status": "ok", "preview": "", "elapsed": 9.0})
    assert capsys.readouterr().err.splitlines() == [
        "Turn 1: running 1 line of code",
        "Turn 1: sub-RLMs: 2 running; bbbbbbbb in turn 1: Q bbbbbbbb-1",
        "Turn 1: 0 of 2 sub-calls answered · 2 in flight; sub-RLMs: 2 running; bbbbbbbb in turn 1: Q bbbbbbbb-1",
        "Turn 1 ran in 9.0 s · 2 sub-RLMs",
    ]


def test_sub_rlms_of_an_earlier_cell_are_not_counted_again() -> None:
    progress = Progress(Clock())
    for event in TREE:
        progress.update(event)
    progress.update({"event": "code", "turn": 2, "code": "x"})
    assert progress.children.number == 0 and progress.children.latest is None
    progress.update(TREE[0])
    assert progress.children.number == 1


def test_a_turn_of_a_sub_rlm_is_not_counted_as_a_turn_of_the_run() -> None:
    progress = Progress(Clock())
    progress.update({"event": "turn", "turn": 1, "of": 30, "last": False})
    progress.update(child("aaaaaaaa-1", "running", turn=17))
    assert progress.turn == 1


def test_a_run_is_not_under_way_while_its_input_is_read() -> None:
    progress = Progress(Clock())
    progress.update(STORY[0])
    assert not progress.under_way and progress.phase == "reading"
    progress.update({"event": "one_call"})
    assert not progress.under_way, "a signal still ends it at once"
    progress.update(STORY[2])
    assert progress.under_way


def test_a_small_input_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainDisplay(Progress(Clock())) as display:
        display.update({"event": "one_call"})
    assert capsys.readouterr().err == "This input fits one model call: --mode auto would try one call first.\n"


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_text_is_escaped_in_every_display(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    display, above = live(Progress(Clock()))
    events = [
        *({"event": "input", "documents": 1, "bytes": 1, "name": text, "done": done} for done in (False, True)),
        {"event": "input", "documents": 1, "bytes": 1, "name": "", "done": True, "notes": [text]},
        {"event": "code", "turn": 1, "code": f"print({text!r}) # {text}"},
        {"event": "retry", "model": text, "reason": text, "seconds": 1.0},
        {"event": "output", "turn": 1, "status": text, "preview": text, "elapsed": 0.1},
        {"event": "nudge", "turn": 1, "reason": text},
        {"event": "notice", "text": text},
        {"event": "child", "thread_id": text, "depth": 1, "question": text, "status": "running", "turn": 1},
        {"event": "child", "thread_id": text, "depth": 1, "question": text, "status": text},
    ]
    clock = Clock()
    plain = PlainDisplay(Progress(clock))
    for event in events:
        clock.now += 10
        plain.update(event)
        display.update(event)
        assert hostile(panel(display)) == []
    assert hostile(above.getvalue() + capsys.readouterr().err) == []


def test_markup_and_emoji_codes_are_not_interpreted(capsys: pytest.CaptureFixture[str]) -> None:
    PlainDisplay(Progress(Clock())).update({"event": "notice", "text": "[red]hi[/red] :smile: [link=http://x]"})
    assert capsys.readouterr().err == "[red]hi[/red] :smile: [link=http://x]\n"


def test_amounts_have_their_units() -> None:
    assert [megabytes(size) for size in (1, 999, 1_500, 6_200_000, 3 * 10**9)] == [
        *("1 byte", "999 bytes", "1.5 KB", "6.2 MB", "3.0 GB")
    ]
    assert [duration(seconds) for seconds in (0.04, 9.94, 42.4, 200, 7500)] == [
        *("0.0 s", "9.9 s", "42 s", "3 min 20 s", "2 h 05 min")
    ]
    assert [dollars(cost) for cost in (None, 0.0, 0.0123, 12.5)] == ["", "$0.00", "$0.0123", "$12.50"]
    assert spent({"model_calls": 1, "cost_usd": None}) == ["1 model call"]


def test_the_reading_of_the_input_says_how_far_it_is_and_how_long_it_takes() -> None:
    assert reading_line(84, 3_200_000, 119, 500, 12.0) == (
        "Reading file 120 of 500: 84 documents, 3.2 MB · about 12 s left"
    )
    assert reading_line(1, 900) == "Reading 1 document, 900 bytes"
