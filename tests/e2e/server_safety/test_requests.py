"""Requests of foreign pages, forms, rebound host names and programs without the token: the server refuses them."""

import socket
import stat

import pytest

from tests.e2e.server_safety.served import JSON, Served

STUDIO = "https://smith.langchain.com"
FOREIGN = ("http://evil.example", STUDIO, "null", "http://localhost:1", "http://127.0.0.1", "https://127.0.0.1:{port}")


def test_only_the_token_is_accepted(server: Served) -> None:
    bearer = {"authorization": f"Bearer {server.token}"}
    assert [server.search({**JSON, **headers}) for headers in (server.key, bearer)] == [200, 200]
    wrong = [
        {},
        {"x-api-key": ""},
        {"x-api-key": server.token[:-1]},
        {"x-api-key": f"{server.token}x"},
        {"authorization": server.token},
        {"authorization": f"Basic {server.token}"},
        {"cookie": f"rlm-session-{server.port}={server.token}"},
        {"x-auth-scheme": "langsmith"},
        {"x-auth-scheme": "langsmith", "x-api-key": "lsv2_key"},
    ]
    assert {server.search({**JSON, **headers}) for headers in wrong} == {401}
    assert server.ask("POST", f"/threads/search?token={server.token}", JSON, "{}").status_code == 401


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_other_origins_are_refused_even_with_the_token(server: Served, origin: str) -> None:
    headers = {**server.key, "origin": origin.format(port=server.port)}
    for answer in (
        server.ask("GET", "/info", headers),
        server.ask("GET", "/rlm?token=" + server.token, headers),
        server.ask("POST", "/threads/search", {**headers, **JSON}, "{}"),
        server.ask("OPTIONS", "/threads/search", {**headers, "access-control-request-method": "POST"}),
    ):
        assert answer.status_code == 403
        assert not [name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"]


def test_a_foreign_host_name_is_refused(server: Served) -> None:
    port = server.port
    for host in ("evil.example", f"evil.example:{port}", f"localhost.evil.example:{port}", "localhost", "localhost:1"):
        assert server.ask("GET", "/ok", {**server.key, "host": host}).status_code == 421
        assert server.ask("GET", f"/rlm?token={server.token}", {"host": host}).status_code == 421
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"[::1]:{port}", f"LOCALHOST:{port}"):
        assert server.ask("GET", "/ok", {**server.key, "host": host}).status_code == 200


def test_bodies_that_a_form_can_send_are_refused(server: Served) -> None:
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""):
        assert server.search({**server.key, "content-type": kind}) == 415
    assert server.search(server.key) == 415
    assert server.search({**server.key, "content-type": "application/json; charset=utf-8"}) == 200


def test_the_printed_url_sets_a_session_cookie_that_hides_the_token(server: Served) -> None:
    entered = server.ask("GET", f"/rlm?token={server.token}")
    assert entered.status_code == 303 and entered.headers["location"] == "/rlm"
    cookie = entered.headers["set-cookie"]
    assert cookie.startswith(f"rlm-session-{server.port}=") and server.token not in cookie
    assert sorted(cookie.lower().split("; ")[1:]) == ["httponly", "path=/", "samesite=strict"]
    assert entered.headers["referrer-policy"] == "no-referrer" and entered.headers["cache-control"] == "no-store"
    page = server.ask("GET", "/rlm/", server.cookie)
    assert page.status_code == 200 and page.headers["content-type"].startswith("text/html")
    assert "unsafe" not in page.headers["content-security-policy"] and server.token not in page.text
    assert server.ask("GET", "/rlm?token=wrong").status_code == 401
    assert server.ask("GET", "/rlm?token=").status_code == 401


def test_a_browser_session_is_accepted_from_the_servers_own_pages_only(server: Served) -> None:
    cookie, here = server.cookie, {"origin": server.url}
    assert server.ask("GET", "/info", cookie).status_code == 200
    assert server.ask("GET", "/info", {**cookie, "sec-fetch-site": "none"}).status_code == 200
    # Pages of other ports of this host are the same site: their cookies come along, their requests must not pass.
    for site in ("same-site", "cross-site", "anything"):
        assert server.ask("GET", "/info", {**cookie, "sec-fetch-site": site}).status_code == 403
        assert server.search({**JSON, **cookie, "sec-fetch-site": site}) == 403
    assert server.search({**JSON, **cookie}) == 403, "no header names its origin"
    assert server.search({**JSON, **cookie, **here}) == 200
    assert server.search({**JSON, **cookie, "sec-fetch-site": "same-origin"}) == 200
    assert server.search({"content-type": "text/plain", **cookie, **here}) == 415


def test_langgraph_studios_page_is_accepted_where_allowed_and_only_with_the_token(studio_server: Served) -> None:
    origin = {"origin": STUDIO}
    asked = {"access-control-request-method": "POST", "access-control-request-headers": "content-type,x-api-key"}
    local = {"access-control-request-private-network": "true"}
    preflight = studio_server.ask("OPTIONS", "/threads/search", {**origin, **asked, **local})
    assert preflight.status_code == 204 and preflight.headers["access-control-allow-origin"] == STUDIO
    assert preflight.headers["access-control-allow-headers"] == "content-type, x-api-key"
    assert preflight.headers["access-control-allow-private-network"] == "true"
    assert "access-control-allow-credentials" not in preflight.headers
    answer = studio_server.ask("POST", "/threads/search", {**origin, **JSON, **studio_server.key}, "{}")
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, STUDIO)
    refused = studio_server.ask("POST", "/threads/search", {**origin, **JSON, **studio_server.cookie}, "{}")
    assert refused.status_code == 401 and refused.headers["access-control-allow-origin"] == STUDIO
    for other in ("http://evil.example", "http://smith.langchain.com", f"{STUDIO}.evil.example", f"{STUDIO}:444"):
        foreign = studio_server.ask("OPTIONS", "/threads/search", {"origin": other, **asked})
        assert foreign.status_code == 403 and "access-control-allow-origin" not in foreign.headers


def test_websockets_are_refused_like_other_requests(server: Served) -> None:
    fine = {"host": f"127.0.0.1:{server.port}", **server.key}
    assert _upgraded(server, fine) == 101
    for change in ({"x-api-key": "wrong"}, {"origin": "http://evil.example"}, {"host": "evil.example"}):
        assert _upgraded(server, {**fine, **change}) == 403
    without = {"host": fine["host"], **server.cookie}
    assert _upgraded(server, without) == 403, "a browser always sends an origin"
    assert _upgraded(server, {**without, "origin": server.url}) == 101


def _upgraded(server: Served, headers: dict[str, str]) -> int:
    path = "/threads/00000000-0000-4000-8000-000000000000/stream/events"
    lines = [f"GET {path} HTTP/1.1", "upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13"]
    lines += ["sec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==", *(f"{name}: {value}" for name, value in headers.items())]
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        return int(connection.makefile().readline().split()[1])


def test_pages_with_foreign_scripts_and_deployment_routes_are_not_served(server: Served) -> None:
    for path in ("/docs", "/deploy", "/internal/debug/thread/x", "/ui/rlm", "/mcp/", "/.well-known/agent-card.json"):
        assert server.ask("GET", path, server.key).status_code == 404
    for path in ("/deploy", "/internal/truncate", "/mcp/", "/a2a/rlm", "/store/items/search", "/ui/rlm"):
        assert server.ask("POST", path, {**server.key, **JSON}, "{}").status_code == 404


def test_the_server_listens_on_loopback_only(server: Served) -> None:
    import psutil

    listening = [one for one in psutil.Process(server.process.pid).net_connections() if one.status == "LISTEN"]
    assert [tuple(one.laddr) for one in listening] == [("127.0.0.1", server.port)]


def test_server_files_are_in_the_home_and_readable_by_the_owner_only(server: Served) -> None:
    folder = server.folder / ".rlm" / "server"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [one.name for one in server.folder.iterdir()] == [".rlm"]
