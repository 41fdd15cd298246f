"""One turn: messages and reply, code with its calls, output, and the variables after it."""

import sqlite3
from pathlib import Path

import pytest

from durable_rlm.state.home_access import DATABASE

from .conftest import Page, Screen
from .test_run import nothing_broke_out


def variables(screen: Screen) -> dict[str, str]:
    """Return the variables that a page shows, each with its change."""
    found: dict[str, str] = {}
    for one in screen.find("//div[contains(@class,'v ') or @class='v']"):
        found[one.findtext(".//dt/code")] = one.findtext(".//span[@class='what']") or ""
    return found


async def test_lines_of_code_have_the_calls_that_they_made(page: Page) -> None:
    screen = await page.get("/runs/contracts/turns/2")
    calls = {" ".join(link.text_content().split()): link.get("href") for link in screen.find("//a[@class='beside']")}
    assert calls == {
        "2 calls": "/runs/contracts/calls?turn=2&line=3",
        "1 call · 1 failed": "/runs/contracts/calls?turn=2&line=4",
    }
    [line] = screen.find("//ol[@class='code']/li[3]")
    assert (line.get("class"), "verdicts = dict(zip(" in line.text_content()) == ("calls", True)


async def test_variables_are_said_by_what_the_turn_did_to_them(page: Page) -> None:
    found = variables(await page.get("/runs/contracts/turns/2"))
    assert (found["verdicts"], found["texts"], found["names"]) == ("added", "added", "removed")
    later = variables(await page.get("/runs/contracts/turns/4"))
    assert (later["rows"], later["verdicts"]) == ("added", "")
    # What changed comes first.
    assert next(iter(later)) == "rows"


async def test_only_what_is_new_of_a_request_is_shown_and_the_rest_has_addresses(page: Page) -> None:
    screen = await page.get("/runs/contracts/turns/2")
    told = [one.text_content() for one in screen.find("//section[contains(@class,'told')]//pre")]
    assert len(told) == 1
    assert "[Turn 1]" in told[0]
    [before] = screen.find("//details[@class='before']//li[1]/a/@href")
    assert before == "/runs/contracts/turns/2/told/1"
    assert "REPL" in (await page.get(before)).html


async def test_a_turn_shows_its_error_and_leads_to_its_neighbours_and_steps(page: Page) -> None:
    screen = await page.get("/runs/contracts/turns/3")
    assert "ZeroDivisionError: division by zero" in screen.text
    assert screen.find("//a[@rel='prev']/@href") == ["/runs/contracts/turns/2"]
    assert screen.find("//a[@rel='next']/@href") == ["/runs/contracts/turns/4"]
    assert any(address.startswith("/runs/contracts/steps") and "#step-" in address for address in screen.links.values())


async def test_the_whole_output_has_an_address(page: Page) -> None:
    screen = await page.get("/runs/contracts/turns/1/output")
    assert screen.headers["content-type"] == "text/plain; charset=utf-8"
    assert "one.txt" in screen.html
    assert (await page.get("/runs/contracts/turns/9/output")).status == 404


async def test_code_that_waits_for_a_person_is_a_turn_without_an_end(page: Page) -> None:
    screen = await page.get("/runs/waits-for-code/turns/1")
    assert screen.status == 200
    assert "llm_query_batched" in screen.text
    assert "They are saved once the code has run." in screen.text


@pytest.mark.parametrize("number", [1, 2, 3])
async def test_hostile_strings_stay_text_in_a_turn(page: Page, number: int) -> None:
    screen = await page.get(f"/runs/hostile/turns/{number}")
    assert screen.status == 200
    nothing_broke_out(screen)


@pytest.mark.parametrize("number", ["0", "99", "99999999999999999999", "two"])
async def test_an_unknown_turn_is_a_page_that_says_which_there_are(page: Page, number: str) -> None:
    screen = await page.get(f"/runs/contracts/turns/{number}")
    assert screen.status == 404
    assert number == "two" or "It has turns 1 to 5." in screen.text


async def test_a_damaged_step_hides_nothing_but_itself(own_page: Page, own_home: Path) -> None:
    with sqlite3.connect(own_home / DATABASE) as connection:
        connection.execute(
            "UPDATE checkpoints SET seal = x'00' WHERE checkpoint_id = (SELECT checkpoint_id FROM steps "
            "WHERE thread_id = 'contracts' AND turn = 2 AND kind = 'execute_code' ORDER BY step DESC LIMIT 1)"
        )
    screen = await own_page.get("/runs/contracts/turns/2")
    assert screen.status == 200
    assert "has changed on disk" in screen.text
    assert "llm_query_batched" in screen.text
