"""Gates: what a run waits for a person to look at, as its settings name it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

CodePolicy = Literal["any", "writes", "imports", "calls"]
"""Which cells are looked at: every one, or those that write files, import what is not listed, or fan out."""

FORMS = "code, code:writes, code:imports, code:calls, calls, calls>N, cost>USD, final, budget, all"
_CALLS = re.compile(r"calls(?:>(\d{1,9}))?")
_COST = re.compile(r"cost>(\d{1,9}(?:\.\d{1,9})?|\.\d{1,9})")
_ALL = ("code", "calls", "final", "budget")


@dataclass(frozen=True)
class Gates:
    """The gates of a run, read."""

    code: frozenset[CodePolicy] = frozenset()
    calls: int | None = None
    """A cell may send so many sub-calls that nobody has looked at; None: as many as it likes."""
    cost: float | None = None
    """Dollars that may be spent before somebody is asked, and again after each further so many."""
    final: bool = False
    budget: bool = False

    @classmethod
    def of(cls, names: Iterable[str]) -> "Gates":
        """The gates of these names; of several that say how much, the strictest. Raises ValueError."""
        wanted = [word for name in names for word in (_ALL if name == "all" else (name,))]
        calls = [int(found[1] or 0) for name in wanted if (found := _CALLS.fullmatch(name))]
        costs = [float(found[1]) for name in wanted if (found := _COST.fullmatch(name))]
        known = [name for name in wanted if _is_plain(name) or _CALLS.fullmatch(name) or _COST.fullmatch(name)]
        if unknown := [name for name in wanted if name not in known]:
            raise ValueError(f"{unknown[0]!r} is no gate; there are {FORMS}")
        if 0.0 in costs:
            raise ValueError("cost>0 would ask for ever; name an amount, as in cost>0.50")
        return cls(
            code=frozenset(policy for policy in get_args(CodePolicy) if _code(policy) in wanted),
            calls=min(calls, default=None),
            cost=min(costs, default=None),
            final="final" in wanted,
            budget="budget" in wanted,
        )

    @property
    def hold_calls(self) -> bool:
        """Whether sub-calls may have to wait for a person."""
        return self.calls is not None or self.cost is not None or self.budget


def without_final(names: Iterable[str]) -> tuple[str, ...]:
    """The same gates but that of the answer."""
    words = [word for name in names for word in (_ALL if name == "all" else (name,)) if word != "final"]
    return tuple(dict.fromkeys(words))


def _code(policy: str) -> str:
    return "code" if policy == "any" else f"code:{policy}"


def _is_plain(name: str) -> bool:
    return name in {"final", "budget", *(_code(policy) for policy in get_args(CodePolicy))}


def gate_names(given: Any) -> Any:
    """The names of gates from a list or a text with commas, each once. Raises ValueError for one that is none."""
    if isinstance(given, str):
        given = [word.strip() for word in given.split(",")]
    if not isinstance(given, list | tuple):
        return given
    names = [name.strip() if isinstance(name, str) else name for name in given]
    words = [name for name in names if isinstance(name, str) and name]
    if len(words) == len([name for name in names if name != ""]):
        Gates.of(words)
        return tuple(dict.fromkeys(words))
    return given


def module_names(given: Any) -> Any:
    """Names of modules from a list or a text with commas, each once."""
    if isinstance(given, str):
        given = given.split(",")
    if isinstance(given, list | tuple) and all(isinstance(name, str) for name in given):
        return tuple(dict.fromkeys(name.strip() for name in given if name.strip()))
    return given
