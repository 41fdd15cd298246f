"""Sub-calls from inside a cell: the registry of posted calls, and the functions that code calls.

A call is posted to the registry, and the calling code waits on a future in its own thread or coroutine. The carrier of
messages (`kernel.py` for a real kernel, a thread in the in-memory one) takes the posted calls and settles them. The
registry can be listed, so no call is ever lost with a message.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from json import dumps, loads
from typing import Any, NamedTuple

from .child_context import Handed, Handing, text_of
from .protocol import CALL_WEIGHT, MAX_DEPTH, MAX_PROMPT, MAX_SCHEMA, PART_WEIGHT


class SubCallError(Exception):
    """A model call failed for good."""


class BudgetExceeded(SubCallError):
    """The run's budget forbids the call. `partial` holds what a batch got before that."""

    def __init__(self, message: str, partial: "list[Any] | None" = None) -> None:
        super().__init__(message)
        self.partial = partial


class CallsRejected(SubCallError):
    """A reviewer did not let the call be made; the message has their words. `partial` holds what a batch got."""

    def __init__(self, message: str, partial: "list[Any] | None" = None) -> None:
        super().__init__(message)
        self.partial = partial


class FailedCall:
    """Stands in a batch's results for a call that failed. It is falsy; `error` says why."""

    def __init__(self, error: str) -> None:
        self.error = error

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"FailedCall({self.error!r})"


Outcome = dict[str, Any]
"""`{"value": …}` or `{"error": {"kind": …, "message": …}}`."""


class Request(NamedTuple):
    """A call as it is posted, and its weight: its characters, plus a constant for it and for each of its texts."""

    body: dict[str, Any]
    weight: int


class Registry:
    """The calls that the running cell waits for. Any thread may post; outcomes come from the carrier's thread."""

    def __init__(self, posted: Callable[[], None]) -> None:
        self._posted = posted
        self._lock = threading.Lock()
        self._waiting: dict[int, tuple[Future[Outcome], Request]] = {}
        self._last = 0
        self._open = False

    def open(self) -> None:
        """Accept calls, as a cell begins."""
        self._open = True

    def close(self) -> None:
        """Cancel the calls that still wait and refuse later ones, as the cell has ended."""
        self._open = False
        with self._lock:
            left, self._waiting = self._waiting, {}
        for future, _ in left.values():
            _settle(future, {"error": {"kind": "cancelled", "message": "the cell that asked has ended"}})

    def post(self, requests: Iterable[Request]) -> list[Future[Outcome]]:
        """Post requests in order and return the futures of their outcomes. Raises SubCallError when no cell runs.

        Each body has as `rest` the number of calls that are posted together from it on.
        """
        futures: list[Future[Outcome]] = []
        posted = list(requests)
        with self._lock:
            if not self._open:
                raise SubCallError("no cell is running: a thread left over from an earlier cell cannot ask a model")
            for number, request in enumerate(posted):
                self._last += 1
                future: Future[Outcome] = Future()
                body = {"id": self._last, **request.body, "rest": len(posted) - number}
                self._waiting[self._last] = (future, Request(body, request.weight))
                futures.append(future)
        if futures:
            self._posted()
        return futures

    def take(self, after: int, limit: int, most: int) -> tuple[list[dict[str, Any]], int]:
        """Return unsettled calls with ids above `after`, oldest first, and their weight.

        They are at most `limit` calls and `most` of weight, or a single call of more.
        """
        taken: list[dict[str, Any]] = []
        weight = 0
        with self._lock:
            for number in range(after + 1, self._last + 1):
                entry = self._waiting.get(number)
                if entry is None:
                    continue
                request = entry[1]
                if taken and (len(taken) >= limit or weight + request.weight > most):
                    break
                weight += request.weight
                taken.append(request.body)
        return taken, weight

    def settle(self, number: int, outcome: Outcome) -> None:
        """Deliver an outcome to the code that waits for it. Unknown and settled numbers are ignored."""
        with self._lock:
            entry = self._waiting.pop(number, None)
        if entry:
            _settle(entry[0], outcome)


def _settle(future: "Future[Outcome]", outcome: Outcome) -> None:
    # Code that was interrupted or cancelled no longer waits.
    if future.set_running_or_notify_cancel():
        future.set_result(outcome)


class Queries:
    """The query functions of the REPL."""

    def __init__(
        self, registry: Registry, *, sub_calls: bool, models: Iterable[str], handing: Handing | None = None
    ) -> None:
        """Initialize the functions.

        `handing` describes contexts for sub-RLMs. None: there are no sub-RLMs, and a context is appended to its prompt.
        """
        self._registry = registry
        self._handing = handing
        self._sub_calls = sub_calls
        self._models = tuple(models)

    def names(self) -> dict[str, Any]:
        """Return the functions and exceptions under the names that code uses."""
        return {
            "llm_query": self.llm_query,
            "llm_query_batched": self.llm_query_batched,
            "rlm_query": self.rlm_query,
            "rlm_query_batched": self.rlm_query_batched,
            "allm_query": self.allm_query,
            "arlm_query": self.arlm_query,
            "SubCallError": SubCallError,
            "BudgetExceeded": BudgetExceeded,
            "CallsRejected": CallsRejected,
            "FailedCall": FailedCall,
        }

    def llm_query(self, prompt: Any, model: str | None = None, schema: Any = None, cache: bool = False) -> Any:
        """Ask a model once and return its answer, a str (with `schema`: the parsed value).

        Raises SubCallError when it fails for good, BudgetExceeded when the budget forbids it, CallsRejected when a
        reviewer does.
        """
        return self._one("llm", prompt, model, schema, cache)

    def llm_query_batched(
        self, prompts: Iterable[Any], model: str | None = None, schema: Any = None, cache: bool = False
    ) -> list[Any]:
        """Ask many at once and return the answers in order. A failed one is a falsy FailedCall."""
        return self._many("llm", prompts, model, schema, cache)

    def rlm_query(
        self, prompt: Any, context: Any = None, model: str | None = None, schema: Any = None, cache: bool = False
    ) -> Any:
        """Ask a sub-RLM, which has a REPL of its own and `context` in it; else like llm_query.

        `context`: a str, a document, `context` or a slice of it, or a list of documents and str.
        """
        return self._one("rlm", prompt, model, schema, cache, self._handed(context))

    def rlm_query_batched(
        self,
        prompts: Iterable[Any],
        context: Any = None,
        model: str | None = None,
        schema: Any = None,
        cache: bool = False,
    ) -> list[Any]:
        """Many sub-RLMs at once, answers in order; `context` is one for all or a list of one for each."""
        asked = _prompts(prompts)
        if isinstance(context, list) and len(context) == len(asked):
            contexts = [self._handed(one) for one in context]
        else:
            contexts = [self._handed(context)] * len(asked)
        return self._many("rlm", asked, model, schema, cache, contexts)

    async def allm_query(self, prompt: Any, model: str | None = None, schema: Any = None, cache: bool = False) -> Any:
        """`llm_query` to be awaited, for asyncio.gather in a cell."""
        return await self._one_async("llm", prompt, model, schema, cache)

    async def arlm_query(
        self, prompt: Any, context: Any = None, model: str | None = None, schema: Any = None, cache: bool = False
    ) -> Any:
        """`rlm_query` to be awaited, for asyncio.gather in a cell."""
        return await self._one_async("rlm", prompt, model, schema, cache, self._handed(context))

    def _handed(self, context: Any) -> "Handed | str | None":
        """Return the context as it is sent with a call: described, or as a text that is appended to the prompt."""
        if context is None or not self._sub_calls:
            return None
        return self._handing.over(context) if self._handing else text_of(context)

    def _one(
        self, kind: str, prompt: Any, model: str | None, schema: Any, cache: bool, context: "Handed | str | None" = None
    ) -> Any:
        [future] = self._registry.post([self._request(kind, prompt, model, schema, cache, context)])
        return _value(future.result(), schema)

    async def _one_async(
        self, kind: str, prompt: Any, model: str | None, schema: Any, cache: bool, context: "Handed | str | None" = None
    ) -> Any:
        [future] = self._registry.post([self._request(kind, prompt, model, schema, cache, context)])
        return _value(await asyncio.wrap_future(future), schema)

    def _many(
        self,
        kind: str,
        prompts: Iterable[Any],
        model: str | None,
        schema: Any,
        cache: bool,
        contexts: "list[Handed | str | None] | None" = None,
    ) -> list[Any]:
        asked = _prompts(prompts)
        each = contexts or [None] * len(asked)
        futures = self._registry.post(
            [self._request(kind, prompt, model, schema, cache, part) for prompt, part in zip(asked, each, strict=True)]
        )
        results: list[Any] = []
        ended_by: BudgetExceeded | CallsRejected | None = None
        for future in futures:
            try:
                results.append(_value(future.result(), schema))
            except (BudgetExceeded, CallsRejected) as error:
                ended_by = error
                results.append(FailedCall(str(error)))
            except SubCallError as error:
                results.append(FailedCall(str(error)))
        failed = sum(isinstance(result, FailedCall) for result in results)
        if ended_by is not None:
            ended_by.partial = results
            raise ended_by
        if failed:
            first = next(result for result in results if isinstance(result, FailedCall))
            print(f"[{failed} of {len(results)} failed: {first.error}]")
        return results

    def _request(
        self, kind: str, prompt: Any, model: str | None, schema: Any, cache: bool, context: "Handed | str | None"
    ) -> Request:
        if not self._sub_calls:
            raise SubCallError("sub-calls are switched off for this run (--max-depth 0): answer with code alone")
        if isinstance(prompt, list | tuple | set | dict):
            raise TypeError(f"a prompt is one text, not a {type(prompt).__name__}; for many use llm_query_batched")
        text = prompt if isinstance(prompt, str) else str(prompt)
        if isinstance(context, str):
            text, context = f"{text}\n\n{context}", None
        chars = len(text) + (context.chars if context else 0)
        if len(text) > MAX_PROMPT:
            raise ValueError(f"a prompt of {len(text):,} characters is too long; slice it (limit {MAX_PROMPT:,})")
        if chars > MAX_PROMPT:
            raise ValueError(
                f"a context with {chars:,} characters of new text is too long (limit {MAX_PROMPT:,}); "
                "`context`, its documents and slices of them may be of any size"
            )
        if model is not None and model not in self._models:
            raise ValueError(f"no model named {model!r} is configured; there are {', '.join(self._models)}")
        form, form_chars = _schema(schema)
        body = {"kind": kind, "prompt": text, "model": model, "schema": form, "cache": bool(cache)}
        if context:
            body["context"] = context.posted
        parts = len(context.posted["parts"]) if context else 0
        return Request(body, chars + form_chars + parts * PART_WEIGHT + CALL_WEIGHT)


def _prompts(prompts: Iterable[Any]) -> list[Any]:
    if isinstance(prompts, str):
        raise TypeError("a batch takes a list of prompts; for one prompt use llm_query")
    return list(prompts)


def _schema(schema: Any) -> tuple[dict[str, Any] | None, int]:
    """Return a copy of a JSON Schema, and the length of its JSON in characters. Raises TypeError, ValueError."""
    if schema is None:
        return None, 0
    if hasattr(schema, "model_json_schema"):
        schema = schema.model_json_schema()
    if not isinstance(schema, dict):
        raise TypeError("schema is a JSON Schema dict or a pydantic class")
    try:
        text = dumps(schema, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"this schema is no plain JSON: {error}") from None
    if len(text) > MAX_SCHEMA or _depth(schema) > MAX_DEPTH:
        raise ValueError(f"a schema has at most {MAX_SCHEMA:,} characters, nested {MAX_DEPTH} deep")
    return loads(text), len(text)


def _depth(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list | tuple):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _value(outcome: Outcome, schema: Any) -> Any:
    error = outcome.get("error")
    if error is None:
        value = outcome["value"]
        return schema.model_validate(value) if hasattr(schema, "model_validate") else value
    if error["kind"] == "budget":
        raise BudgetExceeded(error["message"])
    if error["kind"] == "rejected":
        raise CallsRejected(error["message"])
    raise SubCallError(error["message"])
