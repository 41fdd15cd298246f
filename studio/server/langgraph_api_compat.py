"""The parts of LangGraph's server that are used and not documented, each with what for. Imported when `rlm dev` runs.

`pyproject.toml` holds langgraph-api below the next minor release. `file_places` is checked when the server starts.
"""

import logging
from typing import Any

NOISY_LOGGERS = ("langgraph_api.server", "langgraph_api._checkpointer._adapter")
"""Loggers that warn about each request answered with 404, and about any saver but the server's own."""


def load_application() -> Any:
    """Import the server and return its ASGI application. It reads its configuration from the environment now."""
    from langgraph_api.server import app

    return app


def log_formatter() -> logging.Formatter:
    """Return the server's formatter of log records, which are dicts."""
    from langgraph_api.logging import Formatter

    return Formatter(None, None, "%")


def mount_prefix() -> str | None:
    """Return the path below which the server would put the application, behind another one that nothing guards."""
    from langgraph_api.config import MOUNT_PREFIX

    return MOUNT_PREFIX


def file_places() -> list[str]:
    """Return where the in-memory runtime writes its files; empty strings where that is not known any more."""
    from langgraph_runtime_inmem import database, store

    return [str(getattr(database, "OPS_FILENAME", "")), str(getattr(store, "_STORE_FILE", ""))]


def tables() -> Any:
    """Return the tables of the in-memory runtime: lists of dicts by name, `threads` and `runs` among them.

    In place of requests, which take no status and look at all of the server's threads for each of ours.
    """
    from langgraph_runtime_inmem.database import GLOBAL_STORE

    return GLOBAL_STORE
