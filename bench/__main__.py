"""All of it, one after the other: `make bench-parts`, some minutes."""

import asyncio

from bench import children, fan_out, growth, habits, kernels, resuming, snapshots, turns

for part in (turns, habits, kernels, fan_out, children, snapshots, resuming, growth):
    asyncio.run(part.main())
