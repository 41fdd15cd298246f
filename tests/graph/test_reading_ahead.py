"""An input is read while models are looked at, and kept once nothing is wrong with them."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph import create
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.state.errors import ModelSetupError
from durable_rlm.state.settings import RunSettings
from tests.contract.in_memory_kernel import MemoryKernels


class Reading:
    """Stands before `store_input`: what was begun, and a model that is refused only then."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[Any] = []
        self._store, self._any = create.store_input, threading.Event()
        monkeypatch.setattr(create, "store_input", self._begin)

    async def _begin(self, given: Any, *rest: Any) -> Any:
        self.begun.append(given)
        self._any.set()
        return await self._store(given, *rest)

    def refuse(self, name: str, settings: RunSettings) -> ModelClient:
        """After the reading has begun, if it is read ahead."""
        del name, settings
        self._any.wait(0.3)
        raise ModelSetupError("no such model", hint="")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


async def refused(folder: Path, reading: Reading, given: Sequence[str]) -> None:
    """A run of a model that cannot be had."""
    async with Runner.open(folder / "home", kernels=MemoryKernels(), open_model=reading.refuse) as runner:
        with pytest.raises(ModelSetupError):
            await runner.run("Q?", given, model="openai:none")


async def test_nothing_of_it_is_kept_for_a_model_that_cannot_be_had(tmp_path: Path, reading: Reading) -> None:
    (tmp_path / "input.txt").write_text("text " * 1_000)
    await refused(tmp_path, reading, [str(tmp_path / "input.txt")])
    kept = [path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file()]
    assert reading.begun and kept == []


async def test_standard_input_is_not_begun_before_as_nobody_could_stop_who_waits_for_it(
    tmp_path: Path, reading: Reading
) -> None:
    await refused(tmp_path, reading, ["-"])
    assert reading.begun == []
