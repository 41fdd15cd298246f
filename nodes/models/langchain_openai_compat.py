"""The private parts of langchain-openai that are used, to send requests the short way."""

from typing import Any, cast

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, BaseCallbackManager
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables.config import ensure_config, get_async_callback_manager_for_config
from langchain_openai import ChatOpenAI

from .streamed import completion_of


class ChatCompletions(ChatOpenAI):
    """ChatOpenAI over openai's documented `client.post`, which takes a body as it is and gives JSON as it came.

    This skips openai's traversal of the types of all values in a body (8 ms of CPU for a root turn with sixteen turns
    before it, of 9; `docs/performance.md`), its models of replies, and a thread for each reply.
    """

    async def ask(self, messages: list[BaseMessage], body: dict[str, Any]) -> AIMessage:
        """Return the reply; `body` is added to the request's. Raises openai's and LangChain's exceptions.

        LangChain's callbacks (LangGraph's message stream, a tracer) are called only where there are any: preparing for
        them takes as long as the request itself.
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
        # As `object`, so that the reply is not parsed into models.
        reply: Any = await self.root_async_client.post("/chat/completions", cast_to=object, body={**payload, **extra})
        if isinstance(reply, str):
            # Not JSON: a stream, which this client reads to its end.
            reply = completion_of(reply) or reply
        result = self._create_chat_result(_completed(reply))
        for generation, choice in zip(result.generations, reply["choices"], strict=True):
            # ChatOpenAI takes these from openai's models of replies only, or not at all.
            for field in ("refusal", "reasoning_content", "reasoning"):
                if isinstance(value := choice["message"].get(field), str):
                    generation.message.additional_kwargs[field] = value
            if choice.get("error"):
                generation.message.additional_kwargs["error"] = choice["error"]
        return result


def _completed(reply: Any) -> Any:
    """Return the reply with the role that small servers leave out, and LangChain requires."""
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
