"""The page as a whole: its headers, its errors, and a home that comes, goes and changes."""

import re
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from durable_rlm.graph.queries import RunQueries
from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import DATABASE
from durable_rlm.studio import page as page_package
from durable_rlm.studio.page.app import create_app
from durable_rlm.studio.page.escaped import with_code
from durable_rlm.studio.page.home import HomeOpener

from .conftest import Page

TEMPLATES = Path(page_package.__file__ or "").parent / "templates"


async def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere(page: Page) -> None:
    for address in ("/", "/nothing", "/static/style.css"):
        policy = (await page.get(address)).headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "require-trusted-types-for 'script'" in policy
        assert "unsafe" not in policy


_NUMBER = "1" * 5_000


@pytest.mark.parametrize(
    "address",
    [
        *("/nothing", "/runs", "/runs/nobody/nothing"),
        *(f"/runs/contracts/{part}/{_NUMBER}" for part in ("turns", "steps", "files", "turns/1/told")),
    ],
)
async def test_an_unknown_address_is_a_page_that_leads_back(page: Page, address: str) -> None:
    screen = await page.get(address)
    assert screen.status == 404
    assert screen.links["All runs"] == "/"


@pytest.mark.parametrize(
    ("missing", "part"),
    [("calls/abc", "calls"), ("steps/99", "steps"), ("input?document=none", "input"), ("turns/99", "")],
)
async def test_a_part_of_a_run_that_there_is_not_leads_to_the_run_and_to_its_parts(
    page: Page, missing: str, part: str
) -> None:
    screen = await page.get(f"/runs/contracts/{missing}")
    there = {words: href for words, href in screen.links.items() if words.startswith("Its ")}
    expected = {f"Its {part}": f"/runs/contracts/{part}"} if part else {}
    assert (screen.status, screen.links["The run"], there) == (404, "/runs/contracts", expected)
    assert "`" not in screen.text


async def test_commands_in_errors_are_shown_as_code(page: Page) -> None:
    screen = await page.get("/runs/nobody")
    assert screen.find("//main//code/text()") == ["rlm list"]
    assert with_code("<b> `a <i>` c") == "&lt;b&gt; <code>a &lt;i&gt;</code> c"
    assert with_code("one ` alone") == "one ` alone"


async def test_a_fault_of_the_page_has_its_policy_and_says_nothing_of_the_code(
    page: Page, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any, **__: Any) -> Any:
        raise AttributeError("secret internals")

    monkeypatch.setattr(RunQueries, "about", broken)
    page.client._transport.raise_app_exceptions = False  # type: ignore[attr-defined]
    screen = await page.get("/runs/contracts/delete")
    assert (screen.status, "AttributeError" in screen.text, "internals" in screen.html) == (500, True, False)
    assert "script-src 'self'" in screen.headers["content-security-policy"]


@pytest.mark.parametrize("place", [r'="[^"<>]*%s[^"<>]*"', r"\{%% block title %%\}.*%s"])
def test_no_attribute_and_no_title_has_markup(place: str) -> None:
    """Hidden characters are elements in HTML: one would end an attribute, and a title shows it as text."""
    pattern = re.compile(place % r"\|(line|shown|markdown)\b")
    templates = [*TEMPLATES.rglob("*.html")]
    assert templates and not [one.name for one in templates if pattern.search(one.read_text())]


async def test_pages_are_not_kept_and_files_with_a_digest_are(page: Page) -> None:
    screen = await page.get("/")
    assert screen.headers["cache-control"] == "no-store"
    [style] = screen.find("//link[@rel='stylesheet']/@href")
    [script] = screen.find("//script/@src")
    for address in (style, script):
        assert "immutable" in (await page.get(address)).headers["cache-control"]
    # A run may be named like the folder of the files.
    assert (await page.get("/runs/static/answer?v=1")).headers["cache-control"] == "no-store"


async def test_runs_appear_once_there_are_any_and_go_with_their_home(saved_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "later"
    app = create_app(HomeOpener(home))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here", trust_env=False) as client,
    ):
        before = await client.get("/")
        assert (before.status_code, "No run is saved in" in before.text) == (200, True)
        assert not home.exists()
        shutil.copytree(saved_home, home)
        assert "Which contracts can be ended" in (await client.get("/")).text
        shutil.rmtree(home)
        assert "No run is saved in" in (await client.get("/")).text


async def test_the_runs_of_the_tests_are_of_every_kind(page: Page) -> None:
    screen = await page.get("/")
    statuses = {
        status.get("class").removeprefix("status ")
        for status in screen.find("//td/span[starts-with(@class, 'status')]")
    }
    assert statuses == {"answered", "budget", "failed", "paused"}


@pytest.mark.parametrize("meant", ["contract", "waits-for", "tre"])
async def test_an_unknown_run_is_a_page_that_names_near_ones(page: Page, meant: str) -> None:
    screen = await page.get(f"/runs/x{meant}x" if meant == "contract" else f"/runs/{meant}")
    assert screen.status == 404
    near = screen.find("//ul[@class='near']//a/@href")
    expected = {"contract": "/runs/contracts", "waits-for": "/runs/waits-for-code", "tre": "/runs/tree"}
    assert expected[meant] in near and len(near) <= 5


async def test_a_hostile_name_of_an_unknown_run_stays_a_text(page: Page) -> None:
    screen = await page.get("/runs/%3Cscript%3Ealert(1)%00%0A")
    assert screen.status == 404
    assert len(screen.find("//script")) == 1 and "<script>alert(1)" in screen.text


async def test_a_database_that_another_process_holds_is_one_sentence(
    own_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.studio.page.home.PATIENCE", 0.01)
    with closing(connect(own_home / DATABASE)) as base:
        base.execute("PRAGMA journal_mode = DELETE")
        base.execute("BEGIN EXCLUSIVE")
        opener = HomeOpener(own_home)
        app = create_app(opener)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here", trust_env=False) as client,
        ):
            answered = await client.get("/")
    assert answered.status_code == 503
    assert "is locked by another process" in answered.text and "Traceback" not in answered.text


async def test_a_home_of_somebody_else_that_comes_later_is_only_read(saved_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "later"
    agreed = [True]
    app = create_app(HomeOpener(home, reads_copy=lambda: not agreed[0]))
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here", trust_env=False) as client,
    ):
        await client.get("/")
        agreed[0] = False
        shutil.copytree(saved_home, home)
        refused = await client.post("/new", data={"question": "Why?"}, files={"files": ("", b"")})
        assert (refused.status_code, "only read" in refused.text) == (422, True)
        assert "This home is only read" in (await client.get("/")).text
