"""Find the HTTP clients of other providers' chat models, to bound what their servers send (`bounded_http`).

Each package keeps its client elsewhere, mostly in private attributes, so it is looked for rather than known: a client
is what has response hooks. A package with none (boto3's, requests' and gRPC's) stays as it is.
"""

from collections.abc import Iterator
from typing import Any, cast

from .bounded_http import bound_replies

MOST_WHOLE = 16 << 20
"""Bytes of the longest reply: these packages read each as a whole."""
_DEEPEST = 5
_MOST_LOOKED_AT = 2_000
_PLAIN = (str, bytes, int, float, type, dict, list, tuple, set, type(None))


def bound_http_clients(chat: Any) -> int:
    """Bound the replies to each asynchronous HTTP client in the chat model. Return how many were found."""
    clients = list(_clients(chat))
    for client in clients:
        bound_replies(client, MOST_WHOLE)
        # Google's client makes one for each event loop, of these arguments.
        if isinstance(arguments := getattr(client, "_client_kwargs", None), dict):
            cast("dict[str, Any]", arguments).update(event_hooks=client.event_hooks, follow_redirects=False)
    return len(clients)


def _clients(chat: Any) -> Iterator[Any]:
    seen: set[int] = set()
    layer = [chat]
    for _ in range(_DEEPEST):
        below: list[Any] = []
        for one in layer:
            if id(one) in seen or isinstance(one, _PLAIN) or len(seen) > _MOST_LOOKED_AT:
                continue
            seen.add(id(one))
            if hasattr(one, "event_hooks") and hasattr(one, "follow_redirects"):
                if hasattr(one, "aclose"):
                    yield one
                continue
            _prefer_httpx(one)
            below += {**getattr(one, "__dict__", {}), **(getattr(one, "__pydantic_private__", None) or {})}.values()
        layer = below


def _prefer_httpx(one: Any) -> None:
    """Make Google's client send by its httpx client: aiohttp, which it prefers, has no such hooks."""
    client, options = getattr(one, "_async_httpx_client", None), cast(Any, getattr(one, "_http_options", None))
    if client is not None and getattr(options, "httpx_async_client", client) is None:
        options.httpx_async_client = client
