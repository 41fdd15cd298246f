"""State of the process, files and callbacks of a REPL come back in another kernel, as its variables do."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from durable_rlm.kernel.jupyter import JupyterKernels
from durable_rlm.kernel.results import Restored
from durable_rlm.kernel.session import Kernels, KernelSession, KernelSpec
from tests.contract.session_contract import Store, run


@pytest.fixture
async def kernels() -> AsyncGenerator[Kernels]:
    kernels = JupyterKernels()
    yield kernels
    await kernels.close()


class Life:
    """A REPL whose kernel can be replaced by another one between cells."""

    def __init__(self, kernels: Kernels) -> None:
        self._kernels = kernels
        self._store = Store()
        self._session: KernelSession | None = None

    async def cell(self, code: str) -> str:
        """Run a cell, save its changes, and return its output."""
        if self._session is None:
            self._session = await self._kernels.start(KernelSpec("thread"))
        result = await asyncio.wait_for(run(self._session, code), 60)
        assert result.status == "ok", result.error
        self._store.keep(result)
        return result.output

    async def again(self) -> Restored:
        """End the kernel, and restore everything in a fresh one."""
        assert self._session is not None
        await self._session.close()
        self._session = await self._kernels.start(KernelSpec("thread"))
        return await self._session.restore(list(self._store.groups.values()), self._store.batches())

    async def differing(self) -> list[str]:
        """Return what differs in this kernel from what was saved."""
        assert self._session is not None
        return list(await self._session.compare(list(self._store.groups.values()), self._store.batches()))


@pytest.fixture
def life(kernels: Kernels) -> Life:
    return Life(kernels)


SET = """
import decimal, gc, locale, logging, os, random, signal, sys, time, warnings
import numpy as np, pandas as pd
os.makedirs('work/deep'); os.chdir('work'); open('part.txt', 'w').write('1')
os.environ['MINE'] = 'yes'; os.environ.pop('LANG', None); os.environ['TZ'] = 'EST5EDT'; time.tzset()
decimal.getcontext().prec = 40
decimal.getcontext().traps[decimal.Inexact] = False
warnings.simplefilter('error', UserWarning)
sys.setrecursionlimit(2345); sys.path.insert(0, 'lib')
np.set_printoptions(precision=3); np.seterr(divide='raise')
pd.set_option('display.max_rows', 7)
gc.set_threshold(123, 4, 5)
hits = []
def on_signal(number, frame): hits.append(number)
signal.signal(signal.SIGUSR1, on_signal)
gc.callbacks.append(lambda phase, info: None)
logging.getLogger('job').setLevel(5); logging.getLogger('job').propagate = False
class Keep(logging.Handler):
    def emit(self, record): hits.append(record.getMessage())
logging.getLogger('job').addHandler(Keep())
"""
SEEN = """
try: warnings.warn('x'); warned = False
except UserWarning: warned = True
print([
    os.getcwd().rpartition('/')[2], open('part.txt').read(), os.path.isdir('deep'),
    os.environ.get('MINE'), os.environ.get('LANG'), time.tzname, warned,
    decimal.getcontext().prec, decimal.getcontext().traps[decimal.Inexact], decimal.Decimal(1) / 3,
    sys.getrecursionlimit(), sys.path[0], np.array([1 / 3]), np.geterr()['divide'], pd.get_option('display.max_rows'),
    gc.get_threshold(), len(gc.callbacks), logging.getLogger('job').level, logging.getLogger('job').propagate,
    signal.getsignal(signal.SIGUSR1) is on_signal, random.random(),
])
"""


async def test_the_state_of_the_process_comes_back(life: Life) -> None:
    await life.cell(SET)
    await life.cell("random.seed(5)")
    restored = await life.again()
    assert restored.lost == {}
    assert await life.differing() == []
    there = await life.cell(SEEN)
    assert there.startswith("['work', '1', True, 'yes', None, ('EST', 'EDT'), True, 40, False, Decimal('0.33333333333")
    await life.cell(
        "random.seed(5)\nimport os, signal\nos.kill(os.getpid(), signal.SIGUSR1)\nlogging.getLogger('job').debug('one')"
    )
    assert await life.cell(SEEN) == there
    await life.again()
    assert await life.cell("print(len(hits), hits[1], len(logging.getLogger('job').handlers))") == "2 one 1\n"


async def test_settings_that_were_not_changed_are_not_saved(life: Life) -> None:
    await life.cell("x = 1")
    parts = {name for name in life._store.groups if "(" in name}  # type: ignore[attr-defined]
    assert parts == {"random.getstate()", "numpy.random.get_state()", "numpy.get_printoptions()", "pandas.options()"}


async def test_methods_and_accessors_set_on_classes_of_libraries_come_back(life: Life) -> None:
    await life.cell(
        "import pandas as pd\ndef total(self): return float(self['v'].sum())\npd.DataFrame.total = total\n"
        "for name in ('one', 'two'):\n    setattr(pd.Series, name, lambda self, name=name: name)\n"
        "pd.DataFrame.unit = 'kg'\n"
        "@pd.api.extensions.register_dataframe_accessor('geo')\n"
        "class Geo:\n    def __init__(self, df): self.df = df\n    def size(self): return len(self.df)\n"
        "df = pd.DataFrame({'v': [1, 2]})"
    )
    restored = await life.again()
    assert restored.lost == {}
    there = "print(df.total(), df.v.one(), df.v.two(), df.unit, df.geo.size(), pd.DataFrame.total is total)"
    assert await life.cell(there) == "3.0 one two kg 2 True\n"


async def test_a_file_that_is_too_large_is_named_and_others_come_back(life: Life) -> None:
    await life.cell("open('big', 'wb').truncate(200 << 20)\nopen('small', 'w').write('s')")
    restored = await life.again()
    assert set(restored.lost) == {"file:big"} and "100 MB" in restored.lost["file:big"]
    assert await life.cell("print(open('small').read())") == "s\n"


async def test_modules_in_files_and_variables_that_need_them_come_back(life: Life) -> None:
    await life.cell(
        "import sys\nsys.path.insert(0, '.')\nopen('helper.py', 'w').write('class Box:\\n    pass\\n')\n"
        "import helper\nbox = helper.Box()\nbox.n = 3"
    )
    restored = await life.again()
    assert restored.lost == {}
    assert await life.cell("print(box.n, type(box) is helper.Box)") == "3 True\n"


async def test_more_variables_than_can_be_saved_end_in_words(kernels: Kernels) -> None:
    session = await kernels.start(KernelSpec("thread"))
    result = await run(session, "for i in range(100_001):\n    globals()[f'v{i}'] = i")
    assert result.status == "ok" and result.snapshot is None
    assert "100,000 that can be saved" in (result.unsaved or "")
    result = await run(session, "for i in range(100_001):\n    del globals()[f'v{i}']\nkept = [1]")
    store = Store()
    store.keep(result)
    assert "kept" in store.groups
