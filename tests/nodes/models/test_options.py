"""Options of a model: they reach the server as they were asked for, or are refused by name before anything is sent."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from durable_rlm.nodes.models import providers
from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.options import resolve_options, settings_of
from durable_rlm.nodes.models.provider_table import PROVIDERS
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.state.errors import ModelSetupError
from tests.nodes.models.conftest import OpenTo, Schema, question
from tests.nodes.models.test_providers import RecordingChat
from tests.scripts import write_script
from tests.servers.openai_server import Fault, ScriptedServer

ALL = {"temperature": 0.2, "top_p": 0.9, "seed": 7, "effort": "low"}


async def test_options_are_fields_of_a_chat_completions_request(client_of: OpenTo) -> None:
    options = {**ALL, "max_output": 2000, "body": {"top_k": 40, "chat_template_kwargs.enable_thinking": False}}
    with ScriptedServer() as server:
        async with client_of(server, options=options) as client:
            await client.ask(question())
            assert client.max_output == 2000
    body = server.requests[0].body
    assert {name: value for name, value in body.items() if name not in ("model", "messages", "stream")} == {
        "temperature": 0.2, "top_p": 0.9, "seed": 7, "reasoning_effort": "low", "top_k": 40,
        "chat_template_kwargs": {"enable_thinking": False}, "max_tokens": 50,
    }  # fmt: skip


@pytest.mark.parametrize("model", ["gpt-5", "o1", "o1-mini", "gpt-4o"])
async def test_without_options_no_model_is_sent_any(client_of: OpenTo, model: str) -> None:
    with ScriptedServer() as server:
        async with client_of(server, model) as client:
            await client.ask(question())
    assert server.requests[0].body.keys() - {"stream"} == {"model", "messages", "max_tokens"}


async def test_a_field_of_ours_is_not_overwritten(client_of: OpenTo) -> None:
    schema: Schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
    with ScriptedServer(sub=lambda _: '{"a": 1}') as server:
        async with client_of(server, options={"body": {"response_format": {"type": "text"}}}) as client:
            await client.ask(question())
            await client.ask(typed_question(schema))
    assert [one.body["response_format"]["type"] for one in server.requests] == ["text", "json_schema"]


def typed_question(schema: Schema) -> Any:
    """Return the request of a sub-call with this schema."""
    asked = question()
    return type(asked)(asked.messages, asked.max_output_tokens, schema=schema)


async def test_headers_are_sent_and_their_secrets_are_not_shown(
    client_of: OpenTo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEWAY", "Bearer hunter2-hunter2")
    options = {"header.Authorization": "env:GATEWAY", "header.X-Title": "My app"}
    refusal = Fault("status", status=400, text="unknown tenant hunter2-hunter2")
    with ScriptedServer(faults=[refusal]) as server:
        async with client_of(server, options=options) as client:
            with pytest.raises(ModelCallFailed, match="unknown tenant") as failed:
                await client.ask(question())
            assert "hunter2" not in repr(vars(client._sender)["_model"])
    assert server.requests[0].headers["authorization"] == "Bearer hunter2-hunter2"
    assert server.requests[0].headers["x-title"] == "My app"
    assert "hunter2" not in failed.value.message


@pytest.mark.parametrize(("value", "said"), [("", "not set"), ("a\nb", "characters"), ("ü", "characters")])
def test_a_variable_that_cannot_be_a_header_is_refused_by_its_name(
    monkeypatch: pytest.MonkeyPatch, value: str, said: str
) -> None:
    monkeypatch.setenv("GATEWAY", value)
    with pytest.raises(ModelSetupError, match=f"header.x is the variable GATEWAY, which .*{said}") as error:
        open_client("openai:x", base_url="http://127.0.0.1:9/v1", options={"header.X": "env:GATEWAY"})
    assert error.value.exit_code == 2


def test_an_option_in_a_wrong_form_is_refused() -> None:
    with pytest.raises(ModelSetupError, match=r"there is no option 'temp'; there are temperature"):
        open_client("openai:x", base_url="http://127.0.0.1:9/v1", options={"temp": 1})


def test_a_script_takes_all_options(tmp_path: Path) -> None:
    model = write_script(tmp_path / "m.py", [])
    assert open_client(str(model), options={**ALL, "max_output": 9}).max_output == 9


@pytest.fixture
def may_spend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let clients of OpenAI itself be opened; nothing is sent."""

    def allow(name: str, base_url: str) -> None: ...

    monkeypatch.setattr(providers, "_refuse_to_spend", allow)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-sent-anywhere")


@pytest.mark.parametrize(
    "model",
    ["o1", "o3-mini-2025-01-31", "o4-mini", "gpt-5", "gpt-5-mini", "gpt-5-2025-08-07", "gpt-5.5", "gpt-6-sol"],
)
@pytest.mark.parametrize("option", ["temperature", "top_p"])
def test_a_model_that_takes_no_temperature_is_refused_one(model: str, option: str, may_spend: None) -> None:
    with pytest.raises(ModelSetupError, match=f"openai:{model} takes no option {option}") as error:
        open_client(f"openai:{model}", options={option: 0.5})
    assert "effort=none" in error.value.hint


@pytest.mark.parametrize(
    ("model", "options"),
    [
        ("gpt-4o", {"temperature": 0}), ("gpt-5-chat-latest", {"temperature": 0}), ("gpt-5", {"temperature": 1}),
        ("gpt-5.5", {"temperature": 0, "effort": "none"}), ("gpt-5.1", {"temperature": 0}), ("o3", {"effort": "low"}),
    ],
)  # fmt: skip
async def test_others_take_it(model: str, options: dict[str, Any], may_spend: None) -> None:
    await open_client(f"openai:{model}", options=options).aclose()


async def test_a_server_of_one_s_own_may_give_any_model_such_a_name() -> None:
    await open_client("openai:gpt-5", base_url="http://127.0.0.1:9/v1", options={"temperature": 0.5}).aclose()


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_each_option_has_a_place_at_a_provider_or_is_refused_by_name(provider: str) -> None:
    options = {**ALL, "header.x": "a", "body.a_field": 1, **{f"effort={one}": one for one in ("none", "max")}}
    for name, value in options.items():
        given = {name.partition("=")[0]: value}
        try:
            settings = settings_of(f"{provider}:m", PROVIDERS[provider], resolve_options(given))
        except ModelSetupError as error:
            assert str(error).startswith(f"{provider}:m takes no option {next(iter(given))}")
        else:
            in_client = name == "header.x" and PROVIDERS[provider].headers == "async_client"
            assert bool(settings.fields) + bool(settings.call) + in_client == 1


def test_the_environment_names_a_server_on_loopback_before_a_test_may_use_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    module = ModuleType("langchain_stand_in")
    module.ChatAnthropic = RecordingChat  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "langchain_anthropic", module)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    open_client("anthropic:claude")
    monkeypatch.setenv("ANTHROPIC_API_URL", "https://api.anthropic.com")
    with pytest.raises(ModelSetupError, match="this is a test"):
        open_client("anthropic:claude")


def test_an_option_that_the_installed_package_lacks_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("langchain_stand_in")
    module.ChatAnthropic = RecordingChat  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "langchain_anthropic", module)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    with pytest.raises(ModelSetupError, match=r"langchain-anthropic cannot take an option: it has no top_p") as error:
        open_client("anthropic:claude", options={"top_p": 0.5})
    assert "--upgrade langchain-anthropic" in error.value.hint
