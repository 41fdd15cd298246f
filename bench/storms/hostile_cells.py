"""Cells of hostile kernels for the storm: each tries to freeze, fill, mislead or outlive what is beside it."""

import random

ENDLESS = "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n        pass"
"""A cell that swallows every interrupt."""

INGREDIENTS = {
    "processes": "import os, time\nwhile True:\n    if not os.fork():\n        time.sleep(60)",
    "processes that end": "import os\nfor _ in range(3000):\n    if not os.fork():\n        os._exit(0)",
    "threads": "import threading\nfor _ in range(5000):\n    threading.Thread(target=threading.Event().wait).start()",
    "memory": "held = []\nwhile True:\n    held.append(bytearray(b'x') * (64 << 20))",
    "a full scratch folder": "with open('full', 'wb') as file:\n    while True:\n        file.write(bytes(8 << 20))",
    "files": "for number in range(200_000):\n    open(f'f{number}', 'w').close()",
    "output": "while True:\n    print('x' * 100_000)",
    "lines": "for _ in range(2_000_000):\n    print()",
    "calls": "llm_query_batched(['q'] * 3000)",
    "large prompts": "for _ in range(40):\n    try:\n        llm_query('x' * (8 << 20))\n    except Exception:\n        pass",
    "schemas": "schema = {}\nfor _ in range(90):\n    schema = {'allOf': [schema, schema]}\nllm_query('q', schema=schema)",
    "a nested answer": "value = []\nfor _ in range(50_000):\n    value = [value]\nFINAL(value)",
    "a large answer": "FINAL('x' * (200 << 20))",
    "variables": "globals().update({f'v{n}': n for n in range(100_000)})",
    "a value that never pickles": (
        "class Slow:\n    def __reduce__(self):\n        while True:\n            pass\nslow = Slow()"
    ),
    "a value that lies": "class Liar:\n    def __reduce__(self):\n        return (exec, ('import os; os._exit(1)',))\nliar = Liar()",
    "a slow pattern": "import re\nre.match(r'(a+)+$', 'a' * 60 + 'b')",
    "deep recursion": "import sys\nsys.setrecursionlimit(10**9)\ndef f():\n    f()\nf()",
    "a crash": "import ctypes\nctypes.string_at(0)",
    "its own end": "import os\nos._exit(3)",
    "a stop": "import os, signal\nos.kill(os.getpid(), signal.SIGSTOP)",
    "signals to all": "import os\nos.kill(-1, 9)",
    "closed files": "import os\nos.closerange(3, 4096)",
    "broken modules": "import json, threading\njson.dumps = json.loads = None\nthreading.Thread.start = None",
    "forged bytes": (
        "import os, socket\nfor name in os.listdir('/proc/self/fd'):\n    try:\n"
        "        one = socket.socket(fileno=os.dup(int(name)))\n        one.setblocking(False)\n"
        "        one.send(os.urandom(100_000))\n    except Exception:\n        pass"
    ),
    "forgotten children": (
        "import os, signal\ntry:\n    signal.signal(signal.SIGCHLD, signal.SIG_IGN)\nexcept OSError:\n    pass\n"
        "for _ in range(20):\n    if not os.fork():\n        while True:\n            pass"
    ),
    "shared objects": (
        "import ctypes\nlibc = ctypes.CDLL(None)\nfor number in range(70_000):\n    libc.msgctl(number, 0, None)\n"
        "    libc.shmctl(number, 0, None)\n    libc.semctl(number, 0, 0)"
    ),
}
"""Code by its name."""


def cell(chance: random.Random) -> tuple[str, str]:
    """Return the names of one or two ingredients, and a cell of them that does not end by itself."""
    names = chance.sample(sorted(INGREDIENTS), chance.randint(1, 2))
    parts = [f"try:\n{_indented(INGREDIENTS[name])}\nexcept Exception:\n    pass" for name in names]
    return " and ".join(names), "\n".join([*parts, *([ENDLESS] if chance.random() < 0.3 else [])])


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
