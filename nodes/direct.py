"""`direct`: give the root model the whole input in one call. It answers, or says that it needs the REPL.

The input's text is read whole here, so this is only for what is given to a model at once, never for a large input.
"""

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Any

from ..state.budget import ApprovalNeeded, BudgetSpent
from ..state.call_keys import digest, direct_key, request_digest
from ..state.errors import InputError, UsageError
from ..state.input.context import ContextRef, no_context
from ..state.input.reading import whole_input
from ..state.run_state import RunState
from ..state.settings import RunSettings
from ..state.stores import Stores
from .approval.budget_gate import apply_budget_grant
from .approval.requests import spend_item, stored_items
from .models.errors import FailureKind
from .models.provider_protocol import Message, ModelRequest
from .models.schema_validation import SchemaMismatch, parse
from .models.tokens import estimate_messages, size, surely_fits_not, window_of
from .models.work_limit import SchemaInvalid, off_loop
from .prompts.direct import declined, direct_messages, without_thoughts
from .prompts.root_request import root_messages
from .replies.repetition import repeats_itself
from .runtime.active_runs import ActiveRun, ActiveRuns
from .runtime.answers import store_answer
from .runtime.dependencies import Dependencies
from .runtime.events import emit, emit_writing
from .runtime.fallback import fall_back, saved_with
from .runtime.output_limits import ROOT_OUTPUT_TOKENS, output_limit
from .runtime.seen import whole_cuts
from .sub_calls.keys import parameters_of
from .sub_calls.model_call import CallResult, ModelCall, call_once, root_failed

FITS_WELL = 32_000
"""Tokens of a request that a model reads reliably at once; at most a quarter of the window where that is known."""
MOST_BYTES = 64 << 20
"""Bytes of the largest input that is given whole, whatever the model can read."""
_BYTES_A_TOKEN = 16
"""More bytes than a token of ordinary text has: an input above this ratio is known to be large without reading it."""
_REPL_INSTEAD: frozenset[FailureKind] = frozenset({"too_long", "empty", "cut", "thoughts", "refused", "schema"})
"""Failures of this one request that say nothing about the turns that follow."""


_WHOLE = "A run keeps its mode: ask anew with --mode rlm, and the input is read piece by piece."


@dataclass(frozen=True)
class _Answer:
    value: Any
    note: str | None = None


class _NeedsRepl(Exception):
    """Raised when the input is not answered in one call; its text is the reason, as the end of a sentence."""


async def direct(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Answer in one call. With `auto`, hand over to the REPL when the input is large or the model asks for it.

    Raises InputError, with nothing sent, when one call is required and the input does not fit into it. Raises
    ModelFailed when the model gives no answer; it is asked again on resume. A fallback is asked before that.
    """
    run = await active_runs.get(thread_id, state)
    await apply_budget_grant(run, state, deps)
    return saved_with(run, await _direct(state, run, deps))


async def _direct(state: RunState, run: ActiveRun, deps: Dependencies) -> dict[str, Any]:
    auto = run.settings.mode == "auto"
    try:
        messages = await _messages(state, run, deps)
        got = await _asked(state, run, deps, messages)
        answer = await _answer_in(got, run.settings)
    except _NeedsRepl as why:
        return _repl(run, str(why))
    except ApprovalNeeded as refused:
        return await _waiting(run, deps, refused)
    except BudgetSpent as spent:
        return _repl(run, str(spent)) if auto else _nothing_left(run, spent)
    deps.failpoint("direct-end")
    emit("direct", outcome="answered", why=answer.note or "")
    summary = "answered directly, in one call" + (f": {answer.note}" if answer.note else "")
    return {
        "final": await store_answer(answer.value, deps.stores.texts),
        "note": answer.note,
        "usage": run.usage,
        "step": [{"kind": "direct", "turn": 0, "summary": summary}],
    }


async def check_direct(question: str, context: ContextRef | None, settings: RunSettings, stores: Stores) -> None:
    """Check an input before a run of mode `direct` is saved. Raises InputError if the model cannot read it at once.

    Raises UsageError when citations are required, which only code makes.
    """
    if settings.mode == "direct":
        window = window_of(settings.model, settings.base_url)
        await _whole(question, context or no_context(), settings, stores, window)


async def _messages(state: RunState, run: ActiveRun, deps: Dependencies) -> list[Message]:
    """Return the request's messages. Raises _NeedsRepl, InputError."""
    settings, window = run.settings, run.root_model.window
    context = state.get("context_ref") or no_context()
    question = state.get("question", "")
    if settings.mode != "auto":
        return await _whole(question, context, settings, deps.stores, window)
    return await _small(question, context, settings, deps.stores, window)


async def fits_one_call(question: str, context: ContextRef | None, settings: RunSettings, stores: Stores) -> bool:
    """Return whether `--mode auto` would give the model this input whole; False when there is no input."""
    if context is None or context["kind"] == "none":
        return False
    auto, window = settings.model_copy(update={"mode": "auto"}), window_of(settings.model, settings.base_url)
    try:
        await _small(question, context, auto, stores, window)
    except _NeedsRepl:
        return False
    return True


async def _small(
    question: str, context: ContextRef, settings: RunSettings, stores: Stores, window: int | None
) -> list[Message]:
    """Return the messages if a model reads them well at once. Raises _NeedsRepl."""
    if settings.require_citations:
        raise _NeedsRepl("quotations are checked in the REPL")
    most = FITS_WELL if window is None else min(FITS_WELL, window // 4)
    if context["bytes"] > most * _BYTES_A_TOKEN:
        raise _NeedsRepl(f"an input of {context['chars']:,} characters is more than one call reads well")
    messages = await _put(question, context, settings, stores)
    if estimate_messages(messages) > most:
        raise _NeedsRepl(f"{size(messages)} are more than the {most:,} tokens that one call reads well")
    return messages


async def _whole(
    question: str, context: ContextRef, settings: RunSettings, stores: Stores, window: int | None
) -> list[Message]:
    """Return the messages, of any size that the model can read. Raises InputError, UsageError."""
    if settings.require_citations:
        raise UsageError(
            "--require-citations goes with code, and --mode direct runs none.", hint="Use --mode rlm (or auto)."
        )
    hint = "Use --mode rlm (or auto): the input is then read piece by piece, whatever its size."
    if context["bytes"] > MOST_BYTES:
        said = f"The input has {context['chars']:,} characters, which no model reads in one call."
        raise InputError(said, hint=hint)
    messages = await _put(question, context, settings, stores)
    if surely_fits_not(messages, ROOT_OUTPUT_TOKENS, window):
        said = f"The input is too long for one call: {size(messages)}, and {settings.model} reads {window:,} tokens."
        raise InputError(said, hint=hint)
    return messages


async def _put(question: str, context: ContextRef, settings: RunSettings, stores: Stores) -> list[Message]:
    documents = await asyncio.to_thread(whole_input, context, stores.blobs)
    auto = settings.mode == "auto"
    # A model that may decline need not answer in JSON, so the schema is then only given in words.
    schema = settings.answer_schema if auto else None
    return direct_messages(question, documents, schema=schema, may_decline=auto, instructions=settings.instructions)


async def _asked(state: RunState, run: ActiveRun, deps: Dependencies, messages: list[Message]) -> CallResult:
    """Return the model's reply. Raises BudgetSpent, _NeedsRepl, ModelFailed."""
    settings = run.settings
    auto = settings.mode == "auto"
    if auto:
        # Keep back what a last turn takes, so that the REPL can still answer when this call is of no use.
        run.keep_last_turn(estimate_messages(await root_messages(state, run, deps, last="turns")))
    emit("direct", outcome="asking", why="")
    schema = None if auto else settings.answer_schema
    limit = output_limit(run.root_model, ROOT_OUTPUT_TOKENS)
    request = ModelRequest(messages, limit, "root", schema=schema, on_output=partial(emit_writing, 0))
    shown = "\n\n".join(f"[{message['role']}]\n{message['content']}" for message in messages)
    parameters = parameters_of(settings.root_spec.options)
    server = run.root_model.server
    got = await call_once(
        run,
        deps,
        ModelCall(
            key=_key(state, run),
            kind="root",
            turn=0,
            prompt=shown,
            model=run.root_model,
            request=request,
            parameters=parameters,
            digest=request_digest(run.root_model.name, server, parameters, "direct", shown, request.schema),
            # Without `auto` no turn follows for which a request would have to be kept back.
            last_turn=not auto,
            cuts=await whole_cuts(run, deps.stores.blobs),
            record_failure=False,
        ),
    )
    emit("usage", **run.usage, elapsed=run.ledger.seconds)
    if got.text is not None:
        return got
    if got.error_kind not in _REPL_INSTEAD and fall_back(state, run, "has failed"):
        return await _asked(state, run, deps, messages)
    said = got.error or "The root model gave no answer."
    if auto and got.error_kind in _REPL_INSTEAD:
        raise _NeedsRepl(said.rstrip("."))
    raise root_failed(got, _WHOLE if got.error_kind in _REPL_INSTEAD else "")


def _key(state: RunState, run: ActiveRun) -> str:
    """Return the request's key: of an earlier version, if its answer is recorded under that."""
    context, settings = state.get("context_ref") or no_context(), run.settings
    place = [context["pack"], context["index"], context.get("start"), context.get("end")]
    given = [settings.instructions] if settings.instructions else []
    made_from = (settings.mode, settings.answer_schema, state.get("question"), place, *given)
    first = run.former_models[0]["settings"]["model"] if run.former_models else settings.model
    old_key = direct_key(digest(first, *made_from))
    return old_key if old_key in run.journal.old_keys else direct_key(digest(*made_from))


async def _answer_in(got: CallResult, settings: RunSettings) -> _Answer:
    """Return the answer in a reply. With `auto`, raises _NeedsRepl when the reply holds no usable answer."""
    schema = settings.answer_schema
    if settings.mode != "auto":
        if schema is not None:
            return _Answer(got.value)
        note = _cut(got)
        return _Answer(without_thoughts(got.text or "") or got.text, note)
    text = without_thoughts(got.text or "")
    if declined(text):
        raise _NeedsRepl("the model asked for it")
    if got.truncated or not text:
        raise _NeedsRepl(_cut(got) or "the answer was cut at the output limit")
    if schema is None:
        return _Answer(text)
    try:
        return _Answer(await off_loop(parse, text, schema))
    except (SchemaMismatch, SchemaInvalid) as error:
        raise _NeedsRepl(f"the answer does not match the schema ({error})") from None


def _cut(got: CallResult) -> str | None:
    """Return a note on an answer that was cut; None for a whole one."""
    if not got.truncated:
        return None
    endless = repeats_itself(got.text or "")
    return "the answer repeated itself without end and was cut" if endless else "the answer was cut at the output limit"


async def _waiting(run: ActiveRun, deps: Dependencies, refused: ApprovalNeeded) -> dict[str, Any]:
    """Return the state of a run that waits for a reviewer; nothing has been sent."""
    item = spend_item(run, refused, 0)
    return {
        "asks": await stored_items([item], deps.stores.texts),
        "step": [{"kind": "direct", "turn": 0, "summary": f"waits for approval: {item['actions'][0]['description']}"}],
    }


def _repl(run: ActiveRun, why: str) -> dict[str, Any]:
    emit("direct", outcome="repl", why=why)
    return {"usage": run.usage, "step": [{"kind": "direct", "turn": 0, "summary": f"needs the REPL: {why}"}]}


def _nothing_left(run: ActiveRun, spent: BudgetSpent) -> dict[str, Any]:
    return {
        "last": True,
        "note": str(spent),
        "spent": spent.resource,
        "usage": run.usage,
        "step": [{"kind": "direct", "turn": 0, "summary": f"not asked: {spent}"}],
    }
