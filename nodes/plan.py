"""`plan`: ask the root model for one turn, and read the next cell out of its reply."""

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..state.approval_records import ApprovalItem
from ..state.budget import ApprovalNeeded, BudgetSpent, Resource
from ..state.call_keys import cell_digest, request_digest, root_key
from ..state.errors import ModelFailed
from ..state.run_state import RunState, TurnRecord
from ..state.wording import counted
from .approval.budget_gate import apply_budget_grant, asks_about
from .approval.requests import budget_item, spend_item, stored_items
from .models.provider_protocol import Message, ModelRequest
from .models.tokens import estimate_messages
from .prompts.root_request import old_prompt_digest, prompt_digest, root_messages
from .replies.extract_code import Reading, Reason, nothing_to_run, read_reply
from .replies.repetition import repeats_itself
from .replies.thoughts import Spoken, take_off_thoughts
from .runtime.active_runs import ActiveRun, ActiveRuns
from .runtime.dependencies import Dependencies
from .runtime.events import emit, emit_writing
from .runtime.fallback import changed_at, fall_back, saved_with, turns_failed
from .runtime.output_limits import LAST_OUTPUT_TOKENS, LEAST_LAST_OUTPUT, LEAST_OUTPUT, ROOT_OUTPUT_TOKENS, output_limit
from .runtime.seen import shown_cuts
from .runtime.turns import short_form
from .sub_calls.keys import parameters_of
from .sub_calls.model_call import CallResult, ModelCall, call_once, root_failed

MOST_CODELESS = 4
"""Turns without code, one after another, after which a run fails: the model does not write any."""
_WITHOUT_ANSWER: Mapping[str | None, Reason] = {"empty": "empty", "thoughts": "thinking", "cut": "cut"}
"""The reasons why there is nothing to run, by the kind of failure of a reply without an answer."""


async def plan(state: RunState, active_runs: ActiveRuns, deps: Dependencies, thread_id: str) -> dict[str, Any]:
    """Ask the root model for its next cell. Raises ModelFailed when it gives none; the turn is then asked again.

    A fallback takes over from a root model that has failed for some turns, or for good.
    """
    run = await active_runs.get(thread_id, state)
    await apply_budget_grant(run, state, deps)
    fallback = run.settings.fallback
    if fallback and turns_failed(state, run) >= fallback.after:
        fall_back(state, run, f"has failed {fallback.after} turns in a row")
    return saved_with(run, await _plan(state, run, deps))


async def _plan(state: RunState, run: ActiveRun, deps: Dependencies) -> dict[str, Any]:
    turn = state.get("turn", 0) + 1
    digest = _root_digest(state, run, turn)
    # A turn that was answered before its process died is used as it is recorded, whatever budget is left now.
    answered = run.journal.find(root_key(turn, digest, last=False)) is not None
    last = None if answered else _last(run, turn)
    if last is not None and asks_about(run, last):
        return await _waiting(run, deps, turn, budget_item(run, last, turn - 1))
    try:
        try:
            got = await _request_turn(state, run, deps, turn, digest, last)
        except BudgetSpent as spent:
            if last is not None:
                raise
            if asks_about(run, spent.resource):
                return await _waiting(run, deps, turn, budget_item(run, spent.resource, turn - 1))
            # There is not enough for an ordinary turn; what was kept back is for a last one.
            last = spent.resource
            got = await _request_turn(state, run, deps, turn, digest, last)
    except BudgetSpent as spent:
        return _nothing_left(state, spent)
    except ApprovalNeeded as refused:
        return await _waiting(run, deps, turn, spend_item(run, refused, turn - 1))
    emit("usage", **run.usage, elapsed=run.ledger.seconds)
    reading = _read(got)
    if not reading.blocks and last is None:
        _check_writes_code(state, run)
    deps.failpoint("plan-end")
    return await _planned(run, deps, turn, got, reading, last)


def _check_writes_code(state: RunState, run: ActiveRun) -> None:
    """Raise ModelFailed when this turn, which has no code, follows too many others without any."""
    since = changed_at(state)
    before = [turn for turn in run.transcript.turns(state) if turn.get("number", 0) > since][1 - MOST_CODELESS :]
    if len(before) == MOST_CODELESS - 1 and not any(turn.get("blocks") for turn in before):
        raise ModelFailed(
            f"{run.root_model.name} wrote no code in {MOST_CODELESS} turns, although it was told each time to.",
            hint="Name another one with --model, or ask anew with --mode direct if the input fits into one request.",
        )


def _read(got: CallResult) -> Reading:
    """Return what the reply asks to run. Raises ModelFailed when the model gave none.

    A reply without an answer is one without code: the model is sent a note about it, which takes a turn.
    """
    if got.text is None:
        if got.error_kind not in _WITHOUT_ANSWER:
            raise root_failed(got)
        reason = _WITHOUT_ANSWER[got.error_kind]
        return nothing_to_run("endless" if reason == "cut" and repeats_itself(got.thoughts) else reason)
    # A reply that an earlier version recorded may hold thoughts.
    spoken = take_off_thoughts(got.text) if got.reused else Spoken(got.text)
    return read_reply(spoken.text, truncated=got.truncated, thought=bool(got.thoughts or spoken.thoughts))


async def _waiting(run: ActiveRun, deps: Dependencies, turn: int, item: ApprovalItem) -> dict[str, Any]:
    """Return the state of a run that waits for a reviewer before its turn begins."""
    summary = f"turn {turn} waits for approval: {item['actions'][0]['description']}"
    return {
        "asks": await stored_items([item], deps.stores.texts),
        "usage": run.usage,
        "step": [{"kind": "plan", "turn": turn - 1, "summary": summary}],
    }


def _root_digest(state: RunState, run: ActiveRun, turn: int) -> str:
    """Return the digest for the turn's key: of an earlier version, if its answer is recorded under that."""
    if run.journal.old_keys:
        old = old_prompt_digest(state, run)
        if any(run.journal.find(root_key(turn, old, last=last)) for last in (False, True)):
            return old
    return prompt_digest(state, run)


def _last(run: ActiveRun, turn: int) -> Resource | None:
    """Return what makes this turn the last one, or None.

    A last turn must answer, and may use the request that was kept back for it.
    """
    if turn >= run.ledger.limits.max_turns:
        return "turns"
    return run.ledger.exhausted()


async def _request_turn(
    state: RunState, run: ActiveRun, deps: Dependencies, turn: int, digest: str, last: Resource | None
) -> CallResult:
    """Return the root model's reply, or the fallback's when the root model has failed for good. Raises BudgetSpent.

    `last`: the resource that makes this the last turn.
    """
    emit("turn", turn=turn, of=run.ledger.limits.max_turns, last=last is not None)
    got = await _ask_fitting(state, run, deps, turn, digest, last)
    failed = got.text is None and got.error_kind not in _WITHOUT_ANSWER
    if failed and fall_back(state, run, "has failed"):
        got = await _ask_fitting(state, run, deps, turn, digest, last)
    return got


async def _ask_fitting(
    state: RunState, run: ActiveRun, deps: Dependencies, turn: int, digest: str, last: Resource | None
) -> CallResult:
    """Return the root model's reply to a request that is shortened, once, when it is longer than the model can read.

    Later requests are then shortened at once.
    """
    messages = await root_messages(state, run, deps, last=last)
    got = await _ask(state, run, deps, turn, digest, last, messages)
    if got.error_kind != "too_long" or run.window is not None:
        return got
    run.window = got.window or estimate_messages(messages) // 2
    shorter = await root_messages(state, run, deps, last=last)
    if estimate_messages(shorter) >= estimate_messages(messages):
        return got
    emit("notice", text="The conversation is longer than the root model can read: earlier turns are shortened.")
    return await _ask(state, run, deps, turn, digest, last, shorter)


async def _ask(
    state: RunState,
    run: ActiveRun,
    deps: Dependencies,
    turn: int,
    digest: str,
    last: Resource | None,
    messages: list[Message],
) -> CallResult:
    cuts = await shown_cuts(state, run, deps.stores.blobs)
    short = last not in (None, "turns")
    limit = output_limit(run.root_model, LAST_OUTPUT_TOKENS if short else ROOT_OUTPUT_TOKENS)
    request = ModelRequest(
        messages=messages, max_output_tokens=limit, role="root", on_output=partial(emit_writing, turn)
    )
    run.keep_last_turn(estimate_messages(messages))
    sent = await run.sent_messages.stored(messages, deps.stores.texts)
    parameters = parameters_of(run.settings.root_spec.options)
    call = ModelCall(
        key=root_key(turn, digest, last=last is not None),
        kind="root",
        turn=turn,
        prompt=messages[-1]["content"],
        model=run.root_model,
        request=request,
        parameters=parameters,
        digest=request_digest(run.root_model.name, run.root_model.server, parameters, "root", sent),
        messages=sent,
        cuts=cuts,
        last_turn=last is not None,
        least_output=LEAST_LAST_OUTPUT if short else LEAST_OUTPUT,
        record_failure=False,
    )
    return await call_once(run, deps, call)


async def _planned(
    run: ActiveRun, deps: Dependencies, turn: int, got: CallResult, reading: Reading, last: Resource | None
) -> dict[str, Any]:
    texts = deps.stores.texts
    blocks = [await texts.put(block) for block in reading.blocks]
    record: TurnRecord = {
        "number": turn,
        "reply": await texts.put(got.text or ""),
        "blocks": blocks,
        "nudge": reading.nudge,
        "notes": list(reading.notes),
        "short": short_form("", reading.blocks),
    }
    if reading.summary:
        record["summary"] = reading.summary
    if got.thoughts:
        record["thoughts"] = await texts.put(got.thoughts)
    if blocks:
        summary = counted(len(blocks), "block of code")
    else:
        emit("nudge", turn=turn, reason=reading.reason)
        summary = f"nothing to run: {reading.reason}"
    return {
        "turn": turn,
        "last": last is not None,
        "spent": last,
        "cell": {"turn": turn, "blocks": blocks, "digest": cell_digest(turn, blocks)} if blocks else None,
        "turns": [record],
        "usage": run.usage,
        "step": [{"kind": "plan", "turn": turn, "summary": summary}],
    }


def _nothing_left(state: RunState, spent: BudgetSpent) -> dict[str, Any]:
    """Return the state of a run whose budget does not allow even a last turn: the run ends here."""
    return {
        "last": True,
        "cell": None,
        "note": str(spent),
        "spent": spent.resource,
        "step": [{"kind": "plan", "turn": state.get("turn", 0), "summary": f"not asked: {spent}"}],
    }
