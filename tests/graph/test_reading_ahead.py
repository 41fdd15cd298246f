"""Reading the input ahead: it begins while models are checked, and is stored once they are usable."""

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from durable_rlm import Runner
from durable_rlm.graph import create
from durable_rlm.nodes.models.client import ModelClient
from durable_rlm.state.errors import ModelSetupError
from durable_rlm.state.model_specs import ModelSpec
from tests.contract.in_memory_kernel import MemoryKernels


class Reading:
    """A wrapper of `store_input` that records its inputs, and a model that is refused only after reading began."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun: list[Any] = []
        self._store, self._any = create.store_input, threading.Event()
        monkeypatch.setattr(create, "store_input", self._begin)

    async def _begin(self, given: Any, *rest: Any, **options: Any) -> Any:
        self.begun.append(given)
        self._any.set()
        return await self._store(given, *rest, **options)

    def refuse(self, spec: ModelSpec) -> ModelClient:
        """Refuse the model once reading has begun, or after 0.3 s if it does not begin ahead."""
        del spec
        self._any.wait(0.3)
        raise ModelSetupError("no such model", hint="")


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> Reading:
    return Reading(monkeypatch)


async def refused(folder: Path, reading: Reading, given: Sequence[str]) -> None:
    """Run with a model that cannot be opened."""
    async with Runner.open(folder / "home", kernels=MemoryKernels(), open_model=reading.refuse) as runner:
        with pytest.raises(ModelSetupError):
            await runner.run("Q?", given, model="openai:none")


async def test_no_input_is_stored_for_a_model_that_cannot_be_opened(tmp_path: Path, reading: Reading) -> None:
    (tmp_path / "input.txt").write_text("text " * 1_000)
    await refused(tmp_path, reading, [str(tmp_path / "input.txt")])
    # A reader that is stopped removes its partial file in its own time.
    kept = [
        path for path in (tmp_path / "home" / "blobs").rglob("*") if path.is_file() and not path.name.startswith(".")
    ]
    assert reading.begun and kept == []


async def test_standard_input_is_not_read_ahead(tmp_path: Path, reading: Reading) -> None:
    """A thread that waits for standard input cannot be stopped."""
    await refused(tmp_path, reading, ["-"])
    assert reading.begun == []
