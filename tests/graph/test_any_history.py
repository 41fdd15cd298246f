"""Runs under any sequence of events: a state machine, compared with a simple model of each run's answer.

Rules: start, resume, stop, crash at any failpoint, fork at any step with a variable set, and (on a copy) flip a bit; of
runs with gates: approve, edit, reject, and decide about a request that does not wait. The second cell calls a child
run, which uses the same script, with an input. The model knows for each run the value of its variable when each cell
ran, and so its answer, and the decision about the code of each turn. Covers promises P1 to P9 and P11 together.
"""

import asyncio
import contextlib
import itertools
import os
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from durable_rlm import Runner
from durable_rlm.graph.run import Run
from durable_rlm.state import leases
from durable_rlm.state.errors import RlmError, UnknownThread, UsageError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.nodes.approval.waiting_run import APPROVE, edit, reject, requests
from tests.scripts import Asked, repl, write_script
from tests.turn_rows import contradicting_rows

CELLS = [
    "if context:\n    FINAL(llm_query(context))\n"
    "else:\n    limit = 3\n    seen = [llm_query(q) for q in ['a', 'b']]\n    shared = alias = [limit]",
    "alias.append(limit)\nbelow = rlm_query('child', context=f'c{limit}')\n"
    "more = llm_query_batched([f'{word}{limit}' for word in seen])",
    # A variable that is set after the run has ended leads to another turn.
    *["FINAL([limit, more, below, shared, shared is alias])"] * 19,
]
GATES = ("code", "calls>2")
_BY_TURN, _BY_CELL = "REPLIES[done]", "REPLIES[done - sum(m['content'].count('let this code run') for m in messages)]"
"""The choice of the next reply: a rejected one is sent again."""


class Crash(BaseException):
    """The death of the process; no later failpoint lets it continue."""


class Interruption:
    """A failpoint of one execution that calls `happens` at the point of this number and at each later one."""

    def __init__(self, number: int | None, happens: Callable[[], None]) -> None:
        self.points: list[str] = []
        self._number = number
        self._happens = happens

    def __call__(self, point: str) -> None:
        self.points.append(point)
        if self._number is not None and len(self.points) >= self._number:
            self._happens()

    @property
    def in_flight(self) -> int:
        """Requests that were sent and not recorded."""
        return self.points.count("request-before") - self.points.count("journal-after")


def dies() -> None:
    raise Crash


@dataclass(frozen=True)
class Expected:
    """The values of the variable `limit` when the second and the last cell ran."""

    second: int = 3
    last: int = 3

    @property
    def answer(self) -> list[Any]:
        more = [f"{word}{self.second}" for word in "AB"]
        return [self.last, more, f"C{self.second}", [3, self.second], True]


class AnyHistory(RuleBasedStateMachine):
    """One home, and the expected answers of its runs."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="any-history-"))
        self.home = self.folder / "home"
        self.model = write_script(self.folder / "m.py", [repl(cell) for cell in CELLS])
        script = self.folder / "m.py"
        script.write_text(script.read_text().replace(_BY_TURN, _BY_CELL))
        self.asked = Asked(self.model)
        self.loop = asyncio.Runner()
        self.expected: dict[str, Expected] = {}
        self.excused = 0
        """Requests in flight at a crash or a stop: only these may be paid again."""
        self.gated: list[str] = []
        """Threads whose code waits for approval."""
        self.decided: dict[tuple[str, int], str | None] = {}
        """The approved code by thread and turn, for threads with gates and their children; None: it was rejected."""
        self.answered: list[tuple[str, str]] = []
        """Threads and their approval requests that were decided."""
        self.executor = 0
        self.patch = pytest.MonkeyPatch()

    def teardown(self) -> None:
        try:
            for thread, expected in self.expected.items():
                run = self._execute(thread)
                hows = itertools.chain(["edit", "reject"], itertools.repeat("approve"))
                while run.status == "paused":
                    run = self._decide(run, next(hows))
                assert (run.status, run.answer) == ("answered", expected.answer)
                assert run.restore is None or not run.restore["lost"]
                assert self._do(lambda runner, thread=thread: runner.verify(thread)).problems == []
            self._check_what_ran()
        finally:
            self.loop.close()
            self.patch.undo()
            shutil.rmtree(self.folder)

    # -- rules

    @precondition(lambda self: len(self.expected) < 4)
    @rule(point=st.none() | st.integers(1, 120), gated=st.integers(0, 2).map(bool))
    def start(self, point: int | None, gated: bool) -> None:
        thread = f"t{len(self.expected)}"
        self.gated += [thread] * gated
        self.expected[thread] = Expected()
        self._crashing(thread, point)

    @precondition(lambda self: bool(self.expected))
    @rule(which=st.integers(0, 9), point=st.none() | st.integers(1, 80))
    def resume(self, which: int, point: int | None) -> None:
        self._crashing(self._thread(which), point)

    @precondition(lambda self: bool(self.expected))
    @rule(which=st.integers(0, 9), point=st.integers(1, 60))
    def stop(self, which: int, point: int) -> None:
        thread = self._thread(which)
        stopping: list[asyncio.Task[bool]] = []

        def begin() -> None:
            if not stopping and self.runner:
                stopping.append(asyncio.ensure_future(self.runner.stop(thread)))

        def stops() -> None:
            # The database's thread passes failpoints too.
            self.loop.get_loop().call_soon_threadsafe(begin)

        self._execute(thread, Interruption(point, stops))

    @precondition(lambda self: bool(self.expected) and len(self.expected) < 6)
    @rule(which=st.integers(0, 9), at=st.floats(0, 1), value=st.none() | st.integers(4, 9))
    def fork(self, which: int, at: float, value: int | None) -> None:
        parent, thread = self._thread(which), f"f{len(self.expected)}"
        try:
            steps = self._do(lambda runner: runner.queries.steps(parent))
        except UnknownThread:
            return  # it crashed before anything of it was saved
        # Variables can be set once the run is prepared.
        first = next((step["step"] for step in steps if step["kind"] == "prepare"), None)
        if first is None:
            return
        number = first + round(at * (len(steps) - first))
        before = self._rows(parent)
        change = {} if value is None else {"limit": value}
        self._do(lambda runner: runner.fork(parent, number, into=thread, set=change))
        assert self._rows(parent) == before, "a parent is only read"
        ended = [
            step["turn"]
            for step in steps[:number]
            if step["kind"] == "execute_code" and not step["summary"].startswith("waits")
        ]
        self.expected[thread] = forked(self.expected[parent], len(set(ended)), value)
        self.gated += [thread] * (parent in self.gated)
        reviewed = {step["turn"] for step in steps[:number] if step["summary"].startswith("a reviewer")}
        self.decided |= {
            (thread, turn): self.decided[parent, turn] for turn in reviewed if (parent, turn) in self.decided
        }

    @precondition(lambda self: bool(self.gated))
    @rule(
        which=st.integers(0, 9),
        hows=st.lists(st.sampled_from(["approve", "edit", "reject"]), min_size=2, max_size=5),
        point=st.none() | st.integers(1, 80),
    )
    def decide(self, which: int, hows: list[str], point: int | None) -> None:
        """Decide, with a crash: afterwards the request is decided, or it still waits."""
        thread = self.gated[which % len(self.gated)]
        run = self._execute(thread)
        with contextlib.suppress(Crash):
            for interruption, how in zip([Interruption(point, dies), *[None] * len(hows)], hows, strict=False):
                if run.status == "paused":
                    run = self._decide(run, how, interruption)

    @precondition(lambda self: bool(self.answered))
    @rule(which=st.integers(0, 99), mistaken=st.booleans())
    def decide_about_a_request_that_does_not_wait(self, which: int, mistaken: bool) -> None:
        """Decide a request that is decided; or, if `mistaken`, the waiting one with the digest of another."""
        thread, name = self.answered[which % len(self.answered)]
        run = self._do(lambda runner: runner.read(thread))
        options: dict[str, Any] = {"interrupt": name}
        if mistaken and run.interrupts:
            options = {"interrupt": run.interrupts[0]["id"], "shown": "0" * 64}
        before = self._rows(thread)
        number = len(requests(run)) or 1
        with pytest.raises(UsageError):
            self._do(lambda runner: runner.decide(thread, [APPROVE] * number, **options))
        assert self._rows(thread) == before

    @precondition(lambda self: bool(self.expected) and self.home.exists())
    @rule(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def flip_a_bit(self, place: float, bit: int) -> None:
        """Flip a bit in a copy of the home: no answer is wrong without a report."""
        copy = Path(shutil.copytree(self.home, self.folder / "copy"))
        try:
            with closing(sqlite3.connect(copy / "checkpoints.sqlite")) as connection:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            files = sorted(path for path in copy.rglob("*") if path.is_file() and path.stat().st_size)
            data = [path.read_bytes() for path in files]
            at = int(place * sum(map(len, data)))
            for path, body in zip(files, data, strict=True):
                if at < len(body):
                    path.write_bytes(body[:at] + bytes([body[at] ^ 1 << bit]) + body[at + 1 :])
                    break
                at -= len(body)
            before = len(self.asked)
            for thread, expected in self.expected.items():
                try:
                    run = self._execute(thread, home=copy)
                except RlmError:
                    continue
                if run.status == "answered":
                    assert run.answer == expected.answer or (run.restore and run.restore["lost"]), (thread, place)
            self.excused += len(self.asked) - before
        finally:
            shutil.rmtree(copy)

    # -- invariants

    @invariant()
    def nothing_recorded_is_paid_twice(self) -> None:
        if self._has_tables():
            with closing(sqlite3.connect(self.home / "checkpoints.sqlite")) as connection:
                paid, attempts = connection.execute(
                    "SELECT coalesce(sum(status != 'asked' AND attempts > 0), 0), coalesce(sum(attempts), 0) FROM calls"
                ).fetchone()
            assert len(self.asked) <= paid + self.excused
            assert len(self.asked) - self.excused <= attempts, "every request counts as spent"

    @invariant()
    def the_rows_of_turns_say_what_the_steps_say(self) -> None:
        if self._has_tables():
            with closing(sqlite3.connect(self.home / "checkpoints.sqlite")) as connection:
                assert contradicting_rows(connection) == []

    # -- helpers

    def _has_tables(self) -> bool:
        if not (self.home / "checkpoints.sqlite").exists():
            return False
        with closing(sqlite3.connect(self.home / "checkpoints.sqlite")) as connection:
            return connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'calls'").fetchone() == (1,)

    def _thread(self, which: int) -> str:
        return list(self.expected)[which % len(self.expected)]

    def _rows(self, thread: str) -> list[Any]:
        with closing(sqlite3.connect(self.home / "checkpoints.sqlite")) as connection:
            tables = ("threads", "steps", "checkpoints", "writes", "calls")
            return [
                connection.execute(f"SELECT * FROM {table} WHERE thread_id = ? ORDER BY 1, 2, 3", (thread,)).fetchall()
                for table in tables
            ]

    def _crashing(self, thread: str, point: int | None) -> None:
        """Execute the thread, and if it then waits for approval, approve once and execute it again."""
        interruption = Interruption(point, dies)
        try:
            run = self._execute(thread, interruption)
            if run.status == "paused":
                run = self._decide(run, "approve", Interruption(point, dies))
        except Crash:
            return
        if run.status != "paused" or thread not in self.gated:
            assert (run.status, run.answer) == ("answered", self.expected[thread].answer)

    def _decide(self, run: Run, how: str, interruption: Interruption | None = None) -> Run:
        """Decide about all waiting code in the same way, and approve calls. Return the run. Raises Crash."""
        interruption, thread, now = interruption or Interruption(None, dies), run.thread_id, None
        [waiting], decisions = run.interrupts, [decision(action, how) for action in requests(run)]
        try:
            now = self._do(lambda runner: runner.decide(thread, decisions, interrupt=waiting["id"]), interruption)
            return now
        finally:
            self.excused += interruption.in_flight
            now = now or self._do(lambda runner: runner.read(thread))
            if waiting["id"] not in [one["id"] for one in now.interrupts]:
                self.answered.append((thread, waiting["id"]))
                for action, one in zip(requests(run), decisions, strict=True):
                    if action["name"] == "execute_code":
                        self.decided[action["thread_id"], action["turn"]] = code_after(action, one)

    def _check_what_ran(self) -> None:
        """Check that the code that ran is the code that was approved, and in runs with gates no other."""
        for thread in {*self.gated, *(thread for thread, _ in self.decided)}:
            shown = self._do(lambda runner, thread=thread: runner.queries.show(thread, runner.graph))
            for turn in shown["turns"]:
                name, ran = (thread, turn["turn"]), "\n\n".join(turn["code"]) if turn["status"] else None
                # The sub-RLM of a fork is not needed once the run that the fork comes from has an answer to the same
                # call: that answer is reused, whatever was decided about the sub-RLM since.
                if shown["status"] == "paused" and ran is None:
                    assert thread not in self.expected
                elif name in self.decided or thread in self.gated:
                    assert self.decided[name] == ran, name

    def _execute(self, thread: str, interruption: Interruption | None = None, home: Path | None = None) -> Run:
        """Start or resume the thread. Return the run."""
        interruption = interruption or Interruption(None, dies)

        async def execute(runner: Runner) -> Run:
            if thread.startswith("f"):
                return await runner.resume(thread)
            gates = GATES if thread in self.gated else ()
            return await runner.run("What?", model=self.model, thread=thread, concurrency=2, max_depth=2, approve=gates)

        try:
            return self._do(execute, interruption, home)
        finally:
            self.excused += interruption.in_flight

    def _do(
        self, work: Callable[[Runner], Any], interruption: Interruption | None = None, home: Path | None = None
    ) -> Any:
        return self.loop.run(self._with_runner(work, interruption or Interruption(None, dies), home or self.home))

    async def _with_runner(self, work: Callable[[Runner], Any], interruption: Interruption, home: Path) -> Any:
        async with self._opened(interruption, home) as runner:
            return await work(runner)

    @asynccontextmanager
    async def _opened(self, interruption: Interruption, home: Path) -> AsyncGenerator[Runner]:
        """Yield a runner whose leases name a process of its own that does not exist."""
        self.executor += 1
        dead = {**self._me, "pid": 4_194_304 + self.executor}
        self.patch.setattr(leases, "this_process", lambda: dead)
        async with Runner.open(home, kernels=MemoryKernels(), failpoint=interruption) as runner:
            self.runner = runner
            yield runner

    runner: Runner | None = None
    _me = leases.this_process()


def decision(action: dict[str, Any], how: str) -> dict[str, Any]:
    """Return a reviewer's decision about an action: code is treated as `how` says, all else is approved."""
    if action["name"] != "execute_code" or how == "approve":
        return APPROVE
    return edit(code=action["args"]["code"] + "\nedited = True") if how == "edit" else reject("once more")


def code_after(action: dict[str, Any], decided: dict[str, Any]) -> str | None:
    """Return the code that runs after a decision about code; None: none."""
    match decided["type"]:
        case "approve":
            return action["args"]["code"]
        case "edit":
            return decided["edited_action"]["args"]["code"]
        case _:
            return None


def forked(parent: Expected, ended: int, value: int | None) -> Expected:
    """Return the expected values of a fork that has the first `ended` cells of its parent, and then sets `limit`."""
    if value is None or ended == 0:
        # The first cell sets it.
        return parent if ended else Expected()
    if ended == 1:
        return Expected(value, value)
    return replace(parent, last=value)


AnyHistory.TestCase.settings = settings(
    max_examples=int(os.environ.get("RLM_HISTORIES", "4")),
    stateful_step_count=10,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
TestAnyHistory = AnyHistory.TestCase
