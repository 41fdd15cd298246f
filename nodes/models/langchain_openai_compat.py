"""The private parts of langchain-openai that are used, to send requests the short way."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, suppress
from contextvars import ContextVar
from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseCallbackManager
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables.config import ensure_config, get_async_callback_manager_for_config
from langchain_openai import ChatOpenAI
from openai import AsyncStream

from .provider_protocol import OnPiece, ignore_piece
from .streamed import Incoming
from .token_usage import plausible_usage

_DRAINED_SECONDS = 0.5
"""Seconds for which the end of a stream is awaited after its last event, so that its connection can be used again."""
_FED_AT_ONCE = 16 << 10
"""Bytes of a reply that are read before other tasks are served: at most 2,000 events."""
_on_piece: ContextVar[OnPiece] = ContextVar("on_piece", default=ignore_piece)
"""Follows the reply to the request that is made here: LangChain passes keyword arguments on to callbacks."""


class ChatCompletions(ChatOpenAI):
    """ChatOpenAI over openai's documented `client.post`, which takes a body as it is and gives JSON as it came.

    This skips openai's traversal of the types of all values in a body (8 ms of CPU for a root turn with sixteen turns
    before it, of 9; `docs/performance.md`), its models of replies, and a thread for each reply.
    """

    async def ask(self, messages: list[BaseMessage], body: dict[str, Any], on_piece: OnPiece) -> AIMessage:
        """Return the reply; `body` is added to the request's, and `on_piece` follows a reply that is streamed.

        Raises AttemptFailed, and openai's and LangChain's exceptions.
        """
        before = _on_piece.set(on_piece)
        try:
            return await self._reply(messages, body)
        finally:
            _on_piece.reset(before)

    async def _reply(self, messages: list[BaseMessage], body: dict[str, Any]) -> AIMessage:
        """Return the reply.

        LangChain's callbacks (LangGraph's message stream, a tracer) are called only where there are any: preparing for
        them takes as long as the request itself. They get the reply as a whole.
        """
        if _has_callbacks():
            return await self.ainvoke(messages, extra_body=body)
        [generation] = (await self._agenerate(messages, extra_body=body)).generations
        message = generation.message
        message.response_metadata = {**message.response_metadata, **(generation.generation_info or {})}
        return cast(AIMessage, message)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        extra = payload.pop("extra_body", {})
        reply = _completed(await self._received({**payload, **extra}))
        result = self._create_chat_result(reply)
        for generation, choice in zip(result.generations, reply["choices"], strict=True):
            # ChatOpenAI takes these from openai's models of replies only, or not at all.
            for field in ("refusal", "reasoning_content", "reasoning"):
                if isinstance(value := choice["message"].get(field), str):
                    generation.message.additional_kwargs[field] = value
            if choice.get("error"):
                generation.message.additional_kwargs["error"] = choice["error"]
        return result

    async def _received(self, body: dict[str, Any]) -> Any:
        """Return the reply to a request with this body, whether it is streamed or not."""
        # As a stream of `object`, of which only the response is used: openai would read the reply without any limit.
        stream = await self.root_async_client.post(
            "/chat/completions", cast_to=object, body=body, stream=True, stream_cls=AsyncStream[object]
        )
        incoming = Incoming(_on_piece.get())
        try:
            async with aclosing(stream.response.aiter_bytes()) as pieces:
                await _read(pieces, incoming)
        finally:
            await stream.response.aclose()
        return incoming.completion()


async def _read(pieces: AsyncIterator[bytes], incoming: Incoming) -> None:
    """Read a reply as far as it belongs to it."""
    fed = 0
    try:
        async for piece in pieces:
            incoming.feed(piece)
            if incoming.done:
                break
            fed += len(piece)
            if fed > _FED_AT_ONCE:
                # What has arrived is had without waiting, and thousands of events would keep the loop busy.
                fed = 0
                await asyncio.sleep(0)
    except Exception:
        # Nothing that is missed after the text is complete makes it worth another request.
        if not incoming.finished:
            raise
    if incoming.done and not incoming.repeats:
        with suppress(Exception):
            async with asyncio.timeout(_DRAINED_SECONDS):
                async for piece in pieces:
                    incoming.feed(piece)


def _completed(reply: Any) -> Any:
    """Return the reply with the role that small servers leave out, and with a usage that LangChain can read."""
    if isinstance(reply, dict):
        reply["usage"] = plausible_usage(reply.get("usage"))
    choices = reply.get("choices") if isinstance(reply, dict) else None
    for choice in choices if isinstance(choices, list) else []:
        if isinstance(choice, dict) and isinstance(message := choice.get("message"), dict):
            message.setdefault("role", "assistant")
    return reply


def _has_callbacks() -> bool:
    """Return whether there is any callback for a call that is made here."""
    config = ensure_config()
    callbacks = config.get("callbacks")
    if not isinstance(callbacks, BaseCallbackManager):
        # Not in a graph, which has read the environment when it began.
        callbacks = get_async_callback_manager_for_config(config)
    return bool(callbacks.handlers)
