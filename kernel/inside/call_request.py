"""Requests: what code passed to a query function, checked, in the form in which a call is posted."""

import inspect
import re
from collections.abc import Iterable, Mapping, Sequence
from json import dumps, loads
from operator import index
from typing import Any, NamedTuple

from .child_context import Handed, Handing, text_of
from .context import Document, Documents
from .cuts import Hint
from .cuts_in_prompts import CutsInPrompts
from .protocol import CALL_WEIGHT, MAX_DEPTH, MAX_OUTPUT_TOKENS, MAX_PROMPT, MAX_SCHEMA, PART_WEIGHT
from .registry import Request
from .sub_call_errors import SubCallError
from .variables import quoted

_MODEL_NAME = re.compile(r"[A-Za-z][\w.-]{0,60}:(?!//)\S{1,100}")
"""The form of a model's name. A text that has it is rather a wrong name than the text to ask about."""
_MOST_FRAMES = 100
"""Frames between a call and the code of its cell, at most, beyond which its line is not searched for."""


class Options(NamedTuple):
    """The choices of code for a call."""

    model: str | None = None
    schema: Any = None
    cache: bool = False
    max_tokens: int | None = None


class Requests:
    """A maker of requests for the query functions of one REPL."""

    def __init__(
        self,
        namespace: Mapping[str, Any],
        *,
        sub_calls: bool,
        models: Iterable[str],
        handing: Handing | None,
        cuts: CutsInPrompts,
    ) -> None:
        """`handing` describes contexts for sub-RLMs. None: there are no sub-RLMs, and contexts follow their prompts."""
        self._namespace = namespace
        self._sub_calls = sub_calls
        self._models = tuple(models)
        self._names = {*self._models, *(name.partition(":")[2] for name in self._models)}
        self._handing = handing
        self._cuts = cuts
        self.block: tuple[int, int] = (1, 0)
        """The number of the cell's block that runs, from 1, and of the lines that its compiled code does not have."""

    def make(
        self, kind: str, prompts: Sequence[Any], options: Options, contexts: "Sequence[Handed | str | None]"
    ) -> list[Request]:
        """Return a request for each prompt with its context. Raises SubCallError, TypeError, ValueError."""
        if not self._sub_calls:
            raise SubCallError("sub-calls are switched off for this run (--max-depth 0): answer with code alone")
        chosen, chars = self._chosen(options)
        origin = self._origin()
        requests = [
            _request(kind, _checked(prompt), chosen, chars, context, origin)
            for prompt, context in zip(prompts, contexts, strict=True)
        ]
        ranges = self._cuts.of([request.body["prompt"] for request in requests])
        return [_made_from(*both) for both in zip(requests, ranges, strict=True)]

    def contexts(self, kind: str, context: Any, count: int) -> "list[Handed | str | None]":
        """Return the contexts of so many calls: `context` is one for all, or a list of one for each."""
        if isinstance(context, list) and len(context) == count:
            return [self.context(kind, one) for one in context]
        return [self.context(kind, context)] * count

    def context(self, kind: str, context: Any) -> "Handed | str | None":
        """Return a context as it is sent: described for a sub-RLM, else as a text that follows the prompt."""
        if context is None or not self._sub_calls:
            return None
        return self._handing.over(context) if self._handing and kind == "rlm" else text_of(context)

    def model_or_text(self, given: Any, model: str | None, context: Any) -> tuple[str | None, Any]:
        """Return the model and the context of a call whose second argument is either. Raises TypeError."""
        if given is None:
            return model, context
        if isinstance(given, str) and (given in self._names or _MODEL_NAME.fullmatch(given)):
            if model is not None:
                raise TypeError("the model is given twice: as the second argument and as model=")
            return given, context
        if not isinstance(given, str | list | tuple | Document | Documents):
            kind = type(given).__name__
            raise TypeError(f"the second argument is a text or a model's name, not a {kind}; a schema is schema=")
        if context is not None:
            raise TypeError("the text is given twice: as the second argument and as context=")
        return model, given

    def _chosen(self, options: Options) -> tuple[dict[str, Any], int]:
        """Return the options that are not the default ones, as they are posted, and the characters of the schema."""
        chosen: dict[str, Any] = {}
        if options.model is not None:
            if options.model not in self._models:
                known = ", ".join(self._models)
                raise ValueError(
                    f"no model named {quoted(options.model)} is configured; there are {known}. "
                    "Give a text to ask about as context="
                )
            chosen["model"] = options.model
        schema, chars = _schema(options.schema)
        if schema is not None:
            chosen["schema"] = schema
        if options.cache:
            chosen["cache"] = True
        if options.max_tokens is not None:
            chosen["max_tokens"] = _output_limit(options.max_tokens)
        return chosen, chars

    def _origin(self) -> dict[str, int] | None:
        """Return the block and line whose code makes a call; None in a thread or a task, which have no such line."""
        frame = inspect.currentframe()
        for _ in range(_MOST_FRAMES):
            if frame is None:
                return None
            if frame.f_globals is self._namespace and frame.f_code.co_name == "<module>":
                block, dropped = self.block
                return {"block": block, "line": frame.f_lineno + dropped}
            frame = frame.f_back
        return None


def only(**names: Any) -> Any:
    """Return the argument that was given under one of these names, the first of which is its own. Raises TypeError."""
    given = {name: value for name, value in names.items() if value is not None}
    if len(given) == 1:
        return next(iter(given.values()))
    if given:
        raise TypeError(f"{'= and '.join(given)}= are one argument: give it once")
    raise TypeError(f"the argument {next(iter(names))}= is missing, or None")


def _checked(prompt: Any) -> str:
    if prompt is None or isinstance(prompt, list | tuple | set | dict):
        raise TypeError(f"a prompt is one text, not a {type(prompt).__name__}; for many use llm_query_batched")
    return prompt if isinstance(prompt, str) else str(prompt)


def _request(
    kind: str,
    text: str,
    options: dict[str, Any],
    option_chars: int,
    context: "Handed | str | None",
    origin: dict[str, int] | None,
) -> Request:
    handed = context if isinstance(context, Handed) else None
    if isinstance(context, str):
        text = f"{text}\n\n{context}"
    chars = len(text) + (handed.chars if handed else 0)
    if len(text) > MAX_PROMPT:
        raise ValueError(f"a prompt of {len(text):,} characters is too long; slice it (limit {MAX_PROMPT:,})")
    if chars > MAX_PROMPT:
        raise ValueError(
            f"a context with {chars:,} characters of new text is too long (limit {MAX_PROMPT:,}); "
            "`context`, its documents and slices of them may be of any size"
        )
    parts = 0
    if handed:
        options = {**options, "context": handed.posted}
        parts = len(handed.posted["parts"])
    body: dict[str, Any] = {"kind": kind, "prompt": text}
    if options:
        body["options"] = options
    if origin:
        body["origin"] = origin
    return Request(body, chars + option_chars + parts * PART_WEIGHT + CALL_WEIGHT)


def _made_from(request: Request, ranges: list[Hint]) -> Request:
    """Return the request with the parts of documents from which its prompt was made."""
    names = sum(len(name) for name, _, _ in ranges)
    # A prompt of the largest size has no room for names beside it.
    if not ranges or request.weight + names > MAX_PROMPT:
        return request
    origin = {**request.body.get("origin", {}), "ranges": ranges}
    return Request({**request.body, "origin": origin}, request.weight + names + len(ranges) * PART_WEIGHT)


def _output_limit(tokens: Any) -> int:
    """Return an output limit as a plain int. Raises TypeError, ValueError."""
    try:
        number = None if isinstance(tokens, bool) else index(tokens)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"max_tokens is a whole number, not {quoted(tokens)}")
    if not 1 <= number <= MAX_OUTPUT_TOKENS:
        raise ValueError(f"max_tokens is from 1 to {MAX_OUTPUT_TOKENS:,}")
    return number


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
