"""Code policies: cells that write, import or fan out need a review, also in disguised forms; analysis needs none."""

import ast
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.inputtransformer2 import TransformerManager

from durable_rlm.nodes.approval.code_policy import CodePolicy, reasons_to_look

SOME: tuple[CodePolicy, ...] = ("writes", "imports", "calls")


def look(code: str, *policies: CodePolicy) -> list[str]:
    return reasons_to_look([code], policies or SOME)


HARMLESS = [
    "",
    "# only a comment",
    "print(len(context))",
    "import re\nhits = re.findall(r'\\bfoo\\b', context)\nprint(len(hits), hits[:5])",
    "import re\npattern = re.compile('a+')\nprint(pattern.sub('b', context[:100]))",
    "from collections import Counter, defaultdict\nprint(Counter(context.split()).most_common(10))",
    "for doc in context:\n    print(doc.name, len(doc), doc.text[:80].replace('\\n', ' '))",
    "import json\nrows = [json.loads(line) for line in context.splitlines() if line]\nprint(json.dumps(rows[0]))",
    "with open('notes.txt') as f:\n    print(f.read()[:200])",
    "with open('notes.txt', 'rb') as f, open('more.txt', mode='rt', encoding='utf-8') as g:\n    pass",
    "import pandas as pd\nframe = pd.DataFrame({'a': [1]})\nprint(frame.query('a > 0').to_csv(index=False))",
    "import numpy as np\nprint(np.mean([1, 2]), np.array([1]).shape)",
    "import concurrent.futures\nfrom concurrent.futures import ThreadPoolExecutor",
    "from datetime import datetime\nday = datetime(2020, 1, 1).replace(tzinfo=None)",
    "try:\n    1 / 0\nexcept Exception as error:\n    print(type(error).__name__, error)",
    "class Row:\n    def __init__(self, n):\n        self.n = n\n    def total(self):\n        return self.n + 1",
    "from dataclasses import dataclass\n\n@dataclass\nclass Row:\n    kind: 'str | None' = None",
    "from typing import Literal\nKind = Literal['open', 'closed (now)']\ndef f(x: Literal['a (b)']) -> 'int': return 1",
    "print(getattr(context, 'names', None))",
    "answer['content'] = 'x'\nanswer['ready'] = True",
    "FINAL(sum(1 for line in context.splitlines() if 'x' in line))",
    "FINAL_VAR('answer')",
    "reply = llm_query('Summarise: ' + context[:1000])\nprint(reply)",
    "reply = await allm_query('Summarise')",
    "for word in llm_query('Ten words').split():\n    print(word)",
    "words = [word for word in llm_query('Ten words').split()]",
    "x = '''\n!ls\n%run me\n'''",
    "lines = context[0].text.split('\\n')  # 100% of it?",
    "code = 'a'\nprint(code.strip(), code.profile)",
    "match point:\n    case {'x': x}:\n        print(x)",
    "frame.rename(columns={'a': 'b'}).replace({1: 2})['c'].str.extract('(a)')",
    "print(history[-1]['content'][:100], SHOW_VARS())",
]

WRITES = [
    "open('out.txt', 'w')",
    "open('out.txt', mode='a')",
    "open('out.txt', 'r+')",
    "open('out.txt', mode)",
    "open(*given)",
    "open('out.txt', **how)",
    "o = open",
    "print(list(map(open, names)))",
    "from io import open as o\no('x', 'w')",
    "from gzip import open\nopen('x', 'wb')",
    "import io\nio.open('x', 'w')",
    "import pathlib\npathlib.Path('x').open('w')",
    "from pathlib import Path\nPath('x').write_text('y')",
    "f = path.write_bytes",
    "getattr(path, 'write_text')('y')",
    "from operator import methodcaller\nmethodcaller('write_text', 'y')(path)",
    "frame.to_csv('x.csv')",
    "frame.to_json(path_or_buf='x')",
    "save = frame.to_csv",
    "frame.to_parquet('x')",
    "import numpy as np\nnp.save('x', [1])",
    "from numpy import savez as s\ns('x')",
    "import json\njson.dump({}, handle)",
    "os.remove('x')",
    "import os\nos.rename('a', 'b')",
    "import os as o\no.mkdir('a')",
    "from os import remove as r",
    "from os import remove\nremove('x')",
    "os.open('x', 66)",
    "import os.path\nos.system('ls')",
    "import random\nrandom._os.remove('x')",
    "import pathlib\npathlib.os.remove('x')",
    "f(os)",
    "import json as os\nos.remove('x')",
    "[os][0].remove('x')",
    "match os:\n    case object(remove=r):\n        r('x')",
    "import shutil\nshutil.rmtree('x')",
    "tempfile.mkdtemp()",
    "import subprocess\nsubprocess.run(['ls'])",
    "from subprocess import run",
    "await asyncio.create_subprocess_shell('ls')",
    "import pty\npty.spawn('sh')",
    "import ctypes\nctypes.CDLL(None)",
    "import sqlite3\nsqlite3.connect('x')",
    "import zipfile\nzipfile.ZipFile('x', 'w')",
    "from zipfile import ZipFile as Z\nZ('x', mode='w')",
    "import tarfile\ntarfile.open('x', 'w:gz')",
    "archive.extractall()",
    "archive.extract('x')",
    "Path('x').rename('y')",
    "Path('x').replace('y')",
    "Path('x').replace(target='y')",
    "move = Path('x').replace",
    "import pickle\npickle.dump(1, handle)",
    "@open\ndef f(): pass",
    "def f(x=open('x', 'w')): pass",
    "print(f'{open(name, chr(119))}')",
    "ｏｐｅｎ('x', 'w')",
    "with (x := open)('x', 'w') as f: pass",
]

READS = [
    "import zipfile\nzipfile.ZipFile('x').read('y')",
    "import tarfile\ntarfile.open('x', 'r:gz')",
    "import gzip\ngzip.open('x.gz', 'rt')",
    "from pathlib import Path\nPath('x').open()\nPath('x').read_text()",
    "import os\nprint(os.listdir('.'), os.path.join('a', 'b'), os.environ.get('HOME'))",
    "import sys\nprint(sys.version, sys.getsizeof(context))",
    "import requests",
]

IMPORTS = [
    "import requests",
    "import os",
    "import json, socket",
    "import urllib.request as u",
    "from pathlib import Path",
    "from . import x",
    "from .json import x",
    "import concurrent",
    "from concurrent import interpreters",
    "if False:\n    import requests",
    "def f():\n    from requests import get",
    "__import__('json')",
    "import importlib\nimportlib.import_module('x')",
    "from math import *",
]

CALLS = [
    "llm_query_batched(prompts)",
    "rlm_query_batched(prompts)",
    "rlm_query('the whole question')",
    "await arlm_query('the whole question')",
    "[llm_query(p) for p in prompts]",
    "{p: llm_query(p) for p in prompts}",
    "list(llm_query(p) for p in prompts)",
    "for p in prompts:\n    print(llm_query(p))",
    "while llm_query('more?') == 'yes':\n    pass",
    "async for p in prompts:\n    await allm_query(p)",
    "def ask(p):\n    return llm_query(p)",
    "ask = lambda p: llm_query(p)",
    "map(llm_query, prompts)",
    "q = llm_query",
    "q = llm_query_batched\nq(prompts)",
    "await asyncio.gather(allm_query('a'), allm_query('b'))",
    "task = allm_query('a')",
    "pool.submit(llm_query, 'a')",
    "llm_query.__call__('a')",
    "@llm_query\ndef f(): pass",
    "\n".join(f"a{n} = llm_query('{n}')" for n in range(4)),
    "import json as llm_query_batched\nllm_query_batched(prompts)",
]

HIDDEN = [
    "print(",
    "1 +",
    "  x = 1\n y = 2",
    "exec('x')",
    "eval(text)",
    "list(map(exec, texts))",
    "code = compile(text, '', 'exec')",
    "getattr(thing, name)",
    "getattr(*both)",
    "get = getattr",
    "setattr(thing, name, 1)",
    "globals()['open']",
    "locals()",
    "vars(thing)",
    "__builtins__.open",
    "().__class__.__base__.__subclasses__()",
    "print.__globals__",
    "getattr(x, '__class__')",
    "from operator import attrgetter\nattrgetter('a.__globals__')",
    "x.__init__.__globals__",
    "match x:\n    case object(__class__=c): pass",
    "f.gi_frame",
    "import builtins",
    "import builtins as b",
    "from builtins import eval as e",
    "__import__('os')",
    "sys.modules['os']",
    "import sys as s",
    "import json\njson.codecs.builtins",
    "import pickle\npickle.loads(x)",
    "from os import *",
    "np.load('x', allow_pickle=True)",
    "frame.eval('a')",
    "frame.query('@x.y()')",
    "frame.query(text)",
    "class M:\n    x: 'exec(1)'",
    "def f(x: 'list[exec(1)]'): pass",
    "get_ipython().system('ls')",
    "!ls",
    "%run script.py",
    "%%bash\nls",
    "%%writefile x\nhello",
    "%%time\nprint(1)",
    "files = !ls",
    "if True:\n    %cd x",
    "rm -rf",
    "ls",
    "run(x)",
    "/print 1",
    "len?",
    "In [1]: ls",
    "# a comment\x0c!ls",
    "# a comment\u2028%run x",
    "# a comment\r!ls",
    "x = 1\x00",
    "x = '\ud800'",
    "(" * 500 + ")" * 500,
    "-" * 50_000 + "1",
    "x" + ".a" * 20_000,
    "x = 1\n" * 20_000,
    "1" + "+1" * 2_000,
]


@pytest.mark.parametrize("code", HARMLESS)
def test_analysis_needs_no_review(code: str) -> None:
    assert look(code) == []


@pytest.mark.parametrize("code", READS)
def test_reading_files_and_importing_write_nothing(code: str) -> None:
    assert look(code, "writes", "calls") == []


@pytest.mark.parametrize("code", WRITES)
def test_writing_files_and_starting_programs_need_a_review(code: str) -> None:
    assert look(code, "writes")


@pytest.mark.parametrize("code", IMPORTS)
def test_imports_outside_the_list_need_a_review(code: str) -> None:
    assert look(code, "imports")


@pytest.mark.parametrize("code", CALLS)
def test_a_fan_out_needs_a_review(code: str) -> None:
    assert look(code, "calls")


@pytest.mark.parametrize("policy", SOME)
@pytest.mark.parametrize("code", HIDDEN, ids=lambda code: ascii(code[:40]))
def test_code_that_cannot_be_analysed_needs_a_review_under_every_policy(code: str, policy: CodePolicy) -> None:
    assert look(code, policy)


@pytest.mark.parametrize("code", [code for code in WRITES + CALLS if "import" not in code])
def test_a_policy_gives_the_same_reasons_alone_and_with_the_others(code: str) -> None:
    own = set(look(code))
    assert own == {reason for policy in SOME for reason in look(code, policy)}


def test_a_policy_gives_only_its_own_reasons() -> None:
    code = "import requests\nopen('x', 'w')\nllm_query_batched(prompts)"
    assert look(code, "writes") == ["line 2 opens a file for writing"]
    assert look(code, "imports") == ["line 1 imports requests, which is not on the list"]
    assert look(code, "calls") == ["line 3 asks models in a batch (llm_query_batched)"]
    assert look(code, "calls", "imports") == look(code, "imports") + look(code, "calls")


def test_the_policy_any_applies_to_every_cell_and_an_empty_list_to_no_cell() -> None:
    assert look("print(1)", "any") == ["every cell is looked at"]
    assert look("!ls", "any") == ["every cell is looked at"]
    assert reasons_to_look(["!ls"], []) == []


def test_the_list_of_imports_can_be_extended() -> None:
    code = ["import json, requests.auth", "from urllib import parse, request"]
    assert len(reasons_to_look(code, ["imports"])) == 2
    assert len(reasons_to_look(code, ["imports"], ["requests", "urllib.parse"])) == 1
    assert reasons_to_look(code, ["imports"], ["requests", "urllib"]) == []


def test_line_numbers_are_those_of_the_blocks_joined_by_blank_lines() -> None:
    blocks = ["print(1)\nprint(2)", "x = 1\n", "%%bash\nls", "\nopen('x', 'w')"]
    shown = "\n\n".join(blocks).split("\n")
    command, opening = (
        f"line {shown.index(line) + 1} {reason}"
        for line, reason in [
            ("%%bash", "looks like a command of IPython's"),
            ("open('x', 'w')", "opens a file for writing"),
        ]
    )
    assert reasons_to_look(blocks, ["writes"]) == [command, opening]


def test_an_alias_in_one_block_is_known_in_the_next() -> None:
    blocks = ["from json import dumps as q", "def f():\n    pass", "import io as i\ni.open('x', 'rb')"]
    assert reasons_to_look(blocks, ["writes"]) == []
    assert reasons_to_look(["from os import remove as r", "r('x')"], ["writes"]) == [
        "line 1 can change files or start programs (os.remove)",
        "line 3 can change files or start programs (os.remove)",
    ]


@pytest.mark.parametrize("depth", [50, 90, 110, 300, 2_000])
def test_the_reasons_do_not_depend_on_the_depth_of_the_call_stack(depth: int) -> None:
    """An approval covers the reasons too, so they must be the same when they are computed again elsewhere."""
    code = "open('x', 'w')\nx = 1" + "+1" * depth

    def look_below(calls: int) -> list[str]:
        return look(code) if calls == 0 else look_below(calls - 1)

    assert look_below(0) == look_below(300) != []


def test_the_reasons_are_few_and_short() -> None:
    name = "m" * 5_000
    reasons = look(f"import {name}\n" + "open(x, 'w')\n" * 500)
    assert len(reasons) == 21 and reasons[-1] == "and 481 more reasons"
    assert all(len(reason) < 200 for reason in reasons)


@given(st.text(), st.sets(st.sampled_from(get_args(CodePolicy))))
def test_any_text_is_examined_without_an_error(code: str, policies: set[CodePolicy]) -> None:
    reasons_to_look([code, code], policies)


_PIECES = st.sampled_from(
    [
        *HARMLESS,
        *WRITES,
        *CALLS,
        "\n",
        " ",
        "    ",
        "\t",
        "(",
        ")",
        "'",
        '"""',
        "#",
        "\\",
        "%",
        "!",
        "?",
        ":",
        "if x:",
        "x",
    ]
)


@given(st.one_of(st.text(), st.lists(_PIECES, max_size=8).map("".join)))
def test_ipython_runs_code_without_reasons_as_plain_python(code: str) -> None:
    if look(code) == []:
        run = TransformerManager().transform_cell(code)
        assert ast.dump(ast.parse(run)) == ast.dump(ast.parse(code))


@given(st.lists(st.sampled_from(HARMLESS), max_size=8), st.sampled_from(WRITES), st.integers(0, 8))
def test_a_block_that_writes_is_found_among_harmless_blocks(harmless: list[str], writing: str, place: int) -> None:
    blocks = [*harmless[:place], writing, *harmless[place:]]
    assert reasons_to_look(blocks, ["writes"])
