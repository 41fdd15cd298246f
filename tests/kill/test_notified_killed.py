"""Kills (SIGKILL) of a run with notifications: each event is entered once, and sent at least once, with the same id."""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest

from durable_rlm.state.home_access import DATABASE
from tests.kill import notified_scenario
from tests.kill.spawn import Spawner
from tests.kill.trials import Trial
from tests.servers.webhook_receiver import Received, WebhookReceiver

pytestmark = pytest.mark.kill
SHARES = 4
"""The number of tests among which the failpoints are distributed."""
STRIDE = 20
"""One in this many failpoints is tested; each share tests different ones."""
AROUND_STATUS = [f"execution-ended-{when}" for when in ("before", "uncommitted", "after")]
AROUND_SENDING = [f"notification-sent-{when}" for when in ("before", "uncommitted", "after")]


@pytest.fixture
def receiver() -> Generator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        yield receiver


def trial_in(folder: Path, name: str, spawn: Spawner, receiver: WebhookReceiver) -> Trial:
    """Return a trial whose run notifies the receiver at a path of the trial's own."""
    trial = Trial(folder / name, spawn, played=notified_scenario)
    (trial.folder / "target").write_text(receiver.url(name))
    return trial


def entered(trial: Trial) -> dict[str, bool]:
    """Return the events in the outbox by their ids: whether each was sent."""
    with closing(sqlite3.connect(trial.folder / "home" / DATABASE)) as connection:
        rows = connection.execute("SELECT event, target, ended IS NOT NULL FROM notifications").fetchall()
    assert {target for _, target, _ in rows} == {"env:HOOK"}
    assert len({event for event, _, _ in rows}) == len(rows)
    return {event: bool(sent) for event, _, sent in rows}


def check(trial: Trial, receiver: WebhookReceiver, name: str, where: str) -> None:
    """Check that each event of the whole run was entered once, and has arrived with the same bytes each time."""
    outbox = entered(trial)
    assert all(outbox.values()), f"{where}: {outbox}"
    arrived = defaultdict[str, list[Received]](list)
    for one in receiver.received:
        if one.path == f"/{name}":
            arrived[one.event].append(one)
            assert one.signed and one.body["id"] == one.event, where
    assert arrived.keys() == outbox.keys(), where
    assert all(len({one.text for one in same}) == 1 for same in arrived.values()), where
    kinds = Counter(same[0].body["event"] for same in arrived.values())
    assert kinds == {"waiting": 5, "limit": 1, "answered": 1}, f"{where}: {kinds}"
    assert {same[0].body["thread_id"] for same in arrived.values()} == {notified_scenario.THREAD}, where


def test_a_run_that_is_not_killed_is_notified_about_each_event_once(
    spawn: Spawner, folder: Path, receiver: WebhookReceiver
) -> None:
    trial = trial_in(folder, "not-killed", spawn, receiver)
    ended = trial.execute()
    assert ended.report["run"]["status"] == "answered"
    check(trial, receiver, "not-killed", "not killed")
    assert len(receiver.received) == 7
    trial.remove()


@pytest.mark.parametrize("point", [*AROUND_STATUS, *AROUND_SENDING])
def test_an_event_is_entered_once_and_sent_by_the_resumed_run_when_its_process_is_killed_at(
    spawn: Spawner, folder: Path, receiver: WebhookReceiver, point: str
) -> None:
    trial = trial_in(folder, point, spawn, receiver)
    assert trial.execute(kill_on=point).killed
    assert trial.execute().report["run"]["status"] == "answered"
    check(trial, receiver, point, point)
    trial.remove()


@pytest.mark.parametrize("share", range(SHARES))
def test_each_event_arrives_although_the_run_is_killed_at_any_failpoint(
    spawn: Spawner, folder: Path, receiver: WebhookReceiver, share: int
) -> None:
    point = 1 + share
    while (ended := (trial := trial_in(folder, f"notified-{point}", spawn, receiver)).execute(kill_at=point)).killed:
        where = trial.where
        assert trial.execute().report["run"]["status"] == "answered", where
        check(trial, receiver, f"notified-{point}", where)
        trial.remove()
        point += SHARES * STRIDE
    check(trial, receiver, f"notified-{point}", "not killed")
    assert ended.report["run"]["status"] == "answered"
