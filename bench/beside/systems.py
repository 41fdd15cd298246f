"""The systems that are measured, each in an environment of its own, and how a root model writes for them."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_ADAPTERS = Path(__file__).parent / "adapters"
CHECK = "right = sum(one in ('ok', 'done') for one in got)\nprint(right)"
"""Each cell that asks models ends so, and its run answers with it: answers that were lost are seen."""


@dataclass(frozen=True)
class System:
    """One of them."""

    name: str
    """As the results call it."""
    command: tuple[str, ...]
    """Its interpreter, its adapter and what is always told to that."""
    children: str
    """Code that asks sub-RLMs, whose model is `child`, all of `prompts`."""
    help: tuple[str, ...] = ()
    """The command that tells how it is used, if there is one."""
    saves: tuple[str, ...] = ()
    """The command that measures how it saves a session, if it does; in the project's folder."""

    def script(self, cells: Sequence[str], answer: str = "'done'") -> list[str]:
        """The root model's turns: the cells, then one that answers with an expression."""
        end = f'answer["content"] = {answer}\nanswer["ready"] = True'
        return [f"Step {turn}.\n\n```repl\n{code}\n#@turn={turn}\n```" for turn, code in enumerate([*cells, end])]


def asked_one_by_one(calls: int, tag: str = "", noise: str = "''") -> str:
    """A cell that makes so many calls, each after the one before. `noise`: an expression that prompts end with."""
    # The mark is put together as it runs, so that no history holds it.
    prompt = f"'[[' + 'sub:{tag}%d]] say ok ' % i + {noise}"
    return f"got = []\nfor i in range({calls}):\n    got.append(llm_query({prompt}))\n{CHECK}"


def asked_at_once(calls: int) -> str:
    """A cell that makes them in one batch."""
    return f"got = llm_query_batched(['[[' + 'sub:%d]] say ok' % i for i in range({calls})])\n{CHECK}"


def sub_rlms(system: System, children: int) -> str:
    """A cell that starts so many sub-RLMs at once."""
    return f"prompts = ['task %d' % i for i in range({children})]\ngot = {system.children}\n{CHECK}"


def ours(python: str = sys.executable) -> System:
    """This project, by its command line."""
    rlm = str(Path(python).with_name("rlm"))
    return System(
        "durable-rlm",
        (python, str(_ADAPTERS / "ours.py")),
        "rlm_query_batched(prompts)",
        help=(rlm, "--help"),
        saves=(python, "-m", "bench.snapshots"),
    )


def official(python: Path) -> list[System]:
    """The official implementation, in its two ways that can be compared."""
    children = "rlm_query_batched(prompts, model='child')"
    command = (str(python), str(_ADAPTERS / "official.py"))
    return [
        System("rlms, exec", (*command, "--place", "process"), children),
        System("rlms, Jupyter kernel", (*command, "--place", "kernel"), children),
    ]
