"""Send requests through a LangChain chat model of any provider."""

from collections.abc import Mapping
from typing import Any, cast

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from .error_words import server_words
from .provider_protocol import ModelRequest, OnPiece, RawReply, ignore_piece
from .token_usage import plausible
from .tokens import estimate_messages

_CLASSES: dict[str, type[BaseMessage]] = {"system": SystemMessage, "user": HumanMessage, "assistant": AIMessage}
_THOUGHT_FIELDS = ("reasoning_content", "reasoning")
"""vLLM's, SGLang's and DeepSeek's name for thoughts, and OpenRouter's and Ollama's."""
_CODE_ARGUMENTS = ("code", "python", "source", "input", "script", "cell")
_CACHE_WRITES = ("cache_creation", "ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
"""Counts of tokens written to Anthropic's cache: langchain-anthropic reports their sum, or the times apart."""
_LEAST_CACHED = 1024
"""Tokens of the shortest beginning of a request that Anthropic caches; some models want up to four times as much."""
_FINISH_FIELDS = ("finish_reason", "stop_reason", "done_reason", "stopReason")
_SERVICE_TIERS = ("", "priority_", "flex_")
"""Prefixes of the details of a usage, for OpenAI's classes of service."""


class LangChainSender:
    """A sender that uses `model`, whose field `limit_field` bounds the output tokens.

    `call` are keyword arguments of each request. `caches`: root requests are marked for the provider's cache.
    """

    def __init__(
        self,
        model: BaseChatModel,
        limit_field: str = "max_tokens",
        *,
        call: Mapping[str, Any] | None = None,
        caches: bool = False,
    ) -> None:
        self._model = model
        self._limit_field = limit_field
        self._call = dict(call or {})
        self._caches = caches
        self._limited: dict[int, BaseChatModel] = {}

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        """Return the reply, text blocks joined; it is not streamed. Raises what the provider's package raises."""
        del on_piece
        # A copy that shares the connections: unlike keyword arguments of a call, whose names and nesting
        # differ, a field of the model works with every provider.
        limit = request.max_output_tokens
        if limit not in self._limited:
            self._limited[limit] = self._model.model_copy(update={self._limit_field: limit})
        messages = to_messages(request)
        if self._caches and request.role == "root":
            messages = with_cache_marks(request, messages)
        return read_reply(await self._limited[limit].ainvoke(messages, **self._call))

    async def aclose(self) -> None:
        """Do nothing: these packages keep and close their connections themselves."""


def to_messages(request: ModelRequest) -> list[BaseMessage]:
    """Return the request's messages as LangChain's, in order. Raises KeyError for an unknown role."""
    return [_CLASSES[message["role"]](content=message["content"]) for message in request.messages]


def with_cache_marks(request: ModelRequest, messages: list[BaseMessage]) -> list[BaseMessage]:
    """Return the messages with `cache_control` (Anthropic's) at the ends of what later requests begin with, too.

    These are the system prompt, the question, and the last reply, where they are not the end of the request: the last
    message has the budget of this turn and is worded otherwise later. What is too short to be cached gets no mark.
    There are three marks at most; Anthropic takes four.
    """
    last = len(messages) - 1
    roles = [message["role"] for message in request.messages]
    question = next((index for index, role in enumerate(roles) if role == "user"), last)
    marked: list[BaseMessage] = []
    read = 0
    for index, message in enumerate(messages):
        if read < _LEAST_CACHED:
            read += estimate_messages([request.messages[index]])
        if index < last and read >= _LEAST_CACHED and (roles[index] == "system" or index in (question, last - 1)):
            block = {"type": "text", "text": request.messages[index]["content"], "cache_control": {"type": "ephemeral"}}
            message = type(message)(content=[block])
        marked.append(message)
    return marked


def read_reply(message: AIMessage) -> RawReply:
    """Return the reply's text, finish reason and token counts, from wherever its provider puts them."""
    facts = cast("dict[str, Any]", message.response_metadata)
    usage = cast("Mapping[str, Any]", message.usage_metadata or {})
    read = _details(usage.get("input_token_details"))
    written = _details(usage.get("output_token_details"))
    if not (read or written):
        # langchain-mistralai keeps only the sums.
        sent = _details(facts.get("token_usage"))
        read = {"cache_read": _details(sent.get("prompt_tokens_details")).get("cached_tokens")}
        written = {"reasoning": _details(sent.get("completion_tokens_details")).get("reasoning_tokens")}
    finish = next((facts[name] for name in _FINISH_FIELDS if isinstance(facts.get(name), str)), "")
    return RawReply(
        text=str(message.text),
        thoughts=_thoughts(message),
        error=server_words(message.additional_kwargs.get("error")),
        code=_called_code(message),
        finish=finish,
        refusal=_refusal(message),
        # LangChain turns a missing count into 0, and no request has 0 tokens.
        input_tokens=plausible(usage.get("input_tokens")) or None,
        output_tokens=plausible(usage.get("output_tokens")) or None,
        thought_tokens=_detail(written, "reasoning"),
        cached_tokens=_detail(read, "cache_read"),
        cache_write_tokens=sum(_detail(read, name) for name in _CACHE_WRITES),
    )


def _details(value: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", value) if isinstance(value, Mapping) else {}


def _refusal(message: AIMessage) -> str:
    """Return the model's words instead of an answer, or the reason for which Gemini took no prompt."""
    refusal = message.additional_kwargs.get("refusal")
    blocked = _details(message.response_metadata.get("prompt_feedback"))
    reason = blocked.get("block_reason_message") or blocked.get("block_reason")
    return refusal if isinstance(refusal, str) else str(reason or "")


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
