"""A fixture for tests of the stores: an open database."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.state.db.connection import Database


@pytest.fixture
async def database(tmp_path: Path) -> AsyncGenerator[Database]:
    async with Database.open(tmp_path / "checkpoints.sqlite") as database:
        yield database
