"""The screens of a home: found by following links, as a reader finds them."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import lxml.html
from playwright.async_api import APIResponse
from starlette.routing import Match

from durable_rlm.studio.page.screens import ROUTES

from .conftest import View

Kind = tuple[str, ...]


def route_of(address: str) -> Kind:
    """Return the route that an address is one of."""
    return _matched(address)[:1]


def kind_of(address: str) -> Kind:
    """Return the kind of screen that an address leads to: its route, its run, and the names of its parameters."""
    return _matched(address) + tuple(sorted(name for name, _ in parse_qsl(urlsplit(address).query)))


def _matched(address: str) -> tuple[str, str]:
    scope = {"type": "http", "method": "GET", "path": urlsplit(address).path}
    for route in ROUTES:
        match, more = route.matches(scope)
        if match is Match.FULL:
            return route.path, str(more["path_params"].get("thread", ""))
    return "", ""


async def fetched(there: View, address: str) -> APIResponse:
    """Return what the server sends, without a browser's tab."""
    return await there.context.request.get(there.server.url + address)


async def reached(there: View, *first: str, kind: Callable[[str], Kind] = kind_of) -> list[str]:
    """Return `first`, and the addresses that the links of these and of further pages lead to: one of each kind."""
    known: set[Kind] = set()
    found: list[str] = []
    waiting, seen = list(first), set(first)
    while waiting:
        address = waiting.pop(0)
        if kind(address) in known and address not in first:
            continue
        known.add(kind(address))
        response = await fetched(there, address)
        if "text/html" not in response.headers["content-type"]:
            continue
        found.append(address)
        for link in lxml.html.fromstring(await response.text()).iter("a"):
            href = link.get("href", "").partition("#")[0]
            if href.startswith("/") and href not in seen:
                seen.add(href)
                waiting.append(href)
    return found
