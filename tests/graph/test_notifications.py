"""Notifications of runs: an event for each thing that needs a person, with facts and never with content."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncGenerator, Generator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Run, Runner
from durable_rlm.graph.maintenance import copy_home
from durable_rlm.state.errors import UsageError
from durable_rlm.state.home_access import DATABASE
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script
from tests.servers.openai_server import ScriptedServer
from tests.servers.webhook_receiver import KEY, Received, WebhookReceiver

SECRET = "path-t0p-secret"
ANSWER = "the answer itself"
INPUT = "the input itself"


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[WebhookReceiver]:
    with WebhookReceiver() as receiver:
        monkeypatch.setenv("HOOK", receiver.url(f"ok?{SECRET}"))
        monkeypatch.setenv("HOOK_KEY", KEY)
        yield receiver


@pytest.fixture
async def runner(tmp_path: Path, receiver: WebhookReceiver) -> AsyncGenerator[Runner]:
    del receiver
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        yield runner


async def ask(runner: Runner, model: str, **settings: Any) -> Run:
    named: dict[str, Any] = {"notify": "env:HOOK", "notify_key": "env:HOOK_KEY", "mode": "rlm", **settings}
    run = await runner.run("What?", INPUT, thread="t", model=model, **named)
    await runner.notifier.settle(10)
    return run


def kinds(receiver: WebhookReceiver) -> list[str]:
    return [one.body["event"] for one in receiver.received]


def only(receiver: WebhookReceiver, kind: str) -> Received:
    [one] = [one for one in receiver.received if one.body["event"] == kind]
    return one


def outbox(home: Path) -> list[tuple[str, str, bool]]:
    """Return the threads and targets of the notifications in a home, and whether each has ended."""
    with closing(sqlite3.connect(home / DATABASE)) as connection:
        rows = connection.execute("SELECT thread_id, target, ended IS NOT NULL FROM notifications").fetchall()
    return [(thread, target, bool(ended)) for thread, target, ended in rows]


async def test_an_answered_run_is_notified_about_without_its_content(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", [repl(f"print(context)\na = llm_query('a prompt')\nFINAL({ANSWER!r})")])
    run = await ask(runner, model)
    one = only(receiver, "answered")
    assert run.status == "answered", run.error
    assert one.signed and one.path == f"/ok?{SECRET}"
    home = str(tmp_path / "home")
    assert {name: one.body[name] for name in ("thread_id", "status", "question", "home", "waits_for", "command")} == {
        **{"thread_id": "t", "status": "answered", "question": "What?", "home": home, "waits_for": []},
        "command": f"rlm resume t --home {home}",
    }
    assert one.body["usage"]["model_calls"] == 2 and one.body["error"] is one.body["limit"] is None
    assert not [word for word in (ANSWER, INPUT, "a prompt", "llm_query") if word in one.text]


async def test_a_run_that_waits_is_notified_about_again_after_a_decision_and_not_when_it_is_resumed(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = 1"), repl("FINAL(x)")])
    run = await ask(runner, model, approve=["code", "final"])
    for _ in range(2):
        run = await runner.resume("t")
        assert run.status == "paused"
    while run.status == "paused":
        run = await runner.decide("t", [{"type": "approve"}])
        await runner.notifier.settle(10)
    assert kinds(receiver) == ["waiting", "waiting", "waiting", "answered"]
    assert len({one.event for one in receiver.received}) == 4
    assert [one.body["waits_for"] for one in receiver.received] == [
        *(["execute_code"], ["execute_code"], ["final_answer"], []),
    ]
    assert receiver.received[0].body["command"].startswith("rlm review t ")


async def test_a_run_that_fails_twice_is_notified_about_twice_with_the_kind_of_error_alone(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", [])
    for _ in range(2):
        run = await ask(runner, model)
        assert run.status == "failed" and run.error
    first, second = receiver.received
    assert first.event != second.event
    assert first.body["error"] == {"type": "ModelFailed", "message": ""}, "it may quote the prompt"


@pytest.mark.parametrize(
    ("limits", "resource"),
    [
        ({"max_calls": 5}, "calls"),
        ({"max_tokens": 40_000}, "tokens"),
    ],
)
async def test_most_of_a_limit_is_notified_about_once_and_again_when_the_limit_was_raised(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path, limits: dict[str, Any], resource: str
) -> None:
    cells = [repl("x = [llm_query(w) for w in 'abc']"), *[repl("print(1)")] * 100]
    model = write_script(tmp_path / "m.py", cells)
    run = await ask(runner, model, **limits, max_turns=200)
    assert run.status == "budget", run.error
    assert kinds(receiver) == ["limit", "budget"]
    about = receiver.received[0].body["limit"]
    limit = limits[f"max_{resource}"]
    assert (about["resource"], about["limit"], about["flag"]) == (resource, limit, f"--max-{resource}")
    assert 0.8 * limit <= about["used"] <= limit
    assert receiver.received[1].body["command"].startswith(f"rlm resume t --max-{resource} ")
    await runner.resume("t")
    run = await runner.resume("t", **{f"max_{resource}": limit * 2})
    await runner.notifier.settle(10)
    assert run.status == "budget" and kinds(receiver) == ["limit", "budget"] * 2


async def test_most_of_the_cost_is_notified_about(
    runner: Runner, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLM_API_KEY", "any")
    with ScriptedServer(lambda _: repl("print(1)")) as server:
        run = await ask(runner, "openai:root", base_url=server.base_url, price=(1000.0, 1000.0), max_cost=30.0)
    assert run.status == "budget" and kinds(receiver) == ["limit", "budget"]
    about = receiver.received[0].body["limit"]
    assert about["resource"] == "cost" and 24.0 <= about["used"] <= 30.0
    assert receiver.received[1].body["command"].startswith("rlm resume t --max-cost ")


async def test_time_that_is_over_is_notified_about(runner: Runner, receiver: WebhookReceiver, tmp_path: Path) -> None:
    asleep = "import asyncio\n        async def wait():\n            await asyncio.sleep(600)\n        return wait()"
    model = write_script(tmp_path / "m.py", [repl("llm_query('a')")], sub=asleep)
    run = await ask(runner, model, max_time=0.5)
    assert run.status == "budget" and kinds(receiver) == ["limit", "budget"]
    assert receiver.received[0].body["limit"] == {
        **{"resource": "time", "limit": 0.5, "flag": "--max-time"},
        "used": receiver.received[0].body["limit"]["used"],
    }


async def test_most_of_a_limit_is_notified_about_while_the_run_goes_on(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_rlm.graph.notifying._LOOK_EVERY", 0.01)
    waits = (
        f"import time\nfrom pathlib import Path\nwhile not Path({str(tmp_path / 'go')!r}).exists(): time.sleep(0.01)"
    )
    model = write_script(tmp_path / "m.py", [repl(f"print(context, [llm_query(w) for w in 'abc'])\n{waits}\nFINAL(1)")])
    asking = asyncio.create_task(ask(runner, model, max_calls=5))
    assert await asyncio.to_thread(receiver.wait_for, 1)
    assert kinds(receiver) == ["limit"] and not asking.done()
    assert receiver.received[0].body["status"] == "running"
    (tmp_path / "go").touch()
    assert (await asking).status == "answered" and kinds(receiver) == ["limit", "answered"]


async def test_each_target_gets_each_event_and_the_failure_of_one_holds_up_no_other(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    notices: list[str] = []
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(1)")])
    targets = ["env:HOOK", receiver.url("status/500/2"), f"sh -c 'cat > {tmp_path}/sent'"]
    await runner.run(
        "What?", thread="t", model=model, notify=targets,
        on_event=lambda event: notices.append(event["text"]) if event["event"] == "notice" else None,
    )  # fmt: skip
    await runner.notifier.settle(10)
    paths = [one.path for one in receiver.received]
    assert paths.count("/status/500/2") == 3 and paths.count(f"/ok?{SECRET}") == 1
    assert len({one.event for one in receiver.received}) == 1
    assert json.loads((tmp_path / "sent").read_text())["id"] == receiver.received[0].event
    [notice] = notices
    assert "was not sent yet: it answered with status 500; it is tried again." in notice
    assert {ended for _, _, ended in outbox(tmp_path / "home")} == {True}


async def test_a_fork_is_notified_about_as_a_run_of_its_own(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = 1"), repl("FINAL(x)")])
    await ask(runner, model)
    await runner.fork("t", 2, into="f")
    await runner.resume("f")
    await runner.notifier.settle(10)
    assert [(one.body["event"], one.body["thread_id"]) for one in receiver.received] == [
        *(("answered", "t"), ("answered", "f")),
    ]


async def test_a_sub_rlm_is_not_notified_about(runner: Runner, receiver: WebhookReceiver, tmp_path: Path) -> None:
    script = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(rlm_query('below'))")])
    body = (tmp_path / "m.py").read_text()
    own = "def root(messages):\n    if 'What?' not in str(messages):\n        return '```repl\\nFINAL(2)\\n```'\n"
    (tmp_path / "m.py").write_text(body.replace("def root(messages):\n", own))
    run = await ask(runner, script, max_depth=2)
    assert run.status == "answered", run.error
    assert kinds(receiver) == ["answered"] and outbox(tmp_path / "home") == [("t", "env:HOOK", True)]
    assert run.answer == "2" and len(await runner.queries.calls("t")) == 1


async def test_a_notification_that_a_process_could_not_send_is_sent_by_the_next_one_that_resumes_the_run(
    tmp_path: Path, receiver: WebhookReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    notices: list[str] = []
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(1)")])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        monkeypatch.delenv("HOOK_KEY")
        with pytest.raises(UsageError, match="HOOK_KEY is not set"):
            await ask(runner, model)
        monkeypatch.setenv("HOOK_KEY", KEY)
        await runner.run(
            "What?", thread="t", model=model, notify="env:HOOK", notify_key="env:HOOK_KEY",
            on_event=lambda event: _unset_and_note(monkeypatch, notices, event),
        )  # fmt: skip
    assert receiver.received == [] and "HOOK_KEY is not set" in notices[0]
    monkeypatch.setenv("HOOK_KEY", KEY)
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.read("t")
        assert receiver.received == [], "reading sends nothing"
        assert (await runner.resume("t")).status == "answered"
    assert kinds(receiver) == ["answered"]
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.resume("t")
    assert kinds(receiver) == ["answered"]


def _unset_and_note(monkeypatch: pytest.MonkeyPatch, notices: list[str], event: Any) -> None:
    monkeypatch.delenv("HOOK_KEY", raising=False)
    if event["event"] == "notice":
        notices.append(event["text"])


async def test_a_row_for_a_target_that_the_run_does_not_name_starts_nothing(
    tmp_path: Path, receiver: WebhookReceiver
) -> None:
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(1)")])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await ask(runner, model)
    with closing(sqlite3.connect(tmp_path / "home" / DATABASE)) as connection:
        target = f"touch {tmp_path}/ran"
        connection.execute("INSERT INTO notifications VALUES ('e', ?, 't', '{}', 0, 0, 0, NULL, NULL)", (target,))
        connection.commit()
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        await runner.resume("t")
    assert not (tmp_path / "ran").exists() and len(receiver.received) == 1


async def test_copies_have_no_notifications_and_deleted_runs_take_theirs_along(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path
) -> None:
    model = write_script(tmp_path / "m.py", [repl("x = 1"), repl("FINAL(x)")])
    await ask(runner, model)
    await runner.fork("t", 2, into="f")
    assert outbox(tmp_path / "home") == [("t", "env:HOOK", True)]
    copied = await copy_home(tmp_path / "home", tmp_path / "copy", secrets=[])
    assert copied.ok and outbox(tmp_path / "copy") == []
    assert (await runner.verify("t")).to_json()["problems"] == []
    await runner.delete("t")
    assert outbox(tmp_path / "home") == [] and len(receiver.received) == 1
    await ask(runner, model)
    assert len({one.event for one in receiver.received}) == 2, "a new run of the same name has events of its own"


async def test_secrets_of_variables_are_neither_saved_nor_reported(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOOK", receiver.url(f"status/500/99?{SECRET}"))
    notices: list[str] = []
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(1)")])
    await runner.run(
        "What?", thread="t", model=model, notify="env:HOOK", notify_key="env:HOOK_KEY", mode="rlm",
        on_event=lambda event: notices.append(str(event)) if event["event"] == "notice" else None,
    )  # fmt: skip
    assert await asyncio.to_thread(receiver.wait_for, 2)
    runner.notifier.hurry()
    saved = b"".join(path.read_bytes() for path in (tmp_path / "home").rglob("*") if path.is_file())
    assert notices and SECRET not in str(notices) and SECRET.encode() not in saved and KEY.encode() not in saved


@pytest.mark.parametrize("settings", [{"notify": "touch x"}, {"notify": ["https://h/"]}, {"notify_key": "env:PATH"}])
@pytest.mark.parametrize("how", ["input", "assistant"])
async def test_a_client_of_the_graph_cannot_name_targets(
    runner: Runner, tmp_path: Path, settings: dict[str, Any], how: str
) -> None:
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(1)")])
    own, assistant = ({**settings, "model": model}, {}) if how == "input" else ({"model": model}, settings)
    asked: Any = {"question": "What?", "settings": own}
    context: Any = assistant or None
    with pytest.raises(UsageError, match="cannot set notify"):
        await runner.graph.ainvoke(asked, {"configurable": {"thread_id": "t"}}, context=context)
    assert await runner.queries.runs() == []


async def test_a_run_of_a_client_notifies_the_targets_of_its_server(
    runner: Runner, receiver: WebhookReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RLM_NOTIFY", "env:HOOK")
    model = write_script(tmp_path / "m.py", [repl("print(context)\nFINAL(1)")])
    asked: Any = {"question": "What?", "settings": {"model": model}}
    await runner.graph.ainvoke(asked, {"configurable": {"thread_id": "t"}})
    await runner.notifier.settle(10)
    assert kinds(receiver) == ["answered"]
