"""The outbox and its sender: in order, again after failures, given up in the end, and never waited for for long."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from durable_rlm.graph.notifying import WAITS, Notifier
from durable_rlm.nodes.notify.failures import SendingFailed
from durable_rlm.state.budget import BudgetLedger, Limits
from durable_rlm.state.notifications import Kind, Occurrence
from durable_rlm.state.open_home import open_home
from durable_rlm.state.stores import Stores
from durable_rlm.state.usage import UsageTotals
from tests.fake_sleep import FakeSleep

NOW = 1_000_000.0


@dataclass
class Target:
    """Stands in for a target: fails as often as `failures` says, each time in the same way."""

    failures: int = 0
    then: Any = "again"
    hangs: bool = False
    sent: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    """Targets and events of all attempts."""

    async def __call__(self, target: str, body: str, event: str, **how: Any) -> None:
        del body, how
        self.sent.append((target, event))
        if self.hangs:
            await asyncio.sleep(600)
        if len(self.sent) <= self.failures:
            raise SendingFailed("it failed", self.then)


class Sending:
    """A notifier over a home with the run `t`, what it has reported, and its waits."""

    def __init__(self, stores: Stores, target: Target, sleep: Any) -> None:
        self.stores = stores
        self.sleep = sleep
        self.notices: list[str] = []
        self.notifier = Notifier(stores, cast(Any, None), cast(Any, None), send=cast(Any, target), sleep=self.sleep)

    async def enter(self, kind: Kind, detail: Any, *targets: str) -> None:
        unit = self.stores.notifications.entering("t", targets, Occurrence(kind, (detail,), {}))
        await self.stores.database.commit(unit)

    def deliver(self) -> None:
        self.notifier.deliver("t", lambda event: self.notices.append(cast(Any, event)["text"]))


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncGenerator[Stores]:
    async with open_home(tmp_path / "home", lambda: NOW) as stores:
        settings = {"notify": ["one", "two"], "notify_key": ""}
        await stores.threads.add(
            "t", question="What?", input_digest="", start={"settings": settings}, model="m",
            limits=Limits(max_turns=1, max_calls=1),
        )  # fmt: skip
        yield stores


async def test_events_of_a_run_go_to_a_target_in_the_order_in_which_they_were_entered(stores: Stores) -> None:
    sending = Sending(stores, target := Target(), FakeSleep())
    for number in range(20):
        await sending.enter("waiting", number, "one")
    entered = await stores.database.read("SELECT event FROM notifications ORDER BY created")
    sending.deliver()
    await sending.notifier.settle(10)
    assert [event for _, event in target.sent] == [event for (event,) in entered]
    assert len(target.sent) == 20 and sending.notices == []


async def test_an_event_that_is_entered_again_is_sent_once(stores: Stores) -> None:
    sending = Sending(stores, target := Target(), FakeSleep())
    for _ in range(2):
        await sending.enter("answered", 7, "one", "two")
        sending.deliver()
        sending.deliver()
        await sending.notifier.settle(10)
    assert sorted(name for name, _ in target.sent) == ["one", "two"]
    assert len({event for _, event in target.sent}) == 1


@pytest.mark.parametrize("held", [True, False], ids=["held", "lost"])
async def test_only_the_process_that_holds_the_lease_enters_that_most_of_a_limit_is_used(
    stores: Stores, held: bool
) -> None:
    run = SimpleNamespace(ledger=BudgetLedger(Limits(max_turns=1, max_calls=10), UsageTotals(model_calls=9)))
    looks: list[float] = []

    async def sleep(seconds: float) -> None:
        looks.append(seconds)
        if len(looks) == 3:
            raise asyncio.CancelledError

    def find(thread_id: str) -> Any:
        return run

    active_runs = cast(Any, SimpleNamespace(find=find))
    notifier = Notifier(stores, active_runs, cast(Any, None), send=cast(Any, Target(hangs=True)), sleep=sleep)
    await stores.leases.acquire("t")
    if not held:
        await stores.database.commit(lambda connection: connection.execute("UPDATE leases SET token = token + 1"))
    with contextlib.suppress(asyncio.CancelledError):
        await notifier.watch("t")
    assert await stores.notifications.count("t") == (2 if held else 0), "one for each target"
    notifier.hurry()
    await notifier.close()


async def test_an_event_that_is_entered_while_the_sender_ends_is_sent(stores: Stores) -> None:
    sending = Sending(stores, target := Target(), FakeSleep())
    for number in range(50):
        await sending.enter("waiting", number, "one")
        sending.deliver()
    await sending.notifier.settle(10)
    assert len(target.sent) == 50


async def test_a_failed_attempt_is_repeated_later_and_later_with_the_same_id(stores: Stores) -> None:
    sending = Sending(stores, target := Target(failures=3), sleep := FakeSleep())
    await sending.enter("answered", 1, "one")
    sending.deliver()
    await sending.notifier.settle(10)
    assert len(target.sent) == 4 and len(set(target.sent)) == 1
    assert sleep.seconds == [*WAITS[:3]]
    [notice] = sending.notices
    assert notice == "The notification `answered` about t to one was not sent yet: it failed; it is tried again."


async def test_a_notification_is_given_up_after_six_attempts_in_ten_minutes(stores: Stores) -> None:
    sending = Sending(stores, target := Target(failures=6), sleep := FakeSleep())
    await sending.enter("failed", 1, "one")
    await sending.enter("answered", 1, "one")
    sending.deliver()
    await sending.notifier.settle(10)
    assert len(target.sent) == 7 and sum(sleep.seconds) == 600
    assert sending.notices[-1] == "The notification `failed` about t to one was not sent: it failed; it is given up."
    rows = await stores.database.read("SELECT attempts, ended, problem FROM notifications ORDER BY created")
    assert rows == [(6, NOW, "it failed"), (0, NOW, None)]


async def test_a_target_that_wants_no_more_is_not_asked_again(stores: Stores) -> None:
    sending = Sending(stores, target := Target(failures=1, then="never"), FakeSleep())
    await sending.enter("answered", 1, "one")
    for _ in range(2):
        sending.deliver()
        await sending.notifier.settle(10)
    assert len(target.sent) == 1


async def test_attempts_of_a_killed_process_count(stores: Stores) -> None:
    first = Sending(stores, Target(failures=9), sleep := FakeSleep())
    await first.enter("answered", 1, "one")
    await stores.database.connection.execute("UPDATE notifications SET attempts = 4")
    await stores.database.connection.commit()
    first.deliver()
    await first.notifier.settle(10)
    assert sleep.seconds == [WAITS[4]] and "given up" in first.notices[-1]


async def test_a_process_ends_without_waiting_for_what_is_tried_again_much_later(stores: Stores) -> None:
    sending = Sending(stores, Target(failures=9), asyncio.sleep)
    await sending.enter("answered", 1, "one")
    await stores.database.connection.execute("UPDATE notifications SET attempts = 3")
    await stores.database.connection.commit()
    sending.deliver()
    await asyncio.sleep(0.05)
    async with asyncio.timeout(5):
        await sending.notifier.close()
    assert sending.notices[-1] == "Notifications about t are not sent yet: `rlm resume t` sends them."
    assert await stores.notifications.count("t") == 1


async def test_a_process_that_is_in_a_hurry_waits_for_nothing(stores: Stores) -> None:
    sending = Sending(stores, target := Target(hangs=True), asyncio.sleep)
    await sending.enter("answered", 1, "one")
    sending.deliver()
    await sending.notifier.settle(0.05)
    assert len(target.sent) == 1
    sending.notifier.hurry()
    async with asyncio.timeout(5):
        await sending.notifier.close()
    assert await stores.notifications.count("t") == 1 and "are not sent yet" in sending.notices[-1]
    again = Sending(stores, target := Target(), asyncio.sleep)
    again.deliver()
    await again.notifier.settle(10)
    assert len(target.sent) == 1, "by another process"


async def test_a_hanging_target_holds_up_no_other(stores: Stores) -> None:
    class OneHangs(Target):
        async def __call__(self, target: str, body: str, event: str, **how: Any) -> None:
            self.hangs = target == "one"
            await super().__call__(target, body, event, **how)

    sending = Sending(stores, target := OneHangs(), asyncio.sleep)
    await sending.enter("answered", 1, "one", "two")
    sending.deliver()
    await sending.notifier.settle(0.1)
    assert {name for name, _ in target.sent} == {"one", "two"}
    assert await stores.notifications.targets("t") == ["one"]
    sending.notifier.hurry()
    await sending.notifier.close()
