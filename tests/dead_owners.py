"""Processes that tests crash without ending them: to others they must look dead."""

from contextlib import closing
from pathlib import Path

from durable_rlm.graph.wiring import DATABASE
from durable_rlm.state.db.connection import connect


def mark_owner_dead(home: Path) -> None:
    """Let whoever holds a thread in `home` be dead."""
    with closing(connect(home / DATABASE)) as connection:
        connection.execute("UPDATE leases SET owner = json_set(owner, '$.pid', 999999999) WHERE owner IS NOT NULL")
