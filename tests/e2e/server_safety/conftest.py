"""Servers shared by all tests that only send requests."""

from collections.abc import Generator

import pytest

from tests.e2e.server_safety.served import Served, served


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    with served(tmp_path_factory.mktemp("served") / "folder") as server:
        yield server


@pytest.fixture(scope="session")
def studio_server(tmp_path_factory: pytest.TempPathFactory) -> Generator[Served]:
    """A server that accepts requests from LangGraph Studio's hosted page."""
    with served(tmp_path_factory.mktemp("served") / "folder", "--allow-hosted-studio") as server:
        yield server
