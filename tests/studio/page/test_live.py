"""Events: a follower of a run, or of the home, hears of what any process saves, and of a process that was killed."""

import asyncio
import itertools
import json
from collections.abc import AsyncGenerator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_rlm.graph.marks import GONE
from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import DATABASE
from durable_rlm.state.leases import this_process
from durable_rlm.studio.page.app import create_app
from durable_rlm.studio.page.home import HomeOpener
from durable_rlm.studio.page.live import Live, News
from durable_rlm.studio.page.screens.events import EventStream, encoded
from tests.clock import Clock

from .conftest import Page, Screen


async def quickly(seconds: float) -> None:
    """Take another look at once."""
    del seconds
    await asyncio.sleep(0)


def saved(home: Path, sql: str, *values: Any) -> None:
    """Save something as another process does: over a connection of its own."""
    with closing(connect(home / DATABASE)) as base:
        base.execute(sql, values)


BUSY = (
    "INSERT OR REPLACE INTO leases (thread_id, token, owner, renewed) VALUES ('tree', 9, ?, 0)",
    json.dumps(this_process()),
)


@pytest.fixture
async def opener(own_home: Path) -> AsyncGenerator[HomeOpener]:
    opener = HomeOpener(own_home)
    async with opener.closing():
        yield opener


@pytest.fixture
async def live(opener: HomeOpener) -> AsyncGenerator[Live]:
    live = Live(opener, sleep=quickly)
    yield live
    await live.aclose()


async def next_of(following: AsyncGenerator[News | None]) -> News | None:
    async with asyncio.timeout(30):
        return await anext(following)


async def first_mark(live: Live, name: str) -> str:
    """Return the mark of a run, or of the home."""
    following = live.follow({name: ""})
    news = await next_of(following)
    await following.aclose()
    assert news is not None
    return news.mark


async def test_a_follower_that_comes_back_with_an_old_mark_hears_at_once_and_with_the_current_one_nothing(
    live: Live,
) -> None:
    mark = await first_mark(live, "tree")
    step, settled, seq, status = mark.split(".")
    assert int(step) and int(settled) and int(seq) and status == "answered"
    assert await first_mark(live, "tree") == mark
    following = live.follow({"tree": mark, "contracts": "1.1.1.busy"})
    news = await next_of(following)
    assert news is not None and news.name == "contracts"
    await following.aclose()


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE threads SET status = 'stopped', updated = updated + 1 WHERE thread_id = 'tree'",
        "UPDATE calls SET settled = 999 WHERE thread_id = 'tree' AND turn = 1",
        "INSERT INTO steps (thread_id, step, checkpoint_id, kind, turn, summary, created) "
        "VALUES ('tree', 99, 'x', 'plan', 3, '', 1)",
        "UPDATE calls SET settled = 999 WHERE thread_id IN (SELECT thread_id FROM children WHERE caller = 'tree')",
    ],
    ids=["status", "an answered call", "a step", "a call of a sub-RLM"],
)
async def test_a_save_of_another_process_is_heard_by_the_followers_of_its_run(
    live: Live, own_home: Path, sql: str
) -> None:
    mark = await first_mark(live, "tree")
    following = live.follow({"tree": mark})
    heard = asyncio.create_task(next_of(following))
    await asyncio.sleep(0)
    saved(own_home, sql)
    news = await heard
    assert news is not None and news.name == "tree" and news.mark != mark
    await following.aclose()


async def test_the_home_is_followed_as_a_whole_and_another_run_is_no_news_of_a_run(live: Live, own_home: Path) -> None:
    marks = {name: await first_mark(live, name) for name in ("", "tree")}
    following = live.follow(marks)
    heard = asyncio.create_task(next_of(following))
    await asyncio.sleep(0)
    saved(own_home, "UPDATE threads SET updated = updated + 60 WHERE thread_id = 'failed'")
    news = await heard
    assert news is not None and news.name == ""
    await following.aclose()


async def test_a_killed_process_is_heard_of_although_it_saves_nothing(
    live: Live, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.studio.page.live.HOLDERS_EVERY", 0.0)
    saved(own_home, "UPDATE threads SET status = 'running' WHERE thread_id = 'tree'")
    saved(own_home, *BUSY)
    mark = await first_mark(live, "tree")
    assert mark.endswith(".busy")
    following = live.follow({"tree": mark})
    heard = asyncio.create_task(next_of(following))
    await asyncio.sleep(0)
    # The holder ends: its start is not that of the process of this number.
    monkeypatch.setattr("durable_rlm.state.leases._ticks", started_again)
    news = await heard
    assert news is not None and news.mark == mark.replace("busy", "stopped")
    await following.aclose()


def started_again(pid: int) -> int:
    del pid
    return 1


async def test_holders_are_looked_for_once_a_second_and_only_while_a_followed_run_is_busy(
    opener: HomeOpener, own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[float] = []
    clock = Clock()
    monkeypatch.setattr("durable_rlm.studio.page.live.marks_of", counted_marks(looks, clock))
    steps = iter(range(50))
    done = asyncio.Event()

    async def tick(seconds: float) -> None:
        clock.now += seconds
        if next(steps, None) is None:
            done.set()
            await asyncio.Event().wait()

    saved(own_home, "UPDATE threads SET status = 'running' WHERE thread_id = 'tree'")
    saved(own_home, *BUSY)
    live = Live(opener, sleep=tick, clock=lambda: clock.now)
    following = live.follow({"tree": ""})
    await next_of(following)
    await done.wait()
    assert len(looks) in (5, 6) and all(later - one >= 0.99 for one, later in itertools.pairwise(looks))
    await following.aclose()
    await live.aclose()


def counted_marks(looks: list[float], clock: Clock) -> Any:
    from durable_rlm.graph.marks import marks_of

    async def counting(*given: Any) -> Any:
        looks.append(clock.now)
        return await marks_of(*given)

    return counting


async def test_nothing_is_looked_at_when_nobody_follows(live: Live) -> None:
    assert not live.watching
    following = live.follow({"tree": ""})
    await next_of(following)
    assert live.watching
    await following.aclose()
    async with asyncio.timeout(30):
        while live.watching:
            await asyncio.sleep(0)


async def test_a_follower_who_hears_nothing_gets_a_sign_of_life(opener: HomeOpener) -> None:
    live = Live(opener, heartbeat=0.001, sleep=quickly)
    following = live.follow({"nobody": GONE})
    assert await next_of(following) is None
    await following.aclose()
    await live.aclose()


async def test_all_followers_end_at_once_when_the_server_stops(live: Live) -> None:
    marks = {"tree": await first_mark(live, "tree")}
    waiting = [asyncio.create_task(next_of(live.follow(marks))) for _ in range(3)]
    await asyncio.sleep(0)
    live.end()
    for ended in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(ended, StopAsyncIteration)


async def test_a_home_that_goes_and_comes_back_is_news(live: Live, own_home: Path) -> None:
    following = live.follow({"": await first_mark(live, "")})
    away = own_home.with_name("away")
    own_home.rename(away)
    news = await next_of(following)
    assert news is not None and news.mark == GONE
    away.rename(own_home)
    news = await next_of(following)
    assert news is not None and news.mark != GONE
    await following.aclose()


async def test_a_database_that_another_process_holds_is_read_later(live: Live, own_home: Path) -> None:
    mark = await first_mark(live, "tree")
    following = live.follow({"tree": mark})
    heard = asyncio.create_task(next_of(following))
    with closing(connect(own_home / DATABASE)) as base:
        base.execute("BEGIN EXCLUSIVE")
        await asyncio.sleep(0)
        base.execute("UPDATE calls SET settled = 999 WHERE thread_id = 'tree' AND turn = 1")
        assert not heard.done()
        base.execute("COMMIT")
    assert await heard is not None
    await following.aclose()


async def test_a_page_carries_the_mark_from_before_it_was_read(page: Page, saved_home: Path) -> None:
    [body] = (await page.get("/")).find("//body")
    assert (body.get("data-events"), body.get("data-run")) == ("/events", "")
    opener = HomeOpener(saved_home)
    async with opener.closing():
        live = Live(opener, sleep=quickly)
        assert await first_mark(live, "") == body.get("data-mark")
        await live.aclose()


@pytest.mark.parametrize(
    ("address", "heard"),
    [
        ("/runs/tree/events", [{"run": "tree"}]),
        ("/events", [{"run": ""}]),
        (
            "/events?run=tree&since=&run=contracts&since=old&run=&since=",
            [{"run": "tree"}, {"run": "contracts"}, {"run": ""}],
        ),
        ("/runs/nobody%0Aid:%20x/events", [{"run": "nobody\nid: x", "mark": "gone"}]),
    ],
)
async def test_events_are_server_sent_events_with_marks_as_ids(
    saved_home: Path, address: str, heard: list[dict[str, str]]
) -> None:
    app = create_app(HomeOpener(saved_home))
    app.state.live._sleep = quickly
    async with app.router.lifespan_context(app):
        told = await streamed(app, address, events=len(heard))
    assert told.headers["content-type"].startswith("text/event-stream") and "content-length" not in told.headers
    first, *events = told.html.strip().split("\n\n")
    assert first == "retry: 1000"
    for event, expected in zip(events, heard, strict=True):
        head, kind, data = event.split("\n")
        document = json.loads(data.removeprefix("data: "))
        assert kind == "event: news" and head == f"id: {document['mark']}"
        assert document | expected == document


async def test_the_id_that_a_browser_sends_when_it_connects_again_is_what_it_knows(saved_home: Path) -> None:
    app = create_app(HomeOpener(saved_home))
    app.state.live._sleep = quickly
    async with app.router.lifespan_context(app):
        told = await streamed(app, "/runs/tree/events", events=1)
        mark = told.html.partition("id: ")[2].partition("\n")[0]
        again = await streamed(app, "/runs/tree/events", events=0, headers=[(b"last-event-id", mark.encode())])
    assert again.html == "retry: 1000\n\n"


async def streamed(app: Any, address: str, *, events: int, headers: Any = ()) -> Screen:
    """Return a stream of events, which the client leaves after so many of them."""
    url = httpx.URL(f"http://127.0.0.1{address}")
    scope = {
        **{"type": "http", "method": "GET", "path": url.path, "raw_path": url.raw_path, "query_string": url.query},
        **{"headers": [*headers], "scheme": "http", "server": ("127.0.0.1", 80), "root_path": "", "app": app},
    }
    sent: list[dict[str, Any]] = []
    enough = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) >= 2 + events:
            enough.set()

    async with asyncio.timeout(30):
        await app(scope, receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    return Screen(sent[0]["status"], body.decode(), httpx.Headers(sent[0]["headers"]))


async def test_a_browser_that_leaves_is_followed_no_longer(live: Live) -> None:
    stream = EventStream(live.follow({"tree": await first_mark(live, "tree")}))
    left = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        del message

    answering = asyncio.create_task(stream({"type": "http"}, receive, send))
    while not live.watching:
        await asyncio.sleep(0)
    left.set()
    await answering
    async with asyncio.timeout(30):
        while live.watching:
            await asyncio.sleep(0)


def test_a_name_cannot_end_its_event() -> None:
    assert encoded(News("a\n\nevent: x\ud800", "1.1.1.busy")).count(b"\n\n") == 1


def test_a_sign_of_life_is_a_comment() -> None:
    assert encoded(None).startswith(b":")
