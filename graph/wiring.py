"""Opens a home: the stores under it, and the dependencies of the nodes."""

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from ..kernel.jupyter import JupyterKernels
from ..kernel.session import Kernels
from ..nodes.models.client import ModelClient
from ..nodes.models.providers import open_client
from ..nodes.runtime.dependencies import Dependencies, OpenModels, Stores
from ..state.blobs.snapshots import Snapshots
from ..state.blobs.store import Blobs
from ..state.blobs.texts import Texts
from ..state.call_journal import Journal
from ..state.db.connection import Database
from ..state.failpoints import Failpoint, no_failpoint
from ..state.leases import Leases
from ..state.model_specs import ModelSpec
from ..state.threads import Threads
from ..state.usage import Spending

DATABASE = "checkpoints.sqlite"
BLOBS = "blobs"


@asynccontextmanager
async def open_stores(
    home: Path, clock: Callable[[], float] = time.time, failpoint: Failpoint = no_failpoint
) -> AsyncGenerator[Stores]:
    """Open the stores under `home`; `clock` is wall time. Raises StoreError."""
    async with Database.open(home / DATABASE, failpoint=failpoint) as database:
        blobs = Blobs(home / BLOBS, failpoint)
        leases = Leases(database, clock)
        yield Stores(
            home=home,
            database=database,
            blobs=blobs,
            texts=Texts(database, blobs, clock),
            journal=Journal(database, clock, leases),
            leases=leases,
            threads=Threads(database, clock, leases),
            spending=Spending(database),
            snapshots=Snapshots(database, blobs, clock),
        )


@asynccontextmanager
async def open_deps(
    stores: Stores,
    *,
    kernels: Kernels | None = None,
    open_model: OpenModels | None = None,
    tracing: bool = False,
    failpoint: Failpoint = no_failpoint,
) -> AsyncGenerator[Dependencies]:
    """Provide the nodes' dependencies, and close the kernels and their host at the end."""
    kernels = kernels or JupyterKernels([stores.blobs.folder], hidden=[stores.home])
    try:
        opened = open_model or open_configured_model
        yield Dependencies(stores=stores, kernels=kernels, open_model=opened, tracing=tracing, failpoint=failpoint)
    finally:
        await kernels.close()


def open_configured_model(spec: ModelSpec) -> ModelClient:
    """Open the client of a configured model. Raises ModelSetupError."""
    return open_client(
        spec.name,
        base_url=spec.base_url,
        price=spec.price,
        options=spec.options,
        key_names=spec.key_names,
        roles=spec.roles,
    )
