"""The providers of models as data: packages, names of options, and what some models refuse."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

_SECONDS = 600
_NO_RETRIES: Mapping[str, Any] = {"max_retries": 0}
_ONE_ATTEMPT: Mapping[str, Any] = {"max_retries": 1}


@dataclass(frozen=True)
class Provider:
    """A provider's LangChain chat model, and its differences from others.

    The *place* of an option is a field of the chat model, or a dotted path into a dict in one: `model_kwargs.seed`.
    A path that begins with `call.` leads into the keyword arguments of each request. No place: the option cannot be
    expressed, and is refused.
    """

    module: str
    chat_model: str
    key_name: str = ""
    """The environment variable that its package reads the key from."""
    limit_field: str = "max_tokens"
    """The model's field that bounds its output tokens."""
    fixed: Mapping[str, Any] = field(default_factory=lambda: _NO_RETRIES)
    """Fields that are always set. Usually: no retries of its own. The retries here respect the budget, and would
    multiply with others."""
    unset: tuple[str, ...] = ()
    """Fields that the package gives a value by itself, and that are not sent unless they are asked for."""
    temperature: str = "temperature"
    top_p: str = "top_p"
    seed: str = ""
    efforts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    """Values of `effort`, each with what to set, by place."""
    body: str = ""
    """The place of further fields of the request's body; `fields`: fields of the chat model, those in `body_fields`."""
    body_fields: frozenset[str] = frozenset()
    headers: str = ""
    """The place of headers; `async_client`: the HTTP client in that field has them."""
    headers_copied: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Fields to which the package copies the headers, with their values without any."""
    client_is_late: bool = False
    """True when the package makes its HTTP client, with these headers, only for the first request."""
    url_names: tuple[str, ...] = ()
    """The environment variables that its package reads the server's address from."""
    caches: re.Pattern[str] | None = None
    """Models for which the ends of a request's stable beginning are marked with `cache_control`."""
    fixed_sampling: re.Pattern[str] | None = None
    """Models that refuse `temperature` and `top_p`, or whose package drops them."""
    sampling_without_effort: bool = False
    """True when those models take them together with `effort=none`."""

    @property
    def package(self) -> str:
        """Its name for `pip install`."""
        return self.module.partition(".")[0].replace("_", "-")


def _efforts(place: str, *words: str) -> dict[str, dict[str, Any]]:
    """Return these values of `effort`, which the provider knows by the same words."""
    return {word: {place: word} for word in words}


_OPENAI_EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
_OPENAI_LIKE: dict[str, Any] = {
    "seed": "seed",
    "efforts": _efforts("reasoning_effort", *_OPENAI_EFFORTS),
    "body": "extra_body",
    "headers": "default_headers",
}
"""Settings of all packages that are made from langchain-openai."""
_FIXED_CLAUDE = re.compile(r"claude-(fable|(opus|sonnet|haiku)-[5-9]|opus-4-[78])")
_GEMINI_EFFORTS = _efforts("thinking_level", "minimal", "low", "medium", "high")
_OLLAMA_FIELDS = (
    "mirostat", "mirostat_eta", "mirostat_tau", "num_ctx", "num_gpu", "num_thread", "repeat_last_n", "repeat_penalty",
    "tfs_z", "top_k", "keep_alive", "stop",
)  # fmt: skip

PROVIDERS = {
    "openai": Provider(
        "langchain_openai",
        "ChatOpenAI",
        "OPENAI_API_KEY",
        **_OPENAI_LIKE,
        fixed_sampling=re.compile(r"o\d|gpt-5(?!\.|-chat)|gpt-5\.\d+-pro|gpt-5\.[5-9]|gpt-[6-9]"),
        sampling_without_effort=True,
    ),
    "anthropic": Provider(
        "langchain_anthropic",
        "ChatAnthropic",
        "ANTHROPIC_API_KEY",
        # With a time limit of ours it does not refuse long replies that are not streamed.
        fixed={"max_retries": 0, "timeout": _SECONDS},
        efforts={
            "none": {"thinking": {"type": "disabled"}},
            **_efforts("effort", "low", "medium", "high", "xhigh", "max"),
        },
        body="call.extra_body",
        headers="default_headers",
        client_is_late=True,
        url_names=("ANTHROPIC_API_URL", "ANTHROPIC_BASE_URL"),
        caches=re.compile(""),
        fixed_sampling=_FIXED_CLAUDE,
    ),
    "azure_openai": Provider(
        "langchain_openai",
        "AzureChatOpenAI",
        "AZURE_OPENAI_API_KEY",
        **_OPENAI_LIKE,
        # langchain-openai drops the temperature of all of these.
        fixed_sampling=re.compile(r"o\d|gpt-[5-9](?!.*chat)"),
        sampling_without_effort=True,
    ),
    "bedrock": Provider(
        "langchain_aws",
        "ChatBedrock",
        "AWS_ACCESS_KEY_ID",
        fixed={},
        top_p="model_kwargs.top_p",
        body="model_kwargs",
        caches=re.compile(r"(.*\.)?anthropic\."),
        fixed_sampling=re.compile(rf"(.*\.)?anthropic\.{_FIXED_CLAUDE.pattern}"),
    ),
    "bedrock_converse": Provider(
        "langchain_aws",
        "ChatBedrockConverse",
        "AWS_ACCESS_KEY_ID",
        fixed={},
        body="additional_model_request_fields",
        fixed_sampling=re.compile(rf"(.*\.)?anthropic\.{_FIXED_CLAUDE.pattern}"),
    ),
    "deepseek": Provider("langchain_deepseek", "ChatDeepSeek", "DEEPSEEK_API_KEY", **_OPENAI_LIKE),
    "fireworks": Provider(
        "langchain_fireworks",
        "ChatFireworks",
        "FIREWORKS_API_KEY",
        top_p="model_kwargs.top_p",
        seed="model_kwargs.seed",
        efforts=_efforts("reasoning_effort", "none", "low", "medium", "high"),
        body="model_kwargs.extra_body",
    ),
    "google_genai": Provider(
        "langchain_google_genai",
        "ChatGoogleGenerativeAI",
        "GOOGLE_API_KEY",
        limit_field="max_output_tokens",
        fixed=_ONE_ATTEMPT,
        unset=("temperature",),
        seed="seed",
        efforts=_GEMINI_EFFORTS,
        body="call.http_options.extra_body",
        headers="additional_headers",
        headers_copied={"default_metadata": ()},
        url_names=("GOOGLE_GEMINI_BASE_URL",),
        fixed_sampling=re.compile(r"(.*/)?gemini-(3\.5-flash-lite|3\.6-flash)(-\d{3})?$"),
    ),
    "google_vertexai": Provider(
        "langchain_google_vertexai",
        "ChatVertexAI",
        limit_field="max_output_tokens",
        fixed=_ONE_ATTEMPT,
        unset=("temperature",),
        seed="seed",
    ),
    "groq": Provider(
        "langchain_groq",
        "ChatGroq",
        "GROQ_API_KEY",
        unset=("temperature",),
        top_p="call.top_p",
        seed="call.seed",
        efforts=_efforts("reasoning_effort", "none", "low", "medium", "high"),
        body="call.extra_body",
        headers="default_headers",
        url_names=("GROQ_API_BASE", "GROQ_BASE_URL"),
    ),
    "mistralai": Provider(
        "langchain_mistralai",
        "ChatMistralAI",
        "MISTRAL_API_KEY",
        fixed={"max_retries": 1, "timeout": _SECONDS},
        unset=("temperature", "top_p"),
        seed="random_seed",
        efforts=_efforts("model_kwargs.reasoning_effort", "none", "high"),
        body="model_kwargs",
        headers="async_client",
        url_names=("MISTRAL_BASE_URL",),
    ),
    "nvidia": Provider(
        "langchain_nvidia_ai_endpoints",
        "ChatNVIDIA",
        "NVIDIA_API_KEY",
        fixed={},
        seed="seed",
        efforts=_efforts("model_kwargs.reasoning_effort", "low", "medium", "high"),
        body="model_kwargs",
    ),
    "ollama": Provider(
        "langchain_ollama",
        "ChatOllama",
        limit_field="num_predict",
        fixed={},
        seed="seed",
        efforts={"none": {"reasoning": False}, **_efforts("reasoning", "low", "medium", "high")},
        body="fields",
        body_fields=frozenset(_OLLAMA_FIELDS),
        headers="client_kwargs.headers",
        url_names=("OLLAMA_HOST",),
    ),
    "openrouter": Provider(
        "langchain_openrouter",
        "ChatOpenRouter",
        "OPENROUTER_API_KEY",
        seed="seed",
        efforts=_efforts("reasoning.effort", *_OPENAI_EFFORTS[:-1]),
    ),
    "perplexity": Provider(
        "langchain_perplexity",
        "ChatPerplexity",
        "PPLX_API_KEY",
        unset=("temperature",),
        top_p="model_kwargs.top_p",
        efforts=_efforts("reasoning_effort", "low", "medium", "high"),
        body="model_kwargs.extra_body",
    ),
    "together": Provider("langchain_together", "ChatTogether", "TOGETHER_API_KEY", **_OPENAI_LIKE),
    "upstage": Provider("langchain_upstage", "ChatUpstage", "UPSTAGE_API_KEY", **_OPENAI_LIKE),
    "xai": Provider("langchain_xai", "ChatXAI", "XAI_API_KEY", **_OPENAI_LIKE),
}
"""Providers by the names that LangChain's `init_chat_model` uses."""
