"""Opening models by name: errors name the missing part, and no test can reach a model that costs money."""

import subprocess
import sys
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult

from durable_rlm.nodes.models import providers
from durable_rlm.nodes.models.errors import ModelCallFailed
from durable_rlm.nodes.models.provider_protocol import ModelRequest
from durable_rlm.nodes.models.provider_table import PROVIDERS
from durable_rlm.nodes.models.providers import open_client
from durable_rlm.state.errors import ModelSetupError
from tests.nodes.models.conftest import question


class RecordingChat(BaseChatModel):
    """A provider's chat model that replies with its prompt and its output limit."""

    model: str
    num_predict: int | None = None
    max_tokens: int | None = None
    max_retries: int = 9

    @property
    def _llm_type(self) -> str:
        return "recording"

    def _generate(self, messages: list[BaseMessage], *args: Any, **kwargs: Any) -> ChatResult:
        blocks = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": f"{messages[-1].content}"}]
        limit = f" limit {self.max_tokens or self.num_predict}"
        message = AIMessage(
            content=[*blocks, {"type": "text", "text": limit}],  # pyright: ignore[reportArgumentType]
            response_metadata={"stop_reason": "max_tokens"},
            usage_metadata={"input_tokens": 7, "output_tokens": 3, "total_tokens": 10},
        )
        return ChatResult(generations=[ChatGeneration(message=message)])


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """Install a stand-in for the packages of anthropic and ollama models, which can be opened in a test."""

    def allow(name: str, base_url: str) -> None: ...

    monkeypatch.setattr(providers, "_refuse_to_spend", allow)
    module = ModuleType("langchain_stand_in")
    module.ChatAnthropic = module.ChatOllama = RecordingChat  # pyright: ignore[reportAttributeAccessIssue]
    monkeypatch.setitem(sys.modules, "langchain_anthropic", module)
    monkeypatch.setitem(sys.modules, "langchain_ollama", module)
    return module


@pytest.mark.parametrize("name", ["gpt-5", "openai:", ":gpt-5", "openai: ", ""])
def test_a_name_without_a_provider_is_refused_with_the_expected_form(name: str) -> None:
    with pytest.raises(ModelSetupError, match="PROVIDER:NAME") as error:
        open_client(name)
    assert error.value.exit_code == 2


def test_an_unknown_provider_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ModelSetupError, match=r"'opnai'.*anthropic.*openai.*scripted"):
        open_client("opnai:gpt-5")


@pytest.mark.parametrize("provider", sorted(set(PROVIDERS) - {"openai", "azure_openai"}))
def test_a_missing_package_is_refused_with_the_command_that_installs_it(provider: str) -> None:
    with pytest.raises(ModelSetupError, match=f"pip install {PROVIDERS[provider].package}$"):
        open_client(f"{provider}:some-model")


def test_a_model_without_key_and_server_is_refused_with_the_variable_to_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ModelSetupError, match="OPENAI_API_KEY") as error:
        open_client("openai:gpt-5")
    assert "--base-url" in error.value.hint


@pytest.mark.parametrize("variable", ["OPENAI_BASE_URL", "OPENAI_API_BASE"])
def test_a_server_named_only_in_the_environment_is_neither_used_nor_ignored(
    monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-sent-anywhere")
    monkeypatch.setenv(variable, "http://127.0.0.1:9/v1")
    with pytest.raises(ModelSetupError, match=f"{variable}.*--base-url"):
        open_client("openai:gpt-5")


def test_a_malformed_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-with\nnewline")
    with pytest.raises(ModelSetupError) as error:
        open_client("openai:gpt-5", base_url="http://127.0.0.1:9/v1")
    assert "newline" not in str(error.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8000", "ftp://host/v1", "http://", "http://host:port/v1", "http://[::1"])
def test_a_malformed_url_is_refused(url: str) -> None:
    with pytest.raises(ModelSetupError, match="http://127"):
        open_client("openai:x", base_url=url)


@pytest.mark.parametrize(
    "url", ["", "https://api.openai.com/v1", "http://localhost.example.com/v1", "http://10.0.0.1/v1"]
)
def test_a_test_cannot_reach_a_real_model(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-never-sent-anywhere")
    with pytest.raises(ModelSetupError, match="this is a test"):
        open_client("openai:gpt-5", base_url=url)


def test_a_test_cannot_reach_a_model_of_another_provider() -> None:
    with pytest.raises(ModelSetupError, match="this is a test"):
        open_client("azure_openai:gpt-5")


@pytest.mark.parametrize("url", ["http://localhost:1/v1", "http://127.9.9.9:1/v1", "http://[::1]:1/v1"])
async def test_loopback_in_all_its_forms_is_allowed(url: str) -> None:
    async with open_client("openai:x", base_url=url) as client:
        assert client.name == "openai:x"


async def test_other_providers_answer_through_langchain_and_their_replies_are_limited(installed: ModuleType) -> None:
    for name in ("anthropic:claude", "ollama:qwen3"):
        async with open_client(name, price=(1.0, 2.0)) as client:
            reply = await client.ask(question("Hello."))
        assert (reply.text, reply.finish) == ("Hello. limit 50", "length")
        assert (reply.input_tokens, reply.output_tokens, reply.estimated) == (7, 3, False)
        assert reply.cost_usd == pytest.approx(13e-6)


async def test_each_request_has_its_own_output_limit(installed: ModuleType) -> None:
    async with open_client("anthropic:claude") as client:
        for limit in (10, 20, 10):
            reply = await client.ask(ModelRequest([{"role": "user", "content": "x"}], limit))
            assert reply.text == f"x limit {limit}"


def test_a_package_whose_replies_cannot_be_limited_is_refused(
    installed: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installed, "ChatOllama", type("Unlimited", (RecordingChat,), {}), raising=False)
    monkeypatch.setitem(PROVIDERS, "ollama", replace(PROVIDERS["ollama"], limit_field="nope"))
    with pytest.raises(ModelSetupError, match="no nope"):
        open_client("ollama:qwen3")


def test_a_provider_that_does_not_start_is_reported_with_its_key_variable_and_without_secrets(
    installed: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(**_: Any) -> None:
        raise ValueError("bad key sk-abcdef123456")

    monkeypatch.setattr(installed, "ChatAnthropic", refuse)
    with pytest.raises(ModelSetupError, match="ANTHROPIC_API_KEY") as error:
        open_client("anthropic:claude")
    assert "abcdef" not in str(error.value)


def test_a_base_url_is_not_silently_dropped(installed: ModuleType) -> None:
    with pytest.raises(ModelSetupError, match="openai:claude"):
        open_client("anthropic:claude", base_url="http://127.0.0.1:9/v1")


async def test_a_password_in_the_address_is_not_shown() -> None:
    async with open_client("openai:x", base_url="http://me:hunter2hunter2@127.0.0.1:9/v1") as client:

        async def stop(_: int) -> None:
            raise InterruptedError

        with pytest.raises(InterruptedError):
            await client.ask(question(), before_attempt=stop)
        failed = client.failed("network", "http://me:hunter2hunter2@127.0.0.1:9/v1 refused")
    assert isinstance(failed, ModelCallFailed)
    assert "hunter2" not in failed.message and "http://127.0.0.1:9/v1" in failed.message


def test_no_provider_is_imported_before_a_model_is_opened() -> None:
    code = (
        "import sys, durable_rlm.nodes.models.providers, durable_rlm.nodes.models.structured_output\n"
        "late = {'openai', 'langchain_openai', 'langchain_core', 'genai_prices', 'jsonschema', 'aiohttp', 'httpx'}\n"
        "raise SystemExit(', '.join(late & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
