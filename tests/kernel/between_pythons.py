"""Save a session in one Python and restore it in another one: `python between_pythons.py save|restore FILE`.

Both print what the expressions of the session are worth. It needs this repository and cloudpickle on `sys.path`.
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.kernel.namespaces import Namespace

CELLS = [
    """
import collections, dataclasses, datetime, enum, functools, contextlib
from typing import NamedTuple
@dataclasses.dataclass
class Doc:
    name: str
    tags: list = dataclasses.field(default_factory=list)
@dataclasses.dataclass(frozen=True, order=True)
class Point(object):
    x: int
    y: int = 2
class Pair(NamedTuple):
    a: int
    b: int = 5
Old = collections.namedtuple('Old', 'p q', defaults=[1])
class Node:
    made = 0
    def __init__(self, v): self.v = v; self.kids = []; Node.made += 1
    def add(self, n): self.kids.append(n); return self
    @property
    def twice(self): return self.v * 2
    @staticmethod
    def zero(): return 0
    @classmethod
    def one(cls): return cls(1)
class Sub(Node):
    def add(self, n): super().add(n); return [k.v for k in self.kids]
class Color(enum.Enum):
    RED = 1
    BLUE = 2
    @property
    def nice(self): return self.name.title()
def score(items):
    total = 0
    for item in items:
        match item:
            case int(): total += item
            case str(): total += len(item)
    return total
""",
    """
def make(n):
    box = [n]
    def up():
        nonlocal n
        n += 1
        box.append([x * n for x in range(2)])
        return n
    return up, lambda: (n, box)
up, get = make(5)
square, cube = lambda x: x * x, lambda x: x ** 3
nested = lambda x: (lambda y: x + y)
plus = nested(4)
def outer(xs): return sum(x for x in xs if x), [x for x in xs], {x: 1 for x in xs}
def decorate(f):
    @functools.wraps(f)
    def inner(*args, **kwargs): return 'decorated', f(*args, **kwargs)
    return inner
@decorate
def greet(name, *, loud=False): return name.upper() if loud else name
@functools.lru_cache
def cached(x): return x + 1
@contextlib.contextmanager
def held():
    yield 'held'
part = functools.partial(score, [1, 'ab'])
async def later(): return 7
def count():
    yield from range(3)
docs = [Doc('a', ['x']), Doc('b')]
tags = docs[0].tags
tree = Sub(1)
tree.add(Node(2))
exec('def unknown(): return 1')
table = collections.Counter('hello')
when = datetime.datetime(2024, 1, 1)
""",
    "up()\nnumber = 3",
]
EXPRESSIONS = [
    "docs, tags is docs[0].tags, Doc('a', ['x']) == docs[0]",
    "Point(1) < Point(2), Point(1), hash(Point(1)) == hash(Point(1)), dataclasses.replace(Point(1), y=9)",
    "Pair(1), Pair(1)._replace(b=3), Pair(2)._asdict(), Old(3), Old(1, 2)._make([4, 5])",
    "Node.made, tree.add(Node(3)), tree.twice, Node.zero(), Node.one().v, [type(k) is Node for k in tree.kids]",
    "Color.RED.nice, Color(2) is Color.BLUE, list(Color)",
    "score([1, 'abc']), part(), cached(1), greet('x', loud=True), greet.__name__",
    "up(), get()",
    "square(3), cube(3), plus(1), nested(1)(1), outer([0, 1, 2])",
    "held().__enter__(), list(count()), table['l'], when.year, number",
]


def worth(session: Namespace) -> list[str]:
    """Return the values of the expressions, or their errors."""
    found: list[str] = []
    for expression in EXPRESSIONS:
        try:
            found.append(repr(session.see(expression)))
        except Exception as error:
            found.append(f"{type(error).__name__}: {error}")
    return found


def main(work: str, file: str) -> None:
    """Do the work and print a JSON document."""
    session = Namespace()
    lost: dict[str, Any] = {}
    if work == "save":
        for cell in CELLS:
            session.cell(cell)
        chunks = {name: chunk.hex() for name, chunk in session.chunks.items()}
        Path(file).write_text(json.dumps([session.groups, chunks]))
        session = session.again()
    else:
        session.groups, chunks = json.loads(Path(file).read_text())
        session.chunks = {name: bytes.fromhex(chunk) for name, chunk in chunks.items()}
        session = session.again()
        assert session.restored is not None
        lost = session.restored.lost
    sys.stdout.write(json.dumps({"lost": lost, "values": worth(session)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
