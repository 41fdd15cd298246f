"""Model servers on this machine: found by their answer, offered as a command to paste, and not trusted."""

import asyncio
import json
import shlex
from collections.abc import AsyncGenerator, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from durable_rlm.graph.run import Run
from durable_rlm.studio.cli import local_servers as found
from durable_rlm.studio.cli.local_servers import find_servers
from durable_rlm.studio.doctor.software import local_servers
from durable_rlm.studio.invocation import Invocation, default_home
from tests.servers.openai_server import ScriptedServer
from tests.studio.conftest import HOSTILE, Fake, Rlm

PATIENT = 30.0
"""A timeout in seconds that tests never wait out: the reply comes, or it is clear that none will."""


@asynccontextmanager
async def listening(reply: bytes, *, ends: bool = True, asked: list[bytes] | None = None) -> AsyncGenerator[int]:
    """Listen on a port of 127.0.0.1, answer each request with `reply`, and close the connection if `ends`."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        if asked is not None:
            asked.append(request)
        writer.write(reply)
        if ends:
            writer.close()
        else:
            await reader.read()
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def http(body: bytes | str, status: str = "200 OK", *more: str) -> bytes:
    data = body.encode() if isinstance(body, str) else body
    head = (f"HTTP/1.1 {status}", f"Content-Length: {len(data)}", *more)
    return "".join(f"{line}\r\n" for line in (*head, "")).encode() + data


def models(*names: object) -> bytes:
    return http(json.dumps({"object": "list", "data": [{"id": name, "object": "model"} for name in names]}))


@pytest.mark.parametrize("ends", [True, False])
async def test_a_server_that_lists_models_is_found_with_the_flags_that_use_it(ends: bool) -> None:
    async with listening(models("qwen3:32b", "llama"), ends=ends) as port:
        [server] = await find_servers([port], seconds=PATIENT)
    url = f"http://127.0.0.1:{port}/v1"
    assert (server.base_url, server.models) == (url, ("qwen3:32b", "llama"))
    assert server.settings == ("--model", "openai:qwen3:32b", "--base-url", url)


async def test_a_reply_in_chunks_is_read() -> None:
    body = b'{"data": [{"id": "m"}]}'
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    async with listening(chunked) as port:
        assert [one.models for one in await find_servers([port], seconds=PATIENT)] == [("m",)]


async def test_all_ports_are_probed_at_once_and_reported_in_their_order() -> None:
    all_asked = asyncio.Barrier(3)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        # No request is answered until all have arrived.
        await all_asked.wait()
        writer.write(models("m"))
        writer.close()

    async with AsyncExitStack() as open_servers:
        servers = [
            await open_servers.enter_async_context(await asyncio.start_server(answer, "127.0.0.1", 0)) for _ in range(3)
        ]
        ports = [server.sockets[0].getsockname()[1] for server in servers]
        listed = await find_servers(ports, seconds=PATIENT)
    assert [one.base_url for one in listed] == [f"http://127.0.0.1:{port}/v1" for port in ports]


async def test_probing_uses_no_proxy_and_sends_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret-value")
    async with listening(models("m"), asked=asked) as port, listening(models("p"), asked=asked) as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy}")
        [server] = await find_servers([port], seconds=PATIENT)
    assert server.models == ("m",) and len(asked) == 1 and b"secret" not in asked[0]


@pytest.mark.parametrize(
    "reply",
    [
        b"",
        b"220 mail.example.com ESMTP\r\n",
        b"\x00" * 1000,
        http("<html>not found</html>", "404 Not Found"),
        http("<html>hello</html>"),
        http("", "302 Found", "Location: http://127.0.0.1:1/v1/models"),
        http('{"data": [{"id": "m"}]}', "401 Unauthorized"),
        http('{"data": null}'),
        http('{"data": {"id": "m"}}'),
        http('{"data": ["m", 7, null, {"id": 7}, {}]}'),
        http("[" * 100_000),
        http('{"data": ' + "9" * 10_000 + "}"),
        http(b'{"data": [{"id": "\xff\xfe"}]}'),
        b"HTTP/1.1 200 OK\r\nContent-Length: " + b"9" * 30 + b"\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 30 + b"\r\n{}",
        b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 10_000,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 1000,
        models("x" * 201),
        models("  "),
        models("two\nlines"),
        models("text-embedding-3"),
        *(models(text) for text in HOSTILE.values()),
    ],
)
async def test_a_server_with_any_other_reply_is_skipped(reply: bytes) -> None:
    async with listening(reply) as port:
        assert await find_servers([port], seconds=PATIENT) == []


async def test_an_endless_reply_is_read_up_to_a_limit() -> None:
    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" " * 65_536)
            await writer.drain()

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await pour(reader, writer)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(quietly, "127.0.0.1", 0)
    async with server:
        assert await find_servers([server.sockets[0].getsockname()[1]], seconds=PATIENT) == []


async def test_a_server_that_does_not_answer_in_time_is_skipped() -> None:
    async with listening(b"", ends=False) as port:
        assert await find_servers([port], seconds=0.01) == []


async def test_a_port_without_a_listener_is_skipped() -> None:
    async with listening(b"") as port:
        pass
    assert await find_servers([port], seconds=PATIENT) == []


@pytest.fixture
def server(rlm: Rlm, monkeypatch: pytest.MonkeyPatch) -> Generator[ScriptedServer]:
    """A server that commands find on this machine."""
    with ScriptedServer() as server:
        monkeypatch.setattr(found, "SERVERS", {server.port: "a server"})
        monkeypatch.setattr(found, "SECONDS", PATIENT)
        yield server


@pytest.mark.parametrize(
    "words",
    [
        ["run", 'What\'s it, "really"?  And\nwhy $HOME `date`?', "a  b.txt", "c.txt"],
        ["--home", "my runs", "run", "Q?", "--max-turns", "3"],
        ["run", "Q?", "--max-turns=3", "--", "-x"],
    ],
)
def test_a_run_without_a_model_prints_the_command_with_a_local_model(
    rlm: Rlm, fake: Fake, server: ScriptedServer, words: list[str]
) -> None:
    runner = fake(Run("t", "answered", answer="A"))
    message, hint = rlm(*words).err.split("\n", 1)
    assert message == "Error: No model is named."
    said, command = hint.split(": ", 1)
    assert said == "One of this machine would answer"
    program, *pasted = shlex.split(command)
    assert program == "rlm" and rlm(*pasted).out == "A\n"
    [(_, (question, paths), named)] = runner.asked
    assert question in words and all(path in words for path in paths or [])
    assert (named["model"], named["base_url"]) == ("openai:scripted", server.base_url)
    assert named["max_turns"] == (3 if any("max-turns" in word for word in words) else None)
    assert [home.name for home in runner.homes] == ["my runs" if "my runs" in words else ".rlm"]


def test_with_json_the_error_is_one_document(rlm: Rlm, fake: Fake, server: ScriptedServer) -> None:
    fake(Run("t", "answered", answer="A"))
    done = rlm("run", "Q?", "--json")
    error = json.loads(done.out)["error"]
    assert (error["type"], error["message"], done.err) == ("UsageError", "No model is named.", "")
    assert error["hint"].endswith(f"rlm run 'Q?' --json --model openai:scripted --base-url {server.base_url}")


def test_a_given_base_url_is_the_only_one_probed(
    rlm: Rlm, fake: Fake, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(Run("t", "answered", answer="A"))
    monkeypatch.setattr(found, "SERVERS", {})
    hint = rlm("run", "Q?", "--base-url", server.base_url).err
    assert hint.endswith(f"rlm run 'Q?' --base-url {server.base_url} --model openai:scripted\n")
    monkeypatch.setattr(found, "SERVERS", {server.port: "a server"})
    for url in ("http://model.example.com/v1", "http://u:p@127.0.0.1:1/v1", "http://127.0.0.1:99999/v1", "nonsense"):
        assert "Name one with --model" in rlm("run", "Q?", "--base-url", url).err


def test_without_a_local_server_the_hint_says_how_to_name_a_model_and_nothing_is_created(
    rlm: Rlm, tmp_path: Path
) -> None:
    done = rlm("run", "Q?")
    assert (done.code, done.out) == (2, "") and "Name one with --model" in done.err
    assert "The question is empty." in rlm("run", " ").err
    assert list(tmp_path.iterdir()) == []


def test_the_doctor_lists_the_servers_with_a_command_for_each(server: ScriptedServer) -> None:
    [finding] = local_servers(Invocation(default_home()))
    assert (finding.level, finding.value) == ("ok", f"{server.base_url}: scripted")
    assert shlex.split(finding.hint) == [
        *("rlm", "run", "What is 17 * 23?", "--model", "openai:scripted", "--base-url", server.base_url)
    ]


def test_the_doctor_lists_the_probed_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "SERVERS", {})
    [finding] = local_servers(Invocation(default_home()))
    assert finding.level == "note" and "no model server" in finding.value


def test_the_default_ports_are_those_of_common_servers() -> None:
    assert list(found.SERVERS) == [11434, 8000, 8080, 1234]
