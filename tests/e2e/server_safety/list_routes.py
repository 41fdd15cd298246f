"""A program that prints every route of the server's application as JSON: its path and methods (none: a WebSocket)."""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from durable_rlm.studio.server.config import set_up
from durable_rlm.studio.server.state_dir import files_in, own_folder
from durable_rlm.studio.serving.token import Access, set_access


def routes_of(routes: list[Any], prefix: str = "") -> list[tuple[str, list[str]]]:
    """Return the routes, those of mounted applications included; a route without a path is listed at the root."""
    found: list[tuple[str, list[str]]] = []
    for route in routes:
        path = prefix + getattr(route, "path", "/")
        if below := getattr(route, "routes", None):
            found += routes_of(below, path)
        else:
            found.append((path, sorted(getattr(route, "methods", None) or [])))
    return found


def main() -> None:
    home = Path(tempfile.mkdtemp())
    set_access(Access("not asked for here"))
    set_up(home, "http://127.0.0.1:2024", debug=False, colours=False, tracing=False)
    with own_folder(home / "server"), files_in(home / "server"):
        from langgraph_api.server import app
    json.dump(routes_of(app.routes), sys.stdout)


if __name__ == "__main__":
    main()
