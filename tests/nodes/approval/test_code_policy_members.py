"""Code that reaches further than it seems cannot be judged by reading, and is looked at under every policy."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_rlm.nodes.approval.code_policy import CodePolicy, reasons_to_look

SOME: tuple[CodePolicy, ...] = ("writes", "imports", "calls")
METHODS_BY_TEXT = [
    "import pandas as pd\npd.DataFrame({'a': [1]}).apply('to_csv', args=('out.csv',))",
    "frame.apply(func='to_csv')",
    "series.agg('to_pickle', 0, 'x')",
    "series.aggregate(['sum', 'to_pickle'])",
    "frame.agg({'a': 'sum', 'b': 'to_hdf'})",
    "frame.groupby('a').agg(total=('b', 'to_csv'))",
    "frame.groupby('a').agg(total=pd.NamedAgg('b', 'to_csv'))",
    "frame.transform('to_clipboard')",
    "name = 'to_csv'\nframe.apply(name)",
    "frame.apply('to_' + 'csv')",
    "frame.agg(*how)",
    "frame.agg(**how)",
    "frame.pivot_table(index='a', aggfunc='to_csv')",
    "pd.crosstab(a, b, values=c, aggfunc='to_csv')",
    "import string\nstring.Formatter().get_field('0.codecs.builtins.exec', (x,), {})",
    "formatter.get_field('0.x', (x,), {})",
    "import operator\noperator.call(f)",
    "from operator import call\ncall(f)",
    "frame.query('a.to_csv(\"x\") > 0')",
    "frame.query('`a b`.to_pickle(\"x\") > 0')",
    "frame.query('not python (')",
]
THROUGH_MODULES = [
    "import random\nrandom._os.system('id')",
    "import random\nrandom._inst",
    "random._inst",
    "import queue\nqueue.threading",
    "import contextlib\ncontextlib.os",
    "import zoneinfo\nzoneinfo._common",
    "import statistics\nstatistics.random",
    "import statistics as st\nst.random",
    "import json\njson.decoder.scanner._x",
    "import asyncio\nasyncio.events.subprocess",
    "from queue import threading",
    "from random import _os",
    "from collections import _sys as s",
    "import textwrap\nm = textwrap",
    "import textwrap\nprint([textwrap])",
    "import json\njson.dumps = f",
    "import json\ndel json.dumps",
    "import numpy as np\nnp.testing.runstring('x', {})",
    "np.testing.rundocs('x')",
    "import numpy.f2py",
    "import numpy.f2py as f\nf.run_main([])",
    "from numpy import testing",
    "import numpy as np\nnp.lib.npyio.DataSource('.')",
    "np.lib.format.write_array",
    "import pandas as pd\npd.io.common.get_handle('x', 'w')",
    "pd.compat.os.system('id')",
    "pd.show_versions(as_json='x')",
    "pd.api.extensions.register_dataframe_accessor('x')",
    "pd.some_new_name(1)",
    "import pandas as p",
    "import pandas.io.common as c",
    "from pandas.io import common",
    "p = pd",
    "import pydantic\npydantic.create_model('M', x=(\"print('ran')\", ...))",
    "import pydantic\npydantic.TypeAdapter(\"[open('x', 'w'), int][1]\")",
    "TypeAdapter(text)",
    "TypeAdapter(list['open(1)'])",
    "class M:\n    x: '[f][0]'\n    y: \"open('x', 'w')\"",
    "class M:\n    x: Annotated['exec(1)', 'words']",
    "class M:\n    x: Optional[List['exec(1)']]",
    "typing._eval_type",
    "typing_extensions.evaluate_forward_ref",
    "typing_extensions.get_annotations(x, eval_str=True)",
]
LATER = [
    "class A:\n    def __del__(self):\n        print('later')",
    "class A:\n    def __getstate__(self): return {}",
    "class A:\n    def __reduce__(self): return (print, ('x',))",
    "class A:\n    def __reduce_ex__(self, n): return (print, ('x',))",
    "class A:\n    __reduce__ = helper",
    "class A:\n    def __init_subclass__(cls): print('x')",
    "class A:\n    def __class_getitem__(cls, key): return key",
    "class A:\n    def __set_name__(self, owner, name): pass",
    "class A(metaclass=M): pass",
    "class A(**how): pass",
    "A.__del__ = f",
    "type('X', (), {'__del__': print})",
    "type(*parts)",
    "import dataclasses\ndataclasses.make_dataclass('X', [], namespace={'__del__': print})",
    "import threading\nthreading.Timer(5, f).start()",
    "from threading import Timer\nTimer(5, f).start()",
    "import atexit\natexit.register(f)",
    "import weakref\nweakref.finalize(x, f)",
    "import signal\nsignal.signal(2, f)",
    "import gc\ngc.callbacks.append(f)",
    "import copyreg",
    "import copy\ncopy.dispatch_table",
    "import sched",
    "import asyncio\nasyncio.get_event_loop().call_later(5, f)",
    "loop.call_soon_threadsafe(f)",
    "loop.add_signal_handler(2, f)",
    "future.add_done_callback(f)",
    "import contextlib\ncontextlib.ExitStack().callback(f)",
    "import threading\nthreading.settrace(f)",
]
MEANINGS = [
    "print = FINAL",
    "p = FINAL",
    "@FINAL\ndef f(): pass",
    "list(map(FINAL, values))",
    "def llm_query(q): pass",
    "llm_query = f",
    "def print(*words): pass",
    "class SUBMIT: pass",
    "for open in names: pass",
    "import json as getattr",
    "with f as print: pass",
    "try:\n    pass\nexcept E as FINAL:\n    pass",
    "match x:\n    case [*print]: pass",
    "del llm_query",
    "(print := f)",
]
WRITES = [
    "import pandas as pd\npd.read_sql('select 1', 'sqlite:///x.db')",
    "from pandas import read_sql_query as q\nq('select 1', 'sqlite:///x.db')",
    "frame.to_iceberg('x')",
    "report.to_file('x')",
]
ANALYSIS = r"""
import pandas as pd
import io
frame = pd.read_csv(io.StringIO(context))
print(frame.describe().to_string())
---
frame.groupby('kind')['price'].agg(['sum', 'mean', 'count']).sort_values('sum').head(10)
---
frame.groupby('kind').agg(
    total=('price', 'sum'), most=('price', max), spread=('price', lambda s: s.max() - s.min()))
---
def clean(text):
    return text.strip().lower()
frame['name'] = frame['name'].apply(clean).apply(str.title)
---
frame.apply(lambda row: row['a'] + row['b'], axis=1, result_type='expand')
---
frame.pivot_table(index='a', columns='b', values='c', aggfunc='sum').to_dict()
---
frame.query('price > 10 and `unit price` < 3 and name.str.len() > 2')
---
pd.options.display.max_rows = 50
pd.set_option('display.width', 200)
---
pd.to_datetime(frame['day']).dt.to_period('M').value_counts().to_frame()
---
import numpy as np
rng = np.random.default_rng(0)
print(np.percentile(rng.normal(size=10), [5, 95]))
print(np.linalg.norm([1.0]))
---
from pydantic import BaseModel, Field, TypeAdapter
class Row(BaseModel):
    name: str = Field(description='its name')
    parts: list['Row'] = []
rows = TypeAdapter(list[Row]).validate_json(text)
---
from typing import Annotated, Literal, Optional
def f(
    x: Annotated[int, 'at most 3 (three)'], kind: Literal['open', 'exec'] = 'open'
) -> Optional['str']: ...
---
from collections import namedtuple, deque
Point = namedtuple('Point', 'x y')
print(Point(1, 2)._asdict(), Point._fields)
---
import re, json, collections.abc, concurrent.futures, os.path, datetime
print(datetime.time(3), datetime.datetime.now())
---
import statistics as st, itertools as it, datetime as dt
print(st.mean([1, 2]), dt.date.today(), list(it.chain([1], [2])))
---
class Counter:
    def __init__(self):
        self._seen = {}
    def __getitem__(self, key):
        return self._seen[key]
---
class Node:
    __slots__ = ('left', 'right')
    def __lt__(self, other):
        return self.left < other.left
---
import regex
print(regex.sub(r'\p{L}+', lambda m: m[0].upper(), context))
print(json.dumps(rows, default=str))
---
import asyncio
async def one(n):
    await asyncio.sleep(0)
    return n
print(await asyncio.gather(*[one(n) for n in range(3)]))
---
from functools import partial, reduce
import operator
print(reduce(operator.add, [1, 2]), partial(int, base=2)('101'))
---
print(type(context), type(x).__name__, dir(x), isinstance(x, (list, tuple)))
---
with contextlib.suppress(KeyError), contextlib.ExitStack() as stack:
    files = [stack.enter_context(open(n)) for n in names]
---
history_text = '\n'.join(entry['content'] for entry in history)
print(copy.deepcopy(rows)[:2])
---
string = 'abc'
array = list(string)
time = 3
print(string.upper(), array.index('b'), time)
---
answer['content'] = sorted(rows, key=lambda r: r['n'])
answer.update(ready=True)
FINAL_VAR('rows')
""".strip().split("\n---\n")
"""Cells as models write them, which need no review."""


@pytest.mark.parametrize("policy", SOME)
@pytest.mark.parametrize(
    "code", METHODS_BY_TEXT + THROUGH_MODULES + LATER + MEANINGS, ids=lambda code: ascii(code[:50])
)
def test_code_that_cannot_be_judged_is_looked_at_under_every_policy(code: str, policy: CodePolicy) -> None:
    if "to_csv(" in code or "to_pickle(" in code or "open(" in code:
        # Its own words say what it does, so that it is looked at for that alone.
        assert reasons_to_look([code], ["writes"])
    else:
        assert reasons_to_look([code], [policy])


@pytest.mark.parametrize("code", ["from scipy import signal\nsignal.find_peaks(x)", "import lxml.html"])
def test_parts_of_other_packages_are_judged_as_imports_alone(code: str) -> None:
    assert reasons_to_look([code], ["writes", "calls"]) == []
    assert reasons_to_look([code], ["imports"])


@pytest.mark.parametrize("code", WRITES)
def test_members_that_may_write_are_looked_at(code: str) -> None:
    assert reasons_to_look([code], ["writes"])


@pytest.mark.parametrize("code", ANALYSIS, ids=lambda code: ascii(code[:50]))
def test_analysis_with_the_usual_libraries_needs_no_review(code: str) -> None:
    assert reasons_to_look([code], ["writes", "calls"]) == []


@pytest.mark.parametrize("code", ["𝚎𝚡𝚎𝚌('x')", "random._ｏｓ", "path.ｗｒｉｔｅ_text('y')", "ｇｅｔａｔｔｒ(x, name)"])
def test_a_name_is_judged_as_python_reads_it(code: str) -> None:
    assert reasons_to_look([code], ["writes"])


def test_the_imports_of_an_earlier_block_of_the_cell_are_known() -> None:
    assert reasons_to_look(["import statistics as st", "st.random"], ["writes"]) == [
        "line 3 reaches the module random through statistics"
    ]
    assert reasons_to_look(["def f(x): return x", "frame.apply(f)"], ["writes"]) == []


@given(
    st.sampled_from(["random", "queue", "pandas as pd", "numpy as np", "json", "contextlib", "statistics"]),
    st.sampled_from(["_os", "threading", "sys", "os", "subprocess", "socket", "_x", "builtins", "io.common"]),
    st.sampled_from(["{}.{}", "x = {}.{}", "f({}.{}.y)", "[{}.{} for _ in x]", "def f():\n    return {}.{}"]),
    st.sets(st.sampled_from(get_args(CodePolicy)), min_size=1),
)
def test_no_module_is_reached_through_another_unseen(
    module: str, reached: str, form: str, policies: set[CodePolicy]
) -> None:
    code = f"import {module}\n" + form.format(module.split()[-1], reached)
    assert reasons_to_look([code], policies)
