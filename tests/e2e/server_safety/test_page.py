"""The page below `/rlm` of `rlm dev`: over the runs of this very server, and behind the same guard."""

import re

import pytest

from tests.e2e.server_safety.served import JSON, Served

HTML = {"accept": "text/html"}
FORM = {"content-type": "application/x-www-form-urlencoded"}


def test_a_browser_is_led_to_the_page_and_anything_else_hears_that_the_server_is_well(server: Served) -> None:
    led = server.ask("GET", "/", {**server.cookie, **HTML})
    assert (led.status_code, led.headers["location"]) == (303, "/rlm/")
    assert server.ask("GET", "/", server.key).json() == {"ok": True}
    assert server.ask("GET", "/rlm?status=paused", server.cookie).headers["location"] == "/rlm/?status=paused"


def test_the_page_works_below_its_path(server: Served) -> None:
    page = server.ask("GET", "/rlm/", {**server.cookie, **HTML})
    assert "trusted-types rlm" in page.headers["content-security-policy"]
    addresses = re.findall(r'(?:href|src|action|data-events)="([^"]+)"', page.text)
    assert addresses and all(one.startswith(("/rlm/", "#")) for one in addresses)
    for address in addresses:
        if "/static/" in address:
            assert server.ask("GET", address, server.cookie).status_code == 200
    assert server.ask("GET", "/rlm/runs/nobody", {**server.cookie, **HTML}).status_code == 404


@pytest.mark.parametrize("path", ["/", "/rlm", "/rlm/", "/rlm/runs/x", "/rlm/events", "/info"])
def test_a_browser_without_a_session_is_refused_in_words_on_a_page(server: Served, path: str) -> None:
    refused = server.ask("GET", path, HTML)
    assert refused.status_code == 401 and refused.headers["content-type"].startswith("text/html")
    assert "wants its token" in refused.text and "<script" not in refused.text
    assert server.ask("HEAD", path, HTML).status_code == 401
    assert server.ask("GET", path).headers["content-type"] == "application/json"


def test_forms_of_other_origins_are_refused_by_the_page_and_all_forms_elsewhere(server: Served) -> None:
    own = {**server.cookie, **FORM, "origin": server.url}
    for headers, status in (
        ({**own, "origin": "http://evil.example"}, 403),
        ({**own, "origin": "null"}, 403),
        ({**own, "sec-fetch-site": "cross-site"}, 403),
        ({**own, "sec-fetch-site": "same-site"}, 403),
        ({**server.cookie, **FORM}, 403),
        ({**own, "content-type": "text/plain"}, 415),
        (FORM, 401),
    ):
        assert server.ask("POST", "/rlm/runs/x/stop", headers, "a=b").status_code == status
    for path in ("/threads/search", "/runs", "/rlmx", "/"):
        assert server.ask("POST", path, own, "a=b").status_code == 415


def test_an_address_with_the_token_never_leads_to_another_host(server: Served) -> None:
    for path in ("/rlm//evil.example", "/rlm/%2f%2fevil.example", "/rlm/%5cevil.example"):
        entered = server.ask("GET", f"{path}?token={server.token}")
        assert entered.status_code == 303
        assert re.match(r"/rlm/", entered.headers["location"])
    assert server.ask("GET", f"//evil.example?token={server.token}").status_code in (401, 404, 421)


def test_the_page_takes_part_in_nothing_but_its_own_path(server: Served) -> None:
    assert server.search({**JSON, **server.key}) == 200
    assert server.ask("GET", "/runs/x", server.key).status_code == 404
    assert server.ask("GET", "/events", server.key).status_code == 404
