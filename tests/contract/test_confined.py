"""Confined kernels: their files, packages and limits, and the messages of refused actions."""

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.session import Cell, ContextFiles, Kernels, KernelSession, KernelSpec
from durable_rlm.state.errors import KernelLost, UsageError
from tests.contract.session_contract import run

GB = 1 << 30
FORKING = "import os, time\nfor _ in range(6):\n    if os.fork() == 0:\n"


@pytest.fixture
async def kernels(tmp_path: Path) -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels([tmp_path])
    yield kernels
    await kernels.close()


@pytest.fixture
async def session(kernels: Kernels) -> KernelSession:
    sandbox = await kernels.warm_up()
    if sandbox.tier == "landlock":
        pytest.skip("no user namespaces here: the strongest tier is Landlock's, without processes and scratch folder")
    return await kernels.start(KernelSpec("thread", memory=GB))


@pytest.mark.parametrize("code", ["%pip install rich", "!pip install rich", "!python3 -m pip install rich", "pip list"])
async def test_installing_a_package_fails_with_the_reason(session: KernelSession, code: str) -> None:
    result = await run(session, code)
    assert result.error is not None and "Nothing can be installed" in result.error.message


@pytest.mark.parametrize(
    "code",
    [
        "import socket\nsocket.create_connection(('127.0.0.1', 9))",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9/')",
        "import socket\nsocket.getaddrinfo('localhost.localdomain', 9)",
    ],
)
async def test_a_connection_to_the_network_fails_with_the_reason(session: KernelSession, code: str) -> None:
    result = await run(session, code)
    assert result.error is not None and "There is no network in this REPL" in result.error.message
    after = await run(session, "{}['nothing']")
    assert after.error is not None and "network" not in after.error.message


async def test_an_error_whose_attributes_raise_is_reported_like_others(session: KernelSession) -> None:
    code = (
        "class Nasty(Exception):\n    @property\n    def reason(self):\n        raise ValueError('no')\n"
        "raise Nasty('nasty')"
    )
    result = await run(session, code)
    assert result.error is not None and result.error.name == "Nasty"


async def test_the_scratch_folder_is_writable_limited_and_the_only_one(session: KernelSession) -> None:
    result = await run(
        session,
        "import tempfile, pathlib, os\npathlib.Path('kept.txt').write_text('x')\n"
        "with tempfile.NamedTemporaryFile() as file:\n    file.write(b'y')\n"
        "room = os.statvfs('.')\nprint(room.f_blocks * room.f_frsize <= 1 << 30, room.f_files <= 100_000)\n"
        "print(pathlib.Path('/tmp/kept.txt').read_text(), os.listdir('/dev/shm') == os.listdir('.'))",
    )
    assert result.output == "True True\nx True\n"


async def test_numpy_and_pandas_can_be_imported_and_the_project_cannot(session: KernelSession) -> None:
    result = await run(
        session,
        "import sys, importlib.util\nprint('numpy' in sys.modules, 'pandas' in sys.modules)\n"
        "print([importlib.util.find_spec(name) for name in ('durable_rlm.state', 'langgraph', 'openai')])\n"
        "import subprocess\nprint(subprocess.check_output([sys.executable, '-c', 'import numpy; print(1)']))",
    )
    assert result.output == "True True\n[None, None, None]\nb'1\\n'\n", result


async def test_processes_of_a_cell_count_towards_the_memory_of_its_kernel(session: KernelSession) -> None:
    await session.begin(
        Cell(1, (FORKING + "        held = os.urandom(1 << 20) * 300\n        time.sleep(60)\n" + "llm_query('q')",))
    )
    with pytest.raises(KernelLost, match=r"1\.0 GB of memory"):
        await session.result()


@pytest.mark.slow
async def test_cpu_time_of_processes_is_limited_while_their_cell_waits(
    session: KernelSession, kernels: Kernels, monkeypatch: pytest.MonkeyPatch
) -> None:
    burning = await kernels.start(KernelSpec("thread", cell_timeout=1))
    await burning.begin(Cell(1, (FORKING + "        while True:\n            pass\n" + "llm_query('q')",)))
    with pytest.raises(KernelLost, match="CPU time"):
        await burning.result()
    assert (await run(session, "print('unharmed')")).output == "unharmed\n"


LOOK = """
import os
found = []
for name in os.listdir("/proc/self/fd"):
    try:
        found.append(os.pread(int(name), 1 << 20, 0))
    except OSError:
        pass
print(context, any(b"of another" in text for text in found), any(b"handed" in text for text in found))
"""


@pytest.mark.parametrize("documents", [False, True])
async def test_the_kernel_of_a_sub_rlm_can_read_only_the_context_that_it_was_passed(
    kernels: Kernels, tmp_path: Path, documents: bool
) -> None:
    pack, index = tmp_path / "pack", tmp_path / "index"
    pack.write_text("of another, handed, of another")
    index.write_text('{"name": "a", "start": 12, "end": 18, "chars": 6, "meta": {}}\n')
    files = ContextFiles(pack, index if documents else None, 12, 18, handed=True)
    child = await kernels.start(KernelSpec("child", files))
    assert (await run(child, LOOK.replace("print(context", "print(str(context)"))).output == "handed False True\n"
    whole = await kernels.start(KernelSpec("whole", ContextFiles(pack)))
    assert (await run(whole, LOOK)).output == "of another, handed, of another True True\n"
    assert pack.read_text() == "of another, handed, of another"


async def test_an_environment_without_python_is_refused_with_the_reason(kernels: Kernels, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no bin/python"):
        await kernels.warm_up(environment=str(tmp_path))
