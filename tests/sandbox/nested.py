"""A program for `test_tiers.py` that prints, as a JSON list, which of the given files a kernel can read.

`nested.py TIER HOME FILE …`; `durable_rlm` is imported from the import path.
"""

import asyncio
import sys
from pathlib import Path

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Cell, KernelSpec

_READABLE = """
def readable(path):
    try:
        return bool(open(path).read())
    except OSError:
        return False
"""


async def main(tier: str, home: str, *files: str) -> None:
    """Start one kernel and print its output."""
    kernels = JupyterKernels(hidden=[Path(home)], tiers=[tier])
    try:
        session = await kernels.start(KernelSpec("thread"))
        check = f"import json\nprint(json.dumps([readable(path) for path in {files!r}]))"
        # No module of the tests is imported: only the copied package is on the path.
        await session.begin(Cell(1, (_READABLE, check)))
        result = await session.result()
        assert result.status == "ok", result.error
        sys.stdout.write(result.output)
    finally:
        await kernels.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
