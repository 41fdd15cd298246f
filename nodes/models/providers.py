"""Find the model that `provider:model` names, and explain what is missing when there is a problem."""

import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ...state.errors import ModelSetupError
from .client import ModelClient
from .errors import Target
from .pricing import Price
from .provider_protocol import Sender
from .redaction import redact
from .retry import RetryPolicy
from .scripted import ScriptedSender
from .tokens import window_of
from .urls import is_loopback, shown

REQUEST_SECONDS = 600.0
CONNECTIONS = 1000


@dataclass(frozen=True)
class Provider:
    """The place of a provider's LangChain chat model, and its differences from others."""

    module: str
    chat_model: str
    key_name: str = ""
    """The environment variable that its package reads the key from."""
    limit_field: str = "max_tokens"
    """The model's field that bounds its output tokens."""
    options: dict[str, Any] = field(default_factory=lambda: {"max_retries": 0})
    """Usually: no retries of its own. The retries here respect the budget, and would multiply with others."""

    @property
    def package(self) -> str:
        """Its name for `pip install`."""
        return self.module.partition(".")[0].replace("_", "-")


PROVIDERS = {
    "openai": Provider("langchain_openai", "ChatOpenAI", "OPENAI_API_KEY"),
    "anthropic": Provider("langchain_anthropic", "ChatAnthropic", "ANTHROPIC_API_KEY"),
    "azure_openai": Provider("langchain_openai", "AzureChatOpenAI", "AZURE_OPENAI_API_KEY"),
    "bedrock": Provider("langchain_aws", "ChatBedrock", "AWS_ACCESS_KEY_ID", options={}),
    "bedrock_converse": Provider("langchain_aws", "ChatBedrockConverse", "AWS_ACCESS_KEY_ID", options={}),
    "deepseek": Provider("langchain_deepseek", "ChatDeepSeek", "DEEPSEEK_API_KEY"),
    "fireworks": Provider("langchain_fireworks", "ChatFireworks", "FIREWORKS_API_KEY"),
    "google_genai": Provider(
        "langchain_google_genai", "ChatGoogleGenerativeAI", "GOOGLE_API_KEY", "max_output_tokens", {"max_retries": 1}
    ),
    "google_vertexai": Provider(
        "langchain_google_vertexai", "ChatVertexAI", "", "max_output_tokens", {"max_retries": 1}
    ),
    "groq": Provider("langchain_groq", "ChatGroq", "GROQ_API_KEY"),
    "mistralai": Provider("langchain_mistralai", "ChatMistralAI", "MISTRAL_API_KEY", options={"max_retries": 1}),
    "nvidia": Provider("langchain_nvidia_ai_endpoints", "ChatNVIDIA", "NVIDIA_API_KEY", options={}),
    "ollama": Provider("langchain_ollama", "ChatOllama", "", "num_predict", {}),
    "openrouter": Provider("langchain_openrouter", "ChatOpenRouter", "OPENROUTER_API_KEY"),
    "perplexity": Provider("langchain_perplexity", "ChatPerplexity", "PPLX_API_KEY"),
    "together": Provider("langchain_together", "ChatTogether", "TOGETHER_API_KEY"),
    "upstage": Provider("langchain_upstage", "ChatUpstage", "UPSTAGE_API_KEY"),
    "xai": Provider("langchain_xai", "ChatXAI", "XAI_API_KEY"),
}
"""Providers by the names that LangChain's `init_chat_model` uses."""


def open_client(
    name: str,
    *,
    base_url: str = "",
    price: Price | None = None,
    retry: RetryPolicy | None = None,
    seconds: float = REQUEST_SECONDS,
    connections: int = CONNECTIONS,
    key_names: Sequence[str] = (),
) -> ModelClient:
    """Return the client of the model `provider:model`, or of the script `scripted:PATH`; close it when done.

    Nothing is sent yet, but the provider's package is imported, which may take a second. `base_url` is an
    OpenAI-compatible server; `price` dollars per million (input, output) tokens; `seconds` the time limit of one
    request; `connections` the most requests in flight. `key_names` are environment variables that may hold the key,
    tried before the provider's own. Raises ModelSetupError.
    """
    kind, colon, model = name.partition(":")
    if not (kind and colon and model.strip()):
        raise ModelSetupError(
            f"{name!r} does not name a model." if name else "No model is named.",
            hint="Write it as PROVIDER:NAME, such as `--model openai:gpt-5-mini`, or as scripted:PATH.",
        )
    sender: Sender
    if kind == "scripted":
        sender, target = ScriptedSender(model), Target(name, seconds=None)
    elif kind == "openai":
        key = _key([*key_names, PROVIDERS[kind].key_name])
        target = _openai_target(name, base_url, seconds, key)
        sender = _openai(model, target, base_url, connections, key)
    else:
        key = _key(key_names)
        secrets = tuple(filter(None, [key.value]))
        target = Target(name, key_name=key.name or _provider(kind).key_name, seconds=seconds, secrets=secrets)
        sender = _other(kind, model, target, base_url, key)
    return ModelClient(target, sender, price=price, window=window_of(name, base_url), retry=retry)


def _provider(kind: str) -> Provider:
    if kind not in PROVIDERS:
        known = ", ".join(sorted(PROVIDERS))
        raise ModelSetupError(f"There is no model provider named {kind!r}.", hint=f"There are {known}, and scripted.")
    return PROVIDERS[kind]


@dataclass(frozen=True)
class _Key:
    """A key and the environment variable that holds it; without a key, the variable that may hold it."""

    name: str
    value: str


def _key(names: Sequence[str]) -> _Key:
    """Return the key in the first of these variables that is set. Raises ModelSetupError for what is no key."""
    found = next((name for name in names if os.environ.get(name, "").strip()), None)
    if found is None:
        return _Key(names[-1] if names else "", "")
    value = os.environ[found].strip()
    if not (value.isascii() and value.isprintable() and " " not in value):
        raise ModelSetupError(f"{found} holds characters that no key has.", hint="Copy it again.")
    return _Key(found, value)


def _openai_target(name: str, base_url: str, seconds: float, key: _Key) -> Target:
    where = shown(base_url)
    if not base_url:
        if not key.value:
            raise ModelSetupError(
                f"{name} needs a key: OPENAI_API_KEY is not set.",
                hint="Set it, or name a server of your own with --base-url.",
            )
        # Applied silently, it would move a saved run to another server; ignored, documents would go to OpenAI.
        for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
            if os.environ.get(variable):
                raise ModelSetupError(
                    f"{variable} is set, but the server is chosen with --base-url.",
                    hint=f'Write --base-url "${variable}", or unset it.',
                )
    secrets = (key.value, urlsplit(base_url).password or "")
    return Target(name, where, key.name, seconds, tuple(filter(None, secrets)))


def _openai(model: str, target: Target, base_url: str, connections: int, key: _Key) -> Sender:
    _refuse_to_spend(target.name, base_url)
    _module(PROVIDERS["openai"])
    from .openai import OPENAI_URL, PLACEHOLDER_KEY, OpenAISender

    return OpenAISender(
        model,
        base_url=base_url or OPENAI_URL,
        key=key.value or PLACEHOLDER_KEY,
        seconds=target.seconds or REQUEST_SECONDS,
        connections=connections,
    )


def _other(kind: str, model: str, target: Target, base_url: str, key: _Key) -> Sender:
    provider = _provider(kind)
    if base_url:
        raise ModelSetupError(
            f"--base-url names an OpenAI-compatible server, which {target.name} would not use.",
            hint=f"Write openai:{model}, or leave --base-url out; for sub-calls alone it is --sub-base-url.",
        )
    module = _module(provider)
    _refuse_to_spend(target.name, base_url)
    from .langchain import LangChainSender

    options = {**provider.options, **({"api_key": key.value} if key.value else {})}
    try:
        chat = getattr(module, provider.chat_model)(model=model, disable_streaming=True, cache=False, **options)
    except Exception as error:
        said = redact(" ".join(str(error).split())[:300])
        hint = f"Set {provider.key_name}." if provider.key_name else "Check its settings."
        raise ModelSetupError(f"{target.name} cannot be set up: {said or type(error).__name__}.", hint=hint) from None
    if provider.limit_field not in type(chat).model_fields:
        raise ModelSetupError(
            f"The installed {provider.package} cannot limit a reply: it has no {provider.limit_field}.",
            hint=f"Install another version: pip install --upgrade {provider.package}",
        )
    return LangChainSender(chat, provider.limit_field)


def _module(provider: Provider) -> Any:
    """Return the provider's package, imported only now: `langchain_openai` takes a second."""
    try:
        return importlib.import_module(provider.module)
    except ImportError:
        raise ModelSetupError(
            f"{provider.chat_model} needs the package {provider.package}, which cannot be imported.",
            hint=f"Install it: pip install {provider.package}",
        ) from None


def _refuse_to_spend(name: str, base_url: str) -> None:
    """Raise ModelSetupError in tests, which must not be able to spend.

    pytest marks its environment, and child processes inherit that.
    """
    tested = "PYTEST_VERSION" in os.environ or "PYTEST_CURRENT_TEST" in os.environ
    if tested and not (base_url and is_loopback(base_url)):
        raise ModelSetupError(
            f"{name} would spend money, and this is a test.", hint="Give a --base-url on 127.0.0.1 or a scripted model."
        )
