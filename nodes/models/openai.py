"""Send to `openai:` models, and with a base URL to any OpenAI-compatible server, over chat completions.

This is LangChain's ChatOpenAI on openai's aiohttp transport, which takes half of the CPU of its default one; requests
skip openai's traversal of their bodies.
"""

import contextlib
import json
import re
import resource
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import openai

from .bounded_http import bound_replies
from .errors import AttemptFailed, Failure, classify
from .langchain import read_reply, to_messages
from .langchain_openai_compat import ChatCompletions
from .provider_protocol import ModelRequest, OnPiece, RawReply, ignore_piece
from .schema_wrapper import wraps
from .server_limits import ServerLimits
from .server_streams import ServerStreams
from .structured_output import refuses_form, refuses_schema, response_format, with_words_for_form
from .tokens import estimate_messages
from .urls import address_of, is_loopback, is_openai

OPENAI_URL = "https://api.openai.com/v1"
PLACEHOLDER_KEY = "no-key"
"""The key that is sent where none is set: local servers want the header, not the key."""

_CONNECT_SECONDS = 10.0
_KEEP_SECONDS = 4.0
"""Seconds for which an idle connection is reused: less than uvicorn's 5 s (vLLM and most local servers), because a
request on a connection that the server is just closing fails."""
_SPARE_FILES = 512
"""Open files besides the model's connections: kernels, the database, blobs."""
_REFUSED = frozenset({400, 402, 413, 422})
"""Statuses with which servers refuse a request for what is in it."""
_NO_SYSTEM = re.compile(
    r"system.{0,20}(role|message|prompt|instruction).{0,40}(not|un)\W?(supported|allowed|enabled)"
    r"|(un|not )supported.{0,40}system|(roles|conversation roles) must (alternate|start)|does not support.{0,20}system",
    re.IGNORECASE,
)
_MOST_REFUSED = 100
"""Schemas that a server may refuse one by one before no schema is sent any more."""


class OpenAISender:
    """A sender of chat completions to `base_url`; at most `connections` at once.

    `headers` and `fields` of the body are added to each request. A user and password in `base_url` are sent in place of
    the key, and its query with each request.
    """

    def __init__(
        self,
        model: str,
        *,
        base_url: str,
        key: str,
        seconds: float = 600.0,
        connections: int = 1000,
        headers: Mapping[str, str] | None = None,
        fields: Mapping[str, Any] | None = None,
    ) -> None:
        _allow_files(connections + _SPARE_FILES)
        address = address_of(base_url)
        # Its spelling is openai's own, which this header replaces.
        headers = {**({"Authorization": address.authorization} if address.authorization else {}), **(headers or {})}
        timeout = openai.Timeout(seconds, connect=_CONNECT_SECONDS)
        # openai 3 wants httpx2's Limits and openai 2 httpx's; this is the right one of either.
        limits = type(openai.DEFAULT_CONNECTION_LIMITS)(
            max_connections=connections, max_keepalive_connections=connections, keepalive_expiry=_KEEP_SECONDS
        )
        # trust_env=False: a proxy in the environment must not be asked for a server on this machine.
        self._http = openai.DefaultAioHttpClient(timeout=timeout, limits=limits, trust_env=not is_loopback(base_url))
        bound_replies(self._http)

        async def current_key() -> str:
            return key

        self._model = ChatCompletions(
            model=model,
            base_url=address.url,
            default_query=address.query or None,
            # As a coroutine function: else ChatOpenAI also builds a synchronous client, which nothing closes.
            api_key=current_key,
            http_async_client=self._http,
            timeout=timeout,
            max_retries=0,
            use_responses_api=False,
            # LangGraph's message stream (Studio asks for it) would turn every call into a streamed one.
            disable_streaming=True,
            cache=False,
            # By default it reads OPENAI_PROXY, and refuses that beside a transport of ours.
            openai_proxy=None,
            default_headers=headers or None,
        )
        # Its client has them now; tracing sends the fields of the model.
        self._model.default_headers = self._model.default_query = None
        # Sent by itself for o1 models.
        self._model.temperature = None
        self._fields = dict(fields or {})
        # OpenAI's own models refuse `max_tokens` (o-series, gpt-5); Ollama and llama.cpp before 2026 silently ignore
        # `max_completion_tokens` (ollama#7125, llama.cpp#13700) and would write without end.
        self._limit_field = "max_completion_tokens" if is_openai(base_url) else "max_tokens"
        self._takes_forms = True
        """True when the server takes `response_format`, as far as is known."""
        self._refused_forms: set[str] = set()
        self._limits = ServerLimits()
        self._streams = ServerStreams()
        self._takes_system = True
        """True when the model's chat template has a system role, as far as is known."""

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        """Return the reply; that to a root turn is streamed where the server can. Raises openai's, LangChain's errors.

        What a server refuses (the name of the output limit, its size, `response_format`, a system role, a request that
        streams or does not), later requests avoid, and the refused request is worth another attempt at once.
        """
        form = self._form(request)
        wrapped = form is not None and wraps(request.schema or {})
        if wrapped:
            request = with_words_for_form(request)
        if not self._takes_system:
            request = _with_system_folded(request)
        body = self._body(request, form)
        try:
            reply = read_reply(await self._model.ask(to_messages(request), body, on_piece))
        except Exception as error:
            failure = classify(error)
            if not self._learns(request, body, failure, failure.detail or str(error)):
                raise
        else:
            self._streams.arrived(body)
            return replace(reply, wrapped=wrapped)
        raise AttemptFailed(replace(failure, kind="bad_request", retryable=True, retry_after=0.0))

    def _form(self, request: ModelRequest) -> dict[str, Any] | None:
        """Return the `response_format` of a request; None for one that is sent without."""
        form = response_format(request.schema) if request.schema is not None and self._takes_forms else None
        return None if form is None or (self._refused_forms and _text(form) in self._refused_forms) else form

    def _body(self, request: ModelRequest, form: dict[str, Any] | None) -> dict[str, Any]:
        prompt = estimate_messages(request.messages) if self._limits.window else 0
        limit = self._limits.fitting(request.max_output_tokens, prompt)
        body: dict[str, Any] = {**self._fields, self._limit_field: limit, **self._streams.fields(request.role)}
        if form is not None:
            body["response_format"] = form
        return body

    def _learns(self, request: ModelRequest, body: dict[str, Any], failure: Failure, said: str) -> bool:
        """Return whether an error says what this server does not take; requests are without it from now on."""
        status = failure.status
        if self._streams.learn(body, failure, said):
            return True
        if status == 400 and "max_tokens" in body and "max_completion_tokens" in said:
            # A gateway to OpenAI's newer models.
            self._limit_field = "max_completion_tokens"
            return True
        if status in _REFUSED and self._learns_habits(request, body, said):
            return True
        form = body.get("response_format")
        if form is None or not refuses_form(status, said):
            return False
        if refuses_schema(said) and len(self._refused_forms) < _MOST_REFUSED:
            self._refused_forms.add(_text(form))
        else:
            self._takes_forms = False
        return True

    def _learns_habits(self, request: ModelRequest, body: dict[str, Any], said: str) -> bool:
        if self._takes_system and request.messages[0]["role"] == "system" and _NO_SYSTEM.search(said):
            self._takes_system = False
            return True
        return self._limits.learn(said, int(body[self._limit_field]), estimate_messages(request.messages))

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()


def _with_system_folded(request: ModelRequest) -> ModelRequest:
    """Return the request with its system message, an empty line and the first user message as one message."""
    first, *rest = request.messages
    if first["role"] != "system":
        return request
    if rest and rest[0]["role"] == "user":
        folded = {"role": "user", "content": f"{first['content']}\n\n{rest[0]['content']}"}
        return replace(request, messages=[folded, *rest[1:]])
    return replace(request, messages=[{"role": "user", "content": first["content"]}, *rest])


def _text(form: dict[str, Any]) -> str:
    return json.dumps(form, sort_keys=True)


def _allow_files(wanted: int) -> None:
    """Raise this process's soft limit of open files, usually 1024, as far as allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    room = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < room:
        with contextlib.suppress(ValueError, OSError):  # macOS has limits of its own below the hard one
            resource.setrlimit(resource.RLIMIT_NOFILE, (room, hard))
