"""The listing of the sub-calls that a reviewer is asked about: every call, whole, with its schema and its context.

A request for thousands of calls must not be saved with each of its steps. So the listing is one stored text, and the
action request names it by its hash (`listed`) and has a hash over the calls (`digest`). Where the request is shown,
the calls are read from there (`with_calls`). The prompts stand in the text as they are, one after the other, so that
those that are slices of the input are stored as places in it.
"""

import asyncio
import codecs
import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, cast

from ...state.approval_records import ActionRequest
from ...state.blobs.store import Blobs
from ...state.blobs.text_parts import TextReader
from ...state.blobs.texts import Texts, well_formed
from ...state.call_keys import digest
from ...state.errors import StoreError
from ...state.input.child_context import context_digest
from ...state.input.context import ContextRef
from ...state.input.reading import beginning_of
from ..runtime.parked_calls import ParkedCall

WHOLE = 4 << 20
"""Characters of a listing that LangGraph's clients are sent whole. Of the texts of a larger one they get beginnings."""
SHOWN_OF_EACH = 2_000
"""Characters of each text that is then sent."""
CONTEXT_SHOWN = 4 << 20
"""Characters of one context that are shown at most; its size is always."""

Call = dict[str, Any]


@dataclass(frozen=True)
class Expected:
    """The tokens and the cost that a waiting call is expected to take."""

    model: str
    input_tokens: int
    output_at_most: int
    cost: float | None
    """US dollars at most, None when the model's price is not known."""


async def stored_listing(
    parked: Sequence[ParkedCall], expected: Sequence[Expected], texts: Texts, source: str | None
) -> dict[str, Any]:
    """Store the listing of the calls. Return what of it is in the action request.

    `expected` is of each call; `source` is the blob that prompts may have been cut from.
    """
    text, facts = await asyncio.to_thread(_listing, parked, expected)
    return {**facts, "listed": await texts.put(text, source=source)}


def _listing(parked: Sequence[ParkedCall], expected: Sequence[Expected]) -> tuple[str, dict[str, Any]]:
    calls = [_call(one, about) for one, about in zip(parked, expected, strict=True)]
    schemas: dict[str, Any] = {}
    contexts: dict[str, ContextRef] = {}
    heads: list[Call] = []
    for one, call in zip(parked, calls, strict=True):
        head = {name: value for name, value in call.items() if name != "prompt"}
        if one.call.schema is not None:
            head["schema"] = digest("schema", one.call.schema)
            schemas[head["schema"]] = one.call.schema
        if one.context is not None:
            contexts[call["context"]["digest"]] = one.context
        heads.append(head)
    listing = json.dumps({"calls": heads, "schemas": schemas, "contexts": contexts})
    chars = sum(call["chars"] + call.get("schema_chars", 0) for call in calls)
    chars += sum(context["chars"] for context in contexts.values())
    facts = {"calls": [], "chars": chars, "digest": calls_digest(calls)}
    if chars > WHOLE:
        facts["cut_at"] = min(SHOWN_OF_EACH, max(100, WHOLE // len(calls)))
    return "".join([listing, "\n", *(call["prompt"] for call in calls)]), facts


def _call(one: ParkedCall, expected: Expected) -> Call:
    call, prompt = one.call, well_formed(one.call.prompt)
    listed: Call = {"key": one.key, "kind": call.kind, "model": expected.model, "prompt": prompt, "chars": len(prompt)}
    listed |= {
        "estimated_input_tokens": expected.input_tokens,
        "output_tokens_at_most": expected.output_at_most,
        "estimated_cost_usd": expected.cost,
    }
    if call.max_tokens:
        listed["max_tokens"] = call.max_tokens
    if call.schema is not None:
        listed |= {"schema": call.schema, "schema_chars": len(json.dumps(call.schema))}
    if (context := one.context) is not None:
        listed["context"] = {
            "documents": context["documents"],
            "chars": context["chars"],
            "names": context["names"],
            "digest": context_digest(context),
        }
    return listed


def calls_digest(calls: Sequence[Mapping[str, Any]]) -> str:
    """Return the hash of listed calls with all that they send. Contexts are in it by their own hashes."""
    return digest("calls", [_sent(call) for call in calls])


def _sent(call: Mapping[str, Any]) -> list[Any]:
    prompt = hashlib.sha256(str(call.get("prompt", "")).encode("utf-8", "surrogatepass")).hexdigest()
    context = call.get("context") or {}
    others = [call.get(name) for name in ("key", "kind", "model", "max_tokens", "schema")]
    return [prompt, *others, context.get("digest")]


def hashed(action: Mapping[str, Any]) -> dict[str, Any]:
    """Return an action request in the form that is hashed: with the hash of its calls in place of the calls.

    That hash is made of the calls where they are, so that it is a hash of what is shown.
    """
    args = action.get("args")
    if not isinstance(args, dict) or "listed" not in args:
        return dict(action)
    args = cast("dict[str, Any]", args)
    known = {name: value for name, value in args.items() if name not in ("calls", "listed")}
    return {**action, "args": {**known, "digest": calls_digest(args["calls"]) if args["calls"] else args["digest"]}}


async def with_calls(action: ActionRequest, texts: Texts, blobs: Blobs, *, whole: bool = True) -> ActionRequest:
    """Return an action request with its calls read from the listing. Raises StoredDataDamaged.

    Without `whole`, the texts of a large listing are cut to their beginnings; `chars` and `schema_chars` say how long
    they are.
    """
    args = action["args"]
    if "listed" not in args or args["calls"]:
        return action
    text = await texts.get(args["listed"])
    calls = await asyncio.to_thread(_calls, text, blobs, None if whole else args.get("cut_at"))
    return {**action, "args": {**args, "calls": calls}}


async def whole_request(value: Mapping[str, Any], texts: Texts, blobs: Blobs, *, whole: bool = True) -> dict[str, Any]:
    """Return the value of an interrupt with all calls in it. Raises StoredDataDamaged."""
    actions = [await with_calls(action, texts, blobs, whole=whole) for action in value.get("action_requests", ())]
    return {**value, "action_requests": actions}


def _calls(text: str, blobs: Blobs, cut_at: int | None) -> list[Call]:
    head, _, prompts = text.partition("\n")
    listing: dict[str, Any] = json.loads(head)
    at = 0
    for call in listing["calls"]:
        until = at + call["chars"]
        call["prompt"] = prompts[at : min(until, at + cut_at) if cut_at else until]
        at = until
    return _with_schemas(listing, listing["calls"], blobs, cut_at)


def _with_schemas(listing: Mapping[str, Any], listed: Sequence[Call], blobs: Blobs, cut_at: int | None) -> list[Call]:
    """Return calls with their schemas and contexts, which several of them may have in common."""
    seen: dict[str, str] = {}
    calls: list[Call] = []
    for call in listed:
        if name := call.get("schema"):
            schema = listing["schemas"][name]
            call["schema"] = json.dumps(schema)[:cut_at] if cut_at and call["schema_chars"] > cut_at else schema
        if context := call.get("context"):
            if (first := seen.setdefault(context["digest"], call["key"])) == call["key"]:
                stored = listing["contexts"][context["digest"]]
                context["text"] = _beginning(stored, blobs, cut_at or CONTEXT_SHOWN)
            else:
                context["text_at"] = first
        calls.append(call)
    return calls


@dataclass(frozen=True)
class ListedCalls:
    """A page of a listing: calls as `with_calls` has them, of which the texts are cut to their beginnings."""

    calls: list[Call]
    count: int
    """The calls of the whole listing."""


def listed_calls(text: TextReader, blobs: Blobs, first: int, most: int, cut_at: int) -> ListedCalls:
    """Return the `most` calls of a listing from number `first` on, counted from 1, each text to `cut_at` characters.

    The listing is read piece by piece: of all prompts no more is held than is returned. Raises StoredDataDamaged.
    """
    head, prompts = _divided(text)
    listing: dict[str, Any] = json.loads(head)
    every: list[Call] = listing["calls"]
    chosen = every[first - 1 : first - 1 + most]
    start = sum(call["chars"] for call in every[: first - 1])
    for call, prompt in zip(chosen, _cut_out(prompts, start, chosen, cut_at), strict=True):
        call["prompt"] = prompt
    return ListedCalls(_with_schemas(listing, chosen, blobs, cut_at), len(every))


def prompts_of(text: TextReader) -> Iterator[str]:
    """Return the prompts of a listing, one after the other, piece by piece. Raises StoredDataDamaged."""
    return _divided(text)[1]


def _divided(text: TextReader) -> tuple[str, Iterator[str]]:
    """Return the head of a listing, and the prompts that follow it."""
    pieces = _decoded(text)
    begun: list[str] = []
    for piece in pieces:
        head, newline, rest = piece.partition("\n")
        begun.append(head)
        if newline:
            return "".join(begun), chain([rest], pieces)
    return "".join(begun), iter(())


def _decoded(text: TextReader) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    for chunk in text.chunks():
        yield decoder.decode(chunk)


def _cut_out(pieces: Iterator[str], start: int, calls: Sequence[Call], cut_at: int) -> list[str]:
    """Return the beginnings of the prompts, of which the first begins at character `start` of what follows."""
    ends: list[tuple[int, int]] = []
    for call in calls:
        ends.append((start, start + min(call["chars"], cut_at)))
        start += call["chars"]
    parts: list[list[str]] = [[] for _ in calls]
    at, reached = 0, 0
    # To the end of the text, where its hash is compared.
    for piece in pieces:
        until = at + len(piece)
        for place in range(reached, len(ends)):
            begin, end = ends[place]
            if begin >= until:
                break
            parts[place].append(piece[max(0, begin - at) : end - at] if end > at else "")
            reached = place if end > until else place + 1
        at = until
    return ["".join(one) for one in parts]


def _beginning(stored: ContextRef, blobs: Blobs, most: int) -> str:
    """Return the text of a context, or the beginning of a long one; why not, in brackets, if it cannot be read."""
    try:
        return beginning_of(stored, blobs, most)
    except StoreError as error:
        return f"[{error.message}]"


def unchanged(prompt: str, before: str, cut_at: int | None) -> bool:
    """Return whether a prompt in an edit is as it was shown, whole or cut: then it is no edit."""
    return prompt == before or (cut_at is not None and len(before) > cut_at and prompt == before[:cut_at])
