"""Events of a run: they have the keys of their types and no others."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

import durable_rlm
from durable_rlm import Runner
from durable_rlm.nodes.runtime import events
from durable_rlm.nodes.runtime.events import Event, EventName
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


def test_public_names_can_be_imported() -> None:
    assert {name for name in durable_rlm.__all__ if not getattr(durable_rlm, name)} == set()
    assert durable_rlm.Event is events.Event
