"""The page over saved runs, asked by HTTP in this process: no browser, no socket and no program of its own."""

import shutil
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import lxml.html
import pytest

from durable_rlm.studio.page.app import create_app
from durable_rlm.studio.page.background import Work
from durable_rlm.studio.page.home import HomeOpener

from . import read_runs
from .saved_runs import make_home


@pytest.fixture(scope="session")
def saved_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with runs of every kind (`saved_runs.py`), which no test may change."""
    return make_home(tmp_path_factory.mktemp("page"))


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pages wait for what is read beside the requests, so that they are the same on a busy machine."""
    monkeypatch.setattr(Work, "patience", 60)


@pytest.fixture(scope="session")
def read_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with runs over documents of every kind (`read_runs.py`), which no test may change."""
    return read_runs.make_home(tmp_path_factory.mktemp("read"))


@pytest.fixture
def own_home(saved_home: Path, tmp_path: Path) -> Path:
    """Return a copy of that home, which the test may change."""
    return Path(shutil.copytree(saved_home, tmp_path / "home"))


@dataclass(frozen=True)
class Screen:
    """A page as it was sent."""

    status: int
    html: str
    headers: httpx.Headers

    @property
    def document(self) -> Any:
        """The parsed page."""
        return lxml.html.fromstring(self.html)

    @property
    def text(self) -> str:
        """The words on it, with single spaces, without scripts and styles."""
        return " ".join(self.document.find("body").text_content().split())

    def find(self, path: str) -> list[Any]:
        """Return what an XPath finds."""
        return self.document.xpath(path)

    @property
    def links(self) -> dict[str, str]:
        """The addresses that it leads to, by the words of the link."""
        return {" ".join(link.text_content().split()): link.get("href") for link in self.find("//a[@href]")}


class Page:
    """A browser without scripts."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self.client = client

    async def get(self, address: str, **named: Any) -> Screen:
        return _screen(await self.client.get(address, **named))

    async def post(self, address: str, form: dict[str, Any], **named: Any) -> Screen:
        return _screen(await self.client.post(address, data=form, **named))


def _screen(response: httpx.Response) -> Screen:
    return Screen(response.status_code, response.text, response.headers)


async def page_of(home: Path) -> AsyncGenerator[Page]:
    """Yield the page of a home."""
    app = create_app(HomeOpener(home))
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8717", trust_env=False) as client,
    ):
        yield Page(client)


@pytest.fixture
async def page(saved_home: Path) -> AsyncGenerator[Page]:
    """Return the page of the runs of every kind."""
    async for page in page_of(saved_home):
        yield page


@pytest.fixture
async def own_page(own_home: Path) -> AsyncGenerator[Page]:
    """Return the page of a copy of those runs, which the test may change."""
    async for page in page_of(own_home):
        yield page
