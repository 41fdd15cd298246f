"""All of it, one after the other: `make bench`, some minutes."""

import asyncio

from . import growth, resuming, snapshots, turns

for part in (turns, snapshots, resuming, growth):
    asyncio.run(part.main())
