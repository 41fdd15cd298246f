"""The calls of a run on the page: pages of them, and each call whole."""

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from durable_rlm.graph import call_searching
from durable_rlm.state.db.checksums import checksum_sql, register_function
from durable_rlm.state.db.connection import connect
from durable_rlm.state.db.tables import CALLS
from durable_rlm.state.home_access import DATABASE
from durable_rlm.studio.page.screens import calls
from tests.damage import change

from .conftest import Page, Screen, page_of
from .saved_runs import HOSTILE


def rows(screen: Screen) -> list[str]:
    """Return the words of each row of the table of calls."""
    return [" ".join(row.text_content().split()) for row in screen.find("//table[@class='calls']/tbody/tr")]


def keys_of(home: Path, thread: str, condition: str = "kind != 'root'") -> list[str]:
    with sqlite3.connect(home / "checkpoints.sqlite") as connection:
        query = f"SELECT key FROM calls WHERE thread_id = ? AND {condition} ORDER BY seq"
        return [key for [key] in connection.execute(query, (thread,))]


async def test_the_calls_of_a_run_are_listed_and_each_leads_to_its_own_page(page: Page) -> None:
    screen = await page.get("/runs/contracts/calls")
    listed = rows(screen)
    assert listed[0].startswith("all begin: Can it be ended without notice?")
    assert len(listed) == 4
    assert "yes" in listed[1] and "no" in listed[2] and "this one fails" in listed[3]
    [first, *_] = screen.find("//a[@class='main']/@href")
    one = await page.get(first)
    assert "Can it be ended without notice?" in one.text and "yes" in one.text
    assert any(words.startswith("turn 2, line") for words in one.links)


async def test_the_beginning_that_prompts_share_is_said_once(page: Page) -> None:
    screen = await page.get("/runs/contracts/calls?turn=2")
    prompts = [" ".join(link.text_content().split()) for link in screen.find("//a[@class='main']")]
    assert prompts[0].startswith("…") and not any(one.startswith("Can it be ended") for one in prompts)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("status=failed", 1),
        ("status=answered", 2),
        ("turn=2", 3),
        ("turn=3", 0),
        ("kind=root", 5),
        ("kind=rlm", 0),
        ("model=nobody", 0),
        ("sort=cost", 3),
        ("sort=time&after=nonsense&turn=x&line=-1", 3),
    ],
)
async def test_filters_and_orders_are_addresses(page: Page, query: str, count: int) -> None:
    screen = await page.get(f"/runs/contracts/calls?{query}")
    assert screen.status == 200
    assert len(screen.find("//a[@class='main']")) == count


async def test_pages_lead_to_each_other_in_both_directions(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "PAGE", 2)
    for sort in ("made", "time"):
        first = await page.get(f"/runs/contracts/calls?sort={sort}")
        assert not first.find("//a[@rel='prev']")
        [after] = first.find("//a[@rel='next']/@href")
        second = await page.get(after)
        assert not second.find("//a[@rel='next']")
        [before] = second.find("//a[@rel='prev']/@href")
        links = [screen.find("//a[@class='main']/@href") for screen in (first, second, await page.get(before))]
        assert links[0] == links[2] and len({*links[0], *links[1]}) == 3
        assert (await page.get(f"/runs/contracts/calls?sort={sort}&page=last")).find("//a[@class='main']")


async def test_an_unknown_key_says_what_there_is(page: Page, saved_home: Path) -> None:
    for said, hint in (("2:nothing", "Turn 2 made 3 calls"), ("nothing", "5 turns")):
        screen = await page.get(f"/runs/contracts/calls/{said}")
        assert screen.status == 404 and hint in screen.text
    several = await page.get("/runs/contracts/calls/2:")
    assert several.status == 404
    assert all(key in several.text for key in keys_of(saved_home, "contracts", "turn = 2"))


async def test_the_beginning_of_a_key_leads_to_its_call(page: Page, saved_home: Path) -> None:
    [key, *_] = keys_of(saved_home, "contracts")
    moved = await page.client.get(f"/runs/contracts/calls/{key[:12]}")
    assert moved.status_code == 307 and moved.headers["location"] == f"/runs/contracts/calls/{quote(key, safe='')}"


async def test_a_call_leads_to_its_neighbours_and_to_the_call_of_the_run_it_was_forked_from(
    page: Page, saved_home: Path
) -> None:
    first, second, last = keys_of(saved_home, "contracts")
    middle = await page.get(f"/runs/contracts/calls/{second}")
    assert [
        quote(key, safe="") in (middle.find(f"//a[@rel='{rel}']/@href") or [""])[0]
        for rel, key in (("prev", first), ("next", last))
    ] == [True, True]
    forked = await page.get(f"/runs/stricter/calls/{first}")
    assert forked.status == 200 and "before the fork" in forked.text


async def test_a_sub_rlm_is_linked_from_the_call_that_it_answers(page: Page, saved_home: Path) -> None:
    listed = await page.get("/runs/tree/calls?kind=rlm")
    assert len(listed.find("//td/a[text()='sub-RLM']")) == 2
    one = await page.get(f"/runs/tree/calls/{keys_of(saved_home, 'tree')[0]}")
    assert "a sub-RLM" in one.links


async def test_a_root_call_shows_the_messages_that_were_sent(page: Page, saved_home: Path) -> None:
    key = keys_of(saved_home, "contracts", "kind = 'root'")[1]
    screen = await page.get(f"/runs/contracts/calls/{key}")
    roles = [
        summary.text_content().split(",")[0] for summary in screen.find("//section[contains(@class, 'told')]//summary")
    ]
    assert roles[0] == "system" and roles[-1] == "user"
    message = await page.get(f"/runs/contracts/calls/{key}/message-0")
    assert message.headers["content-type"].startswith("text/plain")


async def test_whole_texts_are_plain_text(page: Page, saved_home: Path) -> None:
    key = keys_of(saved_home, "hostile")[0]
    prompt = await page.get(f"/runs/hostile/calls/{key}/prompt")
    assert prompt.html == HOSTILE
    assert prompt.headers["content-type"].startswith("text/plain")
    assert (await page.get(f"/runs/hostile/calls/{key}/thoughts")).status == 404


async def test_nothing_that_a_run_says_is_markup(page: Page, saved_home: Path) -> None:
    addresses = [
        *("/runs/hostile/calls", "/runs/hostile/calls?kind=root", f"/runs/hostile/calls?model={quote(HOSTILE)}"),
        *(f"/runs/hostile/calls/{quote(key)}" for key in keys_of(saved_home, "hostile", "true")),
        *(f"/runs/hostile/calls/{quote(HOSTILE[:20], safe='')}", "/runs/hostile/calls?q=alert"),
    ]
    for address in addresses:
        screen = await page.get(address)
        assert screen.status in (200, 404)
        assert not screen.find("//script[not(@src)] | //main//img | //b[@onclick] | //*[@style] | //*[@onerror]"), (
            address
        )


async def test_a_damaged_call_is_shown_as_damaged_and_hides_no_other(own_page: Page, own_home: Path) -> None:
    key = keys_of(own_home, "contracts")[0]
    change(own_home, "UPDATE calls SET answer = NULL WHERE thread_id = 'contracts' AND key = ?", key)
    screen = await own_page.get("/runs/contracts/calls")
    assert len(screen.find("//tr[@class='damaged']")) == 1 and len(screen.find("//a[@class='main']")) == 3
    assert "is damaged" in (await own_page.get(f"/runs/contracts/calls/{key}")).text


async def test_a_damaged_text_is_said_and_the_rest_of_the_call_is_shown(own_page: Page, own_home: Path) -> None:
    key = keys_of(own_home, "contracts")[0]
    change(
        own_home,
        "UPDATE texts SET body = 'x' WHERE hash = (SELECT prompt FROM calls WHERE thread_id = 'contracts' AND key = ?)",
        key,
    )
    assert "has changed on disk" in (await own_page.get("/runs/contracts/calls")).text
    one = await own_page.get(f"/runs/contracts/calls/{key}")
    assert "has changed on disk" in one.text and "yes" in one.text


async def test_a_call_in_flight_says_what_is_held_for_it(own_page: Page, own_home: Path) -> None:
    key = keys_of(own_home, "contracts")[0]
    with sqlite3.connect(own_home / "checkpoints.sqlite") as connection:
        connection.execute("DROP TRIGGER calls_updated")
        connection.execute(
            "UPDATE calls SET status = 'asked', answer = NULL, settled = NULL, attempts = 1, uncertain_tokens = 9000, "
            "uncertain_cost = 0.25 WHERE thread_id = 'contracts' AND key = ?",
            (key,),
        )
        register_function(connection)
        connection.execute(f"UPDATE calls SET seal = {checksum_sql(CALLS.columns())} WHERE key = ?", (key,))
    listed = await own_page.get("/runs/contracts/calls?status=asked")
    assert "in flight" in listed.text and "at most 9.0 k tokens, $0.25" in listed.text
    assert "at most 9.0 k tokens, $0.25" in (await own_page.get(f"/runs/contracts/calls/{key}")).text


async def test_a_call_of_which_a_request_was_lost_says_the_most_that_it_can_have_cost(
    own_page: Page, own_home: Path
) -> None:
    key = keys_of(own_home, "contracts")[0]
    assert "what was lost" not in (await own_page.get(f"/runs/contracts/calls/{key}")).text
    with closing(connect(own_home / DATABASE)) as base:
        base.execute(
            "UPDATE calls SET attempts = 2, uncertain_calls = 1, uncertain_tokens = 9000, uncertain_cost = 0.25 "
            "WHERE thread_id = 'contracts' AND key = ?",
            (key,),
        )
    [lost] = (await own_page.get(f"/runs/contracts/calls/{key}")).find(
        "//dt[contains(., 'what was lost')]/following-sibling::dd"
    )
    assert lost.text_content() == "at most 9.0 k tokens, $0.2500"


async def test_words_are_found_in_prompts_and_answers(page: Page) -> None:
    screen = await page.get("/runs/contracts/calls?q=without+notice")
    assert "calls of this run were searched" in screen.text
    assert [mark.text_content() for mark in screen.find("//mark")][:2] == ["without", "notice"]
    assert screen.find("//input[@name='q']/@value") == ["without notice"]


async def test_calls_are_read_for_searches_once_somebody_looks_at_them(own_page: Page) -> None:
    state: Any = own_page.client._transport.app.state  # type: ignore[attr-defined]
    await own_page.get("/runs/contracts")
    begun = [state.reading is not None]
    await own_page.get("/runs/contracts/calls")
    assert begun == [False]
    assert await state.reading.at_last() is True


async def test_words_that_are_kept_elsewhere_are_gone_once_the_server_has_stopped(
    own_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def is_nearly_full(folder: Path) -> bool:
        return folder == own_home

    monkeypatch.setattr(call_searching, "is_nearly_full", is_nearly_full)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    kept: list[tuple[Any, Path]] = []
    async for page in page_of(own_home):
        await page.get("/runs/contracts/calls?q=notice")
        [folder] = tmp_path.glob("rlm-*")
        kept.append((page.client._transport.app.state, folder))  # type: ignore[attr-defined]
    [(state, folder)] = kept
    assert state.call_search is not None
    assert not folder.exists()
