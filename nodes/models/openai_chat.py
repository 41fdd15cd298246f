"""`openai:` models, and with a base URL any OpenAI-compatible server, over chat completions.

LangChain's ChatOpenAI on openai's aiohttp transport: 1.6 ms of CPU a call against 3 ms on its default one.
"""

import contextlib
import resource

import openai
from langchain_openai import ChatOpenAI

from .addresses import is_loopback, is_openai
from .failures import AttemptFailed, Failure, classify
from .langchain_chat import read_reply, to_messages
from .reply import ModelRequest
from .sender import RawReply

OPENAI_URL = "https://api.openai.com/v1"
PLACEHOLDER_KEY = "no-key"
"""Sent where no key is set: local servers want the header, not the key."""

_CONNECT_SECONDS = 10.0
_KEEP_SECONDS = 4.0
"""How long an idle connection is reused: less than uvicorn's 5 s (vLLM and most local servers), because a
request on a connection that the server is just closing fails."""
_SPARE_FILES = 512
"""Open files besides the model's connections: kernels, the database, blobs."""


class OpenAISender:
    """Sends chat completions to `base_url`; at most `connections` at once."""

    def __init__(self, model: str, *, base_url: str, key: str, seconds: float = 600.0, connections: int = 1000) -> None:
        _allow_files(connections + _SPARE_FILES)
        timeout = openai.Timeout(seconds, connect=_CONNECT_SECONDS)
        # openai 3 wants httpx2's Limits and openai 2 httpx's; this is the right one of either.
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEEP_SECONDS
        )
        # trust_env=False: a proxy in the environment must not be asked for a server on this machine.
        self._http = openai.DefaultAioHttpClient(timeout=timeout, limits=limits, trust_env=not is_loopback(base_url))

        async def current_key() -> str:
            return key

        self._model = ChatOpenAI(
            model=model,
            base_url=base_url,
            # As a coroutine function: else ChatOpenAI also builds a synchronous client, which nobody closes.
            api_key=current_key,
            http_async_client=self._http,
            timeout=timeout,
            max_retries=0,
            use_responses_api=False,
            # LangGraph's message stream (Studio asks for it) would turn every call into a streamed one.
            disable_streaming=True,
            cache=False,
            # Left to itself it reads OPENAI_PROXY, and refuses that beside a transport of ours.
            openai_proxy=None,
        )
        # OpenAI's own models refuse `max_tokens` (o-series, gpt-5); Ollama and llama.cpp before 2026 ignore
        # `max_completion_tokens` without a word (ollama#7125, llama.cpp#13700) and would write without end.
        self._limit_field = "max_completion_tokens" if is_openai(base_url) else "max_tokens"

    async def send(self, request: ModelRequest) -> RawReply:
        """The reply. Raises openai's and LangChain's exceptions."""
        field, limit = self._limit_field, request.max_output_tokens
        try:
            # In extra_body, because ChatOpenAI renames a plain `max_tokens` on its way out.
            return read_reply(await self._model.ainvoke(to_messages(request), extra_body={field: limit}))
        except openai.BadRequestError as error:
            if field != "max_tokens" or "max_completion_tokens" not in str(error):
                raise
            failure = classify(error)
        # A gateway to OpenAI's newer models: it says which field it wants, so it gets that from now on.
        self._limit_field = "max_completion_tokens"
        raise AttemptFailed(Failure("bad_request", failure.detail, True, failure.status, retry_after=0.0))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _allow_files(wanted: int) -> None:
    """Raise this process's soft limit of open files, mostly 1024, as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < room:
        with contextlib.suppress(ValueError, OSError):  # macOS has limits of its own below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
