"""Answering one sub-call of a cell: its key, its request, and handing the answer to the code that waits."""

import asyncio
from collections import Counter

from ..kernel.session import Answered, Failed, Outcome, PostedCall
from ..state.keys import call_key, content_key, shared_key
from ..state.ledger import BudgetSpent
from .asking import Ask, Got, ask_once, failure_digest
from .events import emit
from .hands import Hands
from .live import LiveKernel, LiveRun
from .models.reply import ModelRequest

BETWEEN_REPORTS = 0.05
"""Seconds between two events that tell how far the calls are; the last one is told when the cell has ended."""
SUB_OUTPUT_TOKENS = 8_192
"""The output limit that a sub-call's request carries."""


class CallAnswerer:
    """Answers the calls of one cell. Safe for many calls at once."""

    def __init__(
        self, run: LiveRun, hands: Hands, kernel: LiveKernel, turn: int, *, recorded_only: bool = False
    ) -> None:
        """`recorded_only`: what has no recorded answer fails, and nothing is paid."""
        self._run = run
        self._hands = hands
        self._kernel = kernel
        self._turn = turn
        self._recorded_only = recorded_only
        self._occurrences: Counter[str] = Counter()
        self._shared: dict[str, asyncio.Task[Got]] = {}
        self._taken = self._answered = self._failed = self._reused = 0
        self._next_report = 0.0

    async def __call__(self, call: PostedCall) -> bool:
        """Answer `call` and deliver it; whether the code got an answer rather than an error."""
        self._taken += 1
        key = self._key(call)
        calls = self._kernel.calls
        calls.asked[key] = call.prompt
        try:
            if self._run.journal.find(key) is None:
                calls.paid.append(key)
                if self._recorded_only:
                    raise _NeverAsked("no answer to this call is recorded")
            outcome, digest = _outcome(await self._ask(call, key))
        except BudgetSpent as spent:
            outcome = Failed("budget", str(spent))
            digest = failure_digest(outcome.message)
        except (_NoSuchModel, _NeverAsked) as error:
            outcome = Failed("usage", str(error))
            digest = failure_digest(outcome.message)
        self._hands.probe("deliver-before")
        self._kernel.answers.add(key, digest)
        await self._kernel.session.deliver(call.id, outcome)
        self._hands.probe("deliver-after")
        ok = isinstance(outcome, Answered)
        self._report(ok)
        return ok

    def _key(self, call: PostedCall) -> str:
        model = call.model or self._run.settings.calls_model
        content = content_key(call.kind, call.prompt, model, call.schema)
        if call.cache:
            return shared_key(content)
        self._occurrences[content] += 1
        return call_key(self._turn, content, self._occurrences[content])

    async def _ask(self, call: PostedCall, key: str) -> Got:
        if not call.cache:
            return await self._ask_now(call, key)
        # Equal cached calls that are under way wait for the first of them.
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.ensure_future(self._ask_now(call, key))
        return await task

    async def _ask_now(self, call: PostedCall, key: str) -> Got:
        run = self._run
        name = call.model or run.settings.calls_model
        model = run.models.get(name)
        if model is None:
            raise _NoSuchModel(f"no model named {name!r} is configured; there are {', '.join(run.models)}")
        request = ModelRequest(
            messages=[{"role": "user", "content": call.prompt}],
            max_output_tokens=SUB_OUTPUT_TOKENS,
            role="sub",
            schema=call.schema,
        )
        got = await ask_once(run, self._hands, Ask(key, call.kind, self._turn, call.prompt, model, request))
        self._reused += got.reused
        return got

    def _report(self, ok: bool) -> None:
        self._answered += ok
        self._failed += not ok
        now = self._hands.clock()
        if now >= self._next_report:
            self._next_report = now + BETWEEN_REPORTS
            self.report()

    def report(self) -> None:
        """Tell how far the calls are."""
        if not self._taken:
            return
        emit(
            "calls",
            turn=self._turn,
            answered=self._answered,
            failed=self._failed,
            reused=self._reused,
            in_flight=self._taken - self._answered - self._failed,
            posted=self._taken + self._kernel.session.waiting,
            usage=self._run.usage,
        )


class _NoSuchModel(Exception):
    pass


class _NeverAsked(Exception):
    pass


def _outcome(got: Got) -> tuple[Outcome, str]:
    if got.error is not None:
        return Failed("model", got.error), got.digest
    return Answered(got.value), got.digest
