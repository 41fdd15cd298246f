"""Send requests through a LangChain chat model of any provider."""

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from .error_words import server_words
from .provider_protocol import ModelRequest, OnPiece, RawReply, ignore_piece
from .token_usage import plausible

_CLASSES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
_THOUGHT_FIELDS = ("reasoning_content", "reasoning")
"""vLLM's, SGLang's and DeepSeek's name for thoughts, and OpenRouter's and Ollama's."""
_CODE_ARGUMENTS = ("code", "python", "source", "input", "script", "cell")
_FINISH_FIELDS = ("finish_reason", "stop_reason", "done_reason", "stopReason")
_SERVICE_TIERS = ("", "priority_", "flex_")
"""Prefixes of the details of a usage, for OpenAI's classes of service."""


class LangChainSender:
    """A sender that uses `model`, whose field `limit_field` bounds the output tokens."""

    def __init__(self, model: BaseChatModel, limit_field: str = "max_tokens") -> None:
        self._model = model
        self._limit_field = limit_field
        self._limited: dict[int, BaseChatModel] = {}

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        """Return the reply, text blocks joined; it is not streamed. Raises what the provider's package raises."""
        del on_piece
        # A copy that shares the connections: unlike keyword arguments of a call, whose names and nesting
        # differ, a field of the model works with every provider.
        limit = request.max_output_tokens
        if limit not in self._limited:
            self._limited[limit] = self._model.model_copy(update={self._limit_field: limit})
        return read_reply(await self._limited[limit].ainvoke(to_messages(request)))

    async def aclose(self) -> None:
        """Do nothing: these packages keep and close their connections themselves."""


def to_messages(request: ModelRequest) -> list[BaseMessage]:
    """Return the request's messages as LangChain's, in order. Raises KeyError for an unknown role."""
    return [_CLASSES[message["role"]](content=message["content"]) for message in request.messages]


def read_reply(message: AIMessage) -> RawReply:
    """Return the reply's text, finish reason and token counts, from wherever its provider puts them."""
    facts = cast("dict[str, Any]", message.response_metadata)
    usage = cast("Mapping[str, Any]", message.usage_metadata or {})
    given, answered = usage.get("input_token_details"), usage.get("output_token_details")
    finish = next((facts[name] for name in _FINISH_FIELDS if isinstance(facts.get(name), str)), "")
    refusal = message.additional_kwargs.get("refusal")
    return RawReply(
        text=str(message.text),
        thoughts=_thoughts(message),
        error=server_words(message.additional_kwargs.get("error")),
        code=_called_code(message),
        finish=finish,
        refusal=refusal if isinstance(refusal, str) else "",
        # LangChain turns a missing count into 0, and no request has 0 tokens.
        input_tokens=plausible(usage.get("input_tokens")) or None,
        output_tokens=plausible(usage.get("output_tokens")) or None,
        thought_tokens=_detail(answered, "reasoning"),
        cached_tokens=_detail(given, "cache_read"),
        cache_write_tokens=_detail(given, "cache_creation"),
    )


def _thoughts(message: AIMessage) -> str:
    """Return the thoughts that are beside the text: blocks of them, or a field of OpenAI-compatible servers."""
    beside = (message.additional_kwargs.get(name) for name in _THOUGHT_FIELDS)
    blocks = (block.get("reasoning") for block in message.content_blocks if block["type"] == "reasoning")
    return next((text for text in ("\n\n".join(filter(None, blocks)), *beside) if isinstance(text, str) and text), "")


def _called_code(message: AIMessage) -> str:
    """Return the code in the arguments of the first call of a tool that has some; empty without one."""
    for call in message.tool_calls:
        texts = (call["args"].get(name) for name in _CODE_ARGUMENTS)
        if code := next((text for text in texts if isinstance(text, str) and text.strip()), ""):
            return code
    return ""


def _detail(details: Any, name: str) -> int:
    """Return one of the counts that a usage is made of; 0 without it."""
    known = cast("Mapping[str, Any]", details) if isinstance(details, Mapping) else {}
    return next((count for tier in _SERVICE_TIERS if (count := plausible(known.get(tier + name)))), 0)
