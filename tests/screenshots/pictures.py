"""Pictures of the page over a home, in Debian's Chromium."""

import json
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from playwright.sync_api import Browser, sync_playwright

WIDE, NARROW = 1280, 360


@dataclass(frozen=True)
class Picture:
    """A screen to take a picture of."""

    name: str
    path: str
    scheme: Literal["light", "dark"] = "light"
    width: int = WIDE
    height: int = 900
    whole: bool = False
    """True for the page down to its end."""


PICTURES = (
    Picture("runs", "/"),
    Picture("run", "/runs/contracts"),
    Picture("run-dark", "/runs/contracts", scheme="dark"),
    Picture("run-narrow", "/runs/contracts", width=NARROW, height=780),
    Picture("tree", "/runs/duties"),
    Picture("turn", "/runs/contracts/turns/5"),
    Picture("calls", "/runs/contracts/calls"),
    Picture("input", "/runs/contracts/input"),
    Picture("review", "/runs/asks-first/review"),
    Picture("fork", "/runs/contracts/steps/11/fork"),
    Picture("compare", "/compare?a=contracts&b=two-contracts"),
    Picture("new", "/new"),
)


@contextmanager
def served(home: Path) -> Generator[tuple[str, str]]:
    """Serve the page of a home; yield its address and token."""
    line = [sys.executable, "-m", "durable_rlm", "view", "--home", str(home), "--port", "0", "--no-open", "--json"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            about = json.loads(server.stdout.readline())
            yield about["url"], about["token"]
        finally:
            server.terminate()
            server.wait()


def take(home: Path, folder: Path, pictures: tuple[Picture, ...] = PICTURES) -> None:
    """Write the pictures into a folder as PNG. Raises RuntimeError when there is no Chromium."""
    folder.mkdir(parents=True, exist_ok=True)
    chromium = shutil.which("chromium")
    if chromium is None:
        raise RuntimeError("There is no chromium here: apt-get install chromium")
    with served(home) as (url, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for picture in pictures:
            _take(browser, picture, url, token, folder)
        browser.close()


def _take(browser: Browser, picture: Picture, url: str, token: str, folder: Path) -> None:
    size = {"width": picture.width, "height": picture.height}
    context = browser.new_context(viewport=size, color_scheme=picture.scheme, reduced_motion="reduce")  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    page.goto(f"{url}/?token={token}")
    page.goto(f"{url}{picture.path}")
    # Parts that the server works out after the page was sent.
    page.wait_for_function("!document.querySelector('[aria-busy=true]')")
    page.screenshot(path=folder / f"{picture.name}.png", full_page=picture.whole)
    context.close()
