"""Processes that tests crash without ending them: other processes must consider them dead."""

from contextlib import closing
from pathlib import Path

from durable_rlm.state.db.connection import connect
from durable_rlm.state.home_access import DATABASE


def mark_owner_dead(home: Path) -> None:
    """Mark the owner of each lease in `home` as dead."""
    with closing(connect(home / DATABASE)) as connection:
        connection.execute("UPDATE leases SET owner = json_set(owner, '$.pid', 999999999) WHERE owner IS NOT NULL")
