"""`rlm view` in Chromium: one browser a session, one server for each home that a test asks for.

Playwright's asynchronous interface is used, because its synchronous one leaves a running event loop behind. All tests
of this folder run in the loop of the session, to which the browser belongs. They are skipped without Chromium.
"""

import inspect
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.e2e.program import CLEAN, RLM
from tests.studio.page.saved_runs import make_home

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(_HERE):
            if inspect.iscoroutinefunction(getattr(item, "obj", None)):
                item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)
            if CHROMIUM is None and "browser" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.skip(reason="needs Chromium (apt-get install chromium)"))


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncGenerator[Browser]:
    """Return the browser. A test makes contexts of its own in it, or asks `view` for one."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def saved_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with runs of every kind (`tests/studio/page/saved_runs.py`), which no test may change."""
    return make_home(tmp_path_factory.mktemp("page"))


@pytest.fixture
def own_home(saved_home: Path, tmp_path: Path) -> Path:
    """Return a copy of that home, which the test may change."""
    return Path(shutil.copytree(saved_home, tmp_path / "home"))


@dataclass
class Server:
    """`rlm view` of a home."""

    process: "subprocess.Popen[str]"
    url: str
    token: str


@dataclass
class View:
    """The page of a home in a browser that has opened the printed address."""

    server: Server
    context: BrowserContext
    said: list[str] = field(default_factory=list[str])
    """Errors of scripts, and what the policy of the page has refused."""

    async def open(self, path: str = "/") -> Page:
        """Return a new tab with an address of the page."""
        page = await self.context.new_page()
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("console", lambda message: self.said.append(message.text) if message.type == "error" else None)
        await page.goto(self.server.url + path)
        return page


@contextmanager
def started(home: Path, *flags: str, port: int = 0, **environment: str) -> Generator[Server]:
    """Serve the page of a home for the length of the block."""
    process = subprocess.Popen(
        [str(RLM), "--home", str(home), "view", "--json", "--no-open", "--port", str(port), *flags],
        env={**CLEAN, **environment},
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = json.loads(process.stdout.readline())
        yield Server(process, said["url"], said["token"])
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="session")
def servers() -> Generator[Callable[[Path], Server]]:
    """Return a function that returns the server of a home, which is started once."""
    of_home: dict[Path, Server] = {}
    with ExitStack() as running:

        def served(home: Path) -> Server:
            if home not in of_home:
                of_home[home] = running.enter_context(started(home))
            return of_home[home]

        yield served


@pytest_asyncio.fixture(loop_scope="session")
async def view(
    browser: Browser, servers: Callable[[Path], Server]
) -> AsyncGenerator[Callable[[Path], Awaitable[View]]]:
    """Return a function that serves a home, unless it is served already, and lets a new browser context in."""
    contexts: list[BrowserContext] = []

    async def viewed(home: Path) -> View:
        server = servers(home)
        context = await browser.new_context(viewport={"width": 1280, "height": 900})
        contexts.append(context)
        await context.request.get(f"{server.url}/?token={server.token}")
        return View(server, context)

    yield viewed
    for context in contexts:
        await context.close()
