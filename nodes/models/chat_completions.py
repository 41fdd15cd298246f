"""LangChain's ChatOpenAI, its requests sent the short way."""

from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI


class ChatCompletions(ChatOpenAI):
    """ChatOpenAI over openai's documented `client.post`, which takes a body as it is and gives JSON as it came.

    What is left out is openai's walk through the types of all that a body holds (8 ms of CPU for a root turn with
    sixteen turns before it, of 9; `docs/performance.md`), its models of replies, and a thread for each reply.
    """

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        payload = self._get_request_payload(messages, stop=stop, **kwargs)
        body = {**payload, **payload.pop("extra_body", {})}
        # As `object`: not looked at.
        reply: Any = await self.root_async_client.post("/chat/completions", cast_to=object, body=body)
        result = self._create_chat_result(reply)
        for generation, choice in zip(result.generations, reply["choices"], strict=True):
            # ChatOpenAI takes this from openai's models of replies only.
            if refusal := choice["message"].get("refusal"):
                generation.message.additional_kwargs["refusal"] = refusal
        return result
