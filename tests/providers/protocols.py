"""The protocols of five providers: how each server says the same things."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.providers.stub import Answer


@dataclass(frozen=True)
class Reply:
    """A server's answer. Figures are those of a bill: `read` counts the cached tokens, too."""

    text: str = "Paris."
    thoughts: str = ""
    finish: str = "stop"
    read: int = 120
    written: int = 30
    cached: int = 0
    cache_written: int = 0
    thought: int = 0


@dataclass(frozen=True)
class Protocol:
    """One provider's protocol, as its server speaks it."""

    provider: str
    package: str
    model: str
    url_name: str
    answer: Callable[[Reply], Answer]
    error: Callable[[int, str], Answer]
    path: str
    limit: Callable[[dict[str, Any]], Any]
    """The output limit in a body."""
    overloaded: int = 503
    key_name: str = ""
    url_suffix: str = ""
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Options that it can express."""
    sent: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """Those options in a body, and what they are there for."""
    expected: Mapping[str, Any] = field(default_factory=dict[str, Any])
    refused: tuple[str, ...] = ()
    """Options that it cannot express, as `K=V`."""
    samplers: Callable[[dict[str, Any]], dict[str, Any]] = dict
    """The fields of a body that change what is sampled; those that are null or absent left out."""
    known: frozenset[str] = frozenset()
    """Fields of a body without any option."""
    counts_thoughts: bool = True
    counts_cache: bool = True
    counts_writes: bool = False
    thinking_option: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """The option without which its package drops thoughts."""
    too_long: str = "prompt is too long: 250000 tokens > 200000 maximum"


def _anthropic(reply: Reply) -> Answer:
    content: list[dict[str, Any]] = []
    if reply.thoughts:
        content.append({"type": "thinking", "thinking": reply.thoughts, "signature": "c2ln"})
    content.append({"type": "text", "text": reply.text})
    usage = {
        "input_tokens": reply.read - reply.cached - reply.cache_written,
        "output_tokens": reply.written,
        "cache_read_input_tokens": reply.cached,
        "cache_creation_input_tokens": reply.cache_written,
        "cache_creation": {"ephemeral_5m_input_tokens": reply.cache_written, "ephemeral_1h_input_tokens": 0},
        "output_tokens_details": {"thinking_tokens": reply.thought},
    }
    return Answer(
        {
            "id": "msg_1", "type": "message", "role": "assistant", "model": "claude-opus-4-6", "content": content,
            "stop_reason": {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}[reply.finish],
            "stop_sequence": None, "usage": usage,
        }
    )  # fmt: skip


def _anthropic_error(status: int, words: str) -> Answer:
    kind = {401: "authentication_error", 429: "rate_limit_error", 529: "overloaded_error"}.get(
        status, "invalid_request_error"
    )
    return Answer({"type": "error", "error": {"type": kind, "message": words}, "request_id": "req_1"}, status)


def _gemini(reply: Reply) -> Answer:
    if reply.finish == "refusal":
        return Answer({"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": reply.read}})
    parts = [{"text": reply.thoughts, "thought": True}] if reply.thoughts else []
    usage = {
        "promptTokenCount": reply.read,
        "candidatesTokenCount": reply.written - reply.thought,
        "thoughtsTokenCount": reply.thought,
        "cachedContentTokenCount": reply.cached,
        "totalTokenCount": reply.read + reply.written,
    }
    finish = {"stop": "STOP", "length": "MAX_TOKENS"}[reply.finish]
    candidate = {"content": {"role": "model", "parts": [*parts, {"text": reply.text}]}, "finishReason": finish}
    return Answer({"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash"})


def _gemini_error(status: int, words: str) -> Answer:
    name = {401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}.get(status, "INVALID_ARGUMENT")
    return Answer({"error": {"code": status, "message": words, "status": name}}, status)


def _ollama(reply: Reply) -> Answer:
    message = {"role": "assistant", "content": reply.text, **({"thinking": reply.thoughts} if reply.thoughts else {})}
    ends = {
        "model": "qwen3", "created_at": "2026-11-29T00:00:00Z", "message": message, "done": True,
        "done_reason": reply.finish, "prompt_eval_count": reply.read, "eval_count": reply.written,
    }  # fmt: skip
    return Answer(ends)


def _ollama_error(status: int, words: str) -> Answer:
    return Answer({"error": words}, status)


def _completion(message: dict[str, Any], reply: Reply) -> Answer:
    usage = {
        "prompt_tokens": reply.read,
        "completion_tokens": reply.written,
        "total_tokens": reply.read + reply.written,
        "prompt_tokens_details": {"cached_tokens": reply.cached},
        "completion_tokens_details": {"reasoning_tokens": reply.thought},
    }
    choice = {"index": 0, "message": message, "finish_reason": reply.finish}
    return Answer(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage}
    )


def _mistral(reply: Reply) -> Answer:
    content: Any = reply.text
    if reply.thoughts:
        thinking = {"type": "thinking", "thinking": [{"type": "text", "text": reply.thoughts}], "closed": True}
        content = [thinking, {"type": "text", "text": reply.text}]
    return _completion({"role": "assistant", "content": content, "tool_calls": None}, reply)


def _mistral_error(status: int, words: str) -> Answer:
    return Answer({"object": "error", "message": words, "type": "invalid_request_error", "code": "1"}, status)


def _groq(reply: Reply) -> Answer:
    reasoning = {"reasoning": reply.thoughts} if reply.thoughts else {}
    return _completion({"role": "assistant", "content": reply.text, **reasoning}, reply)


def _groq_error(status: int, words: str) -> Answer:
    return Answer({"error": {"message": words, "type": "invalid_request_error"}}, status)


def _given(fields: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: fields[name] for name in names if fields.get(name) is not None}


ANTHROPIC, GOOGLE, OLLAMA, MISTRAL, GROQ = PROTOCOLS = (
    Protocol(
        "anthropic",
        "langchain_anthropic",
        "claude-opus-4-6",
        "ANTHROPIC_BASE_URL",
        _anthropic,
        _anthropic_error,
        "/v1/messages",
        lambda body: body["max_tokens"],
        overloaded=529,
        key_name="ANTHROPIC_API_KEY",
        options={"temperature": 0.2, "top_p": 0.9, "effort": "low", "body.metadata": {"user_id": "u"}},
        sent=lambda body: _given(body, "temperature", "top_p", "output_config", "metadata"),
        expected={
            "temperature": 0.2, "top_p": 0.9, "output_config": {"effort": "low"}, "metadata": {"user_id": "u"},
        },
        refused=("seed=7", "effort=minimal"),
        samplers=lambda body: _given(body, "temperature", "top_p", "top_k", "thinking", "output_config"),
        known=frozenset({"max_tokens", "messages", "model"}),
        counts_writes=True,
    ),
    Protocol(
        "google_genai",
        "langchain_google_genai",
        "gemini-2.5-flash",
        "GOOGLE_GEMINI_BASE_URL",
        _gemini,
        _gemini_error,
        "/models/gemini-2.5-flash:generateContent",
        lambda body: body["generationConfig"]["maxOutputTokens"],
        key_name="GOOGLE_API_KEY",
        options={
            "temperature": 0.2, "top_p": 0.9, "effort": "low", "seed": 7, "body.labels": {"team": "t"},
            "body.generationConfig": {"topK": 40},
        },
        sent=lambda body: {
            **_given(body["generationConfig"], "temperature", "topP", "seed", "thinkingConfig", "topK"),
            **_given(body, "labels"),
        },
        expected={
            "temperature": 0.2, "topP": 0.9, "seed": 7, "topK": 40, "labels": {"team": "t"},
            "thinkingConfig": {"thinking_level": "LOW"},
        },
        refused=("effort=none", "effort=max"),
        samplers=lambda body: _given(body["generationConfig"], "temperature", "topP", "topK", "seed", "thinkingConfig"),
        known=frozenset({"contents", "generationConfig", "safetySettings"}),
        too_long="The input token count (2500000) exceeds the maximum number of tokens allowed (1048576).",
    ),
    Protocol(
        "ollama",
        "langchain_ollama",
        "qwen3",
        "OLLAMA_HOST",
        _ollama,
        _ollama_error,
        "/api/chat",
        lambda body: body["options"]["num_predict"],
        options={
            "temperature": 0.2, "top_p": 0.9, "effort": "low", "seed": 7, "body.num_ctx": 8192, "body.keep_alive": "1h",
        },
        sent=lambda body: {
            **_given(body["options"], "temperature", "top_p", "seed", "num_ctx"), **_given(body, "think", "keep_alive"),
        },
        expected={"temperature": 0.2, "top_p": 0.9, "seed": 7, "num_ctx": 8192, "think": "low", "keep_alive": "1h"},
        refused=("effort=minimal", "body.raw=true"),
        samplers=lambda body: {
            **{name: value for name, value in body["options"].items() if name != "num_predict"},
            **_given(body, "think", "format", "keep_alive"),
        },
        known=frozenset({"model", "stream", "options", "messages", "tools"}),
        counts_thoughts=False,
        counts_cache=False,
        thinking_option={"effort": "low"},
    ),
    Protocol(
        "mistralai",
        "langchain_mistralai",
        "mistral-medium",
        "MISTRAL_BASE_URL",
        _mistral,
        _mistral_error,
        "/v1/chat/completions",
        lambda body: body["max_tokens"],
        key_name="MISTRAL_API_KEY",
        url_suffix="/v1",
        options={"temperature": 0.2, "top_p": 0.9, "effort": "high", "seed": 7, "body.safe_prompt": True},
        sent=lambda body: _given(body, "temperature", "top_p", "random_seed", "reasoning_effort", "safe_prompt"),
        expected={
            "temperature": 0.2, "top_p": 0.9, "random_seed": 7, "reasoning_effort": "high", "safe_prompt": True,
        },
        refused=("effort=low",),
        samplers=lambda body: _given(body, "temperature", "top_p", "random_seed", "safe_prompt", "reasoning_effort"),
        known=frozenset({"model", "stream", "messages", "max_tokens"}),
        too_long="Prompt contains 250000 tokens, too large for model with 131072 maximum context length",
    ),
    Protocol(
        "groq",
        "langchain_groq",
        "openai/gpt-oss-20b",
        "GROQ_API_BASE",
        _groq,
        _groq_error,
        "/openai/v1/chat/completions",
        lambda body: body["max_tokens"],
        key_name="GROQ_API_KEY",
        options={"temperature": 0.2, "top_p": 0.9, "effort": "low", "seed": 7, "body.reasoning_format": "parsed"},
        sent=lambda body: _given(body, "temperature", "top_p", "seed", "reasoning_effort", "reasoning_format"),
        expected={
            "temperature": 0.2, "top_p": 0.9, "seed": 7, "reasoning_effort": "low", "reasoning_format": "parsed",
        },
        refused=("effort=minimal",),
        samplers=lambda body: _given(body, "temperature", "top_p", "seed", "reasoning_effort", "reasoning_format"),
        # These two are the server's own defaults.
        known=frozenset({"model", "stream", "messages", "max_tokens", "n", "service_tier"}),
        too_long="Please reduce the length of the messages or completion: context_length_exceeded",
    ),
)  # fmt: skip
