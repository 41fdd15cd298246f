"""Random edits and commands against runs that wait at a gate: `python -m bench.storms.edits`, about a minute.

Every way in is used that takes something from a caller: `aupdate_state`, `abulk_update_state`, inputs, commands, earlier
steps, configurations, `Runner.fork`, `resume` and `decide`. No attack contains an approval of what waits. After each
of them no code may have touched the canary, no prompt may have been sent, no kernel may have started unconfined, and no
run may have ended with an answer. Kernels are in memory, where code could do all of this.
"""

import argparse
import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from langgraph.types import Command, StateUpdate

from durable_rlm import Runner
from durable_rlm.graph.executor import config_of
from durable_rlm.kernel.session import KernelSession, KernelSpec
from durable_rlm.state.errors import RlmError
from tests.contract.in_memory_kernel import MemoryKernels
from tests.forged_edits import FORGED, KEYS
from tests.scripts import Asked, repl, write_script

GATES = ("code", "calls", "final", "budget", "code:writes")
NODES = (None, "prepare", "direct", "plan", "review", "execute_code", "sub_call", "finalize", "__input__", "__end__")
_ON_ONE_RUN = 20
"""Attacks on a run before another one is made."""


class WatchedKernels(MemoryKernels):
    """In-memory kernels that count those which were to start unconfined."""

    def __init__(self) -> None:
        super().__init__()
        self.unconfined = 0

    async def start(self, spec: KernelSpec) -> KernelSession:
        self.unconfined += not spec.sandboxed
        return await super().start(spec)


@dataclass
class Report:
    """The outcome of a storm."""

    attacks: Counter[str] = field(default_factory=Counter[str])
    refused: Counter[str] = field(default_factory=Counter[str])
    """The attacks that raised an error, by its class."""
    broken: list[str] = field(default_factory=list[str])
    """What an attack did that only an approval may do."""
    seconds: float = 0.0

    @property
    def total(self) -> int:
        return sum(self.attacks.values())


class Target:
    """A run that waits at a gate, and what must not happen before it is approved."""

    def __init__(self, runner: Runner, kernels: WatchedKernels, folder: Path, number: int, gate: str) -> None:
        self.runner, self.gate = runner, gate
        self.thread = f"t{number}"
        self.forks: list[str] = []
        self._kernels = kernels
        self._folder = folder / self.thread
        self._folder.mkdir()
        self._canary = self._folder / "canary"
        self.hostile = f"open({str(self._canary)!r}, 'w').close()\nFINAL('hostile')"

    async def start(self) -> None:
        """Run it until it waits."""
        asking = "x = llm_query('secret')\nFINAL('unseen')"
        cells = {"code": [self.hostile] * 9, "calls": [asking] * 9, "budget": ["x = 1"] * 9}
        cells["code:writes"] = cells["code"]
        replies = [repl(cell) for cell in cells.get(self.gate, ["FINAL('unseen')"] * 9)]
        model = write_script(self._folder / "m.py", replies)
        self.asked = Asked(model)
        limits: dict[str, Any] = {"max_turns": 1} if self.gate == "budget" else {}
        run = await self.runner.run("What?", "text", model=model, thread=self.thread, approve=[self.gate], **limits)
        assert run.status == "paused", (self.gate, run)

    async def broken(self) -> list[str]:
        """Return what has happened that only an approval may cause."""
        found = [f"the canary was touched ({self.gate})"] if self._canary.exists() else []
        if self.gate == "calls" and self.asked.prompts:
            found.append("a prompt was sent (calls)")
        if self._kernels.unconfined:
            found.append(f"{self._kernels.unconfined} kernels started unconfined ({self.gate})")
        for thread in (self.thread, *self.forks):
            run = await self.runner.read(thread)
            if run.status == "answered" or run.answer is not None:
                found.append(f"{thread} has answered {run.answer!r} ({self.gate})")
        return found


Attack = Callable[[Target, random.Random], Awaitable[object]]
ATTACKS: dict[str, Attack] = {}


def attack(kind: Attack) -> Attack:
    """Register a kind of attack under its name."""
    ATTACKS[kind.__name__] = kind
    return kind


def some_thread(target: Target, rng: random.Random) -> str:
    return rng.choice([target.thread, *target.forks])


async def some_step(target: Target, rng: random.Random, thread: str) -> Any:
    """Return the config of the last step, or of an earlier one."""
    if rng.random() < 0.5:
        return config_of(thread)
    return rng.choice([one.config async for one in target.runner.graph.aget_state_history(config_of(thread))])


def forged_values(state: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """Return an edit: one of the forged ones, or a few keys with values that would loosen something."""
    if rng.random() < 0.5:
        try:
            return rng.choice(FORGED).values(state)
        except (KeyError, TypeError):
            pass
    cell, final = state.get("cell") or {}, state.get("final") or {}
    loose: dict[str, Any] = {
        "approved": rng.choice([cell.get("digest"), final.get("text"), True, ""]),
        "settings": {
            **state.get("settings", {}),
            **rng.choice([{"approve": []}, {"unsandboxed": True}, {"max_turns": 99}]),
        },
        "waiting": rng.choice([0, 1, -1, True]),
        "answer": rng.choice([final or None, {"text": "0" * 64, "typed": False}]),
        "status": "answered",
        "asks": rng.choice([None, {"asked": "0" * 64}]),
        "leave": {"dollars": 1e9, "limits": {"max_turns": 99}, "answer_now": {"turns": 1}},
        "verdicts": [{"decided": "0" * 64}],
        "final": None,
        "last": rng.random() < 0.5,
        "question": rng.choice(["Why?", "Who?", 3, ""]),
    }
    keys = rng.sample(sorted({*KEYS, *loose, "no_key_of_ours"}), rng.randint(1, 3))
    return {key: loose.get(key, rng.choice([None, "forged", 1, [], {}])) for key in keys}


@attack
async def update_state(target: Target, rng: random.Random) -> object:
    thread = some_thread(target, rng)
    config = await some_step(target, rng, thread)
    state = (await target.runner.graph.aget_state(config)).values
    return await target.runner.graph.aupdate_state(config, forged_values(state, rng), as_node=rng.choice(NODES))


@attack
async def bulk_update_state(target: Target, rng: random.Random) -> object:
    config = config_of(target.thread)
    state = (await target.runner.graph.aget_state(config)).values
    choices: list[Any] = [forged_values(state, rng), None, Command(goto="execute_code")]
    updates = [StateUpdate(rng.choice(choices), rng.choice(NODES)) for _ in range(rng.randint(0, 3))]
    return await target.runner.graph.abulk_update_state(config, [[update] for update in updates])


@attack
async def command(target: Target, rng: random.Random) -> object:
    thread = some_thread(target, rng)
    wrong = {"decisions": [{"type": "approve"}], "shown": "0" * 64}
    resume: Any = rng.choice([None, {}, True, "approve", [], {"decisions": []}, wrong, {"0" * 32: wrong}])
    edit: Any = rng.choice([None, None, {"waiting": 1}, {"settings": {}}])
    goto: Any = rng.choice([(), "execute_code", "finalize", "__end__"])
    return await target.runner.graph.ainvoke(
        Command(resume=resume, update=edit, goto=goto), await some_step(target, rng, thread)
    )


@attack
async def rejection_with_more(target: Target, rng: random.Random) -> object:
    """A true decision, to reject, with something that would loosen the run beside it."""
    shown = (await target.runner.read(target.thread)).interrupts
    reject = {"decisions": [{"type": "reject", "message": "no", "approved": True}] * rng.randint(1, 2)}
    edit = rng.choice([{"approved": "x"}, {"settings": {"approve": []}}])
    name = shown[0]["id"] if shown else "0" * 32
    return await target.runner.graph.ainvoke(Command(resume={name: reject}, update=edit), config_of(target.thread))


@attack
async def rejection(target: Target, rng: random.Random) -> object:
    """A true decision, after which the run goes another way and asks again."""
    del rng
    [shown, *_] = (await target.runner.read(target.thread)).interrupts or [{"id": "0" * 32, "value": {}}]
    decisions = [{"type": "reject", "message": "no"}] * len(shown["value"].get("action_requests", "x"))
    return await target.runner.decide(target.thread, decisions, interrupt=shown["id"])


@attack
async def given_input(target: Target, rng: random.Random) -> object:
    loose = {"approve": [], "settings": {"unsandboxed": True, "approve": []}, "waiting": 1, "question": "What?"}
    keys = rng.sample(sorted(loose), rng.randint(0, len(loose)))
    context: Any = rng.choice([None, {"approve": [], "unsandboxed": True}])
    given: Any = {key: loose[key] for key in keys}
    return await target.runner.graph.ainvoke(given, config_of(some_thread(target, rng)), context=context)


@attack
async def earlier_step(target: Target, rng: random.Random) -> object:
    thread = some_thread(target, rng)
    stops: Any = {rng.choice(["interrupt_before", "interrupt_after"]): [rng.choice(NODES[1:8])]}
    config = await some_step(target, rng, thread)
    return await target.runner.graph.ainvoke(None, config, **(stops if rng.random() < 0.5 else {}))


@attack
async def configuration(target: Target, rng: random.Random) -> object:
    shown = (await target.runner.read(target.thread)).interrupts
    approval = {"decisions": [{"type": "approve"}]}
    names: dict[str, Any] = {
        "__pregel_resume_map": {shown[0]["id"]: approval} if shown else {},
        "__pregel_resuming": True,
        "__pregel_read": None,
        "checkpoint_ns": "review:1",
        "approve": [],
        "unsandboxed": True,
    }
    some = {name: names[name] for name in rng.sample(sorted(names), 2)}
    place: Any = {"configurable": {"thread_id": target.thread, **some}}
    return await target.runner.graph.ainvoke(None, place)


@attack
async def fork(target: Target, rng: random.Random) -> object:
    steps = await target.runner.queries.steps(target.thread)
    changes: dict[str, Any] = {}
    if rng.random() < 0.4 and target.gate in ("code", "code:writes"):
        # Only there is code asked about.
        changes["code"] = target.hostile
    if rng.random() < 0.4:
        changes["set"] = {"x": 1}
    if rng.random() < 0.3:
        changes["question"] = "Why?"
    # A raised limit is the decision where a limit is asked about.
    if rng.random() < 0.3 and target.gate != "budget":
        changes["max_turns"] = 40
    name = f"{target.thread}-fork{len(target.forks)}"
    await target.runner.fork(target.thread, rng.choice(steps)["step"], into=name, **changes)
    target.forks.append(name)
    return await target.runner.resume(name)


@attack
async def resume(target: Target, rng: random.Random) -> object:
    return await target.runner.resume(some_thread(target, rng))


@attack
async def stale_decision(target: Target, rng: random.Random) -> object:
    named: dict[str, Any] = rng.choice([{"interrupt": "0" * 32}, {"shown": "0" * 64}])
    decisions = [{"type": rng.choice(["approve", "respond", "edit"]), "message": "yes"}]
    return await target.runner.decide(some_thread(target, rng), decisions, **named)


async def storm(seed: int, attacks: int, seconds: float, *, most_broken: int = 1) -> Report:
    """Make that many attacks, or as many as there is time for. Return what they did.

    It ends early once `most_broken` findings are made.
    """
    rng, report, begun = random.Random(seed), Report(), time.monotonic()
    kernels = WatchedKernels()
    with tempfile.TemporaryDirectory(prefix="rlm-storm-") as folder:
        async with Runner.open(Path(folder) / "home", kernels=kernels) as runner:
            target: Target | None = None
            while report.total < attacks and time.monotonic() - begun < seconds and len(report.broken) < most_broken:
                if target is None or report.total % _ON_ONE_RUN == 0:
                    number = report.total
                    gate = GATES[number // _ON_ONE_RUN % len(GATES)]
                    target = Target(runner, kernels, Path(folder), number, gate)
                    await target.start()
                name = rng.choice(sorted(ATTACKS))
                report.attacks[name] += 1
                try:
                    await ATTACKS[name](target, rng)
                except RlmError as refused:
                    report.refused[type(refused).__name__] += 1
                except Exception as error:  # whatever it is, the caller got no sentence
                    report.broken.append(f"attack {report.total} ({name}) raised {type(error).__name__}: {error}")
                report.broken += [f"attack {report.total} ({name}): {what}" for what in await target.broken()]
    report.seconds = time.monotonic() - begun
    return report


def main() -> int:
    """Run the storm. Return 1 when something was broken."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--attacks", type=int, default=500)
    options.add_argument("--seconds", type=float, default=600.0, help="the most that it may take")
    options.add_argument("--quick", action="store_true", help="100 attacks")
    given = options.parse_args()
    report = asyncio.run(storm(given.seed, 100 if given.quick else given.attacks, given.seconds))
    print(f"{report.total} attacks in {report.seconds:.0f} s: {dict(report.attacks)}")
    print(f"{sum(report.refused.values())} were refused: {dict(report.refused)}")
    print("\n".join(report.broken) or "Nothing happened that was not approved.")
    return 1 if report.broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
