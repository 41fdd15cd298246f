"""The screens of a home: found by following links, as a reader finds them."""

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import lxml.html
from playwright.async_api import APIResponse
from starlette.routing import Match

from durable_rlm.studio.page.screens import ROUTES

from .conftest import View

Kind = tuple[str, ...]
"""A kind of screen."""


def route_of(address: str) -> Kind:
    """Return the route that an address is one of."""
    scope = {"type": "http", "method": "GET", "path": urlsplit(address).path}
    return (next((route.path for route in ROUTES if route.matches(scope)[0] is Match.FULL), ""),)


def asked_of(address: str) -> Kind:
    """Return the route that an address is one of, and the names of the parameters that it is asked with."""
    return route_of(address) + tuple(sorted(name for name, _ in parse_qsl(urlsplit(address).query)))


async def fetched(there: View, address: str) -> APIResponse:
    """Return what the server sends, without a browser's tab."""
    return await there.context.request.get(there.server.url + address)


async def reached(there: View, *first: str, kind: Callable[[str], Kind]) -> list[str]:
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
