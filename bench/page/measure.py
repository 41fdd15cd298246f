"""Measures the page of a home, in headless Chromium: `python -m bench.page measure HOME`.

`rlm view` is started on it. Paint and weight are those of a browser that has nothing of the page yet, clicks those of
one that has style and scripts. A screen that there is none of is reported as missing.
"""

import json
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from bench.beside.machine import spin_ms
from bench.page.make import THREAD

STARTS = 3
LIMITS = {"start": 1_000, "paint": 1_000, "click": 300, "kilobytes": 500, "memory": 150}
"""Milliseconds, KB, MB."""
_TIMES = """() => {
    const [page] = performance.getEntriesByType('navigation');
    const paint = performance.getEntriesByName('first-contentful-paint')[0];
    const parts = [page, ...performance.getEntriesByType('resource')];
    return {
        first_byte: page.responseStart, paint: paint ? paint.startTime : null, done: page.loadEventEnd,
        kilobytes: parts.reduce((sum, one) => sum + one.decodedBodySize, 0) / 1000,
        elements: document.querySelectorAll('*').length,
    };
}"""


@dataclass(frozen=True)
class Screen:
    """A screen by its address, or by a link that a screen has."""

    name: str
    path: str
    link: str = ""
    """A part of the address of a link on the screen at `path`; the first such link is followed."""
    more: str = ""
    """An addition to the address of the link."""


RUN = f"/runs/{THREAD}"
SCREENS = (
    Screen("runs", "/"),
    Screen("runs, searched", "/?q=notice"),
    Screen("run", RUN),
    Screen("turn 500", f"{RUN}/turns/500"),
    Screen("calls", f"{RUN}/calls"),
    Screen("calls, page 600", f"{RUN}/calls?page=600"),
    Screen("calls, the dearest", f"{RUN}/calls?sort=cost"),
    Screen("calls, failed", f"{RUN}/calls?status=failed"),
    Screen("calls, searched", f"{RUN}/calls?q=Kündigung"),
    Screen("calls, searched in vain", f"{RUN}/calls?q=quokka"),
    Screen("a call", f"{RUN}/calls", f"{RUN}/calls/"),
    Screen("input", f"{RUN}/input"),
    Screen("a document", f"{RUN}/input", "contract-39.txt"),
    Screen("the end of 512 MB", f"{RUN}/input", "everything.log", "&lines=5000000-5000100"),
    Screen("steps", f"{RUN}/steps"),
    Screen("compare", f"/compare?a={THREAD}&b={THREAD}"),
    Screen("review", f"{RUN}/review"),
    Screen("new run", "/new"),
)


@dataclass
class Measured:
    """The times and sizes of a screen; empty where it is missing."""

    name: str
    path: str
    status: int
    times: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """The first visit: milliseconds to `first_byte`, `paint` and `done`, `kilobytes`, `elements`."""
    click: float | None = None
    """Milliseconds from following a link to the paint, in a browser that was there before."""
    peak: float = 0.0
    """The most memory that the server has had until then, in MB."""


@dataclass(frozen=True)
class Server:
    """A started `rlm view`."""

    url: str
    token: str
    pid: int
    first_byte: float
    """Milliseconds from the command to the first byte of the first page."""

    def peak(self) -> float:
        """Return the most memory that it has had, in MB."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


@contextmanager
def viewed(home: Path) -> Generator[Server]:
    """Start `rlm view` on a home, and end it."""
    command = [sys.executable, "-m", "durable_rlm", "view", "--home", str(home), "--no-open", "--port", "0", "--json"]
    began = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = json.loads(process.stdout.readline())
            opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
            with opener.open(f"{said['url']}/?token={said['token']}") as answer:
                answer.read(1)
            yield Server(said["url"], said["token"], said["pid"], (time.perf_counter() - began) * 1e3)
        finally:
            process.terminate()


def chromium() -> str:
    """Return the path of the browser. Raises SystemExit without one."""
    found = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit("There is no Chromium here: install it, such as with `apt-get install chromium`.")
    return found


def measured(browser: Browser, server: Server, screen: Screen) -> Measured:
    """Visit a screen with nothing in the browser's cache, then by a link."""
    with _browsing(browser, server) as page:
        path = _path(page, server, screen)
        if path is None:
            return Measured(screen.name, screen.path, 404)
    with _browsing(browser, server) as page:
        answer = page.goto(server.url + path, wait_until="load")
        status = answer.status if answer else 0
        found = Measured(screen.name, path, status)
        if status != 200:
            return found
        found.times = _times(page)
        # A link to where it goes anyway, so that every screen can be followed to.
        page.goto(f"{server.url}/", wait_until="load")
        with page.expect_navigation(wait_until="load"):
            page.evaluate("path => { location.assign(path) }", path)
        times = _times(page)
        found.click = times["paint"] or times["done"]
        return found


def _path(page: Page, server: Server, screen: Screen) -> str | None:
    if not screen.link:
        return screen.path
    answer = page.goto(server.url + screen.path, wait_until="load")
    if answer is None or answer.status != 200:
        return None
    paths: list[str] = page.evaluate("() => [...document.links].map(one => one.pathname + one.search)")
    fitting = next((path for path in paths if screen.link in path), None)
    return fitting and fitting + screen.more


def _times(page: Page) -> dict[str, float | None]:
    page.wait_for_function("performance.getEntriesByType('navigation')[0].loadEventEnd > 0")
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return dict[str, Any](page.evaluate(_TIMES))


@contextmanager
def _browsing(browser: Browser, server: Server) -> Generator[Page]:
    """Open a page of a browser that is let in, with an empty cache."""
    context: BrowserContext = browser.new_context(viewport={"width": 1280, "height": 860})
    try:
        context.request.get(f"{server.url}/?token={server.token}")
        yield context.new_page()
    finally:
        context.close()


def main(home: Path, output: Path | None) -> None:
    """Measure all screens, print a table, and write JSON to `output` if it is given."""
    starts: list[float] = []
    found: list[Measured] = []
    for _ in range(STARTS - 1):
        with viewed(home) as server:
            starts.append(server.first_byte)
    with viewed(home) as server, sync_playwright() as playwright:
        starts.append(server.first_byte)
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        try:
            for screen in SCREENS:
                found.append(measured(browser, server, screen))
                found[-1].peak = server.peak()
        finally:
            browser.close()
        peak = server.peak()
    table(starts, found, peak)
    if output:
        document = {
            "starts_ms": starts,
            "peak_mb": peak,
            "spin_ms": spin_ms(),
            "screens": [asdict(one) for one in found],
        }
        output.write_text(f"{json.dumps(document, indent=2, ensure_ascii=False)}\n")


def table(starts: list[float], found: list[Measured], peak: float) -> None:
    """Print what was measured; `!` marks what is above its limit."""
    print(f"command to first byte   {_marked(statistics.median(starts), 'start')} ms")
    print(f"peak of the server      {_marked(peak, 'memory')} MB\n")
    print(f"{'screen':24} {'first byte':>10} {'paint':>8} {'click':>8} {'KB':>8} {'elements':>9} {'peak MB':>8}")
    for one in found:
        if one.status != 200:
            print(f"{one.name:24} {'missing' if one.status == 404 else one.status:>10}")
            continue
        first, paint, size, elements = (
            one.times[key] or 0.0 for key in ("first_byte", "paint", "kilobytes", "elements")
        )
        row = f"{one.name:24} {first:10.0f} {_marked(paint, 'paint')} {_marked(one.click or 0.0, 'click')}"
        print(f"{row} {_marked(size, 'kilobytes')} {elements:9.0f} {_marked(one.peak, 'memory')}")


def _marked(value: float, limit: str) -> str:
    return f"{value:7.0f}{'!' if value > LIMITS[limit] else ' '}"
