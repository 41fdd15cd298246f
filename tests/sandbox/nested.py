"""A program for `test_tiers.py`: which of some files a kernel can read, as a JSON list.

`nested.py TIER HOME FILE …`; `durable_rlm` is the one on the import path, wherever it lies.
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
    """Ask one kernel."""
    kernels = JupyterKernels(hidden=[Path(home)], tiers=[tier])
    try:
        session = await kernels.start(KernelSpec("thread"))
        asked = f"import json\nprint(json.dumps([readable(path) for path in {files!r}]))"
        # Nothing of the tests is imported: only the package that was copied is on the path.
        await session.begin(Cell(1, (_READABLE, asked)))
        result = await session.result()
        assert result.status == "ok", result.error
        sys.stdout.write(result.output)
    finally:
        await kernels.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
