"""Events of a run: they have the keys of their types and no others."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import durable_rlm
from durable_rlm import Runner
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.nodes.models.errors import Target
from durable_rlm.nodes.models.provider_protocol import ModelRequest, OnPiece, RawReply, ignore_piece
from durable_rlm.nodes.runtime import events
from durable_rlm.nodes.runtime.events import Event, EventName
from durable_rlm.state.model_specs import ModelSpec
from tests.contract.in_memory_kernel import MemoryKernels
from tests.scripts import repl, write_script


def kinds() -> dict[str, Any]:
    """Return the TypedDicts of events by the event's name."""
    return {kind.__annotations__["event"].__args__[0]: kind for kind in Event.__args__}


def test_each_event_has_a_type() -> None:
    assert set(kinds()) == set(EventName.__args__)


@pytest.mark.parametrize("mode", ["rlm", "auto"])
async def test_events_match_their_types(tmp_path: Path, mode: Any) -> None:
    cells = ["a = llm_query_batched(['x', 'y'])", "FINAL(rlm_query('child', context='b'))"]
    model = write_script(tmp_path / "m.py", ["no code", *map(repl, cells)])
    async with Runner.open(tmp_path / "home", kernels=MemoryKernels()) as runner:
        seen = [event async for event in runner.stream("What?", "text", model=model, mode=mode, max_depth=2)]
    assert seen[-1]["event"] == "end" and len(seen) > 5
    for event in seen[:-1]:
        kind = kinds()[event["event"]]
        assert set(event) <= set(kind.__annotations__), event
        TypeAdapter[Any](kind).validate_python(event, strict=True)


class WritingSender:
    """A sender that streams its replies, in pieces a quarter of a second apart."""

    def __init__(self) -> None:
        self.now = 0.0

    async def send(self, request: ModelRequest, on_piece: OnPiece = ignore_piece) -> RawReply:
        for _ in range(10):
            self.now += 0.25
            on_piece("some words ")
        return RawReply(repl("FINAL(llm_query('x' + context))") if request.role == "root" else "yes", finish="stop")

    async def aclose(self) -> None: ...


async def test_a_reply_that_arrives_is_reported_twice_a_second_at_most(tmp_path: Path) -> None:
    sender = WritingSender()

    def open_model(spec: ModelSpec) -> ModelClient:
        return ModelClient(Target(spec.name), sender, clock=lambda: sender.now)

    async with Runner.open(tmp_path / "home", kernels=MemoryKernels(), open_model=open_model) as runner:
        seen = [event async for event in runner.stream("What?", "text", model="scripted:m.py")]
        direct = [event async for event in runner.stream("What?", "text", model="scripted:m.py", mode="direct")]
    writing: list[Any] = [event for event in seen if event["event"] == "writing"]
    assert [event["turn"] for event in writing] == [1] * 4, "sub-calls are not reported"
    assert [event["tokens"] for event in writing] == [6, 10, 14, 18] and writing[-1]["per_second"] == 9
    TypeAdapter[Any](kinds()["writing"]).validate_python(writing[0], strict=True)
    order = [event["event"] for event in seen if event["event"] in ("turn", "writing", "usage", "code")]
    assert order[:6] == ["turn", *["writing"] * 4, "usage"]
    assert {event["turn"] for event in direct if event["event"] == "writing"} == {0}


def test_public_names_can_be_imported() -> None:
    assert {name for name in durable_rlm.__all__ if not getattr(durable_rlm, name)} == set()
    assert durable_rlm.Event is events.Event
