"""The query functions, with which the code of cells makes sub-calls.

They also take what models write by habit: `query=` for `prompt=`, `queries=` or `prompt_list=` for `prompts=`, and the
text to ask about as the second argument or as `context=`.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from .call_request import Options, Requests, only
from .registry import Outcome, Registry
from .sub_call_errors import BudgetExceeded, CallsRejected, FailedCall, SubCallError


class Queries:
    """The query functions of the REPL."""

    def __init__(self, registry: Registry, requests: Requests) -> None:
        self._registry = registry
        self._requests = requests

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

    def llm_query(
        self,
        prompt: Any = None,
        model_or_text: Any = None,
        schema: Any = None,
        cache: bool = False,
        max_tokens: int | None = None,
        *,
        model: str | None = None,
        context: Any = None,
        query: Any = None,
    ) -> Any:
        """Ask a model once and return its answer, a str (with `schema`: the parsed value).

        `context` (or a second argument that is no model's name) is a text that follows the prompt after an empty line:
        a str, a document, `context` or a slice of it, or a list of documents and str. `max_tokens` limits the answer.

        Raises SubCallError when it fails for good, BudgetExceeded when the budget forbids it, CallsRejected when a
        reviewer does.
        """
        model, context = self._requests.model_or_text(model_or_text, model, context)
        return self._one("llm", only(prompt=prompt, query=query), Options(model, schema, cache, max_tokens), context)

    def llm_query_batched(
        self,
        prompts: Iterable[Any] | None = None,
        model_or_text: Any = None,
        schema: Any = None,
        cache: bool = False,
        max_tokens: int | None = None,
        *,
        model: str | None = None,
        context: Any = None,
        queries: Iterable[Any] | None = None,
        prompt_list: Iterable[Any] | None = None,
    ) -> list[Any]:
        """Ask many at once and return the answers in order. A failed one is a falsy FailedCall.

        `context` is one for all or a list of one for each.
        """
        asked = only(prompts=prompts, queries=queries, prompt_list=prompt_list)
        model, context = self._requests.model_or_text(model_or_text, model, context)
        return self._many("llm", asked, Options(model, schema, cache, max_tokens), context)

    def rlm_query(
        self,
        prompt: Any = None,
        context: Any = None,
        model: str | None = None,
        schema: Any = None,
        cache: bool = False,
        *,
        query: Any = None,
    ) -> Any:
        """Ask a sub-RLM, which has a REPL of its own and `context` in it; else like llm_query.

        `context`: a str, a document, `context` or a slice of it, or a list of documents and str.
        """
        return self._one("rlm", only(prompt=prompt, query=query), Options(model, schema, cache), context)

    def rlm_query_batched(
        self,
        prompts: Iterable[Any] | None = None,
        context: Any = None,
        model: str | None = None,
        schema: Any = None,
        cache: bool = False,
        *,
        queries: Iterable[Any] | None = None,
        prompt_list: Iterable[Any] | None = None,
    ) -> list[Any]:
        """Many sub-RLMs at once, answers in order; `context` is one for all or a list of one for each."""
        asked = only(prompts=prompts, queries=queries, prompt_list=prompt_list)
        return self._many("rlm", asked, Options(model, schema, cache), context)

    async def allm_query(
        self,
        prompt: Any = None,
        model_or_text: Any = None,
        schema: Any = None,
        cache: bool = False,
        max_tokens: int | None = None,
        *,
        model: str | None = None,
        context: Any = None,
        query: Any = None,
    ) -> Any:
        """`llm_query` to be awaited, for asyncio.gather in a cell."""
        model, context = self._requests.model_or_text(model_or_text, model, context)
        options = Options(model, schema, cache, max_tokens)
        return await self._one_async("llm", only(prompt=prompt, query=query), options, context)

    async def arlm_query(
        self,
        prompt: Any = None,
        context: Any = None,
        model: str | None = None,
        schema: Any = None,
        cache: bool = False,
        *,
        query: Any = None,
    ) -> Any:
        """`rlm_query` to be awaited, for asyncio.gather in a cell."""
        return await self._one_async("rlm", only(prompt=prompt, query=query), Options(model, schema, cache), context)

    def _one(self, kind: str, prompt: Any, options: Options, context: Any) -> Any:
        handed = self._requests.context(kind, context)
        [future] = self._registry.post(self._requests.make(kind, [prompt], options, [handed]))
        return _value(future.result(), options.schema)

    async def _one_async(self, kind: str, prompt: Any, options: Options, context: Any) -> Any:
        handed = self._requests.context(kind, context)
        [future] = self._registry.post(self._requests.make(kind, [prompt], options, [handed]))
        return _value(await asyncio.wrap_future(future), options.schema)

    def _many(self, kind: str, prompts: Iterable[Any], options: Options, context: Any) -> list[Any]:
        results = self.batch(kind, prompts, options, context)
        failed = sum(isinstance(result, FailedCall) for result in results)
        if failed:
            first = next(result for result in results if isinstance(result, FailedCall))
            print(f"[{failed} of {len(results)} failed: {first.error}]")
        return results

    def batch(self, kind: str, prompts: Iterable[Any], options: Options, context: Any = None) -> list[Any]:
        """Ask many at once and return the answers in order, a FailedCall for a failed one. Raises as the names do."""
        asked = _prompts(prompts)
        contexts = self._requests.contexts(kind, context, len(asked))
        futures = self._registry.post(self._requests.make(kind, asked, options, contexts))
        results: list[Any] = []
        ended_by: BudgetExceeded | CallsRejected | None = None
        for future in futures:
            try:
                results.append(_value(future.result(), options.schema))
            except (BudgetExceeded, CallsRejected) as error:
                ended_by = error
                results.append(FailedCall(str(error)))
            except SubCallError as error:
                results.append(FailedCall(str(error)))
        if ended_by is not None:
            ended_by.partial = results
            raise ended_by
        return results


def _prompts(prompts: Iterable[Any]) -> list[Any]:
    if isinstance(prompts, str):
        raise TypeError("a batch takes a list of prompts; for one prompt use llm_query")
    return list(prompts)


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
