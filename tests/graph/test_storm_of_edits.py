"""The storm of edits (`bench/storms/edits.py`): nothing happens that was not approved, and it notices when it does."""

from typing import Any

import pytest
from langgraph.types import StateUpdate

from bench.storms.edits import ATTACKS, GATES, storm
from durable_rlm.graph import langgraph_adapter
from durable_rlm.state.errors import UsageError


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_hundred_random_edits_and_commands_pass_no_gate(seed: int) -> None:
    report = await storm(seed, attacks=100, seconds=120)
    assert report.broken == [] and report.total == 100
    assert report.attacks.keys() == ATTACKS.keys() and sum(report.refused.values()) > 20


async def test_a_short_storm_meets_each_gate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.storms.edits._ON_ONE_RUN", 4)
    report = await storm(7, attacks=4 * len(GATES), seconds=120)
    assert report.broken == [] and report.total == 4 * len(GATES)


@pytest.mark.slow
async def test_the_storm_notices_that_edits_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    async def any_edit(threads: Any, row: Any, snapshot: Any, supersteps: Any) -> StateUpdate:
        if not supersteps or not snapshot.next:
            raise UsageError("There is nothing to edit.")
        return supersteps[0][0]

    monkeypatch.setattr(langgraph_adapter, "allowed_edit", any_edit)
    report = await storm(1, attacks=200, seconds=60, most_broken=1_000)
    assert any("the canary was touched" in what for what in report.broken), report.broken
