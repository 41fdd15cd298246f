"""Every route of the application refuses requests without the token."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.server_safety.served import CLEAN, JSON, Served

Routes = list[tuple[str, list[str]]]


@pytest.fixture(scope="module")
def routes(tmp_path_factory: pytest.TempPathFactory) -> Routes:
    listed = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("list_routes.py"))],
        cwd=tmp_path_factory.mktemp("elsewhere"),
        env={**CLEAN, "PYTHONPATH": str(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    found = [(str(path), [str(method) for method in methods]) for path, methods in json.loads(listed.stdout)]
    # LangGraph's own without its `auth`, LangGraph's own with it, and ours: the page, its events, forms and files.
    assert {"/ok", "/openapi.json", "/threads/search", "/runs/stream", "/rlm"} <= {path for path, _ in found}
    page = {path for path, _ in found if path.startswith("/rlm/")}
    assert {"/rlm/", "/rlm/events", "/rlm/runs/{thread}/events", "/rlm/static/style.css", "/rlm/static"} <= page
    return found


def test_every_route_refuses_clients_without_the_token_and_pages_of_other_origins(
    server: Served, routes: Routes
) -> None:
    adapter = {
        "no token": ({}, 401),
        "a wrong token": ({"x-api-key": "wrong"}, 401),
        "LangGraph Studio's scheme": ({"x-auth-scheme": "langsmith"}, 401),
        "another origin": ({**server.key, "origin": "http://evil.example"}, 403),
        "another host": ({**server.key, "host": "evil.example"}, 421),
    }
    answered: list[tuple[str, ...]] = []
    for pattern, methods in routes:
        path = re.sub(r"\{[^}]*\}", "00000000-0000-4000-8000-000000000000", pattern)
        for method in methods or ["GET"]:
            body = "{}" if method in ("POST", "PUT", "PATCH") else ""
            for caller, (headers, expected) in adapter.items():
                status = server.ask(method, path, {**headers, **(JSON if body else {})}, body).status_code
                if status != expected:
                    answered.append((method, path, caller, str(status)))
    assert answered == []


def test_every_route_accepts_only_json_bodies(server: Served, routes: Routes) -> None:
    for pattern, methods in routes:
        path = re.sub(r"\{[^}]*\}", "00000000-0000-4000-8000-000000000000", pattern)
        for method in methods:
            if method not in ("GET", "HEAD"):
                assert server.ask(method, path, {**server.key, "content-type": "text/plain"}, "{}").status_code == 415
