"""Answer a sub-call with a child run. The answer is journalled like any other, once the child run has ended."""

import json
from functools import partial

from ...state.call_records import Entry, Outcome
from ..runtime.active_runs import ActiveRun
from ..runtime.child_protocol import ChildCall
from ..runtime.dependencies import Dependencies
from ..runtime.parked_calls import WaitingChild
from .model_call import CallResult, failure_digest

CHILD_FAILED = "child"
"""The kind of error of a call whose child run failed."""


async def ask_child(run: ActiveRun, deps: Dependencies, call: ChildCall) -> CallResult | WaitingChild:
    """Return the child run's answer, recorded on disk, or what it waits for. Its cost is in its own journal.

    An answer that is missing because the budget is spent is not recorded: with another budget the child resumes. Raises
    what `Children.answer` raises.
    """
    assert run.children is not None, "nobody runs child threads"
    began = deps.clock()
    answer = await run.children.answer(run, call)
    if answer.waiting:
        return answer.waiting
    if answer.spent:
        message = answer.error or "the budget is spent"
        return CallResult(failure_digest(message), error=message, error_kind="budget")
    entry = Entry(call.key, "rlm", call.turn, run.depth, call.model, "")
    seconds = deps.clock() - began
    placing = run.placing.begin(call.question, call.cuts)
    places = await run.placing.soon(placing)
    if answer.error is not None:
        outcome = Outcome(error_kind=CHILD_FAILED, error=answer.error, known=0, cost=0.0, seconds=seconds)
        got = CallResult(failure_digest(answer.error), error=answer.error, error_kind=CHILD_FAILED)
    else:
        text = answer.value if call.schema is None else json.dumps(answer.value)
        digest = await deps.stores.texts.put(text)
        outcome = Outcome(answer=digest, known=0, cost=0.0, seconds=seconds, places=places)
        got = CallResult(digest, text=text, value=answer.value)
    deps.failpoint("child-journal-before")
    await run.journal.settle(entry, outcome)
    if places is None:
        run.placing.later(placing, partial(run.journal.place, call.key))
    deps.failpoint("child-journal-after")
    return got
